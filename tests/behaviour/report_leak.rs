//! Reports of leaked tokens.

use std::sync::Arc;

use super::harness::{
    DAY, Fault, HOUR, Harness, MICRO, Stores, any, backup, builder, delta, newer, of_scheme, plant,
    records, rotated_before_call, scoped_request, text,
};
use service_tokens::clock::ManualClock;
use service_tokens::digest::KeyId;
use service_tokens::leak::{
    CannotTell, LeakAction, LeakOutcome, LeakReport, LeakResponse, LeakedSecret, ReportLeakError,
};
use service_tokens::record::{Field, ReplacedSecret, Rule};
use service_tokens::store::LastUsed;
use service_tokens::{
    Event, IssueRequest, Issued, KeyRing, LeakRequest, Refusal, RotateRequest, State,
    SuspendRequest, TokenId, TokenService, TokenStore,
};

behaviours! {
    report_leak_tells_every_outcome,
    report_leak_without_action_changes_nothing,
    report_leak_of_wrong_secret_never_acts,
    report_leak_revokes_newest_secret,
    report_leak_revokes_descendants,
    report_leak_suspends_newest_secret,
    report_leak_ends_older_secret_alone,
    report_leak_of_older_secret_of_self_rotated,
    report_leak_of_ended_secret_never_acts,
    report_leak_of_ended_token_never_acts,
    report_leak_without_key_cannot_tell,
    report_leak_of_newer_record_cannot_tell,
    report_leak_of_unknown_scheme_cannot_tell,
    report_leak_during_store_failure_cannot_tell,
    report_leak_with_failed_action_says_so,
    report_leak_meets_rotation,
    report_leak_limits_texts,
}

const ACTIONS: [LeakAction; 3] = [LeakAction::Report, LeakAction::Revoke, LeakAction::Suspend];

fn found() -> LeakRequest {
    LeakRequest::new().by("scanner").reason("in a repository")
}

async fn report<S: TokenStore>(
    service: &TokenService<S>,
    issued: &Issued,
    action: LeakAction,
) -> LeakReport {
    service.report_leak(&text(issued), action, found()).await.unwrap()
}

async fn impostor(id: TokenId, clock: &Arc<ManualClock>) -> Issued {
    let store = service_tokens::MemoryStore::new();
    let elsewhere = builder(store).clock(clock.clone()).build().unwrap();
    elsewhere.owner("acme").issue(backup().id(id)).await.unwrap()
}

async fn overlapping(harness: &Harness, request: IssueRequest) -> (Issued, Issued) {
    let older = harness.issue(request).await;
    let overlap = RotateRequest::with_overlap(DAY);
    let newest = harness.service.owner("acme").rotate(older.record.id(), overlap).await.unwrap();
    (older, newest)
}

#[track_caller]
fn live(report: &LeakReport) -> (LeakedSecret, State) {
    match report.outcome {
        LeakOutcome::Live { secret, state } => (secret, state),
        ref other => panic!("{other:?}"),
    }
}

/// Returns the name and the owner of the only event that reports a leak.
#[track_caller]
fn reported(events: &[Event]) -> (&'static str, Option<String>) {
    let leaks: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::LeakReported { outcome, owner, by, .. } => {
                assert_eq!(by.as_deref(), Some("scanner"));
                Some((*outcome, owner.clone()))
            }
            _ => None,
        })
        .collect();
    let [leak] = &leaks[..] else { panic!("{events:?}") };
    leak.clone()
}

