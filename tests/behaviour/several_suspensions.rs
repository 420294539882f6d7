//! Several suspensions of one token: each incident ends for itself, and none shortens another.

use std::time::Duration;

use super::harness::{
    DAY, HOUR, Harness, MICRO, Stores, backup, below, builder, delta, expect_invalid, issue_many,
    plant, scoped_request, text,
};
use chrono::TimeDelta;
use proptest::prelude::ProptestConfig;
use proptest::test_runner::TestRunner;
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::record::{Field, Rule, SuspensionMatch};
use service_tokens::{Event, Filter, Refusal, ResumeRequest, State, SuspendRequest, TokenId};

behaviours! {
    resume_only_leaves_other_suspensions,
    token_waits_for_its_last_suspension,
    same_name_lengthens_and_does_not_add,
    ninth_suspension_takes_over_first_end,
    suspend_never_shortens,
    token_displaces_no_running_suspension,
    passed_suspension_survives_clock_jumps,
    suspend_by_clock_ahead_deletes_none,
    bulk_suspensions_have_different_starts,
    bulk_suspension_starts_at_a_millisecond,
    resume_with_descendants_spares_others,
}

fn of(reason: &str) -> SuspendRequest {
    SuspendRequest::new().by("alice").reason(reason)
}

fn named(reason: &str) -> SuspensionMatch {
    SuspensionMatch::ByAndReason { by: Some("alice".into()), reason: Some(reason.into()) }
}

async fn reasons(harness: &Harness, id: TokenId) -> Vec<String> {
    let record = harness.record(id).await;
    let reasons = record.suspensions().iter().map(|s| s.reason.as_deref().unwrap().to_owned());
    reasons.collect()
}

pub(crate) async fn resume_only_leaves_other_suspensions(stores: Stores) {
    for (first, second) in [("INC-8", "unpaid"), ("unpaid", "INC-8")] {
        let harness = Harness::new(stores);
        let (id, token) = harness.issue_backup().await;
        let before = harness.record(id).await;
        let view = harness.service.owner("acme");
        view.suspend(id, of("unpaid")).await.unwrap();
        harness.advance(HOUR);
        assert!(!view.suspend(id, of("INC-8")).await.unwrap().already_suspended);
        assert_eq!(reasons(&harness, id).await, ["unpaid", "INC-8"], "the earliest first");
        let _ = harness.events();

        let other = view.resume_only(id, named("INC-9"), ResumeRequest::new()).await.unwrap();
        assert_eq!((other.ended.len(), other.record.suspensions().len()), (0, 2));
        let one = view.resume_only(id, named(first), ResumeRequest::new()).await.unwrap();
        assert_eq!(one.ended.len(), 1);
        assert_eq!(one.ended[0].reason.as_deref(), Some(first));
        assert_eq!(one.record, harness.record(id).await);
        assert_eq!(reasons(&harness, id).await, [second]);
        assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
        let last = view.resume_only(id, named(second), ResumeRequest::new()).await.unwrap();
        assert_eq!(last.ended.len(), 1);
        assert_eq!(harness.refusal(&token).await, None);
        assert_eq!(harness.record(id).await, before);

        let remaining: Vec<Option<usize>> = harness
            .events()
            .iter()
            .filter_map(|event| match event {
                Event::Resumed { remaining, .. } => Some(Some(*remaining)),
                Event::NotSuspended { .. } => Some(None),
                _ => None,
            })
            .collect();
        assert_eq!(remaining, [None, Some(1), Some(0)]);
    }
}

pub(crate) async fn token_waits_for_its_last_suspension(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, token) = harness.issue_backup().await;
    let view = harness.service.owner("acme");
    for (reason, lasting) in [("a", 2 * HOUR), ("b", HOUR), ("c", 3 * HOUR)] {
        view.suspend(id, of(reason).lasting(lasting)).await.unwrap();
    }
    harness.advance(HOUR);
    // One that has passed stays in the record until it is resumed.
    view.suspend(id, of("d").lasting(HOUR)).await.unwrap();
    assert_eq!(reasons(&harness, id).await, ["a", "b", "c", "d"]);
    for reason in ["b", "a", "d"] {
        let one = view.resume_only(id, named(reason), ResumeRequest::new()).await.unwrap();
        assert_eq!(one.ended.len(), 1);
        assert_eq!(one.ended[0].reason.as_deref(), Some(reason));
    }
    harness.advance(2 * HOUR - MICRO);
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
    harness.advance(MICRO);
    assert_eq!(harness.refusal(&token).await, None);
    assert_eq!(reasons(&harness, id).await, ["c"]);
    assert_eq!(view.resume(id, ResumeRequest::new()).await.unwrap().ended.len(), 1);
    assert!(view.resume(id, ResumeRequest::new()).await.unwrap().ended.is_empty());
    assert!(harness.record(id).await.suspensions().is_empty());
}

