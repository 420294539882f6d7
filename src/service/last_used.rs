//! The times at which tokens were last used, as far as the store does not have them yet.
//!
//! **Noting.** Uses are collected in memory, and [`flush_last_used`](super::core::TokenService) writes
//! them to the store in batches. Verifying a hot token must not write memory that other cores read. So
//! only the first use of a token in each step of time is noted, under the lock of a shard. For the
//! other uses, the last use in the store's answer or a table of recently noted times shows that noting
//! is not needed.
//!
//! **Flushing.** A use stays in memory until the store has it. So a flush that fails, or whose future is
//! dropped, loses no use.
//!
//! **Merging.** A record that is shown or acted on needs the later of the store's time and the pending
//! one. A flush moves a use from memory to the store, and a reader that reads first the store and then
//! memory could miss it in both. So a reader creates a [`LastUsedMerge`] before it reads the store. As
//! long as one exists, a flush only marks uses as flushed, and a later flush removes them.
//!
//! Times are microseconds. Times of use are since 1970; waiting times are measured with the monotonic
//! clock, because a jump of the wall clock is not a stall.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::recent_times::RecentTimes;
use crate::clock::{from_micros, micros};
use crate::store::{LastUsed, StoredRecord};
use crate::token::TokenId;

/// The number of tokens in the table of recently noted times, which has 256 KiB.
const RECENT_TOKENS: usize = 16_384;

const SHARDS: usize = 64;

/// The default last-used resolution.
pub(super) const DEFAULT_RESOLUTION: Duration = Duration::from_secs(60);

/// The longest last-used resolution.
pub(super) const MAX_RESOLUTION: Duration = Duration::from_secs(86_400);

/// A use is stalled if it waits for longer than both this number of steps and this time.
const STALLED_STEPS: i64 = 10;
const STALLED_MIN: i64 = 600_000_000;

/// The uses that the store does not have yet.
pub(super) struct PendingUses {
    step: i64,
    stalled_after: i64,
    recent: RecentTimes,
    shards: Box<[Mutex<Shard>]>,
    /// The number of merges that exist.
    merges: AtomicUsize,
    /// The monotonic time from which a stall may be reported (again).
    report_at: AtomicI64,
}

struct Shard {
    pending: HashMap<TokenId, PendingUse>,
    /// A lower bound for the time since which a use in this shard waits; monotonic.
    since: i64,
}

struct PendingUse {
    used: i64,
    /// The time at which `used` was noted; monotonic.
    noted: i64,
    /// The time at which the first use that the store does not have was noted; monotonic.
    since: i64,
    /// The store has the use, which stays here for merges that may have read the store before.
    flushed: bool,
}

/// Uses that have waited for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stalled {
    pub(super) waiting: usize,
    pub(super) oldest: DateTime<Utc>,
}

impl PendingUses {
    pub(super) fn new(resolution: Duration) -> Self {
        let step = micros(resolution);
        let shard = || Mutex::new(Shard { pending: HashMap::new(), since: i64::MAX });
        Self {
            step,
            stalled_after: (STALLED_STEPS * step).max(STALLED_MIN),
            recent: RecentTimes::new(RECENT_TOKENS),
            shards: (0..SHARDS).map(|_| shard()).collect(),
            merges: AtomicUsize::new(0),
            report_at: AtomicI64::new(i64::MIN),
        }
    }

    /// Returns whether a use at `now` may have to be noted, after the last use that the store answered
    /// with.
    #[inline]
    pub(super) fn is_due(&self, used: Option<i64>, now: i64) -> bool {
        used.is_none_or(|used| self.is_step_over(used, now))
    }

    fn is_step_over(&self, noted: i64, now: i64) -> bool {
        now >= noted.saturating_add(self.step)
    }

    /// Notes a use, unless one was noted less than a step ago. Returns the stalled uses if there are
    /// any and they have to be reported.
    pub(super) fn note(
        &self,
        id: TokenId,
        now: DateTime<Utc>,
        monotonic: impl FnOnce() -> Duration,
    ) -> Option<Stalled> {
        let now = now.timestamp_micros();
        let number = id.value();
        if self.recent.get(number).is_some_and(|noted| !self.is_step_over(noted, now)) {
            return None;
        }
        let noted = micros(monotonic());
        let mut shard = self.shard(id);
        shard.note(id, now, noted);
        let since = shard.since;
        drop(shard);
        self.recent.set(number, now);
        let (waiting, waited) = self.stalled(since, noted)?;
        Some(Stalled { waiting, oldest: from_micros(now.saturating_sub(waited)) })
    }

    /// Returns how many uses wait and how long the oldest has, if that is too long and this thread has to
    /// report it. The bound `since` of one shard decides first, without other locks.
    fn stalled(&self, since: i64, now: i64) -> Option<(usize, i64)> {
        let is_too_long = |since: i64| now.saturating_sub(since) > self.stalled_after;
        let report_at = self.report_at.load(Ordering::Relaxed);
        if !is_too_long(since) || now < report_at {
            return None;
        }
        let (waiting, oldest) = self.survey();
        if !is_too_long(oldest) {
            return None;
        }
        // The exchange succeeds in one thread only.
        let next = now.saturating_add(self.stalled_after);
        self.report_at
            .compare_exchange(report_at, next, Ordering::Relaxed, Ordering::Relaxed)
            .ok()?;
        Some((waiting, now.saturating_sub(oldest)))
    }

