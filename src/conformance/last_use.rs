//! Checks of last use, for stores that track it and for those that do not.

use std::collections::BTreeSet;

use super::polling::{Boxed, join};
use super::probe::{
    Probe, Refusal, every_record, everything, refused, same, same_ids, tracked, untouched,
};
use super::samples::{DAY, NOW, Sample, at, labelled, now, nth};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{LastUsed, ListRequest, Order, RecordRef, States};
use crate::token::TokenId;

pub(super) async fn last_use_is_reported(probe: Probe<'_>) -> Verdict {
    let version = probe.insert(&labelled(0, "touched")?).await?;
    probe.insert(&labelled(1, "never touched")?).await?;
    reports_last_use(probe, nth(0), untouched(probe.store), "before a touch").await?;
    let used = NOW + 123_457;
    probe.touch(&[(nth(0), at(used))]).await?;
    let expected =
        if probe.store.tracks_last_used() { LastUsed::At(at(used)) } else { LastUsed::NotTracked };
    reports_last_use(probe, nth(0), expected, "after a touch").await?;
    reports_last_use(probe, nth(1), untouched(probe.store), "after a touch of another record")
        .await?;
    probe.replace(&labelled(0, "replaced")?, version).await?;
    reports_last_use(probe, nth(0), expected, "after a touch and a replacement").await
}

/// Checks that `find`, `list` and `find_now` all report this last use.
async fn reports_last_use(
    probe: Probe<'_>,
    id: TokenId,
    expected: LastUsed,
    when: &str,
) -> Verdict {
    let stored = probe.stored(id, when).await?;
    same(&expected, &stored.last_used, &format!("{when}, find answered with the last use"))?;
    let listed = probe.scan(&every_record(), now()).await?;
    for stored in listed.iter().filter(|stored| stored.record.id() == id) {
        same(&expected, &stored.last_used, &format!("{when}, list showed the last use"))?;
    }
    let mut lent = None;
    probe.store.find_now(id, &mut |found: Option<RecordRef<'_>>| {
        lent = found.map(|found| found.last_used());
    });
    match lent {
        Some(lent) => same(&expected, &lent, &format!("{when}, find_now lent the last use")),
        None => Ok(()),
    }
}

async fn last_used(probe: Probe<'_>, id: TokenId) -> Result<LastUsed, NotKept> {
    Ok(probe.stored(id, "after a touch").await?.last_used)
}

