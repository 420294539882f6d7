//! Checks after the store was closed and opened again.

use std::sync::Arc;

use super::lab::Lab;
use super::probe::{Probe, every_record, same, same_stored, untouched};
use super::samples::{NOW, at, labelled, newer, now, nth, revoked, varied_records};
use super::verdict::{NotKept, Verdict, broken, ensure};
use super::versions::Versions;
use crate::store::{LastUsed, StoredRecord, TokenStore};
use crate::token::TokenId;

async fn reopen(lab: &mut dyn Lab) -> Result<Arc<dyn TokenStore>, NotKept> {
    match lab.reopen().await {
        None => Err(NotKept::NotChecked("the factory cannot reopen a store (`reopen`)")),
        Some(Err(error)) => broken(format!("the store does not open again: {error}")),
        Some(Ok(())) => lab.store(),
    }
}

pub(super) async fn survives_reopening(lab: &mut dyn Lab) -> Verdict {
    let mut store = lab.store()?;
    let before = before_reopening(Probe { store: &*store }).await?;
    let (mut kept, mut gone) = versions_before(Probe { store: &*store }).await?;
    // Twice, because the second opening reads the files that the first one has written.
    for _ in 0..2 {
        drop(store);
        store = reopen(lab).await?;
        let probe = Probe { store: &*store };
        // The first write after opening is under the id that had the latest version.
        gone.insert_again(probe, "after reopening").await?;
        kept.reopened(probe).await?;
        for versions in [&mut kept, &mut gone] {
            versions.stale_are_refused(probe, "after reopening").await?;
            for _ in 0..40 {
                versions.replace(probe, "after reopening").await?;
            }
            versions.stale_are_refused(probe, "after reopening").await?;
        }
        gone.remove(probe).await?;
        after_reopening(probe, &before).await?;
    }
    drop(store);
    last_write_survives(lab).await
}

/// Replaces one record often, and removes the one that has the latest version.
async fn versions_before(probe: Probe<'_>) -> Result<(Versions, Versions), NotKept> {
    let mut kept = Versions::insert(probe, 8_000).await?;
    let mut gone = Versions::insert(probe, 8_001).await?;
    for _ in 0..30 {
        kept.replace(probe, "before reopening").await?;
    }
    for _ in 0..30 {
        gone.replace(probe, "before reopening").await?;
    }
    gone.remove(probe).await?;
    Ok((kept, gone))
}

/// Closes the store directly after a write of each kind. A store that writes later, for example with
/// the next call, has lost it.
async fn last_write_survives(lab: &mut dyn Lab) -> Verdict {
    let mut store = lab.store()?;
    let when = "after the store was closed directly after the write and opened again";
    let probe = Probe { store: &*store };
    let touched_at = NOW + 77;
    let inserted = labelled(8_100, "inserted last")?;
    for n in 8_101..=8_104 {
        probe.insert(&labelled(n, "inserted before")?).await?;
    }
    let replacement = labelled(8_102, "replaced last")?;
    let other = labelled(8_104, "touched and replaced last")?;
    for step in 0..5 {
        let probe = Probe { store: &*store };
        match step {
            0 => drop(probe.insert(&inserted).await?),
            1 => {
                let version = probe.stored(nth(8_101), when).await?.version;
                probe.remove(nth(8_101), version).await?;
            }
            2 => {
                let version = probe.stored(nth(8_102), when).await?.version;
                probe.replace(&replacement, version).await?;
            }
            3 => probe.touch(&[(nth(8_103), at(touched_at))]).await?,
            _ => {
                let version = probe.stored(nth(8_104), when).await?.version;
                probe.touch(&[(nth(8_104), at(touched_at))]).await?;
                probe.replace(&other, version).await?;
            }
        }
        drop(store);
        store = reopen(lab).await?;
        let probe = Probe { store: &*store };
        let used = match untouched(probe.store) {
            LastUsed::NotTracked => LastUsed::NotTracked,
            _ => LastUsed::At(at(touched_at)),
        };
        let (written, used) = match step {
            0 => (&inserted, None),
            1 => {
                probe.lacks(nth(8_101), when).await?;
                continue;
            }
            2 => (&replacement, None),
            3 => {
                let stored = probe.stored(nth(8_103), when).await?;
                same(
                    &used,
                    &stored.last_used,
                    &format!("{when}, find answered with the last use"),
                )?;
                continue;
            }
            _ => (&other, Some(used)),
        };
        let stored = probe.stored(written.id(), when).await?;
        ensure!(stored.record == *written, "{when}, find answered with an earlier record");
        if let Some(used) = used {
            same(&used, &stored.last_used, &format!("{when}, find answered with the last use"))?;
        }
        probe.agrees(written.id(), when).await?;
    }
    Ok(())
}

/// The content of a store before it was closed.
struct Before {
    there: Vec<StoredRecord>,
    removed: TokenId,
}

async fn before_reopening(probe: Probe<'_>) -> Result<Before, NotKept> {
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
    let newer = newer(&labelled(2, "newer")?)?;
    probe.insert(&newer).await?;
    let mut there = Vec::new();
    for stored in probe.scan(&every_record(), now()).await? {
        there.push(probe.stored(stored.record.id(), "before closing").await?);
    }
    Ok(Before { there, removed: removed.id() })
}

async fn after_reopening(probe: Probe<'_>, before: &Before) -> Verdict {
    for stored in &before.there {
        let id = stored.record.id();
        let after = probe.stored(id, "after the store was closed and opened again").await?;
        // A store may assign new versions at opening. A replaced version must stay invalid, which
        // is checked with `Versions`.
        let after = StoredRecord { version: stored.version, ..after };
        same_stored(
            stored,
            &after,
            "after the store was closed and opened again, find answered with",
        )?;
    }
    // One more record is there, which is replaced after each opening.
    let listed = probe.scan(&every_record(), now()).await?.len();
    let expected = before.there.len() + 1;
    ensure!(
        listed == expected,
        "list showed {listed} records after reopening and {expected} before"
    );
    probe.lacks(before.removed, "after a removal and reopening").await
}
