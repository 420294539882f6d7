//! The store without faults.

use super::*;
use crate::record::State;
use crate::store::{Filter, LastUsed, ListRequest, Order, States, StoreError, TokenStore, Version};

#[test]
fn reopened_store_has_every_record() {
    let place = Place::new();
    let (one, two, three, four) = (record(1), record(2), record(3), record(4));
    let versions = block_on(async {
        let store = place.open();
        assert!(store.open_report().created);
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
        assert_eq!(store.open_report().records, 3);
        assert_eq!(store.open_report().truncated_tail, None);
        block_on(async {
            let found = store.find(one.id()).await.unwrap().unwrap();
            assert_eq!((found.record, found.version), (one.clone(), versions[0]));
            let found = store.find(two.id()).await.unwrap().unwrap();
            assert_eq!((found.record, found.version), (revoked(&rotated(&two, 22)), versions[1]));
            assert_eq!(found.last_used, LastUsed::Never);
            assert_eq!(store.find(three.id()).await.unwrap(), None);
            let found = store.find(four.id()).await.unwrap().unwrap();
            assert_eq!(found.last_used, LastUsed::At(now()));
            let page = store
                .list(&ListRequest::from(Filter::new().states(States::ALL)), now())
                .await
                .unwrap();
            assert_eq!(page.items.len(), 3);
            if round > 0 {
                let compacted = store.compact().await.unwrap();
                assert_eq!(compacted.bytes_before > compacted.bytes_after, round == 1);
            }
        });
    }
}

#[test]
fn versions_are_never_reused() {
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

#[test]
fn open_reports_its_progress() {
    let place = Place::new();
    let store = place.open();
    let inserts = async {
        for n in 0..100 {
            store.insert(&record(n)).await.unwrap();
        }
    };
    block_on(inserts);
    drop(store);
    let length = std::fs::metadata(place.path()).unwrap().len();
    let file = std::fs::OpenOptions::new().append(true).open(place.path()).unwrap();
    std::io::Write::write_all(&mut &file, &[7; 5]).unwrap();
    let (sender, reports) = std::sync::mpsc::channel();
    let options = FileStoreOptions::new().on_progress(move |report| sender.send(report).unwrap());
    let store = options.open(place.path()).unwrap();
    let opening = store.open_report();
    assert_eq!((opening.created, opening.records, opening.bytes), (false, 100, length));
    assert_eq!(opening.truncated_tail.map(|cut| (cut.offset, cut.bytes)), Some((length, 5)));
    let last = reports.into_iter().last().unwrap();
    assert_eq!(last.bytes_read, last.bytes_total);
    assert!(store.path().is_absolute());
    assert!(!store.is_read_only());
}

#[test]
fn list_is_complete_in_both_orders() {
    let place = Place::in_memory();
    let store = place.open();
    // More records than one chunk of the scan has, and the filter selects one in a hundred.
    for n in 0..3_000 {
        let mut insert = Some(record(n));
        if n % 100 == 7 {
            insert = insert.map(|record| revoked(&record));
        }
        let insert = insert.unwrap();
        let mut future = store.insert(&insert);
        block_on(futures_lite::future::poll_once(&mut future));
    }
    block_on(store.insert(&record(3_000))).unwrap();
    for direction in [Order::OldestFirst, Order::NewestFirst] {
        for limit in [1, 4, 30, 1_000] {
            let mut query = ListRequest::from(Filter::new().states(State::Revoked))
                .order(direction)
                .limit(limit);
            let mut found = Vec::new();
            loop {
                let page = block_on(store.list(&query, now())).unwrap();
                assert!(page.items.len() <= limit);
                found.extend(page.items.iter().map(|stored| stored.record.id()));
                match page.next {
                    Some(next) => query = query.after(next),
                    None => break,
                }
            }
            let mut expected: Vec<_> = (0..30).map(|n| id(n * 100 + 7)).collect();
            if direction == Order::NewestFirst {
                expected.reverse();
            }
            assert_eq!(found, expected);
        }
    }
}
