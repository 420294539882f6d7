//! A token as the name of a field or parameter: no answer contains its secret.

use service_tokens::MemoryStore;

use crate::api::{api, api_with, name};

#[tokio::test]
async fn send_token_as_name_hides_secret_in_answer() {
    // With the shortest prefix most of the token is secret.
    for prefix in ["acme_test", "a"] {
        let api = api_with(MemoryStore::new(), |builder| builder.accept_prefix("a")).await;
        let token = api.manager.replace("acme_test", prefix);
        let secret = &token[prefix.len() + 2 + 22..];
        for path in [
            format!("/tokens?{token}"),
            format!("/tokens?{token}="),
            format!("/tokens?{token}=%"),
            format!("/tokens?{token}=1"),
            format!("/tokens?limit=1&{token}=1&{token}=1"),
            format!("/tokens/self?{token}"),
        ] {
            let answer = api.manage("GET", &path, "").await;
            assert_eq!((answer.status, &*name(&answer)), (400, "invalid-parameter"));
            assert!(!answer.body.contains(&secret[..4]), "{path}: {}", answer.body);
        }
        for body in [
            format!(r#"{{"{token}":1}}"#),
            format!(r#"{{"type":"connector","issued_to":"x","{token}":1,"{token}":1}}"#),
            format!(r#"{{"type":"connector","issued_to":"x","metadata":{{"{token}":1}}}}"#),
            format!(r#"{{"type":{{"{token}":1}},"issued_to":"x"}}"#),
        ] {
            let answer = api.manage("POST", "/tokens", &body).await;
            assert_eq!((answer.status, &*name(&answer)), (400, "invalid-field"));
            assert!(!answer.body.contains(&secret[..4]), "{body}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn send_invalid_known_name_returns_it_in_full() {
    let api = api().await;
    let path = format!("/tokens/{}/rotate", api.issue("connector").await.0);
    let answer = api.manage("POST", &path, r#"{"overlap_ends_on_first_use":1}"#).await;
    assert_eq!(answer.json()["field"], "overlap_ends_on_first_use");
    let answer = api.manage("GET", "/tokens?issued_to_contains=", "").await;
    assert_eq!(answer.json()["field"], "issued_to_contains");
}
