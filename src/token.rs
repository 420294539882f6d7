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

use std::fmt;

pub use id::{InvalidTokenId, TokenId};

use crate::secret::{ALPHABET, Presented, SECRET_LEN, Secret, SecretText};
use base62::{ID_LEN, all_base62, decode_base62, decode_id};

/// How the part behind the last `_` is laid out, in characters.
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

/// The longest prefix, in characters.
pub const MAX_PREFIX_LEN: usize = 32;

/// The longest token of any version this crate knows, in characters.
pub const MAX_TOKEN_LEN: usize = MAX_PREFIX_LEN + 1 + V1.body();

/// Why a text is no token of this service. It names the rule, never a character of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum MalformedToken {
    /// There is nothing.
    #[error("the token is empty")]
    Empty,
    /// Longer than [`MAX_TOKEN_LEN`].
    #[error("the token is longer than {MAX_TOKEN_LEN} characters")]
    TooLong,
    /// There is no `_`, so no prefix.
    #[error("the token has no prefix: there is no underscore")]
    NoPrefix,
    /// What stands before the last `_` is no prefix that this service accepts.
    #[error("the token's prefix is none that this service accepts")]
    UnknownPrefix,
    /// The character behind the last `_` is no version that this crate knows, or is missing.
    #[error("the token is of an unknown version")]
    UnknownVersion,
    /// The body is not as long as its version says: the token was cut or something was added.
    #[error("the token has the wrong length")]
    Length,
    /// The body holds something other than `0-9A-Za-z`.
    #[error("the token has a character that is not allowed")]
    Character,
    /// The checksum does not fit: the token was mistyped or altered.
    #[error("the token's checksum is wrong")]
    Checksum,
    /// The id is 2^128 or more.
    #[error("the token's id is out of range")]
    IdRange,
}

/// Why a text is no [`Prefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPrefix {
    /// There is nothing.
    #[error("a prefix has at least one character")]
    Empty,
    /// More than [`MAX_PREFIX_LEN`] characters.
    #[error("a prefix has at most {MAX_PREFIX_LEN} characters")]
    TooLong,
    /// Not of the form `[a-z][a-z0-9]*(_[a-z0-9]+)*`.
    #[error(
        "a prefix starts with a-z and has only a-z, 0-9 and single underscores between them, \
         such as acme_live"
    )]
    Form,
}

/// The readable start of a token, such as `acme_live`: it tells people and secret scanners whose
/// token they found.
///
/// `[a-z][a-z0-9]*(_[a-z0-9]+)*`, at most 32 characters: see [the token
/// format](crate::manual::token_format).
///
/// ```
/// use service_tokens::steps::Prefix;
///
/// assert!(Prefix::new("acme_live").is_ok());
/// assert!(Prefix::new("Acme").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix(Box<str>);

impl Prefix {
    /// Checks and keeps a prefix.
    ///
    /// # Errors
    ///
    /// [`InvalidPrefix`] names the rule that the text breaks.
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
            Ok(Self(prefix.into()))
        } else {
            Err(InvalidPrefix::Form)
        }
    }

    /// The prefix as text, without the underscore that follows it in a token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix({})", self.0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The plaintext bearer string: shown once, then gone.
///
/// It is overwritten in memory when dropped. It has no `Display`, no `PartialEq` and no
/// serialization, and its `Debug` shows only the id: the one way to the text is
/// [`expose_secret`](Self::expose_secret).
pub struct Token {
    id: TokenId,
    text: SecretText,
}

impl Token {
    /// Puts a token together.
    pub(crate) fn assemble(prefix: &Prefix, id: TokenId, secret: &Secret) -> Self {
        let mut text = SecretText::with_capacity(prefix.0.len() + 1 + V1.body());
        text.push(&prefix.0);
        text.push_ascii(b"_");
        text.push_ascii(&[V1.version]);
        text.push_ascii(&id.encode());
        text.push_ascii(secret.characters());
        let checksum = checksum(text.as_str().as_bytes());
        text.push_ascii(&checksum);
        Self { id, text }
    }

    /// The whole token. Show it to its owner once; do not log or store it.
    pub fn expose_secret(&self) -> &str {
        self.text.as_str()
    }

