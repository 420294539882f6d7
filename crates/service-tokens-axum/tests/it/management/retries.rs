//! Repeated requests: with an Idempotency-Key there is never a second token.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use service_tokens::clock::ManualClock;
use service_tokens::{
    FileStore, IssueRequest, MemoryStore, Requirement, TokenId, TokenService, TokenStore,
};
use service_tokens_axum::management;

use crate::api::{Api, api, api_with, builder, call, issue, name, problem};
use crate::harness::{Answer, Call, Fault, FaultyStore, serve};

const BODY: &str = r#"{"type":"connector","issued_to":"once"}"#;

/// Returns a key as a client creates it, and the id that it becomes.
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

fn exists(answer: &Answer, id: &str) {
    assert_eq!((answer.status, &*name(answer)), (409, "exists"), "{answer:?}");
    assert_eq!(answer.json()["id"], *id);
    assert_eq!(answer.json().get("token"), None);
}

#[tokio::test]
async fn retry_with_same_key_names_first_token() {
    let api = api().await;
    let (key, id) = key(&api.service);
    let first = api.post_with("/tokens", BODY, &[&key]).await;
    assert_eq!((first.status, &first.json()["id"]), (201, &json!(id)));
    let (unused, _) = self::key(&api.service);
    // The same with another body, in upper case, and an hour later.
    api.clock.advance(Duration::from_secs(3_599));
    let upper = key.to_uppercase();
    for (body, key) in
        [(BODY, &key), (BODY, &upper), (r#"{"type":"developer","issued_to":"once"}"#, &key)]
    {
        exists(&api.post_with("/tokens", body, &[key]).await, &id);
    }
    assert_eq!(named(&api.service).await, 1);

    // Rotating gives a secret if the first answer was lost.
    let rotated = api.manage("POST", &format!("/tokens/{id}/rotate"), "").await;
    let token = rotated.json()["token"].as_str().unwrap().to_owned();
    api.service.verify(&token, &Requirement::scope("files:upload").unwrap()).await.unwrap();

    api.clock.advance(Duration::from_secs(2));
    exists(&api.post_with("/tokens", BODY, &[&key]).await, &id);
    let late = api.post_with("/tokens", BODY, &[&unused]).await;
    let rule = "must be a UUID with a time within an hour of now";
    assert_eq!(
        problem(&late),
        (400, "invalid-header".into(), "Idempotency-Key".into(), rule.into())
    );
    assert_eq!(named(&api.service).await, 1);
}

/// Each request is invalid by now, but a client understands 400 as "no token was issued".
#[tokio::test]
async fn retry_of_now_invalid_issue_names_first_token() {
    let api = api().await;
    let (_, globex) = issue(&api.service, "globex", "manager").await;
    // The token expires before the calling token.
    let short = IssueRequest::new("manager", "for a minute");
    let short =
        api.service.owner("acme").issue(short.expires_in(Duration::from_secs(60))).await.unwrap();
    let short = short.token.expose_secret().to_owned();
    let (key, id) = key(&api.service);
    let body = r#"{"type":"connector","issued_to":"once","expires_in":59}"#;
    let more: &[&str] = &[&key];
    let again = || call(api.address, &short, "POST", "/tokens", body, more);
    assert_eq!(again().await.status, 201);
    api.clock.advance(Duration::from_millis(1_500));
    exists(&again().await, &id);

    // The expiry was in the future at first.
    let (key, id) = self::key(&api.service);
    let end = api.service.now() + chrono::TimeDelta::seconds(2);
    let body = json!({"type": "connector", "issued_to": "once", "expires_at": end.to_rfc3339()})
        .to_string();
    assert_eq!(api.post_with("/tokens", &body, &[&key]).await.status, 201);
    api.clock.advance(Duration::from_millis(2_200));
    exists(&api.post_with("/tokens", &body, &[&key]).await, &id);

    // At first issuing was not paused, and the key was not an hour old.
    let (key, id) = self::key(&api.service);
    assert_eq!(api.post_with("/tokens", BODY, &[&key]).await.status, 201);
    api.service.pause_issuing("INC-42").await.unwrap();
    exists(&api.post_with("/tokens", BODY, &[&key]).await, &id);
    api.clock.advance(Duration::from_secs(3_660));
    exists(&api.post_with("/tokens", BODY, &[&key]).await, &id);
    let (unused, _) = self::key(&api.service);
    let stopped = api.post_with("/tokens", BODY, &[&unused]).await;
    assert_eq!((stopped.status, &*name(&stopped)), (503, "issuing-paused"));

    // The key of another owner is not a retry.
    let foreign = call(api.address, &globex, "POST", "/tokens", BODY, &[&key]).await;
    assert_eq!((foreign.status, &*name(&foreign)), (503, "issuing-paused"));
    assert_eq!(named(&api.service).await, 3);
}

#[tokio::test]
async fn retry_elsewhere_names_first_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let clock = Arc::new(ManualClock::default());
    let open = || Arc::new(builder(FileStore::open(&path).unwrap(), &clock).build().unwrap());

    let service = open();
    let (_, manager) = issue(&service, "acme", "manager").await;
    let (key, id) = key(&service);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let address = {
        let (router, _guard) = (management::router(Arc::clone(&service)), runtime.enter());
        runtime.spawn(serve(router)).await.unwrap()
    };
    let first = call(address, &manager, "POST", "/tokens", BODY, &[&key]).await;
    assert_eq!(first.status, 201);
    // The server stops and closes the file.
    runtime.shutdown_background();
    while Arc::strong_count(&service) > 1 {
        tokio::task::yield_now().await;
    }
    drop(service);

    let service = open();
    let address = serve(management::router(Arc::clone(&service))).await;
    let again = call(address, &manager, "POST", "/tokens", BODY, &[&key]).await;
    exists(&again, &id);
    assert_eq!(named(&service).await, 1);

    let store = Arc::new(MemoryStore::new());
    let one: Api<_> = api_with(Arc::clone(&store), |builder| builder).await;
    let two = Arc::new(builder(store, &one.clock).build().unwrap());
    let two = serve(management::router(two)).await;
    let (key, id) = self::key(&one.service);
    assert_eq!(one.post_with("/tokens", BODY, &[&key]).await.status, 201);
    exists(&call(two, &one.manager, "POST", "/tokens", BODY, &[&key]).await, &id);
    assert_eq!(named(&one.service).await, 1);
}

#[tokio::test]
async fn issue_concurrently_with_one_key_succeeds_once() {
    let api = api().await;
    let (key, id) = key(&api.service);
    let requests: Vec<_> = (0..20)
        .map(|_| {
            let (address, manager, key) = (api.address, api.manager.clone(), key.clone());
            tokio::spawn(
                async move { call(address, &manager, "POST", "/tokens", BODY, &[&key]).await },
            )
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
    assert_eq!((made, named(&api.service).await), (1, 1));
}

#[tokio::test]
async fn issue_with_lost_store_answer_names_id() {
    let api = api_with(FaultyStore::without_last_used(), |builder| builder).await;
    let (key, id) = key(&api.service);
    // The verification and the decision read. Then the insert is done, its answer is lost, and reads fail.
    api.service.store().fail(Call::Insert, 0, Fault::DoneAndLost);
    api.service.store().fail(Call::Find, 2, Fault::Unavailable);
    let lost = api.post_with("/tokens", BODY, &[&key]).await;
    assert_eq!((lost.status, &*name(&lost)), (503, "indeterminate"), "{lost:?}");
    assert_eq!(lost.json()["id"], *id);
    api.service.store().repair();
    exists(&api.post_with("/tokens", BODY, &[&key]).await, &id);
    assert_eq!(named(&api.service).await, 1);
}

#[tokio::test]
async fn issue_with_malformed_key_returns_400() {
    let api = api().await;
    let (key, _) = key(&api.service);
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
        &api.manager_id,
    ] {
        let answer = api.post_with("/tokens", BODY, &[&format!("Idempotency-Key: {wrong}")]).await;
        let rule = "must be a UUID of version 7".to_owned();
        assert_eq!(
            problem(&answer),
            (400, "invalid-header".into(), "Idempotency-Key".into(), rule),
            "{wrong}"
        );
    }
    let twice = api.post_with("/tokens", BODY, &[&key, &key]).await;
    assert_eq!(twice.json()["rule"], "must not be repeated");
    assert_eq!(named(&api.service).await, 0);
}

#[tokio::test]
async fn retry_unconfirmed_issue_advises_another_key() {
    let api = api_with(FaultyStore::new(), |builder| builder).await;
    let id = api.service.new_id().unwrap();
    let key = format!("Idempotency-Key: {}", id.to_uuid().hyphenated());
    let body = r#"{"type":"connector","issued_to":"once"}"#;

    // The calling token is read by the verification, by the decision, and after the insert.
    api.service.store().fail_once(Call::Find, 2, Fault::Unavailable);
    let first = api.post_with("/tokens", body, &[&key]).await;
    assert_eq!((first.status, &*name(&first)), (503, "unavailable"), "{first:?}");
    assert_eq!(first.json().get("token"), None);
    let made = api.service.owner("acme").get(id).await.unwrap();
    assert!(made.record.revocation().is_some());
    assert!(!first.body.contains("Nothing was changed"), "{first:?}");

    // The advice in the answer also works for this token.
    let second = api.post_with("/tokens", body, &[&key]).await;
    assert_eq!((second.status, &*name(&second)), (409, "exists"), "{second:?}");
    let detail = second.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("another key"), "{detail}");
}
