//! Revoking a token with its descendants, also below revoked, removed and unreadable ones.

use std::sync::Arc;

use super::harness::{
    Collected, Fault, Faulty, SharedStore, Stores, any, backup, below, builder, incident, newer,
    plant, plant_of, records, text,
};
use service_tokens::store::StoreError;
use service_tokens::{
    Event, IssueRequest, ListRequest, ManageError, RevokeRequest, TokenId, TokenService, TokenStore,
};

behaviours! {
    revoke_with_descendants_spares_other_tokens,
    revoke_below_revoked_or_removed_head,
    failing_head_does_not_save_descendants,
    unreadable_head_does_not_save_descendants,
    descendants_of_other_owners_stay,
    descendants_issued_meanwhile_are_revoked,
    revoke_descendants_of_unknown_id_succeeds,
    revoke_with_descendants_event_names_head,
}

/// A tree: `head` issued `child`, which issued `grandchild`. No token issued `other`.
struct Tree {
    head: TokenId,
    child: TokenId,
    grandchild: TokenId,
    tokens: [String; 4],
    store: SharedStore,
    service: TokenService<SharedStore>,
    collected: Collected,
    _guard: Box<dyn std::any::Any>,
}

async fn tree(stores: Stores) -> Tree {
    let opened = stores.open();
    let store = opened.store;
    let collected = Collected::default();
    let service = builder(store.clone()).events(collected.sink()).build().unwrap();
    let top = service.owner("acme").issue(backup()).await.unwrap();
    let head = top.record.id();
    let (child, second) = plant(&*store, backup(), |record| below(record, &[head])).await;
    let (grandchild, third) =
        plant(&*store, backup(), |record| below(record, &[child, head])).await;
    let other = service.owner("acme").issue(backup()).await.unwrap();
    let tokens = [text(&top), second, third, text(&other)];
    let _ = collected.take(&service);
    Tree { head, child, grandchild, tokens, store, service, collected, _guard: opened.guard }
}

impl Tree {
    /// Returns which of head, child, grandchild and other are accepted.
    async fn accepted(&self) -> [bool; 4] {
        let mut accepted = [false; 4];
        for (accepted, token) in accepted.iter_mut().zip(&self.tokens) {
            *accepted = self.service.verify(token, &any()).await.is_ok();
        }
        accepted
    }

    async fn revoke_below(&self, id: TokenId) -> u64 {
        let view = self.service.all_owners();
        let counted = view.revoke_with_descendants(id, incident()).count().await.unwrap();
        let outcome = view.revoke_with_descendants(id, incident()).run().await.unwrap();
        assert_eq!((outcome.done, outcome.failed), (counted, 0));
        counted
    }

    async fn remove(&self, id: TokenId) {
        let version = self.store.find(id).await.unwrap().unwrap().version;
        self.store.remove(id, version).await.unwrap();
    }
}

pub(crate) async fn revoke_with_descendants_spares_other_tokens(stores: Stores) {
    for (at, gone, left) in [
        (0, 3, [false, false, false, true]),
        (1, 2, [true, false, false, true]),
        (2, 1, [true, true, false, true]),
    ] {
        let tree = tree(stores).await;
        assert_eq!(tree.accepted().await, [true; 4]);
        let id = [tree.head, tree.child, tree.grandchild][at];
        assert_eq!(tree.revoke_below(id).await, gone);
        assert_eq!(tree.accepted().await, left);
        assert_eq!(tree.revoke_below(id).await, 0);
    }
}

pub(crate) async fn revoke_below_revoked_or_removed_head(stores: Stores) {
    for removed in [false, true] {
        for which in [vec![0], vec![1], vec![0, 1]] {
            let tree = tree(stores).await;
            for id in which.iter().map(|at| [tree.head, tree.child][*at]) {
                let _ = tree.service.all_owners().revoke(id, incident()).await.unwrap();
                if removed {
                    tree.remove(id).await;
                }
            }
            assert_eq!(tree.revoke_below(tree.head).await, 3 - which.len() as u64);
            assert_eq!(tree.accepted().await, [false, false, false, true]);
        }
    }
}

pub(crate) async fn failing_head_does_not_save_descendants(stores: Stores) {
    let opened = stores.open();
    let service = builder(opened.store.clone()).build().unwrap();
    let (head, _) = plant(&*opened.store, backup(), newer).await;
    let (_, token) = plant(&*opened.store, backup(), |record| below(record, &[head])).await;
    let view = service.all_owners();
    let outcome = view.revoke_with_descendants(head, incident()).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (1, 1));
    assert_eq!(outcome.failures[0].id, head);
    assert!(matches!(outcome.failures[0].error, ManageError::Store(StoreError::NewerFormat)));
    assert!(service.verify(&token, &any()).await.is_err());
}

