//! The double of a store across a network meets its scripted fates.

use std::sync::Arc;

use futures_lite::future::{block_on, poll_once};
use service_tokens::store::{StoreError, Version};
use service_tokens::{Filter, MemoryStore, Record, TokenStore};

use crate::behaviour::harness::{Fate, Method, Networked, issue_many};

/// A double over three records, and the writes that replace them.
async fn three() -> (Networked, Vec<(Record, Version)>) {
    let inner: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
    let mut writes = Vec::new();
    for id in issue_many(&inner, 3).await {
        let stored = inner.find(id).await.unwrap().unwrap();
        writes.push((stored.record, stored.version));
    }
    (Networked::new(inner), writes)
}

/// Replaces the three records with this fate, and returns the letters of the results: done, conflict, lost,
/// or unavailable.
fn replaced_with(fate: Fate) -> String {
    block_on(async {
        let (store, writes) = three().await;
        store.script(Method::ReplaceMany, [fate]);
        let results = store.replace_many(&writes).await;
        assert_eq!(store.calls(Method::ReplaceMany), (1, 3));
        let letter = |result: &Result<Version, StoreError>| match result {
            Ok(_) => 'd',
            Err(StoreError::Conflict) => 'c',
            Err(StoreError::Indeterminate { .. }) => 'l',
            Err(_) => 'u',
        };
        let again = store.replace_many(&writes).await;
        let letters = |all: Vec<_>| all.iter().map(letter).collect::<String>();
        format!("{} {}", letters(results), letters(again))
    })
}

#[test]
fn networked_double_meets_each_fate() {
    let rival = |store: Arc<dyn TokenStore>| -> crate::behaviour::harness::Rival {
        Box::pin(async move {
            for record in crate::behaviour::harness::records(&*store).await {
                let version = store.find(record.id()).await.unwrap().unwrap().version;
                store.remove(record.id(), version).await.unwrap();
            }
        })
    };
    // The results of the call with this fate, and those of the same call again, which conflicts with each row
    // that was done.
    let expected = [
        (Fate::Fine, "ddd ccc"),
        (Fate::Late(3), "ddd ccc"),
        (Fate::Unavailable, "uuu ddd"),
        (Fate::Lost, "lll ccc"),
        (Fate::LostBefore, "lll ddd"),
        (Fate::First(2), "ddu ccd"),
        (Fate::FirstAndLost(1), "lll cdd"),
        (Fate::Fewer(1), "dd ccc"),
        (Fate::More(2), "ccddd ccc"),
        (Fate::Twice, "ccc ccc"),
        (Fate::After(Box::new(rival)), "ccc ccc"),
    ];
    for (fate, results) in expected {
        assert_eq!(replaced_with(fate), results);
    }
}

#[test]
fn networked_double_answers_out_of_order() {
    block_on(async {
        let (store, writes) = three().await;
        store.script(Method::Find, [Fate::Held, Fate::Held, Fate::Never, Fate::DoneAndNever]);
        let mut finds: Vec<_> = (0..4).map(|_| store.find(writes[0].0.id())).collect();
        for find in &mut finds {
            assert!(poll_once(find).await.is_none());
        }
        assert_eq!(store.held(), 2);
        store.release(1);
        assert!(poll_once(&mut finds[0]).await.is_none());
        assert!(poll_once(&mut finds[1]).await.is_some());
        store.release(0);
        assert!(poll_once(&mut finds[0]).await.is_some());
        for find in &mut finds[2..] {
            assert!(poll_once(find).await.is_none());
        }
        assert_eq!(store.count(&Filter::new(), chrono::DateTime::UNIX_EPOCH).await.unwrap(), 3);
        assert_eq!((store.calls(Method::Find), store.calls(Method::Count)), ((4, 4), (1, 1)));
    });
}
