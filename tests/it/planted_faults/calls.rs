//! The number of calls of the whole suite, because each takes about a millisecond on a database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_lite::future::block_on;
use service_tokens::conformance::{Promise, StoreFactory, ThreadJob, check};
use service_tokens::store::{BoxError, ChangeStream, Gathering, RecordRef, Version};
use service_tokens::{Filter, ListRequest, Page, Record, StoredRecord, TokenId, TokenStore};

use super::flaws::Flaw;
use super::harness::Answer;
use super::table::{Table, TableStore, Tables};

#[derive(Clone, Default)]
struct Calls {
    reads: Arc<AtomicUsize>,
    writes: Arc<AtomicUsize>,
}

struct Counted {
    inside: TableStore,
    calls: Calls,
}

impl Counted {
    fn read(&self) {
        self.calls.reads.fetch_add(1, Ordering::Relaxed);
    }

    fn write(&self) {
        self.calls.writes.fetch_add(1, Ordering::Relaxed);
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for Counted {
    async fn insert(&self, record: &Record) -> Answer<Version> {
        self.write();
        self.inside.insert(record).await
    }

    async fn find(&self, id: TokenId) -> Answer<Option<StoredRecord>> {
        self.read();
        self.inside.find(id).await
    }

    async fn replace(&self, record: &Record, expected: Version) -> Answer<Version> {
        self.write();
        // Slow enough that the suite takes this for a database.
        std::thread::sleep(Duration::from_micros(60));
        self.inside.replace(record, expected).await
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Answer<()> {
        self.write();
        self.inside.remove(id, expected).await
    }

    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        self.read();
        self.inside.list(request, now).await
    }

    fn gathering(&self) -> Option<Gathering> {
        self.inside.gathering()
    }

    async fn find_many(&self, ids: &[TokenId]) -> Vec<Answer<Option<StoredRecord>>> {
        self.read();
        self.inside.find_many(ids).await
    }

    async fn versions(&self, ids: &[TokenId]) -> Vec<Answer<Option<Version>>> {
        self.read();
        self.inside.versions(ids).await
    }

    async fn replace_many(&self, writes: &[(Record, Version)]) -> Vec<Answer<Version>> {
        self.write();
        self.inside.replace_many(writes).await
    }

    async fn remove_many(&self, removals: &[(TokenId, Version)]) -> Vec<Answer<()>> {
        self.write();
        self.inside.remove_many(removals).await
    }

    async fn count(&self, filter: &Filter, now: DateTime<Utc>) -> Answer<u64> {
        self.read();
        self.inside.count(filter, now).await
    }

    fn tracks_last_used(&self) -> bool {
        self.inside.tracks_last_used()
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        self.write();
        self.inside.touch(uses).await
    }

    async fn changes(&self) -> Answer<Option<Box<dyn ChangeStream>>> {
        self.read();
        self.inside.changes().await
    }

    fn find_now(&self, id: TokenId, visit: &mut dyn FnMut(Option<RecordRef<'_>>)) -> bool {
        self.inside.find_now(id, visit)
    }

    async fn close(&self) -> Answer<()> {
        self.inside.close().await
    }
}

struct Counting(Calls);

impl Counting {
    fn count(&self, inside: TableStore) -> Counted {
        Counted { inside, calls: self.0.clone() }
    }
}

const TABLES: Tables = Tables(Flaw::Correct);

#[async_trait]
impl StoreFactory for Counting {
    type Store = Counted;
    type Guard = Arc<Table>;

    async fn fresh(&self) -> Result<(Counted, Arc<Table>), BoxError> {
        let (store, table) = TABLES.fresh().await?;
        Ok((self.count(store), table))
    }

    async fn reopen(
        &self,
        store: Counted,
        table: &mut Arc<Table>,
    ) -> Option<Result<Counted, BoxError>> {
        let store = TABLES.reopen(store.inside, table).await?;
        Some(store.map(|store| self.count(store)))
    }

    async fn second(
        &self,
        store: &Counted,
        table: &mut Arc<Table>,
    ) -> Option<Result<Counted, BoxError>> {
        let store = TABLES.second(&store.inside, table).await?;
        Some(store.map(|store| self.count(store)))
    }

    async fn make_unavailable(&self, store: &Counted, table: &mut Arc<Table>) -> bool {
        TABLES.make_unavailable(&store.inside, table).await
    }

    async fn make_available(&self, store: &Counted, table: &mut Arc<Table>) -> bool {
        TABLES.make_available(&store.inside, table).await
    }

    async fn lose_next_answer(&self, store: &Counted, table: &mut Arc<Table>) -> bool {
        TABLES.lose_next_answer(&store.inside, table).await
    }

    async fn refuse_next_call(&self, store: &Counted, table: &mut Arc<Table>) -> bool {
        TABLES.refuse_next_call(&store.inside, table).await
    }

    async fn plant_bytes(
        &self,
        store: &Counted,
        table: &mut Arc<Table>,
        id: TokenId,
        bytes: &[u8],
    ) -> bool {
        TABLES.plant_bytes(&store.inside, table, id, bytes).await
    }

    fn spawn_on_thread(&self, job: ThreadJob) -> bool {
        TABLES.spawn_on_thread(job)
    }
}

#[test]
#[ignore = "campaign: cargo xtask campaigns"]
#[allow(clippy::print_stdout, reason = "the numbers are in the manual")]
fn suite_makes_bounded_calls_campaign() {
    let mut all = [0, 0];
    for promise in Promise::ALL {
        let calls = Calls::default();
        let outcome = block_on(check(&Counting(calls.clone()), *promise));
        assert_eq!(outcome.to_string(), "kept", "{promise}");
        let counts = [&calls.reads, &calls.writes].map(|count| count.load(Ordering::Relaxed));
        println!("{promise}: {} reads, {} writes", counts[0], counts[1]);
        // This one counts to the end of 16 bits, which has a limit of its own in time.
        if *promise != Promise::VersionsAreNew {
            all = [all[0] + counts[0], all[1] + counts[1]];
        }
    }
    println!("in all: {} reads, {} writes", all[0], all[1]);
    assert!(all[0] + all[1] < 110_000, "{all:?}");
}