pub(super) async fn latest_touch_wins(probe: Probe<'_>) -> Verdict {
    probe.insert_all(&[labelled(0, "zero")?, labelled(1, "one")?, labelled(2, "two")?]).await?;
    if !probe.store.tracks_last_used() {
        probe.touch(&[(nth(0), now())]).await?;
        let what = "the store says that it does not track last use, and find answered with";
        same(&LastUsed::NotTracked, &last_used(probe, nth(0)).await?, what)?;
    }
    tracked(probe)?;
    let mut latest = i64::MIN;
    for offset in [0, -1, 1, -DAY, 2, 2, 1, 1_000_001, 1_000_000, 999, 40 * DAY, 0] {
        let used = NOW + offset;
        latest = latest.max(used);
        probe.touch(&[(nth(0), at(used))]).await?;
        let what = format!("after a touch with {:?}, find answered with the last use", at(used));
        same(&LastUsed::At(at(latest)), &last_used(probe, nth(0)).await?, &what)?;
    }
    // A float of seconds loses microseconds in these times.
    for used in [2_177_452_800_000_003, 32_503_680_000_123_457, 253_402_300_799_999_999] {
        probe.touch(&[(nth(0), at(used))]).await?;
        let what = format!("after a touch with {:?}, find answered with the last use", at(used));
        same(&LastUsed::At(at(used)), &last_used(probe, nth(0)).await?, &what)?;
    }
    // One batch may contain an id several times, in any order.
    let batch = [3, 9, 1, 7].map(|offset| (nth(1), at(NOW + offset)));
    probe.touch(&batch).await?;
    let what = "after a batch that names an id four times, find answered with the last use";
    same(&LastUsed::At(at(NOW + 9)), &last_used(probe, nth(1)).await?, what)?;
    probe.touch(&[]).await?;

    let batches: Vec<_> = (0..8).map(|n| [(nth(2), at(NOW + n * 5 % 8))]).collect();
    let touches = batches.iter().map(|batch| -> Boxed<'_, _> { Box::pin(probe.touch(batch)) });
    join(touches.collect()).await.into_iter().collect::<Verdict>()?;
    let what = "after concurrent touches, find answered with the last use";
    same(&LastUsed::At(at(NOW + 7)), &last_used(probe, nth(2)).await?, what)
}

pub(super) async fn touch_creates_nothing(probe: Probe<'_>) -> Verdict {
    probe.insert(&labelled(1, "there")?).await?;
    probe.touch(&[(nth(0), now()), (nth(1), now()), (nth(2), now())]).await?;
    for missing in [nth(0), nth(2)] {
        probe.lacks(missing, "after a touch of an id without a record").await?;
        let mut lent = false;
        probe.store.find_now(missing, &mut |found: Option<RecordRef<'_>>| lent = found.is_some());
        ensure!(!lent, "after a touch of an id without a record, find_now lent one");
    }
    if probe.store.tracks_last_used() {
        let what = "in a batch with ids that have no record, one that has: it shows the last use";
        same(&LastUsed::At(now()), &last_used(probe, nth(1)).await?, what)?;
    }
    // A touch from before the insert must not have an effect on the new record either.
    probe.insert(&labelled(0, "inserted after a touch")?).await?;
    let stored = probe.stored(nth(0), "after an insert").await?;
    same(
        &untouched(probe.store),
        &stored.last_used,
        "a record touched before its insert shows the last use",
    )
}

pub(super) async fn touch_does_not_change_record(probe: Probe<'_>) -> Verdict {
    for (what, record) in super::samples::varied_records()? {
        let version = probe.insert(&record).await?;
        // If the insert has changed the record, that is not a fault of the touch.
        let record = probe.stored(record.id(), "before a touch").await?.record;
        probe.touch(&[(record.id(), now())]).await?;
        probe.touch(&[(record.id(), at(NOW + DAY))]).await?;
        probe.holds(&record, version, &format!("after touches of {what}")).await?;
        let stored = probe.stored(record.id(), "after a touch").await?;
        let used = match untouched(probe.store) {
            LastUsed::NotTracked => LastUsed::NotTracked,
            _ => LastUsed::At(at(NOW + DAY)),
        };
        same(&used, &stored.last_used, &format!("after touches of {what}, it shows the last use"))?;
        // A caller that read the record before the touch can still replace it.
        probe.replace(&record, version).await?;
    }
    Ok(())
}

pub(super) async fn unused_since_is_exact(probe: Probe<'_>) -> Verdict {
    let mut records: Vec<(Record, LastUsed)> = Vec::new();
    for n in 0..12 {
        let created_at = NOW - 10 * DAY + i64::from(n / 4) * 4 * DAY;
        let record = Sample { created_at, ..Sample::nth(n) }.record()?;
        probe.insert(&record).await?;
        let used = match n % 4 {
            0 => None,
            1 => Some(NOW - 3 * DAY - 1),
            2 => Some(NOW - 3 * DAY),
            _ => Some(NOW - 3 * DAY + 1),
        };
        if let Some(used) = used {
            probe.touch(&[(record.id(), at(used))]).await?;
        }
        records.push((record, used.map_or(LastUsed::Never, |used| LastUsed::At(at(used)))));
    }
    for since in [-10 * DAY, -6 * DAY, -3 * DAY - 1, -3 * DAY, -3 * DAY + 1, -DAY, 0] {
        let since = at(NOW + since);
        for direction in [Order::OldestFirst, Order::NewestFirst] {
            let all = everything().unused_since(since);
            let live = all.clone().owner("acme").states(States::LIVE);
            for (filter, limit) in [(all, 50), (live, 2)] {
                let query = ListRequest::from(filter).order(direction).limit(limit);
                let what = format!("a list of what was unused since {since:?}");
                if !probe.store.tracks_last_used() {
                    let answer = probe.store.list(&query, now()).await;
                    let what = format!("on a store that does not track last use, {what}");
                    refused(&what, answer, Refusal::Unsupported)?;
                    continue;
                }
                let expected: BTreeSet<TokenId> = records
                    .iter()
                    .filter(|(record, used)| query.filter.matches(record, *used, now()))
                    .map(|(record, _)| record.id())
                    .collect();
                let seen = probe.scan(&query, now()).await?;
                same_ids(&expected, seen.iter().map(|stored| stored.record.id()), &what)?;
            }
        }
    }
    if !probe.store.tracks_last_used() {
        let stored = probe.stored(nth(1), "after a touch").await?;
        if stored.last_used != LastUsed::NotTracked {
            return broken("a store that does not track last use reports one");
        }
    }
    Ok(())
}
