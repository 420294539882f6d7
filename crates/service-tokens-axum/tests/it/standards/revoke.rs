//! Revocation (RFC 7009).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use service_tokens::clock::ManualClock;
use service_tokens::digest::KeyId;
use service_tokens::store::LastUsed;
use service_tokens::{
    IssueRequest, Issued, KeyRing, MemoryStore, OwnerStatus, Record, Refusal, Requirement,
    RevokeRequest, RotateRequest, State, SuspendRequest, TokenId, TokenService,
    TokenServiceBuilder, TokenStore, TokenType,
};
use service_tokens_axum::standards;

use crate::harness::{Answer, Call, Fault, FaultyStore, send, serve, service, token};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

fn builder<S: TokenStore>(store: S, clock: &Arc<ManualClock>) -> TokenServiceBuilder<S> {
    TokenService::builder(store, "acme_test")
        .token_type(TokenType::new("connector", ["files:upload"]).unwrap())
        .clock(clock.clone())
}

fn connector() -> IssueRequest {
    IssueRequest::new("connector", "backup")
}

async fn issue<S: TokenStore>(service: &TokenService<S>, request: IssueRequest) -> Issued {
    service.owner("acme").issue(request).await.unwrap()
}

async fn record<S: TokenStore>(service: &TokenService<S>, id: TokenId) -> Record {
    service.all_owners().get(id).await.unwrap().record
}

async fn revoke(address: SocketAddr, token: &str) -> Answer {
    send(address, "POST", "/revoke", &[FORM], &format!("token={token}")).await
}

/// 200 with an empty body and exactly these headers.
#[track_caller]
fn settled(answer: &Answer) {
    assert_eq!((answer.status, &*answer.body), (200, ""), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    assert_eq!(names, ["cache-control", "connection", "content-length", "date"]);
}

#[track_caller]
fn undecided(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["error"], "temporarily_unavailable");
}

#[tokio::test]
async fn revoke_example_of_rfc_7009_returns_200() {
    let (service, _) = service();
    let address = serve(standards::router(service)).await;
    // RFC 7009 §2.1. The client's credentials are not needed, and its token is malformed here.
    let headers = [FORM, "Authorization: Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"];
    let body = "token=45ghiukldjahdnhzdauz&token_type_hint=refresh_token";
    settled(&send(address, "POST", "/revoke", &headers, body).await);
}

#[tokio::test]
async fn revoke_by_holder_is_permanent() {
    let (service, clock) = service();
    let address = serve(standards::router(service.clone())).await;
    let issued = issue(&service, connector()).await;
    let (id, token) = (issued.record.id(), issued.token.expose_secret());
    let other = issue(&service, connector()).await;

    // Credentials in the header and tokens in the query are ignored.
    let foreign = format!("Authorization: Bearer {}", other.token.expose_secret());
    let path = format!("/revoke?token={}", other.token.expose_secret());
    let body = format!("token={token}&token_type_hint=access_token");
    settled(&send(address, "POST", &path, &[FORM, &foreign], &body).await);

    let refused = service.verify(token, &Requirement::any_token()).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::Revoked));
    let first = record(&service, id).await;
    assert!(first.revocation().is_some());
    assert_eq!(service.all_owners().get(id).await.unwrap().last_used, LastUsed::Never);
    assert!(service.verify(other.token.expose_secret(), &Requirement::any_token()).await.is_ok());

    clock.advance(Duration::from_secs(60));
    settled(&revoke(address, token).await);
    assert_eq!(record(&service, id).await, first);
}

#[tokio::test]
async fn revoke_by_either_secret_of_overlap_works() {
    let (service, _) = service();
    let address = serve(standards::router(service.clone())).await;
    for newer in [false, true] {
        let old = issue(&service, connector()).await;
        let id = old.record.id();
        let overlap = RotateRequest::until_first_use(Duration::from_secs(3600));
        let new = service.owner("acme").rotate(id, overlap).await.unwrap();
        let held = if newer { &new } else { &old };
        settled(&revoke(address, held.token.expose_secret()).await);
        for token in [&old.token, &new.token] {
            let refused = service.verify(token.expose_secret(), &Requirement::any_token()).await;
            assert_eq!(refused.unwrap_err().refusal(), Some(Refusal::Revoked));
        }
    }
}

