//! The files of the page: their headers, and the code that they must not contain.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Router;
use service_tokens_axum::page;

use crate::harness::{send, serve};

const FILES: [(&str, &str); 4] = [
    ("/service-tokens", "text/html; charset=utf-8"),
    ("/service-tokens.js", "text/javascript; charset=utf-8"),
    ("/service-tokens.css", "text/css; charset=utf-8"),
    ("/service-tokens.svg", "image/svg+xml; charset=utf-8"),
];

async fn address() -> SocketAddr {
    serve(page::router()).await
}

async fn text(path: &str) -> String {
    let answer = send(address().await, "GET", path, &[], "").await;
    assert_eq!(answer.status, 200);
    answer.body
}

/// The policy as a map from directive to value.
fn directives(policy: &str) -> BTreeMap<&str, &str> {
    policy
        .split(';')
        .map(str::trim)
        .map(|directive| directive.split_once(' ').unwrap_or((directive, "")))
        .collect()
}

#[tokio::test]
async fn get_page_file_sends_exact_headers() {
    let address = address().await;
    for (path, kind) in FILES {
        let answer = send(address, "GET", path, &[], "").await;
        assert_eq!(answer.status, 200, "{path}");
        let expected = [
            ("content-type", kind),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-cache"),
            (
                "permissions-policy",
                "camera=(), clipboard-read=(), clipboard-write=(self), geolocation=(), microphone=()",
            ),
        ];
        for (name, value) in expected {
            assert_eq!(answer.header(name), Some(value), "{name} of {path}");
        }
        assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()));
        let tag = answer.header("etag").expect("a tag");
        assert!(tag.len() == 34 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        for absent in ["set-cookie", "access-control-allow-origin"] {
            assert_eq!(answer.header(absent), None, "{absent} of {path}");
        }
    }
}

#[tokio::test]
async fn get_page_file_sends_exact_csp() {
    let address = address().await;
    let expected = BTreeMap::from([
        ("default-src", "'none'"),
        ("script-src", "'self'"),
        ("style-src", "'self'"),
        ("img-src", "'self'"),
        ("connect-src", "'self'"),
        ("frame-ancestors", "'none'"),
        ("base-uri", "'none'"),
        ("form-action", "'none'"),
        ("require-trusted-types-for", "'script'"),
        ("trusted-types", "'none'"),
    ]);
    for (path, _) in FILES {
        let answer = send(address, "GET", path, &[], "").await;
        let policy = answer.header("content-security-policy").expect("a policy");
        assert_eq!(directives(policy), expected, "{path}");
    }
}

#[tokio::test]
async fn get_with_current_etag_returns_304() {
    let address = address().await;
    for (path, _) in FILES {
        let whole = send(address, "GET", path, &[], "").await;
        let tag = whole.header("etag").expect("a tag");
        let held = [
            tag.to_owned(),
            format!("W/{tag}"),
            format!("\"another\", {tag}"),
            format!("\"another\", W/{tag} , \"third\""),
            "*".to_owned(),
        ];
        for tags in held {
            let header = format!("If-None-Match: {tags}");
            let answer = send(address, "GET", path, &[&header], "").await;
            assert_eq!((answer.status, &*answer.body), (304, ""), "{header} of {path}");
            for (name, value) in &whole.headers {
                if !matches!(&**name, "content-type" | "content-length" | "date") {
                    assert_eq!(answer.header(name), Some(&**value), "{name} of {path}");
                }
            }
        }
        let twice = ["If-None-Match: \"another\"", &format!("If-None-Match: {tag}")];
        assert_eq!(send(address, "GET", path, &twice, "").await.status, 304);
    }
}

#[tokio::test]
async fn get_with_other_etag_returns_whole_file() {
    let address = address().await;
    for (path, _) in FILES {
        let whole = send(address, "GET", path, &[], "").await;
        let tag = whole.header("etag").expect("a tag").trim_matches('"').to_owned();
        let others = [
            "\"another\"".to_owned(),
            tag.clone(),
            format!("\"{}\"", &tag[1..]),
            format!("\"{tag}0\""),
            format!("w/\"{tag}\""),
            String::new(),
            "\u{fc}".to_owned(),
        ];
        for other in others {
            let header = format!("If-None-Match: {other}");
            let answer = send(address, "GET", path, &[&header], "").await;
            assert_eq!((answer.status, &answer.body), (200, &whole.body), "{header} of {path}");
        }
    }
}

