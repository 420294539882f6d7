//! The clock as the service sees it.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::{Clock, RECORDABLE_MICROS, from_micros, micros};

/// A jump of the wall clock against the monotonic clock by more than a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockJump {
    /// How far the wall clock moved beyond the time that passed; negative if it was set back.
    pub by: chrono::Duration,
    /// The wall clock's reading when the jump was noticed.
    pub noticed_at: DateTime<Utc>,
}

/// Days whose dates are made beforehand: nearly three years, longer than most processes run.
const DAYS: usize = 1_024;

/// The smallest disagreement of the two clocks that counts as a jump.
const JUMP_MICROS: u64 = 60_000_000;

/// How often the two are read anew where that told nothing.
const COMPARISONS: usize = 8;

/// How far the wall clock moves before it is held against the monotonic clock again.
const COMPARE_EVERY_MICROS: i64 = 1_000_000;

/// How long the two clocks may drift apart by a minute: a day.
const BELIEVE_EVERY_MICROS: i64 = 86_400_000_000;

/// The clock as the service sees it: never backwards, jumps noticed, and always a time that a record
/// can hold, so that a clock far off cannot make a record that nobody can read again.
pub(crate) struct GuardedClock {
    source: Arc<dyn Clock>,
    dates: Dates,
    floor: AtomicI64,
    /// The wall clock's reading that was last held against the monotonic clock.
    compared_at: AtomicI64,
    accepted: Mutex<Accepted>,
}

/// What the two clocks are held to. Under one lock, so that nobody sees a jump's offset accepted and
/// the jump not noted; no clock is read while it is held.
struct Accepted {
    /// Wall clock minus monotonic clock.
    offset: i64,
    /// The monotonic time at which that was accepted.
    at: i64,
    /// There was a jump, and nobody has acknowledged it.
    jumped: Option<ClockJump>,
}

/// What came of holding the two clocks against each other.
enum Compared {
    /// They agree, and this is what the wall clock read.
    Agree(i64),
    Jumped(ClockJump),
    /// Nothing: the thread was stopped each time, or others saw jumps.
    Unknown,
}

/// The time for what destroys, or must miss nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Earlier {
    /// What has ended by this time has ended, whoever looks.
    pub(crate) time: DateTime<Utc>,
    /// A jump is unacknowledged. The time is the beginning of all times then.
    pub(crate) doubted: bool,
}

impl GuardedClock {
    pub(crate) fn new(source: Arc<dyn Clock>) -> Self {
        let wall = source.now().timestamp_micros();
        let monotonic = monotonic_micros(&*source);
        let offset = wall.saturating_sub(monotonic);
        Self {
            source,
            dates: Dates::from(wall),
            floor: AtomicI64::new(wall),
            compared_at: AtomicI64::new(wall),
            accepted: Mutex::new(Accepted { offset, at: monotonic, jumped: None }),
        }
    }

    /// The time, never before an earlier answer; tells of a jump if this call was the first to see it.
    pub(crate) fn now(&self, jumped: impl FnOnce(ClockJump)) -> DateTime<Utc> {
        self.dates.time(self.guard(self.source.now().timestamp_micros(), jumped))
    }

    /// The same of the time that a verification goes by.
    #[inline]
    pub(crate) fn now_coarse(&self, jumped: impl FnOnce(ClockJump)) -> Moment {
        let micros = self.guard(self.source.coarse_micros(), jumped);
        Moment { time: self.dates.time(micros), micros }
    }

    #[inline]
    fn guard(&self, wall: i64, jumped: impl FnOnce(ClockJump)) -> i64 {
        // Written only when time has moved, so that cores which verify in the same tick share the line.
        let floor = self.floor.load(Ordering::Relaxed);
        let now = if wall > floor {
            self.floor.fetch_max(wall, Ordering::Relaxed).max(wall)
        } else {
            floor
        };
        let compared_at = self.compared_at.load(Ordering::Relaxed);
        if wall.abs_diff(compared_at) >= COMPARE_EVERY_MICROS.unsigned_abs()
            && let Compared::Jumped(jump) = self.compare()
        {
            jumped(jump);
        }
        now.clamp(*RECORDABLE_MICROS.start(), *RECORDABLE_MICROS.end())
    }

