//! Checks of the calls about many records, against the calls for single ones.

mod batches;
mod calls;
mod counts;
mod damage;
mod decoys;
mod disturbed;
mod races;
mod repeated;

pub(super) use batches::large_batches_are_complete;
pub(super) use counts::counts_follow_writes;
pub(super) use damage::damaged_rows_are_reported;
pub(super) use disturbed::{
    Batch, Outcome, closing_hides_no_row, dropped_rows_are_atomic, failures_are_errors,
    lost_rows_are_indeterminate, refused_rows_are_unavailable,
};
pub(super) use races::{changes_are_reported, one_row_wins, versions_are_new};
pub(super) use repeated::check;

use super::probe::{Probe, Refusal, answered, everything, refused, same, same_stored};
use super::samples::{NOW, Sample, at, labelled, newer, now, nth, revoked};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::{Record, State};
use crate::store::{Filter, ListRequest, MAX_PAGE_LEN, States, StoreError, Version};
use crate::token::TokenId;

/// The number of records, which is above the limits of some systems for one statement.
const RECORDS: u32 = 140;

/// Returns one result for each row, or says how many there were.
pub(super) fn each<T>(what: &str, rows: usize, results: Vec<T>) -> Result<Vec<T>, NotKept> {
    ensure!(results.len() == rows, "{what} returned {} results for {rows} rows", results.len());
    Ok(results)
}

async fn insert(probe: Probe<'_>) -> Result<Vec<(Record, Version)>, NotKept> {
    let mut records = Vec::new();
    for n in 0..RECORDS {
        let record = labelled(n, &format!("record {n}"))?;
        let version = probe.insert(&record).await?;
        records.push((record, version));
    }
    Ok(records)
}

pub(super) async fn many_agree_with_single(probe: Probe<'_>) -> Verdict {
    let mut records = insert(probe).await?;
    reads(probe, &records).await?;
    replacements(probe, &mut records).await?;
    reads(probe, &records).await?;
    removals(probe, &records).await
}

/// Compares `find_many` and `versions` with `find`, for ids in no order, with and without a record.
async fn reads(probe: Probe<'_>, records: &[(Record, Version)]) -> Verdict {
    let mut ids: Vec<TokenId> = records.iter().map(|(record, _)| record.id()).collect();
    ids.extend((0..40).map(|n| nth(10_000 + n)));
    // Neither sorted nor in the order of insertion.
    ids.sort_by_key(|id| id.to_bytes().map(|byte| byte.wrapping_mul(151)));
    let third = ids.len() / 3;
    ids.rotate_left(third);
    let max_ids = probe.store.gathering().map_or(MAX_PAGE_LEN, |gathering| gathering.max_ids);
    for len in [1, 2, 30, ids.len()] {
        for ids in ids.chunks(len.min(max_ids)) {
            let found = each("find_many", ids.len(), probe.store.find_many(ids).await)?;
            for (id, found) in ids.iter().zip(found) {
                let single = probe.find(*id).await?;
                match (single, answered("find_many", found)?) {
                    (Some(single), Some(found)) => {
                        same_stored(&single, &found, "find_many answered with")?;
                    }
                    (None, None) => {}
                    (Some(_), None) => return broken(format!("find_many did not find {id}")),
                    (None, Some(_)) => {
                        return broken(format!("find_many found {id}, which has no record"));
                    }
                }
            }
        }
    }
    let versions = each("versions", ids.len(), probe.store.versions(&ids).await)?;
    for (id, version) in ids.iter().zip(versions) {
        let single = probe.find(*id).await?.map(|stored| stored.version);
        same(
            &single,
            &answered("versions", version)?,
            &format!("versions answered for {id} with"),
        )?;
    }
    Ok(())
}

/// The reason why a row of a call must fail, or `None` if it must succeed.
type Expected = Option<Refusal>;