pub(crate) async fn report_leak_tells_every_outcome(stores: Stores) {
    let harness = Harness::new(stores);
    let acme = harness.service.owner("acme");
    let (older, newest) = overlapping(&harness, backup()).await;
    let third = RotateRequest::with_overlap(DAY).replacing(ReplacedSecret::Oldest);
    let third = acme.rotate(older.record.id(), third).await.unwrap();
    let pending = harness.issue(backup().not_before(harness.service.now() + delta(HOUR))).await;
    let suspended = harness.issue(backup()).await;
    acme.suspend(suspended.record.id(), SuspendRequest::new()).await.unwrap();
    let revoked = harness.issue(backup()).await;
    harness.revoke(revoked.record.id()).await;
    let expired = harness.issue(backup().expires_in(MICRO)).await;
    harness.advance(MICRO);
    let wrong = impostor(third.record.id(), &harness.clock).await;
    let unknown = impostor(harness.service.new_id().unwrap(), &harness.clock).await;
    let before = records(&*harness.store).await;
    let owner = Some("acme".to_owned());
    for (issued, name, of, record) in [
        (&wrong, "wrong_secret", None, false),
        (&unknown, "unknown_id", None, false),
        (&older, "ended_secret", owner.clone(), true),
        (&newest, "live", owner.clone(), true),
        (&third, "live", owner.clone(), true),
        (&pending, "live", owner.clone(), true),
        (&suspended, "live", owner.clone(), true),
        (&revoked, "ended_token", owner.clone(), true),
        (&expired, "ended_token", owner.clone(), true),
    ] {
        let _ = harness.events();
        let told = report(&harness.service, issued, LeakAction::Report).await;
        let events = harness.events();
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(reported(&events), (name, of));
        assert_eq!((told.outcome.name(), told.record.is_some()), (name, record));
        assert_eq!(told.id, Some(issued.record.id()));
        if let Some(record) = &told.record {
            assert!(before.contains(record));
        }
    }
    let malformed = harness.service.report_leak("acme_live_1x", LeakAction::Revoke, found()).await;
    let malformed = malformed.unwrap();
    assert!(matches!(malformed.outcome, LeakOutcome::NotOurs(_)) && malformed.id.is_none());
    assert_eq!(reported(&harness.events()), ("not_ours", None));
    for (issued, expected) in [
        (&newest, (LeakedSecret::Older, State::Active)),
        (&third, (LeakedSecret::Newest, State::Active)),
        (&pending, (LeakedSecret::Newest, State::Pending)),
        (&suspended, (LeakedSecret::Newest, State::Suspended)),
    ] {
        assert_eq!(live(&report(&harness.service, issued, LeakAction::Report).await), expected);
    }
    for (issued, expected) in [(&revoked, State::Revoked), (&expired, State::Expired)] {
        let told = report(&harness.service, issued, LeakAction::Report).await;
        assert!(matches!(told.outcome, LeakOutcome::EndedToken { state } if state == expected));
    }
    assert_eq!(records(&*harness.store).await, before);
}

pub(crate) async fn report_leak_without_action_changes_nothing(stores: Stores) {
    let harness = Harness::new(stores);
    let older = harness.issue(backup()).await;
    let rotation = RotateRequest::until_first_use(DAY);
    let newest = harness.service.owner("acme").rotate(older.record.id(), rotation).await.unwrap();
    for issued in [&older, &newest] {
        let told = report(&harness.service, issued, LeakAction::Report).await;
        assert!(matches!(told.response, LeakResponse::Nothing));
    }
    let stored = harness.service.owner("acme").get(older.record.id()).await.unwrap();
    assert_eq!(stored.record, newest.record, "the report ended the overlap");
    assert_eq!(stored.last_used, LastUsed::Never);
}

/// Ids are public, and the checksum is not keyed.
pub(crate) async fn report_leak_of_wrong_secret_never_acts(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(scoped_request(&["service-tokens:*"])).await;
    let id = issued.record.id();
    let wrong = impostor(id, &harness.clock).await;
    for action in ACTIONS {
        let told = report(&harness.service, &wrong, action).await;
        assert!(matches!(told.outcome, LeakOutcome::WrongSecret) && told.record.is_none());
        assert!(matches!(told.response, LeakResponse::Nothing));
        let unknown = impostor(harness.service.new_id().unwrap(), &harness.clock).await;
        let told = report(&harness.service, &unknown, action).await;
        assert!(matches!(told.outcome, LeakOutcome::UnknownId));
    }
    assert_eq!(harness.record(id).await, issued.record);
}

