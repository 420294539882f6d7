//! The source of random bytes: the [`RandomSource`] trait and the operating system's implementation.

use std::sync::Arc;

use rand::TryRng;

/// A source of random bytes. The default is the operating system's, [`OsRandom`].
///
/// Implement it to draw secrets from a hardware source, or to test a source that fails.
///
/// # Contract
///
/// The bytes must be unpredictable, because the security of every token depends on them. A source that
/// cannot deliver must return an error and must not fill in weaker bytes.
///
/// ```
/// use service_tokens::random::{OsRandom, RandomError, RandomSource};
///
/// /// Fails while the device is unplugged.
/// struct Device {
///     plugged: bool,
/// }
///
/// impl RandomSource for Device {
///     fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
///         if self.plugged { OsRandom.fill(bytes) } else { Err(RandomError) }
///     }
/// }
/// # assert!(Device { plugged: false }.fill(&mut [0; 8]).is_err());
/// ```
pub trait RandomSource: Send + Sync {
    /// Fills all of `bytes`.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the source could not deliver every byte.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError>;
}

/// The error returned if the random source failed. No token was issued.
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

macro_rules! forward {
    ($($pointer:ident)+) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<R: RandomSource + ?Sized> RandomSource for $pointer<R> {
            fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
                (**self).fill(bytes)
            }
        }
    )+};
}

forward!(Arc Box);
