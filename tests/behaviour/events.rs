//! Every operation and every refusal is exactly one event.

use std::sync::Arc;
use std::time::Duration;

use super::harness::{
    Collected, Fault, Faulty, HOUR, Harness, Remote, Stores, any, builder, collect_tracing,
    requirement, text,
};
use chrono::{DateTime, TimeDelta, Utc};
use futures_lite::future::{block_on, poll_once};
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::digest::KeyId;
use service_tokens::event::Operation;
use service_tokens::store::States;
use service_tokens::token::MalformedToken;
use service_tokens::{
    Event, Filter, IssueRequest, Issued, KeyRing, ListRequest, ManageError, MemoryStore, Refusal,
    RevokeRequest, RotateRequest, TokenId, TokenType,
};
use tracing::Level;

/// The text that `Debug` prints for an event with exactly these fields.
macro_rules! event {
    ($variant:ident { $($field:ident $(: $value:expr)?),* $(,)? }) => {{
        let fields = [$(format!("{}: {:?}", stringify!($field), event!(@ $field $($value)?))),*];
        format!("{} {{ {} }}", stringify!($variant), fields.join(", "))
    }};
    (@ $field:ident) => { $field };
    (@ $field:ident $value:expr) => { $value };
}

/// The text of an error with the texts of its causes.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        if !text.contains(&source.to_string()) {
            text = format!("{text}: {source}");
        }
        next = source.source();
    }
    text
}

fn printed(event: Event) -> String {
    format!("{event:?}")
}

behaviours! {
    successful_operation_is_one_event,
    failed_operation_is_one_event,
    refusal_is_one_event,
    accepted_verify_is_not_an_event,
    refusal_over_cached_record_is_one_event,
    dropped_operation_is_one_event,
    default_sink_writes_one_tracing_event,
}

fn request() -> IssueRequest {
    IssueRequest::new("connector", "backup").issued_by("alice")
}

impl Harness<Arc<Faulty>> {
    /// Returns the only event since the last call.
    #[track_caller]
    fn one_event(&self) -> Event {
        let events = self.events();
        let [event] = &events[..] else { panic!("not one event: {events:?}") };
        event.clone()
    }

    async fn issue_by_alice(&self) -> Issued {
        let issued = self.issue(request()).await;
        let _ = self.one_event();
        issued
    }
}

pub(crate) async fn successful_operation_is_one_event(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let issued = harness.service.owner("acme").issue(request()).await.unwrap();
    let id = issued.record.id();
    let (owner, by) = ("acme".to_owned(), Some("alice".to_owned()));
    let (token_type, issued_to) = ("connector".to_owned(), "backup".to_owned());
    let no_caller = None::<TokenId>;
    let expected = event!(Issued {
        id,
        owner: owner.clone(),
        token_type,
        issued_to,
        by,
        on_behalf_of: no_caller
    });
    assert_eq!(printed(harness.one_event()), expected);

    let view = harness.service.owner("acme");
    let _ = view.get(id).await.unwrap();
    assert_eq!(printed(harness.one_event()), event!(Read { id, on_behalf_of: no_caller }));
    let _ = view.list(ListRequest::new()).await.unwrap();
    assert_eq!(
        printed(harness.one_event()),
        event!(Listed { owner: Some(owner.clone()), records: 1, on_behalf_of: no_caller })
    );
    let _ = view.list(ListRequest::from(Filter::new().owner("globex"))).await.unwrap();
    assert_eq!(
        printed(harness.one_event()),
        event!(Listed { owner: Some(owner.clone()), records: 0, on_behalf_of: no_caller })
    );
    let _ = harness.service.all_owners().list(ListRequest::new()).await.unwrap();
    assert_eq!(
        printed(harness.one_event()),
        event!(Listed { owner: None::<String>, records: 1, on_behalf_of: no_caller })
    );

    let _ = view.rotate(id, RotateRequest::with_overlap(HOUR)).await.unwrap();
    let ends = Some(harness.clock.now() + TimeDelta::hours(1));
    assert_eq!(
        printed(harness.one_event()),
        event!(Rotated {
            id,
            owner: owner.clone(),
            by: None::<String>,
            older_ends_at: ends,
            older_ends_on_first_use: false,
            on_behalf_of: no_caller
        })
    );
    harness.clock.advance(HOUR);
    let _ = view.rotate(id, RotateRequest::at_once()).await.unwrap();
    assert_eq!(
        printed(harness.one_event()),
        event!(Rotated {
            id,
            owner: owner.clone(),
            by: None::<String>,
            older_ends_at: None::<DateTime<Utc>>,
            older_ends_on_first_use: false,
            on_behalf_of: no_caller
        })
    );

    let words = RevokeRequest::new().by("bob").reason("left");
    let _ = view.revoke(id, words.clone()).await.unwrap();
    let (by, reason) = (Some("bob".to_owned()), Some("left".to_owned()));
    assert_eq!(
        printed(harness.one_event()),
        event!(Revoked { id, owner: owner.clone(), by, reason, on_behalf_of: no_caller })
    );
    let _ = view.revoke(id, words).await.unwrap();
    assert_eq!(
        printed(harness.one_event()),
        event!(AlreadyRevoked { id, owner, on_behalf_of: no_caller })
    );
}

