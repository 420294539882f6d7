//! Drafts on behalf of a token: the issuing token is read again at the confirmation, at any point of which it
//! may end.

use std::sync::{Arc, Mutex};

use futures_lite::future::poll_once;
use service_tokens::error::NotPermitted;
use service_tokens::event::Operation;
use service_tokens::store::States;
use service_tokens::{
    Event, IssueDraft, ManageError, OwnerGate, OwnerStatus, Refusal, ReservedScope, RotateRequest,
};

use super::drafts::{commit, expect_events};
use super::harness::{
    Courses, Family, Fault, Harness, MANAGER, Op, Stores, any, backup, expect_invalid,
    expect_not_permitted, files_request, revoke_with_descendants, scope_set, scoped_request, text,
};
use service_tokens::record::{Field, Rule};
use service_tokens::{AmendRequest, IssueRequest, Record, RevokeRequest, TokenStore};

behaviours! {
    draft_on_behalf_is_below_its_caller,
    prepare_issue_on_behalf_has_its_limits,
    confirm_with_ended_caller_leaves_no_token,
    confirm_with_faults_leaves_no_usable_token,
    confirm_reads_the_caller_after_the_record,
    confirm_with_unknown_owner_can_be_repeated,
    failed_revocation_of_new_token_is_repeated,
    pause_issuing_ignores_open_draft,
    pause_issuing_waits_for_confirmation,
    confirm_after_pause_revokes_what_was_stored,
    late_commit_after_pause_is_revoked,
}

pub(crate) async fn draft_on_behalf_is_below_its_caller(stores: Stores) {
    let harness = Harness::new(stores);
    let caller = harness.caller(&MANAGER).await;
    let _ = harness.events();
    let on_behalf = harness.service.on_behalf_of(&caller);
    let mut draft = on_behalf.prepare_issue(files_request()).await.unwrap();
    let id = draft.record().id();
    assert_eq!(draft.record().issuers(), [caller.id()]);
    commit(&harness.store, &draft).await;
    let issued = draft.confirm().await.unwrap();
    assert!(harness.accepts(&text(&issued)).await);
    let dropped = on_behalf.prepare_issue(files_request()).await.unwrap();
    drop(dropped);
    let events = harness.events();
    let callers: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Prepared { operation: Operation::Issue, on_behalf_of, .. }
            | Event::NotConfirmed { operation: Operation::Issue, on_behalf_of, .. }
            | Event::Issued { on_behalf_of, .. } => *on_behalf_of,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(callers, [Some(caller.id()); 4]);
    assert_eq!([events[0].id(), events[1].id()], [Some(id); 2]);
}

pub(crate) async fn prepare_issue_on_behalf_has_its_limits(stores: Stores) {
    let harness = Harness::new(stores);
    let caller = harness.caller(&["files:read", "service-tokens:issue"]).await;
    let wider = harness.service.on_behalf_of(&caller).prepare_issue(files_request()).await;
    expect_invalid(wider, Field::Scopes, Rule::ExceedsCallerScopes);
    let reader = harness.caller(&["files:*", "service-tokens:read"]).await;
    let refused = harness.service.on_behalf_of(&reader).prepare_issue(files_request()).await;
    let missing = NotPermitted::MissingScope(ReservedScope::Issue);
    assert_eq!(expect_not_permitted(refused), missing);
    let events = harness.events();
    let [.., Event::Failed { operation, on_behalf_of, .. }] = &events[..] else { panic!() };
    assert_eq!((*operation, *on_behalf_of), (Operation::PrepareIssue, Some(reader.id())));
}

const REVOKE: u8 = 0;
const REVOKE_PARENT: u8 = 1;
const ROTATE: u8 = 2;
const NARROW: u8 = 3;
const SHORTEN: u8 = 4;
const SUSPEND: u8 = 5;
const REMOVE: u8 = 6;
const COMMIT: u8 = 7;

/// The record of the draft, which the embedder's transaction inserts.
type Transaction = Arc<Mutex<Option<Record>>>;

