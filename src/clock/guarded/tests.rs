//! Guarded time does not run backwards, jumps are detected, and the coarse clock is close to the
//! exact one.

use super::*;
use crate::clock::{ManualClock, SystemClock};

fn clocks() -> (Arc<ManualClock>, GuardedClock) {
    let manual = Arc::new(ManualClock::default());
    (manual.clone(), GuardedClock::new(manual))
}

fn now(guarded: &GuardedClock) -> DateTime<Utc> {
    guarded.now(|_| {})
}

/// Returns the jump that a read of the clock detects.
fn jump(guarded: &GuardedClock) -> Option<ClockJump> {
    let mut noticed = None;
    guarded.now(|jump| noticed = Some(jump));
    noticed
}

#[test]
fn time_never_runs_backwards() {
    let (manual, guarded) = clocks();
    let start = now(&guarded);
    manual.set(start - chrono::Duration::hours(5));
    assert_eq!(now(&guarded), start);
    manual.set(start + chrono::Duration::microseconds(1));
    assert_eq!(now(&guarded), start + chrono::Duration::microseconds(1));
}

#[test]
fn coarse_clock_lags_at_most_10_ms() {
    let clock = SystemClock::new();
    for _ in 0..200 {
        let before = clock.now().timestamp_micros();
        let coarse = clock.coarse_micros();
        let after = clock.now().timestamp_micros();
        assert!((before - 10_000..=after).contains(&coarse), "{before} {coarse} {after}");
        std::thread::sleep(Duration::from_micros(150));
    }
}

#[test]
fn verify_time_is_never_before_operation_time() {
    let guarded = GuardedClock::new(Arc::new(SystemClock::new()));
    for _ in 0..1_000 {
        let operation = now(&guarded);
        let verification = guarded.now_coarse(|_| {});
        assert!(verification.time >= operation);
        assert_eq!(verification.time.timestamp_micros(), verification.micros);
    }
}

#[test]
fn time_within_known_day_is_unchanged() {
    let day = |days: i64| DAY_MICROS * days;
    for start in [0, day(20_454) + 7, day(20_515) - 1] {
        let known = Dates::from(start);
        for offset in [
            0,
            1,
            999_999,
            day(1) - 1,
            day(1),
            day(58),
            day(366),
            day(1_023),
            day(1_024),
            day(4_000_000),
        ] {
            for micros in [start.saturating_add(offset), start - offset] {
                assert_eq!(known.time(micros), from_micros(micros), "{start} {offset}");
            }
        }
    }
}

#[test]
fn jump_beyond_one_minute_is_reported_once() {
    for sign in [-1, 1] {
        let (manual, guarded) = clocks();
        let start = manual.now();
        manual.set(start + chrono::Duration::minutes(1) * sign);
        assert_eq!(jump(&guarded), None);
        let jumped = chrono::Duration::microseconds(60_000_001) * sign;
        manual.set(start + jumped + chrono::Duration::hours(2) * sign);
        let noticed = jump(&guarded).unwrap();
        assert_eq!(noticed.by, jumped + chrono::Duration::hours(2) * sign);
        assert!(guarded.jumped());
        assert_eq!(jump(&guarded), None);
        assert!(guarded.acknowledge().is_some());
        assert!(!guarded.jumped());
    }
}

#[test]
fn jump_is_longer_than_a_minute() {
    for sign in [-1, 1] {
        for (micros, jumps) in [(59_999_999, false), (60_000_000, false), (60_000_001, true)] {
            let (manual, guarded) = clocks();
            let by = chrono::Duration::microseconds(micros * sign);
            manual.set(manual.now() + by);
            assert_eq!(jump(&guarded).map(|jump| jump.by), jumps.then_some(by));
            assert_eq!(guarded.jumped(), jumps);
        }
    }
}

#[test]
fn jump_across_all_of_time_is_reported() {
    let manual = Arc::new(ManualClock::new(DateTime::<Utc>::MAX_UTC));
    let guarded = GuardedClock::new(manual.clone());
    manual.set(DateTime::<Utc>::MIN_UTC);
    assert!(jump(&guarded).is_some());
    assert_eq!(now(&guarded), from_micros(*RECORDABLE_MICROS.end()));
}

#[test]
fn time_server_corrections_do_not_accumulate() {
    let (manual, guarded) = clocks();
    for _ in 0..365 {
        manual.advance(Duration::from_secs(86_400));
        manual.set(manual.now() + chrono::Duration::seconds(1));
        assert_eq!(jump(&guarded), None);
    }
}

#[test]
fn many_small_steps_in_a_day_are_reported() {
    let (manual, guarded) = clocks();
    let mut jumps = 0;
    for _ in 0..10 {
        manual.advance(Duration::from_secs(60));
        manual.set(manual.now() + chrono::Duration::seconds(59));
        jumps += usize::from(jump(&guarded).is_some());
    }
    assert_eq!(jumps, 5);
}

#[test]
fn passing_time_is_not_a_jump() {
    let (manual, guarded) = clocks();
    manual.advance(Duration::from_secs(86_400));
    assert_eq!(jump(&guarded), None);
}

fn agreed(time: DateTime<Utc>) -> Earlier {
    Earlier { time, doubted: false, passed: time }
}

fn earlier(guarded: &GuardedClock) -> Earlier {
    guarded.earlier(|_| {})
}

#[test]
fn earlier_time_follows_clock_back() {
    let (manual, guarded) = clocks();
    let start = manual.now();
    assert_eq!(earlier(&guarded), agreed(start));
    manual.set(start + chrono::Duration::seconds(50));
    let ahead = now(&guarded);
    manual.set(start + chrono::Duration::seconds(1));
    assert_eq!(now(&guarded), ahead);
    assert_eq!(earlier(&guarded), agreed(manual.now()));
}

#[test]
fn doubtful_clock_gives_the_earliest_time() {
    let (manual, guarded) = clocks();
    let start = ManualClock::default().now();
    for days in [400, -400, 0, 3] {
        let now = start + chrono::Duration::days(days);
        manual.set(now);
        // Suspensions neither pass nor come back, except by a clock that was set back.
        let doubtful =
            Earlier { time: DateTime::UNIX_EPOCH, doubted: true, passed: start.min(now) };
        for _ in 0..2 {
            assert_eq!(earlier(&guarded), doubtful, "{days}");
            manual.advance(Duration::from_secs(days.unsigned_abs() % 2));
        }
    }
    assert!(guarded.acknowledge().is_some());
    assert_eq!(earlier(&guarded), agreed(manual.now()));
}

#[test]
fn polled_jump_is_reported_once() {
    let (manual, guarded) = clocks();
    manual.set(manual.now() + chrono::Duration::days(1));
    let told = std::cell::Cell::new(0);
    for _ in 0..3 {
        guarded.earlier(|_| told.set(told.get() + 1));
    }
    assert_eq!(told.get(), 1);
}
