//! The private half of a token, and where it comes from.

use std::fmt;

use rand::TryRng;
use zeroize::{Zeroize, Zeroizing};

/// The base62 alphabet of token bodies, in the order of their values: `0-9A-Za-z`.
pub(crate) const ALPHABET: &[u8; 62] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Characters in a secret: 43 of 62 possible ones carry 256.03 bits.
pub(crate) const SECRET_LEN: usize = 43;

/// A secret as it stands in a token, with the first characters of what follows it: three quarters of
/// the block that it is hashed in, which are read as such.
pub(crate) type Presented = [u8; 48];

/// Where random bytes come from. The default is the operating system.
///
/// It exists so that an embedder can route the draw through a hardware source, and so that a
/// failing source can be tested.
///
/// # Contract
///
/// The bytes must be unpredictable: the whole security of a token rests on them. A source that
/// cannot deliver returns an error; it never fills in anything weaker.
pub trait RandomSource: Send + Sync {
    /// Fills `bytes` completely.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the source could not deliver every byte.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError>;
}

/// The random source failed; nothing was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the random source failed")]
pub struct RandomError;

/// The operating system's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl RandomSource for OsRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        rand::rngs::SysRng.try_fill_bytes(bytes).map_err(|_| RandomError)
    }
}

/// The 43 random characters of a new token. Zeroized on drop, never printed.
pub(crate) struct Secret(Zeroizing<[u8; SECRET_LEN]>);

impl Secret {
    /// Draws a secret, each character uniform over the alphabet.
    pub(crate) fn generate(source: &dyn RandomSource) -> Result<Self, RandomError> {
        let mut secret = Self(Zeroizing::new([0; SECRET_LEN]));
        let mut filled = 0;
        // Six bits select one of 64 values; the two without a character are drawn again, so that no
        // character is likelier than another. A sound source needs more than a few rounds with a
        // probability far below 2^-100; a stuck one must not hang the caller.
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

    pub(crate) fn characters(&self) -> &[u8; SECRET_LEN] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A string that is overwritten when dropped. Its buffer never grows: the capacity is set once.
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

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Constant(u8);
    impl RandomSource for Constant {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
            bytes.fill(self.0);
            Ok(())
        }
    }

    #[test]
    fn a_stuck_source_is_an_error_and_no_endless_loop() {
        assert!(matches!(Secret::generate(&Constant(63)), Err(RandomError)));
    }

    #[test]
    fn characters_are_uniform_enough() {
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
