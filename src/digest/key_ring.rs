//! The keys of keyed digests.

use std::fmt;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit};
use sha2::Sha256;

/// The id of a key in a [`KeyRing`]: four bytes that the embedder chooses, stored in each digest.
/// `Display` writes them as text if all are printable ASCII, and in hexadecimal otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match str::from_utf8(&self.0) {
            Ok(text) if text.bytes().all(|b| b.is_ascii_graphic()) => f.write_str(text),
            _ => write!(f, "{:08x}", u32::from_be_bytes(self.0)),
        }
    }
}

/// The error returned for a key that cannot be added to a [`KeyRing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// The key is shorter than 32 bytes, the length of the hash (RFC 2104 §3).
    #[error("the key must have at least 32 bytes")]
    TooShort,
    /// The ring already has a key with this id.
    #[error("the key ring already has a key with the id {0}")]
    DuplicateId(KeyId),
}

/// The keys for digests of scheme 2: the active key, which creates digests, and any number of
/// retired keys, which only verify.
///
/// Keyed digests are useful if more people can read the storage than the secrets of the service. A
/// reader of the rows cannot even confirm that a token is valid. To change the key, make a new one
/// active and retire the old one. Tokens move to the new key when they are rotated. If a key is
/// removed from the ring, tokens under it are refused with a reason of its own in the error and the
/// event. Digests that were created before there was a ring (scheme 1) stay valid. See
/// [Keys and digests](crate::manual::keys_and_digests) for the life of a key.
///
/// ```
/// use service_tokens::digest::KeyId;
/// use service_tokens::KeyRing;
///
/// # let (this_year, last_year) = ([1u8; 32], [2u8; 32]);
/// let keys = KeyRing::new(KeyId(*b"2026"), &this_year)?.retired(KeyId(*b"2025"), &last_year)?;
/// # Ok::<(), service_tokens::digest::InvalidKey>(())
/// ```
#[derive(Clone)]
pub struct KeyRing {
    pub(super) active: RingKey,
    retired: Vec<RingKey>,
}

/// A key of a ring.
#[derive(Clone)]
pub(crate) struct RingKey {
    pub(super) id: KeyId,
    pub(super) mac: Hmac<Sha256>,
    /// The time from which secrets under a retired key are refused.
    pub(super) end: Option<DateTime<Utc>>,
}

impl KeyRing {
    /// Creates a ring with this active key. Use at least 32 bytes from a random source.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidKey::TooShort`] if the key has fewer than 32 bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::digest::{InvalidKey, KeyId};
    /// use service_tokens::KeyRing;
    ///
    /// assert!(KeyRing::new(KeyId(*b"2026"), &[7; 32]).is_ok());
    /// assert_eq!(KeyRing::new(KeyId(*b"2026"), b"short").unwrap_err(), InvalidKey::TooShort);
    /// ```
    pub fn new(id: KeyId, key: &[u8]) -> Result<Self, InvalidKey> {
        Ok(Self { active: RingKey::new(id, key, None)?, retired: Vec::new() })
    }

    /// Adds a retired key, which verifies digests and creates none.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidKey::TooShort`] if the key has fewer than 32 bytes, and
    /// [`InvalidKey::DuplicateId`] if the ring already has a key with this id.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::digest::{InvalidKey, KeyId};
    /// use service_tokens::KeyRing;
    ///
    /// let ring = KeyRing::new(KeyId(*b"2026"), &[7; 32])?;
    /// let again = ring.retired(KeyId(*b"2026"), &[8; 32]);
    /// assert_eq!(again.unwrap_err(), InvalidKey::DuplicateId(KeyId(*b"2026")));
    /// # Ok::<(), InvalidKey>(())
    /// ```
    pub fn retired(self, id: KeyId, key: &[u8]) -> Result<Self, InvalidKey> {
        self.with_retired(id, key, None)
    }

    /// Adds a retired key with an end (exclusive). Until then it verifies digests. From then on, secrets
    /// under this key are recognized and refused with [`Refusal::KeyEnded`](crate::Refusal::KeyEnded).
    ///
    /// A key that is removed from the ring instead gives
    /// [`Refusal::MissingKey`](crate::Refusal::MissingKey), also for a wrong secret. With an end, the log
    /// shows which clients still use the old key with the right secret.
    ///
    /// # Errors
    ///
    /// The errors of [`retired`](Self::retired).
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::chrono::{TimeZone, Utc};
    /// use service_tokens::digest::KeyId;
    /// use service_tokens::KeyRing;
    ///
    /// # let (this_year, last_year) = ([1u8; 32], [2u8; 32]);
    /// let end = Utc.with_ymd_and_hms(2026, 4, 1, 0, 0, 0).unwrap();
    /// let keys = KeyRing::new(KeyId(*b"2026"), &this_year)?
    ///     .retired_until(KeyId(*b"2025"), &last_year, end)?;
    /// # Ok::<(), service_tokens::digest::InvalidKey>(())
    /// ```
    pub fn retired_until(
        self,
        id: KeyId,
        key: &[u8],
        end: DateTime<Utc>,
    ) -> Result<Self, InvalidKey> {
        self.with_retired(id, key, Some(end))
    }

    fn with_retired(
        mut self,
        id: KeyId,
        key: &[u8],
        end: Option<DateTime<Utc>>,
    ) -> Result<Self, InvalidKey> {
        if self.find(id).is_some() {
            return Err(InvalidKey::DuplicateId(id));
        }
        self.retired.push(RingKey::new(id, key, end)?);
        Ok(self)
    }

    /// Returns the key with this id, active or retired.
    pub(super) fn find(&self, id: KeyId) -> Option<&RingKey> {
        std::iter::once(&self.active).chain(&self.retired).find(|key| key.id == id)
    }
}

impl fmt::Debug for RingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingKey")
            .field("id", &self.id)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl RingKey {
    /// Returns the id of a retired key that has ended by `now`.
    pub(crate) fn ended(&self, now: DateTime<Utc>) -> Option<KeyId> {
        self.end.is_some_and(|end| now >= end).then_some(self.id)
    }

    fn new(id: KeyId, key: &[u8], end: Option<DateTime<Utc>>) -> Result<Self, InvalidKey> {
        Ok(Self { id, mac: keyed(key)?, end })
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let retired: Vec<KeyId> = self.retired.iter().map(|key| key.id).collect();
        f.debug_struct("KeyRing")
            .field("active", &self.active.id)
            .field("retired", &retired)
            .finish_non_exhaustive()
    }
}

fn keyed(key: &[u8]) -> Result<Hmac<Sha256>, InvalidKey> {
    if key.len() < 32 {
        return Err(InvalidKey::TooShort);
    }
    Hmac::new_from_slice(key).map_err(|_| InvalidKey::TooShort)
}
