//! The owner gate: the tokens of a closed owner are refused, and exactly those that worked before are
//! accepted when it is open again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::harness::{
    Fault, HOUR, Harness, Stores, any, backup, delta, expect_not_active, records, requirement,
    scoped_request, text,
};
use service_tokens::error::NotPermitted;
use service_tokens::{
    Event, Filter, ListRequest, ManageError, OwnerGate, OwnerStatus, Refusal, ResumeRequest,
    RevokeRequest, RotateRequest, State, SuspendRequest, VerifyError,
};

behaviours! {
    closed_owner_is_refused_until_open,
    unknown_owner_is_unavailable,
    closed_owner_changes_no_record,
    owner_gate_is_read_for_live_tokens_only,
    refusals_have_their_order,
    token_of_closed_owner_cannot_call,
    issue_while_owner_closes_leaves_no_token,
    cached_records_read_the_owner_gate,
    owner_gate_can_be_shared,
}

/// The status of each owner. All others are open.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<GateState>>);

#[derive(Default)]
struct GateState {
    owners: HashMap<String, OwnerStatus>,
    calls: usize,
}

impl Gate {
    fn set(&self, owner: &str, status: OwnerStatus) {
        self.0.lock().unwrap().owners.insert(owner.to_owned(), status);
    }

    fn calls(&self) -> usize {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }
}

impl OwnerGate for Gate {
    fn status(&self, owner: &str) -> OwnerStatus {
        let mut state = self.0.lock().unwrap();
        state.calls += 1;
        state.owners.get(owner).copied().unwrap_or(OwnerStatus::Open)
    }
}

fn gated(stores: Stores) -> (Gate, Harness) {
    let gate = Gate::default();
    let of_service = gate.clone();
    let harness = Harness::builder(stores).configure(|service| service.owner_gate(of_service));
    (gate, harness.build())
}

pub(crate) async fn closed_owner_is_refused_until_open(stores: Stores) {
    let (gate, harness) = gated(stores);
    let acme = harness.issue(backup()).await;
    let globex = harness.issue_for("globex", backup()).await;
    let verified = harness.verified(&acme).await;
    gate.set("acme", OwnerStatus::Closed);
    let _ = harness.events();
    assert_eq!(harness.refusal(&text(&acme)).await, Some(Refusal::OwnerClosed));
    assert_eq!(harness.refusal(&text(&globex)).await, None);
    let active = harness.service.still_active(&verified).await.unwrap_err();
    assert_eq!(active.refusal(), Some(Refusal::OwnerClosed));
    let events = harness.events();
    let refused =
        |event: &&Event| matches!(event, Event::Refused { reason: Refusal::OwnerClosed, .. });
    assert!(events.iter().filter(refused).count() >= 1, "{events:?}");
    gate.set("acme", OwnerStatus::Open);
    assert_eq!(harness.refusal(&text(&acme)).await, None);
    assert!(harness.service.still_active(&verified).await.is_ok());
}

pub(crate) async fn unknown_owner_is_unavailable(stores: Stores) {
    let (gate, harness) = gated(stores);
    let issued = harness.issue(backup()).await;
    gate.set("acme", OwnerStatus::Unknown);
    for outcome in [
        harness.service.verify(&text(&issued), &any()).await,
        harness.service.verify_uncached(&text(&issued), &requirement("files:read")).await,
        harness.service.authenticate(&text(&issued)).await,
    ] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, VerifyError::OwnerUnknown), "{error:?}");
        assert_eq!(error.refusal(), Some(Refusal::OwnerUnknown));
        assert_eq!(error.to_string(), "tokens cannot be verified at the moment");
    }
    gate.set("acme", OwnerStatus::Open);
    assert_eq!(harness.refusal(&text(&issued)).await, None);
}

/// Closing an owner stops its tokens without a write, so what was revoked, suspended or pending before is so
/// afterwards.
pub(crate) async fn closed_owner_changes_no_record(stores: Stores) {
    let (gate, harness) = gated(stores);
    let active = harness.issue(backup()).await;
    let suspended = harness.issue(backup()).await;
    let revoked = harness.issue(backup()).await;
    let view = harness.service.owner("acme");
    view.suspend(suspended.record.id(), SuspendRequest::new()).await.unwrap();
    harness.revoke(revoked.record.id()).await;
    let before = records(&*harness.store).await;
    gate.set("acme", OwnerStatus::Closed);
    assert_eq!(harness.refusal(&text(&active)).await, Some(Refusal::OwnerClosed));
    // The embedder still manages the tokens of a closed owner, and lists show their states.
    assert_eq!(view.list(ListRequest::new()).await.unwrap().items.len(), 2);
    let page = view.list(Filter::new().states(State::Active).into()).await.unwrap();
    assert_eq!(page.items.len(), 1);
    gate.set("acme", OwnerStatus::Open);
    assert_eq!(records(&*harness.store).await, before);
    assert_eq!(harness.refusal(&text(&active)).await, None);
    assert_eq!(harness.refusal(&text(&suspended)).await, Some(Refusal::Suspended));
    assert_eq!(harness.refusal(&text(&revoked)).await, Some(Refusal::Revoked));
    gate.set("acme", OwnerStatus::Closed);
    assert!(
        view.resume(suspended.record.id(), ResumeRequest::new()).await.unwrap().ended.len() == 1
    );
    assert_eq!(harness.refusal(&text(&suspended)).await, Some(Refusal::OwnerClosed));
}

