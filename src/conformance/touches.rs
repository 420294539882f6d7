//! Checks of touches that overlap other writes.

use super::in_time::in_time;
use super::polling::{Boxed, staggered};
use super::probe::{Probe, answered, same, untouched};
use super::samples::{NOW, at, labelled, nth, revoked};
use super::verdict::{Verdict, broken, ensure};
use crate::store::{LastUsed, StoreError, Version};

/// The number of points of waiting at which the second call starts.
const LEADS: usize = 6;

type Call<'s> = Boxed<'s, Result<Option<Version>, StoreError>>;

pub(super) async fn touch_undoes_nothing(probe: Probe<'_>) -> Verdict {
    let mut n = 0;
    // Several times, because the calls of a networked store overlap in any way.
    for lead in (0..LEADS).chain(0..LEADS) {
        for touch_is_first in [true, false] {
            for write in [Write::Insert, Write::Replace, Write::Remove] {
                n += 10;
                overlap(probe, n, lead, touch_is_first, write).await?;
            }
        }
    }
    write_follows_touch(probe).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    Insert,
    Replace,
    Remove,
}

/// Makes a touch and another write that overlap, for the second of three records of the touch.
async fn overlap(
    probe: Probe<'_>,
    n: u32,
    lead: usize,
    touch_is_first: bool,
    write: Write,
) -> Verdict {
    let target = labelled(n + 1, "before")?;
    let mut version = Version(0);
    if write != Write::Insert {
        version = probe.insert(&target).await?;
    }
    for n in [n, n + 2] {
        probe.insert(&labelled(n, "before")?).await?;
    }
    let written = revoked(&target, Some("ops"), Some("leaked"));
    let batch = [(nth(n), at(NOW + 1)), (nth(n + 1), at(NOW + 2)), (nth(n + 2), at(NOW + 3))];
    let touch: Call<'_> = Box::pin(async { probe.store.touch(&batch).await.map(|()| None) });
    let other: Call<'_> = Box::pin(async {
        match write {
            Write::Insert => probe.store.insert(&written).await.map(Some),
            Write::Replace => probe.store.replace(&written, version).await.map(Some),
            Write::Remove => probe.store.remove(nth(n + 1), version).await.map(|()| None),
        }
    });
    let name = match write {
        Write::Insert => "an insert",
        Write::Replace => "a replacement",
        Write::Remove => "a removal",
    };
    let calls =
        if touch_is_first { staggered(touch, lead, other) } else { staggered(other, lead, touch) };
    let what = format!("a touch and {name} that overlap");
    let Some((first, second)) = in_time(calls, &what).await? else {
        return broken(format!("{what} gave no answer"));
    };
    let (touched, answer) = if touch_is_first { (first, second) } else { (second, first) };
    answered(&format!("a touch during {name}"), touched)?;
    let answer = answered(&format!("{name} during a touch"), answer)?;
    let when = format!("after {name} during a touch");
    for other in [n, n + 2] {
        used(probe, other, NOW + 1 + i64::from(other - n), &when).await?;
    }
    // A store that buffers touches writes this one with the next.
    for again in [false, true] {
        match answer {
            Some(version) => {
                probe.found(&written, version, &when).await?;
                // A touch before the insert has no effect.
                if write == Write::Replace {
                    used(probe, n + 1, NOW + 2, &when).await?;
                }
            }
            None => {
                ensure!(
                    probe.find(nth(n + 1)).await?.is_none(),
                    "{when}, find answered with the removed record"
                );
                probe.agrees(nth(n + 1), &when).await?;
            }
        }
        if !again {
            probe.touch(&[(nth(n), at(NOW + 1))]).await?;
        }
    }
    if write == Write::Remove {
        probe.insert(&target).await?;
        let stored = probe.stored(nth(n + 1), "after an insert").await?;
        let what = format!("{when} and another insert, find answered with the last use");
        same(&untouched(probe.store), &stored.last_used, &what)?;
    }
    Ok(())
}

async fn used(probe: Probe<'_>, n: u32, micros: i64, when: &str) -> Verdict {
    let expected = match untouched(probe.store) {
        LastUsed::NotTracked => LastUsed::NotTracked,
        _ => LastUsed::At(at(micros)),
    };
    let stored = probe.stored(nth(n), when).await?;
    same(&expected, &stored.last_used, &format!("{when}, find answered with the last use"))
}

/// Writes directly after touches, without a read in between. A store that writes a touch later, or from
/// a copy of the row, undoes the write.
async fn write_follows_touch(probe: Probe<'_>) -> Verdict {
    for n in (10_000..10_100).step_by(10) {
        let old = labelled(n, "before")?;
        let new = revoked(&old, None, None);
        let version = probe.insert(&old).await?;
        let removed = probe.insert(&labelled(n + 1, "removed")?).await?;
        probe.insert(&labelled(n + 2, "another")?).await?;
        let both = [(nth(n), at(NOW + 1)), (nth(n + 1), at(NOW + 1))];
        probe.touch(&both).await?;
        let current = probe.replace(&new, version).await?;
        probe.remove(nth(n + 1), removed).await?;
        probe.touch(&[(nth(n + 2), at(NOW + 5))]).await?;
        let when = "after a touch, a replacement, and a touch of another record";
        probe.found(&new, current, when).await?;
        used(probe, n, NOW + 1, when).await?;
        let found = probe.find(nth(n + 1)).await?;
        ensure!(
            found.is_none(),
            "after a touch, a removal and a touch, find answered with a record"
        );
        // The stale version must stay stale too.
        probe.touch(&both).await?;
        probe.found(&new, current, "after a touch of a replaced and of a removed record").await?;
        ensure!(
            matches!(probe.store.replace(&old, version).await, Err(StoreError::Conflict)),
            "after a touch, a replacement with an earlier version did not fail with `Conflict`"
        );
        probe.agrees(nth(n + 1), "after a touch of a removed record").await?;
    }
    Ok(())
}
