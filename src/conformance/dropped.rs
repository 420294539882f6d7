//! Checks of calls whose future is dropped, and of what many failed or dropped calls leave behind.

use super::in_time::in_time;
use super::lab::Lab;
use super::other_handle::{Further, OtherHandle};
use super::polling::{Boxed, poll_and_drop, poll_times};
use super::probe::{
    Probe, Refusal, answered, every_record, everything, refused, same_record, with_sources,
};
use super::samples::{NOW, at, labelled, newer, now, nth};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{LastUsed, ListRequest, StoreError, StoredRecord, Version};
use crate::token::TokenId;

/// The maximum number of points of waiting at which a call is dropped.
const MAX_POLLS: usize = 12;

/// How a call is polled before it is dropped: each time after it was woken, or in a loop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Polls {
    Woken(usize),
    InALoop(usize),
}

/// Polls a call and drops it. Returns its answer if it was ready.
async fn dropped<T>(mut call: Boxed<'_, T>, polls: Polls) -> Result<Option<T>, NotKept> {
    let ready = async {
        match polls {
            Polls::Woken(polls) => poll_times(call.as_mut(), polls).await,
            Polls::InALoop(polls) => poll_and_drop(call, polls).await,
        }
    };
    in_time(ready, "after calls were dropped, a call").await
}

pub(super) async fn dropped_calls_are_atomic(lab: &mut dyn Lab) -> Verdict {
    let store = lab.store()?;
    let other = OtherHandle::open(lab).await?;
    let probe = Probe { store: &*store };
    let ways = (0..MAX_POLLS).map(Polls::Woken).chain((1..=4).map(Polls::InALoop));
    for (n, polls) in (0..).step_by(10).zip(ways) {
        let ended = [
            insert(probe, &other, n, polls).await?,
            replace(probe, &other, n + 1, polls).await?,
            remove(probe, &other, n + 2, polls).await?,
            touch(probe, &other, n + 3, polls).await?,
        ];
        read(probe, n + 4, polls).await?;
        // More polls make no difference to calls that have ended.
        if ended == [true; 4] && polls == Polls::Woken(MAX_POLLS) {
            break;
        }
    }
    other.finish(lab, store, "after dropped calls").await
}

/// Makes further writes after a dropped call, and reads them and the record of the call through every
/// handle. The writes must not land in a transaction that the dropped call left open.
async fn further_writes(
    probe: Probe<'_>,
    other: &OtherHandle,
    further: Further,
    n: u32,
    when: &str,
) -> Verdict {
    further.write(probe, other, n / 10 + n % 10, when).await?;
    other.agrees(probe, nth(n), when).await
}

async fn insert(
    probe: Probe<'_>,
    other: &OtherHandle,
    n: u32,
    polls: Polls,
) -> Result<bool, NotKept> {
    let (new, when) = (labelled(n, "the new one")?, "after a dropped insert");
    let further = Further::prepare(probe, n).await?;
    let ready = dropped(probe.store.insert(&new), polls).await?;
    if let Some(stored) = settled(probe, nth(n), when).await? {
        same_record(&new, &stored.record, &format!("{when}, find answered with a record"))?;
    }
    further_writes(probe, other, further, n, when).await?;
    // The dropped call may still be running in the storage. It must not block other calls.
    match in_time(probe.store.insert(&new), &another(when)).await? {
        Ok(version) => probe.found(&new, version, "after a dropped insert and another").await?,
        Err(StoreError::Exists) => {
            let found = probe.find(nth(n)).await?;
            ensure!(
                found.is_some(),
                "{when}, another failed with `Exists`, and find has no record"
            );
        }
        Err(error) => return broken(format!("{when}, another: {}", with_sources(&error))),
    }
    retry(probe, n, "a dropped insert").await?;
    Ok(ready.is_some())
}