#[tokio::test]
async fn revoke_invalid_token_returns_200_unchanged() {
    let clock = Arc::new(ManualClock::default());
    let service = Arc::new(builder(MemoryStore::new(), &clock).build().unwrap());
    let address = serve(standards::router(service.clone())).await;
    let active = issue(&service, connector()).await;
    let other = issue(&service, connector()).await;
    let middle = "acme_test_1".len() + 22;
    let mixed = |id: &str, secret: &str| format!("{}{}", &id[..middle], &secret[middle..]);
    let wrong = mixed(active.token.expose_secret(), other.token.expose_secret());
    // Well formed but wrong: another service issued the same id with another secret.
    let there = builder(MemoryStore::new(), &clock).build().unwrap();
    let same_id = issue(&there, connector().id(active.record.id())).await;
    let unknown = issue(&there, connector()).await;
    let rotated = issue(&service, connector()).await;
    let rotate = RotateRequest::at_once();
    let _new = service.owner("acme").rotate(rotated.record.id(), rotate).await.unwrap();
    let other_prefix = TokenService::builder(MemoryStore::new(), "globex")
        .token_type(TokenType::new("connector", ["x"]).unwrap())
        .clock(clock.clone())
        .build()
        .unwrap();
    let other_prefix = issue(&other_prefix, connector()).await;
    clock.advance(Duration::from_secs(60));

    let ids = [&active, &rotated].map(|issued| issued.record.id());
    let before = ids.map(async |id| record(&service, id).await);
    for token in [
        "x",
        &active.record.id().to_string(),
        &wrong,
        same_id.token.expose_secret(),
        unknown.token.expose_secret(),
        rotated.token.expose_secret(),
        other_prefix.token.expose_secret(),
    ] {
        settled(&revoke(address, token).await);
    }
    for (id, before) in ids.into_iter().zip(before) {
        let now = record(&service, id).await;
        assert_eq!(now, before.await);
        assert_eq!(now.revocation(), None);
    }
}

#[tokio::test]
async fn revoke_token_with_line_end_returns_400() {
    let (service, _) = service();
    let address = serve(standards::router(service.clone())).await;
    let token = token(&service, "acme", "connector").await;
    for end in ["%0A", "%0D%0A", "%00"] {
        let answer = revoke(address, &format!("{token}{end}")).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert_eq!(answer.json()["error"], "invalid_request");
    }
    service.verify(&token, &Requirement::any_token()).await.unwrap();
}

#[tokio::test]
async fn revoke_pending_or_unknown_type_works() {
    let clock = Arc::new(ManualClock::default());
    let store = Arc::new(MemoryStore::new());
    let service = Arc::new(builder(store.clone(), &clock).build().unwrap());
    let elsewhere =
        builder(store, &clock).token_type(TokenType::new("new", ["*"]).unwrap()).build().unwrap();
    let address = serve(standards::router(service.clone())).await;
    let later = service.now() + Duration::from_secs(3600);
    let pending = issue(&service, connector().not_before(later)).await;
    let unknown_type = issue(&elsewhere, IssueRequest::new("new", "x")).await;
    // A wrong secret does not revoke the token.
    let there = builder(MemoryStore::new(), &clock).build().unwrap();
    for held in [&pending, &unknown_type] {
        let id = held.record.id();
        let not_held = issue(&there, connector().id(id)).await;
        settled(&revoke(address, not_held.token.expose_secret()).await);
        assert_eq!(record(&service, id).await.revocation(), None);
        settled(&revoke(address, held.token.expose_secret()).await);
        assert_eq!(record(&service, id).await.state(service.now()), State::Revoked);
        settled(&revoke(address, held.token.expose_secret()).await);
    }
}

