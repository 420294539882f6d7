//! Suspending and resuming: a suspended token is refused, no other operation resumes it, and a suspension is
//! never shortened.

use std::sync::Arc;

use super::harness::{
    Collected, DAY, HOUR, Harness, MAX_AGE, MICRO, MINUTE, Opened, Stores, any, backup, builder,
    delta, expect_invalid, expect_not_active, expect_not_permitted, newer, plant, refusal_of,
    scoped_request, text,
};
use chrono::{DateTime, Utc};
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::error::NotPermitted;
use service_tokens::event::Operation;
use service_tokens::record::{Field, RotateDenied, Rule};
use service_tokens::store::{States, StoreError};
use service_tokens::{
    Event, Filter, ListRequest, ManageError, Policy, Refusal, ReservedScope, ResumeRequest,
    RevokeRequest, RotateRequest, State, SuspendRequest, TokenId,
};

behaviours! {
    suspended_token_is_refused_until_resumed,
    suspend_and_resume_are_events,
    suspension_passes_exactly_at_its_end,
    second_suspension_only_lengthens,
    passed_suspension_does_not_count,
    suspend_ended_token_is_refused,
    suspended_token_expires_and_is_revoked,
    suspend_pending_token_lasts_past_start,
    suspension_with_clock_ahead_does_not_pass,
    suspend_by_clock_that_runs_ahead_works,
    suspend_with_invalid_field_is_refused,
    rotate_suspended_token_is_refused,
    first_use_keeps_suspension_away,
    suspended_token_counts_as_live,
    suspended_record_is_never_purged,
    suspend_on_behalf_requires_scope,
    suspend_self_requires_no_scope,
    suspended_token_cannot_call,
    suspend_in_other_view_is_not_found,
    suspend_newer_record_is_refused,
    suspension_reaches_cached_records,
    suspension_survives_reopening,
}

fn forever() -> SuspendRequest {
    SuspendRequest::new().by("alice").reason("INC-42")
}

async fn suspend(harness: &Harness, id: TokenId, request: SuspendRequest) -> bool {
    harness.service.owner("acme").suspend(id, request).await.unwrap().already_suspended
}

async fn resume(harness: &Harness, id: TokenId) -> bool {
    let view = harness.service.owner("acme");
    !view.resume(id, ResumeRequest::new()).await.unwrap().ended.is_empty()
}

pub(crate) async fn suspended_token_is_refused_until_resumed(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, token) = harness.issue_backup().await;
    let before = harness.record(id).await;
    let verified = harness.verify(&token).await.unwrap();
    let suspended = harness.service.owner("acme").suspend(id, forever()).await.unwrap();
    assert!(!suspended.already_suspended);
    assert_eq!(suspended.record, harness.record(id).await);
    assert_eq!(suspended.record.state(harness.service.now()), State::Suspended);
    let [suspension] = suspended.record.suspensions() else { panic!("{suspended:?}") };
    assert_eq!((suspension.since, suspension.until), (harness.clock.now(), None));
    assert_eq!(suspension.by.as_deref(), Some("alice"));
    assert_eq!(suspension.reason.as_deref(), Some("INC-42"));
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
    let gone = harness.service.still_active(&verified).await;
    assert_eq!(refusal_of(gone), Some(Refusal::Suspended));
    harness.advance(80 * DAY);
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended), "it has no end");

    assert!(resume(&harness, id).await);
    assert_eq!(harness.refusal(&token).await, None);
    assert_eq!(harness.record(id).await, before, "the record is as it was");
    assert!(!resume(&harness, id).await);
}

