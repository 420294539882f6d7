//! The private half of a token, in memory that is overwritten when it is dropped.

#[cfg(test)]
pub(crate) mod counted;
mod prefix_tag;

use std::fmt;

pub(crate) use prefix_tag::PrefixTag;
use zeroize::{Zeroize, Zeroizing};

use crate::random::{RandomError, RandomSource};

/// The base62 alphabet of token bodies, in the order of their values: `0-9A-Za-z`.
pub(crate) const ALPHABET: &[u8; 62] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The number of characters in a secret. 43 characters of 62 carry 256.03 bits.
pub(crate) const SECRET_LEN: usize = 43;

/// A secret as it is in a token, with the first characters of the checksum after it. These 48 bytes are
/// three quarters of a SHA-256 block, so hashing reads them without a copy.
pub(crate) type Presented = [u8; 48];

/// The 43 random characters of a new token. They are zeroized on drop and never printed.
pub(crate) struct Secret(Zeroizing<[u8; SECRET_LEN]>);

impl Secret {
    /// Draws a secret whose characters are uniform over the alphabet.
    pub(crate) fn generate(source: &dyn RandomSource) -> Result<Self, RandomError> {
        let mut secret = Self(Zeroizing::new([0; SECRET_LEN]));
        let mut filled = 0;
        // Rejection sampling: six bits select one of 64 values, and the two without a character are drawn
        // again, so every character has the same probability. A sound source needs more than a few
        // rounds with a probability far below 2^-100. The limit keeps a stuck source from hanging the
        // caller.
        for _ in 0..32 {
            let mut pool = Zeroizing::new([0u8; 64]);
            source.fill(pool.as_mut_slice())?;
            for byte in pool.iter() {
                if filled == SECRET_LEN {
                    return Ok(secret);
                }
                if let Some(&character) = ALPHABET.get(usize::from(byte & 63)) {
                    secret.0[filled] = character;
                    filled += 1;
                }
            }
        }
        Err(RandomError)
    }

    #[cfg(test)]
    pub(crate) fn from_characters(characters: [u8; SECRET_LEN]) -> Self {
        Self(Zeroizing::new(characters))
    }

    pub(crate) fn characters(&self) -> &[u8; SECRET_LEN] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A string that is overwritten when dropped. Its buffer never grows, because a growing one would leave
/// a copy behind.
pub(crate) struct SecretText(String);

impl SecretText {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(String::with_capacity(capacity))
    }

    pub(crate) fn push(&mut self, text: &str) {
        debug_assert!(self.0.len() + text.len() <= self.0.capacity());
        self.0.push_str(text);
    }

    pub(crate) fn push_ascii(&mut self, characters: &[u8]) {
        debug_assert!(self.0.len() + characters.len() <= self.0.capacity());
        self.0.extend(characters.iter().map(|&byte| char::from(byte)));
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Clone for SecretText {
    fn clone(&self) -> Self {
        let mut copy = Self::with_capacity(self.0.len());
        copy.push(&self.0);
        copy
    }
}

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    struct Constant(u8);
    impl RandomSource for Constant {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
            bytes.fill(self.0);
            Ok(())
        }
    }

    #[test]
    fn stuck_random_source_is_an_error() {
        assert!(matches!(Secret::generate(&Constant(63)), Err(RandomError)));
    }

    #[test]
    fn characters_are_uniformly_distributed() {
        let mut counts = [0u32; 62];
        for _ in 0..2_000 {
            for byte in Secret::generate(&OsRandom).unwrap().characters() {
                counts[ALPHABET.iter().position(|c| c == byte).unwrap()] += 1;
            }
        }
        // 86,000 draws over 62 characters: mean 1,387, standard deviation 37.
        assert!(counts.iter().all(|&n| (1_150..1_630).contains(&n)), "{counts:?}");
    }
}
