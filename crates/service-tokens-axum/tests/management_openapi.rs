//! The description of the management API. That the service keeps to it is checked by `.ci/openapi`.

#![cfg(feature = "management")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use service_tokens::{MemoryStore, Policy};
use support::managed::{checked, nested, scene, scene_with};

#[tokio::test]
async fn it_needs_no_token_and_is_the_same_wherever_it_is_mounted() {
    let scene = scene().await;
    let here = checked(support::send(scene.address, "GET", "/openapi.json", &[], "").await);
    assert_eq!(here.status, 200);
    let address = nested(&scene.service).await;
    let there = support::send(address, "GET", "/manage/v1/openapi.json", &[], "").await;
    assert_eq!(here.body, there.body);
    let api = here.json();
    assert_eq!((&api["openapi"], &api["servers"][0]["url"]), (&"3.1.0".into(), &"./".into()));
    for own in ["acme", "connector's", "may upload"] {
        assert!(!here.body.contains(own));
    }
}

/// Each operation with its method and path.
fn operations(api: &Value) -> Vec<(&str, &str, &Map<String, Value>)> {
    api["paths"]
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
async fn every_operation_is_there_and_says_what_it_needs() {
    let scene = scene().await;
    let api = support::send(scene.address, "GET", "/openapi.json", &[], "").await.json();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&api) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()));
        let sent = support::send(
            scene.address,
            &method.to_uppercase(),
            &path.replace("{id}", &scene.manager_id),
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
async fn requests_are_closed_and_their_examples_work() {
    let scene = scene().await;
    let api = support::send(scene.address, "GET", "/openapi.json", &[], "").await.json();
    let schemas = &api["components"]["schemas"];
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
        let (_, token) = scene.issue("manager").await;
        let answer = scene.ask(&token, "POST", path, &Value::from(body).to_string()).await;
        assert!(matches!(answer.status, 200 | 201), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn a_parameter_that_nobody_knows_is_a_described_400() {
    let scene = scene().await;
    let api = support::send(scene.address, "GET", "/openapi.json", &[], "").await.json();
    for (method, path, operation) in operations(&api) {
        let path = format!("{}?x=1", path.replace("{id}", &scene.manager_id));
        let sent = scene.manage(&method.to_uppercase(), &path, "").await;
        assert_eq!(sent.status, 400, "{method} {path}");
        assert!(operation["responses"].get("400").is_some(), "{method} {path}");
    }
}

/// The description is the same for every policy, so it allows what any policy may allow, and no more.
#[tokio::test]
async fn texts_are_described_as_long_as_a_policy_can_allow() {
    let scene = scene_with(MemoryStore::new(), |builder| {
        builder.policy(Policy::new().max_text_len(usize::MAX).max_reason_len(usize::MAX))
    })
    .await;
    let api = support::send(scene.address, "GET", "/openapi.json", &[], "").await.json();
    for (body, field, path) in
        [("IssueBody", "issued_to", "/tokens"), ("RevokeBody", "reason", "/tokens/self/revoke")]
    {
        let most = &api["components"]["schemas"][body]["properties"][field]["maxLength"];
        let most = usize::try_from(most.as_u64().unwrap()).unwrap();
        for (length, fits) in [(most, true), (most + 1, false)] {
            let mut sent = json!({ field: "x".repeat(length) });
            if body == "IssueBody" {
                sent["type"] = "connector".into();
            }
            let (_, token) = scene.issue("manager").await;
            let answer = scene.ask(&token, "POST", path, &sent.to_string()).await;
            assert_eq!(matches!(answer.status, 200 | 201), fits, "{field} of {length}: {answer:?}");
        }
    }
}