async fn family(stores: Stores) -> (Family, Transaction) {
    let transaction = Transaction::default();
    let of_rival = transaction.clone();
    let family = Family::new(stores, move |service, ids, what| {
        let record = of_rival.lock().unwrap().clone();
        Box::pin(async move {
            let (acme, token) = (service.owner("acme"), ids.token);
            match what {
                REVOKE => revoke_with_descendants(&service, token).await,
                REVOKE_PARENT => revoke_with_descendants(&service, ids.parent).await,
                NARROW => {
                    let scopes = scope_set(&["service-tokens:issue"]);
                    acme.amend(token, AmendRequest::new().scopes(scopes)).await.unwrap();
                }
                SHORTEN => {
                    let request = AmendRequest::new().expires_in(super::harness::HOUR);
                    acme.amend(token, request).await.unwrap();
                }
                SUSPEND => {
                    let request = service_tokens::SuspendRequest::new();
                    let run = acme.suspend_with_descendants(token, request).run().await;
                    assert_eq!(run.unwrap().failed, 0);
                }
                REMOVE => {
                    let stored = service.store().find(token).await.unwrap().unwrap();
                    service.store().remove(token, stored.version).await.unwrap();
                }
                COMMIT => drop(service.store().insert(&record.unwrap()).await),
                _ => drop(acme.rotate(token, RotateRequest::at_once()).await.unwrap()),
            }
        })
    })
    .await;
    (family, transaction)
}

async fn prepare(family: &Family, transaction: &Transaction) -> IssueDraft {
    let on_behalf = family.service.on_behalf_of(&family.token);
    let draft = on_behalf.prepare_issue(scoped_request(&["x"])).await.unwrap();
    *transaction.lock().unwrap() = Some(draft.record().clone());
    draft
}

/// The caller ends before the commit, before the reading of the new record, or before its own reading.
pub(crate) async fn confirm_with_ended_caller_leaves_no_token(stores: Stores) {
    for rival in [REVOKE, REVOKE_PARENT, ROTATE, NARROW, SHORTEN, SUSPEND, REMOVE] {
        for at in [None, Some(0), Some(1)] {
            let (family, transaction) = family(stores).await;
            let mut draft = prepare(&family, &transaction).await;
            let id = draft.record().id();
            let _ = family.events();
            match at {
                None => {
                    family.faulty().arm(&[Fault::Rival(rival)], Fault::None);
                    let _ = family.faulty().find(family.token.id()).await;
                    family.faulty().disarm();
                    commit(&family.store, &draft).await;
                }
                Some(at) => {
                    commit(&family.store, &draft).await;
                    let mut script = vec![Fault::None; at];
                    script.push(Fault::Rival(rival));
                    family.faulty().arm(&script, Fault::None);
                }
            }
            let refused = draft.confirm().await;
            let stopped_with_caller = matches!(rival, REVOKE | REVOKE_PARENT);
            match refused {
                Err(ManageError::Overtaken { id: of, .. }) => assert_eq!(of, id),
                // The bulk revocation has found the new token before this reading.
                Err(ManageError::Ended { .. }) => assert!(stopped_with_caller && at == Some(0)),
                other => panic!("{rival} {at:?}: {other:?}"),
            }
            assert!(!draft.can_confirm());
            let stored = family.elsewhere().all_owners().get(id).await.unwrap().record;
            assert!(stored.revocation().is_some(), "{rival} {at:?}");
            drop(draft);
            let events = family.events();
            let [Event::Failed { id: of, .. }] = &events[..] else { panic!("{events:?}") };
            assert_eq!(*of, Some(id));
        }
    }
}