pub(crate) async fn report_leak_revokes_newest_secret(stores: Stores) {
    let harness = Harness::new(stores);
    let (older, newest) = overlapping(&harness, backup()).await;
    let _ = harness.events();
    let told = report(&harness.service, &newest, LeakAction::Revoke).await;
    let events = harness.events();
    assert_eq!(live(&told), (LeakedSecret::Newest, State::Active));
    assert!(matches!(told.response, LeakResponse::Revoked { descendants: None }));
    let in_order = matches!(
        &events[..],
        [Event::Revoked { by: Some(by), reason: Some(reason), .. }, Event::LeakReported { .. }]
            if by == "scanner" && reason == "in a repository"
    );
    assert!(in_order, "{events:?}");
    for issued in [&older, &newest] {
        assert_eq!(harness.refusal(&text(issued)).await, Some(Refusal::Revoked));
    }
    // A second report finds an ended token.
    let told = report(&harness.service, &newest, LeakAction::Revoke).await;
    assert!(matches!(told.outcome, LeakOutcome::EndedToken { state: State::Revoked }));
    assert!(matches!(told.response, LeakResponse::Nothing));
}

pub(crate) async fn report_leak_revokes_descendants(stores: Stores) {
    for scope in ["service-tokens:issue", "service-tokens:rotate", "service-tokens:*"] {
        let harness = Harness::new(stores);
        let issued = harness.issue(scoped_request(&["x", scope])).await;
        let bystander = harness.issue(scoped_request(&["x"])).await;
        let token = harness.verified(&issued).await;
        let on_behalf = harness.service.on_behalf_of(&token);
        let below = if scope == "service-tokens:rotate" {
            let other = harness.issue(scoped_request(&["x"])).await;
            let rotation = RotateRequest::at_once().expires_in(HOUR);
            on_behalf.rotate(other.record.id(), rotation).await.unwrap()
        } else {
            on_behalf.issue(scoped_request(&["x"])).await.unwrap()
        };
        let told = report(&harness.service, &issued, LeakAction::Revoke).await;
        let LeakResponse::Revoked { descendants: Some(outcome) } = told.response else {
            panic!("{told:?}")
        };
        assert_eq!((outcome.done, outcome.failed), (1, 0), "{scope}");
        for issued in [&issued, &below] {
            assert_eq!(harness.refusal(&text(issued)).await, Some(Refusal::Revoked));
        }
        assert!(harness.accepts(&text(&bystander)).await);
    }
    // A token that can only rotate itself has no descendants.
    let harness = Harness::new(stores);
    let issued = harness.issue(scoped_request(&["*", "service-tokens:rotate-self"])).await;
    let told = report(&harness.service, &issued, LeakAction::Revoke).await;
    assert!(matches!(told.response, LeakResponse::Revoked { descendants: None }));
}

pub(crate) async fn report_leak_suspends_newest_secret(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(backup()).await;
    let _ = harness.events();
    let told = report(&harness.service, &issued, LeakAction::Suspend).await;
    assert!(matches!(told.response, LeakResponse::Suspended { .. }));
    let events = harness.events();
    let in_order = matches!(
        &events[..],
        [
            Event::Suspended { by: Some(_), reason: Some(_), until: None, .. },
            Event::LeakReported { .. }
        ]
    );
    assert!(in_order, "{events:?}");
    let suspension = harness.record(issued.record.id()).await.suspensions()[0].clone();
    assert_eq!(suspension.by.as_deref(), Some("scanner"));
    assert_eq!(harness.refusal(&text(&issued)).await, Some(Refusal::Suspended));
    // A suspended token can be revoked by a later report.
    let told = report(&harness.service, &issued, LeakAction::Revoke).await;
    assert_eq!(live(&told), (LeakedSecret::Newest, State::Suspended));
    assert_eq!(harness.state(issued.record.id()).await, State::Revoked);
}