pub(crate) async fn failed_operation_is_one_event(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let id = harness.issue_by_alice().await.record.id();
    let (view, foreign) = (harness.service.owner("acme"), harness.service.owner("globex"));
    let failed = |operation: Operation, id: Option<TokenId>, error: ManageError| {
        assert_eq!(
            printed(harness.one_event()),
            event!(Failed {
                operation,
                id,
                on_behalf_of: None::<TokenId>,
                cause: with_sources(&error)
            })
        );
    };
    let blank = IssueRequest::new("connector", "b");
    failed(Operation::Issue, None, harness.service.owner("").issue(blank).await.unwrap_err());
    let taken = request().id(id);
    failed(
        Operation::Issue,
        Some(id),
        harness.service.owner("acme").issue(taken).await.unwrap_err(),
    );
    failed(Operation::Get, Some(id), foreign.get(id).await.unwrap_err());
    failed(Operation::List, None, view.list(ListRequest::new().limit(0)).await.unwrap_err());
    let rotation = RotateRequest::at_once();
    failed(Operation::Rotate, Some(id), foreign.rotate(id, rotation.clone()).await.unwrap_err());
    failed(
        Operation::Revoke,
        Some(id),
        foreign.revoke(id, RevokeRequest::new()).await.unwrap_err(),
    );

    harness.faulty().arm(&[], Fault::Unavailable);
    failed(
        Operation::Issue,
        None,
        harness.service.owner("acme").issue(request()).await.unwrap_err(),
    );
    failed(Operation::Get, Some(id), view.get(id).await.unwrap_err());
    failed(Operation::List, None, view.list(ListRequest::new()).await.unwrap_err());
    failed(Operation::Rotate, Some(id), view.rotate(id, rotation.clone()).await.unwrap_err());
    failed(Operation::Revoke, Some(id), view.revoke(id, RevokeRequest::new()).await.unwrap_err());
    harness.faulty().arm(&[Fault::None, Fault::LostBefore], Fault::Unavailable);
    let open_question = view.revoke(id, RevokeRequest::new()).await.unwrap_err();
    assert!(matches!(open_question, ManageError::Indeterminate { .. }));
    failed(Operation::Revoke, Some(id), open_question);
    // The event names the token that may exist, also when the service chose its id.
    harness.faulty().arm(&[Fault::DoneAndLost], Fault::Unavailable);
    let open_question = harness.service.owner("acme").issue(request()).await.unwrap_err();
    let ManageError::Indeterminate { id, .. } = open_question else { panic!("{open_question}") };
    failed(Operation::Issue, Some(id), open_question);
}

