//! A table of fixed size with the recent times of numbers, which many cores read and few write.
//!
//! It is a set-associative cache without locks. The hash of a number selects a set of four slots, and a
//! slot holds a tag from the hash and the time. A read writes no memory. The table may lose any entry,
//! so its users must be correct without it. It never returns a time that was not set for the number,
//! except if 76 bits of two hashes are equal; the key of the hash is random, so an attacker cannot
//! choose such numbers.

use std::array;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The slots of one set. With a single slot, two hot tokens of the same set would evict each other
/// again and again.
const SLOTS: usize = 4;

/// Numbers, such as ids, each with a time in microseconds.
pub(super) struct RecentTimes {
    keys: [u64; 2],
    sets: Box<[Set]>,
}

/// The slots of one set, in one cache line.
#[derive(Default)]
#[repr(align(64))]
struct Set([Slot; SLOTS]);

/// One entry. The tag is stored combined with the time by exclusive or. If two threads write at
/// once, the slot may get the time of one and the tag of the other. Then the combination gives a tag
/// that matches neither number.
#[derive(Default)]
struct Slot {
    time: AtomicI64,
    tag_and_time: AtomicU64,
}

impl Slot {
    fn read(&self) -> (u64, i64) {
        let time = self.time.load(Ordering::Relaxed);
        (self.tag_and_time.load(Ordering::Relaxed) ^ time.cast_unsigned(), time)
    }

    fn write(&self, tag: u64, time: i64) {
        self.time.store(time, Ordering::Relaxed);
        self.tag_and_time.store(tag ^ time.cast_unsigned(), Ordering::Relaxed);
    }
}

impl RecentTimes {
    /// Creates a table with at least `capacity` slots.
    pub(super) fn new(capacity: usize) -> Self {
        let seed = RandomState::new();
        let sets = (capacity / SLOTS).next_power_of_two();
        Self {
            keys: array::from_fn(|n| seed.hash_one(n)),
            sets: (0..sets).map(|_| Set::default()).collect(),
        }
    }

    /// Returns the latest time of the number, if the table still has it.
    pub(super) fn get(&self, number: u128) -> Option<i64> {
        let (set, tag) = self.locate(number);
        set.0.iter().map(Slot::read).find(|(known, _)| *known == tag).map(|(_, time)| time)
    }

    /// Sets the time of the number, in its own slot or else in that with the earliest time.
    pub(super) fn set(&self, number: u128, time: i64) {
        let (set, tag) = self.locate(number);
        let [first, others @ ..] = &set.0;
        let rank = |slot: &Slot| match slot.read() {
            (known, _) if known == tag => i64::MIN,
            (_, time) => time,
        };
        let slot = others.iter().fold(
            first,
            |best, slot| {
                if rank(slot) < rank(best) { slot } else { best }
            },
        );
        slot.write(tag, time);
    }

    /// Returns the set and the tag of a number. The hash is NH, the first layer of UMAC (RFC 4418 §5.2),
    /// which takes one multiplication.
    fn locate(&self, number: u128) -> (&Set, u64) {
        let [low, high] = [number as u64, (number >> 64) as u64];
        let low = u128::from(low.wrapping_add(self.keys[0]));
        let product = low * u128::from(high.wrapping_add(self.keys[1]));
        let (low, high) = (product as u64, (product >> 64) as u64);
        // The number of sets is a power of two.
        (&self.sets[high as usize & (self.sets.len() - 1)], low ^ high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn get_after_set_returns_the_time() {
        let recent = RecentTimes::new(1_024);
        let numbers: Vec<u128> = (1..=500u128).map(|n| n << 64 | n.wrapping_mul(n)).collect();
        for (time, number) in numbers.iter().enumerate() {
            recent.set(*number, time as i64);
            recent.set(*number, time as i64 + 1);
            assert_eq!(recent.get(*number), Some(time as i64 + 1));
        }
        let known = |(time, number): (usize, &u128)| match recent.get(*number) {
            Some(noted) => {
                assert_eq!(noted, time as i64 + 1);
                true
            }
            None => false,
        };
        let known = numbers.iter().enumerate().filter(|entry| known(*entry)).count();
        assert!(known > 400, "{known} of 500 in a table for 1,024");
        assert!((1_000..2_000u128).all(|n| recent.get(n << 64).is_none()));
    }

    #[test]
    fn set_in_full_set_evicts_the_earliest() {
        let recent = RecentTimes::new(SLOTS);
        for n in 0..=SLOTS {
            recent.set(1 << 64 | n as u128, 1_000 + n as i64);
        }
        assert_eq!(recent.get(1 << 64), None);
        assert!((1..=SLOTS).all(|n| recent.get(1 << 64 | n as u128).is_some()));
    }

    /// Each number gets only times from which the test can derive that number.
    #[test]
    fn set_by_racing_threads_mixes_no_entries() {
        let recent = &RecentTimes::new(SLOTS);
        std::thread::scope(|threads| {
            for own in 0..8u128 {
                threads.spawn(move || {
                    for turn in 1..20_000 {
                        recent.set(own + 1, turn * 8 + own as i64);
                        for other in 0..8u128 {
                            if let Some(time) = recent.get(other + 1) {
                                assert_eq!(time % 8, other as i64, "{time} is of another");
                            }
                        }
                    }
                });
            }
        });
    }
}
