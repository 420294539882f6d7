//! Drafts of new tokens: what a confirmation finds in the store, and what it returns.

use service_tokens::store::StoreError;
use service_tokens::{
    Event, IssueDraft, IssueRequest, Issued, ManageError, Policy, RotateRequest, State,
    SuspendRequest, TokenId, TokenService, TokenStore,
};

use super::harness::{
    Fault, HOUR, Harness, MAX_AGE, MINUTE, SharedStore, Stores, any, backup, builder, incident,
    newer, of_owner, records, text,
};
use service_tokens::event::Operation;
use service_tokens::record::{Field, Rule};

behaviours! {
    confirm_after_commit_returns_token_once,
    prepare_issue_stores_nothing,
    confirm_before_commit_can_be_repeated,
    confirm_of_taken_id_is_final,
    prepare_issue_of_taken_id_is_refused,
    prepare_issue_checks_the_request,
    confirm_of_ended_token_returns_no_secret,
    confirm_of_rotated_token_returns_no_secret,
    confirm_of_suspended_token_returns_it,
    confirm_of_other_owner_is_final,
    confirm_without_store_can_be_repeated,
    confirm_of_newer_record_can_be_repeated,
    dropped_draft_is_reported_once,
    dropped_confirmation_can_be_repeated,
    draft_outlives_its_service,
    draft_of_ended_process_is_named_by_event,
    draft_shows_no_secret,
    draft_holds_its_place_for_a_minute,
    confirmed_draft_counts_once,
    committed_draft_counts_once,
    confirm_invalidates_the_cache,
}

/// Compiles only for types that a program can pass to any task.
pub(crate) fn moves_anywhere<T: Send + Sync + 'static>(_: &T) {}

/// Stands for the commit of the embedder's transaction. A conflict is not an error there.
pub(crate) async fn commit(store: &SharedStore, draft: &IssueDraft) {
    match store.insert(draft.record()).await {
        Ok(_) | Err(StoreError::Exists) => {}
        Err(error) => panic!("{error:?}"),
    }
}

async fn draft_of<S: TokenStore>(service: &TokenService<S>, request: IssueRequest) -> IssueDraft {
    service.owner("acme").prepare_issue(request).await.unwrap()
}

/// The names of the events, with the id of the token that each is about.
#[track_caller]
pub(crate) fn expect_events<S: TokenStore>(harness: &Harness<S>, id: TokenId, names: &[&str]) {
    let events = harness.events();
    let found: Vec<&str> = events.iter().map(Event::name).collect();
    assert_eq!(found, names, "{events:?}");
    assert!(events.iter().all(|event| event.id() == Some(id)), "{events:?}");
}

#[track_caller]
pub(crate) fn expect_ended(outcome: Result<Issued, ManageError>, draft: &IssueDraft) {
    assert!(matches!(outcome, Err(ManageError::DraftEnded { .. })), "{outcome:?}");
    assert!(!draft.can_confirm());
}

pub(crate) async fn confirm_after_commit_returns_token_once(stores: Stores) {
    let harness = Harness::new(stores);
    let mut draft = draft_of(&harness.service, backup().issued_by("alice")).await;
    moves_anywhere(&draft);
    let id = draft.record().id();
    let [event] = &harness.events()[..] else { panic!() };
    let Event::Prepared { owner, operation: Operation::Issue, by, on_behalf_of: None, .. } = event
    else {
        panic!("{event:?}")
    };
    assert_eq!((event.id(), &**owner, by.as_deref()), (Some(id), "acme", Some("alice")));

    commit(&harness.store, &draft).await;
    let issued = draft.confirm().await.unwrap();
    assert_eq!(issued.record, *draft.record());
    assert_eq!(harness.verified(&issued).await.id(), id);
    let [event] = &harness.events()[..] else { panic!() };
    let Event::Issued { owner, token_type, issued_to, by, on_behalf_of: None, .. } = event else {
        panic!("{event:?}")
    };
    assert_eq!((event.id(), &**owner, &**token_type), (Some(id), "acme", "connector"));
    assert_eq!((&**issued_to, by.as_deref()), ("backup", Some("alice")));

    expect_ended(draft.confirm().await, &draft);
    expect_events(&harness, id, &["failed"]);
    drop(draft);
    assert_eq!(harness.events(), []);
    assert!(harness.accepts(&text(&issued)).await);
}

pub(crate) async fn prepare_issue_stores_nothing(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let draft = draft_of(&harness.service, backup()).await;
    assert_eq!(harness.faulty().calls(), []);
    assert_eq!(records(&*harness.store).await, []);
    assert!(draft.can_confirm());
}