/// Replaces some records, while the other rows of the call must conflict and change nothing.
async fn replacements(probe: Probe<'_>, records: &mut [(Record, Version)]) -> Verdict {
    let protected = newer(&labelled(20_000, "of a newer program")?)?;
    let protected_version = probe.insert(&protected).await?;
    let mut rows: Vec<((Record, Version), Expected)> = Vec::new();
    for (n, (record, version)) in (0..).zip(records.iter()) {
        let foreign = Version(version.0 ^ 1);
        let other = Sample { owner: "globex".into(), ..Sample::nth(n) }.record()?;
        rows.push(match n % 7 {
            1 => ((revoked(record, None, None), foreign), Some(Refusal::Conflict)),
            3 => ((other, *version), Some(Refusal::Conflict)),
            5 => ((labelled(30_000 + n, "without a record")?, *version), Some(Refusal::Conflict)),
            _ => ((revoked(record, Some("ops"), Some("many")), *version), None),
        });
    }
    let row = (labelled(20_000, "of this program")?, protected_version);
    rows.insert(rows.len() / 2, (row, Some(Refusal::NewerFormat)));
    let (writes, expected): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let results = probe.store.replace_many(&writes).await;
    let results = each("replace_many", writes.len(), results)?;
    for (((record, before), expected), result) in writes.iter().zip(expected).zip(results) {
        let what = format!("the row {} of replace_many", record.id());
        match (expected, result) {
            (Some(kind), result) => refused(&what, result, kind)?,
            (None, result) => {
                let version = answered(&what, result)?;
                ensure!(version != *before, "{what} returned the version that it replaced");
                probe.holds(record, version, "after replace_many").await?;
                if let Some(known) = records.iter_mut().find(|(known, _)| known.id() == record.id())
                {
                    *known = (record.clone(), version);
                }
            }
        }
    }
    for (record, version) in records.iter() {
        probe.holds(record, *version, "after replace_many").await?;
    }
    probe.holds(&protected, protected_version, "after replace_many").await?;
    for n in 0..RECORDS {
        probe.lacks_single(nth(30_000 + n), "after replace_many").await?;
    }
    Ok(())
}

/// Removes some records, while the other rows of the call must conflict and change nothing.
async fn removals(probe: Probe<'_>, records: &[(Record, Version)]) -> Verdict {
    let mut rows: Vec<((TokenId, Version), Expected)> = Vec::new();
    for (n, (record, version)) in (0..).zip(records) {
        let conflict = Some(Refusal::Conflict);
        rows.push(match n % 5 {
            1 => ((record.id(), Version(version.0 ^ 1)), conflict),
            3 => ((nth(40_000 + n), *version), conflict),
            _ => ((record.id(), *version), None),
        });
    }
    let (removals, expected): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let results = each("remove_many", removals.len(), probe.store.remove_many(&removals).await)?;
    for (((id, _), expected), result) in removals.iter().zip(&expected).zip(results) {
        let what = format!("the row {id} of remove_many");
        match expected {
            Some(kind) => refused(&what, result, *kind)?,
            None => answered(&what, result)?,
        }
    }
    let removed: Vec<TokenId> = removals
        .iter()
        .zip(&expected)
        .filter(|(_, kind)| kind.is_none())
        .map(|((id, _), _)| *id)
        .collect();
    for (record, version) in records {
        if removed.contains(&record.id()) {
            probe.lacks_single(record.id(), "after remove_many").await?;
        } else {
            probe.holds(record, *version, "after remove_many").await?;
        }
    }
    Ok(())
}

pub(super) async fn count_agrees_with_list(probe: Probe<'_>) -> Verdict {
    for n in 0..1_100 {
        let owner = if n % 3 == 0 { "globex" } else { "acme" };
        let token_type = if n % 50 == 0 { "developer" } else { "connector" };
        let expires_at = [None, Some(NOW - 1), Some(NOW), Some(NOW + 1)][(n % 4) as usize];
        let sample = Sample { owner: owner.into(), token_type, expires_at, ..Sample::nth(n) };
        let record = sample.issued_to(format!("service {n}")).record()?;
        let record = if n % 7 == 0 { revoked(&record, None, None) } else { record };
        probe.insert(&record).await?;
    }
    let mut filters = vec![
        Filter::new(),
        everything(),
        everything().owner("acme"),
        everything().owner("acm"),
        everything().token_type("developer").owner("globex"),
        everything().issued_to_contains("9"),
        everything().issued_to("service 12"),
        everything().expires_before(at(NOW + 1)),
        everything().ended_before(at(NOW)),
        Filter::new().states(States::ENDED).owner("globex"),
    ];
    filters.extend(State::ALL.into_iter().map(|state| everything().states(state)));
    for filter in filters {
        for moment in [now(), at(NOW + 1)] {
            let count = answered("count", probe.store.count(&filter, moment).await)?;
            let request = ListRequest::from(filter.clone()).limit(MAX_PAGE_LEN);
            let listed = probe.scan(&request, moment).await?.len() as u64;
            ensure!(count == listed, "count answered {count} for {listed} records of {filter:?}");
        }
    }
    let by_use = everything().unused_since(now());
    match (probe.store.tracks_last_used(), probe.store.count(&by_use, now()).await) {
        (false, answer) => refused("a count by last use", answer, Refusal::Unsupported),
        (true, Ok(count)) => same(&1_100, &count, "a count by last use answered"),
        (true, Err(error)) => answered("a count by last use", Err::<(), StoreError>(error)),
    }
}