/// Every fault at every call of a confirmation, with the commit and the end of the caller in between.
pub(crate) async fn confirm_with_faults_leaves_no_usable_token(stores: Stores) {
    use Fault::{DoneAndLost, Late, LostBefore, None, ReadOnly, Rival, Unavailable};
    for committed in [false, true] {
        let faults = [None, Unavailable, LostBefore, DoneAndLost, Late, ReadOnly];
        let faults = [&faults[..], &[Rival(REVOKE), Rival(COMMIT)]].concat();
        let mut courses = Courses::new(4, &faults, &[None, Unavailable]);
        while let Some((script, rest)) = courses.script() {
            let context = (committed, &script, rest);
            let (family, transaction) = family(stores).await;
            let mut draft = prepare(&family, &transaction).await;
            let id = draft.record().id();
            if committed {
                commit(&family.store, &draft).await;
            }
            family.faulty().arm(&script, rest);
            let first = draft.confirm().await;
            let calls = family.faulty().calls();
            courses.met(calls.len());
            family.faulty().settle().await;
            let came = |rival| calls.iter().any(|(_, fault)| *fault == Rival(rival));
            let mut returned = first.ok();
            if let Some(issued) = &returned {
                assert!(!came(REVOKE), "{context:?}: returned after the revocation");
                family.elsewhere().verify(&text(issued), &any()).await.unwrap();
            }
            // The embedder commits at the latest now, and confirms until the draft has ended.
            family.faulty().disarm();
            commit(&family.store, &draft).await;
            for _ in 0..2 {
                if draft.can_confirm()
                    && let Ok(issued) = draft.confirm().await
                {
                    assert!(returned.is_none(), "{context:?}: returned twice");
                    returned = Some(issued);
                }
            }
            assert!(!draft.can_confirm(), "{context:?}");
            let live = family.below(family.token.id(), States::LIVE).await;
            if came(REVOKE) {
                assert!(returned.is_none() && live.is_empty(), "{context:?}: {live:?}");
            } else {
                assert!(returned.is_some() && live == [id], "{context:?}: {live:?}");
            }
        }
    }
}

pub(crate) async fn confirm_reads_the_caller_after_the_record(stores: Stores) {
    let (family, transaction) = family(stores).await;
    let mut draft = prepare(&family, &transaction).await;
    commit(&family.store, &draft).await;
    // Only the first reading is that of the record, so the revocation after it is found by the second one.
    family.faulty().arm(&[Fault::None, Fault::Rival(REVOKE)], Fault::None);
    let overtaken = draft.confirm().await;
    let revoked = NotPermitted::NotActive(Refusal::Revoked);
    assert!(
        matches!(overtaken, Err(ManageError::Overtaken { cause, .. }) if cause == revoked),
        "{overtaken:?}"
    );
    let calls: Vec<Op> = family.faulty().calls().iter().map(|(op, _)| *op).collect();
    assert_eq!(calls[..2], [Op::Find, Op::Find]);
}

/// Has the same status for every owner.
struct Gate(Arc<Mutex<OwnerStatus>>);

impl OwnerGate for Gate {
    fn status(&self, _: &str) -> OwnerStatus {
        *self.0.lock().unwrap()
    }
}

pub(crate) async fn confirm_with_unknown_owner_can_be_repeated(stores: Stores) {
    for (then, live) in [(OwnerStatus::Open, true), (OwnerStatus::Closed, false)] {
        let status = Arc::new(Mutex::new(OwnerStatus::Open));
        let gate = Gate(status.clone());
        let harness = Harness::builder(stores).configure(|service| service.owner_gate(gate));
        let harness = harness.build();
        let caller = harness.caller(&MANAGER).await;
        let on_behalf = harness.service.on_behalf_of(&caller);
        let mut draft = on_behalf.prepare_issue(files_request()).await.unwrap();
        commit(&harness.store, &draft).await;
        *status.lock().unwrap() = OwnerStatus::Unknown;
        let unknown = draft.confirm().await;
        let cause = NotPermitted::NotActive(Refusal::OwnerUnknown);
        assert_eq!(expect_not_permitted(unknown), cause);
        assert!(draft.can_confirm());
        *status.lock().unwrap() = then;
        assert_eq!(draft.confirm().await.is_ok(), live);
        assert!(!draft.can_confirm());
        let revocation = harness.record(draft.record().id()).await.revocation().cloned();
        assert_eq!(revocation.is_none(), live);
    }
}

pub(crate) async fn failed_revocation_of_new_token_is_repeated(stores: Stores) {
    let (family, transaction) = family(stores).await;
    let mut draft = prepare(&family, &transaction).await;
    commit(&family.store, &draft).await;
    // The revocation fails at its reading.
    family.faulty().arm(&[Fault::None, Fault::Rival(NARROW)], Fault::Unavailable);
    let unknown = draft.confirm().await;
    assert!(matches!(unknown, Err(ManageError::Indeterminate { .. })), "{unknown:?}");
    assert!(draft.can_confirm());
    family.faulty().disarm();
    let overtaken = draft.confirm().await;
    assert!(matches!(overtaken, Err(ManageError::Overtaken { .. })), "{overtaken:?}");
    assert_eq!(family.below(family.token.id(), States::LIVE).await, []);
}

