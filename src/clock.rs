//! The clocks that the service reads.
//!
//! [`SystemClock`] is the default and [`ManualClock`] is for tests. Implement [`Clock`] to take the time
//! from another source. The service reports a [`ClockJump`] if the wall clock was set.

mod guarded;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

pub use guarded::ClockJump;
pub(crate) use guarded::{Earlier, GuardedClock, Moment};

/// A source of time. The default is [`SystemClock`], and tests use [`ManualClock`].
///
/// # Contract
///
/// `now` may jump, because the clock can be set. `monotonic` must never run backwards and never jump. The
/// service compares the two and reports a jump (see
/// [`TokenService::has_clock_jumped`](crate::TokenService::has_clock_jumped)).
/// All three must be cheap, because each verification calls `coarse_micros`, and also calls the others if
/// it waits for a store.
///
/// # Examples
///
/// A clock that runs one hour ahead of the operating system, to test the effects:
///
/// ```
/// use std::time::Duration;
/// use service_tokens::chrono::{DateTime, Utc};
/// use service_tokens::clock::{Clock, SystemClock};
///
/// struct Ahead(SystemClock);
///
/// impl Clock for Ahead {
///     fn now(&self) -> DateTime<Utc> {
///         self.0.now() + Duration::from_secs(3_600)
///     }
///
///     fn monotonic(&self) -> Duration {
///         self.0.monotonic()
///     }
/// }
/// # assert!(Ahead(SystemClock::new()).now() > SystemClock::new().now());
/// ```
pub trait Clock: Send + Sync {
    /// Returns the wall-clock time. The service drops anything below a microsecond.
    fn now(&self) -> DateTime<Utc>;

    /// Returns the wall-clock time for a verification, in microseconds since 1970. It may lag behind
    /// [`now`](Self::now) by at most 10 ms if that makes it cheaper. A token may then be accepted for up
    /// to 10 ms after its expiry time.
    ///
    /// The default calls [`now`](Self::now).
    fn coarse_micros(&self) -> i64 {
        self.now().timestamp_micros()
    }

    /// Returns the time since a fixed, arbitrary moment. It must never decrease or jump.
    fn monotonic(&self) -> Duration;
}

macro_rules! forward {
    ($($pointer:ident)+) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<C: Clock + ?Sized> Clock for $pointer<C> {
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
    )+};
}

forward!(Arc Box);

/// The clocks of the operating system.
///
/// On Linux a verification reads the coarse clock, which the kernel updates every 1 to 10 ms, because
/// reading it costs a fraction of the time.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Creates a clock whose monotonic time counts from now.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::clock::{Clock, SystemClock};
    ///
    /// let clock = SystemClock::new();
    /// let before = clock.monotonic();
    /// assert!(clock.monotonic() >= before);
    /// ```
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
    #[allow(clippy::useless_conversion, reason = "on some targets the field has 32 bits")]
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

/// A clock that moves only when the program moves it, for tests.
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
    /// Creates a clock that is stopped at `now`. Its monotonic time is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::clock::{Clock, ManualClock};
    ///
    /// let start = "2026-03-01T12:00:00Z".parse()?;
    /// assert_eq!(ManualClock::new(start).now(), start);
    /// # Ok::<(), service_tokens::chrono::ParseError>(())
    /// ```
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { wall: AtomicI64::new(now.timestamp_micros()), monotonic: AtomicI64::new(0) }
    }

    /// Advances the wall clock and the monotonic clock by the same duration.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use service_tokens::clock::{Clock, ManualClock};
    ///
    /// let clock = ManualClock::default();
    /// let (wall, monotonic) = (clock.now(), clock.monotonic());
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(clock.now(), wall + Duration::from_secs(60));
    /// assert_eq!(clock.monotonic(), monotonic + Duration::from_secs(60));
    /// ```
    pub fn advance(&self, by: Duration) {
        let by = micros(by);
        for clock in [&self.wall, &self.monotonic] {
            let later = |time: i64| Some(time.saturating_add(by));
            let _ = clock.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
        }
    }

    /// Sets the wall clock, as an operator or a time server would. The monotonic clock does not move.
    ///
    /// A service over this clock reports a step of more than a minute as a jump. Its own time never runs
    /// backwards.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use service_tokens::clock::{Clock, ManualClock};
    /// use service_tokens::{MemoryStore, TokenService};
    ///
    /// let clock = Arc::new(ManualClock::default());
    /// let service =
    ///     TokenService::builder(MemoryStore::new(), "acme_test").clock(clock.clone()).build()?;
    /// clock.set(clock.now() + Duration::from_secs(3_600));
    /// assert!(service.has_clock_jumped());
    /// # Ok::<(), service_tokens::BuildError>(())
    /// ```
    pub fn set(&self, now: DateTime<Utc>) {
        self.wall.store(now.timestamp_micros(), Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    /// Creates a clock that is stopped at 2026-01-01T00:00:00Z.
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

/// The times that a record can hold, in microseconds since 1970: the years 1970 to 9999.
pub(crate) const RECORDABLE_MICROS: RangeInclusive<i64> = 0..=253_402_300_799_999_999;

/// Converts microseconds since 1970. A time that `chrono` cannot express becomes the nearest one.
pub(crate) fn from_micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(if micros < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}

/// Returns the time as text, as messages and events show it.
pub(crate) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Converts a duration to whole microseconds, saturating.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Rounds a time down to whole microseconds, as records store it.
pub(crate) fn whole_micros(time: DateTime<Utc>) -> DateTime<Utc> {
    from_micros(time.timestamp_micros())
}

/// The distance that two times must have so that no whole millisecond names both, see [`names`].
pub(crate) const NAMED_APART: TimeDelta = TimeDelta::milliseconds(2);

/// Returns whether a time that a client sends back names this recorded time.
///
/// Many clients hold times in milliseconds, such as a `Date` of JavaScript. They send back a recorded time
/// rounded down, up or to the nearest millisecond. So a whole millisecond also names a time that is less
/// than a millisecond away. Recorded times that must not be confused are at least [`NAMED_APART`].
pub(crate) fn names(sent: DateTime<Utc>, recorded: DateTime<Utc>) -> bool {
    let (sent, recorded) = (whole_micros(sent), whole_micros(recorded));
    let is_whole_milli = sent.timestamp_subsec_micros() % 1_000 == 0;
    let distance = (sent - recorded).abs();
    distance.is_zero() || (is_whole_milli && distance < TimeDelta::milliseconds(1))
}
