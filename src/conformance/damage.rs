//! Checks of stored bytes that are not the record of their id.

use super::lab::Lab;
use super::probe::{Probe, everything, same_record, with_sources};
use super::samples::{Sample, labelled, newer, now, nth};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{ListRequest, Order, RecordRef, States, StoreError, Version};

/// Returns bytes that are not the encoding of this record, each with a description.
fn damages(record: &Record, other: &Record) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = record.to_bytes();
    let middle = bytes.len() / 2;
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        bytes
    };
    let flip = |place: usize| {
        changed(&|bytes| bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 0x10))
    };
    vec![
        ("the record of another id", other.to_bytes()),
        ("no bytes", Vec::new()),
        ("a record whose end is missing", bytes[..middle].to_vec()),
        ("a record without its last byte", bytes[..bytes.len() - 1].to_vec()),
        ("a record with a byte behind it", changed(&|bytes| bytes.push(0))),
        ("zeros", vec![0; bytes.len()]),
        ("bytes of another kind", b"{\"id\": 1}".to_vec()),
        ("a record with a damaged format", flip(0)),
        ("a record with a damaged id", flip(5)),
        ("a record with a damaged text", flip(middle)),
        ("a record with a damaged checksum", flip(bytes.len() - 1)),
    ]
}

/// Replaces a record so often that a store compacts its files.
async fn many_writes(probe: Probe<'_>, record: &Record, mut version: Version) -> Verdict {
    for _ in 0..200 {
        version = probe.replace(record, version).await?;
    }
    Ok(())
}

pub(super) async fn damage_is_reported(lab: &mut dyn Lab) -> Verdict {
    let store = lab.store()?;
    let probe = Probe { store: &*store };
    let other = Sample { owner: "neighbour".into(), ..Sample::nth(5_000) }.record()?;
    probe.insert(&other).await?;
    let kinds = damages(&labelled(0, "damaged")?, &other).len();
    for kind in 0..kinds as u32 {
        let n = 10 * (kind + 1);
        let owner = format!("owner {n}");
        let [before, record, after] =
            [n - 1, n, n + 1].map(|n| Sample { owner: owner.clone(), ..Sample::nth(n) }.record());
        let (before, record, after) = (before?, record?, after?);
        probe.insert(&before).await?;
        let version = probe.insert(&record).await?;
        probe.insert(&after).await?;
        // The record was read, so that a cached copy would hide the damage.
        probe.found(&record, version, "before damage").await?;
        let damages = damages(&record, &other);
        let Some((what, bytes)) = damages.get(kind as usize) else { break };
        if !lab.plant_bytes(record.id(), bytes).await {
            return Err(NotKept::NotChecked("the factory cannot damage a record (`plant_bytes`)"));
        }
        let damaged = format!("with {what} in place of a record,");
        corrupt(&format!("{damaged} find"), probe.store.find(record.id()).await)?;
        lists_report(probe, &record, &damaged).await?;
        let mut lent = None;
        let answered = probe.store.find_now(record.id(), &mut |found: Option<RecordRef<'_>>| {
            lent = Some(found.is_some());
        });
        ensure!(!answered || lent.is_none(), "{damaged} find_now lent a record or none");
        for neighbour in [&before, &after] {
            let stored = probe.stored(neighbour.id(), "next to damage").await?;
            same_record(neighbour, &stored.record, "next to damage, find answered with a record")?;
        }
        writes_hide_nothing(probe, &record, version, &damaged).await?;
        if kind == 0 || kind + 1 == kinds as u32 {
            // A compaction must not leave the damaged row out.
            let version = probe.stored(after.id(), "next to damage").await?.version;
            many_writes(probe, &after, version).await?;
            corrupt(
                &format!("{damaged} and many writes, find"),
                probe.store.find(record.id()).await,
            )?;
        }
        // The rest of the checks must be able to list.
        if !lab.plant_bytes(record.id(), &record.to_bytes()).await {
            return broken("the factory could damage a record and could not repair it");
        }
        let found = probe.find(record.id()).await?;
        let repaired = found.is_none_or(|stored| stored.record == record);
        ensure!(repaired, "after a repair, find answered with another record");
    }
    newer_is_read(lab).await
}

/// Checks lists whose pages have the damaged record.
async fn lists_report(probe: Probe<'_>, record: &Record, damaged: &str) -> Verdict {
    let owner = everything().owner(record.owner());
    for filter in [everything(), owner.clone(), owner.clone().states(States::LIVE)] {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            for limit in [1, 2, 50, 1_000] {
                let mut request = ListRequest::from(filter.clone()).order(order).limit(limit);
                // The pages up to the damaged record. The record itself must not be passed in silence.
                let answer = loop {
                    match probe.store.list(&request, now()).await {
                        Ok(page) => match page.next {
                            Some(next) => request = request.after(next),
                            None => break Ok(()),
                        },
                        Err(error) => break Err(error),
                    }
                };
                corrupt(&format!("{damaged} a list, {limit} to a page,"), answer)?;
            }
        }
    }
    Ok(())
}

fn corrupt<T>(what: &str, answer: Result<T, StoreError>) -> Verdict {
    match answer {
        Err(StoreError::Corrupt { .. }) => Ok(()),
        Ok(_) => broken(format!("{what} should have failed with `Corrupt`, but succeeded")),
        Err(error) => broken(format!(
            "{what} should have failed with `Corrupt`, but failed with: {}",
            with_sources(&error)
        )),
    }
}

/// Makes writes to a damaged record. A write that does not read the row may succeed, but none may treat
/// the record as missing.
async fn writes_hide_nothing(
    probe: Probe<'_>,
    record: &Record,
    version: Version,
    damaged: &str,
) -> Verdict {
    match probe.store.insert(record).await {
        Err(StoreError::Exists | StoreError::Corrupt { .. }) => {}
        Ok(_) => return broken(format!("{damaged} an insert under its id succeeded")),
        Err(error) => {
            return broken(format!("{damaged} an insert under its id failed with: {error}"));
        }
    }
    let stale = Version(version.0 ^ (1 << 33));
    match probe.store.replace(record, stale).await {
        Err(StoreError::Conflict | StoreError::Corrupt { .. }) => Ok(()),
        Ok(_) => broken(format!("{damaged} a replacement with another version succeeded")),
        Err(error) => broken(format!("{damaged} a replacement failed with: {error}")),
    }
}

/// A record that a newer program wrote can be found and listed.
async fn newer_is_read(lab: &mut dyn Lab) -> Verdict {
    let store = lab.store()?;
    let probe = Probe { store: &*store };
    let record = Sample { owner: "newer".into(), ..Sample::nth(9_000) }.record()?;
    probe.insert(&record).await?;
    let newer = newer(&record)?;
    if !lab.plant_bytes(nth(9_000), &newer.to_bytes()).await {
        return broken("the factory could damage a record and could not write a newer one");
    }
    let stored = probe.stored(nth(9_000), "after a newer program wrote").await?;
    same_record(
        &newer,
        &stored.record,
        "after a newer program wrote, find answered with a record",
    )?;
    let request = ListRequest::from(everything().owner("newer"));
    let listed = probe.scan(&request, now()).await?;
    ensure!(
        matches!(&listed[..], [stored] if stored.record == newer),
        "after a newer program wrote, list did not show its record"
    );
    Ok(())
}