async fn replace(
    probe: Probe<'_>,
    other: &OtherHandle,
    n: u32,
    polls: Polls,
) -> Result<bool, NotKept> {
    let (before, after) = (labelled(n, "the old one")?, labelled(n, "the new one")?);
    let when = "after a dropped replacement";
    let version = touched(probe, &before).await?;
    let further = Further::prepare(probe, n).await?;
    let ready = dropped(probe.store.replace(&after, version), polls).await?;
    let Some(stored) = settled(probe, nth(n), when).await? else {
        return broken(format!("{when}, find answered that there is no record"));
    };
    let expected = if stored.version == version { &before } else { &after };
    same_record(expected, &stored.record, &format!("{when}, find answered with a record"))?;
    ensure!(ready.is_none() || stored.version != version, "a completed replacement is not stored");
    further_writes(probe, other, further, n, when).await?;
    still_used(&stored, when)?;
    retry(probe, n, "a dropped replacement").await?;
    Ok(ready.is_some())
}

async fn remove(
    probe: Probe<'_>,
    other: &OtherHandle,
    n: u32,
    polls: Polls,
) -> Result<bool, NotKept> {
    let (record, when) = (labelled(n, "to be removed")?, "after a dropped removal");
    let version = touched(probe, &record).await?;
    let further = Further::prepare(probe, n).await?;
    let ready = dropped(probe.store.remove(nth(n), version), polls).await?;
    if let Some(stored) = settled(probe, nth(n), when).await? {
        ensure!(ready.is_none(), "{when}, a completed removal did not happen");
        same_record(&record, &stored.record, &format!("{when}, find answered with a record"))?;
        still_used(&stored, when)?;
        further_writes(probe, other, further, n, when).await?;
        retry(probe, n, "a dropped removal").await?;
    } else {
        further_writes(probe, other, further, n, when).await?;
    }
    if probe.find(nth(n)).await?.is_none() {
        // The id is free, and nothing of the old record is left.
        let again = in_time(probe.store.insert(&record), &another(when)).await?;
        let version = answered("after a dropped removal, an insert", again)?;
        probe.found(&record, version, "after a dropped removal and an insert").await?;
        let stored = probe.stored(nth(n), when).await?;
        ensure!(
            !matches!(stored.last_used, LastUsed::At(_)),
            "after a dropped removal and an insert, the last use of the removed record is there"
        );
    }
    Ok(ready.is_some())
}

async fn touch(
    probe: Probe<'_>,
    other: &OtherHandle,
    n: u32,
    polls: Polls,
) -> Result<bool, NotKept> {
    let (record, when) = (labelled(n, "touched")?, "after a dropped touch");
    let version = touched(probe, &record).await?;
    let batch = [(nth(n), at(NOW + 9)), (nth(n + 100_000), now())];
    let further = Further::prepare(probe, n).await?;
    let ready = dropped(probe.store.touch(&batch), polls).await?;
    let Some(stored) = settled(probe, nth(n), when).await? else {
        return broken(format!("{when}, find answered that there is no record"));
    };
    same_record(&record, &stored.record, &format!("{when}, find answered with a record"))?;
    ensure!(stored.version == version, "{when}, find answered with another version");
    ensure!(
        stored.last_used != LastUsed::Never,
        "{when}, find answered that the record was never used, and it was before"
    );
    further_writes(probe, other, further, n, when).await?;
    in_time(probe.store.touch(&batch), &another(when))
        .await?
        .or_else(|error| broken(format!("{when}, another failed: {}", with_sources(&error))))?;
    retry(probe, n, "a dropped touch").await?;
    Ok(ready.is_some())
}

async fn read(probe: Probe<'_>, n: u32, polls: Polls) -> Verdict {
    let record = labelled(n, "read")?;
    let version = probe.insert(&record).await?;
    dropped(probe.store.find(nth(n)), polls).await?;
    dropped(probe.store.list(&every_record(), now()), polls).await?;
    probe.found(&record, version, "after dropped reads").await?;
    retry(probe, n, "dropped reads").await
}