#[tokio::test]
async fn get_page_files_sends_distinct_etags() {
    let address = address().await;
    let mut tags = Vec::new();
    for (path, _) in FILES {
        let answer = send(address, "GET", path, &[], "").await;
        tags.push(answer.header("etag").expect("a tag").to_owned());
    }
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), FILES.len());
}

#[tokio::test]
async fn head_page_file_returns_headers_without_body() {
    let address = address().await;
    for (path, _) in FILES {
        let get = send(address, "GET", path, &[], "").await;
        let head = send(address, "HEAD", path, &[], "").await;
        assert_eq!((head.status, &*head.body), (200, ""), "{path}");
        for (name, value) in get.headers.iter().filter(|(name, _)| name != "date") {
            assert_eq!(head.header(name), Some(&**value), "{name} of {path}");
        }
    }
}

#[tokio::test]
async fn call_page_file_by_other_method_returns_405() {
    let address = address().await;
    for (path, _) in FILES {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            let answer = send(address, method, path, &[], "").await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some("GET,HEAD"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn nest_page_below_prefix_serves_files_there() {
    let other = Router::new().route("/", axum::routing::get(|| async { "other" }));
    let address = serve(other.nest("/admin", page::router())).await;
    assert_eq!(send(address, "GET", "/", &[], "").await.body, "other");
    for (path, _) in FILES {
        let nested = format!("/admin{path}");
        assert_eq!(send(address, "GET", &nested, &[], "").await.status, 200);
        assert_eq!(send(address, "GET", path, &[], "").await.status, 404);
    }
}

#[tokio::test]
async fn get_document_contains_no_inline_code() {
    let html = text("/service-tokens").await.to_ascii_lowercase();
    for forbidden in
        ["<style", "style=", "javascript:", "<base", "<iframe", "http-equiv", "//", "data:"]
    {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert_eq!(html.matches("<script").count(), 1);
    assert!(html.contains("<script type=\"module\" src=\"service-tokens.js\"></script>"));
    // No attribute that holds a script, such as onclick.
    for (at, _) in html.match_indices(" on") {
        let name: String =
            html[at + 1..].chars().take_while(|letter| letter.is_ascii_alphanumeric()).collect();
        assert!(!html[at + 1 + name.len()..].starts_with('='), "{name}");
    }
    // All links are relative to the document.
    for attribute in [" src=\"", " href=\""] {
        for (at, _) in html.match_indices(attribute) {
            let target = &html[at + attribute.len()..];
            assert!(target.starts_with("service-tokens."), "{}", &target[..20]);
        }
    }
}

#[tokio::test]
async fn get_script_uses_no_markup_and_no_storage() {
    let script = text("/service-tokens.js").await;
    let forbidden = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "createContextualFragment",
        "DOMParser",
        "srcdoc",
        "eval(",
        "new Function",
        "import(",
        "localStorage",
        "sessionStorage",
        "indexedDB",
        "document.cookie",
        "caches.",
        "history.",
        "location.",
        "postMessage",
        "http:",
        "https:",
        "console.",
        ".style",
        "setAttribute('style'",
        "setAttribute('on",
        "sendBeacon",
        "XMLHttpRequest",
        "WebSocket",
    ];
    for forbidden in forbidden {
        assert!(!script.contains(forbidden), "{forbidden}");
    }
}

#[tokio::test]
async fn get_stylesheet_fetches_no_other_file() {
    let css = text("/service-tokens.css").await;
    for forbidden in ["url(", "@import", "http:", "https:", "image-set(", "expression("] {
        assert!(!css.contains(forbidden), "{forbidden}");
    }
}

#[tokio::test]
async fn refuse_page_method_sends_policy_of_file() {
    let address = serve(page::router()).await;
    for path in ["/service-tokens", "/service-tokens.js", "/service-tokens.svg"] {
        let file = send(address, "GET", path, &[], "").await;
        let other = send(address, "POST", path, &[], "").await;
        assert_eq!((other.status, &*other.body), (405, ""), "{path}");
        assert_eq!(other.header("allow"), Some("GET,HEAD"), "{path}");
        for name in [
            "content-security-policy",
            "cross-origin-opener-policy",
            "referrer-policy",
            "x-content-type-options",
            "cache-control",
        ] {
            assert!(file.header(name).is_some(), "{name} of {path}");
            assert_eq!(other.header(name), file.header(name), "{name} of {path}");
        }
        // These headers describe the file.
        assert_eq!((other.header("etag"), other.header("content-type")), (None, None));
    }
}
