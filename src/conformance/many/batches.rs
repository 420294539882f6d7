//! Checks of calls about up to as many rows as the contract allows.

use std::collections::HashMap;

use super::each;
use crate::conformance::probe::{
    Probe, Refusal, answered, everything, refused, same, same_record, same_stored,
};
use crate::conformance::samples::{Sample, labelled, large_records, nth};
use crate::conformance::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{ListRequest, MAX_PAGE_LEN, Order, StoredRecord, Version};
use crate::token::TokenId;

/// Numbers of rows just above the limits of some systems for one statement. They are not multiples of
/// them, so that the rest of a batch that a store divides is not empty.
const SIZES: [usize; 9] = [26, 101, 129, 257, 301, 501, 513, 999, MAX_PAGE_LEN];

type Row = (Record, Version);

pub(in crate::conformance) async fn large_batches_are_complete(probe: Probe<'_>) -> Verdict {
    let mut rows = insert(probe).await?;
    reads(probe, &rows).await?;
    for size in SIZES {
        replace(probe, &mut rows, size).await?;
    }
    reads(probe, &rows).await?;
    large(probe).await?;
    removals(probe, rows).await
}

/// Returns as many records as a call can have rows, in no order.
async fn insert(probe: Probe<'_>) -> Result<Vec<Row>, NotKept> {
    let mut rows = Vec::new();
    for n in 0..MAX_PAGE_LEN as u32 {
        let record = labelled(n * 7 % MAX_PAGE_LEN as u32, "inserted")?;
        let version = probe.insert(&record).await?;
        rows.push((record, version));
    }
    Ok(rows)
}

/// Reads batches in which every eleventh id has no record.
async fn reads(probe: Probe<'_>, rows: &[Row]) -> Verdict {
    let max_ids = probe.store.gathering().map_or(MAX_PAGE_LEN, |gathering| gathering.max_ids);
    for size in SIZES {
        let some: Vec<(TokenId, Option<&Row>)> = (0..size)
            .map(|place| match rows.get((place + size) % rows.len()) {
                Some(row) if place % 11 != 5 => (row.0.id(), Some(row)),
                _ => (nth(200_000 + place as u32), None),
            })
            .collect();
        let versions: Vec<TokenId> = some.iter().map(|(id, _)| *id).collect();
        let results = probe.store.versions(&versions).await;
        let results = each(&format!("versions of {size} ids"), size, results)?;
        for (place, ((_, row), result)) in some.iter().zip(results).enumerate() {
            let what = format!("versions of {size} ids answered in row {place} with");
            same(&row.map(|(_, version)| *version), &answered("versions", result)?, &what)?;
        }
        let ids = &versions[..size.min(max_ids)];
        let what = format!("find_many of {} ids", ids.len());
        let results = each(&what, ids.len(), probe.store.find_many(ids).await)?;
        for (place, ((_, row), result)) in some.iter().zip(results).enumerate() {
            match (row, answered("find_many", result)?) {
                (None, None) => {}
                (Some((record, version)), Some(found)) => {
                    let what = format!("{what} answered in row {place} with");
                    same_record(record, &found.record, &format!("{what} a record"))?;
                    same(version, &found.version, &what)?;
                }
                (Some(_), None) => {
                    return broken(format!("{what} did not find the record of row {place}"));
                }
                (None, Some(_)) => {
                    return broken(format!("{what} found a record in row {place}, without one"));
                }
            }
        }
    }
    Ok(())
}

/// Returns whether a row of a batch must conflict: at the beginning, in the middle or at the end.
fn conflicts(place: usize, size: usize) -> bool {
    match size % 3 {
        0 => place == 0 || place == size / 2,
        1 => place == size / 2,
        _ => place == size / 2 || place == size - 1,
    }
}

/// Replaces rows in one call, and reads all records in another way.
async fn replace(probe: Probe<'_>, rows: &mut [Row], size: usize) -> Verdict {
    rows.rotate_left(size / 3);
    let label = format!("replaced with {} others", size - 1);
    let mut writes = Vec::new();
    for (place, (record, version)) in rows.iter().take(size).enumerate() {
        let new = Sample {
            created_at: record.created_at().timestamp_micros(),
            ..Sample::of(record.id()).issued_to(&label)
        };
        let version = if conflicts(place, size) { Version(version.0 ^ 1) } else { *version };
        writes.push((new.record()?, version));
    }
    let what = format!("replace_many of {size} rows");
    let results = each(&what, size, probe.store.replace_many(&writes).await)?;
    for (place, (result, (new, _))) in results.into_iter().zip(writes).enumerate() {
        let what = format!("row {place} of {what}");
        if conflicts(place, size) {
            refused(&what, result, Refusal::Conflict)?;
        } else {
            let version = answered(&what, result)?;
            let Some(row) = rows.get_mut(place) else { continue };
            ensure!(version != row.1, "{what} returned the version that it replaced");
            *row = (new, version);
        }
    }
    all_are(probe, rows, &what).await
}

