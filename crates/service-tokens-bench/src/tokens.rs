//! The texts of tokens, as requests contain them.

/// Texts of one length, in one buffer and in the order of verification. As in a request, the text is in
/// the cache. The record is not, because the order of the records is random.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    bytes: Vec<u8>,
    width: usize,
}

impl Tokens {
    /// Copies the texts into one buffer.
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

    /// Returns the number of texts.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.width.max(1)
    }

    /// Returns whether there are zero texts.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns an iterator over the texts.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.width.max(1))
    }

    /// Returns an endless series of texts that begins at an index.
    pub fn from(&self, start: usize) -> Cycle<'_> {
        Cycle { tokens: self, at: start % self.len() * self.width }
    }

    /// Returns the same texts with a typing error in each.
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

/// An endless series of texts. After the last text it continues with the first.
#[derive(Debug)]
pub struct Cycle<'t> {
    tokens: &'t Tokens,
    at: usize,
}

impl<'t> Cycle<'t> {
    /// Returns the next text.
    #[inline]
    pub fn next_text(&mut self) -> &'t [u8] {
        let end = self.at + self.tokens.width;
        let text = &self.tokens.bytes[self.at..end];
        self.at = if end == self.tokens.bytes.len() { 0 } else { end };
        text
    }
}

/// A generator of pseudo-random numbers, the same in every run (Knuth's linear congruential generator). The
/// branch predictor of a processor cannot learn them.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Creates a generator. Each seed has its own series.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x853c_49e6_748f_ea9b)
    }

    /// Returns a number below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }

    /// Shuffles items.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
