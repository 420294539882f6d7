//! The store of `examples/postgres_store` against the suite and a real server.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a failed step ends the test, and the report is its result"
)]

mod server;

use std::time::{Duration, Instant};

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use server::{Proxy, Server};
use service_tokens::conformance::{StoreFactory, ThreadJob, run};
use service_tokens::store::BoxError;
use service_tokens::{TokenId, async_trait};
use service_tokens_postgres_example::store::PostgresStore;
use tokio::runtime::Handle;
use tokio_postgres::NoTls;

/// One schema of the server for each store.
struct Schemas {
    server: Server,
}

/// The schema of a store, and the proxy through which the store reaches it.
struct Schema {
    name: String,
    proxy: Proxy,
    pool: Pool,
}

impl Schemas {
    fn pool(&self, schema: &str, proxy: &Proxy) -> Result<Pool, BoxError> {
        let recycling_method = RecyclingMethod::Fast;
        let config = self.server.config(proxy.folder(), schema);
        let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method });
        Ok(Pool::builder(manager).max_size(8).build()?)
    }

    fn open(&self, schema: &str, proxy: &Proxy, pool: Pool) -> PostgresStore {
        PostgresStore::new(pool).with_feed(self.server.config(proxy.folder(), schema))
    }
}

#[async_trait]
impl StoreFactory for Schemas {
    type Store = PostgresStore;
    type Guard = Schema;

    async fn fresh(&self) -> Result<(PostgresStore, Schema), BoxError> {
        let (name, proxy) = (self.server.new_schema().await?, self.server.proxy()?);
        let pool = self.pool(&name, &proxy)?;
        let store = self.open(&name, &proxy, pool.clone());
        store.migrate().await?;
        Ok((store, Schema { name, proxy, pool }))
    }

    async fn reopen(
        &self,
        store: PostgresStore,
        schema: &mut Schema,
    ) -> Option<Result<PostgresStore, BoxError>> {
        drop(store);
        let pool = self.pool(&schema.name, &schema.proxy);
        Some(pool.map(|pool| {
            schema.pool = pool.clone();
            self.open(&schema.name, &schema.proxy, pool)
        }))
    }

    async fn second(
        &self,
        _: &PostgresStore,
        schema: &mut Schema,
    ) -> Option<Result<PostgresStore, BoxError>> {
        let pool = self.pool(&schema.name, &schema.proxy);
        Some(pool.map(|pool| self.open(&schema.name, &schema.proxy, pool)))
    }

    async fn make_unavailable(&self, _: &PostgresStore, schema: &mut Schema) -> bool {
        schema.proxy.set_up(false);
        true
    }

    async fn make_available(&self, _: &PostgresStore, schema: &mut Schema) -> bool {
        schema.proxy.set_up(true);
        true
    }

    async fn lose_next_answer(&self, _: &PostgresStore, schema: &mut Schema) -> bool {
        schema.proxy.lose_next_answer();
        true
    }

    async fn refuse_next_call(&self, _: &PostgresStore, schema: &mut Schema) -> bool {
        // Without a connection in the pool, the next call opens one.
        schema.pool.retain(|_, _| false);
        schema.proxy.refuse_next_connection();
        true
    }

    async fn plant_bytes(
        &self,
        _: &PostgresStore,
        schema: &mut Schema,
        id: TokenId,
        bytes: &[u8],
    ) -> bool {
        let sql = format!("update {}.service_token set record = $2 where id = $1", schema.name);
        let Ok(client) = self.server.administrator().await else { return false };
        client.execute(&sql, &[&id.to_uuid(), &bytes]).await.is_ok_and(|rows| rows == 1)
    }

    fn spawn_on_thread(&self, job: ThreadJob) -> bool {
        let runtime = Handle::current();
        std::thread::spawn(move || runtime.block_on(job));
        true
    }
}

/// Four times the duration on a quiet machine, because other programs may use the processors as well.
const MAX_DURATION: Duration = Duration::from_secs(360);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the programs of PostgreSQL; .ci/run installs them"]
async fn postgres_store_keeps_every_promise() {
    let schemas = Schemas { server: Server::start() };
    let started = Instant::now();
    let report = run(&schemas).await;
    let took = started.elapsed();
    println!("{report}\n{took:?}");
    assert_eq!((report.broken().count(), report.not_checked().count()), (0, 0));
    assert!(took < MAX_DURATION, "the suite took {took:?}");
}
