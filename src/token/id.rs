//! The public half of a token.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::base62::{ID_LEN, all_base62, decode_id, encode_base62};
use crate::random::{RandomError, RandomSource};

/// The public half of a token. It appears in the token, in lists, logs and revocations, and is
/// never secret.
///
/// An id is a 128-bit number, generated as a UUID of version 7, so ids sort by time of issue. The id of an
/// [imported](Self::is_imported) token sorts before all others. As text an id has 22 characters of
/// base62, exactly as in the token.
///
/// ```
/// use service_tokens::TokenId;
///
/// let id: TokenId = "05Swf3OEdIgE2bQlsPJ8wB".parse()?;
/// assert_eq!(id.to_string(), "05Swf3OEdIgE2bQlsPJ8wB");
/// assert_eq!(TokenId::from_uuid(id.to_uuid()), id);
/// # Ok::<(), service_tokens::token::InvalidTokenId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
// Two numbers travel in registers. An array of 16 bytes would be read as one value after it was
// written as two halves, which causes a store-forwarding stall. A `u128` would align every struct
// that contains an id to 16 bytes.
pub struct TokenId {
    high: u64,
    low: u64,
}

/// The error returned for a text that is not 22 characters of base62 with a value below 2^128.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token id must have 22 characters of 0-9A-Za-z and a value below 2^128")]
pub struct InvalidTokenId;

impl TokenId {
    /// Creates the id with the value of this UUID.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::TokenId;
    /// use service_tokens::uuid::uuid;
    ///
    /// let id = TokenId::from_uuid(uuid!("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"));
    /// assert_eq!(id.to_string(), "02p5oQZoHTv0zeY5yG21K3");
    /// ```
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self::from_bytes(*uuid.as_bytes())
    }

    /// Returns the id as a UUID.
    pub const fn to_uuid(self) -> Uuid {
        Uuid::from_bytes(self.to_bytes())
    }

    /// Creates an id from its 16 bytes, most significant byte first.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::TokenId;
    ///
    /// let id: TokenId = "02p5oQZoHTv0zeY5yG21K3".parse()?;
    /// assert_eq!(TokenId::from_bytes(id.to_bytes()), id);
    /// # Ok::<(), service_tokens::token::InvalidTokenId>(())
    /// ```
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::from_value(u128::from_be_bytes(bytes))
    }

    /// Returns the 16 bytes of the id, most significant byte first. They sort like the ids.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.value().to_be_bytes()
    }

    pub(super) const fn from_value(value: u128) -> Self {
        Self { high: (value >> 64) as u64, low: value as u64 }
    }

    /// Returns the id as a number.
    #[inline]
    pub(crate) const fn value(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    /// Generates an id of version 7 (RFC 9562 §5.7) for a token issued at `now`.
    pub(crate) fn generate(
        now: DateTime<Utc>,
        source: &dyn RandomSource,
    ) -> Result<Self, RandomError> {
        let mut random = [0; 10];
        source.fill(&mut random)?;
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        Ok(Self::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()))
    }

    /// Returns whether this is the id of a token that was imported from an older system.
    ///
    /// Such an id is a UUID of version 8 (RFC 9562 §5.8) whose first 16 bits are zero. It is smaller than
    /// every id of a token that was issued, because that begins with the time of the issue.
    pub fn is_imported(self) -> bool {
        let uuid = self.to_uuid();
        self.value() >> 112 == 0
            && uuid.get_version_num() == 8
            && uuid.get_variant() == uuid::Variant::RFC4122
    }

    pub(super) fn encode(self) -> [u8; ID_LEN] {
        let mut characters = [0; ID_LEN];
        encode_base62(self.value(), &mut characters);
        characters
    }
}

impl Hash for TokenId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Hashing one number is faster than hashing a slice.
        state.write_u128(self.value());
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let characters = self.encode();
        f.pad(str::from_utf8(&characters).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({self})")
    }
}

impl FromStr for TokenId {
    type Err = InvalidTokenId;

    /// Reads an id from its 22 characters of base62.
    ///
    /// # Errors
    ///
    /// [`InvalidTokenId`] if the text has another length or another character, or if its value is 2^128 or
    /// more.
    fn from_str(text: &str) -> Result<Self, InvalidTokenId> {
        let characters: &[u8; ID_LEN] = text.as_bytes().try_into().map_err(|_| InvalidTokenId)?;
        if !all_base62(characters) {
            return Err(InvalidTokenId);
        }
        decode_id(characters).map(Self::from_value).ok_or(InvalidTokenId)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for TokenId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for TokenId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
