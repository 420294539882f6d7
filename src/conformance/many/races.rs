//! Checks of calls about many rows that overlap, of the versions that they return, and of their changes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::calls::{AMONG_OTHERS, Calls, ManyCalls};
use super::decoys::Notes;
use super::disturbed::Outcome;
use super::each;
use crate::conformance::changes::{next, open};
use crate::conformance::in_time::in_time;
use crate::conformance::polling::{Boxed, join, poll_times, within};
use crate::conformance::probe::{Probe, answered, with_sources};
use crate::conformance::samples::{labelled, nth};
use crate::conformance::verdict::{NotKept, Verdict, broken, ensure};
use crate::conformance::versions::Versions;
use crate::store::{Change, StoreError, TokenStore, Version};
use crate::token::TokenId;

/// The number of rows of each call of a race.
const ROWS: u32 = 40;

/// Checks that the versions of rows never return.
pub(in crate::conformance) async fn versions_are_new(store: Arc<dyn TokenStore>) -> Verdict {
    let many = ManyCalls::over(store, Calls::ALL, AMONG_OTHERS, Arc::<Notes>::default());
    let probe = Probe { store: &many };
    let mut versions = Versions::insert(probe, 0).await?;
    for round in 0..60 {
        versions.replace(probe, "with replace_many").await?;
        if round % 10 == 9 {
            versions.remove(probe).await?;
            versions.insert_again(probe, "after remove_many").await?;
        }
    }
    versions.stale_are_refused(probe, "with calls about many rows").await?;
    match many.notes.fault() {
        Some(fault) => broken(fault),
        None => Ok(()),
    }
}

pub(in crate::conformance) async fn one_row_wins(probe: Probe<'_>) -> Verdict {
    for round in 0..6 {
        overlapping(probe, round).await?;
    }
    for removes in [false, true] {
        for polls in 1..24 {
            if changed_row_stops_no_other(probe, polls, removes).await? {
                break;
            }
        }
    }
    Ok(())
}

/// Changes one row while a call about many waits. The other rows of the call must be written. Returns whether the
/// call ended before.
async fn changed_row_stops_no_other(
    probe: Probe<'_>,
    polls: u32,
    removes: bool,
) -> Result<bool, NotKept> {
    // A store may make several statements of a large call.
    let rows = if polls % 2 == 1 { 6 } else { 110 };
    let first = 10_000 + polls * 400 + 200 * u32::from(removes);
    // In descending order, because a storage may answer in the order of ids.
    let (mut ids, mut writes) = (Vec::new(), Vec::new());
    for n in (first..first + rows).rev() {
        let version = probe.insert(&labelled(n, "before the call")?).await?;
        ids.push((nth(n), version));
        writes.push((labelled(n, "after the call")?, version));
    }
    let Some((_, version)) = ids.last().copied() else { return Ok(true) };
    let store = probe.store;
    let mut call: Boxed<'_, Vec<Outcome>> = if removes {
        Box::pin(async {
            store.remove_many(&ids).await.into_iter().map(|result| result.map(|()| None)).collect()
        })
    } else {
        Box::pin(async {
            store.replace_many(&writes).await.into_iter().map(|result| result.map(Some)).collect()
        })
    };
    let what = "calls about the same row";
    if in_time(poll_times(call.as_mut(), polls as usize), what).await?.is_some() {
        return Ok(true);
    }
    let new = labelled(first, "changed meanwhile")?;
    let mut change: Boxed<'_, Vec<Outcome>> =
        Box::pin(async { vec![probe.store.replace(&new, version).await.map(Some)] });
    // A store may hold a lock while the call waits.
    let results = match within(Duration::from_millis(20), change.as_mut()).await {
        Some(_) => Some(in_time(call, what).await?),
        None => in_time(join(vec![change, call]), what).await?.pop(),
    };
    let Some(results) = results else {
        return broken("a call about many rows gave no answer");
    };
    let name = if removes { "remove_many" } else { "replace_many" };
    let others = rows as usize - 1;
    for (place, result) in each(name, rows as usize, results)?.into_iter().enumerate().take(others)
    {
        if let Err(StoreError::Conflict) = result {
            return broken(format!(
                "while another row of {name} changed, row {place}, which no other call wrote, failed with \
                 `Conflict`"
            ));
        }
    }
    Ok(false)
}

