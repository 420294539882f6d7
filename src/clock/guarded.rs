//! The clock as the service sees it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
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
    compared_at: AtomicI64,
    /// Wall clock minus monotonic clock, as last accepted.
    offset: AtomicI64,
    /// The monotonic time at which it was last accepted.
    believed_at: AtomicI64,
    unacknowledged: AtomicBool,
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
            offset: AtomicI64::new(offset),
            believed_at: AtomicI64::new(monotonic),
            unacknowledged: AtomicBool::new(false),
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
            && let Some(jump) = self.compare(wall)
        {
            jumped(jump);
        }
        now.clamp(*RECORDABLE_MICROS.start(), *RECORDABLE_MICROS.end())
    }

    #[cold]
    fn compare(&self, wall: i64) -> Option<ClockJump> {
        self.compared_at.store(wall, Ordering::Relaxed);
        // Between a reading before and one after, so that a thread that was stopped fakes no jump.
        let before = monotonic_micros(&*self.source);
        let wall = self.source.now().timestamp_micros();
        let monotonic = monotonic_micros(&*self.source);
        if monotonic.saturating_sub(before) >= COMPARE_EVERY_MICROS {
            return None;
        }
        let offset = wall.saturating_sub(monotonic);
        let accepted = self.offset.load(Ordering::Acquire);
        let by = offset.saturating_sub(accepted);
        if by.unsigned_abs() <= JUMP_MICROS {
            self.believe(offset, accepted, monotonic);
            return None;
        }
        // Several threads may notice at once; the one that moves the offset reports.
        self.offset.compare_exchange(accepted, offset, Ordering::AcqRel, Ordering::Acquire).ok()?;
        self.believed_at.store(monotonic, Ordering::Relaxed);
        self.unacknowledged.store(true, Ordering::Release);
        Some(ClockJump { by: chrono::Duration::microseconds(by), noticed_at: from_micros(wall) })
    }

    /// Once a day what a time server has corrected since is believed: over months it is no jump.
    fn believe(&self, offset: i64, accepted: i64, monotonic: i64) {
        let since = monotonic.saturating_sub(self.believed_at.load(Ordering::Relaxed));
        if since >= BELIEVE_EVERY_MICROS {
            self.believed_at.store(monotonic, Ordering::Relaxed);
            let _ =
                self.offset.compare_exchange(accepted, offset, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    pub(crate) fn monotonic(&self) -> Duration {
        self.source.monotonic()
    }

    pub(crate) fn jumped(&self) -> bool {
        self.unacknowledged.load(Ordering::Acquire)
    }

    pub(crate) fn acknowledge(&self) -> bool {
        self.unacknowledged.swap(false, Ordering::AcqRel)
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

fn monotonic_micros(clock: &dyn Clock) -> i64 {
    micros(clock.monotonic())
}

#[cfg(test)]
mod tests;
