//! What the verbs cost on both stores, with 1,000 and a million tokens in them.
//!
//! `cargo bench`, or `cargo bench -- verify/memory` for a part. Verification takes tokens in an order
//! that no cache foresees, which is its worst case. Issuing and revoking on the file store wait for
//! the disk, one act at a time: see the file store's documentation for what groups of acts cost.
//!
//! `SERVICE_TOKENS_BENCH_MOST=1000` leaves the million out.
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

/// A service over `store` that holds `size` tokens, and the texts of some of them.
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
    // Many at a time, so that the file store commits them in groups.
    let filled = &service;
    let issue = |n: usize| async move {
        let owner = format!("owner-{:010}", n % OWNERS);
        let request = IssueRequest::new("connector", "nightly backup to vault");
        filled.owner(&owner).issue(request).await
    };
    let mut tokens = Vec::with_capacity(size);
    for start in (0..size).step_by(1_000) {
        let acts: Vec<_> = (start..size.min(start + 1_000)).map(issue).collect();
        for issued in block_on(join(acts)) {
            tokens.push(issued.unwrap().token.expose_secret().to_owned());
        }
    }
    shuffle(&mut tokens);
    Filled { service, tokens }
}

/// Polls all in turn until each is done.
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

/// The same order in every run (a linear congruential generator after Knuth).
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
    let stranger = fill(MemoryStore::new(), 1_000);
    let some = || filled.tokens.iter().take(1_000);
    let wrong_secrets: Vec<String> = some().map(|token| wrong_secret(token)).collect();
    let mistyped: Vec<String> = some().map(|token| mistype(token)).collect();
    let cases: [(&str, &[String], bool); 4] = [
        ("hit", &filled.tokens, true),
        ("wrong secret", &wrong_secrets, false),
        ("unknown id", &stranger.tokens, false),
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

/// A token with a typing error.
fn mistype(token: &str) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let last = bytes.len() - 1;
    bytes[last] = if bytes[last] == b'0' { b'1' } else { b'0' };
    String::from_utf8(bytes).unwrap()
}

/// The token with another secret and the checksum that belongs to it.
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
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let most = std::env::var("SERVICE_TOKENS_BENCH_MOST").ok().and_then(|n| n.parse().ok());
    for size in [1_000, 1_000_000].into_iter().filter(|size| *size <= most.unwrap_or(1_000_000)) {
        run(&mut criterion, "memory", size, MemoryStore::new);
        let folder = tempfile::tempdir().unwrap();
        run(&mut criterion, "file", size, || {
            FileStore::open(folder.path().join(format!("{size}.journal"))).unwrap()
        });
    }
    criterion.final_summary();
}