pub(crate) async fn confirm_before_commit_can_be_repeated(stores: Stores) {
    let harness = Harness::new(stores);
    let mut draft = draft_of(&harness.service, backup()).await;
    let id = draft.record().id();
    for _ in 0..2 {
        let early = draft.confirm().await;
        assert!(matches!(early, Err(ManageError::NotStored { id: of }) if of == id), "{early:?}");
        assert!(draft.can_confirm());
    }
    commit(&harness.store, &draft).await;
    let issued = draft.confirm().await.unwrap();
    assert!(harness.accepts(&text(&issued)).await);
    expect_events(&harness, id, &["prepared", "failed", "failed", "issued"]);
}

/// The insert did nothing, because another token with the id was stored after the preparation.
pub(crate) async fn confirm_of_taken_id_is_final(stores: Stores) {
    for owner in ["acme", "globex"] {
        let harness = Harness::new(stores);
        let id = harness.service.new_id().unwrap();
        let mut draft = draft_of(&harness.service, backup().id(id)).await;
        let theirs = harness.elsewhere().owner(owner).issue(backup().id(id)).await.unwrap();
        commit(&harness.store, &draft).await;
        let taken = draft.confirm().await;
        assert!(matches!(taken, Err(ManageError::Exists { id: of }) if of == id), "{taken:?}");
        expect_ended(draft.confirm().await, &draft);
        drop(draft);
        expect_events(&harness, id, &["prepared", "failed", "failed"]);
        assert!(harness.accepts(&text(&theirs)).await);
    }
}

/// The program inserted another record than that of the draft.
pub(crate) async fn confirm_of_other_owner_is_final(stores: Stores) {
    let harness = Harness::new(stores);
    let mut draft = draft_of(&harness.service, backup()).await;
    harness.store.insert(&of_owner(draft.record(), "acmf")).await.unwrap();
    let other = draft.confirm().await;
    assert!(matches!(other, Err(ManageError::Exists { .. })), "{other:?}");
    expect_ended(draft.confirm().await, &draft);
}

pub(crate) async fn prepare_issue_of_taken_id_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, _) = harness.issue_backup().await;
    let _ = harness.events();
    // The second request has a type that the service does not know. The owner's own token comes first.
    for request in [backup().id(id), IssueRequest::new("no such type", "backup").id(id)] {
        let taken = harness.service.owner("acme").prepare_issue(request).await;
        assert!(matches!(taken, Err(ManageError::Exists { id: of }) if of == id), "{taken:?}");
        let [Event::Failed { operation: Operation::PrepareIssue, id: of, .. }] =
            &harness.events()[..]
        else {
            panic!()
        };
        assert_eq!(*of, Some(id));
    }
}

pub(crate) async fn prepare_issue_checks_the_request(stores: Stores) {
    let harness = Harness::with_policy(stores, Policy::new().max_active_per_owner(1));
    let owner = harness.service.owner("acme");
    let invalid = owner.prepare_issue(IssueRequest::new("no such type", "backup")).await;
    let Err(ManageError::Invalid(field)) = invalid else { panic!("{invalid:?}") };
    assert_eq!((field.field, field.rule), (Field::Type, Rule::Unknown));
    let _ = harness.issue(backup()).await;
    let full = owner.prepare_issue(backup()).await;
    assert!(matches!(full, Err(ManageError::TooManyActive { max: 1 })), "{full:?}");
    harness.service.pause_issuing("INC-42").await.unwrap();
    let paused = owner.prepare_issue(backup()).await;
    assert!(matches!(paused, Err(ManageError::IssuingPaused { .. })), "{paused:?}");
}

pub(crate) async fn confirm_of_ended_token_returns_no_secret(stores: Stores) {
    for end in [State::Revoked, State::Expired] {
        let harness = Harness::new(stores);
        let mut draft = draft_of(&harness.service, backup().expires_in(HOUR)).await;
        let id = draft.record().id();
        commit(&harness.store, &draft).await;
        match end {
            State::Revoked => harness.revoke_elsewhere(id).await,
            _ => harness.advance(HOUR),
        }
        let ended = draft.confirm().await;
        let expected =
            matches!(ended, Err(ManageError::Ended { id: of, state }) if of == id && state == end);
        assert!(expected, "{ended:?}");
        expect_ended(draft.confirm().await, &draft);
        drop(draft);
        expect_events(&harness, id, &["prepared", "failed", "failed"]);
    }
}

