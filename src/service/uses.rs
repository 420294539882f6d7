//! When tokens were last used: gathered in memory, and given to the store in batches.
//!
//! Verifying a hot token writes nothing that other cores read. Only the first use of a token in each
//! step is noted under a lock; what the store answered with, or a table of recent notes, tells the
//! others that there is nothing to note.
//!
//! A use waits until the store has it: nothing leaves this memory before. So a flush that fails, or
//! whose future is dropped, loses nothing, and a view can always add what the store does not know yet.

mod recent;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::clock::{from_micros, micros};
use crate::store::{LastUsed, StoredRecord};
use crate::token::TokenId;
pub(super) use recent::Recent;

/// Tokens whose recent note is known without a lock: 256 KiB.
const RECENT: usize = 16_384;

const SHARDS: usize = 64;

/// The step unless another is asked for, and the longest.
pub(super) const STEP: Duration = Duration::from_secs(60);
pub(super) const STEP_MAX: Duration = Duration::from_secs(86_400);

/// A use that has waited for so many steps, and at least so long, has been forgotten by whoever was to
/// flush it.
const PATIENCE_STEPS: i64 = 10;
const PATIENCE_MIN: i64 = 600_000_000;

/// Uses of tokens that the store does not know of yet. Times are microseconds since 1970, and how long
/// something waits is counted on the monotonic clock: a wall clock that jumps is no stall.
pub(super) struct Uses {
    step: i64,
    patience: i64,
    recent: Recent,
    shards: Box<[Mutex<Shard>]>,
    /// Who is reading from the store to show what waits beside it: see [`View`].
    views: AtomicUsize,
    /// When a stall may be told (again); monotonic.
    tell_at: AtomicI64,
}

struct Shard {
    waiting: HashMap<TokenId, Waiting>,
    /// No use in here waits since earlier; monotonic.
    since: i64,
}

struct Waiting {
    used: i64,
    /// When that was noted, and the first use of those that wait; monotonic.
    noted: i64,
    since: i64,
    /// The store has it. It stays for views that read from the store before that.
    flushed: bool,
}

/// Uses that have waited too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stalled {
    pub(super) waiting: usize,
    pub(super) oldest: DateTime<Utc>,
}

impl Uses {
    pub(super) fn new(step: Duration) -> Self {
        let step = micros(step);
        let shard = || Mutex::new(Shard { waiting: HashMap::new(), since: i64::MAX });
        Self {
            step,
            patience: (PATIENCE_STEPS * step).max(PATIENCE_MIN),
            recent: Recent::new(RECENT),
            shards: (0..SHARDS).map(|_| shard()).collect(),
            views: AtomicUsize::new(0),
            tell_at: AtomicI64::new(i64::MIN),
        }
    }

    /// Whether a use at `now` is to be noted, as far as the store's answer tells.
    #[inline]
    pub(super) fn is_due(&self, used: Option<i64>, now: i64) -> bool {
        used.is_none_or(|used| self.is_step_over(used, now))
    }

    fn is_step_over(&self, noted: i64, now: i64) -> bool {
        now >= noted.saturating_add(self.step)
    }

    /// Notes a use, unless one was noted less than a step ago. Tells if uses have waited too long and
    /// that was not told lately.
    pub(super) fn note(
        &self,
        id: TokenId,
        now: DateTime<Utc>,
        monotonic: impl FnOnce() -> Duration,
    ) -> Option<Stalled> {
        let now = now.timestamp_micros();
        let number = id.value();
        if self.recent.noted_at(number).is_some_and(|noted| !self.is_step_over(noted, now)) {
            return None;
        }
        let noted = micros(monotonic());
        let mut shard = self.shard(id);
        shard.note(id, now, noted);
        let since = shard.since;
        drop(shard);
        self.recent.note(number, now);
        let (waiting, waited) = self.stalled(since, noted)?;
        Some(Stalled { waiting, oldest: from_micros(now.saturating_sub(waited)) })
    }

