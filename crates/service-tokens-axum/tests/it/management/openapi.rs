//! The OpenAPI description. `.ci/openapi` checks the service against it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use service_tokens::{MemoryStore, Policy};

use crate::api::{api, api_with, checked, nested};
use crate::harness::send;

#[tokio::test]
async fn get_description_needs_no_token() {
    let api = api().await;
    let here = checked(send(api.address, "GET", "/openapi.json", &[], "").await);
    assert_eq!(here.status, 200);
    let address = nested(&api.service).await;
    let there = send(address, "GET", "/manage/v1/openapi.json", &[], "").await;
    assert_eq!(here.body, there.body);
    let description = here.json();
    assert_eq!(
        (&description["openapi"], &description["servers"][0]["url"]),
        (&"3.1.0".into(), &"./".into())
    );
    for own in ["acme", "connector's", "may upload"] {
        assert!(!here.body.contains(own));
    }
}

/// Returns each operation with its method and path.
fn operations(description: &Value) -> Vec<(&str, &str, &Map<String, Value>)> {
    description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().iter().map(move |(method, operation)| {
                (&**method, &**path, operation.as_object().unwrap())
            })
        })
        .collect()
}

#[tokio::test]
async fn describe_operations_matches_the_routes() {
    let api = api().await;
    let description = send(api.address, "GET", "/openapi.json", &[], "").await.json();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&description) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()));
        let sent = send(
            api.address,
            &method.to_uppercase(),
            &path.replace("{id}", &api.manager_id),
            &[],
            "",
        )
        .await;
        let open = path == "/openapi.json";
        assert_eq!(sent.status, if open { 200 } else { 401 }, "{method} {path}");
        assert_eq!(operation.contains_key("security"), !open);
        let responses = operation["responses"].as_object().unwrap();
        for (status, response) in responses {
            assert_eq!(response["headers"]["Cache-Control"]["required"], true);
            let problem = response["content"].get("application/problem+json").is_some();
            assert_eq!(problem, **status >= *"400", "{status}");
        }
        let every = ["400", "401", "403", "503"];
        assert!(open || every.iter().all(|status| responses.contains_key(*status)));
        assert_eq!(responses.contains_key("404"), path.contains("{id}"));
        assert_eq!(responses.contains_key("413"), method == "post");
    }
    assert_eq!(ids.len(), 10);
}

#[tokio::test]
async fn describe_bodies_has_closed_working_examples() {
    let api = api().await;
    let description = send(api.address, "GET", "/openapi.json", &[], "").await.json();
    let schemas = &description["components"]["schemas"];
    for (name, path) in [
        ("IssueBody", "/tokens"),
        ("RotateBody", "/tokens/self/rotate"),
        ("RevokeBody", "/tokens/self/revoke"),
    ] {
        assert_eq!(schemas[name]["additionalProperties"], false);
        let mut body = Map::new();
        for (field, schema) in schemas[name]["properties"].as_object().unwrap() {
            assert!(!schema["type"].is_array(), "{field} may not be null");
            if let Some(example) = schema.get("example") {
                body.insert(field.clone(), example.clone());
            }
        }
        let (_, token) = api.issue("manager").await;
        let answer = api.call(&token, "POST", path, &Value::from(body).to_string()).await;
        assert!(matches!(answer.status, 200 | 201), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn send_unknown_parameter_returns_described_400() {
    let api = api().await;
    let description = send(api.address, "GET", "/openapi.json", &[], "").await.json();
    for (method, path, operation) in operations(&description) {
        let path = format!("{}?x=1", path.replace("{id}", &api.manager_id));
        let sent = api.manage(&method.to_uppercase(), &path, "").await;
        assert_eq!(sent.status, 400, "{method} {path}");
        assert!(operation["responses"].get("400").is_some(), "{method} {path}");
    }
}

/// The description is the same for every policy, so its limits are the largest that a policy can set.
#[tokio::test]
async fn describe_texts_allows_longest_possible_text() {
    let api = api_with(MemoryStore::new(), |builder| {
        builder.policy(Policy::new().max_text_len(1_024).max_reason_len(1_024))
    })
    .await;
    let description = send(api.address, "GET", "/openapi.json", &[], "").await.json();
    for (body, field, path) in
        [("IssueBody", "issued_to", "/tokens"), ("RevokeBody", "reason", "/tokens/self/revoke")]
    {
        let most = &description["components"]["schemas"][body]["properties"][field]["maxLength"];
        let most = usize::try_from(most.as_u64().unwrap()).unwrap();
        for (length, fits) in [(most, true), (most + 1, false)] {
            let mut sent = json!({ field: "x".repeat(length) });
            if body == "IssueBody" {
                sent["type"] = "connector".into();
            }
            let (_, token) = api.issue("manager").await;
            let answer = api.call(&token, "POST", path, &sent.to_string()).await;
            assert_eq!(matches!(answer.status, 200 | 201), fits, "{field} of {length}: {answer:?}");
        }
    }
}
