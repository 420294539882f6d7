//! Checks with a second handle on the storage, and after reopening it.

use super::probe::{Probe, Refusal, every_record, refused, same_stored};
use super::races::compete;
use super::samples::{NOW, at, labelled, newer, now, nth, revoked, varied_records};
use super::verdict::{NotKept, Verdict, ensure};
use crate::record::Record;
use crate::store::{RecordRef, StoredRecord, Version};
use crate::token::TokenId;

pub(super) async fn handles_agree(first: Probe<'_>, second: Probe<'_>) -> Verdict {
    for (n, [writer, reader]) in (100..).zip([[first, second], [second, first]]) {
        // Read before the insert, so that a stale cached answer is detected later.
        ensure!(reader.find(nth(n)).await?.is_none(), "a fresh store has a record");
        let record = labelled(n, "inserted through the other handle")?;
        let version = writer.insert(&record).await?;
        reader.holds(&record, version, "after an insert through the other handle").await?;
        refused(
            "an insert under an id taken through the other handle",
            reader.store.insert(&record).await,
            Refusal::Exists,
        )?;
        let replaced = labelled(n, "replaced through the other handle")?;
        let current = writer.replace(&replaced, version).await?;
        let when = "after a replacement through the other handle";
        reader.holds(&replaced, current, when).await?;
        let stale = reader.store.replace(&record, version).await;
        refused(
            "a replacement with a version stale by the other handle",
            stale,
            Refusal::Conflict,
        )?;
        lent_is(reader, nth(n), Some(&replaced), when)?;
        writer.remove(nth(n), current).await?;
        reader.lacks(nth(n), "after a removal through the other handle").await?;
        lent_is(reader, nth(n), None, "after a removal through the other handle")?;
    }
    compete([first, second]).await
}

fn lent_is(probe: Probe<'_>, id: TokenId, expected: Option<&Record>, when: &str) -> Verdict {
    let mut right = true;
    probe.store.find_now(id, &mut |found: Option<RecordRef<'_>>| {
        right = found.map(|found| found.record) == expected;
    });
    ensure!(right, "{when}, find_now still lent what was there before");
    Ok(())
}

/// The content of a store before it was closed.
pub(super) struct Before {
    there: Vec<StoredRecord>,
    removed: TokenId,
    replaced: (Record, Version),
}

pub(super) async fn before_reopening(probe: Probe<'_>) -> Result<Before, NotKept> {
    for (n, (_, record)) in (0..).zip(varied_records()?) {
        let version = probe.insert(&record).await?;
        if n % 3 == 1 {
            probe.replace(&revoked(&record, Some("ops"), Some("leaked")), version).await?;
        }
        if n % 2 == 1 {
            probe.touch(&[(record.id(), at(NOW + n))]).await?;
        }
    }
    let removed = labelled(0, "removed")?;
    let version = probe.insert(&removed).await?;
    probe.remove(removed.id(), version).await?;
    let first = labelled(1, "replaced")?;
    let stale = probe.insert(&first).await?;
    probe.replace(&labelled(1, "the replacement")?, stale).await?;
    let newer = newer(&labelled(2, "newer")?)?;
    probe.insert(&newer).await?;
    let mut there = Vec::new();
    for stored in probe.scan(&every_record(), now()).await? {
        there.push(probe.stored(stored.record.id(), "before closing").await?);
    }
    Ok(Before { there, removed: removed.id(), replaced: (first, stale) })
}

pub(super) async fn after_reopening(probe: Probe<'_>, before: &Before) -> Verdict {
    for stored in &before.there {
        let id = stored.record.id();
        let after = probe.stored(id, "after the store was closed and opened again").await?;
        // A store may assign new versions at opening. A replaced version must stay invalid, which
        // is checked below.
        let after = StoredRecord { version: stored.version, ..after };
        same_stored(
            stored,
            &after,
            "after the store was closed and opened again, find answered with",
        )?;
    }
    let listed = probe.scan(&every_record(), now()).await?.len();
    let expected = before.there.len();
    ensure!(
        listed == expected,
        "list showed {listed} records after reopening and {expected} before"
    );
    probe.lacks(before.removed, "after a removal and reopening").await?;
    let (record, stale) = &before.replaced;
    let answer = probe.store.replace(record, *stale).await;
    refused(
        "after reopening, a replacement with a version from before another one",
        answer,
        Refusal::Conflict,
    )?;
    // The store must accept writes. The next reopening checks this one.
    let current = probe.stored(record.id(), "after reopening").await?;
    let version = probe.replace(&current.record, current.version).await?;
    probe.holds(&current.record, version, "after reopening and a replacement").await
}
