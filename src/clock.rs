//! What time it is, and whether that can be believed.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};

/// Where the time comes from. The default is [`SystemClock`]; tests use [`ManualClock`].
///
/// # Contract
///
/// `now` may jump (somebody set the clock); `monotonic` never runs backwards and never jumps. The
/// service compares the two: see [`TokenService::clock_jump`](crate::TokenService::clock_jump).
/// Both are read on every verification, so they must be cheap.
pub trait Clock: Send + Sync {
    /// The wall-clock time. Anything below a microsecond is cut off.
    fn now(&self) -> DateTime<Utc>;

    /// The wall-clock time for a verification, in microseconds since 1970. It may lag behind
    /// [`now`](Self::now) by some milliseconds, at most ten, if that makes it cheaper: a token may be
    /// accepted for so much longer than its end says.
    fn coarse_micros(&self) -> i64 {
        self.now().timestamp_micros()
    }

    /// The time since some fixed, arbitrary moment.
    fn monotonic(&self) -> Duration;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }

    fn coarse_micros(&self) -> i64 {
        (**self).coarse_micros()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }
}

/// The operating system's clocks. On Linux verification reads the one that moves with the kernel's
/// tick, every 1 to 10 ms: it costs a tenth.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time counts from now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        system_now()
    }

    #[cfg(target_os = "linux")]
    fn coarse_micros(&self) -> i64 {
        match nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME_COARSE) {
            Ok(time) => i64::from(time.tv_sec()) * 1_000_000 + i64::from(time.tv_nsec()) / 1_000,
            Err(_) => self.now().timestamp_micros(),
        }
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

fn system_now() -> DateTime<Utc> {
    let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |m| -m),
    };
    from_micros(micros)
}

/// A clock that moves only when told to: for tests of the embedder's own.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use service_tokens::{Clock, ManualClock};
///
/// let clock = Arc::new(ManualClock::default());
/// let before = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now() - before, chrono::Duration::seconds(60));
/// ```
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicI64,
    monotonic: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { wall: AtomicI64::new(now.timestamp_micros()), monotonic: AtomicI64::new(0) }
    }

    /// Lets time pass: wall clock and monotonic clock move together.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        for clock in [&self.wall, &self.monotonic] {
            let later = |time: i64| Some(time.saturating_add(micros));
            let _ = clock.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
        }
    }

    /// Sets the wall clock, as an operator or a time server would: the monotonic clock stands still. A
    /// service's time does not follow it backwards.
    pub fn set(&self, now: DateTime<Utc>) {
        self.wall.store(now.timestamp_micros(), Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    /// A clock that stands at 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self::new(from_micros(1_767_225_600_000_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        from_micros(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.monotonic.load(Ordering::SeqCst)).unwrap_or(0))
    }
}

/// A jump of the wall clock against the monotonic clock by more than a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockJump {
    /// How far the wall clock moved beyond the time that passed; negative if it was set back.
    pub by: chrono::Duration,
    /// The wall clock's reading when the jump was noticed.
    pub noticed_at: DateTime<Utc>,
}

/// The smallest disagreement of the two clocks that counts as a jump.
const JUMP_MICROS: u64 = 60_000_000;

/// How far the wall clock moves before it is held against the monotonic clock again.
const COMPARE_EVERY_MICROS: i64 = 1_000_000;

/// How long the two clocks may drift apart by a minute: a day.
const BELIEVE_EVERY_MICROS: i64 = 86_400_000_000;

/// The times that a record can hold, in microseconds: the years 1970 to 9999.
pub(crate) const RECORDABLE_MICROS: RangeInclusive<i64> = 0..=253_402_300_799_999_999;

