//! Reports of leaked tokens that issued others.

use super::harness::{
    DAY, Fault, Harness, MICRO, Op, Stores, backup, below, newer, plant, plant_of,
    rotated_before_call, scope_set, scoped_request, text,
};
use service_tokens::leak::{LeakAction, LeakOutcome, LeakReport, LeakResponse, ReportLeakError};
use service_tokens::record::SuspensionMatch;
use service_tokens::{
    AmendRequest, Event, Filter, Issued, LeakRequest, Refusal, ResumeRequest, RotateRequest, State,
    SuspendRequest, TokenId, TokenService, TokenStore,
};

behaviours! {
    report_leak_suspends_descendants,
    report_leak_suspends_descendants_of_suspended,
    report_leak_suspend_meets_rotation,
    report_leak_counts_failed_descendants,
    report_leak_counts_live_descendants,
    report_leak_counts_after_clock_error,
    report_leak_stops_descendants_of_amended,
    report_leak_with_failed_count_says_so,
    report_leak_with_failed_bulk_has_counts,
    report_leak_event_names_action,
}

fn found() -> LeakRequest {
    LeakRequest::new().by("scanner").reason("INC-42")
}

async fn report<S: TokenStore>(
    service: &TokenService<S>,
    issued: &Issued,
    action: LeakAction,
) -> LeakReport {
    service.report_leak(&text(issued), action, found()).await.unwrap()
}

/// Adds a child and a grandchild of a token. Returns their ids and texts.
async fn family<S: TokenStore>(harness: &Harness<S>, head: TokenId) -> [(TokenId, String); 2] {
    let store = &*harness.store;
    let child = plant(store, backup(), |record| below(record, &[head])).await;
    let grandchild = plant(store, backup(), |record| below(record, &[child.0, head])).await;
    [child, grandchild]
}

pub(crate) async fn report_leak_suspends_descendants(stores: Stores) {
    for scope in ["service-tokens:issue", "service-tokens:rotate", "service-tokens:*"] {
        // Time passes at every call of the store.
        let harness = Harness::builder(stores)
            .faulty_with_rival(|_, clock, _| Box::pin(async move { clock.advance(MICRO) }))
            .build();
        let issued = harness.issue(scoped_request(&["x", scope])).await;
        let id = issued.record.id();
        let below = family(&harness, id).await;
        let bystander = harness.issue(backup()).await;
        let _ = harness.events();
        harness.faulty().arm(&[], Fault::Rival(0));
        let told = report(&harness.service, &issued, LeakAction::Suspend).await;
        harness.faulty().disarm();
        let LeakResponse::Suspended { descendants: Some(outcome) } = &told.response else {
            panic!("{told:?}")
        };
        assert_eq!((outcome.done, outcome.failed), (2, 0), "{scope}");
        assert_eq!(told.live_descendants, None);
        for (_, token) in &below {
            assert_eq!(harness.refusal(token).await, Some(Refusal::Suspended));
        }
        assert_eq!(harness.refusal(&text(&issued)).await, Some(Refusal::Suspended));
        assert!(harness.accepts(&text(&bystander)).await);

        let mut events = harness.events_but_refusals();
        assert!(matches!(events.pop(), Some(Event::LeakReported { .. })));
        let Some(Event::SuspendedAll { filter, since, suspended: 2, .. }) = events.pop() else {
            panic!("{events:?}")
        };
        assert_eq!(filter.issuer, Some(id));
        // The token and its descendants have one suspension, so one resumption ends it.
        let which = SuspensionMatch::Since(since);
        let acme = harness.service.owner("acme");
        let resumed = acme.resume_all(Filter::new(), which, ResumeRequest::new()).run().await;
        assert_eq!(resumed.unwrap().done, 3);
        assert!(harness.accepts(&text(&issued)).await && harness.accepts(&below[1].1).await);
    }
    // A token that can only rotate itself has no descendants.
    let harness = Harness::new(stores);
    let issued = harness.issue(scoped_request(&["*", "service-tokens:rotate-self"])).await;
    let told = report(&harness.service, &issued, LeakAction::Suspend).await;
    assert!(matches!(told.response, LeakResponse::Suspended { descendants: None }));
    assert_eq!(told.live_descendants, Some(0));
}

