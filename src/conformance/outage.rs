//! Checks of a store that was unavailable and is available again.

use std::time::Duration;

use super::changes::{MAX_DELAY, open, reports};
use super::dropped::MANY;
use super::failures::{Known, UNABLE, are_true, attempts};
use super::in_time::in_time;
use super::lab::Lab;
use super::other_handle::{Further, OtherHandle};
use super::polling::{Boxed, join, within};
use super::probe::{Probe, answered, with_sources};
use super::samples::{labelled, now, nth};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::store::{Change, ChangeStream, StoreError, StoredRecord};

pub(super) async fn outages_end(lab: &mut dyn Lab) -> Verdict {
    let store = lab.store()?;
    let probe = Probe { store: &*store };
    let known = Known::insert(probe).await?;
    let further = Further::prepare(probe, 0).await?;
    let feed = answered("opening the change feed", probe.store.changes().await)?;
    if !lab.make_unavailable().await {
        return Err(NotKept::NotChecked(UNABLE));
    }
    // More failures than a pool has connections.
    let failing = attempts(probe, &known, MANY).await?;
    if !lab.make_available().await {
        return Err(NotKept::NotChecked("the factory cannot end an outage (`make_available`)"));
    }
    in_time(answers(probe), "after an outage, find").await??;
    ensure!(known.is_there(probe).await, "after an outage, find did not have the record of before");
    are_true(probe, &failing.attempts, "after an outage").await?;
    let other = OtherHandle::open(lab).await?;
    if let Some(second) = other.second() {
        in_time(answers(second), "after an outage, find through another handle").await??;
        are_true(second, &failing.attempts, "after an outage, through another handle").await?;
    }
    further.write(probe, &other, 0, "after an outage").await?;
    let record = labelled(5_000, "inserted after an outage")?;
    let calls = async {
        let version = probe.insert(&record).await?;
        probe.found(&record, version, "after an outage").await?;
        let version = probe.replace(&record, version).await?;
        probe.touch(&[(record.id(), now())]).await?;
        for n in 5_001..5_001 + MANY {
            probe.insert(&labelled(n, "inserted after an outage")?).await?;
        }
        probe.remove(record.id(), version).await
    };
    in_time(calls, "calls after an outage").await??;
    if let Some(feed) = feed {
        feed_ends_or_reports(probe, feed).await?;
    }
    without_calls(lab, probe).await?;
    if let Some(feed) = answered("opening the change feed", probe.store.changes().await)? {
        polled_in_outage(lab, probe, other.second().unwrap_or(probe), feed).await?;
    }
    if let Some(second) = other.second() {
        in_time(answers(second), "after an outage, find through another handle").await??;
    }
    other.finish(lab, store, "after an outage").await
}

/// Checks an outage in which no call is made, so that every connection is first used after it.
async fn without_calls(lab: &mut dyn Lab, probe: Probe<'_>) -> Verdict {
    // As many connections as calls at once need.
    for found in at_once(probe).await {
        answered("find", found)?;
    }
    lab.make_unavailable().await;
    lab.make_available().await;
    answers(probe).await
}

/// Polls a feed in an outage, and checks that it fails or reports the first write after it.
async fn polled_in_outage(
    lab: &mut dyn Lab,
    probe: Probe<'_>,
    writer: Probe<'_>,
    mut feed: Box<dyn ChangeStream>,
) -> Verdict {
    let version = probe.insert(&labelled(6_001, "inserted before an outage")?).await?;
    lab.make_unavailable().await;
    let in_outage = within(Duration::from_millis(50), feed.next()).await;
    lab.make_available().await;
    if matches!(in_outage, Some(Err(_))) {
        return Ok(());
    }
    for probe in [probe, writer] {
        answers(probe).await?;
    }
    writer.replace(&labelled(6_001, "replaced after an outage")?, version).await?;
    for _ in 0..4_000 {
        match within(MAX_DELAY, feed.next()).await {
            Some(Ok(Change::Record(id))) if id != nth(6_001) => {}
            Some(_) => return Ok(()),
            None => break,
        }
    }
    broken(
        "after an outage in which the change feed was polled, it neither failed nor reported a change",
    )
}

async fn feed_ends_or_reports(probe: Probe<'_>, mut feed: Box<dyn ChangeStream>) -> Verdict {
    // An error is right, because the caller then opens another feed.
    match within(MAX_DELAY, feed.next()).await {
        Some(_) => {}
        None => {
            return broken("after an outage, the change feed neither failed nor reported a change");
        }
    }
    let record = labelled(6_000, "inserted for the new feed")?;
    let version = probe.insert(&record).await?;
    let mut another = open(probe).await?;
    probe.replace(&labelled(6_000, "replaced for the new feed")?, version).await?;
    reports(&mut *another, nth(6_000), "a replacement after an outage").await
}

/// Waits until the store answers. Each connection that broke may fail first, because a pool can lend it before it has
/// noticed that. So calls at the same time, which use all connections, must succeed again and again.
pub(super) async fn answers(probe: Probe<'_>) -> Verdict {
    const ENOUGH: u32 = 40;
    let mut last = None;
    let mut succeeded = 0;
    for _ in 0..4 * MANY {
        for found in at_once(probe).await {
            match found {
                Ok(_) => succeeded += 1,
                Err(error) => (last, succeeded) = (Some(error), 0),
            }
        }
        if succeeded >= ENOUGH {
            return Ok(());
        }
        if succeeded == 0 {
            let _ = within(Duration::from_millis(20), std::future::pending::<()>()).await;
        }
    }
    let last = last.as_ref().map(with_sources).unwrap_or_default();
    broken(format!("after an outage, find still fails after many calls, at last with: {last}"))
}

/// Makes look-ups at the same time.
async fn at_once(probe: Probe<'_>) -> Vec<Result<Option<StoredRecord>, StoreError>> {
    const AT_ONCE: usize = 16;
    join((0..AT_ONCE).map(|_| -> Boxed<'_, _> { Box::pin(probe.store.find(nth(0))) }).collect())
        .await
}
