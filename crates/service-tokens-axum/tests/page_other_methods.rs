//! A method that a file of the page has not: the answer is as strict as the file.
#![cfg(feature = "page")]

mod support;

use service_tokens_axum::page;

#[tokio::test]
async fn an_answer_without_the_file_has_its_policy() {
    let address = support::serve(page::router()).await;
    for path in ["/service-tokens", "/service-tokens.js", "/service-tokens.svg"] {
        let file = support::send(address, "GET", path, &[], "").await;
        let other = support::send(address, "POST", path, &[], "").await;
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
        // They belong to the file.
        assert_eq!((other.header("etag"), other.header("content-type")), (None, None));
    }
}