pub(crate) async fn report_leak_suspends_descendants_of_suspended(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(scoped_request(&["service-tokens:issue"])).await;
    let [(_, child), _] = family(&harness, issued.record.id()).await;
    let acme = harness.service.owner("acme");
    acme.suspend(issued.record.id(), SuspendRequest::new().by("alice")).await.unwrap();
    let told = report(&harness.service, &issued, LeakAction::Suspend).await;
    assert!(matches!(told.outcome, LeakOutcome::Live { state: State::Suspended, .. }));
    assert_eq!(told.response.descendants().map(|outcome| outcome.done), Some(2));
    assert_eq!(harness.refusal(&child).await, Some(Refusal::Suspended));
}

/// The operator's new secret did not leak, so the token is not suspended.
pub(crate) async fn report_leak_suspend_meets_rotation(stores: Stores) {
    for at in [0, 1, 2] {
        let rotation = RotateRequest::at_once();
        let (harness, issued) = rotated_before_call(stores, at, rotation).await;
        let told = report(&harness.service, &issued, LeakAction::Suspend).await;
        harness.faulty().disarm();
        assert!(matches!(told.outcome, LeakOutcome::EndedSecret), "{at}: {told:?}");
        assert!(matches!(told.response, LeakResponse::Nothing), "{at}: {told:?}");
        assert_eq!(harness.state(issued.record.id()).await, State::Active, "{at}");
    }
}

pub(crate) async fn report_leak_counts_failed_descendants(stores: Stores) {
    for action in [LeakAction::Revoke, LeakAction::Suspend] {
        let harness = Harness::new(stores);
        let issued = harness.issue(scoped_request(&["service-tokens:issue"])).await;
        let head = issued.record.id();
        let _ = plant(&*harness.store, backup(), |record| newer(&below(record, &[head]))).await;
        let told = report(&harness.service, &issued, action).await;
        let outcome = told.response.descendants().unwrap();
        assert_eq!((outcome.done, outcome.failed), (0, 1), "{action:?}");
    }
}

pub(crate) async fn report_leak_counts_live_descendants(stores: Stores) {
    let harness = Harness::new(stores);
    let older = harness.issue(scoped_request(&["service-tokens:*"])).await;
    let id = older.record.id();
    let rotation = RotateRequest::with_overlap(DAY);
    let newest = harness.service.owner("acme").rotate(id, rotation).await.unwrap();
    let [(child, _), (_, grandchild)] = family(&harness, id).await;
    let _ = plant_of("globex", &*harness.store, backup(), |record| below(record, &[id])).await;

    for issued in [&older, &newest] {
        let told = report(&harness.service, issued, LeakAction::Report).await;
        assert_eq!(told.live_descendants, Some(2));
    }
    harness.revoke(child).await;
    let told = report(&harness.service, &older, LeakAction::Revoke).await;
    assert!(matches!(told.response, LeakResponse::EndedOlder), "{told:?}");
    assert_eq!(told.live_descendants, Some(1));
    assert!(harness.accepts(&grandchild).await, "the older secret is ended alone");
    // The secret has ended, and its finder may still have the grandchild.
    let told = report(&harness.service, &older, LeakAction::Revoke).await;
    assert!(matches!(told.outcome, LeakOutcome::EndedSecret));
    assert_eq!(told.live_descendants, Some(1));
    harness.revoke(id).await;
    let told = report(&harness.service, &newest, LeakAction::Revoke).await;
    assert!(matches!(told.outcome, LeakOutcome::EndedToken { .. }));
    assert_eq!(told.live_descendants, Some(1));

    let alone = harness.issue(backup()).await;
    let told = report(&harness.service, &alone, LeakAction::Report).await;
    assert_eq!(told.live_descendants, Some(0));
    let none = harness.service.report_leak("acme_live_1x", LeakAction::Report, found()).await;
    assert_eq!(none.unwrap().live_descendants, None);
}

/// After the clock ran ahead, a token that expired by the service's time may be accepted elsewhere.
pub(crate) async fn report_leak_counts_after_clock_error(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(scoped_request(&["*", "service-tokens:issue"])).await;
    let token = harness.verified(&issued).await;
    let child = backup().expires_in(DAY);
    let _ = harness.service.on_behalf_of(&token).issue(child).await.unwrap();
    let right = harness.service.now();
    harness.clock.set(right + chrono::TimeDelta::days(2));
    let _ = harness.service.now();
    harness.clock.set(right);
    let told = report(&harness.service, &issued, LeakAction::Report).await;
    assert_eq!(told.live_descendants, Some(1));
}