/// Inserts a record and touches it.
async fn touched(probe: Probe<'_>, record: &Record) -> Result<Version, NotKept> {
    let version = probe.insert(record).await?;
    probe.touch(&[(record.id(), now())]).await?;
    Ok(version)
}

fn still_used(stored: &StoredRecord, when: &str) -> Verdict {
    let kept =
        matches!(stored.last_used, LastUsed::NotTracked) || stored.last_used == LastUsed::At(now());
    ensure!(kept, "{when}, find answered with the last use {:?}", stored.last_used);
    Ok(())
}

/// Names another call for an error.
fn another(when: &str) -> String {
    format!("{when}, another call")
}

/// Reads a record in every way, and checks that all reads agree. The dropped call may take effect
/// between two reads, but only once.
async fn settled(
    probe: Probe<'_>,
    id: TokenId,
    when: &str,
) -> Result<Option<StoredRecord>, NotKept> {
    let reads = async {
        for _ in 0..3 {
            let before = probe.find(id).await?;
            let agreed = match probe.agrees(id, when).await {
                Ok(()) => labels_agree(probe, id, before.as_ref(), when).await,
                disagreed => disagreed,
            };
            let after = probe.find(id).await?;
            if before == after {
                return agreed.map(|()| after);
            }
        }
        broken(format!("{when}, the record changed more than once"))
    };
    in_time(reads, &another(when)).await?
}

/// Checks that a list by a label shows the record if it has the label, and not otherwise.
async fn labels_agree(
    probe: Probe<'_>,
    id: TokenId,
    found: Option<&StoredRecord>,
    when: &str,
) -> Verdict {
    for label in ["the old one", "the new one", "to be removed", "touched"] {
        let request = ListRequest::from(everything().issued_to(label)).limit(1_000);
        let listed = probe.scan(&request, now()).await?;
        let shown = listed.iter().any(|stored| stored.record.id() == id);
        let has = found.is_some_and(|stored| stored.record.issued_to() == label);
        ensure!(shown == has, "{when}, find and a list by a label disagree about a record");
    }
    Ok(())
}

/// Checks that a record can be replaced. A dropped call may still take effect once in between.
async fn retry(probe: Probe<'_>, n: u32, what: &str) -> Verdict {
    let record = labelled(n, "after a dropped call")?;
    for _ in 0..3 {
        let Some(stored) = probe.find(nth(n)).await? else { return Ok(()) };
        let replaced =
            in_time(probe.store.replace(&record, stored.version), &another(what)).await?;
        match replaced {
            Ok(version) => return probe.found(&record, version, &format!("after {what}")).await,
            Err(StoreError::Conflict) => {}
            Err(error) => {
                return broken(format!("after {what}, another failed: {}", with_sources(&error)));
            }
        }
    }
    broken(format!("after {what}, no replacement with the current version succeeds"))
}

/// More than the number of connections that pools usually have.
pub(super) const MANY: u32 = 130;

pub(super) async fn calls_leave_nothing_behind(lab: &mut dyn Lab) -> Verdict {
    let store = lab.store()?;
    let other = OtherHandle::open(lab).await?;
    let probe = Probe { store: &*store };
    let record = labelled(0, "there all the time")?;
    let version = probe.insert(&record).await?;
    let future = newer(&labelled(1, "in a newer format")?)?;
    let newer_version = probe.insert(&future).await?;
    for kind in 0..6 {
        let refusals = async {
            for _ in 0..MANY {
                refusal(probe, kind, &record, &future, newer_version).await?;
            }
            usable(probe, &other, &record, version, "many refused calls").await
        };
        in_time(refusals, "many refused calls").await??;
    }
    refused_before_sent(lab, probe, &record).await?;
    usable(probe, &other, &record, version, "many calls that were refused before they were sent")
        .await?;
    // A feed may have a connection of its own.
    for _ in 0..MANY {
        let feed = in_time(probe.store.changes(), "opening one of many change feeds").await?;
        if answered("opening one of many change feeds", feed)?.is_none() {
            break;
        }
    }
    usable(probe, &other, &record, version, "many change feeds that were dropped").await?;
    for kind in 0..6 {
        for n in 0..MANY {
            let (id, stale) = (nth(10 + kind * 1_000 + n), Version(version.0 ^ (1 << 40)));
            let polls = Polls::Woken(1 + n as usize % 3);
            let new = labelled(10 + kind * 1_000 + n, "dropped")?;
            match kind {
                0 => drop(dropped(probe.store.find(id), polls).await?),
                1 => drop(dropped(probe.store.list(&every_record(), now()), polls).await?),
                2 => drop(dropped(probe.store.insert(&new), polls).await?),
                3 => drop(dropped(probe.store.replace(&record, stale), polls).await?),
                4 => drop(dropped(probe.store.remove(id, stale), polls).await?),
                _ => drop(dropped(probe.store.touch(&[(id, now())]), polls).await?),
            }
        }
        usable(probe, &other, &record, version, "many dropped calls").await?;
    }
    other.finish(lab, store, "after many refused and dropped calls").await
}

