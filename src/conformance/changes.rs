//! Checks of the change feed.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::ops::Range;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::polling::{join, poll_and_drop, poll_times, within};
use super::probe::{Probe, answered};
use super::samples::{labelled, nth, revoked};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{Change, ChangeStream, Version};
use crate::token::TokenId;

/// The maximum delay of a change in the feed. It is far above a useful value and only bounds the
/// duration of the test.
pub(super) const MAX_DELAY: Duration = Duration::from_secs(5);

pub(super) async fn open(probe: Probe<'_>) -> Result<Box<dyn ChangeStream>, NotKept> {
    match answered("opening the change feed", probe.store.changes().await)? {
        Some(feed) => Ok(feed),
        None => Err(NotKept::NotChecked("the store has no change feed")),
    }
}

/// Records that exist before the feed is opened, so that each report is one of a later change. An insert
/// need not be reported.
pub(super) struct Existing(BTreeMap<u32, (Record, Version)>);

impl Existing {
    pub(super) async fn insert(
        writer: Probe<'_>,
        numbers: impl IntoIterator<Item = u32>,
    ) -> Result<Self, NotKept> {
        let mut records = BTreeMap::new();
        for n in numbers {
            let record = labelled(n, "inserted before the feed was opened")?;
            let version = writer.insert(&record).await?;
            records.insert(n, (record, version));
        }
        Ok(Self(records))
    }

    /// Replaces a record through this handle, and returns the new one.
    pub(super) async fn replace(
        &mut self,
        writer: Probe<'_>,
        n: u32,
        label: &str,
    ) -> Result<Record, NotKept> {
        let Some((record, version)) = self.0.get_mut(&n) else {
            return broken(format!("the suite has no record {n}"));
        };
        let replaced = labelled(n, label)?;
        *version = writer.replace(&replaced, *version).await?;
        *record = replaced.clone();
        Ok(replaced)
    }

    async fn remove(&mut self, writer: Probe<'_>, n: u32) -> Verdict {
        match self.0.remove(&n) {
            Some((_, version)) => writer.remove(nth(n), version).await,
            None => broken(format!("the suite has no record {n}")),
        }
    }
}

pub(super) async fn changes_are_reported(probe: Probe<'_>) -> Verdict {
    let numbers = [0, 500].into_iter().chain(100..118).chain(300..400).chain(1_000..2_100);
    let mut existing = Existing::insert(probe, numbers).await?;
    let mut feed = open(probe).await?;
    // Dropping a waiting future must not lose a change.
    poll_and_drop(feed.next(), 1).await;
    one_of_each(probe, probe, &mut *feed, &mut existing, 0).await?;
    dropped_reads_lose_nothing(probe, &mut *feed, &mut existing, 100).await?;
    overlapping_writes_are_reported([probe, probe], &mut *feed, &mut existing, 300).await?;
    // Another feed of the same handle takes nothing from the first.
    let mut another = open(probe).await?;
    existing.replace(probe, 500, "reported twice").await?;
    for feed in [&mut feed, &mut another] {
        reports(&mut **feed, nth(500), "a replacement while two feeds are open").await?;
    }
    drop(another);
    // Changes that happen while no future waits are reported later, however many they are.
    many(probe, &mut *feed, &mut existing, 1_000..2_100).await
}

/// Checks that many changes are reported, which happen while no future waits.
pub(super) async fn many(
    writer: Probe<'_>,
    feed: &mut dyn ChangeStream,
    existing: &mut Existing,
    numbers: Range<u32>,
) -> Verdict {
    let mut waiting = BTreeSet::new();
    for n in numbers {
        existing.replace(writer, n, "replaced while no future waits").await?;
        waiting.insert(nth(n));
    }
    while !waiting.is_empty() {
        match next(feed, "replacements while no future waited").await? {
            Change::Record(id) => drop(waiting.remove(&id)),
            Change::Missed => waiting.clear(),
        }
    }
    Ok(())
}