/// A token may have issued others before an amendment took the scope from it.
pub(crate) async fn report_leak_stops_descendants_of_amended(stores: Stores) {
    for (action, refusal) in
        [(LeakAction::Revoke, Refusal::Revoked), (LeakAction::Suspend, Refusal::Suspended)]
    {
        let harness = Harness::new(stores);
        let issued = harness.issue(scoped_request(&["x", "service-tokens:issue"])).await;
        let id = issued.record.id();
        let [(_, child), _] = family(&harness, id).await;
        let narrower = AmendRequest::new().scopes(scope_set(&["x"]));
        harness.service.owner("acme").amend(id, narrower).await.unwrap();
        let told = report(&harness.service, &issued, action).await;
        assert_eq!(told.response.descendants().map(|outcome| outcome.done), Some(2));
        assert_eq!(harness.refusal(&child).await, Some(refusal));
    }
}

pub(crate) async fn report_leak_with_failed_count_says_so(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    for action in [LeakAction::Report, LeakAction::Revoke] {
        let issued = harness.issue(backup()).await;
        // The look-up, and for a revocation another one and the write, come before the list.
        let before = if action == LeakAction::Report { 1 } else { 3 };
        harness.faulty().arm(&vec![Fault::None; before], Fault::Unavailable);
        let outcome = harness.service.report_leak(&text(&issued), action, found()).await;
        assert_eq!(harness.faulty().calls().last(), Some(&(Op::List, Fault::Unavailable)));
        harness.faulty().disarm();
        let Err(ReportLeakError::NotDone { report, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(report.live_descendants, None);
        let revoked = matches!(report.response, LeakResponse::Revoked { descendants: None });
        assert_eq!(revoked, action == LeakAction::Revoke, "{report:?}");
    }
}

pub(crate) async fn report_leak_with_failed_bulk_has_counts(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    for action in [LeakAction::Revoke, LeakAction::Suspend] {
        let issued = harness.issue(scoped_request(&["service-tokens:issue"])).await;
        // Two look-ups and the write come before the list of the bulk operation.
        harness.faulty().arm(&[Fault::None; 3], Fault::Unavailable);
        let outcome = harness.service.report_leak(&text(&issued), action, found()).await;
        harness.faulty().disarm();
        let Err(ReportLeakError::NotDone { report, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(report.response.descendants().map(|outcome| outcome.done), Some(0));
    }
}

pub(crate) async fn report_leak_event_names_action(stores: Stores) {
    let harness = Harness::new(stores);
    let older = harness.issue(scoped_request(&["service-tokens:issue"])).await;
    let id = older.record.id();
    let rotation = RotateRequest::with_overlap(DAY);
    let newest = harness.service.owner("acme").rotate(id, rotation).await.unwrap();
    let _ = family(&harness, id).await;
    let _ = harness.events();
    for (issued, asked, names, live) in [
        (&newest, LeakAction::Report, ("report", "nothing"), Some(2)),
        (&older, LeakAction::Suspend, ("suspend", "ended_older"), Some(2)),
        (&newest, LeakAction::Suspend, ("suspend", "suspended"), None),
        (&newest, LeakAction::Revoke, ("revoke", "revoked"), None),
        (&newest, LeakAction::Revoke, ("revoke", "nothing"), Some(0)),
    ] {
        report(&harness.service, issued, asked).await;
        let events = harness.events();
        let ended_older = events.iter().find_map(|event| match event {
            Event::OlderSecretEnded { by, reason, .. } => Some((by.clone(), reason.clone())),
            _ => None,
        });
        let expected = (Some("scanner".to_owned()), Some("INC-42".to_owned()));
        assert_eq!(ended_older, (names.1 == "ended_older").then(|| expected.clone()));
        let Some(Event::LeakReported { action, response, live_descendants, by, reason, .. }) =
            events.last()
        else {
            panic!("{events:?}")
        };
        assert_eq!((*action, *response), names);
        assert_eq!(*live_descendants, live, "{names:?}");
        assert_eq!((by.clone(), reason.clone()), expected);
    }
}