    /// Returns how many uses wait and since when, and updates the bound of each shard.
    fn survey(&self) -> (usize, i64) {
        let mut all = (0, i64::MAX);
        for shard in &self.shards {
            let mut shard = lock(shard);
            let waiting = || shard.pending.values().filter(|pending| !pending.flushed);
            let since = waiting().map(|pending| pending.since).min().unwrap_or(i64::MAX);
            all = (all.0 + waiting().count(), all.1.min(since));
            shard.since = since;
        }
        all
    }

    /// Returns how many uses wait.
    pub(super) fn waiting(&self) -> usize {
        self.survey().0
    }

    /// Returns all uses that wait, and removes the flushed ones if no merge exists.
    pub(super) fn to_flush(&self) -> Vec<(TokenId, DateTime<Utc>)> {
        let mut uses = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            // The store had the flushed uses before the number of merges is read. So a merge that is
            // created later finds them in the store.
            let has_merges = self.has_merges();
            shard.pending.retain(|_, pending| !pending.flushed || has_merges);
            let waiting = shard.pending.iter().filter(|(_, pending)| !pending.flushed);
            uses.extend(waiting.map(|(id, pending)| (*id, from_micros(pending.used))));
        }
        uses
    }

    /// Marks or removes uses that the store has now. Later uses of the same tokens still wait.
    pub(super) fn flushed(&self, uses: &[(TokenId, DateTime<Utc>)]) {
        let has_merges = self.has_merges();
        for (id, used) in uses {
            let mut shard = self.shard(*id);
            let Some(pending) = shard.pending.get_mut(id) else { continue };
            if pending.used > used.timestamp_micros() {
                pending.since = pending.noted;
            } else if has_merges {
                pending.flushed = true;
            } else {
                shard.pending.remove(id);
            }
        }
    }

    fn has_merges(&self) -> bool {
        self.merges.load(Ordering::SeqCst) > 0
    }

    fn shard(&self, id: TokenId) -> MutexGuard<'_, Shard> {
        // The last byte of a generated id is random. Ids that callers choose could all be in one shard,
        // which is slow and correct.
        lock(&self.shards[usize::from(id.to_bytes()[15]) % SHARDS])
    }
}

impl Shard {
    fn note(&mut self, id: TokenId, used: i64, noted: i64) {
        let new = PendingUse { used, noted, since: noted, flushed: false };
        let pending = self.pending.entry(id).or_insert(new);
        (pending.used, pending.noted) = (pending.used.max(used), noted);
        if pending.flushed {
            (pending.since, pending.flushed) = (noted, false);
        }
        self.since = self.since.min(pending.since);
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Merges pending uses into records that are read from the store while this exists. Create it before the
/// store is read.
///
/// If the store does not track last use, or recording it is disabled, this has no pending uses. Then no
/// last use is shown, because the store's "never" could be wrong.
pub(super) struct LastUsedMerge<'u>(Option<&'u PendingUses>);

impl<'u> LastUsedMerge<'u> {
    pub(super) fn new(uses: Option<&'u PendingUses>) -> Self {
        if let Some(uses) = uses {
            uses.merges.fetch_add(1, Ordering::SeqCst);
        }
        Self(uses)
    }

    /// Returns whether this service knows when tokens were last used.
    pub(super) fn is_tracked(&self) -> bool {
        self.0.is_some()
    }

    /// Sets the record's last use to the later of the store's and the pending one.
    pub(super) fn apply(&self, stored: &mut StoredRecord) {
        let Some(uses) = self.0 else {
            stored.last_used = LastUsed::NotTracked;
            return;
        };
        let id = stored.record.id();
        let pending = uses.shard(id).pending.get(&id).map(|pending| from_micros(pending.used));
        if let Some(pending) = pending {
            stored.last_used = LastUsed::At(match stored.last_used {
                LastUsed::At(known) => known.max(pending),
                LastUsed::Never | LastUsed::NotTracked => pending,
            });
        }
    }

    /// Returns the latest time at which the token may have been used. For less than a step after a noted
    /// use, other uses are not noted.
    pub(super) fn latest_possible(&self, last_used: LastUsed) -> LastUsed {
        match (self.0, last_used) {
            (Some(uses), LastUsed::At(used)) => {
                let unnoted = (uses.step - 1).max(0);
                LastUsed::At(from_micros(used.timestamp_micros().saturating_add(unnoted)))
            }
            (_, last_used) => last_used,
        }
    }
}

impl Drop for LastUsedMerge<'_> {
    fn drop(&mut self) {
        if let Some(uses) = self.0 {
            uses.merges.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl fmt::Debug for PendingUses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingUses").field("step", &self.step).finish_non_exhaustive()
    }
}
