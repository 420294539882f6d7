//! Versions that a removal has used.

use super::*;
use crate::store::{StoreError, TokenStore};
use crate::stores::file::format::{Framer, Header, MAX_VERSION};

/// The journal ends with a removal, whose version must not be given to the next record.
#[test]
fn version_of_a_removal_is_not_reused() {
    for compacts in [false, true] {
        let place = Place::new();
        let mut latest = 0;
        for _ in 0..3 {
            let store = place.open_quiet();
            block_on(async {
                let version = store.insert(&record(1)).await.unwrap();
                assert!(version.0 > latest, "{version:?} after {latest}, compacts: {compacts}");
                store.remove(id(1), version).await.unwrap();
                // Versions come from one counter, so the removal has used the next one.
                latest = version.0 + 1;
                if compacts {
                    store.compact().await.unwrap();
                }
                store.close().await.unwrap();
            });
        }
    }
}

/// A file with the highest version opens, and no write makes it a file that would be refused.
#[test]
fn highest_version_has_no_successor() {
    let place = Place::new();
    drop(place.open());
    let mut bytes = std::fs::read(place.path()).unwrap();
    let seed = Header::read(&bytes).unwrap().seed();
    Framer::new(seed, 1).put(&mut bytes, id(1), MAX_VERSION - 1, None, &record(1).to_bytes());
    std::fs::write(place.path(), &bytes).unwrap();
    for writes in [1, 0] {
        let store = place.open();
        for n in 0..writes {
            assert_eq!(block_on(store.insert(&record(2 + n))).unwrap().0, MAX_VERSION);
        }
        let version = block_on(store.find(id(1))).unwrap().unwrap().version;
        for refused in [
            block_on(store.insert(&record(9))).map(drop),
            block_on(store.replace(&revoked(&record(1)), version)).map(drop),
            block_on(store.remove(id(1), version)),
        ] {
            assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
        }
        // A last use has no version.
        block_on(store.touch(&[(id(1), now())])).unwrap();
        block_on(store.compact()).unwrap();
    }
    assert_eq!(place.open().open_report().records, 2);
}