/// Makes two replacements of the same rows in opposite orders, and a removal in a third one.
async fn overlapping(probe: Probe<'_>, round: u32) -> Verdict {
    let first = round * 100;
    let mut versions = Vec::new();
    for n in first..first + ROWS {
        versions.push((n, probe.insert(&labelled(n, "before the race")?).await?));
    }
    let [mut there, mut back, mut removals] =
        [versions.clone(), versions.clone(), versions.clone()];
    back.reverse();
    removals.rotate_left(ROWS as usize / 2);
    // One call lacks some rows, so that the calls do not have the same rows.
    there.truncate(ROWS as usize - 5);
    let writes = |rows: &[(u32, Version)], label: &str| -> Result<Vec<_>, NotKept> {
        rows.iter().map(|(n, version)| Ok((labelled(*n, label)?, *version))).collect()
    };
    let (there, back) = (writes(&there, "racer 0")?, writes(&back, "racer 1")?);
    let removals: Vec<(TokenId, Version)> =
        removals.into_iter().map(|(n, version)| (nth(n), version)).collect();
    let replaced = |results: Vec<Result<Version, StoreError>>| -> Vec<Outcome> {
        results.into_iter().map(|result| result.map(Some)).collect()
    };
    let mut calls: Vec<(Vec<TokenId>, Boxed<'_, Vec<Outcome>>)> = vec![
        (
            there.iter().map(|(record, _)| record.id()).collect(),
            Box::pin(async { replaced(probe.store.replace_many(&there).await) }),
        ),
        (
            back.iter().map(|(record, _)| record.id()).collect(),
            Box::pin(async { replaced(probe.store.replace_many(&back).await) }),
        ),
        (
            removals.iter().map(|(id, _)| *id).collect(),
            Box::pin(async {
                let results = probe.store.remove_many(&removals).await;
                results.into_iter().map(|result| result.map(|()| None)).collect()
            }),
        ),
    ];
    // Each call is the first one, so that the order of polling does not decide the winner.
    calls.rotate_left(round as usize % 3);
    let (ids, calls): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
    let results = in_time(join(calls), "calls about the same rows").await?;
    let mut answers: HashMap<TokenId, Vec<(usize, Outcome)>> = HashMap::new();
    for (call, (ids, results)) in ids.into_iter().zip(results).enumerate() {
        let racer = (call + round as usize) % 3;
        let what = ["replace_many", "replace_many", "remove_many"][racer];
        for (id, result) in ids.iter().zip(each(what, ids.len(), results)?) {
            answers.entry(*id).or_default().push((racer, result));
        }
    }
    for (n, before) in versions {
        row_is_right(probe, n, before, answers.remove(&nth(n)).unwrap_or_default()).await?;
    }
    Ok(())
}

/// Compares the answers for a row with the record that is there.
async fn row_is_right(
    probe: Probe<'_>,
    n: u32,
    before: Version,
    answers: Vec<(usize, Outcome)>,
) -> Verdict {
    let when = "after calls about the same rows";
    let (mut winners, mut unknown, mut failed) = (Vec::new(), false, false);
    for (racer, answer) in answers {
        match answer {
            Ok(version) => winners.push((racer, version)),
            Err(StoreError::Conflict) => {}
            // A statement that the storage ended, for example because of a deadlock.
            Err(StoreError::Unavailable { .. }) => failed = true,
            Err(StoreError::Indeterminate { .. }) => unknown = true,
            Err(error) => {
                return broken(format!("a row of a race failed with: {}", with_sources(&error)));
            }
        }
    }
    match winners[..] {
        [(racer, Some(version))] => {
            probe.found(&labelled(n, &format!("racer {racer}"))?, version, when).await
        }
        [(_, None)] => probe.lacks_single(nth(n), when).await,
        [] if unknown => Ok(()),
        [] if failed => probe.holds(&labelled(n, "before the race")?, before, when).await,
        [] => broken(format!("{when} with one version, no call succeeded for a row")),
        _ => broken(format!("{when} with one version, {} succeeded for a row", winners.len())),
    }
}

/// Checks that the feed reports each row.
pub(in crate::conformance) async fn changes_are_reported(probe: Probe<'_>) -> Verdict {
    let mut rows = Vec::new();
    for n in 0..300 {
        let version = probe.insert(&labelled(n, "inserted before the feed was opened")?).await?;
        rows.push((n, version));
    }
    let mut feed = open(probe).await?;
    let mut writes = Vec::new();
    for (n, version) in &rows {
        writes.push((labelled(*n, "replaced with others")?, *version));
    }
    let results = each("replace_many", rows.len(), probe.store.replace_many(&writes).await)?;
    for (row, result) in rows.iter_mut().zip(results) {
        row.1 = answered("a row of replace_many", result)?;
    }
    all_reported(&mut *feed, &rows, "the rows of replace_many").await?;
    let removals: Vec<_> = rows.iter().map(|(n, version)| (nth(*n), *version)).collect();
    let results = each("remove_many", rows.len(), probe.store.remove_many(&removals).await)?;
    for result in results {
        answered("a row of remove_many", result)?;
    }
    all_reported(&mut *feed, &rows, "the rows of remove_many").await
}

async fn all_reported(
    feed: &mut dyn crate::store::ChangeStream,
    rows: &[(u32, Version)],
    what: &str,
) -> Verdict {
    let mut waiting: BTreeSet<TokenId> = rows.iter().map(|(n, _)| nth(*n)).collect();
    let mut reports = 0;
    while !waiting.is_empty() {
        match next(feed, what).await? {
            Change::Record(id) => drop(waiting.remove(&id)),
            Change::Missed => waiting.clear(),
        }
        reports += 1;
        ensure!(reports < 4_000, "the change feed did not report {what}, but many other changes");
    }
    Ok(())
}