/// The right secret is enough, because a holder must always be able to end its own token.
#[tokio::test]
async fn revoke_of_unusable_token_works() {
    let clock = Arc::new(ManualClock::default());
    let gate = |owner: &str| match owner {
        "globex" => OwnerStatus::Closed,
        "initech" => OwnerStatus::Unknown,
        _ => OwnerStatus::Open,
    };
    let service = builder(MemoryStore::new(), &clock).owner_gate(gate).build().unwrap();
    let service = Arc::new(service);
    let address = serve(standards::router(service.clone())).await;
    let minute = Duration::from_secs(60);
    let expired = issue(&service, connector().expires_in(minute)).await;
    let suspended = issue(&service, connector()).await;
    let request = SuspendRequest::new();
    service.owner("acme").suspend(suspended.record.id(), request).await.unwrap();
    let placed = issue(&service, connector().networks(["192.0.2.0/24".parse().unwrap()])).await;
    let closed = service.owner("globex").issue(connector()).await.unwrap();
    let unknown = service.owner("initech").issue(connector()).await.unwrap();
    clock.advance(minute);
    for held in [&expired, &suspended, &placed, &closed, &unknown] {
        let token = held.token.expose_secret();
        assert!(service.verify(token, &Requirement::any_token()).await.is_err());
        settled(&revoke(address, token).await);
        assert!(record(&service, held.record.id()).await.revocation().is_some());
    }
}

#[tokio::test]
async fn revoke_under_unknown_key_returns_503() {
    let clock = Arc::new(ManualClock::default());
    let store = Arc::new(MemoryStore::new());
    let plain = Arc::new(builder(store.clone(), &clock).build().unwrap());
    let ring = KeyRing::new(KeyId(*b"2026"), &[7; 32]).unwrap();
    let keyed = Arc::new(builder(store, &clock).keys(ring).build().unwrap());
    let issued = issue(&keyed, connector()).await;
    let token = issued.token.expose_secret();

    undecided(&revoke(serve(standards::router(plain)).await, token).await);
    assert!(keyed.verify(token, &Requirement::any_token()).await.is_ok());
    settled(&revoke(serve(standards::router(keyed.clone())).await, token).await);
    assert!(keyed.verify(token, &Requirement::any_token()).await.is_err());
}

/// Returns the record as a newer program may write it: `alter` gets all bytes but the checksum.
async fn as_if_newer<S: TokenStore>(
    service: &TokenService<S>,
    id: TokenId,
    alter: impl FnOnce(&mut [u8]),
) -> Record {
    let mut bytes = record(service, id).await.to_bytes();
    let end = bytes.len() - 4;
    alter(&mut bytes[..end]);
    // CRC-32/ISO-HDLC.
    let crc = bytes[..end].iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    });
    bytes[end..].copy_from_slice(&(!crc).to_be_bytes());
    Record::from_bytes(&bytes).unwrap()
}

#[tokio::test]
async fn revoke_record_of_newer_format_returns_503() {
    let clock = Arc::new(ManualClock::default());
    let newer = builder(MemoryStore::new(), &clock).build().unwrap();
    let issued = issue(&newer, connector()).await;
    let (id, token) = (issued.record.id(), issued.token.expose_secret());
    let format = as_if_newer(&newer, id, |bytes| bytes[0] += 1).await;
    let scheme = as_if_newer(&newer, id, |bytes| {
        // The newest secret: its tag, its length, and the scheme of its digest.
        let at = bytes.windows(3).position(|three| three == [9, 45, 1]).unwrap();
        bytes[at + 2] = 77;
    })
    .await;
    for (record, refusal) in [(format, Refusal::NewerRecord), (scheme, Refusal::UnknownScheme(77))]
    {
        let store = MemoryStore::new();
        store.insert(&record).await.unwrap();
        let service = Arc::new(builder(store, &clock).build().unwrap());
        let refused = service.verify(token, &Requirement::any_token()).await.unwrap_err();
        assert_eq!(refused.refusal(), Some(refusal));
        let address = serve(standards::router(service.clone())).await;
        undecided(&revoke(address, token).await);
        assert_eq!(self::record(&service, id).await, record);
    }
}

