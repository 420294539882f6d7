//! The store of `examples/postgres_store` against the suite and a real server.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a failed step ends the test, and the report is its result"
)]

mod server;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use server::Server;
use service_tokens::async_trait;
use service_tokens::conformance::{StoreFactory, run};
use service_tokens::store::BoxError;
use service_tokens_postgres_example::store::PostgresStore;
use tokio_postgres::NoTls;

/// One schema of the server for each store.
struct Schemas {
    server: Server,
}

impl Schemas {
    fn pool(&self, schema: &str) -> Result<Pool, BoxError> {
        let recycling_method = RecyclingMethod::Fast;
        let config = self.server.config(schema);
        let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method });
        Ok(Pool::builder(manager).max_size(8).build()?)
    }

    fn open(&self, schema: &str) -> Result<PostgresStore, BoxError> {
        Ok(PostgresStore::new(self.pool(schema)?).with_feed(self.server.config(schema)))
    }
}

#[async_trait]
impl StoreFactory for Schemas {
    type Store = PostgresStore;
    /// The name of the schema.
    type Guard = String;

    async fn fresh(&self) -> Result<(PostgresStore, String), BoxError> {
        let schema = self.server.new_schema().await?;
        let store = self.open(&schema)?;
        store.migrate().await?;
        Ok((store, schema))
    }

    async fn reopen(
        &self,
        store: PostgresStore,
        schema: &mut String,
    ) -> Option<Result<PostgresStore, BoxError>> {
        drop(store);
        Some(self.open(schema))
    }

    async fn second(
        &self,
        _: &PostgresStore,
        schema: &mut String,
    ) -> Option<Result<PostgresStore, BoxError>> {
        Some(self.open(schema))
    }

    async fn make_unavailable(&self, _: &PostgresStore, schema: &mut String) -> bool {
        self.server.shut_out(schema).await.is_ok()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the programs of PostgreSQL; .ci/run installs them"]
async fn postgres_store_keeps_every_promise() {
    let schemas = Schemas { server: Server::start() };
    let started = std::time::Instant::now();
    let report = run(&schemas).await;
    println!("{report}\n{:?}", started.elapsed());
    assert_eq!(report.broken().count(), 0);
}
