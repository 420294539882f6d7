//! Revoking by filter: exactly the selected tokens are revoked, and every failure is reported.

use std::sync::Arc;

use super::harness::{
    Collected, DAY, Faulty, HOUR, SharedStore, Stores, any, backup, builder, count_live, incident,
    issue_many, newer, plant, records, text,
};
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::record::{Field, Rule};
use service_tokens::store::{MAX_PAGE_LEN, States, StoreError};
use service_tokens::{
    Event, Filter, IssueRequest, ManageError, Record, RevokeRequest, State, TokenId, TokenService,
    TokenStore,
};

behaviours! {
    revoke_all_revokes_exactly_its_filter,
    revoke_all_leaves_ended_tokens,
    revoke_all_unused_since_follows_last_use,
    invalid_revoke_all_changes_nothing,
    revoke_all_names_record_of_newer_format,
    revoke_all_names_at_most_100_failures,
    revoke_all_reports_progress_per_page,
    revoke_all_emits_one_event_per_token,
}

/// Issues tokens that differ in every property with a filter.
async fn mixture(service: &TokenService<SharedStore>, clock: &ManualClock) -> Vec<String> {
    let mut tokens = Vec::new();
    for n in 0..48 {
        let at = |list: &[&'static str], divisor: usize| list[n / divisor % list.len()];
        let mut request = IssueRequest::new(
            at(&["connector", "developer"], 3),
            at(&["backup", "backup 2", "Backup"], 2),
        );
        if n % 5 > 1 {
            request = request.issued_by(at(&["ops", "ops@acme"], 5));
        }
        let issued =
            service.owner(at(&["acme", "acme ", "globex"], 1)).issue(request).await.unwrap();
        tokens.push(text(&issued));
        if n % 12 == 11 {
            clock.advance(HOUR);
        }
    }
    tokens
}

pub(crate) async fn revoke_all_revokes_exactly_its_filter(stores: Stores) {
    let start = ManualClock::default();
    let at = |hours: i64| start.now() + chrono::TimeDelta::hours(hours);
    let all = Filter::new;
    let queries = [
        all(),
        all().owner("acme"),
        all().owner("no such owner"),
        all().token_type("developer"),
        all().issued_to("backup"),
        all().issued_to("backu"),
        all().issued_to_contains("backup"),
        all().issued_by("ops"),
        all().created_before(at(2)),
        all().expires_before(at(90 * 24 + 1)),
        all().unused_since(at(1)),
        all().token_type("connector").issued_to("backup").issued_by("ops@acme"),
        all().issuer(TokenId::from_bytes([9; 16])),
    ];
    for query in queries {
        for owner in [None, Some("acme"), Some("globex")] {
            let opened = stores.open();
            let clock = Arc::new(ManualClock::default());
            let service = builder(opened.store.clone()).clock(clock.clone()).build().unwrap();
            let tokens = mixture(&service, &clock).await;
            let view = service.owner_or_all(owner);
            let before = records(&*opened.store).await;
            let last_used = service_tokens::store::LastUsed::Never;
            let selected = |record: &Record| {
                owner.is_none_or(|owner| record.owner() == owner)
                    && query.matches(record, last_used, service.now())
            };
            let expected = before.iter().filter(|record| selected(record)).count() as u64;
            let counted = view.revoke_all(query.clone(), incident()).count().await.unwrap();
            assert_eq!(counted, expected, "{query:?}");
            assert_eq!(records(&*opened.store).await, before, "counting changed something");

            let outcome = view.revoke_all(query.clone(), incident()).run().await.unwrap();
            assert_eq!((outcome.done, outcome.failed), (expected, 0), "{query:?}");
            let after = records(&*opened.store).await;
            for (was, is) in before.iter().zip(&after) {
                if selected(was) {
                    let revocation = is.revocation().unwrap();
                    assert_eq!(revocation.by.as_deref(), Some("alice"));
                    assert_eq!(revocation.reason.as_deref(), Some("INC-42"));
                } else {
                    assert_eq!(was, is, "{query:?}");
                }
            }
            let mut accepted = 0;
            for token in &tokens {
                accepted += u64::from(service.verify(token, &any()).await.is_ok());
            }
            assert_eq!(accepted, 48 - expected);
            assert_eq!(view.revoke_all(query.clone(), incident()).count().await.unwrap(), 0);
        }
    }
}

pub(crate) async fn revoke_all_leaves_ended_tokens(stores: Stores) {
    let opened = stores.open();
    let clock = Arc::new(ManualClock::default());
    let service = builder(opened.store.clone()).clock(clock.clone()).build().unwrap();
    let expired = service.owner("acme").issue(backup().expires_in(HOUR)).await.unwrap().record.id();
    let revoked = service.owner("acme").issue(backup()).await.unwrap().record.id();
    let earlier = RevokeRequest::new().reason("earlier");
    let _ = service.owner("acme").revoke(revoked, earlier).await.unwrap();
    let start = service.now() + chrono::TimeDelta::days(2);
    let pending =
        service.owner("acme").issue(backup().not_before(start)).await.unwrap().record.id();
    let active = service.owner("acme").issue(backup()).await.unwrap().record.id();
    clock.advance(HOUR);
    let before = records(&*opened.store).await;
    for states in [States::ENDED, States::ALL] {
        let query = Filter::new().states(states);
        let outcome = service.all_owners().revoke_all(query, incident()).run().await.unwrap();
        assert_eq!(outcome.done, if states == States::ENDED { 2 } else { 0 });
    }
    for (was, is) in before.iter().zip(records(&*opened.store).await) {
        if [pending, active].contains(&was.id()) {
            assert_eq!(is.state(service.now()), State::Revoked);
        } else {
            assert!([expired, revoked].contains(&was.id()));
            assert_eq!(*was, is);
        }
    }
}

pub(crate) async fn revoke_all_unused_since_follows_last_use(stores: Stores) {
    let opened = stores.open();
    let clock = Arc::new(ManualClock::default());
    let service = builder(opened.store.clone()).clock(clock.clone()).build().unwrap();
    let mut tokens = Vec::new();
    for _ in 0..4 {
        let request = IssueRequest::new("connector", "backup");
        tokens.push(service.owner("acme").issue(request).await.unwrap());
    }
    let since = service.now() + chrono::TimeDelta::days(30);
    let day = chrono::TimeDelta::days(1);
    let id = |n: usize| tokens[n].record.id();
    // Used before, at and after the time, and never.
    opened
        .store
        .touch(&[(id(0), since - day), (id(1), since + day), (id(2), since)])
        .await
        .unwrap();
    clock.advance(60 * DAY);
    let query = Filter::new().unused_since(since);
    let view = service.owner("acme");
    assert_eq!(view.revoke_all(query.clone(), incident()).count().await.unwrap(), 2);
    assert_eq!(view.revoke_all(query, incident()).run().await.unwrap().done, 2);
    for (n, works) in [false, true, true, false].into_iter().enumerate() {
        assert_eq!(service.verify(&text(&tokens[n]), &any()).await.is_ok(), works, "{n}");
    }
}

pub(crate) async fn invalid_revoke_all_changes_nothing(stores: Stores) {
    let opened = stores.open();
    let faulty = Arc::new(Faulty::new(opened.store.clone()));
    let service = builder(faulty.clone()).disable_last_used().build().unwrap();
    let request = IssueRequest::new("connector", "backup");
    let token = text(&service.owner("acme").issue(request).await.unwrap());
    faulty.disarm();
    let view = service.owner("acme");
    let long = "x".repeat(2_000);
    let invalid = |error: &ManageError, field: Field, rule: Rule| match error {
        ManageError::Invalid(invalid) => assert_eq!((invalid.field, invalid.rule), (field, rule)),
        other => panic!("{other:?}"),
    };
    let too_long = Rule::TooLong { max: 1_000 };
    let cases = [
        (Filter::new(), RevokeRequest::new().by(" "), Field::RevokedBy, Rule::Empty),
        (Filter::new(), RevokeRequest::new().reason(&long), Field::Reason, too_long),
        (Filter::new().issued_to(&long), incident(), Field::IssuedTo, Rule::TooLong { max: 1_024 }),
    ];
    for (query, request, field, rule) in cases {
        let counted = view.revoke_all(query.clone(), request.clone()).count().await;
        invalid(&counted.unwrap_err(), field, rule);
        let error = view.revoke_all(query, request).run().await.unwrap_err();
        invalid(&error.cause, field, rule);
        assert_eq!(error.so_far.done, 0);
    }
    let unused = Filter::new().unused_since(service.now());
    let error = view.revoke_all(unused, incident()).run().await.unwrap_err();
    assert!(matches!(error.cause, ManageError::Store(StoreError::Unsupported { .. })));
    assert!(faulty.calls().is_empty(), "{:?}", faulty.calls());
    service.verify(&token, &any()).await.unwrap();
}

pub(crate) async fn revoke_all_names_record_of_newer_format(stores: Stores) {
    let opened = stores.open();
    let service = builder(opened.store.clone()).build().unwrap();
    let _ = issue_many(&opened.store, 5).await;
    let (id, _) = plant(&*opened.store, backup(), newer).await;
    let _ = issue_many(&opened.store, 5).await;
    assert_eq!(
        service.owner("acme").revoke_all(Filter::new(), incident()).count().await.unwrap(),
        11
    );
    let outcome = service.owner("acme").revoke_all(Filter::new(), incident()).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (10, 1));
    assert_eq!(outcome.passes, 2, "what withstands makes no further pass");
    let [failure] = &outcome.failures[..] else { panic!("{:?}", outcome.failures) };
    assert_eq!(failure.id, id);
    assert!(matches!(failure.error, ManageError::Store(StoreError::NewerFormat)));
    assert_eq!(count_live(&opened.store).await, 1);
}