/// The one who rotated has the new secret, also during an overlap.
pub(crate) async fn confirm_of_rotated_token_returns_no_secret(stores: Stores) {
    for rotation in [RotateRequest::at_once(), RotateRequest::with_overlap(HOUR)] {
        let harness = Harness::new(stores);
        let mut draft = draft_of(&harness.service, backup()).await;
        let id = draft.record().id();
        commit(&harness.store, &draft).await;
        let rotated = harness.elsewhere().all_owners().rotate(id, rotation).await.unwrap();
        let changed = draft.confirm().await;
        assert!(matches!(changed, Err(ManageError::VersionChanged { .. })), "{changed:?}");
        assert!(!draft.can_confirm());
        assert!(harness.accepts(&text(&rotated)).await);
    }
}

pub(crate) async fn confirm_of_suspended_token_returns_it(stores: Stores) {
    let harness = Harness::new(stores);
    let mut draft = draft_of(&harness.service, backup()).await;
    commit(&harness.store, &draft).await;
    let view = harness.elsewhere().all_owners();
    let _ = view.suspend(draft.record().id(), SuspendRequest::new()).await.unwrap();
    let issued = draft.confirm().await.unwrap();
    assert_eq!(issued.record.state(harness.service.now()), State::Suspended);
}

pub(crate) async fn confirm_without_store_can_be_repeated(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let mut draft = draft_of(&harness.service, backup()).await;
    let id = draft.record().id();
    commit(&harness.store, &draft).await;
    for fault in [Fault::Unavailable, Fault::Corrupt] {
        harness.faulty().arm(&[fault], Fault::None);
        let failed = draft.confirm().await;
        assert!(matches!(failed, Err(ManageError::Store(_))), "{failed:?}");
        assert!(draft.can_confirm());
    }
    let issued = draft.confirm().await.unwrap();
    assert!(harness.accepts(&text(&issued)).await);
    expect_events(&harness, id, &["prepared", "failed", "failed", "issued"]);
}

/// A newer program may have added a restriction, so this one cannot decide.
pub(crate) async fn confirm_of_newer_record_can_be_repeated(stores: Stores) {
    let harness = Harness::new(stores);
    let mut draft = draft_of(&harness.service, backup()).await;
    harness.store.insert(&newer(draft.record())).await.unwrap();
    let unknown = draft.confirm().await;
    let newer = matches!(unknown, Err(ManageError::Store(StoreError::NewerFormat)));
    assert!(newer && draft.can_confirm(), "{unknown:?}");
}

pub(crate) async fn dropped_draft_is_reported_once(stores: Stores) {
    let harness = Harness::new(stores);
    let draft = draft_of(&harness.service, backup().issued_by("alice")).await;
    let id = draft.record().id();
    let _ = harness.events();
    drop(draft);
    let [event] = &harness.events()[..] else { panic!() };
    let Event::NotConfirmed { owner, operation: Operation::Issue, by, on_behalf_of: None, .. } =
        event
    else {
        panic!("{event:?}")
    };
    assert_eq!((event.id(), &**owner, by.as_deref()), (Some(id), "acme", Some("alice")));
}

pub(crate) async fn dropped_confirmation_can_be_repeated(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let mut draft = draft_of(&harness.service, backup()).await;
    let id = draft.record().id();
    commit(&harness.store, &draft).await;
    harness.remote().hold(true);
    {
        let mut confirming = Box::pin(draft.confirm());
        assert!(futures_lite::future::poll_once(&mut confirming).await.is_none());
    }
    harness.remote().hold(false);
    let issued = draft.confirm().await.unwrap();
    assert_eq!(issued.record.id(), id);
    drop(draft);
    expect_events(&harness, id, &["prepared", "failed", "issued"]);
}

pub(crate) async fn draft_outlives_its_service(stores: Stores) {
    let opened = stores.open();
    let service = builder(opened.store.clone()).build().unwrap();
    let mut draft = draft_of(&service, backup()).await;
    drop(service);
    commit(&opened.store, &draft).await;
    let issued = std::thread::spawn(move || {
        futures_lite::future::block_on(async move { draft.confirm().await.unwrap() })
    });
    let issued = issued.join().unwrap();
    let service = builder(opened.store.clone()).build().unwrap();
    service.verify(&text(&issued), &any()).await.unwrap();
}

