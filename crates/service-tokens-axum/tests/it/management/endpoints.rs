//! The successful answers of each endpoint.

use std::time::Duration;

use serde_json::{Value, json};
use service_tokens::Requirement;

use crate::api::{api, nested};
use crate::harness::send;

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn manage_token_from_issue_to_revocation_works() {
    let api = api().await;
    let body = json!({
        "type": "connector",
        "issued_to": "nightly backup",
        "expires_in": 3600,
        "metadata": { "ticket": "OPS-1" },
    });
    let issued = api.manage("POST", "/tokens", &body.to_string()).await;
    assert_eq!(issued.status, 201, "{issued:?}");
    assert_eq!(issued.header("content-type"), Some("application/json"));
    let token = issued.json();
    let id = text(&token["id"]).to_owned();
    assert_eq!(issued.header("location"), Some(&*format!("tokens/{id}")));
    let manager_id = &api.manager_id;
    let expected = json!({
        "id": id,
        "owner": "acme",
        "type": "connector",
        "issued_to": "nightly backup",
        "scopes": ["files:upload"],
        "state": "active",
        "created_at": "2026-01-01T00:00:00Z",
        "not_before": null,
        "expires_at": "2026-01-01T01:00:00Z",
        "secret_created_at": "2026-01-01T00:00:00Z",
        "issued_by": manager_id,
        "issuers": [manager_id],
        "metadata": { "ticket": "OPS-1" },
        "overlap": null,
        "revocation": null,
    });
    let mut shown = token.clone();
    let secret = shown.as_object_mut().unwrap().remove("token").unwrap();
    assert_eq!(shown, expected);
    api.service.verify(text(&secret), &Requirement::scope("files:upload").unwrap()).await.unwrap();

    api.clock.advance(Duration::from_micros(1_500));
    let one = api.manage("GET", &format!("/tokens/{id}"), "").await;
    assert_eq!(one.status, 200, "{one:?}");
    assert_eq!(one.json()["last_used_at"], "2026-01-01T00:00:00Z");

    let list = api.manage("GET", "/tokens?type=connector", "").await;
    assert_eq!(list.status, 200, "{list:?}");
    assert_eq!(list.json(), json!({ "tokens": [one.json()], "next": null }));

    let path = format!("/tokens/{id}/rotate");
    let body = json!({ "overlap_for": 60, "overlap_ends_on_first_use": true });
    let rotated = api.manage("POST", &path, &body.to_string()).await;
    assert_eq!(rotated.status, 200, "{rotated:?}");
    let rotated = rotated.json();
    assert_ne!(rotated["token"], secret);
    assert_eq!(rotated["secret_created_at"], "2026-01-01T00:00:00.001500Z");
    let overlap = json!({
        "ends_at": "2026-01-01T00:01:00.001500Z",
        "ends_on_first_use": true,
        "older_secret_created_at": "2026-01-01T00:00:00Z",
    });
    assert_eq!(rotated["overlap"], overlap);

    let path = format!("/tokens/{id}/revoke");
    let body = json!({ "reason": "no longer needed" }).to_string();
    let revoked = api.manage("POST", &path, &body).await;
    assert_eq!(revoked.status, 200, "{revoked:?}");
    let revoked = revoked.json();
    let revocation = json!({
        "at": "2026-01-01T00:00:00.001500Z",
        "by": manager_id,
        "reason": "no longer needed",
    });
    assert_eq!(revoked["revocation"], revocation);
    assert_eq!(
        (&revoked["state"], &revoked["already_revoked"]),
        (&json!("revoked"), &json!(false))
    );
    let again = api.manage("POST", &path, "").await.json();
    assert_eq!(again["already_revoked"], true);
    assert_eq!(again["revocation"], revocation);
}