pub(crate) async fn revoke_all_names_at_most_100_failures(stores: Stores) {
    let opened = stores.open();
    let service = builder(opened.store.clone()).build().unwrap();
    for _ in 0..130 {
        let request = IssueRequest::new("connector", "backup");
        let _ = plant(&*opened.store, request, newer).await;
    }
    let outcome = service.owner("acme").revoke_all(Filter::new(), incident()).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed, outcome.passes), (0, 130, 1));
    assert_eq!(outcome.failures.len(), 100);
}

pub(crate) async fn revoke_all_reports_progress_per_page(stores: Stores) {
    let opened = stores.open();
    let service = builder(opened.store.clone()).build().unwrap();
    let many = MAX_PAGE_LEN + 500;
    let ids = issue_many(&opened.store, many).await;
    let mut reported = Vec::new();
    let run = service.owner("acme").revoke_all(Filter::new(), incident());
    let outcome = run.on_progress(|progress| reported.push(progress.clone())).run().await.unwrap();
    assert_eq!((outcome.done, outcome.passes), (many as u64, 2));
    let seen: Vec<_> = reported.iter().map(|p| (p.pass, p.found, p.done, p.failed)).collect();
    assert_eq!(seen, [(1, 1_000, 1_000, 0), (1, 1_500, 1_500, 0), (2, 1_500, 1_500, 0)]);
    let mut sorted = ids;
    sorted.sort();
    let cursors: Vec<_> = reported.iter().map(|p| p.cursor).collect();
    assert_eq!(cursors, [Some(sorted[999]), None, None]);
}