pub(crate) async fn same_name_lengthens_and_does_not_add(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, _) = harness.issue_backup().await;
    let view = harness.service.owner("acme");
    view.suspend(id, of("INC-8").lasting(DAY)).await.unwrap();
    view.suspend(id, SuspendRequest::new()).await.unwrap();
    // Another author, no author and no reason are other names.
    for other in [of("INC-8").by("bob"), SuspendRequest::new().reason("INC-8")] {
        assert!(!view.suspend(id, other.lasting(HOUR)).await.unwrap().already_suspended);
    }
    assert_eq!(harness.record(id).await.suspensions().len(), 4);
    let shorter = view.suspend(id, of("INC-8").lasting(DAY - MICRO)).await.unwrap();
    assert!(shorter.already_suspended);
    let until = harness.clock.now() + delta(DAY);
    let own = |record: &service_tokens::Record| {
        let mut own = record
            .suspensions()
            .iter()
            .filter(|s| (s.by.as_deref(), s.reason.as_deref()) == (Some("alice"), Some("INC-8")));
        let found = own.next().cloned();
        assert!(own.next().is_none());
        found.unwrap()
    };
    assert_eq!(own(&shorter.record).until, Some(until));
    assert_eq!(shorter.replaced, None);
    harness.advance(MICRO);
    let longer = view.suspend(id, of("INC-8").until(until + delta(MICRO))).await.unwrap();
    assert!(!longer.already_suspended);
    assert_eq!(own(&longer.record).until, Some(until + delta(MICRO)));
    assert_eq!(own(&longer.record).since, harness.clock.now());
    assert_eq!(longer.replaced, Some(own(&shorter.record)));
    assert_eq!(longer.record.suspensions().len(), 4);
}

pub(crate) async fn ninth_suspension_takes_over_first_end(stores: Stores) {
    for (lasting, expected) in [(2 * HOUR, 6 * HOUR), (7 * HOUR, 7 * HOUR)] {
        let harness = Harness::new(stores);
        let (id, token) = harness.issue_backup().await;
        let view = harness.service.owner("acme");
        for hours in [9, 8, 7, 6, 13, 12, 11, 10] {
            view.suspend(id, of(&hours.to_string()).lasting(hours * HOUR)).await.unwrap();
        }
        let suspended = view.suspend(id, of("ninth").lasting(lasting)).await.unwrap();
        assert!(!suspended.already_suspended);
        let replaced = suspended.replaced.unwrap();
        assert_eq!(replaced.reason.as_deref(), Some("6"));
        let named = harness.events().iter().find_map(|event| match event {
            Event::Suspended { replaced: Some(replaced), .. } => Some(replaced.clone()),
            _ => None,
        });
        assert_eq!(named, Some(replaced));
        let record = suspended.record;
        let ends: Vec<_> =
            record.suspensions().iter().map(|s| s.reason.as_deref().unwrap()).collect();
        assert_eq!(ends, ["10", "11", "12", "13", "7", "8", "9", "ninth"]);
        let until = harness.clock.now() + delta(expected);
        assert_eq!(record.suspensions()[7].until, Some(until));
        // The same request has nothing to lengthen.
        assert!(view.suspend(id, of("ninth").lasting(lasting)).await.unwrap().already_suspended);
        // One that has passed makes room first.
        harness.advance(7 * HOUR);
        view.suspend(id, of("tenth").lasting(HOUR)).await.unwrap();
        let left = reasons(&harness, id).await;
        assert_eq!(left, ["10", "11", "12", "13", "7", "8", "9", "tenth"]);
        harness.advance(6 * HOUR);
        assert_eq!(harness.refusal(&token).await, None);
    }
    // Among suspensions without an end, the latest makes room.
    let harness = Harness::new(stores);
    let (id, _) = harness.issue_backup().await;
    let view = harness.service.owner("acme");
    view.suspend(id, of("operator")).await.unwrap();
    for n in 0..20 {
        harness.advance(HOUR);
        view.suspend(id, of(&n.to_string())).await.unwrap();
    }
    assert_eq!(reasons(&harness, id).await, ["operator", "0", "1", "2", "3", "4", "5", "19"]);
}