pub(crate) async fn report_leak_ends_older_secret_alone(stores: Stores) {
    for action in [LeakAction::Revoke, LeakAction::Suspend] {
        let harness = Harness::new(stores);
        let (older, newest) = overlapping(&harness, scoped_request(&["service-tokens:*"])).await;
        harness.advance(DAY - MICRO);
        let _ = harness.events();
        let told = report(&harness.service, &older, action).await;
        assert_eq!(live(&told), (LeakedSecret::Older, State::Active));
        assert!(matches!(told.response, LeakResponse::EndedOlder));
        let events = harness.events();
        let in_order = matches!(
            &events[..],
            [Event::OlderSecretEnded { already_ended: false, .. }, Event::LeakReported { .. }]
        );
        assert!(in_order, "{events:?}");
        assert!(!harness.accepts(&text(&older)).await);
        assert!(harness.accepts(&text(&newest)).await);
    }
}

/// A thief with the older secret may have made the newest one.
pub(crate) async fn report_leak_of_older_secret_of_self_rotated(stores: Stores) {
    for (action, refusal) in
        [(LeakAction::Revoke, Refusal::Revoked), (LeakAction::Suspend, Refusal::Suspended)]
    {
        let harness = Harness::new(stores);
        let older = harness.issue(scoped_request(&["service-tokens:rotate-self"])).await;
        let token = harness.verified(&older).await;
        let rotation = RotateRequest::with_overlap(DAY);
        let stolen = harness.service.on_behalf_of(&token).rotate_self(rotation).await.unwrap();
        let told = report(&harness.service, &older, action).await;
        assert_eq!(live(&told), (LeakedSecret::Older, State::Active));
        for issued in [&older, &stolen] {
            assert_eq!(harness.refusal(&text(issued)).await, Some(refusal));
        }
    }
}

pub(crate) async fn report_leak_of_ended_secret_never_acts(stores: Stores) {
    for after in [DAY, DAY + MICRO] {
        let harness = Harness::new(stores);
        let (older, newest) = overlapping(&harness, backup()).await;
        harness.advance(after);
        for action in ACTIONS {
            let told = report(&harness.service, &older, action).await;
            assert!(matches!(told.outcome, LeakOutcome::EndedSecret));
            assert!(matches!(told.response, LeakResponse::Nothing));
        }
        assert_eq!(harness.record(older.record.id()).await, newest.record);
    }
}

pub(crate) async fn report_leak_of_ended_token_never_acts(stores: Stores) {
    let harness = Harness::new(stores);
    for (after, ended) in [(HOUR - MICRO, false), (HOUR, true), (HOUR + MICRO, true)] {
        let issued = harness.issue(backup().expires_in(HOUR)).await;
        harness.advance(after);
        let told = report(&harness.service, &issued, LeakAction::Suspend).await;
        assert_eq!(matches!(told.response, LeakResponse::Nothing), ended, "{after:?}");
        assert_eq!(harness.record(issued.record.id()).await == issued.record, ended);
    }
}

pub(crate) async fn report_leak_without_key_cannot_tell(stores: Stores) {
    let opened = stores.open();
    let key = KeyId(*b"2025");
    let ring = KeyRing::new(key, &[1; 32]).unwrap();
    let keyed = builder(opened.store.clone()).keys(ring).build().unwrap();
    let plain = builder(opened.store.clone()).build().unwrap();
    let issued = keyed.owner("acme").issue(backup()).await.unwrap();
    let told = report(&plain, &issued, LeakAction::Revoke).await;
    let LeakOutcome::CannotTell(CannotTell::MissingKey(of)) = told.outcome else {
        panic!("{told:?}")
    };
    assert!(of == key && told.record.is_none());
    assert!(keyed.verify(&text(&issued), &any()).await.is_ok());
}

