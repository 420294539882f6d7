//! Checks that errors contain no data of a record.

use std::collections::HashSet;
use std::error::Error;
use std::fmt::Write as _;

use super::failures::{Failing, Known, MARK, UNABLE, attempts, marked};
use super::lab::Lab;
use super::lost::{Planned, WRITES, refused_already};
use super::probe::{Probe, every_record};
use super::samples::{newer, now, nth};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{StoreError, Version};

mod spellings;

use spellings::Spellings;

pub(super) async fn errors_leak_nothing(lab: &mut dyn Lab) -> Verdict {
    let store = lab.store()?;
    let probe = Probe { store: &*store };
    let known = Known::insert(probe).await?;
    let record = marked(0)?;
    leaks_nothing(&record, &refusals(probe).await?)?;
    let mut errors = Vec::new();
    for (n, write) in (7_000..).zip(WRITES) {
        let planned = Planned::prepare(probe, write, n).await?;
        if lab.lose_next_answer().await {
            errors.extend(marked_write(probe, n).await);
            errors.extend(planned.make(&*store).await.err());
        }
        if lab.refuse_next_call().await {
            errors.extend(marked_write(probe, n).await);
            refused_already(probe, n + 1_000).await;
        }
    }
    let bytes = record.to_bytes();
    let damaged = &bytes[..bytes.len() - 1];
    if lab.plant_bytes(record.id(), damaged).await {
        errors.extend(probe.store.find(record.id()).await.err());
        errors.extend(probe.store.list(&every_record(), now()).await.err());
        errors.extend(probe.store.insert(&record).await.err());
        errors.extend(probe.store.replace(&record, Version(0)).await.err());
        errors.extend(probe.store.remove(record.id(), Version(0)).await.err());
        lab.plant_bytes(record.id(), &bytes).await;
    }
    leaks_nothing(&record, &errors)?;
    if !lab.make_unavailable().await {
        return Err(NotKept::NotChecked(UNABLE));
    }
    let failing = attempts(probe, &known, 3).await?;
    let seen: Vec<StoreError> = Failing::into_errors(failing);
    if seen.is_empty() {
        return Err(NotKept::NotChecked("the store was made unavailable, but no call failed"));
    }
    leaks_nothing(&record, &seen)
}

/// Replaces the marked record with itself.
async fn marked_write(probe: Probe<'_>, n: u32) -> Option<StoreError> {
    match probe.store.find(nth(0)).await {
        Ok(Some(stored)) if n.is_multiple_of(2) => {
            probe.store.replace(&stored.record, stored.version).await.err()
        }
        Ok(_) => probe.store.insert(&marked(n).ok()?).await.err(),
        Err(error) => Some(error),
    }
}

/// Makes calls that are refused because of the record itself.
async fn refusals(probe: Probe<'_>) -> Result<Vec<StoreError>, NotKept> {
    let record = marked(0)?;
    let future = newer(&marked(8)?)?;
    let version = probe.insert(&future).await?;
    let stale = Version(u64::MAX);
    let mut errors = Vec::new();
    for _ in 0..2 {
        errors.extend(probe.store.insert(&record).await.err());
        errors.extend(probe.store.insert(&future).await.err());
        errors.extend(probe.store.replace(&record, stale).await.err());
        errors.extend(probe.store.replace(&marked(9)?, stale).await.err());
        errors.extend(probe.store.replace(&marked(8)?, version).await.err());
        errors.extend(probe.store.remove(record.id(), stale).await.err());
        errors.extend(probe.store.remove(nth(9), stale).await.err());
    }
    if errors.is_empty() {
        return broken("calls that must be refused have succeeded");
    }
    Ok(errors)
}

/// Checks that neither the errors nor their sources contain data of the record.
fn leaks_nothing(record: &Record, errors: &[StoreError]) -> Verdict {
    let records = [0, 1, 2, 3, 8, 9, 10, 11, 12, 7_000, 7_001, 7_002, 7_003].map(marked);
    let spellings: Vec<Spellings> = std::iter::once(Ok(record.clone()))
        .chain(records)
        .map(|record| record.map(|record| Spellings::of(&record)))
        .collect::<Result<_, _>>()?;
    let texts: HashSet<String> = errors.iter().flat_map(texts).collect();
    for text in texts {
        ensure!(!spellings::has_mark(&text, MARK), "an error repeats a text of the record");
        let repeats = spellings.iter().any(|spellings| spellings.are_in(&text));
        ensure!(!repeats, "an error repeats the bytes of the record");
    }
    Ok(())
}

/// Returns everything that an error and its sources print, on one line and on several.
fn texts(error: &StoreError) -> [String; 2] {
    let mut short = format!("{error} {error:?}");
    let mut long = format!("{error:#} {error:#?}");
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(short, " {error} {error:?}");
        let _ = write!(long, " {error:#} {error:#?}");
        source = error.source();
    }
    [short, long]
}