/// Checks that the store has exactly these records.
async fn all_are(probe: Probe<'_>, rows: &[Row], after: &str) -> Verdict {
    let request =
        ListRequest::from(everything().owner("acme")).order(Order::OldestFirst).limit(MAX_PAGE_LEN);
    let listed = probe.scan(&request, crate::conformance::samples::now()).await?;
    let listed: HashMap<TokenId, StoredRecord> =
        listed.into_iter().map(|stored| (stored.record.id(), stored)).collect();
    same(&rows.len(), &listed.len(), &format!("after {after}, the number of records is"))?;
    for (place, (record, version)) in rows.iter().enumerate() {
        let Some(stored) = listed.get(&record.id()) else {
            return broken(format!("after {after}, list did not show the record of row {place}"));
        };
        let what = format!("after {after}, list showed for row {place}");
        same_record(record, &stored.record, &format!("{what} a record"))?;
        same(version, &stored.version, &what)?;
    }
    Ok(())
}

/// Reads and replaces large records in one call, which exceeds the statements that some systems take.
async fn large(probe: Probe<'_>) -> Verdict {
    let mut rows: Vec<Row> = Vec::new();
    for (_, record) in large_records("large", 36)? {
        // A record in a newer format could not be replaced again.
        if record.is_newer() {
            continue;
        }
        let small = Sample {
            owner: "large".into(),
            created_at: record.created_at().timestamp_micros(),
            ..Sample::of(record.id())
        };
        let version = probe.insert(&small.record()?).await?;
        rows.push((record, version));
    }
    let what = "replace_many of 24 rows with large records";
    let results = each(what, rows.len(), probe.store.replace_many(&rows).await)?;
    for (row, result) in rows.iter_mut().zip(results) {
        row.1 = answered(what, result)?;
    }
    let max_ids = probe.store.gathering().map_or(MAX_PAGE_LEN, |gathering| gathering.max_ids);
    for rows in rows.chunks(max_ids.max(1)) {
        let ids: Vec<TokenId> = rows.iter().map(|(record, _)| record.id()).collect();
        let what = "find_many of large records";
        let results = each(what, ids.len(), probe.store.find_many(&ids).await)?;
        for ((record, version), result) in rows.iter().zip(results) {
            let single = probe.stored(record.id(), "after a large record was written").await?;
            same_record(record, &single.record, "find answered with a large record")?;
            same(version, &single.version, "find answered for a large record with")?;
            match answered(what, result)? {
                Some(found) => same_stored(&single, &found, "find_many answered with")?,
                None => return broken(format!("{what} did not find {}", record.id())),
            }
        }
    }
    Ok(())
}

/// Removes the rows in calls of several sizes. A third of the rows is right, a third has a wrong version,
/// and a third has no record.
async fn removals(probe: Probe<'_>, mut rows: Vec<Row>) -> Verdict {
    for size in [MAX_PAGE_LEN, 513, 301] {
        let mut left = rows.iter();
        let mut removals = Vec::new();
        for place in 0..size {
            let missing = (nth(300_000 + place as u32), Version(1));
            removals.push(match (place % 3, left.len()) {
                (2, _) | (_, 0) => missing,
                (kind, _) => left.next().map_or(missing, |(record, version)| {
                    let wrong = if kind == 0 { 0 } else { 1 };
                    (record.id(), Version(version.0 ^ wrong))
                }),
            });
        }
        remove(probe, &mut rows, removals).await?;
    }
    let rest = rows.iter().map(|(record, version)| (record.id(), *version)).collect();
    remove(probe, &mut rows, rest).await
}

async fn remove(
    probe: Probe<'_>,
    rows: &mut Vec<Row>,
    removals: Vec<(TokenId, Version)>,
) -> Verdict {
    let size = removals.len();
    let what = format!("remove_many of {size} rows");
    let results = each(&what, size, probe.store.remove_many(&removals).await)?;
    let current: HashMap<TokenId, Version> =
        rows.iter().map(|(record, version)| (record.id(), *version)).collect();
    for (place, ((id, version), result)) in removals.iter().zip(results).enumerate() {
        let what = format!("row {place} of {what}");
        if current.get(id) == Some(version) {
            answered(&what, result)?;
        } else {
            refused(&what, result, Refusal::Conflict)?;
        }
    }
    let removed: HashMap<TokenId, Version> = removals.into_iter().collect();
    rows.retain(|(record, version)| removed.get(&record.id()) != Some(version));
    all_are(probe, rows, &what).await
}
