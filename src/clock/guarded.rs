//! The clock that the service reads: a wall clock that never runs backwards and whose jumps are noticed.
//!
//! The clock of the operating system can be set at any time, and the service must stay correct then.
//! [`GuardedClock`] has three parts.
//!
//! 1. **The floor.** Each answer is the maximum of the reading and all readings before it. So a clock that
//!    is set back does not make an expired token valid again in this process. The answer is clamped to
//!    the years that a record can hold.
//! 2. **The comparison.** Whenever the wall clock has moved by a second since the last comparison, its
//!    offset to the monotonic clock is compared with the accepted offset. A difference of more than a
//!    minute is a jump. The new offset is accepted in the same critical section that stores the jump, so
//!    each jump is reported exactly once. A thread may be suspended between its readings of the two
//!    clocks, which would look like a jump. So the monotonic clock is read before and after the wall
//!    clock, and the readings are repeated if more than a second passed. Time servers correct the clock
//!    in small steps. So once a day the present offset is accepted, and only the corrections of one day
//!    can add up to a jump.
//! 3. **The earlier time.** The floor stays too late after a clock ran ahead and was corrected. A purge or
//!    a bulk revocation that used it could remove or miss tokens that are live in every other process. So
//!    these operations use [`GuardedClock::earlier`], which is the earlier of the floor and the present
//!    reading. While a jump is not acknowledged, it is the earliest time that a record can hold, so that
//!    every token counts as live.
//!
//!    The end of a suspension needs another rule for that time, because a suspension that passed long ago
//!    must not come back. It is decided by the latest reading before the jump, or by the present one if that
//!    is earlier. So no suspension passes while a jump is not acknowledged.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::{Clock, RECORDABLE_MICROS, from_micros, micros};

/// A jump of the wall clock against the monotonic clock by more than a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockJump {
    /// The distance that the wall clock moved in addition to the time that passed. It is negative if the
    /// clock was set back.
    pub by: chrono::Duration,
    /// The reading of the wall clock when the jump was noticed.
    pub noticed_at: DateTime<Utc>,
}

/// The number of days whose dates are computed in advance. This is nearly three years, which is longer
/// than most processes run.
const DAYS: usize = 1_024;

/// A change of the offset by more than this is a jump.
const JUMP_MICROS: u64 = 60_000_000;

/// The maximum number of attempts to read both clocks without an interruption.
const COMPARISONS: usize = 8;

/// The movement of the wall clock after which it is compared with the monotonic clock again, and the
/// maximum time between the readings of one comparison.
const COMPARE_EVERY_MICROS: i64 = 1_000_000;

/// The time after which a present offset without a jump becomes the accepted offset: a day.
const BELIEVE_EVERY_MICROS: i64 = 86_400_000_000;

/// The clock that the service reads. The [module](self) explains how it works.
pub(crate) struct GuardedClock {
    source: Arc<dyn Clock>,
    dates: Dates,
    /// The latest reading so far.
    floor: AtomicI64,
    /// The reading of the wall clock in the latest comparison.
    compared_at: AtomicI64,
    /// The reading of the wall clock in the latest comparison that found no jump, while none was
    /// unacknowledged.
    agreed_at: AtomicI64,
    accepted: Mutex<Accepted>,
}

/// The accepted relation of the two clocks. It is behind one lock, so that no thread sees the offset of a
/// jump without the jump. No clock is read while the lock is held.
struct Accepted {
    /// The wall clock minus the monotonic clock.
    offset: i64,
    /// The monotonic time at which the offset was accepted.
    at: i64,
    /// The latest jump that was not acknowledged.
    jumped: Option<ClockJump>,
}

/// The result of a comparison.
enum Compared {
    /// The offset has not jumped, and this is the reading of the wall clock.
    Agree(i64),
    /// The offset has jumped.
    Jumped(ClockJump),
    /// Every attempt was interrupted, or other threads accepted another offset each time.
    Unknown,
}

