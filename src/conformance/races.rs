//! Checks of calls that overlap or are dropped.

use std::thread;

use super::polling::{Boxed, block_on, join, poll_and_drop};
use super::probe::{Probe, same_record, with_sources};
use super::samples::{labelled, nth};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{StoreError, StoredRecord, TokenStore};

const RACERS: usize = 8;
const ROUNDS: u32 = 12;

pub(super) async fn one_insert_wins(probe: Probe<'_>) -> Verdict {
    for round in 0..ROUNDS {
        let records = labels(round)?;
        let inserts = records.iter().map(|record| -> Boxed<'_, _> { probe.store.insert(record) });
        let answers = join(inserts.collect()).await;
        let (winner, version) = only_winner("inserts under one id", &answers, |error| {
            matches!(error, StoreError::Exists)
        })?;
        probe.holds(&records[winner], version, "after concurrent inserts").await?;
    }
    Ok(())
}

fn labels(n: u32) -> Result<Vec<Record>, NotKept> {
    (0..RACERS).map(|racer| labelled(n, &format!("racer {racer}"))).collect()
}

/// Returns the only call that succeeded.
fn only_winner<T: Copy>(
    what: &str,
    answers: &[Result<T, StoreError>],
    lost: impl Fn(&StoreError) -> bool,
) -> Result<(usize, T), NotKept> {
    let mut winners = Vec::new();
    for (racer, answer) in answers.iter().enumerate() {
        match answer {
            Ok(won) => winners.push((racer, *won)),
            Err(error) if lost(error) => {}
            Err(error) => {
                let error = with_sources(error);
                return broken(format!(
                    "of {} concurrent {what} one failed with: {error}",
                    answers.len()
                ));
            }
        }
    }
    match winners[..] {
        [winner] => Ok(winner),
        _ => broken(format!(
            "of {} concurrent {what} {} succeeded instead of one",
            answers.len(),
            winners.len()
        )),
    }
}

fn conflict(error: &StoreError) -> bool {
    matches!(error, StoreError::Conflict)
}

pub(super) async fn one_replace_wins(probe: Probe<'_>) -> Verdict {
    compete([probe, probe]).await?;
    // No update may be lost when several callers read, modify and retry.
    let start = probe.insert(&labelled(ROUNDS, "0")?).await?;
    let adders = (0..RACERS).map(|_| -> Boxed<'_, _> { Box::pin(add_up(probe.store, ROUNDS, 5)) });
    for added in join(adders.collect()).await {
        added?;
    }
    check_sum(probe, ROUNDS, RACERS * 5).await?;
    let stored = probe.stored(nth(ROUNDS), "in the end").await?;
    ensure!(stored.version != start, "after {} replacements the version is the first", RACERS * 5);
    Ok(())
}

/// Makes several replacements and a removal with the same version, through two handles.
pub(super) async fn compete(handles: [Probe<'_>; 2]) -> Verdict {
    let handle = |racer: usize| handles[racer % 2];
    for round in 0..ROUNDS {
        let version = handle(0).insert(&labelled(round, "before the race")?).await?;
        let records = labels(round)?;
        // Each call is the first one once, so that the order of polling does not decide the winner.
        let first = round as usize % RACERS;
        let racers = (first..RACERS).chain(0..first);
        let calls = racers.clone().map(|racer| -> Boxed<'_, _> {
            let (store, record) = (handle(racer).store, &records[racer]);
            Box::pin(async move {
                if racer == RACERS - 1 {
                    store.remove(record.id(), version).await.map(|()| None)
                } else {
                    store.replace(record, version).await.map(Some)
                }
            })
        });
        let answers = join(calls.collect()).await;
        let what = "replacements and removals with one version";
        let (place, won) = only_winner(what, &answers, conflict)?;
        let winner = (first + place) % RACERS;
        let when = "after concurrent replacements and removals";
        for probe in handles {
            match won {
                Some(version) => probe.holds(&records[winner], version, when).await?,
                None => probe.lacks(nth(round), when).await?,
            }
        }
    }
    Ok(())
}

/// Increments a number in the label of a record by compare-and-swap.
async fn add_up(store: &dyn TokenStore, n: u32, times: usize) -> Verdict {
    for _ in 0..times {
        loop {
            let StoredRecord { record, version, .. } = match store.find(nth(n)).await {
                Ok(Some(stored)) => stored,
                Ok(None) => return broken("a record that is only ever replaced was not found"),
                Err(error) => return broken(format!("find failed: {}", with_sources(&error))),
            };
            let sum: usize = record.issued_to().parse().unwrap_or(0);
            match store.replace(&labelled(n, &(sum + 1).to_string())?, version).await {
                Ok(_) => break,
                Err(StoreError::Conflict) => {}
                Err(error) => {
                    return broken(format!("a replacement failed: {}", with_sources(&error)));
                }
            }
        }
    }
    Ok(())
}

async fn check_sum(probe: Probe<'_>, n: u32, expected: usize) -> Verdict {
    let stored = probe.stored(nth(n), "in the end").await?;
    let sum = stored.record.issued_to();
    ensure!(
        sum.parse() == Ok(expected),
        "{expected} replacements were acknowledged, each counting up by one, and the count is {sum}"
    );
    Ok(())
}

/// Requires a store whose futures can be polled on any thread. See
/// [`super::StoreFactory::runtime_free`].
pub(super) fn threads_agree(probe: Probe<'_>) -> Verdict {
    const THREADS: usize = 4;
    const TIMES: usize = 200;
    for round in 0..ROUNDS {
        let records = labels(round)?;
        let answers = on_threads(THREADS, |racer| probe.store.insert(&records[racer]));
        let (winner, version) = only_winner("inserts on threads", &answers, |error| {
            matches!(error, StoreError::Exists)
        })?;
        block_on(probe.holds(&records[winner], version, "after inserts on threads"))?;
        let answers = on_threads(THREADS, |racer| probe.store.replace(&records[racer], version));
        let (winner, version) = only_winner("replacements on threads", &answers, conflict)?;
        block_on(probe.holds(&records[winner], version, "after replacements on threads"))?;
        let answers = on_threads(THREADS, |_| probe.store.remove(nth(round), version));
        only_winner("removals on threads", &answers, conflict)?;
        block_on(probe.lacks(nth(round), "after removals on threads"))?;
    }
    block_on(probe.insert(&labelled(ROUNDS, "0")?))?;
    for added in
        on_threads(THREADS, |_| -> Boxed<'_, _> { Box::pin(add_up(probe.store, ROUNDS, TIMES)) })
    {
        added?;
    }
    block_on(check_sum(probe, ROUNDS, THREADS * TIMES))
}

/// Makes one call on each thread, all at the same time.
fn on_threads<'f, T: Send>(threads: usize, call: impl Fn(usize) -> Boxed<'f, T> + Sync) -> Vec<T> {
    let start = std::sync::Barrier::new(threads);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|racer| {
                let (start, call) = (&start, &call);
                scope.spawn(move || {
                    start.wait();
                    block_on(call(racer))
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

pub(super) async fn dropped_calls_are_atomic(probe: Probe<'_>) -> Verdict {
    let (old, new) = ("the old one", "the new one");
    for polls in 1..=4 {
        let n = polls as u32 * 10;
        let inserted = labelled(n, new)?;
        poll_and_drop(probe.store.insert(&inserted), polls).await;
        if let Some(stored) = probe.find(nth(n)).await? {
            same_record(
                &inserted,
                &stored.record,
                "after a dropped insert, find answered with a record",
            )?;
        }
        // The dropped call may still be running in the storage. It must not block other calls.
        match probe.store.insert(&inserted).await {
            Ok(_) | Err(StoreError::Exists) => {}
            Err(error) => {
                return broken(format!(
                    "after a dropped insert, another: {}",
                    with_sources(&error)
                ));
            }
        }

        let (before, after) = (labelled(n + 1, old)?, labelled(n + 1, new)?);
        let version = probe.insert(&before).await?;
        let replaced = poll_and_drop(probe.store.replace(&after, version), polls).await;
        let stored = probe.stored(nth(n + 1), "after a dropped replacement").await?;
        let expected = if stored.version == version { &before } else { &after };
        same_record(
            expected,
            &stored.record,
            "after a dropped replacement, find answered with a record",
        )?;
        ensure!(
            replaced.is_none() || stored.version != version,
            "a completed replacement is not stored"
        );
        retry(probe, n + 1, "a dropped replacement").await?;

        let version = probe.insert(&labelled(n + 2, old)?).await?;
        poll_and_drop(probe.store.remove(nth(n + 2), version), polls).await;
        if let Some(stored) = probe.find(nth(n + 2)).await? {
            let what = "after a dropped removal, find answered with a record";
            same_record(&labelled(n + 2, old)?, &stored.record, what)?;
            retry(probe, n + 2, "a dropped removal").await?;
        }
    }
    Ok(())
}

/// Checks that a record can be replaced. A dropped call may still take effect once in between.
async fn retry(probe: Probe<'_>, n: u32, what: &str) -> Verdict {
    let record = labelled(n, "after a dropped call")?;
    for _ in 0..3 {
        let Some(stored) = probe.find(nth(n)).await? else { return Ok(()) };
        match probe.store.replace(&record, stored.version).await {
            Ok(version) => return probe.holds(&record, version, &format!("after {what}")).await,
            Err(StoreError::Conflict) => {}
            Err(error) => {
                return broken(format!("after {what}, another failed: {}", with_sources(&error)));
            }
        }
    }
    broken(format!("after {what}, no replacement with the current version succeeds"))
}
