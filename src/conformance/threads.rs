//! Checks of calls on several threads.
//!
//! The threads stay alive for all rounds of a check and meet at a [`Gate`] that spins, because a thread
//! that must first be woken is late by more than a call in memory takes. The task of the suite waits
//! without blocking its own thread, because a runtime may need that thread to drive the sockets of the
//! store.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::factory::ThreadJob;
use super::polling::{Boxed, block_on, within};
use super::probe::Probe;
use super::races::{add_up, check_sum, conflict, only_winner};
use super::samples::{labelled, nth};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{StoreError, TokenStore, Version};

mod observers;

/// Starts a thread for a job. Returns whether it did.
pub(super) type Spawn<'f> = dyn Fn(ThreadJob) -> bool + Sync + 'f;

type Shared = Arc<dyn TokenStore>;

const THREADS: usize = 4;
const ROUNDS: usize = 150;

/// The maximum duration of one check, which bounds the test if a call never ends.
const MAX_WAIT: Duration = Duration::from_secs(40);

/// The verdict of a thread that waited for another one in vain.
const LATE: &str = "the threads did not run at the same time, or a call on one of them did not end";

/// Starts a thread for a job of a store that needs no runtime.
pub(super) fn spawn(job: ThreadJob) -> bool {
    thread::Builder::new().spawn(move || block_on(job)).is_ok()
}

/// Makes the races over these handles of one storage. The first of them makes all other calls.
pub(super) async fn threads_agree(handles: &[Shared], spawn: &Spawn<'_>) -> Verdict {
    let Some(store) = handles.first() else { return Ok(()) };
    let probe = Probe { store: &**store };
    let answer = Threads { spawn }.run(vec![Box::pin(async {}) as Boxed<'static, ()>]).await;
    if matches!(answer, Err(NotKept::NotChecked(_))) {
        return answer.map(drop);
    }
    races(handles, spawn).await?;
    let threads = Threads { spawn };
    observers::touches_undo_nothing(&threads, store, probe).await?;
    observers::touches_revive_nothing(&threads, store, probe).await?;
    observers::reads_are_whole(&threads, store, probe).await?;
    observers::changes_follow_writes(&threads, store, probe).await
}

/// Makes the races between writes over these handles of one storage.
pub(super) async fn races(handles: &[Shared], spawn: &Spawn<'_>) -> Verdict {
    let Some(store) = handles.first() else { return Ok(()) };
    let (threads, probe) = (Threads { spawn }, Probe { store: &**store });
    inserts(&threads, handles, probe).await?;
    replacements_and_removals(&threads, handles, probe).await?;
    let sum = 1_000;
    probe.insert(&labelled(sum, "0")?).await?;
    let adders = (0..THREADS).map(|racer| -> Boxed<'static, Verdict> {
        let store = handles[racer % handles.len()].clone();
        Box::pin(async move { add_up(&*store, sum, 100).await })
    });
    threads.verdicts(adders.collect()).await?;
    check_sum(probe, sum, THREADS * 100).await?;
    for round in 0..ROUNDS as u32 {
        if let Some(stored) = probe.find(nth(round)).await? {
            probe.remove(nth(round), stored.version).await?;
        }
    }
    let stored = probe.stored(nth(sum), "in the end").await?;
    probe.remove(nth(sum), stored.version).await
}

/// Makes `ROUNDS` races of inserts under one id.
async fn inserts(threads: &Threads<'_>, handles: &[Shared], probe: Probe<'_>) -> Verdict {
    let gate = Gate::of(THREADS);
    let jobs = (0..THREADS).map(|racer| -> Boxed<'static, Result<Vec<_>, NotKept>> {
        let (store, gate) = (handles[racer % handles.len()].clone(), gate.clone());
        Box::pin(async move {
            let mut answers = Vec::new();
            for round in 0..ROUNDS {
                let record = labelled(round as u32, &format!("racer {racer}"))?;
                gate.meet(round)?;
                answers.push(store.insert(&record).await);
            }
            Ok(answers)
        })
    });
    for (round, answers) in by_round(threads.run(jobs.collect()).await?)?.into_iter().enumerate() {
        let exists = |error: &StoreError| matches!(error, StoreError::Exists);
        let (winner, version) = only_winner("inserts on threads", &answers, exists)?;
        let record = labelled(round as u32, &format!("racer {winner}"))?;
        probe.found(&record, version, "after inserts on threads").await?;
    }
    Ok(())
}

