//! Versions that a removal has used.

use super::*;
use crate::store::TokenStore;

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
