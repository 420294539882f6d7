//! Checks of a long history of small writes. A store may compact its files, flush a buffer or evict from a
//! cache after some number of writes. Each of these steps must leave the records, the last uses and the
//! versions as they were, for this handle, for another one that did not look meanwhile, and after reopening.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::lab::Lab;
use super::polling::{Boxed, join, poll_times, within};
use super::probe::{Probe, answered, every_record, same_ids, same_stored, untouched};
use super::samples::{NOW, at, labelled, now, nth};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::store::{LastUsed, StoredRecord, TokenStore, Version};

/// The number of ids. It is small, so that most of a history is obsolete.
const IDS: usize = 12;

/// The first id, which is written once in each burst, and early.
const QUIET: usize = 0;

/// The number of ids that are removed, while no write draws a version.
const FILLERS: u32 = 40;

/// The number of touches without a write that draws a version.
const TOUCHES: usize = 200;

/// The number of times that the store is opened again after writes that overlap.
const LAST_WRITES: usize = 24;

/// The numbers of writes between two looks through the other handle.
const BURSTS: [usize; 8] = [300, 1, 5, 130, 20, 400, 60, 220];

/// An id with its record, if it has one, and all versions that it had.
#[derive(Default)]
struct Row {
    stored: Option<StoredRecord>,
    had: BTreeSet<Version>,
}

struct History {
    rows: Vec<Row>,
    /// The number of writes, from which labels and times are made.
    writes: u32,
    random: u64,
    untouched: LastUsed,
}

fn id(place: usize) -> crate::token::TokenId {
    nth(20_000 + place as u32)
}

pub(super) async fn long_history_is_kept(lab: &mut dyn Lab) -> Verdict {
    let mut store = lab.store()?;
    let second = match lab.second().await {
        Some(Ok(second)) => Some(second),
        Some(Err(error)) => {
            return broken(format!("the second handle could not be opened: {error}"));
        }
        None => None,
    };
    let probe = Probe { store: &*store };
    let other = second.as_deref().map_or(probe, |store| Probe { store });
    let mut history = History::new(probe);
    history.insert(probe, QUIET, "at first").await?;
    history.is_seen(other, "after the first insert").await?;
    for (turn, burst) in BURSTS.into_iter().enumerate() {
        let (writer, reader) = if turn % 2 == 0 { (probe, other) } else { (other, probe) };
        history.burst(writer, burst).await?;
        let when = format!("after {} writes of all kinds", history.writes);
        history.is_seen(reader, &format!("{when}, the handle that did not write")).await?;
        history.is_seen(writer, &when).await?;
    }
    for (turn, handle) in [probe, other, probe].into_iter().enumerate() {
        history.lose_latest(probe, 21_000 + turn as u32 * 100).await?;
        history.insert(handle, IDS - 1, "after touches and removals").await?;
        history.is_seen(other, "after touches and removals").await?;
    }
    drop(second);
    for turn in 0..3 {
        let probe = Probe { store: &*store };
        history.overlap(probe, 60 + turn as usize * 30, None).await?;
        history.is_seen(probe, "after writes that overlap").await?;
        history.lose_latest(probe, 22_000 + turn * 100).await?;
        store = match reopened(lab, store).await? {
            Some(store) => store,
            None => return Ok(()),
        };
        let probe = Probe { store: &*store };
        // The first write after opening is under the id that had the latest version.
        history.insert(probe, IDS - 1, "after reopening").await?;
        history.renew(probe).await?;
        history.is_seen(probe, "after many writes and reopening").await?;
        history.burst(probe, 90).await?;
        history.is_seen(probe, "after writes after reopening").await?;
    }
    // A write that was lost in a compaction can be seen only before the next compaction.
    for round in 0..LAST_WRITES {
        let (pairs, polls) = (20 + round * 11 % 38, 1 + round % 6);
        history.overlap(Probe { store: &*store }, pairs, Some(polls)).await?;
        store = match reopened(lab, store).await? {
            Some(store) => store,
            None => return Ok(()),
        };
        let probe = Probe { store: &*store };
        history.renew(probe).await?;
        history.is_seen(probe, "after writes that overlap and reopening").await?;
    }
    Ok(())
}