/// Makes races of two replacements and two removals with one version, for the records of [`inserts`].
async fn replacements_and_removals(
    threads: &Threads<'_>,
    handles: &[Shared],
    probe: Probe<'_>,
) -> Verdict {
    let mut versions = Vec::new();
    for round in 0..ROUNDS {
        versions.push(probe.stored(nth(round as u32), "after inserts on threads").await?.version);
    }
    let (gate, versions) = (Gate::of(THREADS), Arc::new(versions));
    let jobs = (0..THREADS).map(|racer| -> Boxed<'static, Result<Vec<_>, NotKept>> {
        let store = handles[racer % handles.len()].clone();
        let (gate, versions) = (gate.clone(), versions.clone());
        Box::pin(async move {
            let mut answers: Vec<Result<Option<Version>, StoreError>> = Vec::new();
            for (round, version) in versions.iter().enumerate() {
                let record = labelled(round as u32, &format!("replaced by {racer}"))?;
                gate.meet(round)?;
                answers.push(if removes(racer, round) {
                    store.remove(record.id(), *version).await.map(|()| None)
                } else {
                    store.replace(&record, *version).await.map(Some)
                });
            }
            Ok(answers)
        })
    });
    let what = "replacements and removals with one version on threads";
    let when = "after replacements and removals on threads";
    for (round, answers) in by_round(threads.run(jobs.collect()).await?)?.into_iter().enumerate() {
        let (winner, version) = only_winner(what, &answers, conflict)?;
        let record = labelled(round as u32, &format!("replaced by {winner}"))?;
        match version {
            Some(version) => probe.found(&record, version, when).await?,
            None => {
                let found = probe.find(record.id()).await?;
                ensure!(found.is_none(), "{when}, find answered with a removed record");
            }
        }
    }
    Ok(())
}

/// Returns whether this racer removes. The kinds of the two threads that arrive first vary.
fn removes(racer: usize, round: usize) -> bool {
    (racer + round) % THREADS < THREADS / 2
}

/// Turns the answers of each thread into the answers of each round.
fn by_round<T>(threads: Vec<Result<Vec<T>, NotKept>>) -> Result<Vec<Vec<T>>, NotKept> {
    let mut rounds: Vec<Vec<T>> = (0..ROUNDS).map(|_| Vec::new()).collect();
    for answers in threads {
        for (round, answer) in rounds.iter_mut().zip(answers?) {
            round.push(answer);
        }
    }
    Ok(rounds)
}

/// A barrier at which threads meet once in each round.
#[derive(Clone)]
pub(super) struct Gate {
    arrived: Arc<AtomicUsize>,
    threads: usize,
}

impl Gate {
    pub(super) fn of(threads: usize) -> Self {
        Self { arrived: Arc::default(), threads }
    }

    /// Blocks the thread until all threads have come to this round.
    pub(super) fn meet(&self, round: usize) -> Verdict {
        self.arrived.fetch_add(1, Ordering::SeqCst);
        let end = Instant::now() + MAX_WAIT / 2;
        while self.arrived.load(Ordering::SeqCst) < self.threads * (round + 1) {
            ensure!(Instant::now() < end, "{LATE}");
            thread::yield_now();
        }
        Ok(())
    }
}

/// The results of jobs on threads.
struct Results<T> {
    ready: Vec<Option<T>>,
    running: usize,
    waker: Option<Waker>,
}

/// Counts a job as ended when it is dropped, also by a panic.
struct Job<T>(Arc<Mutex<Results<T>>>);

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        let mut results = lock(&self.0);
        results.running = results.running.saturating_sub(1);
        let waker = if results.running == 0 { results.waker.take() } else { None };
        drop(results);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn lock<T>(results: &Mutex<Results<T>>) -> MutexGuard<'_, Results<T>> {
    results.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The means to run futures on threads.
pub(super) struct Threads<'f> {
    spawn: &'f Spawn<'f>,
}

impl<'f> Threads<'f> {
    pub(super) fn of(spawn: &'f Spawn<'f>) -> Self {
        Self { spawn }
    }

    /// Runs each future on a thread of its own, all at the same time.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        jobs: Vec<Boxed<'static, T>>,
    ) -> Result<Vec<T>, NotKept> {
        let results = Arc::new(Mutex::new(Results {
            ready: jobs.iter().map(|_| None).collect(),
            running: jobs.len(),
            waker: None,
        }));
        for (place, future) in jobs.into_iter().enumerate() {
            let job = Job(results.clone());
            let started = (self.spawn)(Box::pin(async move {
                let ready = future.await;
                if let Some(slot) = lock(&job.0).ready.get_mut(place) {
                    *slot = Some(ready);
                }
                drop(job);
            }));
            if !started {
                return Err(NotKept::NotChecked(
                    "the factory says neither that the store is runtime-free (`runtime_free`) nor how to \
                     run its futures on a thread (`spawn_on_thread`)",
                ));
            }
        }
        let ended = poll_fn(|cx| {
            let mut results = lock(&results);
            if results.running == 0 {
                return Poll::Ready(());
            }
            results.waker = Some(cx.waker().clone());
            Poll::Pending
        });
        if within(MAX_WAIT, ended).await.is_none() {
            return broken(format!("calls on threads did not end within {MAX_WAIT:?}"));
        }
        let ready = std::mem::take(&mut lock(&results).ready);
        match ready.into_iter().collect() {
            Some(ready) => Ok(ready),
            None => broken("a call on a thread panicked"),
        }
    }

    /// Returns the first verdict that explains a failure. A thread that ends early makes the others late.
    pub(super) async fn verdicts(&self, jobs: Vec<Boxed<'static, Verdict>>) -> Verdict {
        let is_late =
            |verdict: &Verdict| matches!(verdict, Err(NotKept::Broken(what)) if what == LATE);
        let mut verdicts = self.run(jobs).await?;
        verdicts.sort_by_key(is_late);
        verdicts.into_iter().collect()
    }
}

/// Returns the nth record of a writer that counts, whose label is the count.
pub(super) fn counted(n: u32, count: usize) -> Result<Record, NotKept> {
    labelled(n, &count.to_string())
}
