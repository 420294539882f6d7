//! Checks of calls during which the storage fails and comes back.
//!
//! A call is polled k times, for k = 1, 2 … until it ends by itself. Then the storage fails, the call runs to its
//! end, and the storage is made available again. So each gap between two requests of a call has a failure in it
//! once. A read must answer with an error or completely. A write must answer with the truth, for each of its rows.

use std::time::Duration;

use super::failures::UNABLE;
use super::in_time::in_time;
use super::lab::Lab;
use super::many::{Batch, Outcome, each};
use super::outage::answers;
use super::polling::{Boxed, poll_times, within};
use super::probe::{Probe, everything, with_sources};
use super::samples::{NOW, Sample, at, labelled, now, nth};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{
    LastUsed, ListRequest, MAX_PAGE_LEN, Order, Page, StoreError, StoredRecord, Version,
};
use crate::token::TokenId;

/// The maximum number of points of waiting at which the storage fails.
const MAX_POLLS: usize = 32;

/// The number of records that are read. It is more than a driver fetches at once.
const RECORDS: u32 = 260;

/// The number of rows of a call about many.
const ROWS: u32 = 12;

/// The duration after which the storage is made available again although the call waits.
const PATIENCE: Duration = Duration::from_secs(2);

const OWNER: &str = "interrupted";

#[derive(Debug, Clone, Copy)]
enum Read {
    Find,
    FindMany,
    Versions,
    List,
    Count,
}

#[derive(Debug, Clone, Copy)]
enum Write {
    Insert,
    Replace,
    Remove,
    Touch,
    ReplaceMany,
    RemoveMany,
}

enum Seen {
    Records(Vec<Result<Option<StoredRecord>, StoreError>>),
    Versions(Vec<Result<Option<Version>, StoreError>>),
    Page(Result<Page, StoreError>),
    Count(Result<u64, StoreError>),
}

pub(super) async fn interrupted_calls_are_true(lab: &mut dyn Lab) -> Verdict {
    let store = lab.store()?;
    let probe = Probe { store: &*store };
    let mut known = Vec::new();
    for n in 0..RECORDS {
        let record = Sample { owner: OWNER.into(), ..Sample::nth(n) }.record()?;
        let version = probe.insert(&record).await?;
        known.push((record, version));
    }
    if !lab.make_unavailable().await {
        return Err(NotKept::NotChecked(UNABLE));
    }
    if !lab.make_available().await {
        return Err(NotKept::NotChecked("the factory cannot end an outage (`make_available`)"));
    }
    answers(probe).await?;
    for read in [Read::Find, Read::FindMany, Read::Versions, Read::List, Read::Count] {
        for polls in 1..=MAX_POLLS {
            let call: Boxed<'_, Seen> = Box::pin(see(probe, read, &known));
            let Some(seen) = interrupted(lab, probe, call, polls).await? else { break };
            let when = format!("with a failure of the storage after {polls} polls, {read:?}");
            is_complete(&known, seen, &when)?;
        }
    }
    let writes = [Write::Insert, Write::Replace, Write::Remove, Write::Touch];
    let many = [Write::ReplaceMany, Write::RemoveMany];
    for (turn, write) in (1_u32..).zip(writes.into_iter().chain(many)) {
        for polls in 1..=MAX_POLLS {
            let n = turn * 10_000 + polls as u32 * 100;
            let ended = match write {
                Write::ReplaceMany | Write::RemoveMany => {
                    many_rows(lab, probe, write, n, polls).await?
                }
                _ => one_row(lab, probe, write, n, polls).await?,
            };
            if ended {
                break;
            }
        }
    }
    Ok(())
}

/// Makes the storage fail during a call. Returns the answer, or `None` if the call ended before.
async fn interrupted<T>(
    lab: &mut dyn Lab,
    probe: Probe<'_>,
    mut call: Boxed<'_, T>,
    polls: usize,
) -> Result<Option<T>, NotKept> {
    if in_time(poll_times(call.as_mut(), polls), "a call").await?.is_some() {
        return Ok(None);
    }
    lab.make_unavailable().await;
    let early = within(PATIENCE, call.as_mut()).await;
    lab.make_available().await;
    let answer = match early {
        Some(answer) => answer,
        None => in_time(call, "a call during which the storage failed").await?,
    };
    answers(probe).await?;
    Ok(Some(answer))
}

async fn see(probe: Probe<'_>, read: Read, known: &[(Record, Version)]) -> Seen {
    let store = probe.store;
    let ids: Vec<TokenId> = known.iter().map(|(record, _)| record.id()).collect();
    let filter = everything().owner(OWNER);
    match read {
        Read::Find => {
            let id = ids.first().copied().unwrap_or(nth(0));
            Seen::Records(vec![store.find(id).await])
        }
        Read::FindMany => {
            let max = store.gathering().map_or(ids.len(), |gathering| gathering.max_ids);
            Seen::Records(store.find_many(ids.get(..max).unwrap_or(&ids)).await)
        }
        Read::Versions => Seen::Versions(store.versions(&ids).await),
        Read::List => {
            let request = ListRequest::from(filter).order(Order::OldestFirst).limit(MAX_PAGE_LEN);
            Seen::Page(store.list(&request, now()).await)
        }
        Read::Count => Seen::Count(store.count(&filter, now()).await),
    }
}

