//! Checks of calls that overlap.

use super::polling::{Boxed, join};
use super::probe::{Probe, with_sources};
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
pub(super) fn only_winner<T: Copy>(
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

pub(super) fn conflict(error: &StoreError) -> bool {
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
pub(super) async fn add_up(store: &dyn TokenStore, n: u32, times: usize) -> Verdict {
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

pub(super) async fn check_sum(probe: Probe<'_>, n: u32, expected: usize) -> Verdict {
    let stored = probe.stored(nth(n), "in the end").await?;
    let sum = stored.record.issued_to();
    ensure!(
        sum.parse() == Ok(expected),
        "{expected} replacements were acknowledged, each counting up by one, and the count is {sum}"
    );
    Ok(())
}
