//! Tokens: their ids, their grammar, and the expression for secret scanners.
//!
//! [`Token`] is the plaintext that a client holds, and [`TokenId`] is its public half. One definition of
//! the grammar, version 1, serves the parser, the generator and secret scanners:
//!
//! ```text
//! acme_live_1 01JX…22 characters…  …43 characters…  …6 characters…
//! └prefix─┘ ││└──────── id ──────┘└──── secret ───┘└── checksum ─┘
//!           │└ version
//!           └ the last underscore
//! ```

mod base62;
mod id;
mod prefix;

use std::fmt;

pub use id::{InvalidTokenId, TokenId};
pub use prefix::{InvalidPrefix, MAX_PREFIX_LEN, Prefix};

use crate::secret::{ALPHABET, PrefixTag, Presented, SECRET_LEN, Secret, SecretText};
use base62::{ID_LEN, all_base62, decode_base62, decode_id};

/// The lengths of the parts after the last `_`, in characters.
struct Layout {
    version: u8,
    id: usize,
    secret: usize,
    checksum: usize,
}

const V1: Layout = Layout { version: b'1', id: ID_LEN, secret: SECRET_LEN, checksum: 6 };

impl Layout {
    const fn body(&self) -> usize {
        1 + self.id + self.secret + self.checksum
    }
}

/// The maximum length of a token of any known version, in characters.
pub const MAX_TOKEN_LEN: usize = MAX_PREFIX_LEN + 1 + V1.body();

/// The error returned for a text that is not a token of this service. It names the rule and
/// contains no character of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum MalformedToken {
    /// The text is empty.
    #[error("the token is empty")]
    Empty,
    /// The text is longer than [`MAX_TOKEN_LEN`].
    #[error("the token is longer than {MAX_TOKEN_LEN} characters")]
    TooLong,
    /// The text has no `_` and so no prefix.
    #[error("the token has no underscore and so no prefix")]
    NoPrefix,
    /// The part before the last `_` is not an accepted prefix.
    #[error("the token has an unknown prefix")]
    UnknownPrefix,
    /// The character after the last `_` is missing or not a known version.
    #[error("the token has an unknown version")]
    UnknownVersion,
    /// The body has another length than its version requires. The token was truncated or extended.
    #[error("the token has the wrong length")]
    Length,
    /// The body contains a character other than `0-9A-Za-z`.
    #[error("the token has a character that is not allowed")]
    Character,
    /// The checksum does not match. The token was mistyped or altered.
    #[error("the token's checksum does not match")]
    Checksum,
    /// The id is 2^128 or more.
    #[error("the token's id is out of range")]
    IdRange,
}

/// The plaintext of a token. It is available only once, when the token is issued or rotated.
///
/// The text is overwritten in memory when the value is dropped. The type has no `Display`, no
/// `PartialEq` and no serialization, and its `Debug` shows only the id. Only
/// [`expose_secret`](Self::expose_secret) returns the text.
pub struct Token {
    id: TokenId,
    text: SecretText,
}

impl Token {
    /// Creates a token from its parts.
    pub(crate) fn assemble(prefix: &Prefix, id: TokenId, secret: &Secret) -> Self {
        let mut text = SecretText::with_capacity(prefix.as_str().len() + 1 + V1.body());
        text.push(prefix.as_str());
        text.push_ascii(b"_");
        text.push_ascii(&[V1.version]);
        text.push_ascii(&id.encode());
        text.push_ascii(secret.characters());
        let checksum = checksum(text.as_str().as_bytes());
        text.push_ascii(&checksum);
        Self { id, text }
    }

    /// Returns the complete token. Show it to its owner once, and do not log or store it.
    pub fn expose_secret(&self) -> &str {
        self.text.as_str()
    }

    /// Returns the public id of the token.
    pub fn id(&self) -> TokenId {
        self.id
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A text with the form of a token, borrowed from the input. Whether the token exists is not known
/// yet.
#[derive(Clone, Copy)]
pub struct ParsedToken<'t> {
    prefix: &'t Prefix,
    id: TokenId,
    presented: &'t Presented,
}

impl<'t> ParsedToken<'t> {
    /// Returns the id to look up.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// Returns the prefix, which is one of the accepted ones.
    pub fn prefix(&self) -> &'t str {
        self.prefix.as_str()
    }

    pub(crate) fn prefix_tag(&self) -> &'t PrefixTag {
        self.prefix.tag()
    }

    pub(crate) fn presented(&self) -> &'t Presented {
        self.presented
    }

    #[cfg(test)]
    pub(crate) fn secret(&self) -> &'t [u8; SECRET_LEN] {
        self.presented.first_chunk().unwrap()
    }
}