/// Makes calls that are refused before they are sent, if the factory can refuse calls.
async fn refused_before_sent(lab: &mut dyn Lab, probe: Probe<'_>, record: &Record) -> Verdict {
    let absent = labelled(8_888, "refused")?;
    for n in 0..MANY {
        if !lab.refuse_next_call().await {
            break;
        }
        let call: Boxed<'_, bool> = match n % 3 {
            0 => Box::pin(async { probe.store.find(record.id()).await.is_ok() }),
            1 => Box::pin(async { probe.store.insert(&absent).await.is_ok() }),
            _ => Box::pin(async { probe.store.list(&every_record(), now()).await.is_ok() }),
        };
        in_time(call, "among many calls that were refused before they were sent").await?;
    }
    // A call that a store answers from memory leaves the refusal to the next one.
    let last = probe.store.insert(&absent);
    in_time(last, "after many calls that were refused before they were sent").await.map(drop)
}

/// Makes a call that must be refused.
async fn refusal(
    probe: Probe<'_>,
    kind: u32,
    record: &Record,
    future: &Record,
    newer_version: Version,
) -> Verdict {
    let (what, id) = ("one of many refused calls", record.id());
    let stale = Version(u64::MAX);
    let older = labelled(1, "in this format")?;
    match kind {
        0 => refused(what, probe.store.insert(record).await, Refusal::Exists),
        1 => refused(what, probe.store.replace(record, stale).await, Refusal::Conflict),
        2 => refused(what, probe.store.remove(id, stale).await, Refusal::Conflict),
        3 => refused(what, probe.store.remove(nth(9), stale).await, Refusal::Conflict),
        4 => {
            same_record(
                future,
                &probe.stored(nth(1), what).await?.record,
                "find answered with a record",
            )?;
            let answer = probe.store.replace(&older, newer_version).await;
            refused(what, answer, Refusal::NewerFormat)
        }
        _ => {
            let missing = labelled(9, "missing")?;
            refused(what, probe.store.replace(&missing, stale).await, Refusal::Conflict)
        }
    }
}

/// Checks that every kind of call still succeeds.
async fn usable(
    probe: Probe<'_>,
    other: &OtherHandle,
    record: &Record,
    version: Version,
    after: &str,
) -> Verdict {
    let when = format!("after {after}");
    let calls = async {
        // More at once than one connection can serve.
        for _ in 0..4 {
            probe.found(record, version, &when).await?;
        }
        let another = labelled(9_999, "inserted afterwards")?;
        let version = probe.insert(&another).await?;
        other.agrees(probe, another.id(), &when).await?;
        let version = probe.replace(&another, version).await?;
        probe.touch(&[(another.id(), now())]).await?;
        other.agrees(probe, another.id(), &when).await?;
        probe.remove(another.id(), version).await?;
        other.agrees(probe, another.id(), &when).await
    };
    in_time(calls, &another(&when)).await?
}
