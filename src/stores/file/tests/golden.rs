//! Makes the golden store of format 1, which `tests/it/golden.rs` reads. It was made once. Only a
//! new format needs a new one, in addition to this one.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::model::Model;
use super::*;
use crate::digest::{ImportAlgorithm, StoredDigest};
use crate::network::NetworkSet;
use crate::record::NewSuspension;
use crate::store::TokenStore;

#[test]
#[ignore = "writes tests/golden: for a new format"]
fn write_golden_store() {
    let place = Place::new();
    let store = place.open_quiet();
    block_on(fill(&store));
    let mut expected = String::new();
    for (id, (record, used)) in Model::of(&store).0 {
        let version = block_on(store.find(id)).unwrap().unwrap().version.0;
        let used = used.map_or("never".to_owned(), |used| used.to_string());
        let bytes: String = record.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(expected, "{id} {version} {used} {bytes}").unwrap();
    }
    drop(store);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    std::fs::copy(place.path(), golden.join("store_v1.journal")).unwrap();
    std::fs::write(golden.join("store_v1.expected"), expected).unwrap();
}

async fn fill(store: &FileStore) {
    let insert = async |record: Record| store.insert(&record).await.unwrap();
    insert(record(1)).await;
    let version = insert(record(2)).await;
    store.replace(&revoked(&record(2)), version).await.unwrap();
    let version = insert(record(3)).await;
    store.remove(id(3), version).await.unwrap();
    store.touch(&[(id(1), now()), (id(2), now())]).await.unwrap();
    store.compact().await.unwrap();

    let version = insert(record(4)).await;
    let version = store.replace(&rotated(&record(4), 44), version).await.unwrap();
    let twice = rotated(&rotated(&record(4), 44), 45);
    store.replace(&twice, version).await.unwrap();

    let metadata = BTreeMap::from([
        ("team".to_owned(), "Straße 雪".to_owned()),
        ("zero".to_owned(), "a\0b".to_owned()),
    ]);
    let scopes = ScopeSet::new(["*", "service-tokens:issue"]).unwrap();
    let issuers = [id(1), id(2)];
    let record = Record::new(&NewRecord {
        owner: "Acme \u{301}\u{1f511}",
        token_type: "developer",
        expires_at: None,
        not_before: Some(now() + Duration::microseconds(1)),
        issued_by: Some("alice@example.com"),
        issuers: &issuers,
        ..new_record(5, &scopes, &metadata)
    });
    let version = insert(record.unwrap()).await;

    let nothing = ScopeSet::default();
    let record = Record::new(&new_record(6, &nothing, &BTreeMap::new())).unwrap();
    insert(record).await;

    let networks = NetworkSet::parse(["10.0.0.0/8", "2001:db8::/32"]).unwrap();
    let record = Record::new(&NewRecord {
        networks: Some(&networks),
        ..new_record(9, &scopes, &BTreeMap::new())
    });
    let version_of_9 = insert(record.clone().unwrap()).await;
    let until = Some(now() + Duration::microseconds(9));
    let (by, reason) = (Some("on call"), Some("INC-42"));
    let suspension = NewSuspension { since: now(), until, by, reason, displaces: true };
    let (suspended, _) = record.unwrap().suspend(now(), suspension).unwrap().unwrap();
    store.replace(&suspended, version_of_9).await.unwrap();

    let digest = StoredDigest::imported(ImportAlgorithm::Sha256, [0x5a; 32]);
    let id_10 = TokenId::from_bytes(*b"\0\0impo\x80r\x80ted\0\0\0\n");
    assert!(id_10.is_imported());
    let record = NewRecord {
        id: id_10,
        digest,
        imported_at: Some(now() + Duration::microseconds(3)),
        ..new_record(10, &scopes, &metadata)
    };
    insert(Record::new(&record).unwrap()).await;

    // A record of a newer program.
    insert(super::record(7).as_if_newer().unwrap()).await;

    let version_of_8 = insert(super::record(8)).await;
    store.remove(id(8), version_of_8).await.unwrap();
    store.touch(&[(id(5), now()), (id(6), now() + Duration::microseconds(7))]).await.unwrap();
    let found = store.find(id(5)).await.unwrap().unwrap();
    store.replace(&revoked(&found.record), version).await.unwrap();
}
