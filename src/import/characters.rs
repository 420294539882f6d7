//! Sets of characters.

use std::fmt;

use super::InvalidForm;

/// A set of visible ASCII characters, of which a part of an old credential consists.
///
/// # Examples
///
/// ```
/// use service_tokens::import::Characters;
///
/// let base62 = Characters::DIGITS.and(Characters::LOWER).and(Characters::UPPER);
/// assert_eq!(base62, Characters::BASE62);
/// assert!(base62.contains('k') && !base62.contains('-'));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Characters(u128);

impl Characters {
    /// The digits `0-9`.
    pub const DIGITS: Self = Self::range(b'0', b'9');
    /// The letters `a-z`.
    pub const LOWER: Self = Self::range(b'a', b'z');
    /// The letters `A-Z`.
    pub const UPPER: Self = Self::range(b'A', b'Z');
    /// The hexadecimal digits `0-9a-f`.
    pub const LOWER_HEX: Self = Self::DIGITS.and(Self::range(b'a', b'f'));
    /// The hexadecimal digits `0-9A-F`.
    pub const UPPER_HEX: Self = Self::DIGITS.and(Self::range(b'A', b'F'));
    /// The digits and letters `0-9A-Za-z`.
    pub const BASE62: Self = Self::DIGITS.and(Self::LOWER).and(Self::UPPER);
    /// The characters of base64url without padding, `A-Za-z0-9-_` (RFC 4648 §5).
    pub const BASE64URL: Self = Self::BASE62.with(b'-').with(b'_');
    /// The characters of base64 with padding, `A-Za-z0-9+/=` (RFC 4648 §4).
    pub const BASE64: Self = Self::BASE62.with(b'+').with(b'/').with(b'=');

    pub(super) const NONE: Self = Self(0);

    /// Creates a set of these characters.
    ///
    /// # Errors
    ///
    /// [`InvalidForm::Character`] if one of them is not a visible ASCII character.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::import::{Characters, InvalidForm};
    ///
    /// assert!(Characters::of("-._~")?.contains('~'));
    /// assert_eq!(Characters::of("a b"), Err(InvalidForm::Character));
    /// # Ok::<(), InvalidForm>(())
    /// ```
    pub fn of(characters: &str) -> Result<Self, InvalidForm> {
        let mut set = Self::NONE;
        for byte in characters.bytes() {
            if !byte.is_ascii_graphic() {
                return Err(InvalidForm::Character);
            }
            set = set.with(byte);
        }
        Ok(set)
    }

    /// Returns the characters of both sets.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::import::Characters;
    ///
    /// let set = Characters::DIGITS.and(Characters::LOWER);
    /// assert!(set.contains('7') && set.contains('z'));
    /// ```
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns whether the set contains this character.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::import::Characters;
    ///
    /// assert!(Characters::LOWER_HEX.contains('f'));
    /// assert!(!Characters::LOWER_HEX.contains('F'));
    /// ```
    pub fn contains(self, character: char) -> bool {
        u8::try_from(character).is_ok_and(|byte| self.has(byte))
    }

    const fn range(first: u8, last: u8) -> Self {
        Self((u128::MAX >> (127 - last)) & (u128::MAX << first))
    }

    /// Adds an ASCII character.
    pub(super) const fn with(self, byte: u8) -> Self {
        Self(self.0 | 1 << (byte & 127))
    }

    pub(super) const fn without(self, byte: u8) -> Self {
        Self(self.0 & !(1 << (byte & 127)))
    }

    pub(super) const fn only(byte: u8) -> Self {
        Self::NONE.with(byte)
    }

    pub(super) fn has(self, byte: u8) -> bool {
        byte < 128 && self.0 >> byte & 1 == 1
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn len(self) -> u32 {
        self.0.count_ones()
    }
}

impl fmt::Debug for Characters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = (0..128u8).filter(|byte| self.has(*byte)).map(char::from).collect();
        write!(f, "Characters({text})")
    }
}