pub(crate) async fn refusal_is_one_event(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let refused = |token: String| {
        let harness = &harness;
        async move {
            assert!(harness.service.verify(&token, &any()).await.is_err());
            let plain = harness.one_event();
            assert!(harness.service.verify_uncached(&token, &any()).await.is_err());
            assert_eq!(harness.one_event(), plain);
            plain
        }
    };
    let event = refused("nonsense".into()).await;
    let reason = Refusal::Malformed(MalformedToken::NoPrefix);
    assert_eq!(
        printed(event),
        event!(Refused { id: None::<TokenId>, owner: None::<String>, reason })
    );

    // The owner is in the event only if the secret was right.
    let owner = Some("acme".to_owned());
    let issued = harness.issue_by_alice().await;
    let id = Some(issued.record.id());
    let unknown = builder(MemoryStore::new()).build().unwrap();
    let unknown = unknown.owner("acme").issue(request()).await.unwrap();
    let reason = Refusal::UnknownId;
    let expected = event!(Refused { id: Some(unknown.record.id()), owner: None::<String>, reason });
    assert_eq!(printed(refused(text(&unknown)).await), expected);

    // The same id with another secret.
    let other = builder(MemoryStore::new()).clock(harness.clock.clone()).build().unwrap();
    let other = other.owner("acme").issue(request().id(issued.record.id())).await.unwrap();
    let expected = event!(Refused { id, owner: None::<String>, reason: Refusal::WrongSecret });
    assert_eq!(printed(refused(text(&other)).await), expected);

    let missing = requirement("files:delete");
    assert!(harness.service.verify(&text(&issued), &missing).await.is_err());
    let scope = "files:delete".to_owned();
    assert_eq!(
        printed(harness.one_event()),
        event!(MissingScope { id: issued.record.id(), owner: owner.clone(), requirement: scope })
    );

    let pending = request().not_before(harness.clock.now() + TimeDelta::hours(1));
    let pending = harness.service.owner("acme").issue(pending).await.unwrap();
    let _ = harness.one_event();
    let expected = event!(Refused {
        id: Some(pending.record.id()),
        owner: owner.clone(),
        reason: Refusal::NotYetActive
    });
    assert_eq!(printed(refused(text(&pending)).await), expected);

    let brief = harness.service.owner("acme").issue(request().expires_in(HOUR)).await.unwrap();
    let _ = harness.one_event();
    harness.clock.advance(HOUR);
    let expected = event!(Refused {
        id: Some(brief.record.id()),
        owner: owner.clone(),
        reason: Refusal::Expired
    });
    assert_eq!(printed(refused(text(&brief)).await), expected);

    let view = harness.service.all_owners();
    let rotated = view.rotate(issued.record.id(), RotateRequest::at_once()).await.unwrap();
    let _ = harness.one_event();
    let expected = event!(EndedSecretPresented { id: issued.record.id(), owner: owner.clone() });
    assert_eq!(printed(refused(text(&issued)).await), expected);

    view.revoke(issued.record.id(), RevokeRequest::new()).await.unwrap();
    let _ = harness.one_event();
    let expected = event!(Refused { id, owner: owner.clone(), reason: Refusal::Revoked });
    assert_eq!(printed(refused(text(&rotated)).await), expected);

    harness.faulty().arm(&[], Fault::Unavailable);
    let event = refused(text(&rotated)).await;
    assert!(matches!(event, Event::StoreFailed { id: of, .. } if of == id), "{event:?}");
    harness.faulty().disarm();

    // Reasons that depend on the configuration of a service: its types and its keys.
    let keys = KeyRing::new(KeyId(*b"gone"), &[7; 32]).unwrap();
    let keyed = builder(harness.store.clone()).keys(keys).clock(harness.clock.clone());
    let keyed = keyed.token_type(TokenType::new("gone", ["x"]).unwrap()).build().unwrap();
    let under_key = keyed.owner("acme").issue(request()).await.unwrap();
    let expected = event!(Refused {
        id: Some(under_key.record.id()),
        owner: None::<String>,
        reason: Refusal::MissingKey(KeyId(*b"gone")),
    });
    assert_eq!(printed(refused(text(&under_key)).await), expected);
    let keyless = builder(harness.store.clone()).clock(harness.clock.clone());
    let keyless = keyless.token_type(TokenType::new("gone", ["x"]).unwrap()).build().unwrap();
    let of_type = keyless.owner("acme").issue(IssueRequest::new("gone", "b")).await.unwrap();
    let expected = event!(Refused {
        id: Some(of_type.record.id()),
        owner: owner.clone(),
        reason: Refusal::UnknownType
    });
    assert_eq!(printed(refused(text(&of_type)).await), expected);
}

pub(crate) async fn accepted_verify_is_not_an_event(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let issued = harness.issue_by_alice().await;
    for _ in 0..3 {
        harness.service.verify(&text(&issued), &requirement("files:read")).await.unwrap();
        harness.service.verify_uncached(&text(&issued), &any()).await.unwrap();
    }
    assert_eq!(harness.collected.take(&harness.service), []);
}