#[tokio::test]
async fn call_self_endpoints_acts_on_calling_token() {
    let api = api().await;
    let (_, connector) = api.issue("connector").await;
    let shown = api.call(&connector, "GET", "/tokens/self", "").await;
    assert_eq!((shown.status, &shown.json()["type"]), (200, &json!("connector")));
    let refused = api.call(&connector, "POST", "/tokens/self/rotate", "").await;
    assert_eq!(
        (refused.status, &refused.json()["scope"]),
        (403, &json!("service-tokens:rotate-self"))
    );
    let revoked = api.call(&connector, "POST", "/tokens/self/revoke", "").await;
    assert_eq!((revoked.status, &revoked.json()["already_revoked"]), (200, &json!(false)));
    assert_eq!(api.call(&connector, "GET", "/tokens/self", "").await.status, 401);

    let rotated = api.manage("POST", "/tokens/self/rotate", "").await;
    assert_eq!(rotated.status, 200);
    assert_eq!(api.manage("GET", "/tokens/self", "").await.status, 401);
    let rotated = rotated.json();
    assert_eq!(api.call(text(&rotated["token"]), "GET", "/tokens/self", "").await.status, 200);
}

#[tokio::test]
async fn get_token_types_returns_types_and_policy() {
    let api = api().await;
    let types = api.manage("GET", "/token-types", "").await;
    assert_eq!(types.status, 200, "{types:?}");
    let types = types.json();
    assert_eq!(
        types["types"][0],
        json!({ "name": "connector", "description": "", "scopes": ["files:upload"], "issuable": true })
    );
    let policy = json!({
        "default_lifetime": 90 * 86_400,
        "max_lifetime": 366 * 86_400,
        "never_allowed": false,
        "outliving_issuer_allowed": false,
        "max_overlap": 30 * 86_400,
    });
    assert_eq!((&types["policy"], &types["issuing_paused"]), (&policy, &Value::Null));

    let (_, reader) = api.issue("read").await;
    let types = api.call(&reader, "GET", "/token-types", "").await.json();
    let issuable = types["types"].as_array().unwrap().iter().filter(|one| one["issuable"] == true);
    assert_eq!(issuable.map(|one| &one["name"]).collect::<Vec<_>>(), ["read"]);
}

#[tokio::test]
async fn issue_below_prefix_returns_relative_location() {
    let api = api().await;
    let address = nested(&api.service).await;
    let bearer = format!("Authorization: Bearer {}", api.manager);
    let headers = [&*bearer, "Content-Type: application/json"];
    let body = r#"{"type":"connector","issued_to":"nested"}"#;
    let issued = send(address, "POST", "/manage/v1/tokens", &headers, body).await;
    assert_eq!(issued.status, 201);
    // RFC 3986 §5.2.3: relative to the path up to its last slash.
    let path = format!("/manage/v1/{}", issued.header("location").unwrap());
    let shown = send(address, "GET", &path, &[&bearer], "").await;
    assert_eq!((shown.status, &shown.json()["issued_to"]), (200, &json!("nested")));
}

#[tokio::test]
async fn issue_with_optional_fields_stores_them() {
    let api = api().await;
    let body = json!({
        "type": "developer",
        "issued_to": "\u{0}<img onerror=alert(1)> \u{1F980}",
        "scopes": ["files:*", "builds:read"],
        "expires_at": "2026-02-01T01:00:00.25+01:00",
        "not_before": "2026-01-01t00:00:05z",
        "metadata": { "a": "1", "b": "" },
    });
    let token = api.manage("POST", "/tokens", &body.to_string()).await;
    assert_eq!(token.status, 201, "{token:?}");
    let token = token.json();
    assert_eq!(token["scopes"], json!(["builds:read", "files:*"]));
    assert_eq!(token["expires_at"], "2026-02-01T00:00:00.250Z");
    assert_eq!(
        (&token["not_before"], &token["state"]),
        (&json!("2026-01-01T00:00:05Z"), &json!("pending"))
    );
    assert_eq!((&token["metadata"], &token["issued_to"]), (&body["metadata"], &body["issued_to"]));
}