pub(crate) async fn revoke_all_emits_one_event_per_token(stores: Stores) {
    let opened = stores.open();
    let collected = Collected::default();
    let service = builder(opened.store.clone()).events(collected.sink()).build().unwrap();
    let ids = issue_many(&opened.store, 3).await;
    let query = Filter::new().issued_to("backup");
    let view = service.owner("acme");
    let _ = view.revoke_all(query.clone(), incident()).count().await.unwrap();
    let events = collected.take(&service);
    let [Event::Counted { owner, records: 3, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(owner.as_deref(), Some("acme"));
    let _ = view.revoke_all(query, incident()).run().await.unwrap();
    let mut events = collected.take(&service);
    let whole = events.pop().unwrap();
    let mut revoked: Vec<TokenId> = events
        .iter()
        .map(|event| match event {
            Event::Revoked { id, owner, by, reason, .. } => {
                assert_eq!((&**owner, by.as_deref()), ("acme", Some("alice")));
                assert_eq!(reason.as_deref(), Some("INC-42"));
                *id
            }
            other => panic!("{other:?}"),
        })
        .collect();
    revoked.sort();
    let mut expected = ids;
    expected.sort();
    assert_eq!(revoked, expected);
    let Event::RevokedAll { owner, filter, with, revoked, failed, by, reason, stopped, .. } = whole
    else {
        panic!("{whole:?}")
    };
    assert_eq!((owner.as_deref(), with, revoked, failed), (Some("acme"), None, 3, 0));
    assert_eq!(filter.issued_to.as_deref(), Some("backup"));
    assert_eq!((by.as_deref(), reason.as_deref()), (Some("alice"), Some("INC-42")));
    assert_eq!(stopped, None);
}
