//! Measures one verification over a store that answers `find` after one yield, with and without gathering.
//!
//! - `cargo bench --bench gathering` prints times.
//! - `gathering CASE TIMES` makes this many verifications, for a tool that counts instructions. The cases
//!   are `single`, which is a store without the methods of gathered look-ups, and `gathered`. The difference
//!   between two runs with different numbers is the cost of a verification.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::store::{Gathering, StoreError, Version};
use service_tokens::{
    IssueRequest, ListRequest, MemoryStore, Page, Record, Requirement, StoredRecord, TokenId,
    TokenService, TokenStore, TokenType,
};

const TOKENS: usize = 1_000;
const ROUNDS: usize = 15;
const PER_ROUND: usize = 20_000;

/// A store that answers after one yield.
struct Yields {
    inner: MemoryStore,
    gathering: Option<Gathering>,
}

async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[async_trait]
impl TokenStore for Yields {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        self.inner.insert(record).await
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        yield_once().await;
        self.inner.find(id).await
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        self.inner.replace(record, expected).await
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.inner.remove(id, expected).await
    }

    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        self.inner.list(request, now).await
    }

    fn gathering(&self) -> Option<Gathering> {
        self.gathering
    }
}

/// A task that is polled again when it was woken.
struct Task(AtomicBool);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

fn run<T>(task: &Arc<Task>, waker: &Waker, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) {
            return output;
        }
        assert!(task.0.swap(false, Ordering::Acquire), "the task was not woken");
    }
}

struct Case {
    service: TokenService<Yields>,
    tokens: Vec<String>,
    task: Arc<Task>,
    waker: Waker,
}

impl Case {
    fn new(gathering: Option<Gathering>) -> Self {
        let service =
            TokenService::builder(Yields { inner: MemoryStore::new(), gathering }, "acme_live")
                .token_type(TokenType::new("connector", ["files:upload"]).unwrap())
                .build()
                .unwrap();
        let task = Arc::new(Task(AtomicBool::new(false)));
        let waker = Waker::from(task.clone());
        let tokens = (0..TOKENS)
            .map(|_| {
                let request = IssueRequest::new("connector", "nightly backup");
                let issued = run(&task, &waker, service.owner("acme").issue(request)).unwrap();
                issued.token.expose_secret().to_owned()
            })
            .collect();
        Self { service, tokens, task, waker }
    }

    fn verify(&self, times: usize) {
        let upload = Requirement::scope("files:upload").unwrap();
        for token in self.tokens.iter().cycle().take(times) {
            let verification = self.service.verify(token, &upload);
            black_box(run(&self.task, &self.waker, verification)).unwrap();
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let gathering = Some(Gathering::new(256, 2));
    match &arguments[..] {
        [] => {
            let cases = [("single", Case::new(None)), ("gathered", Case::new(gathering))];
            let mut best = [f64::MAX; 2];
            for _ in 0..ROUNDS {
                for ((_, case), best) in cases.iter().zip(&mut best) {
                    let start = Instant::now();
                    case.verify(PER_ROUND);
                    *best = best.min(start.elapsed().as_nanos() as f64 / PER_ROUND as f64);
                }
            }
            for ((name, _), best) in cases.iter().zip(best) {
                println!("{name:10} {best:8.0} ns, the fastest of {ROUNDS} rounds");
            }
        }
        [case, times] => {
            let gathering = match &**case {
                "single" => None,
                "gathered" => gathering,
                other => panic!("unknown case: {other}"),
            };
            Case::new(gathering).verify(times.parse().unwrap());
        }
        _ => panic!("usage: gathering [CASE TIMES]"),
    }
}