    /// How many uses wait and how long the oldest has, if that is too long and is to be told.
    fn stalled(&self, since: i64, now: i64) -> Option<(usize, i64)> {
        let too_long = |since: i64| now.saturating_sub(since) > self.patience;
        let tell_at = self.tell_at.load(Ordering::Relaxed);
        if !too_long(since) || now < tell_at {
            return None;
        }
        let (waiting, oldest) = self.survey();
        if !too_long(oldest) {
            return None;
        }
        // Of several threads one tells.
        let next = now.saturating_add(self.patience);
        self.tell_at.compare_exchange(tell_at, next, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        Some((waiting, now.saturating_sub(oldest)))
    }

    /// How many uses wait and since when; brings the shards' own bound up to date.
    fn survey(&self) -> (usize, i64) {
        let mut all = (0, i64::MAX);
        for shard in &self.shards {
            let mut shard = lock(shard);
            let waiting = || shard.waiting.values().filter(|waiting| !waiting.flushed);
            let since = waiting().map(|waiting| waiting.since).min().unwrap_or(i64::MAX);
            all = (all.0 + waiting().count(), all.1.min(since));
            shard.since = since;
        }
        all
    }

    /// How many uses wait.
    pub(super) fn waiting(&self) -> usize {
        self.survey().0
    }

    /// All uses that wait, for the store.
    pub(super) fn to_flush(&self) -> Vec<(TokenId, DateTime<Utc>)> {
        let mut uses = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            // Before the number of views is read the store had what is dropped here; whoever comes
            // later finds it there.
            let viewed = self.is_viewed();
            shard.waiting.retain(|_, waiting| !waiting.flushed || viewed);
            let waiting = shard.waiting.iter().filter(|(_, waiting)| !waiting.flushed);
            uses.extend(waiting.map(|(id, waiting)| (*id, from_micros(waiting.used))));
        }
        uses
    }

    /// The store has these uses now. Later ones of the same tokens go on waiting.
    pub(super) fn flushed(&self, uses: &[(TokenId, DateTime<Utc>)]) {
        let viewed = self.is_viewed();
        for (id, used) in uses {
            let mut shard = self.shard(*id);
            let Some(waiting) = shard.waiting.get_mut(id) else { continue };
            if waiting.used > used.timestamp_micros() {
                waiting.since = waiting.noted;
            } else if viewed {
                waiting.flushed = true;
            } else {
                shard.waiting.remove(id);
            }
        }
    }

    fn is_viewed(&self) -> bool {
        self.views.load(Ordering::SeqCst) > 0
    }

    fn shard(&self, id: TokenId) -> MutexGuard<'_, Shard> {
        // The last byte of a version-7 id is random; of a chosen one, at worst all share a shard.
        lock(&self.shards[usize::from(id.to_bytes()[15]) % SHARDS])
    }
}

impl Shard {
    fn note(&mut self, id: TokenId, used: i64, noted: i64) {
        let new = Waiting { used, noted, since: noted, flushed: false };
        let waiting = self.waiting.entry(id).or_insert(new);
        (waiting.used, waiting.noted) = (waiting.used.max(used), noted);
        if waiting.flushed {
            (waiting.since, waiting.flushed) = (noted, false);
        }
        self.since = self.since.min(waiting.since);
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A look at the store that is to show what waits beside it: there before the store is asked. While
/// there is one, what a flush brings to the store does not leave this memory: else an answer from
/// before it and a look at the uses after it would both miss it.
///
/// Without uses, because the store does not track them or nobody records them, no last use is shown:
/// "never" could be wrong.
pub(super) struct View<'u>(Option<&'u Uses>);

impl<'u> View<'u> {
    pub(super) fn new(uses: Option<&'u Uses>) -> Self {
        if let Some(uses) = uses {
            uses.views.fetch_add(1, Ordering::SeqCst);
        }
        Self(uses)
    }

    /// Whether it is known when tokens were last used.
    pub(super) fn knows(&self) -> bool {
        self.0.is_some()
    }

    /// Makes the last use the later of what the store answered with and what waits.
    pub(super) fn show(&self, stored: &mut StoredRecord) {
        let Some(uses) = self.0 else {
            stored.last_used = LastUsed::NotTracked;
            return;
        };
        let id = stored.record.id();
        let waits = uses.shard(id).waiting.get(&id).map(|waiting| from_micros(waiting.used));
        if let Some(waits) = waits {
            stored.last_used = LastUsed::At(match stored.last_used {
                LastUsed::At(known) => known.max(waits),
                LastUsed::Never | LastUsed::NotTracked => waits,
            });
        }
    }

    /// The last time at which the token may have been used: less than a step after a use nothing is
    /// noted.
    pub(super) fn latest(&self, last_used: LastUsed) -> LastUsed {
        match (self.0, last_used) {
            (Some(uses), LastUsed::At(used)) => {
                let unnoted = (uses.step - 1).max(0);
                LastUsed::At(from_micros(used.timestamp_micros().saturating_add(unnoted)))
            }
            (_, last_used) => last_used,
        }
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        if let Some(uses) = self.0 {
            uses.views.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl fmt::Debug for Uses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uses").field("step", &self.step).finish_non_exhaustive()
    }
}