pub(crate) async fn owner_gate_is_read_for_live_tokens_only(stores: Stores) {
    let (gate, harness) = gated(stores);
    let issued = harness.issue(backup()).await;
    let revoked = harness.issue(backup()).await;
    harness.revoke(revoked.record.id()).await;
    let _ = gate.calls();
    assert!(harness.verify("not a token").await.is_err());
    assert!(harness.verify(&text(&revoked)).await.is_err());
    assert_eq!(gate.calls(), 0, "a client without a live token cannot call it");
    assert!(harness.verify(&text(&issued)).await.is_ok());
    assert!(gate.calls() >= 1);
}

/// A suspended token of a closed owner, of a type that is unknown, without the scope.
pub(crate) async fn refusals_have_their_order(stores: Stores) {
    let (gate, harness) = gated(stores);
    let start = service_tokens::clock::Clock::now(&*harness.clock) + delta(HOUR);
    let pending = harness.issue(backup().not_before(start).expires_in(4 * HOUR)).await;
    let (id, token) = (pending.record.id(), text(&pending));
    let view = harness.service.owner("acme");
    view.suspend(id, SuspendRequest::new().lasting(2 * HOUR)).await.unwrap();
    gate.set("acme", OwnerStatus::Closed);
    let strict = requirement("none:such");
    let refusal = async |token: &str| {
        harness.service.verify(token, &strict).await.map_err(|error| error.refusal().unwrap())
    };
    assert_eq!(refusal(&token).await.unwrap_err(), Refusal::NotYetActive);
    harness.advance(HOUR);
    assert_eq!(refusal(&token).await.unwrap_err(), Refusal::Suspended);
    harness.advance(HOUR);
    assert_eq!(refusal(&token).await.unwrap_err(), Refusal::OwnerClosed);
    gate.set("acme", OwnerStatus::Unknown);
    assert_eq!(refusal(&token).await.unwrap_err(), Refusal::OwnerUnknown);
    gate.set("acme", OwnerStatus::Open);
    assert_eq!(refusal(&token).await.unwrap_err(), Refusal::MissingScope);
    let newest = harness.rotate(id, RotateRequest::at_once()).await;
    view.suspend(id, SuspendRequest::new()).await.unwrap();
    gate.set("acme", OwnerStatus::Closed);
    assert_eq!(refusal(&token).await.unwrap_err(), Refusal::SecretEnded, "before suspended");
    assert_eq!(refusal(&newest).await.unwrap_err(), Refusal::Suspended);
    harness.advance(2 * HOUR);
    assert_eq!(refusal(&newest).await.unwrap_err(), Refusal::Expired, "before suspended");
    harness.revoke(id).await;
    assert_eq!(refusal(&newest).await.unwrap_err(), Refusal::Revoked);
}

pub(crate) async fn token_of_closed_owner_cannot_call(stores: Stores) {
    for (status, expected) in
        [(OwnerStatus::Closed, Refusal::OwnerClosed), (OwnerStatus::Unknown, Refusal::OwnerUnknown)]
    {
        let (gate, harness) = gated(stores);
        let token = harness.caller(&["*", "service-tokens:*"]).await;
        let (target, _) = harness.issue_backup().await;
        let before = records(&*harness.store).await;
        gate.set("acme", status);
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
            expect_not_active(on_behalf.suspend(target, SuspendRequest::new()).await),
            expect_not_active(on_behalf.suspend_self(SuspendRequest::new()).await),
        ] {
            assert_eq!(refusal, expected);
        }
        assert_eq!(records(&*harness.store).await, before);
    }
}

pub(crate) async fn issue_while_owner_closes_leaves_no_token(stores: Stores) {
    let gate = Gate::default();
    let (of_service, of_rival) = (gate.clone(), gate.clone());
    let harness = Harness::builder(stores)
        .faulty_with_rival(move |_, _, _| {
            of_rival.set("acme", OwnerStatus::Closed);
            Box::pin(async {})
        })
        .configure(|service| service.owner_gate(of_service))
        .build();
    let issued = harness.issue(scoped_request(&["x", "service-tokens:issue"])).await;
    let token = harness.verified(&issued).await;
    harness.faulty().arm(&[Fault::None, Fault::Rival(0)], Fault::None);
    let error =
        harness.service.on_behalf_of(&token).issue(scoped_request(&["x"])).await.unwrap_err();
    let ManageError::Overtaken { id, cause } = error else { panic!("{error:?}") };
    assert_eq!(cause, NotPermitted::NotActive(Refusal::OwnerClosed));
    assert_eq!(harness.state(id).await, State::Revoked);
}

pub(crate) async fn cached_records_read_the_owner_gate(stores: Stores) {
    let gate = Gate::default();
    let of_service = gate.clone();
    let harness = Harness::builder(stores)
        .remote()
        .configure(|service| service.owner_gate(of_service).cache_records(HOUR, 100))
        .build();
    let (_, token) = harness.issue_backup().await;
    assert_eq!(harness.refusal(&token).await, None);
    gate.set("acme", OwnerStatus::Closed);
    assert_eq!(harness.refusal(&token).await, Some(Refusal::OwnerClosed));
    gate.set("acme", OwnerStatus::Open);
    assert_eq!(harness.refusal(&token).await, None);
}

pub(crate) async fn owner_gate_can_be_shared(stores: Stores) {
    let gate = Gate::default();
    gate.set("acme", OwnerStatus::Closed);
    let closed = |owner: &str| match owner {
        "acme" => OwnerStatus::Closed,
        _ => OwnerStatus::Open,
    };
    let gates: [Box<dyn OwnerGate>; 3] =
        [Box::new(gate.clone()), Box::new(Arc::new(gate)), Box::new(closed)];
    for gate in gates {
        let harness =
            Harness::builder(stores).configure(|service| service.owner_gate(gate)).build();
        let (_, token) = harness.issue_backup().await;
        assert_eq!(harness.refusal(&token).await, Some(Refusal::OwnerClosed));
    }
}
