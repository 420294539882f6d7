//! What was noted lately, in a table of fixed size that many cores read and few write.

use std::array;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Places for one number. With a single one, two hot tokens that share it would drive each other out
/// for ever.
const WAYS: usize = 4;

/// Numbers, such as ids, each with the time it was noted at. It may forget any, and it tells no time
/// that was not noted: the number is kept as 76 of its hash's bits, under a key that nobody knows.
pub(in super::super) struct Recent {
    keys: [u64; 2],
    sets: Box<[Set]>,
}

/// One cache line.
#[derive(Default)]
#[repr(align(64))]
struct Set([Place; WAYS]);

/// The time in microseconds, and the tag of its number with the time on top. Two threads that write at
/// once may leave the time of the one with the tag of the other: then no number fits any more.
#[derive(Default)]
struct Place {
    time: AtomicI64,
    tag_and_time: AtomicU64,
}

impl Place {
    fn read(&self) -> (u64, i64) {
        let time = self.time.load(Ordering::Relaxed);
        (self.tag_and_time.load(Ordering::Relaxed) ^ time.cast_unsigned(), time)
    }

    fn write(&self, tag: u64, time: i64) {
        self.time.store(time, Ordering::Relaxed);
        self.tag_and_time.store(tag ^ time.cast_unsigned(), Ordering::Relaxed);
    }
}

impl Recent {
    /// Room for at least so many.
    pub(in super::super) fn new(room: usize) -> Self {
        let seed = RandomState::new();
        let sets = (room / WAYS).next_power_of_two();
        Self {
            keys: array::from_fn(|n| seed.hash_one(n)),
            sets: (0..sets).map(|_| Set::default()).collect(),
        }
    }

    /// When this number was noted last, if that is still known. Writes nothing.
    pub(in super::super) fn noted_at(&self, number: u128) -> Option<i64> {
        let (set, tag) = self.place(number);
        set.0.iter().map(Place::read).find(|(known, _)| *known == tag).map(|(_, time)| time)
    }

    pub(in super::super) fn note(&self, number: u128, time: i64) {
        let (set, tag) = self.place(number);
        let [first, others @ ..] = &set.0;
        // In its own place if it has one, else in that of the longest ago.
        let rank = |place: &Place| match place.read() {
            (known, _) if known == tag => i64::MIN,
            (_, time) => time,
        };
        let place = others.iter().fold(
            first,
            |best, place| {
                if rank(place) < rank(best) { place } else { best }
            },
        );
        place.write(tag, time);
    }

    /// NH, the hash under UMAC (RFC 4418 §5.2): one multiplication.
    fn place(&self, number: u128) -> (&Set, u64) {
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
    fn recent_use_is_known_until_evicted() {
        let recent = Recent::new(1_024);
        let numbers: Vec<u128> = (1..=500u128).map(|n| n << 64 | n.wrapping_mul(n)).collect();
        for (time, number) in numbers.iter().enumerate() {
            recent.note(*number, time as i64);
            recent.note(*number, time as i64 + 1);
            assert_eq!(recent.noted_at(*number), Some(time as i64 + 1));
        }
        let known = |(time, number): (usize, &u128)| match recent.noted_at(*number) {
            Some(noted) => {
                assert_eq!(noted, time as i64 + 1);
                true
            }
            None => false,
        };
        let known = numbers.iter().enumerate().filter(|entry| known(*entry)).count();
        assert!(known > 400, "{known} of 500 in a table for 1,024");
        assert!((1_000..2_000u128).all(|n| recent.noted_at(n << 64).is_none()));
    }

    #[test]
    fn oldest_use_is_evicted() {
        let recent = Recent::new(WAYS);
        for n in 0..=WAYS {
            recent.note(1 << 64 | n as u128, 1_000 + n as i64);
        }
        assert_eq!(recent.noted_at(1 << 64), None);
        assert!((1..=WAYS).all(|n| recent.noted_at(1 << 64 | n as u128).is_some()));
    }

    /// Each number is only ever noted with times that say whose they are.
    #[test]
    fn concurrent_notes_leave_no_false_use() {
        let recent = &Recent::new(WAYS);
        std::thread::scope(|threads| {
            for own in 0..8u128 {
                threads.spawn(move || {
                    for turn in 1..20_000 {
                        recent.note(own + 1, turn * 8 + own as i64);
                        for other in 0..8u128 {
                            if let Some(time) = recent.noted_at(other + 1) {
                                assert_eq!(time % 8, other as i64, "{time} is of another");
                            }
                        }
                    }
                });
            }
        });
    }
}
