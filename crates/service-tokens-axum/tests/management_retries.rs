//! Requests that are repeated: with an Idempotency-Key there is never a second token.

#![cfg(feature = "management")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use service_tokens::clock::ManualClock;
use service_tokens::{
    FileStore, IssueRequest, MemoryStore, Requirement, TokenId, TokenService, TokenStore,
};
use service_tokens_axum::management;
use support::managed::{self, Op, Scene, Sick, builder, name, problem, scene, scene_with};

const BODY: &str = r#"{"type":"connector","issued_to":"once"}"#;

/// A key as a client makes it, and the id that it becomes.
fn key<S: TokenStore>(service: &TokenService<S>) -> (String, String) {
    let id: TokenId = service.new_id().unwrap();
    (format!("Idempotency-Key: {}", id.to_uuid().hyphenated()), id.to_string())
}

async fn named<S: TokenStore>(service: &TokenService<S>) -> usize {
    let query = service_tokens::ListRequest::from(
        service_tokens::Filter::new().issued_to("once").states(service_tokens::store::States::ALL),
    );
    service.all_owners().list(query).await.unwrap().items.len()
}

fn exists(answer: &support::Answer, id: &str) {
    assert_eq!((answer.status, &*name(answer)), (409, "exists"), "{answer:?}");
    assert_eq!(answer.json()["id"], *id);
    assert_eq!(answer.json().get("token"), None);
}

