//! Checks that a version never returns: on one handle, across handles, and after reopening.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::probe::{Probe, Refusal, every_record, refused, same};
use super::samples::{labelled, now, nth};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::Version;

/// The maximum duration of counting to the end of a version of 16 bits. It is enough for a store that
/// replaces a record within 0.37 ms.
const MAX_COUNTING: Duration = Duration::from_secs(25);

/// The versions that one id had.
pub(super) struct Versions {
    n: u32,
    had: BTreeSet<Version>,
    pub(super) current: Version,
}

impl Versions {
    pub(super) async fn insert(probe: Probe<'_>, n: u32) -> Result<Self, NotKept> {
        let current = probe.insert(&labelled(n, "number 0")?).await?;
        Ok(Self { n, had: BTreeSet::from([current]), current })
    }

    fn record(&self) -> Result<Record, NotKept> {
        labelled(self.n, &format!("number {}", self.had.len()))
    }

    fn got(&mut self, version: Version, what: &str) -> Verdict {
        self.current = version;
        ensure!(
            self.had.insert(version),
            "{what} returned {version:?}, which the record already had"
        );
        Ok(())
    }

    pub(super) async fn replace(&mut self, probe: Probe<'_>, when: &str) -> Verdict {
        let version = probe.replace(&self.record()?, self.current).await?;
        self.got(version, &format!("{when}, replacement {} of a record", self.had.len()))
    }

    /// Inserts a record under the id, which must be free.
    pub(super) async fn insert_again(&mut self, probe: Probe<'_>, when: &str) -> Verdict {
        let version = probe.insert(&self.record()?).await?;
        self.got(version, &format!("{when}, an insert under a removed id"))
    }

    pub(super) async fn remove(&self, probe: Probe<'_>) -> Verdict {
        probe.remove(nth(self.n), self.current).await
    }

    /// Checks that some earlier versions are refused, among them the first and the last one.
    pub(super) async fn stale_are_refused(&self, probe: Probe<'_>, when: &str) -> Verdict {
        let stale: Vec<Version> =
            self.had.iter().copied().filter(|version| *version != self.current).collect();
        let (step, last) = (stale.len() / 12 + 1, stale.len().saturating_sub(2));
        for (place, version) in stale.into_iter().enumerate() {
            if place % step != 0 && place < last {
                continue;
            }
            let what = format!("{when}, a replacement with an earlier version of the record");
            let slow = labelled(self.n, "the slow writer's")?;
            refused(&what, probe.store.replace(&slow, version).await, Refusal::Conflict)?;
            let what = format!("{when}, a removal with an earlier version of the record");
            refused(&what, probe.store.remove(nth(self.n), version).await, Refusal::Conflict)?;
        }
        Ok(())
    }

    /// Reads the current version after the store was opened again, when it may be another one.
    pub(super) async fn reopened(&mut self, probe: Probe<'_>) -> Verdict {
        let when = "after the store was closed and opened again";
        let seen = probe.stored(nth(self.n), when).await?.version;
        if seen != self.current {
            self.got(seen, &format!("{when}, find"))?;
        }
        Ok(())
    }
}

pub(super) async fn versions_are_new(probe: Probe<'_>) -> Verdict {
    let mut versions = Versions::insert(probe, 0).await?;
    for round in 1..=20 {
        versions.replace(probe, "on one handle").await?;
        let found = probe.stored(nth(0), "after a replacement").await?;
        same(&versions.current, &found.version, "after a replacement find answered with")?;
        for listed in probe.scan(&every_record(), now()).await? {
            same(&versions.current, &listed.version, "after a replacement list showed")?;
        }
        // A replacement with equal content also gets a new version.
        if round % 5 == 0 {
            let again = probe.replace(&found.record, versions.current).await?;
            versions.got(again, "a replacement with an equal record")?;
        }
        // So does a new record under the id, because an old version must not match it.
        if round % 4 == 0 {
            versions.remove(probe).await?;
            versions.insert_again(probe, "after a removal").await?;
        }
    }
    versions.stale_are_refused(probe, "on one handle").await?;
    // A store that compares a part of the version takes a neighbour for the current one.
    for bit in 0..u64::BITS {
        let near = Version(versions.current.0 ^ (1 << bit));
        let what = format!("a replacement with a version that differs in bit {bit}");
        let answer = probe.store.replace(&versions.record()?, near).await;
        refused(&what, answer, Refusal::Conflict)?;
    }
    // Enough for versions of 8 bits, and with high probability for random ones of 16 bits.
    let mut fastest = Duration::MAX;
    for _ in 0..12 {
        let started = Instant::now();
        for _ in 0..50 {
            versions.replace(probe, "after many others").await?;
        }
        fastest = fastest.min(started.elapsed() / 50);
    }
    // A counter of 16 bits is found only by counting to its end. A slow store need not count if a version
    // has more bits, for example because it is random.
    let may_be_short = versions.had.iter().all(|version| version.0 <= u64::from(u16::MAX));
    if fastest < Duration::from_micros(80) || may_be_short {
        let started = Instant::now();
        let end = usize::from(u16::MAX) + 600;
        while versions.had.len() <= end && started.elapsed() < MAX_COUNTING {
            versions.replace(probe, "after many others").await?;
        }
    }
    let stored = probe.stored(nth(0), "after many replacements").await?;
    same(&versions.current, &stored.version, "after many replacements find answered with")?;
    let newest = labelled(0, &format!("number {}", versions.had.len() - 1))?;
    ensure!(
        stored.record == newest,
        "after many replacements find answered with an earlier record"
    );
    versions.stale_are_refused(probe, "after many replacements").await
}

/// Replaces, removes and inserts a record through three handles, the last of which was opened later.
pub(super) async fn across_handles(handles: [Probe<'_>; 3]) -> Verdict {
    let when = "through several handles";
    let mut versions = Versions::insert(handles[0], 7_000).await?;
    // Equal numbers of writes, different ones, and several in a row.
    let turns = [0, 1, 0, 1, 1, 1, 0, 2, 2, 1, 0, 0, 0, 0, 2, 1, 2, 0, 1, 2];
    for round in 0..3 {
        for turn in turns {
            versions.replace(handles[turn], when).await?;
        }
        for handle in handles {
            versions.stale_are_refused(handle, when).await?;
        }
        versions.remove(handles[round]).await?;
        versions.insert_again(handles[(round + 1) % 3], when).await?;
        let stored = handles[(round + 2) % 3].stored(nth(7_000), when).await?;
        same(&versions.current, &stored.version, "through another handle, find answered with")?;
    }
    // Each handle inserts under the id, so that no handle may start to count again.
    for turn in turns {
        versions.remove(handles[(turn + 1) % 3]).await?;
        versions.insert_again(handles[turn], when).await?;
    }
    // A handle that read a version must not accept it after another handle has written.
    for (n, [reader, writer]) in (7_100..).zip([[handles[0], handles[2]], [handles[2], handles[0]]])
    {
        let mut versions = Versions::insert(writer, n).await?;
        for round in 0..4 {
            let stale = reader.stored(nth(n), when).await?.version;
            versions.replace(writer, when).await?;
            let answer = if round % 2 == 0 {
                reader.store.replace(&versions.record()?, stale).await.map(|_| ())
            } else {
                reader.store.remove(nth(n), stale).await
            };
            let what = "a write with the version that this handle read before another handle wrote";
            refused(what, answer, Refusal::Conflict)?;
        }
        let stored = reader.stored(nth(n), when).await?;
        if stored.version != versions.current {
            return broken("through another handle, find answered with an earlier version");
        }
    }
    Ok(())
}
