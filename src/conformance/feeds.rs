//! Checks of the change feed with a second handle on the storage.

use std::ops::Range;

use super::changes::{Existing, dropped_reads_lose_nothing, many, one_of_each, open, reports};
use super::probe::Probe;
use super::samples::nth;
use super::verdict::Verdict;
use crate::store::ChangeStream;

pub(super) async fn changes_reach_every_handle(first: Probe<'_>, second: Probe<'_>) -> Verdict {
    for (n, [writer, reader]) in (0..).zip([[first, second], [second, first]]) {
        let n = n * 10_000;
        let mut existing = Existing::insert(writer, n..n + 400).await?;
        let mut feed = open(reader).await?;
        one_of_each(writer, reader, &mut *feed, &mut existing, n).await?;
        // Changes of both handles, some of the same record.
        let mut own = open(writer).await?;
        for turn in 0..6 {
            let handle = [reader, writer][turn % 2];
            existing.replace(handle, n + 1, &format!("change {turn}")).await?;
            for feed in [&mut feed, &mut own] {
                reports(&mut **feed, nth(n + 1), "a change by one of two handles").await?;
            }
        }
        drop(own);
        many(writer, &mut *feed, &mut existing, n + 10..n + 70).await?;
        dropped_reads_lose_nothing(writer, &mut *feed, &mut existing, n + 70).await?;
        change_before_others_is_reported(writer, &mut *feed, &mut existing, n + 100..n + 400)
            .await?;
    }
    Ok(())
}

/// Changes one record and then many others while no future waits. A compaction among the later changes must not
/// hide the first one.
async fn change_before_others_is_reported(
    writer: Probe<'_>,
    feed: &mut dyn ChangeStream,
    existing: &mut Existing,
    numbers: Range<u32>,
) -> Verdict {
    let first = numbers.start;
    for n in numbers {
        existing.replace(writer, n, "replaced while no future waits").await?;
    }
    reports(feed, nth(first), "a replacement that many others followed").await
}
