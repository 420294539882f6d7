//! Prefixes, which show to which service a token belongs.

use std::fmt;

use crate::secret::PrefixTag;

/// The maximum length of a prefix, in characters.
pub const MAX_PREFIX_LEN: usize = 32;

/// The error returned for a text that is not a valid [`Prefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPrefix {
    /// The text is empty.
    #[error("the prefix is empty")]
    Empty,
    /// The text has more than [`MAX_PREFIX_LEN`] characters.
    #[error("the prefix is longer than {MAX_PREFIX_LEN} characters")]
    TooLong,
    /// The text does not match `[a-z][a-z0-9]*(_[a-z0-9]+)*`.
    #[error(
        "the prefix must start with a-z and contain only a-z, 0-9 and single underscores between \
         them, such as acme_live"
    )]
    Form,
}

/// The readable start of a token, such as `acme_live`. It shows people and secret scanners which
/// service a token belongs to.
///
/// A prefix matches `[a-z][a-z0-9]*(_[a-z0-9]+)*` and has at most 32 characters. See
/// [the token format](crate::manual::token_format).
///
/// A digest depends on the prefix of its token, so a token that is spelled with another accepted prefix is
/// refused.
///
/// ```
/// use service_tokens::steps::Prefix;
///
/// assert!(Prefix::new("acme_live").is_ok());
/// assert!(Prefix::new("Acme").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    text: Box<str>,
    tag: PrefixTag,
}

impl Prefix {
    /// Creates a prefix from a valid text.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidPrefix`], which names the rule that the text breaks.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::steps::Prefix;
    /// use service_tokens::token::InvalidPrefix;
    ///
    /// assert_eq!(Prefix::new("acme_live")?.as_str(), "acme_live");
    /// assert_eq!(Prefix::new("acme__live"), Err(InvalidPrefix::Form));
    /// # Ok::<(), InvalidPrefix>(())
    /// ```
    pub fn new(prefix: &str) -> Result<Self, InvalidPrefix> {
        if prefix.is_empty() {
            return Err(InvalidPrefix::Empty);
        }
        if prefix.len() > MAX_PREFIX_LEN {
            return Err(InvalidPrefix::TooLong);
        }
        let starts_with_letter = prefix.as_bytes()[0].is_ascii_lowercase();
        let parts_are_plain = prefix.split('_').all(|part| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        });
        if starts_with_letter && parts_are_plain {
            Ok(Self { text: prefix.into(), tag: PrefixTag::of(prefix) })
        } else {
            Err(InvalidPrefix::Form)
        }
    }

    /// Returns the prefix as text, without the underscore that follows it in a token.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the tag that is hashed with the secrets of this prefix.
    #[inline]
    pub(crate) fn tag(&self) -> &PrefixTag {
        &self.tag
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix({})", self.text)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
