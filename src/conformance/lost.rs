//! Checks of calls whose answer is lost, and of calls that are refused before they are sent.

use super::in_time::in_time;
use super::lab::Lab;
use super::other_handle::{Further, OtherHandle};
use super::probe::{Probe, every_record, same_record, tracked, with_sources};
use super::samples::{NOW, at, labelled, now, nth, revoked};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{LastUsed, StoreError, TokenStore, Version};

/// The number of calls of each kind.
const ROUNDS: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    Insert,
    Replace,
    Remove,
    Touch,
}

pub(super) const WRITES: [Write; 4] = [Write::Insert, Write::Replace, Write::Remove, Write::Touch];

/// A write that will be made, with the records before and after it.
pub(super) struct Planned {
    write: Write,
    n: u32,
    version: Version,
    before: Option<Record>,
    after: Option<Record>,
}

/// The time of a touch.
const USED: i64 = NOW + 4_711;

impl Planned {
    pub(super) async fn prepare(probe: Probe<'_>, write: Write, n: u32) -> Result<Self, NotKept> {
        let (old, new) =
            (labelled(n, "before")?, revoked(&labelled(n, "before")?, Some("ops"), None));
        let version = if write == Write::Insert { Version(0) } else { probe.insert(&old).await? };
        let (before, after) = match write {
            Write::Insert => (None, Some(old)),
            Write::Replace => (Some(old), Some(new)),
            Write::Remove => (Some(old), None),
            Write::Touch => (Some(old.clone()), Some(old)),
        };
        Ok(Self { write, n, version, before, after })
    }

    pub(super) async fn make(&self, store: &dyn TokenStore) -> Result<Option<Version>, StoreError> {
        match (self.write, &self.after) {
            (Write::Insert, Some(record)) => store.insert(record).await.map(Some),
            (Write::Replace, Some(record)) => store.replace(record, self.version).await.map(Some),
            (Write::Touch, _) => store.touch(&[(nth(self.n), at(USED))]).await.map(|()| None),
            _ => store.remove(nth(self.n), self.version).await.map(|()| None),
        }
    }

    /// Checks that the write has happened or has not.
    async fn happened(&self, probe: Probe<'_>, expected: bool, when: &str) -> Verdict {
        let write = format!("{:?}", self.write).to_ascii_lowercase();
        let found = probe.find(nth(self.n)).await?;
        let record = if expected { &self.after } else { &self.before };
        match (record, &found) {
            (Some(record), Some(found)) => {
                let what = format!("{when}, after {write} find answered with a record");
                same_record(record, &found.record, &what)?;
                ensure!(
                    expected || found.version == self.version,
                    "{when}, after {write} find answered with another version"
                );
                if self.write == Write::Touch && tracked(probe).is_ok() {
                    let used = found.last_used == LastUsed::At(at(USED));
                    ensure!(
                        used == expected,
                        "{when}, find answered with the last use {:?}",
                        found.last_used
                    );
                }
            }
            (None, None) => {}
            (_, found) => {
                let found = if found.is_some() { "a record" } else { "no record" };
                return broken(format!("{when}, after {write} find answered with {found}"));
            }
        }
        probe.agrees(nth(self.n), when).await
    }
}

pub(super) async fn lost_answers_are_indeterminate(lab: &mut dyn Lab) -> Verdict {
    let store = lab.store()?;
    let other = OtherHandle::open(lab).await?;
    let probe = Probe { store: &*store };
    for round in 0..ROUNDS {
        for (kind, write) in (0..).zip(WRITES) {
            if write == Write::Touch && tracked(probe).is_err() {
                continue;
            }
            let planned = Planned::prepare(probe, write, round * 10 + kind).await?;
            let further = Further::prepare(probe, round * 10 + kind).await?;
            if !lab.lose_next_answer().await {
                return Err(NotKept::NotChecked(
                    "the factory cannot lose an answer (`lose_next_answer`)",
                ));
            }
            let what = format!("{write:?} with a lost answer").to_ascii_lowercase();
            let answer = in_time(Box::pin(planned.make(&*store)), &what).await?;
            let right = match (&answer, write) {
                (Err(StoreError::Indeterminate { .. }), _) => true,
                (Err(error), Write::Touch) => {
                    !matches!(error, StoreError::Exists | StoreError::Conflict)
                }
                _ => false,
            };
            ensure!(right, "{what} should have failed with `Indeterminate`, but {}", said(&answer));
            if write != Write::Touch {
                planned.happened(probe, true, "after the answer to a write was lost").await?;
            }
            let when = "after a call with a lost answer";
            further.write(probe, &other, round + kind, when).await?;
            other.agrees(probe, nth(round * 10 + kind), when).await?;
            usable(probe, 1_000 + round * 10 + kind).await?;
        }
    }
    other.finish(lab, store, "after calls with lost answers").await
}

