//! Uncached verifications and the cache.

use service_tokens::Refusal;

use super::harness::{Harness, MAX_AGE, Stores, any, refusal_of};

behaviours! {
    uncached_refusal_removes_the_cached_record,
    uncached_acceptance_leaves_the_cached_record,
}

/// A token that an uncached verification has refused must not be accepted from the cache.
pub(crate) async fn uncached_refusal_removes_the_cached_record(stores: Stores) {
    for ending in ["revoked", "rotated", "removed"] {
        let harness = Harness::cached(stores, MAX_AGE, 100);
        let (id, token) = harness.issue_backup().await;
        harness.verify(&token).await.unwrap();
        let expected = match ending {
            "revoked" => {
                harness.revoke_elsewhere(id).await;
                Refusal::Revoked
            }
            "rotated" => {
                harness.rotate_elsewhere(id).await;
                Refusal::SecretEnded
            }
            _ => {
                let version = harness.store.find(id).await.unwrap().unwrap().version;
                harness.store.remove(id, version).await.unwrap();
                Refusal::UnknownId
            }
        };
        // The cache may be stale by as much as its maximum age.
        harness.verify(&token).await.unwrap();
        let refused = harness.service.verify_uncached(&token, &any()).await;
        assert_eq!(refusal_of(refused), Some(expected), "{ending}");
        assert_eq!(harness.refusal(&token).await, Some(expected), "{ending}");
    }
}

pub(crate) async fn uncached_acceptance_leaves_the_cached_record(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 100);
    let (_, token) = harness.issue_backup().await;
    harness.verify(&token).await.unwrap();
    harness.service.verify_uncached(&token, &any()).await.unwrap();
    let _ = harness.remote().finds();
    harness.verify(&token).await.unwrap();
    harness.expect_store_reads(0);
}
