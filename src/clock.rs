//! What time it is, and whether that can be believed.

mod guarded;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};

pub use guarded::ClockJump;
pub(crate) use guarded::{Earlier, GuardedClock, Moment};

/// Where the time comes from. The default is [`SystemClock`]; tests use [`ManualClock`].
///
/// # Contract
///
/// `now` may jump (somebody set the clock); `monotonic` never runs backwards and never jumps. The
/// service compares the two: see [`TokenService::has_clock_jumped`](crate::TokenService::has_clock_jumped).
/// `coarse_micros` is read on every verification, and the others where a store is waited for: they
/// must be cheap.
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
/// tick, every 1 to 10 ms: it costs a fraction.
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
    #[allow(clippy::useless_conversion, reason = "it is one where a number has 32 bits")]
    fn coarse_micros(&self) -> i64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        time.tv_sec * 1_000_000 + i64::from(time.tv_nsec) / 1_000
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

fn system_now() -> DateTime<Utc> {
    let now = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => micros(since),
        Err(before) => -micros(before.duration()),
    };
    from_micros(now)
}

/// A clock that moves only when told to: for tests of the embedder's own.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use service_tokens::clock::{Clock, ManualClock};
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
        let by = micros(by);
        for clock in [&self.wall, &self.monotonic] {
            let later = |time: i64| Some(time.saturating_add(by));
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

/// The times that a record can hold, in microseconds: the years 1970 to 9999.
pub(crate) const RECORDABLE_MICROS: RangeInclusive<i64> = 0..=253_402_300_799_999_999;

/// A time from microseconds since 1970; beyond what `chrono` can express, its nearest end.
pub(crate) fn from_micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(if micros < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}

/// So many whole microseconds, or as many as can be counted.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The time as records keep it.
pub(crate) fn whole_micros(time: DateTime<Utc>) -> DateTime<Utc> {
    from_micros(time.timestamp_micros())
}