/// Makes one change of each kind through the writer, and checks that the feed reports it when the
/// reader can see it.
pub(super) async fn one_of_each(
    writer: Probe<'_>,
    reader: Probe<'_>,
    feed: &mut dyn ChangeStream,
    existing: &mut Existing,
    n: u32,
) -> Verdict {
    let replaced = labelled(n, "replaced")?;
    is_reported(reader, feed, "a replacement", (n, Some(&replaced)), async {
        existing.replace(writer, n, "replaced").await
    })
    .await?;
    poll_and_drop(feed.next(), 1).await;
    is_reported(reader, feed, "a removal", (n, None), existing.remove(writer, n)).await?;
    let again = labelled(n, "inserted again")?;
    let version = writer.insert(&again).await?;
    let revoked = revoked(&again, None, None);
    let what = "a replacement after an insert under a removed id";
    is_reported(reader, feed, what, (n, Some(&revoked)), writer.replace(&revoked, version)).await?;
    Ok(())
}

pub(super) async fn next(feed: &mut dyn ChangeStream, what: &str) -> Result<Change, NotKept> {
    match within(MAX_DELAY, feed.next()).await {
        Some(Ok(change)) => Ok(change),
        Some(Err(error)) => broken(format!("the change feed failed: {error}")),
        None => broken(format!("the change feed did not report {what} within {MAX_DELAY:?}")),
    }
}

/// Checks that the feed reports a change of this id, perhaps after earlier ones.
pub(super) async fn reports(feed: &mut dyn ChangeStream, id: TokenId, what: &str) -> Verdict {
    // The feed may repeat earlier changes.
    for _ in 0..4_000 {
        match next(feed, what).await? {
            Change::Record(changed) if changed != id => {}
            _ => return Ok(()),
        }
    }
    broken(format!("the change feed did not report {what}, but many other changes"))
}

/// Makes a change to a record. Checks that the feed reports it, and that it can be read by then.
async fn is_reported<T: Send>(
    reader: Probe<'_>,
    feed: &mut dyn ChangeStream,
    what: &str,
    (n, expected): (u32, Option<&Record>),
    change: impl Future<Output = Result<T, NotKept>> + Send,
) -> Result<T, NotKept> {
    let mut changed = None;
    let listening = async {
        // The feed may repeat earlier changes.
        for _ in 0..4_000 {
            let change = next(feed, what).await?;
            let found = reader.find(nth(n)).await?;
            let of_this = change == Change::Missed || change == Change::Record(nth(n));
            if of_this && found.as_ref().map(|stored| &stored.record) == expected {
                return Ok(());
            }
        }
        broken(format!("the change feed reported {what}, and it could not be read"))
    };
    join(vec![
        Box::pin(async {
            changed = Some(change.await?);
            Ok(())
        }),
        Box::pin(listening),
    ])
    .await
    .into_iter()
    .collect::<Verdict>()?;
    match changed {
        Some(changed) => Ok(changed),
        None => broken(format!("{what} gave no answer")),
    }
}