    /// The earlier of the time and of what the wall clock reads at present, which this holds against the
    /// monotonic clock. They differ after the clock ran ahead and was corrected: the time stays where it
    /// was then, and what it calls expired may be alive for every other process.
    pub(crate) fn earlier(&self, jumped: impl Fn(ClockJump)) -> Earlier {
        let time = self.now(&jumped);
        match self.compare() {
            Compared::Agree(wall) if !self.jumped() => {
                Earlier { time: time.min(recordable(wall)), doubted: false }
            }
            compared => {
                if let Compared::Jumped(jump) = compared {
                    jumped(jump);
                }
                Earlier { time: from_micros(*RECORDABLE_MICROS.start()), doubted: true }
            }
        }
    }

    #[cold]
    fn compare(&self) -> Compared {
        for _ in 0..COMPARISONS {
            let accepted = self.accepted().offset;
            // Between a reading before and one after, so that a thread that was stopped fakes no jump.
            let before = monotonic_micros(&*self.source);
            let wall = self.source.now().timestamp_micros();
            let monotonic = monotonic_micros(&*self.source);
            if monotonic.saturating_sub(before) < COMPARE_EVERY_MICROS
                && let Some(compared) = self.judge(accepted, wall, monotonic)
            {
                // Only now: who comes meanwhile compares as well, and does not rely on this.
                self.compared_at.store(wall, Ordering::Relaxed);
                return compared;
            }
        }
        Compared::Unknown
    }

    /// `None` if another offset was accepted since the clocks were read.
    fn judge(&self, before: i64, wall: i64, monotonic: i64) -> Option<Compared> {
        let mut accepted = self.accepted();
        if accepted.offset != before {
            return None;
        }
        let offset = wall.saturating_sub(monotonic);
        let by = offset.saturating_sub(accepted.offset);
        if by.unsigned_abs() > JUMP_MICROS {
            let (by, noticed_at) = (chrono::Duration::microseconds(by), from_micros(wall));
            let jump = ClockJump { by, noticed_at };
            *accepted = Accepted { offset, at: monotonic, jumped: Some(jump) };
            return Some(Compared::Jumped(jump));
        }
        // Once a day what a time server has corrected since is believed: over months it is no jump.
        if monotonic.saturating_sub(accepted.at) >= BELIEVE_EVERY_MICROS {
            (accepted.offset, accepted.at) = (offset, monotonic);
        }
        Some(Compared::Agree(wall))
    }

    fn accepted(&self) -> MutexGuard<'_, Accepted> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn monotonic(&self) -> Duration {
        self.source.monotonic()
    }

    fn jumped(&self) -> bool {
        self.accepted().jumped.is_some()
    }

    pub(crate) fn acknowledge(&self) -> Option<ClockJump> {
        self.accepted().jumped.take()
    }
}

impl fmt::Debug for GuardedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedClock").field("jumped", &self.jumped()).finish_non_exhaustive()
    }
}

/// A time, also in microseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) time: DateTime<Utc>,
    pub(crate) micros: i64,
}

const DAY_MICROS: i64 = 86_400_000_000;

/// The dates of the days from one on: the calendar costs more than the rest of expressing a time.
struct Dates {
    first: i64,
    dates: Box<[NaiveDate]>,
}

impl Dates {
    fn from(micros: i64) -> Self {
        let dates = from_micros(micros).date_naive().iter_days().take(DAYS).collect();
        Self { first: micros.div_euclid(DAY_MICROS), dates }
    }

    #[inline]
    fn time(&self, micros: i64) -> DateTime<Utc> {
        let (day, of_day) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
        let known = usize::try_from(day.wrapping_sub(self.first)).ok();
        // Numbers until the end: what is put together in memory and read at once as a whole makes the
        // processor wait.
        let date = match known.and_then(|known| self.dates.get(known)) {
            Some(date) => *date,
            None => date_of(micros),
        };
        // Seconds of a day and less than a second of nanoseconds: both fit.
        let (second, nanos) = (of_day / 1_000_000, of_day % 1_000_000 * 1_000);
        let time = NaiveTime::from_num_seconds_from_midnight_opt(second as u32, nanos as u32);
        date.and_time(time.unwrap_or_default()).and_utc()
    }
}

#[cold]
fn date_of(micros: i64) -> NaiveDate {
    from_micros(micros).date_naive()
}

fn recordable(micros: i64) -> DateTime<Utc> {
    from_micros(micros.clamp(*RECORDABLE_MICROS.start(), *RECORDABLE_MICROS.end()))
}

fn monotonic_micros(clock: &dyn Clock) -> i64 {
    micros(clock.monotonic())
}

#[cfg(test)]
mod tests;
