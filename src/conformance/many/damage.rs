//! Checks of calls about several rows of which one is damaged.

use super::each;
use crate::conformance::lab::Lab;
use crate::conformance::probe::{Probe, answered, everything, same, same_record, with_sources};
use crate::conformance::samples::{Sample, now};
use crate::conformance::verdict::{NotKept, Verdict, broken};
use crate::record::Record;
use crate::store::{StoreError, Version};
use crate::token::TokenId;

pub(in crate::conformance) async fn damaged_rows_are_reported(lab: &mut dyn Lab) -> Verdict {
    let store = lab.store()?;
    let probe = Probe { store: &*store };
    for (kind, first) in (0..).zip([1_000, 2_000]) {
        let owner = format!("owner {first}");
        let mut rows = Vec::new();
        for n in first..first + 5 {
            let record = Sample { owner: owner.clone(), ..Sample::nth(n) }.record()?;
            let version = probe.insert(&record).await?;
            rows.push((record, version));
        }
        let [(other, _), _, (damaged, damaged_version), ..] = &rows[..] else { return Ok(()) };
        let bytes = damaged.to_bytes();
        let (what, planted) = match kind {
            0 => ("with a damaged row", bytes[..bytes.len() - 1].to_vec()),
            _ => ("with a row that has the record of another id", other.to_bytes()),
        };
        if !lab.plant_bytes(damaged.id(), &planted).await {
            return Err(NotKept::NotChecked("the factory cannot damage a record (`plant_bytes`)"));
        }
        let (damaged, damaged_version) = (damaged.clone(), *damaged_version);
        reads_of_damage(probe, &rows, damaged.id(), what).await?;
        match probe.store.count(&everything().owner(&owner), now()).await {
            // A count by columns does not read the record.
            Ok(count) => same(&5, &count, &format!("{what}, count answered"))?,
            Err(StoreError::Corrupt { .. }) => {}
            Err(error) => {
                return broken(format!("{what}, count failed with: {}", with_sources(&error)));
            }
        }
        writes_around_damage(probe, &mut rows, damaged.id(), what).await?;
        lab.plant_bytes(damaged.id(), &damaged.to_bytes()).await;
        probe.holds(&damaged, damaged_version, "after a repair").await?;
    }
    Ok(())
}

async fn reads_of_damage(
    probe: Probe<'_>,
    rows: &[(Record, Version)],
    damaged: TokenId,
    when: &str,
) -> Verdict {
    let ids: Vec<TokenId> = rows.iter().map(|(record, _)| record.id()).collect();
    let max_ids = probe.store.gathering().map_or(ids.len(), |gathering| gathering.max_ids.max(1));
    for (ids, rows) in ids.chunks(max_ids).zip(rows.chunks(max_ids)) {
        let results = each("find_many", ids.len(), probe.store.find_many(ids).await)?;
        for ((record, _), result) in rows.iter().zip(results) {
            match result {
                Err(StoreError::Corrupt { .. }) if record.id() == damaged => {}
                Ok(Some(found)) if record.id() != damaged => {
                    let what = format!("{when}, find_many answered for another row with a record");
                    same_record(record, &found.record, &what)?;
                }
                Ok(None) => {
                    return broken(format!("{when}, find_many answered that a record is missing"));
                }
                Ok(Some(_)) => {
                    return broken(format!("{when}, find_many answered with a record for it"));
                }
                Err(error) => {
                    let of = if record.id() == damaged { "it" } else { "another row" };
                    let error = with_sources(&error);
                    return broken(format!("{when}, find_many answered for {of}: {error}"));
                }
            }
        }
    }
    let results = each("versions", ids.len(), probe.store.versions(&ids).await)?;
    for ((record, version), result) in rows.iter().zip(results) {
        match result {
            Ok(Some(seen)) => same(version, &seen, &format!("{when}, versions answered with"))?,
            Err(_) if record.id() == damaged => {}
            Ok(None) => {
                return broken(format!("{when}, versions answered that a record is missing"));
            }
            Err(error) => {
                let error = with_sources(&error);
                return broken(format!("{when}, versions failed for another row: {error}"));
            }
        }
    }
    Ok(())
}

/// Writes the rows around a damaged one, which the calls name with a wrong version.
async fn writes_around_damage(
    probe: Probe<'_>,
    rows: &mut [(Record, Version)],
    damaged: TokenId,
    when: &str,
) -> Verdict {
    let wrong = |id: TokenId, version: Version| {
        if id == damaged { Version(version.0 ^ (1 << 33)) } else { version }
    };
    let mut writes = Vec::new();
    for (record, version) in rows.iter() {
        let new = Sample {
            owner: record.owner().to_owned(),
            created_at: record.created_at().timestamp_micros(),
            ..Sample::of(record.id()).issued_to("written next to damage")
        };
        writes.push((new.record()?, wrong(record.id(), *version)));
    }
    let results = each("replace_many", rows.len(), probe.store.replace_many(&writes).await)?;
    for ((row, (new, _)), result) in rows.iter_mut().zip(&writes).zip(results) {
        if let Some(version) = around("replace_many", new.id() == damaged, result, when)? {
            probe.holds(new, version, &format!("{when}, after replace_many")).await?;
            row.1 = version;
        }
    }
    let removals: Vec<_> =
        rows.iter().map(|(record, version)| (record.id(), wrong(record.id(), *version))).collect();
    let results = each("remove_many", rows.len(), probe.store.remove_many(&removals).await)?;
    for ((id, _), result) in removals.iter().zip(results) {
        if around("remove_many", *id == damaged, result, when)?.is_some() {
            probe.lacks_single(*id, &format!("{when}, after remove_many")).await?;
        }
    }
    Ok(())
}

/// Returns the answer for a row that is not damaged, which must have been written.
fn around<T>(
    call: &str,
    is_damaged: bool,
    result: Result<T, StoreError>,
    when: &str,
) -> Result<Option<T>, NotKept> {
    match (is_damaged, result) {
        (true, Err(StoreError::Conflict | StoreError::Corrupt { .. })) => Ok(None),
        (true, Ok(_)) => broken(format!("{when}, {call} with another version succeeded for it")),
        (true, Err(error)) => {
            broken(format!("{when}, {call} failed for it with: {}", with_sources(&error)))
        }
        (false, result) => answered(&format!("{when}, another row of {call}"), result).map(Some),
    }
}