/// The clock as the service sees it: never backwards, jumps noticed, and always a time that a record
/// can hold, so that a clock far off cannot make a record that nobody can read again.
pub(crate) struct GuardedClock {
    source: Arc<dyn Clock>,
    start: Day,
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
            start: Day::of(wall),
            floor: AtomicI64::new(wall),
            compared_at: AtomicI64::new(wall),
            offset: AtomicI64::new(offset),
            believed_at: AtomicI64::new(monotonic),
            unacknowledged: AtomicBool::new(false),
        }
    }

    /// The time, never before an earlier answer, and the jump if this call was the first to see it.
    pub(crate) fn now(&self) -> (DateTime<Utc>, Option<ClockJump>) {
        let (micros, jump) = self.guard(self.source.now().timestamp_micros());
        (self.start.later(micros), jump)
    }

    /// The same of the time that a verification goes by.
    #[inline]
    pub(crate) fn now_coarse(&self) -> (Moment, Option<ClockJump>) {
        let (micros, jump) = self.guard(self.source.coarse_micros());
        (Moment { time: self.start.later(micros), micros }, jump)
    }

    #[inline]
    fn guard(&self, wall: i64) -> (i64, Option<ClockJump>) {
        // Written only when time has moved, so that cores which verify in the same tick share the line.
        let floor = self.floor.load(Ordering::Relaxed);
        let now = if wall > floor {
            self.floor.fetch_max(wall, Ordering::Relaxed).max(wall)
        } else {
            floor
        };
        let compared_at = self.compared_at.load(Ordering::Relaxed);
        let jump = if wall.abs_diff(compared_at) >= COMPARE_EVERY_MICROS.unsigned_abs() {
            self.compare(wall)
        } else {
            None
        };
        (now.clamp(*RECORDABLE_MICROS.start(), *RECORDABLE_MICROS.end()), jump)
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

/// A day whose date is known: a time on it or soon after it is cheaper to express from there than from
/// 1970.
struct Day {
    number: i64,
    date: NaiveDate,
}

impl Day {
    fn of(micros: i64) -> Self {
        Self { number: micros.div_euclid(DAY_MICROS), date: from_micros(micros).date_naive() }
    }

    #[inline]
    fn later(&self, micros: i64) -> DateTime<Utc> {
        let (number, of_day) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
        let date = match number.wrapping_sub(self.number) {
            0 => Some(self.date),
            days => u64::try_from(days)
                .ok()
                .and_then(|days| self.date.checked_add_days(Days::new(days))),
        };
        // Seconds of a day and less than a second of nanoseconds: both fit.
        let (second, nanos) = (of_day / 1_000_000, of_day % 1_000_000 * 1_000);
        let time = NaiveTime::from_num_seconds_from_midnight_opt(second as u32, nanos as u32);
        match (date, time) {
            (Some(date), Some(time)) => date.and_time(time).and_utc(),
            _ => from_micros(micros),
        }
    }
}

fn monotonic_micros(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.monotonic().as_micros()).unwrap_or(i64::MAX)
}

/// A time from microseconds since 1970; beyond what `chrono` can express, its nearest end.
pub(crate) fn from_micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(if micros < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}

/// The time as records keep it.
pub(crate) fn whole_micros(time: DateTime<Utc>) -> DateTime<Utc> {
    from_micros(time.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks() -> (Arc<ManualClock>, GuardedClock) {
        let manual = Arc::new(ManualClock::default());
        (manual.clone(), GuardedClock::new(manual))
    }

    #[test]
    fn time_never_runs_backwards() {
        let (manual, guarded) = clocks();
        let start = guarded.now().0;
        manual.set(start - chrono::Duration::hours(5));
        assert_eq!(guarded.now().0, start);
        manual.set(start + chrono::Duration::microseconds(1));
        assert_eq!(guarded.now().0, start + chrono::Duration::microseconds(1));
    }

    #[test]
    fn a_minute_is_no_jump_and_a_microsecond_more_is_one_reported_once() {
        for sign in [-1, 1] {
            let (manual, guarded) = clocks();
            let start = manual.now();
            manual.set(start + chrono::Duration::minutes(1) * sign);
            assert_eq!(guarded.now().1, None);
            let jumped = chrono::Duration::microseconds(60_000_001) * sign;
            manual.set(start + jumped + chrono::Duration::hours(2) * sign);
            let jump = guarded.now().1.unwrap();
            assert_eq!(jump.by, jumped + chrono::Duration::hours(2) * sign);
            assert!(guarded.jumped());
            assert_eq!(guarded.now().1, None);
            assert!(guarded.acknowledge());
            assert!(!guarded.jumped());
        }
    }

    #[test]
    fn exactly_at_the_bound() {
        let (manual, guarded) = clocks();
        manual.set(manual.now() + chrono::Duration::microseconds(60_000_001));
        assert!(guarded.now().1.is_some());
    }

    #[test]
    fn a_jump_across_all_of_time_is_one() {
        let manual = Arc::new(ManualClock::new(DateTime::<Utc>::MAX_UTC));
        let guarded = GuardedClock::new(manual.clone());
        manual.set(DateTime::<Utc>::MIN_UTC);
        assert!(guarded.now().1.is_some());
        assert_eq!(guarded.now().0, from_micros(*RECORDABLE_MICROS.end()));
    }

    #[test]
    fn a_time_server_s_corrections_do_not_add_up() {
        let (manual, guarded) = clocks();
        for _ in 0..365 {
            manual.advance(Duration::from_secs(86_400));
            manual.set(manual.now() + chrono::Duration::seconds(1));
            assert_eq!(guarded.now().1, None);
        }
    }

    #[test]
    fn many_small_steps_in_a_day_are_a_jump() {
        let (manual, guarded) = clocks();
        let mut jumps = 0;
        for _ in 0..10 {
            manual.advance(Duration::from_secs(60));
            manual.set(manual.now() + chrono::Duration::seconds(59));
            jumps += usize::from(guarded.now().1.is_some());
        }
        assert_eq!(jumps, 5);
    }

    #[test]
    fn passing_time_is_no_jump() {
        let (manual, guarded) = clocks();
        manual.advance(Duration::from_secs(86_400));
        assert_eq!(guarded.now().1, None);
    }
}