/// The token is suspended at least as long as any of the requests asked for, in any order.
pub(crate) async fn suspend_never_shortens(stores: Stores) {
    let config =
        ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() };
    let request = (0..12usize, proptest::option::weighted(0.8, 1..40u32), 0..3u32);
    let histories = proptest::collection::vec(request, 1..40);
    let outcome = TestRunner::new(config).run(&histories, |history| {
        futures_lite::future::block_on(async {
            let harness = Harness::new(stores);
            let (id, _) = harness.issue_backup().await;
            let view = harness.service.owner("acme");
            let mut latest = Some(harness.clock.now());
            for (name, hours, pass) in history {
                harness.advance(pass * HOUR);
                let now = harness.clock.now();
                let until = hours.map(|hours| now + delta(hours * HOUR));
                let request = of(&name.to_string());
                let request = until.map_or(request.clone(), |until| request.until(until));
                let record = view.suspend(id, request).await.unwrap().record;
                latest = latest.zip(until).map(|(latest, until)| latest.max(until));
                let ends: Vec<_> = record.suspensions().iter().map(|s| s.until).collect();
                assert!(ends.len() <= 8);
                let last = ends.iter().copied().reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b)));
                assert_eq!(last, Some(latest));
                let own = record
                    .suspensions()
                    .iter()
                    .find(|s| s.reason.as_deref() == Some(&*name.to_string()));
                let own = own.expect("the request is in the record").until;
                assert!(own.is_none() || until.is_some_and(|until| own >= Some(until)));
            }
        });
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// A token that may suspend cannot remove what an operator did.
pub(crate) async fn token_displaces_no_running_suspension(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, target) = harness.issue_backup().await;
    let caller = harness.issue(scoped_request(&["service-tokens:suspend"])).await;
    let caller = harness.verify(&text(&caller)).await.unwrap();
    let view = harness.service.owner("acme");
    let by_token = |n: u32| of(&format!("t{n}")).lasting(DAY * (n + 1));
    view.suspend(id, of("INC-42").lasting(HOUR)).await.unwrap();
    for n in 0..7 {
        harness.service.on_behalf_of(&caller).suspend(id, by_token(n)).await.unwrap();
    }
    let before = harness.record(id).await;
    let ninth = harness.service.on_behalf_of(&caller).suspend(id, by_token(7)).await;
    expect_invalid(ninth, Field::Suspensions, Rule::TooMany { max: 8 });
    assert_eq!(harness.record(id).await, before);
    // It may still lengthen one, and take the place of one that has passed.
    let longer = by_token(0).lasting(30 * DAY);
    harness.service.on_behalf_of(&caller).suspend(id, longer).await.unwrap();
    harness.advance(HOUR - MICRO);
    assert!(harness.service.on_behalf_of(&caller).suspend(id, by_token(7)).await.is_err());
    harness.advance(MICRO);
    harness.service.on_behalf_of(&caller).suspend(id, by_token(7)).await.unwrap();
    assert!(!reasons(&harness, id).await.contains(&"INC-42".to_owned()));
    // An operator has room always.
    assert!(!view.suspend(id, of("INC-43")).await.unwrap().already_suspended);
    assert_eq!(harness.refusal(&target).await, Some(Refusal::Suspended));
}

/// A jump that is not acknowledged lets no suspension pass, and brings none back that has passed.
pub(crate) async fn passed_suspension_survives_clock_jumps(stores: Stores) {
    for jump in [TimeDelta::days(3), TimeDelta::seconds(-61), TimeDelta::seconds(61)] {
        let harness = Harness::new(stores);
        let (id, token) = harness.issue_backup().await;
        let (other, still) = harness.issue_backup().await;
        let view = harness.service.owner("acme");
        view.suspend(id, of("INC-8").lasting(HOUR)).await.unwrap();
        harness.advance(2 * HOUR);
        assert_eq!(harness.refusal(&token).await, None);
        view.suspend(other, of("INC-9").lasting(HOUR)).await.unwrap();
        harness.clock.set(harness.clock.now() + jump);
        for _ in 0..2 {
            assert_eq!(harness.refusal(&token).await, None, "{jump}");
            assert_eq!(harness.refusal(&still).await, Some(Refusal::Suspended), "{jump}");
            assert!(harness.service.has_clock_jumped());
            harness.advance(4 * DAY);
        }
        harness.service.acknowledge_clock_jump();
        assert_eq!(harness.refusal(&still).await, None, "{jump}");
    }
}