pub(crate) async fn suspend_and_resume_are_events(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, _) = harness.issue_backup().await;
    let view = harness.service.owner("acme");
    let until = harness.clock.now() + delta(HOUR);
    let _ = harness.events();
    suspend(&harness, id, forever().until(until)).await;
    suspend(&harness, id, forever().until(until)).await;
    view.resume(id, ResumeRequest::new().by("bob")).await.unwrap();
    resume(&harness, id).await;
    let unknown = TokenId::from_bytes([9; 16]);
    assert!(view.suspend(unknown, forever()).await.is_err());
    assert!(view.resume(unknown, ResumeRequest::new()).await.is_err());
    let events = harness.events();
    assert_eq!(events.len(), 6, "{events:?}");
    let Event::Suspended { id: of, owner, until: end, by, reason, on_behalf_of: None, .. } =
        &events[0]
    else {
        panic!("{events:?}")
    };
    assert_eq!((*of, &**owner, *end), (id, "acme", Some(until)));
    assert_eq!((by.as_deref(), reason.as_deref()), (Some("alice"), Some("INC-42")));
    let Event::AlreadySuspended { by: Some(by), reason: Some(reason), .. } = &events[1] else {
        panic!("{events:?}")
    };
    assert_eq!((&**by, &**reason), ("alice", "INC-42"));
    let Event::Resumed { by: Some(by), ended, remaining: 0, .. } = &events[2] else {
        panic!("{events:?}")
    };
    assert_eq!((&**by, ended.len(), ended[0].reason.as_deref()), ("bob", 1, Some("INC-42")));
    assert!(matches!(events[3], Event::NotSuspended { .. }));
    assert!(matches!(events[4], Event::Failed { operation: Operation::Suspend, .. }));
    assert!(matches!(events[5], Event::Failed { operation: Operation::Resume, .. }));
}

pub(crate) async fn suspension_passes_exactly_at_its_end(stores: Stores) {
    for lasting in [true, false] {
        let harness = Harness::new(stores);
        let (id, token) = harness.issue_backup().await;
        let until = harness.clock.now() + delta(HOUR);
        let request = if lasting {
            forever().lasting(HOUR)
        } else {
            forever().until(until + delta(MICRO / 2))
        };
        suspend(&harness, id, request).await;
        assert_eq!(harness.record(id).await.suspensions()[0].until, Some(until));
        harness.advance(HOUR - MICRO);
        assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
        assert_eq!(harness.state(id).await, State::Suspended);
        harness.advance(MICRO);
        assert_eq!(harness.refusal(&token).await, None);
        assert_eq!(harness.state(id).await, State::Active);
        harness.advance(MICRO);
        assert_eq!(harness.refusal(&token).await, None);
        // One that has passed is removed from the record too.
        assert!(resume(&harness, id).await);
        assert!(!resume(&harness, id).await);
    }
}

pub(crate) async fn second_suspension_only_lengthens(stores: Stores) {
    let ends = [Some(HOUR), Some(HOUR + MICRO), Some(2 * HOUR), None];
    for (first, one) in ends.into_iter().enumerate() {
        for (second, other) in ends.into_iter().enumerate() {
            let harness = Harness::new(stores);
            let (id, token) = harness.issue_backup().await;
            let of = |end: Option<_>| end.map_or(forever(), |end| forever().lasting(end));
            assert!(!suspend(&harness, id, of(one)).await);
            let before = harness.record(id).await;
            // The ends of both count from the same time.
            let already = suspend(&harness, id, of(other)).await;
            assert_eq!(already, second <= first, "{one:?}, {other:?}");
            let record = harness.record(id).await;
            assert_eq!(record.suspensions().len(), 1);
            assert_eq!(record == before, already);
            let longer = ends[first.max(second)];
            harness.advance(longer.unwrap_or(80 * DAY) - MICRO);
            assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
            if longer.is_some() {
                harness.advance(MICRO);
                assert_eq!(harness.refusal(&token).await, None);
            } else {
                assert!(resume(&harness, id).await);
                assert_eq!(harness.refusal(&token).await, None);
            }
        }
    }
}

pub(crate) async fn passed_suspension_does_not_count(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, token) = harness.issue_backup().await;
    suspend(&harness, id, forever().lasting(DAY)).await;
    harness.advance(DAY);
    assert!(!suspend(&harness, id, SuspendRequest::new().lasting(HOUR)).await);
    let record = harness.record(id).await;
    let [passed, suspension] = record.suspensions() else { panic!("{record:?}") };
    assert_eq!(passed.reason.as_deref(), Some("INC-42"));
    assert_eq!((suspension.since, &suspension.by), (harness.clock.now(), &None));
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
}