async fn embedders(harness: &Harness, request: IssueRequest) -> IssueDraft {
    harness.service.owner("acme").prepare_issue(request).await.unwrap()
}

pub(crate) async fn pause_issuing_ignores_open_draft(stores: Stores) {
    let harness = Harness::new(stores);
    let draft = embedders(&harness, backup()).await;
    let mut pause = Box::pin(harness.service.pause_issuing("INC-42"));
    assert!(poll_once(&mut pause).await.is_some(), "the pause waits for the draft");
    drop(draft);
}

pub(crate) async fn pause_issuing_waits_for_confirmation(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let mut draft = harness.service.owner("acme").prepare_issue(backup()).await.unwrap();
    commit(&harness.store, &draft).await;
    harness.remote().hold(true);
    let mut confirming = Box::pin(draft.confirm());
    assert!(poll_once(&mut confirming).await.is_none());
    let mut pause = Box::pin(harness.service.pause_issuing("INC-42"));
    assert!(poll_once(&mut pause).await.is_none(), "the pause ends before the confirmation");
    harness.remote().release(1);
    let issued = confirming.await.unwrap();
    pause.await.unwrap();
    // The token was returned before the pause, so a revocation finds it.
    harness.revoke_elsewhere(issued.record.id()).await;
}

/// Before the confirmation, issuing is still paused, or was resumed, or was paused twice.
pub(crate) async fn confirm_after_pause_revokes_what_was_stored(stores: Stores) {
    for pauses in 0..3 {
        let harness = Harness::new(stores);
        let mut draft = embedders(&harness, backup()).await;
        let id = draft.record().id();
        commit(&harness.store, &draft).await;
        harness.service.pause_issuing("INC-42").await.unwrap();
        for _ in 0..pauses {
            let _ = harness.service.resume_issuing();
            harness.service.pause_issuing("INC-43").await.unwrap();
            let _ = harness.service.resume_issuing();
        }
        let _ = harness.events();
        let paused = draft.confirm().await;
        let refused =
            matches!(paused, Err(ManageError::PausedSincePrepared { id: of }) if of == id);
        assert!(refused && !draft.can_confirm(), "{paused:?}");
        let stored = harness.store.find(id).await.unwrap().unwrap();
        assert!(stored.record.revocation().is_some());
        drop(draft);
        expect_events(&harness, id, &["failed"]);
        let _ = harness.service.resume_issuing();
        // A draft that is prepared now is not affected.
        let mut draft = embedders(&harness, backup()).await;
        commit(&harness.store, &draft).await;
        let issued = draft.confirm().await.unwrap();
        assert!(harness.accepts(&text(&issued)).await);
    }
}

/// The transaction commits after the operator has revoked everything and resumed.
pub(crate) async fn late_commit_after_pause_is_revoked(stores: Stores) {
    let harness = Harness::new(stores);
    let mut draft = embedders(&harness, backup().issued_by("deployment")).await;
    harness.service.pause_issuing("INC-42").await.unwrap();
    let filter = service_tokens::Filter::new().issued_by("deployment");
    let view = harness.service.all_owners();
    let outcome = view.revoke_all(filter, RevokeRequest::new()).run().await.unwrap();
    assert_eq!(outcome.done, 0);
    for resumed in [false, true] {
        let early = draft.confirm().await;
        let refused = matches!(early, Err(ManageError::PausedSincePrepared { .. }));
        assert!(refused && draft.can_confirm(), "{resumed}: {early:?}");
        let _ = harness.service.resume_issuing();
    }
    commit(&harness.store, &draft).await;
    let paused = draft.confirm().await;
    assert!(matches!(paused, Err(ManageError::PausedSincePrepared { .. })), "{paused:?}");
    assert!(!draft.can_confirm());
    let stored = harness.record(draft.record().id()).await;
    assert!(stored.revocation().is_some());
}