    /// The token's public id.
    pub fn id(&self) -> TokenId {
        self.id
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A text that obeys the grammar: well formed, not yet looked up. Borrowed from the input.
#[derive(Clone, Copy)]
pub struct ParsedToken<'t> {
    prefix: &'t [u8],
    id: TokenId,
    presented: &'t Presented,
}

impl<'t> ParsedToken<'t> {
    /// Parses a token whose prefix is one of `accepted`. Any bytes give an answer, without an allocation
    /// and without a look-up. [The token format](crate::manual::token_format) describes the grammar.
    ///
    /// # Errors
    ///
    /// [`MalformedToken`] names the first broken rule in the order of its variants.
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
    pub fn parse<T>(token: &'t T, accepted: &[Prefix]) -> Result<Self, MalformedToken>
    where
        T: AsRef<[u8]> + ?Sized,
    {
        let bytes = token.as_ref();
        let Some((prefix, body)) = split_v1(bytes, accepted) else {
            return Err(unlike_v1(bytes, accepted));
        };
        if !all_base62(body) {
            // A further underscore would be the last: the body is behind that one.
            return Err(if body.contains(&b'_') {
                unlike_v1(bytes, accepted)
            } else {
                MalformedToken::Character
            });
        }
        let (id, rest) = body.split_first_chunk().ok_or(MalformedToken::Length)?;
        let presented = rest.first_chunk().ok_or(MalformedToken::Length)?;
        let given = rest.last_chunk::<{ V1.checksum }>().ok_or(MalformedToken::Length)?;
        // A number has one spelling in characters of the alphabet, so a token has one checksum.
        let covered = &bytes[..bytes.len() - V1.checksum];
        if decode_base62(given) != u64::from(crc32fast::hash(covered)) {
            return Err(MalformedToken::Checksum);
        }
        let id = decode_id(id).ok_or(MalformedToken::IdRange)?;
        Ok(Self { prefix, id: TokenId::from_value(id), presented })
    }

    /// The id to look up.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// The prefix, one of those that were accepted.
    pub fn prefix(&self) -> &'t str {
        // Equal to an accepted prefix, so it is text.
        str::from_utf8(self.prefix).unwrap_or_default()
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

/// The prefix, and the body behind its version, if the text has the shape of version 1.
#[inline]
fn split_v1<'t>(bytes: &'t [u8], accepted: &[Prefix]) -> Option<(&'t [u8], &'t [u8])> {
    let (head, body) = bytes.split_at_checked(bytes.len().checked_sub(V1.body())?)?;
    let (underscore, prefix) = head.split_last()?;
    let (version, body) = body.split_first()?;
    let known = *underscore == b'_'
        && *version == V1.version
        && accepted.iter().any(|known| known.0.as_bytes() == prefix);
    known.then_some((prefix, body))
}

/// The first broken rule of a text that has not the shape of version 1.
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
    if !accepted.iter().any(|known| known.0.as_bytes() == prefix) {
        return MalformedToken::UnknownPrefix;
    }
    if body.first() != Some(&V1.version) {
        return MalformedToken::UnknownVersion;
    }
    // With the right length it would have the shape.
    MalformedToken::Length
}

/// A regular expression that finds tokens with any of these prefixes in text, for secret scanners.
///
/// Written for the common subset of RE2, PCRE, Rust and JavaScript. A match is a candidate; [`ParsedToken::parse`]
/// decides. It has no word boundary in front: behind an escaped line break (`\\n`) or a percent sign's
/// digits there is none.
///
/// ```
/// use service_tokens::steps::Prefix;
/// use service_tokens::token::scanner_regex;
///
/// assert_eq!(
///     scanner_regex(&[Prefix::new("acme_live")?, Prefix::new("acme_test")?]),
///     r"(?:acme_live|acme_test)_1[0-9A-Za-z]{71}\b",
/// );
/// # Ok::<(), service_tokens::token::InvalidPrefix>(())
/// ```
pub fn scanner_regex(prefixes: &[Prefix]) -> String {
    let names: Vec<&str> = prefixes.iter().map(Prefix::as_str).collect();
    format!(r"(?:{})_{}[0-9A-Za-z]{{{}}}\b", names.join("|"), char::from(V1.version), V1.body() - 1)
}

/// CRC-32/ISO-HDLC, as six characters of base62.
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