pub(crate) async fn suspend_ended_token_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let view = harness.service.owner("acme");
    let (revoked, _) = harness.issue_backup().await;
    harness.revoke(revoked).await;
    let expired = harness.issue(backup().expires_in(HOUR)).await.record.id();
    harness.advance(HOUR);
    for (id, state) in [(revoked, State::Revoked), (expired, State::Expired)] {
        let before = harness.record(id).await;
        let outcomes = [
            view.suspend(id, forever()).await.map(drop),
            view.resume(id, ResumeRequest::new()).await.map(drop),
        ];
        for outcome in outcomes {
            let Err(ManageError::Ended { id: of, state: was }) = outcome else {
                panic!("{outcome:?}")
            };
            assert_eq!((of, was), (id, state));
        }
        assert_eq!(harness.record(id).await, before);
    }
}

pub(crate) async fn suspended_token_expires_and_is_revoked(stores: Stores) {
    let harness = Harness::new(stores);
    let expiring = harness.issue(backup().expires_in(HOUR)).await;
    let (revoked, token) = harness.issue_backup().await;
    for id in [expiring.record.id(), revoked] {
        suspend(&harness, id, forever()).await;
    }
    harness.revoke(revoked).await;
    harness.advance(HOUR);
    assert_eq!(harness.refusal(&text(&expiring)).await, Some(Refusal::Expired));
    assert_eq!(harness.state(expiring.record.id()).await, State::Expired);
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Revoked));
    assert_eq!(harness.state(revoked).await, State::Revoked);
    for id in [expiring.record.id(), revoked] {
        let resumed = harness.service.owner("acme").resume(id, ResumeRequest::new()).await;
        assert!(matches!(resumed, Err(ManageError::Ended { .. })));
    }
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Revoked));
}

pub(crate) async fn suspend_pending_token_lasts_past_start(stores: Stores) {
    let harness = Harness::new(stores);
    let start = harness.clock.now() + delta(HOUR);
    let issued = harness.issue(backup().not_before(start)).await;
    let (id, token) = (issued.record.id(), text(&issued));
    suspend(&harness, id, forever().lasting(2 * HOUR)).await;
    assert_eq!(harness.state(id).await, State::Suspended);
    assert_eq!(harness.refusal(&token).await, Some(Refusal::NotYetActive), "the first reason");
    harness.advance(HOUR);
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
    harness.advance(HOUR);
    assert_eq!(harness.refusal(&token).await, None);
}

pub(crate) async fn suspension_with_clock_ahead_does_not_pass(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, token) = harness.issue_backup().await;
    let began = harness.clock.now();
    let until = began + delta(HOUR);
    suspend(&harness, id, forever().until(until)).await;
    // The clock jumps ahead. The suspension does not pass until an operator trusts the clock.
    harness.clock.set(until + delta(HOUR));
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
    // The clock is corrected. The time of the service stays ahead, and the clock decides.
    harness.clock.set(began);
    assert!(harness.service.now() > until);
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
    assert!(harness.service.acknowledge_clock_jump().is_some());
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
    let rotated = harness.service.owner("acme").rotate(id, RotateRequest::at_once()).await;
    assert!(matches!(rotated, Err(ManageError::NotRotated(RotateDenied::NotActive(_)))));
    harness.advance(HOUR - MICRO);
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
    harness.advance(MICRO);
    assert_eq!(harness.refusal(&token).await, None);
    // An acknowledged clock that is ahead lets it pass.
    suspend(&harness, id, forever().lasting(3 * DAY)).await;
    harness.clock.set(harness.service.now() + delta(3 * DAY));
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
    harness.service.acknowledge_clock_jump();
    assert_eq!(harness.refusal(&token).await, None);
}

/// This process takes the token for expired, and all others accept it.
pub(crate) async fn suspend_by_clock_that_runs_ahead_works(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(backup().expires_in(DAY)).await;
    let began = harness.clock.now();
    harness.clock.set(began + delta(2 * DAY));
    harness.service.now();
    harness.clock.set(began);
    harness.service.acknowledge_clock_jump();
    assert_eq!(harness.refusal(&text(&issued)).await, Some(Refusal::Expired));
    let elsewhere = harness.elsewhere();
    assert!(elsewhere.verify(&text(&issued), &any()).await.is_ok());
    assert!(!suspend(&harness, issued.record.id(), forever()).await);
    let refused = elsewhere.verify(&text(&issued), &any()).await;
    assert_eq!(refusal_of(refused), Some(Refusal::Suspended));
}