pub(crate) async fn unreadable_head_does_not_save_descendants(stores: Stores) {
    let tree = tree(stores).await;
    let faulty = Arc::new(Faulty::new(tree.store.clone()));
    let service = builder(faulty.clone()).build().unwrap();
    faulty.arm(&[Fault::Corrupt], Fault::None);
    let view = service.all_owners();
    let outcome = view.revoke_with_descendants(tree.head, incident()).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (3, 0), "in the second pass it could be read");
    assert_eq!(tree.accepted().await, [false, false, false, true]);

    let tree = self::tree(stores).await;
    let faulty = Arc::new(Faulty::new(tree.store.clone()));
    let service = builder(faulty.clone()).build().unwrap();
    // The calls: head, page, two writes, head, page.
    let mut script = [Fault::None; 6];
    script[0] = Fault::Corrupt;
    script[4] = Fault::Corrupt;
    faulty.arm(&script, Fault::None);
    let view = service.all_owners();
    let outcome = view.revoke_with_descendants(tree.head, incident()).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (2, 1));
    assert_eq!(outcome.failures[0].id, tree.head);
    assert_eq!(tree.accepted().await, [true, false, false, true]);
}

pub(crate) async fn descendants_of_other_owners_stay(stores: Stores) {
    let tree = tree(stores).await;
    let foreign = IssueRequest::new("connector", "x");
    let of_head = |record: &_| below(record, &[tree.head]);
    let (_, globex) = plant_of("globex", &*tree.store, foreign, of_head).await;
    let view = tree.service.owner("globex");
    assert_eq!(view.revoke_with_descendants(tree.head, incident()).run().await.unwrap().done, 1);
    assert!(tree.service.verify(&globex, &any()).await.is_err());
    assert_eq!(tree.accepted().await, [true; 4]);
}

pub(crate) async fn descendants_issued_meanwhile_are_revoked(stores: Stores) {
    let opened = stores.open();
    let service = builder(opened.store.clone()).build().unwrap();
    let head = service.owner("acme").issue(backup()).await.unwrap().record.id();
    let store = opened.store.clone();
    let faulty = Arc::new(Faulty::with_rival(opened.store.clone(), move |_| {
        let store = store.clone();
        Box::pin(async move {
            let _ = plant(&*store, backup(), |record| below(record, &[head])).await;
        })
    }));
    let service = builder(faulty.clone()).build().unwrap();
    // Calls: the head is read, found and replaced, and the page is listed. A token is issued below it
    // directly before its revocation, and another one while that is revoked again.
    let mut script = vec![Fault::None; 12];
    script[2] = Fault::Rival(0);
    script[5] = Fault::Rival(0);
    faulty.arm(&script, Fault::None);
    let view = service.all_owners();
    let outcome = view.revoke_with_descendants(head, incident()).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (3, 0));
    assert_eq!(view.list(ListRequest::new()).await.unwrap().items.len(), 0);
    assert_eq!(records(&*opened.store).await.len(), 3);
}

pub(crate) async fn revoke_descendants_of_unknown_id_succeeds(stores: Stores) {
    let tree = tree(stores).await;
    assert_eq!(tree.revoke_below(TokenId::from_bytes([9; 16])).await, 0);
    assert_eq!(tree.accepted().await, [true; 4]);
}

pub(crate) async fn revoke_with_descendants_event_names_head(stores: Stores) {
    let tree = tree(stores).await;
    let view = tree.service.owner("acme");
    let run = view.revoke_with_descendants(tree.head, RevokeRequest::new().reason("leaked")).run();
    let _ = run.await.unwrap();
    let events = tree.collected.take(&tree.service);
    let (whole, each) = events.split_last().unwrap();
    let Event::RevokedAll { with, filter: which, revoked: 3, stopped: None, .. } = whole else {
        panic!("{whole:?}")
    };
    assert_eq!((*with, which.issuer), (Some(tree.head), Some(tree.head)));
    let ids: Vec<TokenId> = each
        .iter()
        .map(|event| match event {
            Event::Revoked { id, .. } => *id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids[0], tree.head, "the head first");
    assert_eq!(ids.len(), 3);
}
