//! Invalid bodies: the answer names the field and the rule.

use std::time::Duration;

use serde_json::json;
use service_tokens::{MemoryStore, Policy};

use crate::api::{api, api_with, call, checked, name, problem};
use crate::harness::{exchange, send};

const MAX: usize = 64 * 1024;

#[tokio::test]
async fn issue_with_invalid_field_names_field_and_rule() {
    let api = api_with(MemoryStore::new(), |builder| {
        builder
            .policy(Policy::new().max_text_len(255).max_metadata_entries(2).max_metadata_bytes(20))
    })
    .await;
    let long = "x".repeat(256);
    let required = r#""type":"connector","issued_to":"x""#;
    let with = |more: &str| format!("{{{required},{more}}}");
    let only = "must not be combined with another of expires_in, expires_at and never_expires";
    let time = "must be an RFC 3339 time with an offset";
    let seconds = "must be a whole number of seconds";
    let visible = "must contain a visible character";
    for (body, field, rule) in [
        ("{}".into(), "type", "is required"),
        (r#"{"type":"connector"}"#.into(), "issued_to", "is required"),
        (r#"{"type":"connector","issued_to":""}"#.into(), "issued_to", visible),
        (r#"{"type":"connector","issued_to":"\t "}"#.into(), "issued_to", visible),
        (
            r#"{"type":"connector","issued_to":null}"#.into(),
            "issued_to",
            "must not be null, but may be absent",
        ),
        (r#"{"type":"connector","issued_to":7}"#.into(), "issued_to", "must be a string"),
        (
            json!({ "type": "connector", "issued_to": long }).to_string(),
            "issued_to",
            "has more than 255 bytes",
        ),
        (r#"{"type":"nothing","issued_to":"x"}"#.into(), "type", "is not a type of this service"),
        (r#"{"type":"","issued_to":"x"}"#.into(), "type", "is not a type of this service"),
        (with(r#""owner":"acme""#), "owner", "is unknown here"),
        (with(r#""id":"05Swf3OEdIgE2bQlsPJ8wB""#), "id", "is unknown here"),
        (with(r#""issued_by":"me""#), "issued_by", "is unknown here"),
        (with(r#""Scopes":["files:upload"]"#), "Scopes", "is unknown here"),
        (with(r#""type":"connector""#), "type", "must not be repeated"),
        (with(r#""\u0074ype":"connector""#), "type", "must not be repeated"),
        (with(r#""x":1,"x":1"#), "x", "is unknown here"),
        (with(r#""scopes":null"#), "scopes", "must not be null, but may be absent"),
        (with(r#""scopes":[]"#), "scopes", "must have at least one entry"),
        (with(r#""scopes":"files:upload""#), "scopes", "must be an array"),
        (with(r#""scopes":[null]"#), "scopes", "must not be null, but may be absent"),
        (with(r#""scopes":[{}]"#), "scopes", "must be a string"),
        (
            with(r#""scopes":["files:read"]"#),
            "scopes",
            "has a scope that the type does not contain",
        ),
        (with(r#""expires_in":0"#), "expires_in", "must be in the future"),
        (with(r#""expires_in":-1"#), "expires_in", seconds),
        (with(r#""expires_in":1.5"#), "expires_in", seconds),
        (with(r#""expires_in":"60""#), "expires_in", seconds),
        (with(r#""expires_in":18446744073709551616"#), "expires_in", seconds),
        (
            with(r#""expires_in":18446744073709551615"#),
            "expires_in",
            "must be in the years 1970 to 9999",
        ),
        (with(r#""expires_in":9223372036855"#), "expires_in", "must be in the years 1970 to 9999"),
        (with(r#""expires_in":31622401"#), "expires_in", "must not be after 2027-01-02T00:00:00Z"),
        (with(r#""expires_at":"2026-01-01""#), "expires_at", time),
        (with(r#""expires_at":"2026-01-02T00:00:00""#), "expires_at", time),
        (with(r#""expires_at":"2026-01-02 00:00:00Z""#), "expires_at", time),
        (with(r#""expires_at":1767225600"#), "expires_at", time),
        (with(r#""expires_at":"2026-01-01T00:00:00Z""#), "expires_at", "must be in the future"),
        (
            with(r#""expires_at":"0000-01-01T00:00:00Z""#),
            "expires_at",
            "must be in the years 1970 to 9999",
        ),
        (with(r#""never_expires":false"#), "never_expires", "must be true or absent"),
        (
            with(r#""never_expires":true"#),
            "never_expires",
            "is not allowed because the policy requires an expiry",
        ),
        (with(r#""expires_in":60,"expires_at":"2026-01-02T00:00:00Z""#), "expires_in", only),
        (with(r#""expires_in":60,"never_expires":true"#), "expires_in", only),
        (with(r#""never_expires":true,"expires_at":"2026-01-02T00:00:00Z""#), "expires_at", only),
        (
            with(r#""expires_in":60,"not_before":"2026-01-01T00:01:00Z""#),
            "expires_in",
            "must be after not_before",
        ),
        (with(r#""not_before":"then""#), "not_before", time),
        (with(r#""metadata":null"#), "metadata", "must not be null, but may be absent"),
        (with(r#""metadata":[]"#), "metadata", "must be an object"),
        (with(r#""metadata":{"a":1}"#), "metadata", "has a member that must be a string"),
        (
            with(r#""metadata":{"a":"1","a":"2"}"#),
            "metadata",
            "has a member that must not be repeated",
        ),
        (with(r#""metadata":{"a":"","b":"","c":""}"#), "metadata", "has more than 2 entries"),
        (with(r#""metadata":{"a":"12345678901234567890"}"#), "metadata", "has more than 20 bytes"),
        (with(r#""metadata":{"":"x"}"#), "metadata", "has a key without a visible character"),
    ] {
        let answer = api.manage("POST", "/tokens", &body).await;
        let expected = (400, "invalid-field".into(), field.into(), rule.into());
        assert_eq!(problem(&answer), expected, "{body}");
    }
    for scope in ["", "a::b", "*:a", "a b", "files:upl\u{f6}ad", "files:*:x"] {
        let body = json!({ "type": "connector", "issued_to": "x", "scopes": [scope] }).to_string();
        let answer = api.manage("POST", "/tokens", &body).await;
        assert_eq!((answer.status, &answer.json()["field"]), (400, &json!("scopes")), "{scope}");
    }
    let many: Vec<_> = (0..65).map(|n| format!("files:upload:{n}")).collect();
    let body = json!({ "type": "developer", "issued_to": "x", "scopes": many }).to_string();
    assert_eq!(api.manage("POST", "/tokens", &body).await.json()["field"], "scopes");
    let list = api.manage("GET", "/tokens?state=all", "").await.json();
    assert_eq!(list["tokens"].as_array().unwrap().len(), 1, "none was issued");
}

#[tokio::test]
async fn issue_never_expires_if_policy_allows_it() {
    let api = api_with(MemoryStore::new(), |builder| {
        builder.policy(Policy::new().default_lifetime(None).allow_never(true))
    })
    .await;
    let body = r#"{"type":"connector","issued_to":"x","never_expires":true}"#;
    let issued = api.manage("POST", "/tokens", body).await;
    assert_eq!((issued.status, &issued.json()["expires_at"]), (201, &json!(null)));
}

#[tokio::test]
async fn rotate_with_invalid_field_names_the_rule() {
    let api = api().await;
    let (id, _) = api.issue("connector").await;
    let path = format!("/tokens/{id}/rotate");
    for (body, field, rule) in [
        (r#"{"overlap":60}"#, "overlap", "is unknown here"),
        (r#"{"overlap_for":null}"#, "overlap_for", "must not be null, but may be absent"),
        (r#"{"overlap_for":-1}"#, "overlap_for", "must be a whole number of seconds"),
        (r#"{"overlap_for":2592001}"#, "overlap_for", "must not be after 2026-01-31T00:00:00Z"),
        (
            r#"{"overlap_for":18446744073709551615}"#,
            "overlap_for",
            "must be in the years 1970 to 9999",
        ),
        (r#"{"overlap_until":"2025-01-01T00:00:00Z"}"#, "overlap_until", "must be in the future"),
        (
            r#"{"overlap_for":60,"overlap_until":"2026-01-02T00:00:00Z"}"#,
            "overlap_for",
            "must not be combined with overlap_until",
        ),
        (
            r#"{"overlap_ends_on_first_use":true}"#,
            "overlap_ends_on_first_use",
            "requires overlap_for or overlap_until",
        ),
        (
            r#"{"overlap_ends_on_first_use":1}"#,
            "overlap_ends_on_first_use",
            "must be true or false",
        ),
        (r#"{"replacing":"both"}"#, "replacing", "must be one of: newest, oldest"),
        (r#"{"replacing":0}"#, "replacing", "must be one of: newest, oldest"),
        (
            r#"{"if_secret_created_at":"now"}"#,
            "if_secret_created_at",
            "must be an RFC 3339 time with an offset",
        ),
        (r#"{"expires_in":0}"#, "expires_in", "must be in the future"),
        (r#"{"expires_at":"2026-01-01T00:00:00Z"}"#, "expires_at", "must be in the future"),
        (
            r#"{"never_expires":true}"#,
            "never_expires",
            "is not allowed because the policy requires an expiry",
        ),
    ] {
        for path in [&*path, "/tokens/self/rotate"] {
            let answer = api.manage("POST", path, body).await;
            let expected = (400, "invalid-field".into(), field.into(), rule.into());
            assert_eq!(problem(&answer), expected, "{body}");
        }
    }
    let shown = api.manage("GET", &format!("/tokens/{id}"), "").await.json();
    assert_eq!(shown["secret_created_at"], shown["created_at"], "it was not rotated");
}

#[tokio::test]
async fn revoke_with_invalid_reason_names_the_rule() {
    let api = api().await;
    let (id, _) = api.issue("connector").await;
    let long = json!({ "reason": "x".repeat(1_001) }).to_string();
    for (body, field, rule) in [
        (r#"{"reason":""}"#, "reason", "must contain a visible character"),
        (r#"{"reason":null}"#, "reason", "must not be null, but may be absent"),
        (r#"{"reason":["x"]}"#, "reason", "must be a string"),
        (&*long, "reason", "has more than 1000 bytes"),
        (r#"{"by":"another person"}"#, "by", "is unknown here"),
    ] {
        for path in [&*format!("/tokens/{id}/revoke"), "/tokens/self/revoke"] {
            let answer = api.manage("POST", path, body).await;
            let expected = (400, "invalid-field".into(), field.into(), rule.into());
            assert_eq!(problem(&answer), expected, "{body}");
        }
    }
    let shown = api.manage("GET", &format!("/tokens/{id}"), "").await.json();
    assert_eq!(shown["state"], "active");
}

#[tokio::test]
async fn send_body_that_is_no_object_returns_400() {
    let api = api().await;
    let deep = "[".repeat(10_000);
    for path in ["/tokens", "/tokens/self/revoke", "/tokens/self/rotate"] {
        for body in [
            "[]",
            "null",
            "7",
            "\"x\"",
            "{",
            "{}x",
            "{\"a\":}",
            "{'a':1}",
            "{\"a\":1,}",
            " ",
            "\u{feff}{}",
            &deep,
            "{\"type\":1e999}",
        ] {
            let answer = api.manage("POST", path, body).await;
            assert_eq!((answer.status, &*name(&answer)), (400, "malformed-body"), "{body}");
        }
        let mut bytes = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\nContent-Length: 12\r\n\r\n", api.manager).into_bytes();
        bytes.extend(b"{\"type\":\"\xff\"}");
        let answer = checked(exchange(api.address, &bytes).await.unwrap());
        assert_eq!((answer.status, &*name(&answer)), (400, "malformed-body"));
    }
}

#[tokio::test]
async fn send_body_of_other_media_type_returns_415() {
    let api = api().await;
    let bearer = format!("Authorization: Bearer {}", api.manager);
    let body = r#"{"type":"connector","issued_to":"x"}"#;
    for (path, body) in
        [("/tokens", body), ("/tokens/self/revoke", "{}"), ("/tokens/self/rotate", "{}")]
    {
        for types in [
            &[][..],
            &["Content-Type: text/plain"],
            &["Content-Type: application/jsonx"],
            &["Content-Type: application/x-www-form-urlencoded"],
            &["Content-Type: application/json", "Content-Type: application/json"],
            &["Content-Type: application/json", "Content-Encoding: gzip"],
        ] {
            let headers = [&[&*bearer], types].concat();
            let answer = checked(send(api.address, "POST", path, &headers, body).await);
            assert_eq!((answer.status, &*name(&answer)), (415, "unsupported-media-type"));
        }
    }
    for json in ["application/json;charset=utf-8", "Application/JSON ; charset=\"utf-8\""] {
        let headers = [&*bearer, &*format!("Content-Type: {json}")];
        assert_eq!(send(api.address, "POST", "/tokens", &headers, body).await.status, 201);
    }
}

/// Returns a JSON body of this length.
fn of_length(length: usize) -> String {
    let mut body = r#"{"type":"connector","issued_to":"x"}"#.to_owned();
    body.extend(std::iter::repeat_n(' ', length - body.len()));
    body
}

#[tokio::test]
async fn send_body_above_limit_returns_413() {
    let api = api().await;
    assert_eq!(api.manage("POST", "/tokens", &of_length(MAX)).await.status, 201);
    let long = api.manage("POST", "/tokens", &of_length(MAX + 1)).await;
    assert_eq!((long.status, &*name(&long)), (413, "body-too-large"));

    let head = |more: &str| {
        format!(
            "POST /tokens HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\n{more}\r\n\r\n",
            api.manager
        )
    };
    // An announced body is refused before its first byte arrives.
    let announced = head(&format!("Content-Length: {}", MAX + 1));
    let answer = exchange(api.address, announced.as_bytes());
    let answer = tokio::time::timeout(Duration::from_secs(10), answer).await.unwrap();
    assert_eq!(checked(answer.unwrap()).status, 413);
    // A chunked body without an end is refused as soon as it exceeds the limit.
    for (length, status) in [(MAX, 201), (MAX + 1, 413)] {
        let body = of_length(length);
        let mut chunked = head("Transfer-Encoding: chunked");
        for chunk in body.as_bytes().chunks(1_000) {
            chunked += &format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap());
        }
        if status == 201 {
            chunked += "0\r\n\r\n";
        }
        let answer = exchange(api.address, chunked.as_bytes());
        let answer = tokio::time::timeout(Duration::from_secs(10), answer).await.unwrap();
        assert_eq!(checked(answer.unwrap()).status, status);
    }
}

#[tokio::test]
async fn send_empty_body_works_only_if_optional() {
    let api = api().await;
    let bearer = format!("Authorization: Bearer {}", api.manager);
    let (id, _) = api.issue("connector").await;
    for headers in [
        &[&*bearer][..],
        &[&*bearer, "Content-Type: application/json"],
        &[&*bearer, "Content-Length: 0"],
    ] {
        for verb in ["rotate", "revoke"] {
            let (id, _) = api.issue("connector").await;
            let path = format!("/tokens/{id}/{verb}");
            let answer = checked(send(api.address, "POST", &path, headers, "").await);
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
    let chunked = format!(
        "POST /tokens/{id}/rotate HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{bearer}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    let answer = exchange(api.address, chunked.as_bytes()).await.unwrap();
    assert_eq!(checked(answer).status, 200);
    let none =
        call(api.address, &api.manager, "POST", "/tokens", "", &["Content-Type: application/json"])
            .await;
    assert_eq!((none.status, &*name(&none)), (400, "malformed-body"));
    assert_eq!(api.manage("POST", "/tokens", "").await.status, 415);
}

#[tokio::test]
async fn send_query_where_none_is_known_returns_400() {
    let api = api().await;
    for (method, path) in [
        ("GET", "/tokens/self"),
        ("GET", "/token-types"),
        ("GET", "/openapi.json"),
        ("POST", "/tokens"),
        ("POST", "/tokens/self/revoke"),
    ] {
        let answer = api.manage(method, &format!("{path}?reason=x"), "").await;
        assert_eq!(
            problem(&answer),
            (400, "invalid-parameter".into(), "reason".into(), "is unknown here".into()),
            "{path}"
        );
    }
}