pub(crate) async fn suspend_with_invalid_field_is_refused(stores: Stores) {
    let policy = Policy::new().max_text_len(30).max_reason_len(20);
    let harness = Harness::with_policy(stores, policy);
    let (id, _) = harness.issue_backup().await;
    let view = harness.service.owner("acme");
    let now = harness.clock.now();
    let far = DateTime::<Utc>::MAX_UTC;
    for (request, field, rule) in [
        (forever().by(" "), Field::SuspendedBy, Rule::Empty),
        (forever().by("x".repeat(31)), Field::SuspendedBy, Rule::TooLong { max: 30 }),
        (forever().reason(""), Field::Reason, Rule::Empty),
        (forever().reason("x".repeat(21)), Field::Reason, Rule::TooLong { max: 20 }),
        (forever().until(now), Field::SuspendedUntil, Rule::NotAfterNow),
        (forever().until(now - delta(MICRO)), Field::SuspendedUntil, Rule::NotAfterNow),
        (forever().lasting(MICRO / 2), Field::SuspendedUntil, Rule::NotAfterNow),
        (forever().until(far), Field::SuspendedUntil, Rule::OutOfRange),
        (forever().lasting(DAY * 4_000_000_000), Field::SuspendedUntil, Rule::OutOfRange),
    ] {
        expect_invalid(view.suspend(id, request.clone()).await, field, rule);
        let run = view.suspend_all(Filter::new(), request).run().await;
        assert!(matches!(run.unwrap_err().cause, ManageError::Invalid(_)));
    }
    assert_eq!(harness.record(id).await.suspensions(), []);
    let by = ResumeRequest::new().by("x".repeat(31));
    expect_invalid(view.resume(id, by).await, Field::ResumedBy, Rule::TooLong { max: 30 });
    assert!(!suspend(&harness, id, forever().by("x".repeat(30))).await);
}

pub(crate) async fn rotate_suspended_token_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, token) = harness.issue_backup().await;
    suspend(&harness, id, forever().lasting(HOUR)).await;
    let before = harness.record(id).await;
    let rotated = harness.service.owner("acme").rotate(id, RotateRequest::at_once()).await;
    let Err(ManageError::NotRotated(RotateDenied::NotActive(state))) = rotated else {
        panic!("{rotated:?}")
    };
    assert_eq!(state, State::Suspended);
    assert_eq!(harness.record(id).await, before);
    harness.advance(HOUR);
    let newer = harness.rotate(id, RotateRequest::at_once()).await;
    assert_eq!(harness.refusal(&newer).await, None);
    assert_eq!(harness.refusal(&token).await, Some(Refusal::SecretEnded));
}

/// No use of a suspended token ends its overlap, and the overlap continues afterwards.
pub(crate) async fn first_use_keeps_suspension_away(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, older, newer) = harness.rotate_until_first_use().await;
    suspend(&harness, id, forever()).await;
    for token in [&older, &newer] {
        assert_eq!(harness.refusal(token).await, Some(Refusal::Suspended));
    }
    assert!(harness.has_overlap(id).await);
    resume(&harness, id).await;
    assert_eq!(harness.refusal(&older).await, None);
    assert_eq!(harness.refusal(&newer).await, None);
    assert!(!harness.has_overlap(id).await);
}

async fn listed(harness: &Harness, filter: Filter) -> usize {
    harness.service.owner("acme").list(ListRequest::from(filter)).await.unwrap().items.len()
}