/// A process that starts with a clock that is ahead takes the suspension for passed, and must not delete it.
pub(crate) async fn suspend_by_clock_ahead_deletes_none(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, token) = harness.issue_backup().await;
    let view = harness.service.owner("acme");
    view.suspend(id, of("unpaid").lasting(2 * DAY)).await.unwrap();
    let ahead = ManualClock::default();
    ahead.set(harness.clock.now() + delta(3 * DAY));
    let wrong = builder(harness.store.clone()).clock(ahead).build().unwrap();
    wrong.owner("acme").suspend(id, of("INC-8")).await.unwrap();
    wrong.owner("acme").resume_only(id, named("INC-8"), ResumeRequest::new()).await.unwrap();
    assert_eq!(reasons(&harness, id).await, ["unpaid"]);
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
}

/// Time stands still, and each bulk suspension can be ended by its start.
pub(crate) async fn bulk_suspensions_have_different_starts(stores: Stores) {
    let harness = Harness::new(stores);
    issue_many(&harness.store, 3).await;
    let view = harness.service.owner("acme");
    let one = view.suspend_all(Filter::new(), of("INC-8"));
    let other = view.suspend_all(Filter::new(), of("INC-9"));
    let (first, second) = (one.since(), other.since());
    assert_eq!(second - first, TimeDelta::milliseconds(1));
    assert_eq!(one.run().await.unwrap().done, 3);
    assert_eq!(other.run().await.unwrap().done, 3);
    let which = SuspensionMatch::Since(first);
    let run = view.resume_all(Filter::new(), which, ResumeRequest::new()).run();
    assert_eq!(run.await.unwrap().done, 3);
    let page = view.count(Filter::new().states(State::Suspended)).await.unwrap();
    assert_eq!(page, 3, "INC-9 suspends them");
    let which = SuspensionMatch::Since(second);
    let run = view.resume_all(Filter::new(), which, ResumeRequest::new()).run();
    assert_eq!(run.await.unwrap().done, 3);
    assert_eq!(view.count(Filter::new().states(State::Active)).await.unwrap(), 3);
}

/// A client that rounds times to milliseconds can send the start back. No other time names it.
pub(crate) async fn bulk_suspension_starts_at_a_millisecond(stores: Stores) {
    let micros = Duration::from_micros;
    for (sent, done) in [(0, 1), (1, 0), (456, 0), (1_000, 0)] {
        let harness = Harness::new(stores);
        harness.issue_backup().await;
        let whole = harness.clock.now();
        harness.advance(micros(456));
        let view = harness.service.owner("acme");
        let suspend_all = view.suspend_all(Filter::new(), of("INC-8"));
        assert_eq!(suspend_all.since(), whole);
        assert_eq!(suspend_all.run().await.unwrap().done, 1);
        let which = SuspensionMatch::Since(whole + delta(micros(sent)));
        let run = view.resume_all(Filter::new(), which, ResumeRequest::new()).run();
        assert_eq!(run.await.unwrap().done, done, "{sent}");
    }
}

pub(crate) async fn resume_with_descendants_spares_others(stores: Stores) {
    let harness = Harness::new(stores);
    let (head, _) = harness.issue_backup().await;
    let store = harness.store.clone();
    let (child, _) = plant(&*store, backup(), |record| below(record, &[head])).await;
    let (other, _) = harness.issue_backup().await;
    let view = harness.service.owner("acme");
    assert_eq!(view.suspend_all(Filter::new(), of("INC-8")).run().await.unwrap().done, 3);
    view.suspend(child, of("unpaid")).await.unwrap();
    let _ = harness.events();
    let run = || view.resume_with_descendants(head, named("INC-8"), ResumeRequest::new());
    assert_eq!(run().count().await.unwrap(), 2);
    assert_eq!(run().run().await.unwrap().done, 2);
    assert_eq!(run().run().await.unwrap().done, 0);
    assert_eq!(harness.state(head).await, State::Active);
    assert_eq!(reasons(&harness, child).await, ["unpaid"]);
    assert_eq!(reasons(&harness, other).await, ["INC-8"]);
    let events = harness.events();
    let whole = events.iter().find_map(|event| match event {
        Event::ResumedAll { with, resumed, .. } => Some((*with, *resumed)),
        _ => None,
    });
    assert_eq!(whole, Some((Some(head), 2)));
    let foreign = harness.service.owner("globex");
    let run = foreign.resume_with_descendants(head, named("INC-8"), ResumeRequest::new()).run();
    assert_eq!(run.await.unwrap().done, 0);
}
