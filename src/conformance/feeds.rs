//! Checks of the change feed with a second handle on the storage.

use super::changes::{many, one_of_each, open, reports};
use super::probe::Probe;
use super::samples::{labelled, nth};
use super::verdict::Verdict;

pub(super) async fn changes_reach_every_handle(first: Probe<'_>, second: Probe<'_>) -> Verdict {
    for (n, [writer, reader]) in (0..).zip([[first, second], [second, first]]) {
        let n = n * 10_000;
        let mut feed = open(reader).await?;
        one_of_each(writer, reader, &mut *feed, n).await?;
        // Changes of both handles, some of the same record.
        let mut own = open(writer).await?;
        let record = labelled(n + 1, "inserted")?;
        let mut version = writer.insert(&record).await?;
        for turn in 0..6 {
            for feed in [&mut feed, &mut own] {
                reports(&mut **feed, nth(n + 1), "a change by one of two handles").await?;
            }
            let handle = [reader, writer][turn % 2];
            version = handle.replace(&labelled(n + 1, &format!("change {turn}"))?, version).await?;
        }
        drop(own);
        many(writer, &mut *feed, n + 10, 60).await?;
    }
    Ok(())
}
