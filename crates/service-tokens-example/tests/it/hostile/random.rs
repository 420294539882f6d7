//! Random choices that a seed repeats (SplitMix64).

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// Returns a length, mostly a short one.
    pub(crate) fn length(&mut self) -> usize {
        let most = [4, 40, 400, 4_000, 60_000][[0, 0, 1, 1, 1, 2, 2, 3, 3, 4][self.below(10)]];
        self.below(most)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// Returns a text of these bytes only.
    pub(crate) fn text(&mut self, length: usize, of: &[u8]) -> Vec<u8> {
        (0..length).map(|_| of[self.below(of.len())]).collect()
    }
}
