//! What a store does when nothing goes wrong.

use super::*;
use crate::store::{LastUsed, Query, States, StoreError, TokenStore, Version};

#[test]
fn everything_is_there_after_reopening() {
    let place = Place::new();
    let (one, two, three, four) = (record(1), record(2), record(3), record(4));
    let versions = block_on(async {
        let store = place.open();
        assert!(store.opening().created);
        let one = store.insert(&one).await.unwrap();
        let two_at = store.insert(&two).await.unwrap();
        let two_at = store.replace(&rotated(&two, 22), two_at).await.unwrap();
        let two_at = store.replace(&revoked(&rotated(&two, 22)), two_at).await.unwrap();
        let three_at = store.insert(&three).await.unwrap();
        store.remove(three.id(), three_at).await.unwrap();
        store.insert(&four).await.unwrap();
        store.touch(&[(four.id(), now()), (id(99), now())]).await.unwrap();
        [one, two_at]
    });
    for round in 0..4 {
        let store = place.open();
        assert_eq!(store.opening().records, 3);
        assert_eq!(store.opening().cut_off, None);
        block_on(async {
            let found = store.find(one.id()).await.unwrap().unwrap();
            assert_eq!((found.record, found.version), (one.clone(), versions[0]));
            let found = store.find(two.id()).await.unwrap().unwrap();
            assert_eq!((found.record, found.version), (revoked(&rotated(&two, 22)), versions[1]));
            assert_eq!(found.last_used, LastUsed::Never);
            assert_eq!(store.find(three.id()).await.unwrap(), None);
            let found = store.find(four.id()).await.unwrap().unwrap();
            assert_eq!(found.last_used, LastUsed::At(now()));
            let page = store.list(&Query::new().states(States::ALL), now()).await.unwrap();
            assert_eq!(page.items.len(), 3);
            if round > 0 {
                let compacted = store.compact().await.unwrap();
                assert_eq!(compacted.bytes_before > compacted.bytes_after, round == 1);
            }
        });
    }
}

#[test]
fn versions_are_never_used_twice() {
    let place = Place::new();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let store = place.open();
        block_on(async {
            for _ in 0..3 {
                let version = store.insert(&record(1)).await.unwrap();
                assert!(seen.insert(version));
                let replaced = store.replace(&revoked(&record(1)), version).await.unwrap();
                assert!(seen.insert(replaced));
                let stale = store.replace(&record(1), version).await;
                assert!(matches!(stale, Err(StoreError::Conflict)));
                let stale = store.remove(id(1), Version(replaced.0 + 1)).await;
                assert!(matches!(stale, Err(StoreError::Conflict)));
                store.remove(id(1), replaced).await.unwrap();
                store.compact().await.unwrap();
            }
        });
    }
}
