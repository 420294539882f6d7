//! Checks of the change feed with a second handle on the storage.

use super::changes::{
    Existing, dropped_reads_lose_nothing, many, one_of_each, open, overlapping_writes_are_reported,
    reports,
};
use super::probe::Probe;
use super::samples::nth;
use super::verdict::Verdict;

pub(super) async fn changes_reach_every_handle(first: Probe<'_>, second: Probe<'_>) -> Verdict {
    for (n, [writer, reader]) in (0..).zip([[first, second], [second, first]]) {
        let n = n * 10_000;
        change_before_others_is_reported(writer, reader, n + 100).await?;
        let mut existing = Existing::insert(writer, n..n + 90).await?;
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
        let (mut existing, first) =
            (Existing::insert(writer, n + 1_000..n + 1_100).await?, n + 1_000);
        overlapping_writes_are_reported([writer, reader], &mut *feed, &mut existing, first).await?;
    }
    Ok(())
}

/// Changes one record and then a few others many times, while no future waits. A compaction among the later
/// changes must not hide the first one.
async fn change_before_others_is_reported(
    writer: Probe<'_>,
    reader: Probe<'_>,
    first: u32,
) -> Verdict {
    let mut existing = Existing::insert(writer, first..first + 9).await?;
    let mut feed = open(reader).await?;
    existing.replace(writer, first, "replaced before many others").await?;
    for turn in 0..300 {
        existing.replace(writer, first + 1 + turn % 8, &format!("change {turn}")).await?;
    }
    reports(&mut *feed, nth(first), "a replacement that many others followed").await
}
