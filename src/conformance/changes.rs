//! Checks of the change feed.

use std::time::Duration;

use super::polling::{join, poll_and_drop, within};
use super::probe::{Probe, answered};
use super::samples::{labelled, nth, revoked};
use super::verdict::{NotKept, Verdict, broken};
use crate::record::Record;
use crate::store::{Change, ChangeStream};

/// The maximum delay of a change in the feed. It is far above a useful value and only bounds the
/// duration of the test.
const MAX_DELAY: Duration = Duration::from_secs(5);

pub(super) async fn changes_are_reported(probe: Probe<'_>) -> Verdict {
    let stream = probe.store.changes().await;
    let Some(mut stream) = answered("opening the change feed", stream)? else {
        return Err(NotKept::NotChecked("the store has no change feed"));
    };
    let record = labelled(0, "inserted")?;
    // Dropping a waiting future must not lose a change.
    poll_and_drop(stream.next(), 1).await;
    let version = is_reported(probe, &mut *stream, "an insert", Some(&record), async {
        probe.insert(&record).await
    })
    .await?;
    let replaced = revoked(&record, None, None);
    poll_and_drop(stream.next(), 1).await;
    let version = is_reported(probe, &mut *stream, "a replacement", Some(&replaced), async {
        probe.replace(&replaced, version).await
    })
    .await?;
    is_reported(probe, &mut *stream, "a removal", None, async {
        probe.remove(nth(0), version).await
    })
    .await?;
    // Changes that happen while no future waits are reported later, however many they are.
    let mut waiting = Vec::new();
    for n in 1..40 {
        probe.insert(&labelled(n, "inserted while no future waits")?).await?;
        waiting.push(nth(n));
    }
    while !waiting.is_empty() {
        match next(&mut *stream, "inserts while no future waited").await? {
            Change::Record(id) => waiting.retain(|waiting| *waiting != id),
            Change::Missed => waiting.clear(),
        }
    }
    Ok(())
}

async fn next(stream: &mut dyn ChangeStream, what: &str) -> Result<Change, NotKept> {
    match within(MAX_DELAY, stream.next()).await {
        Some(Ok(change)) => Ok(change),
        Some(Err(error)) => broken(format!("the change feed failed: {error}")),
        None => broken(format!("the change feed did not report {what} within {MAX_DELAY:?}")),
    }
}

/// Makes a change to the first record. Checks that the feed reports it, and that it can be read by
/// then.
async fn is_reported<T: Send>(
    probe: Probe<'_>,
    stream: &mut dyn ChangeStream,
    what: &str,
    expected: Option<&Record>,
    change: impl Future<Output = Result<T, NotKept>> + Send,
) -> Result<T, NotKept> {
    let mut changed = None;
    let listening = async {
        // The feed may repeat earlier changes.
        for _ in 0..100 {
            let change = next(stream, what).await?;
            let found = probe.find(nth(0)).await?;
            if found.as_ref().map(|stored| &stored.record) == expected {
                return Ok(());
            }
            if change == Change::Missed {
                return broken(format!("the change feed reported {what} before it could be read"));
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