impl fmt::Debug for ParsedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParsedToken")
            .field("prefix", &self.prefix())
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl<'t> ParsedToken<'t> {
    /// Parses a token whose prefix is one of `accepted`. The function accepts any bytes, allocates no
    /// memory and does no look-up. [The token format](crate::manual::token_format) describes the grammar.
    ///
    /// # Errors
    ///
    /// Returns [`MalformedToken`], which names the first broken rule in the order of its variants.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::steps::{ParsedToken, Prefix};
    /// use service_tokens::token::MalformedToken;
    ///
    /// let ours = [Prefix::new("acme_live")?];
    /// let refused = ParsedToken::parse("acme_test_1x", &ours).unwrap_err();
    /// assert_eq!(refused, MalformedToken::UnknownPrefix);
    /// # Ok::<(), service_tokens::token::InvalidPrefix>(())
    /// ```
    #[inline]
    pub fn parse<T>(token: &'t T, accepted: &'t [Prefix]) -> Result<Self, MalformedToken>
    where
        T: AsRef<[u8]> + ?Sized,
    {
        let bytes = token.as_ref();
        let Some((prefix, body)) = split_v1(bytes, accepted) else {
            return Err(unlike_v1(bytes, accepted));
        };
        if !all_base62(body) {
            // If the body contains an underscore, that one is the last, and the real body starts after
            // it.
            return Err(if body.contains(&b'_') {
                unlike_v1(bytes, accepted)
            } else {
                MalformedToken::Character
            });
        }
        let (id, rest) = body.split_first_chunk().ok_or(MalformedToken::Length)?;
        let presented = rest.first_chunk().ok_or(MalformedToken::Length)?;
        let given = rest.last_chunk::<{ V1.checksum }>().ok_or(MalformedToken::Length)?;
        // Every number has one spelling in base62, so a token has one valid checksum.
        let covered = &bytes[..bytes.len() - V1.checksum];
        if decode_base62(given) != u64::from(crc32fast::hash(covered)) {
            return Err(MalformedToken::Checksum);
        }
        let id = decode_id(id).ok_or(MalformedToken::IdRange)?;
        Ok(ParsedToken { prefix, id: TokenId::from_value(id), presented })
    }
}

/// Returns the prefix and the part after the version, if the text has the form of version 1.
#[inline]
fn split_v1<'t>(bytes: &'t [u8], accepted: &'t [Prefix]) -> Option<(&'t Prefix, &'t [u8])> {
    let (head, body) = bytes.split_at_checked(bytes.len().checked_sub(V1.body())?)?;
    let (underscore, prefix) = head.split_last()?;
    let (version, body) = body.split_first()?;
    if *underscore != b'_' || *version != V1.version {
        return None;
    }
    let known = accepted.iter().find(|known| known.as_str().as_bytes() == prefix)?;
    Some((known, body))
}

/// Returns the first broken rule of a text that does not have the form of version 1.
#[cold]
fn unlike_v1(bytes: &[u8], accepted: &[Prefix]) -> MalformedToken {
    if bytes.is_empty() {
        return MalformedToken::Empty;
    }
    if bytes.len() > MAX_TOKEN_LEN {
        return MalformedToken::TooLong;
    }
    let Some(underscore) = bytes.iter().rposition(|&b| b == b'_') else {
        return MalformedToken::NoPrefix;
    };
    let (prefix, body) = (&bytes[..underscore], &bytes[underscore + 1..]);
    if !accepted.iter().any(|known| known.as_str().as_bytes() == prefix) {
        return MalformedToken::UnknownPrefix;
    }
    if body.first() != Some(&V1.version) {
        return MalformedToken::UnknownVersion;
    }
    // With the right length the text would have the form.
    MalformedToken::Length
}

/// Returns a regular expression for secret scanners that finds tokens with any of these prefixes.
///
/// It uses the common subset of RE2, PCRE, Rust and JavaScript. A match is a candidate that
/// [`ParsedToken::parse`] accepts or refuses.
///
/// The expression has no word boundary at either end. A token may follow an escaped line break (`\\n`) or
/// a percent-encoded character, and a letter, a digit, `_` or another token may follow it. So a match can
/// be the first part of a longer run of letters and digits. The parser accepts it only if these
/// characters are a token with a valid checksum.
///
/// ```
/// use service_tokens::steps::Prefix;
/// use service_tokens::token::scanner_regex;
///
/// assert_eq!(
///     scanner_regex(&[Prefix::new("acme_live")?, Prefix::new("acme_test")?]),
///     "(?:acme_live|acme_test)_1[0-9A-Za-z]{71}",
/// );
/// # Ok::<(), service_tokens::token::InvalidPrefix>(())
/// ```
pub fn scanner_regex(prefixes: &[Prefix]) -> String {
    let names: Vec<&str> = prefixes.iter().map(Prefix::as_str).collect();
    format!("(?:{})_{}[0-9A-Za-z]{{{}}}", names.join("|"), char::from(V1.version), V1.body() - 1)
}

/// Computes the CRC-32/ISO-HDLC checksum, as six characters of base62.
fn checksum(covered: &[u8]) -> [u8; V1.checksum] {
    let mut characters = [0; V1.checksum];
    let mut rest = crc32fast::hash(covered);
    for character in characters.iter_mut().rev() {
        *character = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    characters
}

#[cfg(test)]
mod tests;
