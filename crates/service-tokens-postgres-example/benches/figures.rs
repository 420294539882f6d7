//! Measures what the manual's page *Writing a store* says about speed. It starts a PostgreSQL server.
//!
//! `cargo bench -p service-tokens-postgres-example` runs it. The argument `--short` uses small sizes, to show that
//! it works. Each pair is measured in turn, and the figures are medians of five.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a program for measurements")]

#[path = "../tests/server/mod.rs"]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use server::Server;
use service_tokens::chrono::{DateTime, Utc};
use service_tokens::store::{StoreError, Version};
use service_tokens::{
    Filter, IssueRequest, ListRequest, Page, Record, Requirement, RevokeRequest, StoredRecord,
    TokenId, TokenService, TokenStore, TokenType, async_trait,
};
use service_tokens_postgres_example::store::PostgresStore;
use tokio_postgres::NoTls;

const ROUNDS: usize = 5;

/// The same store without the calls about many records.
struct SingleCalls(PostgresStore);

#[async_trait]
impl TokenStore for SingleCalls {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        self.0.insert(record).await
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        self.0.find(id).await
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        self.0.replace(record, expected).await
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.0.remove(id, expected).await
    }

    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        self.0.list(request, now).await
    }
}

struct Sizes {
    rows: usize,
    revoked: usize,
    measured_for: Duration,
}

#[tokio::main]
async fn main() {
    let sizes = match std::env::args().any(|argument| argument == "--short") {
        true => Sizes { rows: 10_000, revoked: 200, measured_for: Duration::from_millis(200) },
        false => Sizes { rows: 1_000_000, revoked: 20_000, measured_for: Duration::from_secs(2) },
    };
    let server = Server::start();
    lists(&server, &sizes).await;
    let many = service(PostgresStore::new(pool(&server).await)).await;
    let single = service(SingleCalls(PostgresStore::new(pool(&server).await))).await;
    revocations(&many, &single, &sizes).await;
    for waiting in [1, 32, 256] {
        verifications(&many, &single, waiting, &sizes).await;
    }
}

async fn pool(server: &Server) -> Pool {
    let schema = server.new_schema().await.expect("a schema");
    let proxy_free = server.config(server.folder(), &schema);
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(proxy_free, NoTls, manager);
    let pool = Pool::builder(manager).max_size(32).build().expect("a pool");
    PostgresStore::new(pool.clone()).migrate().await.expect("a table");
    pool
}

async fn service<S: TokenStore>(store: S) -> Arc<TokenService<S>> {
    let connector = TokenType::new("connector", ["files:upload"]).expect("a type");
    let builder = TokenService::builder(store, "acme_test").token_type(connector);
    Arc::new(builder.events(|_: &service_tokens::Event| {}).build().expect("a service"))
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// A page of 50 for one of 10,000 owners, by one statement for all cases and by one for this case.
async fn lists(server: &Server, sizes: &Sizes) {
    let pool = pool(server).await;
    let client = pool.get().await.expect("a connection");
    let fill = "insert into service_token (id, version, record, format, owner, created_at) \
                select gen_random_uuid(), n, decode(repeat('ab', 220), 'hex'), 1, \
                convert_to('owner ' || n % 10000, 'UTF8'), n from generate_series(1, $1::bigint) as n";
    client.execute(fill, &[&(sizes.rows as i64)]).await.expect("rows");
    // The plan that a prepared statement gets after some executions.
    let settings = "vacuum analyze service_token; set plan_cache_mode = force_generic_plan";
    for statement in settings.split(';') {
        client.batch_execute(statement).await.expect("a setting");
    }
    let select = "select id, version, record, last_used from service_token where";
    let for_all = "($1::bytea is null or owner = $1) and ($2::uuid is null or id > $2)";
    let after = service_tokens::uuid::Uuid::nil();
    let mut figures = Vec::new();
    for condition in [for_all, "owner = $1 and id > $2"] {
        let sql = format!("{select} {condition} order by id limit 50");
        let statement = client.prepare(&sql).await.expect("a statement");
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            let owner = format!("owner {}", round * 7).into_bytes();
            let start = Instant::now();
            client.query(&statement, &[&owner, &after]).await.expect("a page");
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        figures.push(median(&mut times));
    }
    let [for_all, for_one] = figures[..] else { return };
    println!(
        "a page of 50 among {} rows: {for_all:.2} ms with one statement for all cases,",
        sizes.rows
    );
    println!("  {for_one:.2} ms with the statement for this case");
}

/// Revokes the tokens of an owner, with calls about many records and without.
async fn revocations(
    many: &TokenService<impl TokenStore>,
    single: &TokenService<impl TokenStore>,
    sizes: &Sizes,
) {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let owner = format!("revoked {round}");
        with.push(revocation(many, &owner, sizes.revoked).await);
        without.push(revocation(single, &owner, sizes.revoked).await);
    }
    let (with, without) = (median(&mut with), median(&mut without));
    println!("revoking {} tokens: {with:.2} s with `replace_many`,", sizes.revoked);
    println!("  {without:.2} s with one replacement at a time");
}

async fn revocation(service: &TokenService<impl TokenStore>, owner: &str, count: usize) -> f64 {
    for _ in 0..count / 100 {
        let issues = (0..100)
            .map(|_| service.owner(owner).issue(IssueRequest::new("connector", "nightly backup")));
        for issued in futures(issues).await {
            drop(issued.expect("an issued token"));
        }
    }
    let start = Instant::now();
    let revoked = service.owner(owner).revoke_all(Filter::new(), RevokeRequest::new()).run().await;
    let took = start.elapsed().as_secs_f64();
    assert_eq!(revoked.expect("a revocation").done, count as u64);
    took
}

/// Runs futures at the same time within this task.
async fn futures<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut is_done = true;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => is_done = false,
                }
            }
        }
        if is_done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}

/// Verifies random tokens while this many verifications wait, with gathered look-ups and without.
async fn verifications(
    many: &Arc<TokenService<PostgresStore>>,
    single: &Arc<TokenService<SingleCalls>>,
    waiting: usize,
    sizes: &Sizes,
) {
    let (many_tokens, single_tokens) = (tokens(many).await, tokens(single).await);
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        with.push(verified(many, &many_tokens, waiting, sizes.measured_for).await);
        without.push(verified(single, &single_tokens, waiting, sizes.measured_for).await);
    }
    let (with, without) = (median(&mut with), median(&mut without));
    println!(
        "{waiting} verifications at once: {with:.0} a second gathered, {without:.0} one by one,"
    );
    println!("  {:.2} times as many", with / without);
}

async fn tokens(service: &TokenService<impl TokenStore>) -> Arc<Vec<String>> {
    let mut tokens = Vec::new();
    for _ in 0..1_000 {
        let issued = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await;
        tokens.push(issued.expect("an issued token").token.expose_secret().to_owned());
    }
    Arc::new(tokens)
}

async fn verified<S: TokenStore>(
    service: &Arc<TokenService<S>>,
    tokens: &Arc<Vec<String>>,
    waiting: usize,
    measured_for: Duration,
) -> f64 {
    let (count, start) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let mut tasks = Vec::new();
    for task in 0..waiting {
        let (service, tokens, count) = (service.clone(), tokens.clone(), count.clone());
        tasks.push(tokio::spawn(async move {
            let mut next = task * 31;
            while start.elapsed() < measured_for {
                next = (next + 7) % tokens.len();
                let verified = service.verify(&tokens[next], &Requirement::any_token()).await;
                drop(verified.expect("a verified token"));
                count.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for task in tasks {
        task.await.expect("a task");
    }
    count.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}
