//! The store in memory keeps every promise: by itself and behind each forwarder.

use std::sync::Arc;

use async_trait::async_trait;
use service_tokens::conformance::{Outcome, Promise, StoreFactory, fresh, run};
use service_tokens::store::BoxError;
use service_tokens::{MemoryStore, TokenStore, conformance_tests};

conformance_tests!(
    mod by_itself,
    tokio::test,
    fresh(|| async { MemoryStore::new() }).runtime_free()
);

conformance_tests!(
    mod in_an_arc,
    tokio::test(flavor = "multi_thread"),
    Shared
);

conformance_tests!(
    mod boxed,
    tokio::test,
    fresh(|| async { Box::new(MemoryStore::new()) as Box<dyn TokenStore> }).runtime_free()
);

conformance_tests!(
    mod shared_and_dynamic,
    tokio::test,
    fresh(|| async { Arc::new(MemoryStore::new()) as Arc<dyn TokenStore> }).runtime_free()
);

/// Memory cannot be reopened, but it can be shared.
struct Shared;

#[async_trait]
impl StoreFactory for Shared {
    type Store = Arc<MemoryStore>;
    type Guard = ();

    async fn fresh(&self) -> Result<(Arc<MemoryStore>, ()), BoxError> {
        Ok((Arc::new(MemoryStore::new()), ()))
    }

    async fn second(
        &self,
        store: &Arc<MemoryStore>,
        _: &mut (),
    ) -> Option<Result<Arc<MemoryStore>, BoxError>> {
        Some(Ok(store.clone()))
    }

    fn runtime_free(&self) -> bool {
        true
    }
}

/// A runtime can spawn the whole suite.
#[test]
fn conformance_futures_are_send() {
    fn send(_: impl Send) {}
    send(run(&Shared));
}

#[test]
fn conformance_runs_on_another_executor() {
    let report = futures_lite::future::block_on(run(&Shared));
    assert_eq!(report.broken().collect::<Vec<_>>(), []);
}

#[test]
fn conformance_reports_unchecked_promises() {
    let report = futures_lite::future::block_on(run(&Shared));
    let not_checked: Vec<Promise> = report.not_checked().map(|(promise, _)| promise).collect();
    assert_eq!(
        not_checked,
        [
            Promise::SurvivesReopening,
            Promise::ChangesAreReported,
            Promise::ChangesReachEveryHandle,
            Promise::FailuresAreErrors,
            Promise::OutagesEnd,
            Promise::InterruptedCallsAreTrue,
            Promise::LostAnswersAreIndeterminate,
            Promise::RefusedCallsAreUnavailable,
            Promise::DamageIsReported,
            Promise::ErrorsLeakNothing,
            Promise::ManySurviveReopening,
            Promise::ChangesOfManyAreReported,
            Promise::FailuresOfManyAreErrors,
            Promise::LostRowsAreIndeterminate,
            Promise::RefusedRowsAreUnavailable,
            Promise::DamagedRowsAreReported,
            Promise::ErrorsOfManyLeakNothing,
        ]
    );
    let kept = report.outcomes().filter(|(_, outcome)| **outcome == Outcome::Kept).count();
    assert_eq!(kept + not_checked.len(), Promise::ALL.len());
    for line in report.to_string().lines() {
        assert!(line.contains("  kept") || line.contains("  not checked: "), "{line}");
    }
    assert_eq!(report.to_string().lines().count(), Promise::ALL.len());
}