#[tokio::test]
async fn revoke_by_secret_newer_than_cache_works() {
    let clock = Arc::new(ManualClock::default());
    let store = Arc::new(MemoryStore::new());
    let hour = Duration::from_secs(3600);
    let here = builder(FaultyStore::over(store.clone()), &clock).cache_records(hour, 100).build();
    let here = Arc::new(here.unwrap());
    let elsewhere = builder(store, &clock).build().unwrap();
    let address = serve(standards::router(here.clone())).await;
    let old = issue(&here, connector()).await;
    let id = old.record.id();
    here.verify(old.token.expose_secret(), &Requirement::any_token()).await.unwrap();
    // After this refusal the record is read again, and then not for a while.
    let there = builder(MemoryStore::new(), &clock).build().unwrap();
    let wrong = issue(&there, connector().id(id)).await;
    here.verify(wrong.token.expose_secret(), &Requirement::any_token()).await.unwrap_err();

    let new = elsewhere.owner("acme").rotate(id, RotateRequest::at_once()).await.unwrap();
    settled(&revoke(address, new.token.expose_secret()).await);
    assert_eq!(record(&elsewhere, id).await.state(here.now()), State::Revoked);
}

#[tokio::test]
async fn revoke_form_requires_exactly_one_token() {
    let (service, _) = service();
    let issued = issue(&service, connector()).await;
    let token = issued.token.expose_secret();
    let address = serve(standards::router(service.clone())).await;
    let long = format!("token={token}&pad={}", "x".repeat(16 * 1024));
    let json = "Content-Type: application/json";
    for (headers, body) in [
        (&[FORM][..], ""),
        (&[FORM], "token="),
        (&[FORM], &*format!("token={token}&token={token}")),
        (&[FORM], &format!("token={token}&x=%80")),
        (&[FORM], &long),
        (&[], &format!("token={token}")),
        (&[FORM, FORM], &format!("token={token}")),
        (&[FORM, "Content-Encoding: gzip"], &format!("token={token}")),
        (&[json], &format!("{{\"token\":\"{token}\"}}")),
    ] {
        let path = format!("/revoke?token={token}");
        let answer = send(address, "POST", &path, headers, body).await;
        assert_eq!(answer.status, 400, "{headers:?} {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.json()["error"], "invalid_request");
    }
    assert!(service.verify(token, &Requirement::any_token()).await.is_ok());
    let charset = format!("{FORM};charset=utf-8");
    settled(&send(address, "POST", "/revoke", &[&charset], &format!("token={token}")).await);
    assert!(service.verify(token, &Requirement::any_token()).await.is_err());
}

#[tokio::test]
async fn revoke_during_store_failure_returns_503() {
    let clock = Arc::new(ManualClock::default());
    let service = Arc::new(builder(FaultyStore::new(), &clock).build().unwrap());
    let address = serve(standards::router(service.clone())).await;
    let later = service.now() + Duration::from_secs(3600);
    for request in [connector(), connector().not_before(later)] {
        let issued = issue(&service, request).await;
        let (id, token) = (issued.record.id(), issued.token.expose_secret());
        service.store().fail(Call::Find, 0, Fault::Unavailable);
        undecided(&revoke(address, token).await);
        service.store().repair();
        for fault in [Fault::Unavailable, Fault::Lost, Fault::Conflict] {
            service.store().fail(Call::Replace, 0, fault);
            undecided(&revoke(address, token).await);
            service.store().repair();
        }
        // The revocation is done, and only the answer is lost.
        assert_eq!(record(&service, id).await.revocation(), None);
        service.store().fail(Call::Replace, 0, Fault::DoneAndLost);
        settled(&revoke(address, token).await);
        service.store().repair();
        assert_eq!(record(&service, id).await.state(service.now()), State::Revoked);
    }
}

#[tokio::test]
async fn revoke_concurrently_always_succeeds() {
    let clock = Arc::new(ManualClock::default());
    let service = Arc::new(builder(FaultyStore::new(), &clock).build().unwrap());
    let address = serve(standards::router(service.clone())).await;
    let issued = issue(&service, connector()).await;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let token = issued.token.expose_secret().to_owned();
        all.spawn(async move { revoke(address, &token).await });
    }
    for answer in all.join_all().await {
        settled(&answer);
    }
    assert!(service.store().calls(Call::Replace) > 1, "there was no conflict");
    let acme = service.owner("acme");
    assert!(acme.revoke(issued.record.id(), RevokeRequest::new()).await.unwrap().already_revoked);
}