/// Checks that an answer is an error or complete.
fn is_complete(known: &[(Record, Version)], seen: Seen, when: &str) -> Verdict {
    match seen {
        Seen::Records(found) => {
            for ((record, version), found) in known.iter().zip(found) {
                let right =
                    |found: &StoredRecord| found.record == *record && found.version == *version;
                let found = if_answered(found, when)?;
                ensure!(
                    found.is_none_or(|found| found.as_ref().is_some_and(right)),
                    "{when} answered that a record is missing, or with another one"
                );
            }
        }
        Seen::Versions(versions) => {
            for ((_, version), seen) in known.iter().zip(each("versions", known.len(), versions)?) {
                let seen = if_answered(seen, when)?;
                ensure!(
                    seen.is_none_or(|seen| seen == Some(*version)),
                    "{when} answered that a record is missing, or with another version"
                );
            }
        }
        Seen::Page(page) => {
            let Some(page) = if_answered(page, when)? else { return Ok(()) };
            let is_on_it = |id: &TokenId| page.next.is_none_or(|next| *id <= next);
            let expected = known.iter().map(|(record, _)| record.id()).filter(is_on_it);
            let listed = page.items.iter().map(|stored| stored.record.id());
            ensure!(
                expected.eq(listed),
                "{when} answered with a page that lacks records and does not say so: it has {} of {}",
                page.items.len(),
                known.len()
            );
        }
        Seen::Count(count) => {
            let count = if_answered(count, when)?;
            let expected = known.len() as u64;
            ensure!(
                count.is_none_or(|count| count == expected),
                "{when} answered with {count:?} instead of {expected}"
            );
        }
    }
    Ok(())
}

/// Returns the answer of a read, or `None` if it is `Unavailable`.
fn if_answered<T>(answer: Result<T, StoreError>, when: &str) -> Result<Option<T>, NotKept> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(StoreError::Unavailable { .. }) => Ok(None),
        Err(error) => broken(format!(
            "{when} should have succeeded or failed with `Unavailable`: {}",
            with_sources(&error)
        )),
    }
}

/// Interrupts a write of one record. Returns whether the call ended before the failure.
async fn one_row(
    lab: &mut dyn Lab,
    probe: Probe<'_>,
    write: Write,
    n: u32,
    polls: usize,
) -> Result<bool, NotKept> {
    let (old, new) = (labelled(n, "before the call")?, labelled(n, "after the call")?);
    let (id, used) = (old.id(), at(NOW + 77));
    let before =
        if matches!(write, Write::Insert) { None } else { Some((&old, probe.insert(&old).await?)) };
    let version = before.map_or(Version(0), |(_, version)| version);
    let store = probe.store;
    let touch = [(id, used)];
    let call: Boxed<'_, Result<Option<Version>, StoreError>> = match write {
        Write::Insert => Box::pin(async { store.insert(&new).await.map(Some) }),
        Write::Replace => Box::pin(async { store.replace(&new, version).await.map(Some) }),
        Write::Remove => Box::pin(async { store.remove(id, version).await.map(|()| None) }),
        _ => Box::pin(async { store.touch(&touch).await.map(|()| Some(version)) }),
    };
    let Some(answer) = interrupted(lab, probe, call, polls).await? else { return Ok(true) };
    let when =
        format!("after a failure of the storage in {write:?}, {polls} polls after its beginning,");
    let found = probe.find(id).await?;
    if let (Write::Touch, true) = (write, store.tracks_last_used()) {
        let kept = found.as_ref().is_some_and(|found| found.last_used == LastUsed::At(used));
        ensure!(answer.is_err() || kept, "{when} a touch was acknowledged and not written");
    }
    let seen = found.as_ref().map(|stored| (&stored.record, stored.version));
    let unchanged = seen == before;
    let changed = match write {
        Write::Remove => seen.is_none(),
        Write::Touch => unchanged,
        _ => seen.is_some_and(|(record, seen)| *record == new && seen != version),
    };
    match answer {
        Ok(version) => {
            let same = found.map(|stored| stored.version) == version;
            ensure!(
                changed && same,
                "{when} the write was acknowledged, and find does not show it"
            );
        }
        Err(StoreError::Indeterminate { .. }) => {
            ensure!(changed || unchanged, "{when} the record was written in part");
        }
        Err(
            error @ (StoreError::Unavailable { .. }
            | StoreError::Full { .. }
            | StoreError::ReadOnly),
        ) => ensure!(unchanged, "{when} the write happened although the store answered: {error}"),
        Err(error) => return broken(format!("{when} it failed with: {}", with_sources(&error))),
    }
    Ok(false)
}

/// Interrupts a write of many rows. Returns whether the call ended before the failure.
async fn many_rows(
    lab: &mut dyn Lab,
    probe: Probe<'_>,
    write: Write,
    n: u32,
    polls: usize,
) -> Result<bool, NotKept> {
    let batch = Batch::insert(probe, n, ROWS, matches!(write, Write::RemoveMany)).await?;
    let call: Boxed<'_, Vec<Outcome>> = Box::pin(batch.write(probe));
    let Some(results) = interrupted(lab, probe, call, polls).await? else { return Ok(true) };
    let when = format!("after a failure of the storage {polls} polls after the beginning");
    batch.is_true(probe, results, &when).await?;
    Ok(false)
}