pub(crate) async fn suspended_token_counts_as_live(stores: Stores) {
    let harness = Harness::with_policy(stores, Policy::new().max_active_per_owner(2));
    let (id, token) = harness.issue_backup().await;
    let _ = harness.issue_backup().await;
    suspend(&harness, id, forever().lasting(HOUR)).await;
    for (filter, count) in [
        (Filter::new(), 2),
        (Filter::new().states(State::Suspended), 1),
        (Filter::new().states(State::Active), 1),
        (Filter::new().states(States::ENDED), 0),
        (Filter::new().states([State::Suspended, State::Revoked]), 1),
    ] {
        assert_eq!(listed(&harness, filter).await, count);
    }
    let third = harness.service.owner("acme").issue(backup()).await;
    assert!(matches!(third, Err(ManageError::TooManyActive { max: 2 })));
    harness.advance(HOUR);
    assert_eq!(listed(&harness, Filter::new().states(State::Suspended)).await, 0);
    suspend(&harness, id, forever()).await;
    let revoked = RevokeRequest::new();
    let outcome = harness.service.owner("acme").revoke_all(Filter::new(), revoked).run().await;
    assert_eq!(outcome.unwrap().done, 2);
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Revoked));
}

pub(crate) async fn suspended_record_is_never_purged(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(backup().expires_in(200 * DAY)).await;
    suspend(&harness, issued.record.id(), forever()).await;
    harness.advance(199 * DAY);
    let purge = || harness.service.all_owners().purge(DAY).run();
    assert_eq!(purge().await.unwrap().done, 0);
    harness.advance(DAY);
    assert_eq!(purge().await.unwrap().done, 0);
    harness.advance(DAY + MICRO);
    assert_eq!(purge().await.unwrap().done, 1, "it expired longer ago");
}

pub(crate) async fn suspend_on_behalf_requires_scope(stores: Stores) {
    let harness = Harness::new(stores);
    let all = ["*", "service-tokens:*"];
    let mighty = harness.issue(scoped_request(&all)).await;
    let globex = harness.issue_for("globex", backup()).await;
    let (id, on_behalf) = (mighty.record.id(), |token| harness.service.on_behalf_of(token));
    let others = harness.caller(&["*", "service-tokens:read", "service-tokens:revoke"]).await;
    let missing = expect_not_permitted(on_behalf(&others).suspend(id, forever()).await);
    assert_eq!(missing, NotPermitted::MissingScope(ReservedScope::Suspend));

    let caller = harness.caller(&["service-tokens:suspend"]).await;
    let foreign = on_behalf(&caller).suspend(globex.record.id(), forever()).await;
    assert!(matches!(foreign, Err(ManageError::NotFound { .. })));
    let _ = harness.events();
    let suspended = on_behalf(&caller).suspend(id, forever()).await.unwrap();
    assert!(!suspended.already_suspended, "also one that may do more");
    let again = on_behalf(&caller).suspend(id, forever()).await.unwrap();
    assert!(again.already_suspended);
    let events = harness.events();
    assert!(matches!(
        events[..],
        [
            Event::Suspended { on_behalf_of: Some(first), .. },
            Event::AlreadySuspended { on_behalf_of: Some(second), .. }
        ] if [first, second] == [caller.id(); 2]
    ));
    assert_eq!(harness.refusal(&text(&mighty)).await, Some(Refusal::Suspended));
    assert_eq!(harness.refusal(&text(&globex)).await, None);
}

pub(crate) async fn suspend_self_requires_no_scope(stores: Stores) {
    for through_self in [true, false] {
        let harness = Harness::new(stores);
        let token = harness.caller(&["files:read"]).await;
        let on_behalf = harness.service.on_behalf_of(&token);
        let suspended = match through_self {
            true => on_behalf.suspend_self(forever().lasting(HOUR)).await,
            false => on_behalf.suspend(token.id(), forever().lasting(HOUR)).await,
        };
        assert!(!suspended.unwrap().already_suspended);
        // It is refused from now on, so it cannot lengthen the suspension.
        let again = on_behalf.suspend_self(forever()).await;
        assert_eq!(expect_not_active(again), Refusal::Suspended);
        harness.advance(HOUR);
        assert!(on_behalf.get_self().await.is_ok());
    }
}