/// The process ended after the commit. A later process can find the token by the event and revoke it.
pub(crate) async fn draft_of_ended_process_is_named_by_event(stores: Stores) {
    let harness = Harness::new(stores);
    let draft = draft_of(&harness.service, backup()).await;
    commit(&harness.store, &draft).await;
    let [event] = &harness.events()[..] else { panic!() };
    std::mem::forget(draft);
    let [record] = &records(&*harness.store).await[..] else { panic!() };
    assert_eq!(event.id(), Some(record.id()));
    let revoked = harness.elsewhere().owner("acme").revoke(record.id(), incident()).await.unwrap();
    assert!(!revoked.already_revoked);
}

pub(crate) async fn draft_shows_no_secret(stores: Stores) {
    let harness = Harness::new(stores);
    let mut draft = draft_of(&harness.service, backup()).await;
    let shown = format!("{draft:?} {:?}", harness.events());
    commit(&harness.store, &draft).await;
    let issued = draft.confirm().await.unwrap();
    let token = text(&issued);
    let secret = &token[token.len() - 43..token.len() - 10];
    for shown in [shown, format!("{draft:?} {:?}", harness.events())] {
        assert!(shown.contains(&draft.record().id().to_string()));
        assert!(!shown.contains(secret) && !shown.contains("digest"), "{shown}");
    }
}

#[track_caller]
fn expect_full<T: std::fmt::Debug>(outcome: Result<T, ManageError>) {
    assert!(matches!(outcome, Err(ManageError::TooManyActive { .. })), "{outcome:?}");
}

fn limited(stores: Stores, max: usize) -> Harness {
    Harness::with_policy(stores, Policy::new().max_active_per_owner(max))
}

pub(crate) async fn draft_holds_its_place_for_a_minute(stores: Stores) {
    for dropped in [false, true] {
        let harness = limited(stores, 1);
        let owner = harness.service.owner("acme");
        let mut draft = Some(owner.prepare_issue(backup()).await.unwrap());
        harness.advance(MINUTE / 2);
        if dropped {
            draft = None;
        }
        expect_full(owner.issue(backup()).await);
        expect_full(owner.prepare_issue(backup()).await);
        harness.advance(MINUTE / 2 - std::time::Duration::from_millis(1));
        expect_full(owner.issue(backup()).await);
        harness.advance(std::time::Duration::from_millis(1));
        let _ = owner.issue(backup()).await.unwrap();
        // A commit after the minute exceeds the limit, and the token counts from then on.
        if let Some(mut draft) = draft {
            commit(&harness.store, &draft).await;
            let _ = draft.confirm().await.unwrap();
            expect_full(owner.issue(backup()).await);
        }
    }
}

pub(crate) async fn confirmed_draft_counts_once(stores: Stores) {
    let harness = limited(stores, 2);
    let owner = harness.service.owner("acme");
    let mut draft = owner.prepare_issue(backup()).await.unwrap();
    commit(&harness.store, &draft).await;
    let issued = draft.confirm().await.unwrap();
    // The place is free, so only the token in the store counts, and not after its revocation.
    harness.revoke(issued.record.id()).await;
    for _ in 0..2 {
        let _ = owner.issue(backup()).await.unwrap();
    }
    expect_full(owner.issue(backup()).await);
}

pub(crate) async fn committed_draft_counts_once(stores: Stores) {
    let harness = limited(stores, 2);
    let owner = harness.service.owner("acme");
    let draft = owner.prepare_issue(backup()).await.unwrap();
    commit(&harness.store, &draft).await;
    let _ = owner.issue(backup()).await.unwrap();
    expect_full(owner.issue(backup()).await);
    // The count has found the token, so its end frees the place.
    harness.revoke_elsewhere(draft.record().id()).await;
    let _ = owner.issue(backup()).await.unwrap();
    expect_full(owner.issue(backup()).await);
}

/// The cache has the revoked record of an earlier token with the id, which was purged.
pub(crate) async fn confirm_invalidates_the_cache(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 100);
    let id = harness.service.new_id().unwrap();
    let mut draft = draft_of(&harness.service, backup().id(id)).await;
    let earlier = harness.elsewhere().owner("acme").issue(backup().id(id)).await.unwrap();
    harness.service.verify(&text(&earlier), &any()).await.unwrap();
    let stored = harness.store.find(id).await.unwrap().unwrap();
    harness.store.remove(id, stored.version).await.unwrap();
    commit(&harness.store, &draft).await;
    assert!(harness.service.verify(&text(&earlier), &any()).await.is_ok(), "it is cached");
    let issued = draft.confirm().await.unwrap();
    assert!(harness.service.verify(&text(&earlier), &any()).await.is_err());
    harness.service.verify(&text(&issued), &any()).await.unwrap();
}
