//! Measures each verb on both stores, with 1,000 and with a million tokens.
//!
//! `cargo bench -p service-tokens-bench --bench verbs` runs it, and a name such as `verify/memory` after `--`
//! selects a part. Verification takes the tokens in random order, so the caches do not help; this is the
//! worst case. On the file store, each issue and each revocation waits for the disk. Concurrent calls share
//! this wait, as the documentation of the file store describes.
//!
//! `--short` uses 1,000 tokens and few samples, to show that it works. `SERVICE_TOKENS_BENCH_MAX=1000` leaves
//! the million out.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion};
use futures_lite::future::block_on;
use service_tokens::{
    FileStore, IssueRequest, ListRequest, MemoryStore, Policy, Requirement, RevokeRequest, TokenId,
    TokenService, TokenStore, TokenType,
};

const OWNERS: usize = 100;

/// A service with tokens, and their texts in random order.
struct Filled<S> {
    service: TokenService<S>,
    tokens: Vec<String>,
}

fn fill<S: TokenStore>(store: S, size: usize) -> Filled<S> {
    let service = TokenService::builder(store, "acme_live")
        .token_type(TokenType::new("connector", ["files:upload"]).unwrap())
        .policy(Policy::new().max_text_len(64))
        .build()
        .unwrap();
    // Concurrent issues, so that the file store commits them in groups.
    let filled = &service;
    let issue = |n: usize| async move {
        let owner = format!("owner-{:010}", n % OWNERS);
        let request = IssueRequest::new("connector", "nightly backup to vault");
        filled.owner(&owner).issue(request).await
    };
    let mut tokens = Vec::with_capacity(size);
    for start in (0..size).step_by(1_000) {
        let issues: Vec<_> = (start..size.min(start + 1_000)).map(issue).collect();
        for issued in block_on(join(issues)) {
            tokens.push(issued.unwrap().token.expose_secret().to_owned());
        }
    }
    shuffle(&mut tokens);
    Filled { service, tokens }
}

/// Polls all futures in turn until all are done.
async fn join<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(move |context| {
        let mut done = true;
        for (future, output) in waiting.iter_mut().filter(|(_, output)| output.is_none()) {
            match future.as_mut().poll(context) {
                std::task::Poll::Ready(value) => *output = Some(value),
                std::task::Poll::Pending => done = false,
            }
        }
        if done {
            let outputs = waiting.iter_mut().filter_map(|(_, output)| output.take());
            std::task::Poll::Ready(outputs.collect())
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}

/// Shuffles items into an order that is the same in every run (Knuth's linear congruential generator).
fn shuffle<T>(items: &mut [T]) {
    let mut state = 0x853c_49e6_748f_ea9b_u64;
    for last in (1..items.len()).rev() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(last, (state >> 33) as usize % (last + 1));
    }
}

fn verify<S: TokenStore>(group: &mut BenchmarkGroup<'_, WallTime>, filled: &Filled<S>, size: &str) {
    let requirement = Requirement::scope("files:upload").unwrap();
    let other = fill(MemoryStore::new(), 1_000);
    let some = || filled.tokens.iter().take(1_000);
    let wrong_secrets: Vec<String> = some().map(|token| wrong_secret(token)).collect();
    let mistyped: Vec<String> = some().map(|token| mistype(token)).collect();
    let cases: [(&str, &[String], bool); 4] = [
        ("hit", &filled.tokens, true),
        ("wrong secret", &wrong_secrets, false),
        ("unknown id", &other.tokens, false),
        ("malformed", &mistyped, false),
    ];
    for (name, tokens, accepted) in cases {
        let mut tokens = tokens.iter().cycle();
        group.bench_function(format!("{name}/{size}"), |b| {
            b.iter(|| {
                let token = tokens.next().map_or("", String::as_str);
                let outcome = block_on(filled.service.verify(token, &requirement));
                assert_eq!(outcome.is_ok(), accepted);
                black_box(outcome)
            });
        });
    }
}

/// Returns the token with a typing error.
fn mistype(token: &str) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let last = bytes.len() - 1;
    bytes[last] = if bytes[last] == b'0' { b'1' } else { b'0' };
    String::from_utf8(bytes).unwrap()
}

/// Returns the token with another secret and the matching checksum.
fn wrong_secret(token: &str) -> String {
    let covered = token.len() - 6;
    let mut bytes = token.as_bytes()[..covered].to_vec();
    bytes[covered - 1] = if bytes[covered - 1] == b'0' { b'1' } else { b'0' };
    let mut crc = crc32fast::hash(&bytes);
    let mut checksum = [0; 6];
    for character in checksum.iter_mut().rev() {
        *character =
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(crc % 62) as usize];
        crc /= 62;
    }
    bytes.extend_from_slice(&checksum);
    String::from_utf8(bytes).unwrap()
}

fn manage<S: TokenStore>(groups: &mut Criterion, store: &str, filled: &Filled<S>, size: &str) {
    let service = &filled.service;
    let issue =
        || service.owner("owner-0000000001").issue(IssueRequest::new("connector", "a benchmark"));
    groups.bench_function(&format!("issue/{store}/{size}"), |b| {
        b.iter(|| block_on(issue()).unwrap());
    });
    groups.bench_function(&format!("revoke/{store}/{size}"), |b| {
        b.iter_batched(
            || block_on(issue()).unwrap().record.id(),
            |id: TokenId| block_on(service.all_owners().revoke(id, RevokeRequest::new())).unwrap(),
            BatchSize::SmallInput,
        );
    });
    groups.bench_function(&format!("list a page of 50/{store}/{size}"), |b| {
        b.iter(|| {
            let page =
                block_on(service.owner("owner-0000000007").list(ListRequest::new())).unwrap();
            assert!(!page.items.is_empty());
            page
        });
    });
}

fn run<S: TokenStore>(criterion: &mut Criterion, store: &str, size: usize, make: impl Fn() -> S) {
    let filled = fill(make(), size);
    let label = if size >= 1_000_000 { "1m" } else { "1k" };
    let mut group = criterion.benchmark_group(format!("verify/{store}"));
    verify(&mut group, &filled, label);
    group.finish();
    manage(criterion, store, &filled, label);
}

fn main() {
    // `cargo bench` passes the same arguments to every bench target, and criterion rejects the options of
    // `peers`. With one of them, this program reads the arguments itself.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |option: &str| arguments.iter().any(|argument| argument == option);
    let short = has("--short");
    let (samples, warm_up, measurement) = if short { (10, 10, 50) } else { (20, 500, 2_000) };
    let mut criterion = Criterion::default()
        .sample_size(samples)
        .warm_up_time(Duration::from_millis(warm_up))
        .measurement_time(Duration::from_millis(measurement));
    if !short && !has("--picture") {
        criterion = criterion.configure_from_args();
    } else if let Some(filter) = arguments.iter().find(|argument| !argument.starts_with("--")) {
        criterion = criterion.with_filter(filter);
    }
    let max = std::env::var("SERVICE_TOKENS_BENCH_MAX").ok().and_then(|n| n.parse().ok());
    let max = max.unwrap_or(if short { 1_000 } else { 1_000_000 });
    for size in [1_000, 1_000_000].into_iter().filter(|size| *size <= max) {
        run(&mut criterion, "memory", size, MemoryStore::new);
        let folder = tempfile::tempdir().unwrap();
        run(&mut criterion, "file", size, || {
            FileStore::open(folder.path().join(format!("{size}.journal"))).unwrap()
        });
    }
    criterion.final_summary();
}
