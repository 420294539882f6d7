//! Times in requests: RFC 3339, and texts that only look like it.

use serde_json::{Value, json};

use crate::api::{api, problem};

#[tokio::test]
async fn parse_rfc_3339_time_returns_same_instant() {
    let api = api().await;
    for (text, instant) in [
        ("1970-01-01T00:00:00Z", Some("1970-01-01T00:00:00Z")),
        ("2020-02-29t23:59:59z", Some("2020-02-29T23:59:59Z")),
        ("2020-01-01T00:00:00+23:59", Some("2019-12-31T00:01:00Z")),
        ("2020-01-01T00:00:00-00:00", Some("2020-01-01T00:00:00Z")),
        ("2020-01-01T00:00:00.9999999999999Z", Some("2020-01-01T00:00:00.999999Z")),
        // A leap second counts as the next second.
        ("2016-12-31T23:59:60Z", Some("2017-01-01T00:00:00Z")),
        ("2016-12-31T23:59:60.999999999Z", Some("2017-01-01T00:00:00.999999Z")),
        ("2019-02-29T00:00:00Z", None),
        ("2020-01-01T24:00:00Z", None),
        ("2020-01-01T23:59:61Z", None),
        ("2020-01-01T00:00:00", None),
        ("2020-01-01 00:00:00Z", None),
        ("2020-01-01T00:00:00 Z", None),
        (" 2020-01-01T00:00:00Z", None),
        ("2020-01-01T00:00:00,5Z", None),
        ("2020-01-01T00:00:00+24:00", None),
        ("2020-01-01T00:00:00+0100", None),
        ("+2020-01-01T00:00:00Z", None),
        // Other Unicode digits, minus and dot.
        ("２020-01-01T00:00:00Z", None),
        ("2020-01-01T00:00:00\u{2212}01:00", None),
        ("2020-01-01T00:00:00\u{ff0e}5Z", None),
    ] {
        let body = json!({"type": "connector", "issued_to": "x", "not_before": text}).to_string();
        let answer = api.manage("POST", "/tokens", &body).await;
        let Some(instant) = instant else {
            let rule = "must be an RFC 3339 time with an offset";
            let expected = (400, "invalid-field".into(), "not_before".into(), rule.into());
            assert_eq!(problem(&answer), expected, "{text}");
            continue;
        };
        assert_eq!((answer.status, &answer.json()["not_before"]), (201, &json!(instant)), "{text}");
        let Value::String(id) = answer.json()["id"].clone() else { panic!("{answer:?}") };
        let shown = api.manage("GET", &format!("/tokens/{id}"), "").await.json();
        assert_eq!(shown["not_before"], *instant, "{text}");
    }
}

/// A `Date` of JavaScript cuts the microseconds off.
#[tokio::test]
async fn rotate_with_time_of_javascript_succeeds() {
    let api = api().await;
    let body = json!({"type": "connector", "issued_to": "x"}).to_string();
    let issued = api.manage("POST", "/tokens", &body).await.json();
    let created = issued["secret_created_at"].as_str().unwrap();
    let created = chrono::DateTime::parse_from_rfc3339(created).unwrap();
    let sent = created.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    let path = format!("/tokens/{}/rotate", issued["id"].as_str().unwrap());
    let body = json!({ "if_secret_created_at": sent }).to_string();
    let rotated = api.manage("POST", &path, &body).await;
    assert_eq!(rotated.status, 200, "{sent}");
    let again = api.manage("POST", &path, &body).await;
    assert_eq!(again.status, 409);
}