/// A refusal because of a cached record reads the store again first. It still emits one event.
pub(crate) async fn refusal_over_cached_record_is_one_event(stores: Stores) {
    let opened = stores.open();
    let collected = Collected::default();
    let service = builder(Arc::new(Remote::new(opened.store.clone())))
        .cache_records(HOUR, 100)
        .events(collected.sink())
        .build()
        .unwrap();
    let issued = service.owner("acme").issue(request()).await.unwrap();
    service.verify(&text(&issued), &any()).await.unwrap();
    let elsewhere = builder(opened.store).build().unwrap();
    let id = issued.record.id();
    elsewhere.all_owners().revoke(id, RevokeRequest::new()).await.unwrap();
    let _ = collected.take(&service);
    assert!(service.verify(&text(&issued), &requirement("files:delete")).await.is_err());
    let expected = event!(Refused { id: Some(id), owner: Some("acme"), reason: Refusal::Revoked });
    let emitted: Vec<String> = collected.take(&service).into_iter().map(printed).collect();
    assert_eq!(emitted, [expected]);
}

/// The future is dropped while the store works. Only the event reports it.
pub(crate) async fn dropped_operation_is_one_event(stores: Stores) {
    let opened = stores.open();
    let collected = Collected::default();
    let store = Arc::new(Remote::new(opened.store));
    let service = builder(store.clone()).events(collected.sink()).build().unwrap();
    let id = service.owner("acme").issue(request()).await.unwrap().record.id();
    let _ = collected.take(&service);
    store.hold(true);
    let view = service.owner("acme");
    {
        let mut revocation = std::pin::pin!(view.revoke(id, RevokeRequest::new()));
        assert!(poll_once(&mut revocation).await.is_none());
    }
    let events = collected.take(&service);
    let [Event::Failed { operation: Operation::Revoke, id: Some(of), .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(*of, id);
    // A future that was never polled has no effect.
    drop(view.revoke(id, RevokeRequest::new()));
    assert_eq!(collected.take(&service), []);
}

pub(crate) async fn default_sink_writes_one_tracing_event(stores: Stores) {
    collect_tracing(|traced| {
        block_on(async {
            let opened = stores.open();
            let clock = Arc::new(ManualClock::default());
            let store = Arc::new(Faulty::new(opened.store));
            let service = builder(store.clone()).clock(clock.clone()).build().unwrap();
            let view = service.owner("acme");
            let mut id = TokenId::from_bytes([0; 16]);
            let one = |level: Level, message: &str| {
                let events = traced.take();
                let [event] = &events[..] else { panic!("{message}: {events:?}") };
                assert_eq!((event.level, &*event.message), (level, message));
                event.fields.clone()
            };
            let issued = service.owner("acme").issue(request()).await.unwrap();
            id.clone_from(&issued.record.id());
            let fields = one(Level::INFO, "token issued");
            let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            assert!(fields.contains(&field("id", &id.to_string())), "{fields:?}");
            assert!(fields.contains(&field("owner", "\"acme\"")), "{fields:?}");

            service.verify(&text(&issued), &any()).await.unwrap();
            assert!(traced.take().is_empty());
            let _ = view.get(id).await.unwrap();
            one(Level::DEBUG, "record read");
            let _ = view.list(ListRequest::from(Filter::new().states(States::ALL))).await.unwrap();
            one(Level::DEBUG, "records listed");
            let _ = view.rotate(id, RotateRequest::at_once()).await.unwrap();
            one(Level::INFO, "token rotated");
            assert!(service.verify(&text(&issued), &any()).await.is_err());
            one(Level::WARN, "token refused: its secret was replaced and has ended");
            let issued = service.owner("acme").issue(request()).await.unwrap();
            one(Level::INFO, "token issued");
            assert!(service.verify(&text(&issued), &requirement("x")).await.is_err());
            let fields = one(Level::INFO, "token refused: it lacks a scope");
            assert!(fields.contains(&field("requirement", "x")), "{fields:?}");
            store.arm(&[], Fault::Unavailable);
            assert!(service.verify(&text(&issued), &any()).await.is_err());
            one(Level::WARN, "token refused: the store gave no answer");
            assert!(view.get(id).await.is_err());
            one(Level::WARN, "operation failed");
            store.disarm();
            view.revoke(id, RevokeRequest::new()).await.unwrap();
            one(Level::INFO, "token revoked");
            view.revoke(id, RevokeRequest::new()).await.unwrap();
            one(Level::INFO, "token was revoked before");
            assert!(service.verify("x", &any()).await.is_err());
            let fields = one(Level::INFO, "token refused");
            assert!(!fields.iter().any(|(name, _)| name == "id"), "{fields:?}");
            clock.set(clock.now() + TimeDelta::days(1));
            assert!(service.has_clock_jumped());
            one(Level::WARN, "the wall clock jumped");
            assert!(service.flush_events_blocking(Duration::ZERO).is_ok());
        });
    });
}