/// The time for operations that remove records or must not miss a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Earlier {
    /// A token that has ended by this time has ended for every process with a right clock.
    pub(crate) time: DateTime<Utc>,
    /// Whether a jump is not acknowledged or the comparison failed. The time is then the earliest time that
    /// a record can hold.
    pub(crate) doubted: bool,
    /// The time that decides whether a suspension has passed.
    pub(crate) passed: DateTime<Utc>,
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
            agreed_at: AtomicI64::new(wall),
            accepted: Mutex::new(Accepted { offset, at: monotonic, jumped: None }),
        }
    }

    /// Returns the time, which is never before an earlier answer. Calls `jumped` if this call is the first
    /// to notice a jump.
    pub(crate) fn now(&self, jumped: impl FnOnce(ClockJump)) -> DateTime<Utc> {
        self.dates.time(self.guard(self.source.now().timestamp_micros(), jumped))
    }

    /// Returns the time for a verification, in the same way as [`now`](Self::now).
    #[inline]
    pub(crate) fn now_coarse(&self, jumped: impl FnOnce(ClockJump)) -> Moment {
        let micros = self.guard(self.source.coarse_micros(), jumped);
        Moment { time: self.dates.time(micros), micros }
    }

    #[inline]
    fn guard(&self, wall: i64, jumped: impl FnOnce(ClockJump)) -> i64 {
        // The floor is written only if the reading is later. So cores that verify within the same tick of the
        // clock only read its cache line, and can share it.
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

    /// Returns the earlier of the floor and the present reading of the wall clock, after a comparison of
    /// the clocks. They differ if the clock ran ahead and was corrected.
    pub(crate) fn earlier(&self, jumped: impl Fn(ClockJump)) -> Earlier {
        let time = self.now(&jumped);
        match self.compare() {
            Compared::Agree(wall) if !self.jumped() => {
                let time = time.min(recordable(wall));
                Earlier { time, doubted: false, passed: time }
            }
            compared => {
                if let Compared::Jumped(jump) = compared {
                    jumped(jump);
                }
                let agreed = recordable(self.agreed_at.load(Ordering::Relaxed));
                Earlier {
                    time: from_micros(*RECORDABLE_MICROS.start()),
                    doubted: true,
                    passed: agreed.min(self.reading()),
                }
            }
        }
    }

    #[cold]
    fn compare(&self) -> Compared {
        for _ in 0..COMPARISONS {
            let accepted = self.accepted().offset;
            // The wall clock is read between two readings of the monotonic clock, so that a suspended thread is
            // not mistaken for a jump.
            let before = monotonic_micros(&*self.source);
            let wall = self.source.now().timestamp_micros();
            let monotonic = monotonic_micros(&*self.source);
            if monotonic.saturating_sub(before) < COMPARE_EVERY_MICROS
                && let Some(compared) = self.judge(accepted, wall, monotonic)
            {
                // This is stored after the comparison, so that a concurrent call compares too and does not
                // rely on a comparison that has not ended.
                self.compared_at.store(wall, Ordering::Relaxed);
                return compared;
            }
        }
        Compared::Unknown
    }

    /// Decides whether the readings show a jump. Returns `None` if another thread has accepted a new offset
    /// since the clocks were read.
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
        // A time server corrects the clock in small steps. Without this, its corrections would add up to a jump
        // over months.
        if monotonic.saturating_sub(accepted.at) >= BELIEVE_EVERY_MICROS {
            (accepted.offset, accepted.at) = (offset, monotonic);
        }
        if accepted.jumped.is_none() {
            self.agreed_at.store(wall, Ordering::Relaxed);
        }
        Some(Compared::Agree(wall))
    }

    fn accepted(&self) -> MutexGuard<'_, Accepted> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the present reading of the wall clock. Unlike [`now`](Self::now), it can be before an earlier
    /// reading.
    pub(crate) fn reading(&self) -> DateTime<Utc> {
        recordable(self.source.now().timestamp_micros())
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

/// A time as a date and as microseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) time: DateTime<Utc>,
    pub(crate) micros: i64,
}

const DAY_MICROS: i64 = 86_400_000_000;

/// A table of the dates of [`DAYS`] days from the start of the process. Computing a date from the number
/// of a day costs more than the rest of the conversion.
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
        // The parts stay numbers in registers until the end. A value that is written to memory in parts and
        // then read as a whole would cause a store-forwarding stall.
        let date = match known.and_then(|known| self.dates.get(known)) {
            Some(date) => *date,
            None => date_of(micros),
        };
        // Both fit into 32 bits: the seconds of a day, and the nanoseconds of a second.
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