fn said<T>(answer: &Result<T, StoreError>) -> String {
    match answer {
        Ok(_) => "succeeded".into(),
        Err(error) => format!("failed with: {}", with_sources(error)),
    }
}

pub(super) async fn refused_calls_are_unavailable(lab: &mut dyn Lab) -> Verdict {
    let unable = NotKept::NotChecked("the factory cannot refuse a call (`refuse_next_call`)");
    let store = lab.store()?;
    let other = OtherHandle::open(lab).await?;
    let probe = Probe { store: &*store };
    for round in 0..ROUNDS {
        for (kind, write) in (0..).zip(WRITES) {
            if write == Write::Touch && tracked(probe).is_err() {
                continue;
            }
            let planned = Planned::prepare(probe, write, round * 10 + kind).await?;
            let further = Further::prepare(probe, round * 10 + kind).await?;
            if !lab.refuse_next_call().await {
                return Err(unable);
            }
            let what =
                format!("{write:?} that was refused before it was sent").to_ascii_lowercase();
            let answer = in_time(Box::pin(planned.make(&*store)), &what).await?;
            let happened = answer.is_ok();
            let right = match &answer {
                // The store has repeated the call.
                Ok(_) | Err(StoreError::Unavailable { .. }) => true,
                // The disk of a store in files refuses a write.
                Err(StoreError::Full { .. } | StoreError::ReadOnly) => true,
                Err(error) if write == Write::Touch => {
                    !matches!(error, StoreError::Exists | StoreError::Conflict)
                }
                Err(_) => false,
            };
            ensure!(right, "{what} should have failed with `Unavailable`, but {}", said(&answer));
            planned
                .happened(probe, happened, "after a call was refused before it was sent")
                .await?;
            let when = "after a call was refused before it was sent";
            further.write(probe, &other, round + kind, when).await?;
            other.agrees(probe, nth(round * 10 + kind), when).await?;
            usable(probe, 1_000 + round * 10 + kind).await?;
        }
        let record = labelled(2_000 + round, "there")?;
        probe.insert(&record).await?;
        lab.refuse_next_call().await;
        match in_time(probe.store.find(record.id()), "find").await? {
            Ok(Some(stored)) => {
                same_record(&record, &stored.record, "find answered with a record")?
            }
            Err(StoreError::Unavailable { .. }) => {}
            Ok(None) => {
                return broken(
                    "find that was refused before it was sent answered without a record",
                );
            }
            answer => {
                return broken(format!(
                    "find that was refused before it was sent {}",
                    said(&answer)
                ));
            }
        }
        refused_already(probe, 2_100 + round).await;
        lab.refuse_next_call().await;
        match in_time(probe.store.list(&every_record(), now()), "list").await? {
            Ok(page) => {
                ensure!(!page.items.is_empty(), "list that was refused before it was sent is empty")
            }
            Err(StoreError::Unavailable { .. }) => {}
            answer => {
                return broken(format!(
                    "list that was refused before it was sent {}",
                    said(&answer)
                ));
            }
        }
        refused_already(probe, 2_200 + round).await;
    }
    other.finish(lab, store, "after refused calls").await
}

/// Makes a write that may be refused. A store that reads from memory refuses its next write instead of
/// the read.
pub(super) async fn refused_already(probe: Probe<'_>, n: u32) {
    if let Ok(record) = labelled(n, "refused perhaps") {
        let _ = in_time(probe.store.insert(&record), "an insert").await;
    }
}

/// Checks that the next calls succeed.
pub(super) async fn usable(probe: Probe<'_>, n: u32) -> Verdict {
    let calls = async {
        let record = labelled(n, "inserted afterwards")?;
        let version = probe.insert(&record).await?;
        probe.found(&record, version, "after a call that failed").await?;
        probe.remove(record.id(), version).await
    };
    in_time(Box::pin(calls), "after a call that failed, another call").await?
}
