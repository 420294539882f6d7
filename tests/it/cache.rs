//! The cache under concurrent readers.

use futures_lite::future::block_on;
use service_tokens::RevokeRequest;

use crate::behaviour::harness::{Harness, MAX_AGE, any, text};
use crate::stores::Memory;

/// After the revocation has returned, no reader on another thread is accepted.
#[test]
fn revoke_during_cached_reads_is_immediate() {
    for _ in 0..50 {
        let harness = Harness::cached(&Memory, MAX_AGE, 1_000);
        let (issued, service) = (block_on(harness.issue_elsewhere()), &harness.service);
        let (id, token) = (issued.record.id(), &text(&issued));
        let revoked = &std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(move || {
                    for _ in 0..300 {
                        let before = revoked.load(std::sync::atomic::Ordering::SeqCst);
                        let accepted = block_on(service.verify(token, &any())).is_ok();
                        assert!(!(before && accepted), "accepted after the revocation");
                    }
                });
            }
            threads.spawn(move || {
                block_on(service.owner("acme").revoke(id, RevokeRequest::new())).unwrap();
                revoked.store(true, std::sync::atomic::Ordering::SeqCst);
            });
        });
    }
}