pub(crate) async fn suspended_token_cannot_call(stores: Stores) {
    let harness = Harness::new(stores);
    let token = harness.caller(&["*", "service-tokens:*"]).await;
    let (target, _) = harness.issue_backup().await;
    suspend(&harness, token.id(), forever()).await;
    let on_behalf = harness.service.on_behalf_of(&token);
    for refusal in [
        expect_not_active(on_behalf.get_self().await),
        expect_not_active(on_behalf.get(target).await),
        expect_not_active(on_behalf.list(ListRequest::new()).await),
        expect_not_active(on_behalf.issue(backup()).await),
        expect_not_active(on_behalf.rotate(target, RotateRequest::at_once()).await),
        expect_not_active(on_behalf.rotate_self(RotateRequest::at_once()).await),
        expect_not_active(on_behalf.revoke(target, RevokeRequest::new()).await),
        expect_not_active(on_behalf.revoke_self(RevokeRequest::new()).await),
        expect_not_active(on_behalf.suspend(target, forever()).await),
    ] {
        assert_eq!(refusal, Refusal::Suspended);
    }
    resume(&harness, token.id()).await;
    assert!(on_behalf.list(ListRequest::new()).await.is_ok());
}

pub(crate) async fn suspend_in_other_view_is_not_found(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, token) = harness.issue_backup().await;
    let globex = harness.service.owner("globex");
    let suspended = globex.suspend(id, forever()).await;
    assert!(matches!(suspended, Err(ManageError::NotFound { .. })));
    assert_eq!(harness.refusal(&token).await, None);
    suspend(&harness, id, forever()).await;
    let resumed = globex.resume(id, ResumeRequest::new()).await;
    assert!(matches!(resumed, Err(ManageError::NotFound { .. })));
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
}

pub(crate) async fn suspend_newer_record_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, _) = plant(&*harness.store, backup(), newer).await;
    let view = harness.service.all_owners();
    let suspended = view.suspend(id, forever()).await;
    assert!(matches!(suspended, Err(ManageError::Store(StoreError::NewerFormat))));
    let resumed = view.resume(id, ResumeRequest::new()).await;
    assert!(matches!(resumed, Err(ManageError::Store(StoreError::NewerFormat))));
}

pub(crate) async fn suspension_reaches_cached_records(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 100);
    let (id, token) = harness.issue_backup().await;
    assert_eq!(harness.refusal(&token).await, None);
    let view = harness.service.owner("acme");
    view.suspend(id, forever()).await.unwrap();
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
    view.resume(id, ResumeRequest::new()).await.unwrap();
    assert_eq!(harness.refusal(&token).await, None);
    // Another process suspends. The cached record is accepted for its age at most.
    let elsewhere = harness.elsewhere().owner("acme");
    elsewhere.suspend(id, forever()).await.unwrap();
    harness.advance(MAX_AGE + MICRO);
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
    // A refusal by a cached record is read again.
    elsewhere.resume(id, ResumeRequest::new()).await.unwrap();
    harness.advance(MINUTE / 60);
    assert_eq!(harness.refusal(&token).await, None);
}

#[allow(clippy::print_stdout, reason = "a test that cannot run says so")]
pub(crate) async fn suspension_survives_reopening(stores: Stores) {
    let Opened { store, guard } = stores.open();
    let (clock, collected) = (Arc::new(ManualClock::default()), Collected::default());
    let service = builder(store.clone()).clock(clock.clone()).events(collected.sink());
    let service = service.build().unwrap();
    let issued = service.owner("acme").issue(backup()).await.unwrap();
    let id = issued.record.id();
    let record = service.owner("acme").suspend(id, forever().lasting(DAY)).await.unwrap().record;
    let _ = collected.take(&service);
    drop(service);
    let Some(opened) = stores.reopen(Opened { store, guard }) else {
        println!("not run: this store retains nothing");
        return;
    };
    let service = builder(opened.store.clone()).clock(clock.clone()).build().unwrap();
    assert_eq!(service.owner("acme").get(id).await.unwrap().record, record);
    let refused = service.verify(&text(&issued), &any()).await;
    assert_eq!(refusal_of(refused), Some(Refusal::Suspended));
    clock.advance(DAY);
    assert!(service.verify(&text(&issued), &any()).await.is_ok());
}