async fn reopened(
    lab: &mut dyn Lab,
    store: Arc<dyn TokenStore>,
) -> Result<Option<Arc<dyn TokenStore>>, NotKept> {
    drop(store);
    match lab.reopen().await {
        None => Ok(None),
        Some(Ok(())) => lab.store().map(Some),
        Some(Err(error)) => broken(format!("after many writes, the store does not open: {error}")),
    }
}

/// Polls the first call, runs the second one to its end, then the first.
async fn overtaken<T>(mut first: Boxed<'_, T>, mut second: Boxed<'_, T>, polls: usize) -> Vec<T> {
    /// A store may hold a lock, for which the second call then waits.
    const PATIENCE: Duration = Duration::from_millis(4);
    if let Some(ready) = poll_times(first.as_mut(), polls).await {
        return vec![ready, second.await];
    }
    match within(PATIENCE, second.as_mut()).await {
        Some(ready) => vec![first.await, ready],
        None => join(vec![first, second]).await,
    }
}

impl History {
    fn new(probe: Probe<'_>) -> Self {
        let rows = (0..IDS).map(|_| Row::default()).collect();
        Self { rows, writes: 0, random: 0x5eed, untouched: untouched(probe.store) }
    }

    /// Returns a number below `end`, the same ones in each run.
    fn below(&mut self, end: usize) -> usize {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) as usize % end
    }

    fn drew(&mut self, place: usize, version: Version, what: &str) -> Verdict {
        self.writes += 1;
        let new = self.rows.get_mut(place).is_some_and(|row| row.had.insert(version));
        ensure!(new, "{what} returned {version:?}, which the id already had");
        Ok(())
    }

    fn set(&mut self, place: usize, stored: Option<StoredRecord>) {
        if let Some(row) = self.rows.get_mut(place) {
            row.stored = stored;
        }
    }

    fn stored(&self, place: usize) -> Option<StoredRecord> {
        self.rows.get(place).and_then(|row| row.stored.clone())
    }

    async fn insert(&mut self, probe: Probe<'_>, place: usize, when: &str) -> Verdict {
        let record = labelled(20_000 + place as u32, &format!("write {}", self.writes))?;
        let version = probe.insert(&record).await?;
        self.drew(place, version, &format!("{when}, an insert"))?;
        self.set(place, Some(StoredRecord::new(record, version, self.untouched)));
        Ok(())
    }

    async fn replace(&mut self, probe: Probe<'_>, place: usize, many: bool) -> Verdict {
        let Some(stored) = self.stored(place) else { return Ok(()) };
        let record = labelled(20_000 + place as u32, &format!("write {}", self.writes))?;
        let version = if many {
            let writes = [(record.clone(), stored.version)];
            let mut results = probe.store.replace_many(&writes).await;
            match (results.pop(), results.len()) {
                (Some(result), 0) => answered("replace_many of one row", result)?,
                _ => return broken("replace_many of one row did not return one result"),
            }
        } else {
            probe.replace(&record, stored.version).await?
        };
        self.drew(place, version, "among many writes, a replacement")?;
        self.set(place, Some(StoredRecord::new(record, version, stored.last_used)));
        Ok(())
    }

    async fn remove(&mut self, probe: Probe<'_>, place: usize) -> Verdict {
        let Some(stored) = self.stored(place) else { return Ok(()) };
        self.writes += 1;
        probe.remove(id(place), stored.version).await?;
        self.set(place, None);
        Ok(())
    }

    async fn touch(&mut self, probe: Probe<'_>, place: usize) -> Verdict {
        self.writes += 1;
        let used = at(NOW + i64::from(self.writes));
        probe.touch(&[(id(place), used)]).await?;
        if let Some(mut stored) = self.stored(place) {
            if stored.last_used != LastUsed::NotTracked {
                stored.last_used = LastUsed::At(used);
            }
            self.set(place, Some(stored));
        }
        Ok(())
    }

    /// Makes writes of all kinds.
    async fn burst(&mut self, probe: Probe<'_>, writes: usize) -> Verdict {
        self.replace(probe, QUIET, false).await?;
        for _ in 0..writes {
            // The last place belongs to `lose_latest`.
            let place = 1 + self.below(IDS - 2);
            let kind = self.below(10);
            match (self.stored(place).is_some(), kind) {
                (false, _) => self.insert(probe, place, "among many writes").await?,
                (true, 0) => self.remove(probe, place).await?,
                (true, 1..=3) => self.touch(probe, place).await?,
                (true, kind) => self.replace(probe, place, kind == 4).await?,
            }
        }
        Ok(())
    }

    /// Makes writes of which one waits while another one, of another id, runs to its end. The first one may have
    /// started a compaction. The first one is polled a given number of times, or a number that varies.
    async fn overlap(&mut self, probe: Probe<'_>, pairs: usize, polls: Option<usize>) -> Verdict {
        for turn in 0..pairs {
            let places = [1 + turn % 4, 5 + turn % 4];
            let mut records = Vec::new();
            for place in places {
                if self.stored(place).is_none() {
                    self.insert(probe, place, "among writes that overlap").await?;
                }
                let Some(stored) = self.stored(place) else { continue };
                let record = labelled(20_000 + place as u32, &format!("overlaps {}", self.writes))?;
                self.writes += 1;
                records.push((record, stored));
            }
            let [(one, before_one), (two, before_two)] = records.as_slice() else { continue };
            let first = probe.store.replace(one, before_one.version);
            let second = probe.store.replace(two, before_two.version);
            let answers = overtaken(first, second, polls.unwrap_or(1 + turn % 6)).await;
            for ((place, (record, stored)), answer) in places.into_iter().zip(records).zip(answers)
            {
                let version = answered("a replacement that overlaps another one", answer)?;
                self.drew(place, version, "among writes that overlap, a replacement")?;
                self.set(place, Some(StoredRecord::new(record, version, stored.last_used)));
            }
        }
        Ok(())
    }

    /// Removes the record that has the latest version. Touches and removals follow, which draw none, so that
    /// the store may forget the latest version unless it saves it.
    async fn lose_latest(&mut self, probe: Probe<'_>, first: u32) -> Verdict {
        let mut fillers = Vec::new();
        for n in first..first + FILLERS {
            fillers.push((nth(n), probe.insert(&labelled(n, "a filler")?).await?));
        }
        if self.stored(IDS - 1).is_none() {
            self.insert(probe, IDS - 1, "among many writes").await?;
        }
        self.replace(probe, IDS - 1, false).await?;
        self.remove(probe, IDS - 1).await?;
        for turn in 0..TOUCHES {
            self.touch(probe, 1 + turn % 3).await?;
        }
        for (id, version) in fillers {
            probe.remove(id, version).await?;
        }
        Ok(())
    }

    /// Reads the versions after the store was opened again, when they may be new ones.
    async fn renew(&mut self, probe: Probe<'_>) -> Verdict {
        for place in 0..IDS {
            let Some(mut stored) = self.stored(place) else { continue };
            let found = probe.stored(id(place), "after many writes and reopening").await?;
            if found.version != stored.version {
                self.drew(place, found.version, "after many writes and reopening, find")?;
                stored.version = found.version;
                self.set(place, Some(stored));
            }
        }
        Ok(())
    }

    /// Checks that this handle shows every record, and no other.
    async fn is_seen(&self, probe: Probe<'_>, when: &str) -> Verdict {
        for (place, row) in self.rows.iter().enumerate() {
            match &row.stored {
                None => probe.lacks_single(id(place), when).await?,
                Some(expected) => {
                    let found = probe.stored(id(place), when).await?;
                    same_stored(expected, &found, &format!("{when}, find answered with"))?;
                }
            }
        }
        let expected: Vec<&StoredRecord> =
            self.rows.iter().filter_map(|row| row.stored.as_ref()).collect();
        let listed = probe.scan(&every_record(), now()).await?;
        let ids = expected.iter().map(|stored| stored.record.id()).collect();
        let what = format!("{when}, a list");
        same_ids(&ids, listed.iter().map(|stored| stored.record.id()), &what)?;
        for (expected, listed) in expected.into_iter().zip(&listed) {
            same_stored(expected, listed, &format!("{when}, list showed"))?;
        }
        Ok(())
    }
}
