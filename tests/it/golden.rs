//! Every later version must read the stores that earlier versions wrote.
#![expect(clippy::unwrap_used, reason = "a test fails where something is missing")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::DateTime;
use futures_lite::future::block_on;
use service_tokens::file::FileStoreOptions;
use service_tokens::store::{LastUsed, States};
use service_tokens::{
    FileStore, Filter, ListRequest, Record, State, StoredRecord, TokenId, TokenStore,
};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// One line for each record: id, version, last use, encoding.
fn lines(store: &FileStore) -> String {
    let query = ListRequest::from(Filter::new().states(States::ALL))
        .order(service_tokens::store::Order::OldestFirst);
    let page = block_on(store.list(&query, DateTime::UNIX_EPOCH)).unwrap();
    let line = |stored: &StoredRecord| {
        let used = match stored.last_used {
            LastUsed::At(used) => used.timestamp_micros().to_string(),
            _ => "never".to_owned(),
        };
        let bytes = stored.record.to_bytes();
        let bytes: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{} {} {used} {bytes}\n", stored.record.id(), stored.version.0)
    };
    page.items.iter().map(line).collect()
}

fn records(store: &FileStore) -> BTreeMap<u8, Record> {
    let query = ListRequest::from(Filter::new().states(States::ALL));
    let page = block_on(store.list(&query, DateTime::UNIX_EPOCH)).unwrap();
    let number = |id: TokenId| id.to_bytes()[if id.is_imported() { 15 } else { 7 }];
    page.items.into_iter().map(|stored| (number(stored.record.id()), stored.record)).collect()
}

#[test]
fn open_golden_store_lists_its_records() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    fs::copy(golden("store_v1.journal"), &path).unwrap();
    let expected = fs::read_to_string(golden("store_v1.expected")).unwrap();
    let before = fs::read(&path).unwrap();

    let store = FileStoreOptions::new().read_only(true).open(&path).unwrap();
    assert_eq!(lines(&store), expected);
    drop(store);
    assert_eq!(fs::read(&path).unwrap(), before);

    let store = FileStore::open(&path).unwrap();
    assert_eq!(store.open_report().truncated_tail, None);
    block_on(store.compact()).unwrap();
    drop(store);
    assert_eq!(lines(&FileStore::open(&path).unwrap()), expected);
}

#[test]
fn read_golden_records_gives_their_fields() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    fs::copy(golden("store_v1.journal"), &path).unwrap();
    let records = records(&FileStore::open(&path).unwrap());
    assert_eq!(records.keys().copied().collect::<Vec<_>>(), [1, 2, 4, 5, 6, 7, 9, 10]);
    let now = DateTime::from_timestamp_micros(1_790_000_000_000_000).unwrap();
    assert_eq!(records[&1].state(now), State::Active);
    assert_eq!(records[&1].issued_to(), "backup service");
    assert_eq!(records[&1].scopes().as_str(), "files:read files:upload");
    let revocation = records[&2].revocation().unwrap();
    assert_eq!(revocation.at, now);
    assert_eq!(revocation.by.as_deref(), Some("admin"));
    assert_eq!(revocation.reason.as_deref(), Some("leaked"));
    let overlap = records[&4].overlap(now).unwrap();
    assert_eq!(overlap.ends_at, now + chrono::Duration::days(1));
    assert_eq!(records[&5].state(now), State::Revoked);
    assert_eq!(records[&5].owner(), "Acme \u{301}\u{1f511}");
    assert_eq!(records[&5].issued_by(), Some("alice@example.com"));
    assert_eq!(records[&5].issuers(), [records[&1].id(), records[&2].id()]);
    let metadata: Vec<_> = records[&5].metadata().collect();
    assert_eq!(metadata, [("team", "Straße 雪"), ("zero", "a\0b")]);
    assert!(records[&6].scopes().is_empty());
    assert!(records[&7].is_newer());
    let networks: Vec<String> = records[&9].networks().map(|n| n.to_string()).collect();
    assert_eq!(networks, ["10.0.0.0/8", "2001:db8::/32"]);
    let suspension = &records[&9].suspensions()[0];
    let until = now + chrono::Duration::microseconds(9);
    assert_eq!((suspension.since, suspension.until), (now, Some(until)));
    assert_eq!(suspension.by.as_deref(), Some("on call"));
    assert_eq!(suspension.reason.as_deref(), Some("INC-42"));
    assert_eq!(records[&9].state(now), State::Suspended);
    assert_eq!(records[&9].state(until), State::Active);
    assert!(records[&10].is_imported());
    assert_eq!(records[&10].end_set_at(), now + chrono::Duration::microseconds(3));
}
