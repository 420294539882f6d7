//! Limits per type, tokens of a removed type, and the index of an invalid entry.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use service_tokens::{MemoryStore, TokenType};

use crate::api::{api, api_with, problem};

const DAY: u64 = 86_400;

fn visitor() -> TokenType {
    TokenType::new("visitor", ["files:read"]).expect("a type")
}

#[tokio::test]
async fn get_token_types_returns_limits_of_each() {
    let api = api_with(MemoryStore::new(), |builder| {
        let day = Duration::from_secs(DAY);
        builder
            .token_type(visitor().max_lifetime(day).require_networks(true))
            .token_type(TokenType::new("old", ["files:read"]).expect("a type").retired(true))
            .token_type(
                TokenType::new("appliance", ["files:read"])
                    .expect("a type")
                    .default_lifetime(None)
                    .max_lifetime(None)
                    .allow_never(true),
            )
    })
    .await;
    let types = api.manage("GET", "/token-types", "").await.json();
    let limits = |name: &str| {
        let types = types["types"].as_array().unwrap();
        let one = types.iter().find(|one| one["name"] == name).unwrap();
        ["retired", "default_lifetime", "max_lifetime", "never_allowed", "networks_required"]
            .map(|member| one[member].clone())
    };
    let year = json!(366 * DAY);
    assert_eq!(
        limits("visitor"),
        [json!(false), json!(DAY), json!(DAY), json!(false), json!(true)]
    );
    assert_eq!(limits("old"), [json!(true), json!(90 * DAY), year, json!(false), json!(false)]);
    assert_eq!(
        limits("appliance"),
        [json!(false), Value::Null, Value::Null, json!(true), json!(false)]
    );
    let body = r#"{"type":"old","issued_to":"x"}"#;
    let rule = "is a retired type, so no new token of it is issued";
    let expected = (400, "invalid-field".into(), "type".into(), rule.into());
    assert_eq!(problem(&api.manage("POST", "/tokens", body).await), expected);
}

#[tokio::test]
async fn token_of_unknown_type_is_unusable() {
    let store = Arc::new(MemoryStore::new());
    let before = api_with(store.clone(), |builder| builder.token_type(visitor())).await;
    let (id, _) = before.issue("visitor").await;
    let (revoked, _) = before.issue("visitor").await;
    before.manage("POST", &format!("/tokens/{revoked}/revoke"), "").await;
    let usable = |token: &Value| (token["usable"].clone(), token["unusable_reason"].clone());
    let shown = before.manage("GET", &format!("/tokens/{id}"), "").await.json();
    assert_eq!(usable(&shown), (json!(true), Value::Null));

    let after = api_with(store, |builder| builder).await;
    let shown = after.manage("GET", &format!("/tokens/{id}"), "").await.json();
    assert_eq!(usable(&shown), (json!(false), json!("unknown_type")));
    assert_eq!(shown["state"], "active");
    let listed = after.manage("GET", "/tokens?type=visitor", "").await.json();
    assert_eq!(usable(&listed["tokens"][0]), (json!(false), json!("unknown_type")));
    // The state of a revoked token is the reason.
    let shown = after.manage("GET", &format!("/tokens/{revoked}"), "").await.json();
    assert_eq!((usable(&shown), &shown["state"]), ((json!(false), Value::Null), &json!("revoked")));

    let rotated = after.manage("POST", &format!("/tokens/{id}/rotate"), "").await;
    let rule = "is not a type of this service";
    let expected = (400, "invalid-field".into(), "type".into(), rule.into());
    assert_eq!(problem(&rotated), expected);
    let revoked = after.manage("POST", &format!("/tokens/{id}/revoke"), "").await;
    assert_eq!((revoked.status, usable(&revoked.json())), (200, (json!(false), Value::Null)));
}

#[tokio::test]
async fn expired_and_pending_tokens_are_unusable() {
    let api = api().await;
    let body = r#"{"type":"connector","issued_to":"x","not_before":"2026-01-01T00:01:00Z","expires_in":120}"#;
    let issued = api.manage("POST", "/tokens", body).await.json();
    let path = format!("/tokens/{}", issued["id"].as_str().unwrap());
    let mut seen = Vec::new();
    for step in [0, 60, 60] {
        api.clock.advance(Duration::from_secs(step));
        let shown = api.manage("GET", &path, "").await.json();
        assert_eq!(shown["unusable_reason"], Value::Null);
        seen.push((shown["state"].clone(), shown["usable"].clone()));
    }
    let expected = [("pending", false), ("active", true), ("expired", false)];
    assert_eq!(seen, expected.map(|(state, usable)| (json!(state), json!(usable))));
}

#[tokio::test]
async fn invalid_scope_is_named_by_its_index() {
    let api = api().await;
    for (scopes, index) in [
        (json!(["a", "b", "c d"]), json!(2)),
        (json!(["", "b", "c d"]), json!(0)),
        (json!(["a", 7]), json!(1)),
        (json!(["a", "b", null]), json!(2)),
        // A list that breaks a rule as a whole has no index.
        (json!((0..65).map(|n| format!("a:{n}")).collect::<Vec<_>>()), Value::Null),
        (json!([]), Value::Null),
        (json!("a"), Value::Null),
        (json!(["a", "service-tokens:issue"]), Value::Null),
    ] {
        let body = json!({ "type": "developer", "issued_to": "x", "scopes": scopes }).to_string();
        let answer = api.manage("POST", "/tokens", &body).await;
        assert_eq!((answer.status, &answer.json()["field"]), (400, &json!("scopes")), "{body}");
        assert_eq!(answer.json()["index"], index, "{body}");
    }
}
