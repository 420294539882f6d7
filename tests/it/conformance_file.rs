//! The store in a file keeps every promise, also across reopening.

use async_trait::async_trait;
use service_tokens::conformance::{Outcome, Promise, StoreFactory, check, run};
use service_tokens::store::BoxError;
use service_tokens::{FileStore, TokenStore, conformance_tests};
use tempfile::TempDir;

struct InAFolder;

#[async_trait]
impl StoreFactory for InAFolder {
    type Store = FileStore;
    type Guard = TempDir;

    async fn fresh(&self) -> Result<(FileStore, TempDir), BoxError> {
        let folder = tempfile::tempdir()?;
        Ok((FileStore::open(folder.path().join("tokens.journal"))?, folder))
    }

    async fn reopen(
        &self,
        store: FileStore,
        folder: &mut TempDir,
    ) -> Option<Result<FileStore, BoxError>> {
        drop(store);
        Some(FileStore::open(folder.path().join("tokens.journal")).map_err(Into::into))
    }

    async fn make_unavailable(&self, store: &FileStore, _: &mut TempDir) -> bool {
        store.close().await.unwrap();
        true
    }

    fn runtime_free(&self) -> bool {
        true
    }
}

conformance_tests!(mod in_a_file, tokio::test, InAFolder);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "campaign: cargo xtask campaigns"]
async fn suite_on_many_threads_campaign() {
    let report = run(&InAFolder).await;
    assert_eq!(report.broken().collect::<Vec<_>>(), []);
}

#[test]
fn file_store_leaves_few_promises_unchecked() {
    let unchecked = |promise: &Promise| {
        let outcome = futures_lite::future::block_on(check(&InAFolder, *promise));
        matches!(outcome, Outcome::NotChecked { .. })
    };
    // It makes 65,000 replacements, and a test of its own shows that it is checked.
    let promises = Promise::ALL.iter().filter(|promise| **promise != Promise::VersionsAreNew);
    let not_checked: Vec<Promise> = promises.copied().filter(unchecked).collect();
    assert_eq!(
        not_checked,
        [
            Promise::HandlesAgree,
            Promise::ChangesAreReported,
            Promise::ChangesReachEveryHandle,
            Promise::OutagesEnd,
            Promise::InterruptedCallsAreTrue,
            Promise::LostAnswersAreIndeterminate,
            Promise::RefusedCallsAreUnavailable,
            Promise::DamageIsReported,
            Promise::ManyAgreeThroughHandles,
            Promise::ChangesOfManyAreReported,
            Promise::LostRowsAreIndeterminate,
            Promise::RefusedRowsAreUnavailable,
            Promise::DamagedRowsAreReported,
        ]
    );
}