pub(crate) async fn report_leak_of_newer_record_cannot_tell(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, text) = plant(&*harness.store, backup(), newer).await;
    let before = harness.store.find(id).await.unwrap();
    let told = harness.service.report_leak(&text, LeakAction::Revoke, found()).await.unwrap();
    assert!(matches!(told.outcome, LeakOutcome::CannotTell(CannotTell::NewerRecord)));
    assert_eq!(harness.store.find(id).await.unwrap(), before);
}

pub(crate) async fn report_leak_of_unknown_scheme_cannot_tell(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, text) = plant(&*harness.store, backup(), |record| of_scheme(record, 6)).await;
    let before = harness.store.find(id).await.unwrap();
    let told = harness.service.report_leak(&text, LeakAction::Revoke, found()).await.unwrap();
    assert!(matches!(told.outcome, LeakOutcome::CannotTell(CannotTell::UnknownScheme(6))));
    assert_eq!(harness.store.find(id).await.unwrap(), before);
}

pub(crate) async fn report_leak_during_store_failure_cannot_tell(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let issued = harness.issue(backup()).await;
    let _ = harness.events();
    harness.faulty().arm(&[], Fault::Unavailable);
    let told = report(&harness.service, &issued, LeakAction::Revoke).await;
    harness.faulty().disarm();
    let unavailable =
        matches!(told.outcome, LeakOutcome::CannotTell(CannotTell::StoreUnavailable(_)));
    assert!(unavailable, "{told:?}");
    assert_eq!(reported(&harness.events()), ("cannot_tell", None));
}

pub(crate) async fn report_leak_with_failed_action_says_so(stores: Stores) {
    for action in [LeakAction::Revoke, LeakAction::Suspend] {
        let harness = Harness::over_faulty(stores);
        let issued = harness.issue(backup()).await;
        let _ = harness.events();
        harness.faulty().arm(&[Fault::None, Fault::None, Fault::ReadOnly], Fault::None);
        let outcome = harness.service.report_leak(&text(&issued), action, found()).await;
        harness.faulty().disarm();
        let Err(ReportLeakError::NotDone { report, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(live(&report), (LeakedSecret::Newest, State::Active));
        assert!(matches!(report.response, LeakResponse::Nothing));
        assert_eq!(reported(&harness.events()).0, "live");
        assert!(harness.accepts(&text(&issued)).await);
    }
}

/// A rotation comes between the comparison and the action, so the reported secret is another one by then.
pub(crate) async fn report_leak_meets_rotation(stores: Stores) {
    for overlap in [false, true] {
        for at in [0, 1, 2] {
            let rotation =
                if overlap { RotateRequest::with_overlap(DAY) } else { RotateRequest::at_once() };
            let (harness, issued) = rotated_before_call(stores, at, rotation).await;
            let told = report(&harness.service, &issued, LeakAction::Revoke).await;
            harness.faulty().disarm();
            // The secret that the operator made is never revoked.
            assert_eq!(harness.state(issued.record.id()).await, State::Active, "{overlap} {at}");
            assert!(!harness.accepts(&text(&issued)).await);
            match overlap {
                true => assert!(matches!(told.response, LeakResponse::EndedOlder), "{told:?}"),
                false => assert!(matches!(told.outcome, LeakOutcome::EndedSecret), "{told:?}"),
            }
        }
    }
}

pub(crate) async fn report_leak_limits_texts(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(backup()).await;
    let _ = harness.events();
    for (request, field, max) in [
        (LeakRequest::new().by("x".repeat(256)), Field::RevokedBy, 255),
        (LeakRequest::new().reason("x".repeat(1_001)), Field::Reason, 1_000),
    ] {
        let outcome =
            harness.service.report_leak(&text(&issued), LeakAction::Revoke, request).await;
        let Err(ReportLeakError::Invalid(invalid)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((invalid.field, invalid.rule), (field, Rule::TooLong { max }));
        let events = harness.events();
        let [Event::Failed { cause, .. }] = &events[..] else { panic!("{events:?}") };
        assert!(cause.contains(&max.to_string()), "{cause}");
    }
    assert!(harness.accepts(&text(&issued)).await);
}
