//! Token texts as requests bring them.

/// Texts of one length, side by side in the order in which they are verified: as in a request's
/// buffer the text itself is at hand, and which record it leads to no cache can foresee.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    bytes: Vec<u8>,
    width: usize,
}

impl Tokens {
    /// Lays the texts side by side.
    pub fn new<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut tokens = Self::default();
        texts.into_iter().for_each(|text| tokens.push(text.as_ref()));
        tokens
    }

    fn push(&mut self, text: &[u8]) {
        assert!(self.width == 0 || self.width == text.len(), "texts of one length");
        self.width = text.len();
        self.bytes.extend_from_slice(text);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.width.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.width.max(1))
    }

    /// For ever, from a place on.
    pub fn from(&self, start: usize) -> Walk<'_> {
        Walk { tokens: self, at: start % self.len() * self.width }
    }

    /// The same with a typing error in each.
    pub fn mistyped(&self) -> Self {
        Self::new(self.iter().map(|text| {
            let mut text = text.to_vec();
            if let Some(last) = text.last_mut() {
                *last = if *last == b'0' { b'1' } else { b'0' };
            }
            text
        }))
    }
}

/// A way through the tokens that begins again at its end.
#[derive(Debug)]
pub struct Walk<'t> {
    tokens: &'t Tokens,
    at: usize,
}

impl<'t> Walk<'t> {
    /// The next text.
    #[inline]
    pub fn step(&mut self) -> &'t [u8] {
        let end = self.at + self.tokens.width;
        let text = &self.tokens.bytes[self.at..end];
        self.at = if end == self.tokens.bytes.len() { 0 } else { end };
        text
    }
}

/// Numbers without a pattern that a processor would learn, the same in every run (a linear
/// congruential generator after Knuth).
#[derive(Debug, Clone)]
pub struct Picks(u64);

impl Picks {
    /// A series of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x853c_49e6_748f_ea9b)
    }

    /// One of the numbers below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }

    /// Brings items into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