#[tokio::test]
async fn the_key_is_the_id_and_a_retry_names_it() {
    let scene = scene().await;
    let (key, id) = key(&scene.service);
    let first = scene.with("/tokens", BODY, &[&key]).await;
    assert_eq!((first.status, &first.json()["id"]), (201, &json!(id)));
    let (unused, _) = self::key(&scene.service);
    // Also with another body, in upper case, and an hour later.
    scene.clock.advance(Duration::from_secs(3_599));
    let upper = key.to_uppercase();
    for (body, key) in
        [(BODY, &key), (BODY, &upper), (r#"{"type":"developer","issued_to":"once"}"#, &key)]
    {
        exists(&scene.with("/tokens", body, &[key]).await, &id);
    }
    assert_eq!(named(&scene.service).await, 1);

    // The way to a secret when the first answer was lost.
    let rotated = scene.manage("POST", &format!("/tokens/{id}/rotate"), "").await;
    let token = rotated.json()["token"].as_str().unwrap().to_owned();
    scene.service.verify(&token, &Requirement::scope("files:upload").unwrap()).await.unwrap();

    scene.clock.advance(Duration::from_secs(2));
    exists(&scene.with("/tokens", BODY, &[&key]).await, &id);
    let late = scene.with("/tokens", BODY, &[&unused]).await;
    let rule = "is a UUID whose time is not within an hour of now";
    assert_eq!(
        problem(&late),
        (400, "invalid-header".into(), "Idempotency-Key".into(), rule.into())
    );
    assert_eq!(named(&scene.service).await, 1);
}

/// By now each would be refused, and a client takes 400 for "nothing was made".
#[tokio::test]
async fn a_retry_that_would_be_refused_by_now_names_the_token() {
    let scene = scene().await;
    let (_, globex) = managed::issue(&scene.service, "globex", "manager").await;
    // Its end was before the acting token's.
    let short = IssueRequest::new("manager", "for a minute");
    let short =
        scene.service.owner("acme").issue(short.expires_in(Duration::from_secs(60))).await.unwrap();
    let short = short.token.expose_secret().to_owned();
    let (key, id) = key(&scene.service);
    let body = r#"{"type":"connector","issued_to":"once","expires_in":59}"#;
    let more: &[&str] = &[&key];
    let again = || managed::ask(scene.address, &short, "POST", "/tokens", body, more);
    assert_eq!(again().await.status, 201);
    scene.clock.advance(Duration::from_millis(1_500));
    exists(&again().await, &id);

    // Its end was ahead.
    let (key, id) = self::key(&scene.service);
    let end = scene.service.now() + chrono::TimeDelta::seconds(2);
    let body = json!({"type": "connector", "issued_to": "once", "expires_at": end.to_rfc3339()})
        .to_string();
    assert_eq!(scene.with("/tokens", &body, &[&key]).await.status, 201);
    scene.clock.advance(Duration::from_millis(2_200));
    exists(&scene.with("/tokens", &body, &[&key]).await, &id);

    // Issuing went on, and the hour had not passed.
    let (key, id) = self::key(&scene.service);
    assert_eq!(scene.with("/tokens", BODY, &[&key]).await.status, 201);
    scene.service.pause_issuing("INC-42").await.unwrap();
    exists(&scene.with("/tokens", BODY, &[&key]).await, &id);
    scene.clock.advance(Duration::from_secs(3_660));
    exists(&scene.with("/tokens", BODY, &[&key]).await, &id);
    let (unused, _) = self::key(&scene.service);
    let stopped = scene.with("/tokens", BODY, &[&unused]).await;
    assert_eq!((stopped.status, &*name(&stopped)), (503, "issuing-paused"));

    // Another owner's is none.
    let foreign = managed::ask(scene.address, &globex, "POST", "/tokens", BODY, &[&key]).await;
    assert_eq!((foreign.status, &*name(&foreign)), (503, "issuing-paused"));
    assert_eq!(named(&scene.service).await, 3);
}

#[tokio::test]
async fn a_retry_on_another_node_and_after_a_restart_finds_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let clock = Arc::new(ManualClock::default());
    let open = || Arc::new(builder(FileStore::open(&path).unwrap(), &clock).build().unwrap());

    let service = open();
    let (_, manager) = managed::issue(&service, "acme", "manager").await;
    let (key, id) = key(&service);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let address = {
        let (api, _guard) = (management::router(Arc::clone(&service)), runtime.enter());
        runtime.spawn(support::serve(api)).await.unwrap()
    };
    let first = managed::ask(address, &manager, "POST", "/tokens", BODY, &[&key]).await;
    assert_eq!(first.status, 201);
    // The server ends, and the file is let go.
    runtime.shutdown_background();
    while Arc::strong_count(&service) > 1 {
        tokio::task::yield_now().await;
    }
    drop(service);

    let service = open();
    let address = support::serve(management::router(Arc::clone(&service))).await;
    let again = managed::ask(address, &manager, "POST", "/tokens", BODY, &[&key]).await;
    exists(&again, &id);
    assert_eq!(named(&service).await, 1);

    let store = Arc::new(MemoryStore::new());
    let one: Scene<_> = scene_with(Arc::clone(&store), |builder| builder).await;
    let two = Arc::new(builder(store, &one.clock).build().unwrap());
    let two = support::serve(management::router(two)).await;
    let (key, id) = self::key(&one.service);
    assert_eq!(one.with("/tokens", BODY, &[&key]).await.status, 201);
    exists(&managed::ask(two, &one.manager, "POST", "/tokens", BODY, &[&key]).await, &id);
    assert_eq!(named(&one.service).await, 1);
}

#[tokio::test]
async fn of_many_at_once_one_succeeds() {
    let scene = scene().await;
    let (key, id) = key(&scene.service);
    let requests: Vec<_> = (0..20)
        .map(|_| {
            let (address, manager, key) = (scene.address, scene.manager.clone(), key.clone());
            tokio::spawn(async move {
                managed::ask(address, &manager, "POST", "/tokens", BODY, &[&key]).await
            })
        })
        .collect();
    let mut made = 0;
    for request in requests {
        let answer = request.await.unwrap();
        if answer.status == 201 {
            made += 1;
        } else {
            exists(&answer, &id);
        }
    }
    assert_eq!((made, named(&scene.service).await), (1, 1));
}

#[tokio::test]
async fn a_lost_answer_of_the_store_leaves_one_token_and_says_which() {
    let scene = scene_with(Arc::new(Sick::default()), |builder| builder).await;
    let (key, id) = key(&scene.service);
    // Verifying and deciding read twice; then the insert is done, its answer lost, and so is all else.
    scene.service.store().lost(Op::Insert, 0);
    scene.service.store().unavailable(Op::Find, 2);
    let lost = scene.with("/tokens", BODY, &[&key]).await;
    assert_eq!((lost.status, &*name(&lost)), (503, "indeterminate"), "{lost:?}");
    assert_eq!(lost.json()["id"], *id);
    scene.service.store().mend();
    exists(&scene.with("/tokens", BODY, &[&key]).await, &id);
    assert_eq!(named(&scene.service).await, 1);
}

#[tokio::test]
async fn what_is_no_version_7_uuid_is_no_key() {
    let scene = scene().await;
    let (key, _) = key(&scene.service);
    let uuid = key.trim_start_matches("Idempotency-Key: ");
    let of_version_4 = format!("{}4{}", &uuid[..14], &uuid[15..]);
    let of_variant_0 = format!("{}0{}", &uuid[..19], &uuid[20..]);
    for wrong in [
        "",
        "x",
        "1",
        &of_version_4,
        &of_variant_0,
        &uuid.replace('-', ""),
        &format!("{{{uuid}}}"),
        &format!("urn:uuid:{uuid}"),
        &format!("\"{uuid}\""),
        &format!("{uuid} {uuid}"),
        &uuid.replace('-', "0"),
        "00000000-0000-0000-0000-000000000000",
        "\u{e9}\u{e9}",
        &scene.manager_id,
    ] {
        let answer = scene.with("/tokens", BODY, &[&format!("Idempotency-Key: {wrong}")]).await;
        let rule = "must be a UUID of version 7".to_owned();
        assert_eq!(
            problem(&answer),
            (400, "invalid-header".into(), "Idempotency-Key".into(), rule),
            "{wrong}"
        );
    }
    let twice = scene.with("/tokens", BODY, &[&key, &key]).await;
    assert_eq!(twice.json()["rule"], "must not be repeated");
    assert_eq!(named(&scene.service).await, 0);
}