/// Reads the feed while a write of the first handle waits and after later ones of the second handle have ended. A
/// number that a write draws before its commit would be passed then. The records have the numbers from `first` to
/// `first` + 99.
pub(super) async fn overlapping_writes_are_reported(
    [slow, fast]: [Probe<'_>; 2],
    feed: &mut dyn ChangeStream,
    existing: &mut Existing,
    first: u32,
) -> Verdict {
    for polls in 1..24 {
        let n = first + 4 * polls as u32;
        let Some((_, version)) = existing.0.get(&n) else { continue };
        let record = labelled(n, "replaced slowly")?;
        let mut waiting = slow.store.replace(&record, *version);
        if let Some(ready) = poll_times(waiting.as_mut(), polls).await {
            answered("a replacement", ready)?;
            drop(waiting);
            return reports(feed, nth(n), "a replacement").await;
        }
        let mut unreported = BTreeSet::from([nth(n)]);
        // Several ids, because a store may number the writes of each of its shards.
        for other in n + 1..n + 4 {
            let change = existing.replace(fast, other, "replaced meanwhile");
            // A store may hold a lock while the other call waits.
            if within(Duration::from_millis(50), change).await.transpose()?.is_none() {
                break;
            }
            unreported.insert(nth(other));
            // The waiting write may have happened already.
            while unreported.contains(&nth(other)) {
                match next(feed, "a replacement next to one that waits").await? {
                    Change::Record(id) => drop(unreported.remove(&id)),
                    Change::Missed => unreported.clear(),
                }
            }
        }
        answered("a replacement", waiting.await)?;
        if unreported.contains(&nth(n)) {
            reports(feed, nth(n), "a replacement that another one overtook").await?;
        }
    }
    Ok(())
}

/// Drops the future of `next` at each point, also when it is ready and was not polled. The records have the
/// numbers from `first` to `first` + 17.
pub(super) async fn dropped_reads_lose_nothing(
    writer: Probe<'_>,
    feed: &mut dyn ChangeStream,
    existing: &mut Existing,
    first: u32,
) -> Verdict {
    let what = "a replacement during which the future of `next` was dropped";
    for n in first..first + 4 {
        drain(feed).await?;
        let change = existing.replace(writer, n, "replaced while a future waits");
        match dropped_when_ready(feed, change).await? {
            Some(Change::Record(id)) if id != nth(n) => {}
            Some(_) => continue,
            None => {}
        }
        reports(feed, nth(n), what).await?;
    }
    for polls in 1..8 {
        let n = first + 10 + polls as u32;
        drain(feed).await?;
        existing.replace(writer, n, "replaced before a future is dropped").await?;
        let mut waiting = feed.next();
        let ready = within(MAX_DELAY, poll_times(waiting.as_mut(), polls)).await;
        drop(waiting);
        match ready {
            None => return broken(format!("the change feed did not report {what}")),
            Some(Some(Ok(Change::Missed))) => {}
            Some(Some(Ok(Change::Record(id)))) if id == nth(n) => {}
            Some(Some(Err(error))) => return broken(format!("the change feed failed: {error}")),
            Some(_) => reports(feed, nth(n), what).await?,
        }
    }
    Ok(())
}

/// Reads the feed until it waits, so that no signal of an earlier change is left.
async fn drain(feed: &mut dyn ChangeStream) -> Verdict {
    while let Some(change) = within(Duration::from_millis(5), feed.next()).await {
        answered("the change feed", change)?;
    }
    Ok(())
}

/// Remembers that a future was woken, and wakes the task of the suite.
#[derive(Default)]
struct Woken {
    woken: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// Drops the waiting future after the change has woken it, and does not poll it again.
async fn dropped_when_ready<T>(
    feed: &mut dyn ChangeStream,
    change: impl Future<Output = Result<T, NotKept>> + Send,
) -> Result<Option<Change>, NotKept> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut waiting = pin!(feed.next());
    let polled = waiting.as_mut().poll(&mut Context::from_waker(&waker));
    if let Poll::Ready(early) = polled {
        let early = answered("the change feed", early)?;
        change.await?;
        return Ok(Some(early).filter(|early| *early == Change::Missed));
    }
    change.await?;
    let ready = poll_fn(|cx| {
        *woken.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        if woken.woken.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    });
    // A feed that reads the storage at intervals may wake the future later.
    let _ = within(Duration::from_millis(500), ready).await;
    Ok(None)
}

/// Checks that a feed whose storage is gone does not report `Missed` for ever, because the caller would
/// read it in a loop and never open another one.
pub(super) async fn ends(feed: &mut dyn ChangeStream) -> Verdict {
    const MANY: usize = 50;
    let mut missed = 0;
    for _ in 0..4_000 {
        match within(Duration::from_millis(300), feed.next()).await {
            Some(Ok(Change::Missed)) => missed += 1,
            Some(Ok(Change::Record(_))) => {}
            Some(Err(_)) | None => return Ok(()),
        }
        ensure!(
            missed < MANY,
            "the change feed of a store that ended reported `Missed` {MANY} times and not an error"
        );
    }
    broken("the change feed of a store that ended reported changes and not an error")
}
