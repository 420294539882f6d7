//! Credentials of an older system, which keep working after they were imported.
//!
//! An [`ImportForm`] describes the texts of an older system and how it hashed them. A service that is
//! [built](crate::TokenServiceBuilder::import_form) with forms also accepts the texts whose digests were
//! [imported](crate::Tokens::import). The manual leads through it in [bringing existing
//! keys](crate::manual::bringing_existing_keys).

mod characters;
mod digest;
mod forms;
mod lengths;
mod overlap;

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256, Sha512};

pub use characters::Characters;
pub use digest::ImportDigest;
pub(crate) use forms::ImportForms;

use crate::digest::{ImportAlgorithm, KeyId};
use lengths::Lengths;

/// The maximum length of a text that can be imported, in bytes.
pub const MAX_IMPORTED_LEN: usize = 512;

/// The maximum length of the name of a form, in bytes.
const MAX_NAME_LEN: usize = 64;

/// The number of random bits that a text of an unkeyed hash must have.
///
/// The id of an imported token is public and was computed from the digest. So anyone who knows an id can
/// test guesses without asking the service, and 112 bits are the security strength below which NIST SP
/// 800-131A allows no protection.
const MIN_BITS: u32 = 112;

/// The error returned for a form that a service cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidForm {
    /// The name is blank or too long.
    #[error("the name must have 1 to {MAX_NAME_LEN} bytes and a visible character")]
    Name,
    /// Another form has the same name.
    #[error("another form has this name")]
    DuplicateName,
    /// The prefix or a set of characters contains a character that is not visible ASCII.
    #[error("only visible ASCII characters are allowed")]
    Character,
    /// The form allows no character after the prefix.
    #[error("the characters are missing")]
    NoCharacters,
    /// The form allows no length, or only lengths that its texts cannot have.
    #[error("no text can have an allowed length")]
    NoLength,
    /// The form allows a text that is too long.
    #[error("a text must not be longer than {max} bytes")]
    TooLong {
        /// The maximum length, in bytes.
        max: usize,
    },
    /// The hashed part of a text may be empty.
    #[error("the hashed part of a text must not be empty")]
    EmptyPart,
    /// A text may have so few random bits that its digest can be inverted by guessing.
    #[error("a text may have only {bits} random bits, and an unkeyed hash needs at least {min}")]
    Guessable {
        /// The bits of the shortest text, if all its characters are random.
        bits: u32,
        /// The minimum.
        min: u32,
    },
    /// The key is empty.
    #[error("the key must not be empty")]
    EmptyKey,
    /// Another form has another key with the same id.
    #[error("another form has another key with the id {0}")]
    ConflictingKey(KeyId),
    /// Every text of the form begins like a native token, and such a text is never looked up by a form.
    #[error("every text begins with {prefix}_ like a token of this service")]
    NativePrefix {
        /// The accepted prefix of native tokens.
        prefix: String,
    },
    /// A text exists that also has another form.
    #[error("a text exists that also has the form {other}")]
    Overlap {
        /// The name of the other form.
        other: String,
    },
}

/// The form of the credentials of an older system, and the way in which it hashed them.
///
/// A text has the form if it begins with the prefix, the rest after it has an allowed length, and all
/// characters of the rest are allowed. A form is checked when the service is
/// [built](crate::TokenServiceBuilder::import_form).
///
/// # Examples
///
/// A system that stores the SHA-256 of keys such as `sk_live_…`:
///
/// ```
/// use service_tokens::import::{Characters, ImportForm};
/// use service_tokens::{MemoryStore, TokenService};
///
/// let form = ImportForm::sha256("old keys")
///     .prefix("sk_live_")
///     .characters(Characters::BASE62)
///     .lengths([32]);
/// let service = TokenService::builder(MemoryStore::new(), "acme_live").import_form(form).build()?;
/// # Ok::<(), service_tokens::BuildError>(())
/// ```
///
/// Laravel Sanctum shows `12|` and a secret of 40 or 48 characters, and stores the SHA-256 of the secret:
///
/// ```
/// use service_tokens::import::{Characters, ImportForm};
///
/// let sanctum = ImportForm::sha256("sanctum")
///     .characters(Characters::BASE62)
///     .lengths(42..=69)
///     .hash_after_last('|', [40, 48]);
/// ```
#[derive(Clone)]
#[must_use]
pub struct ImportForm {
    name: String,
    prefix: String,
    characters: Characters,
    lengths: Lengths,
    part: Part,
    algorithm: ImportAlgorithm,
    /// The key of HMAC-SHA-256, in the form of a computation that has read it.
    keyed: Option<Hmac<Sha256>>,
    has_empty_key: bool,
    allows_guessable: bool,
}

/// The part of a text that is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text,
    Rest,
    /// The part of the rest after the last separator.
    AfterLast {
        separator: u8,
        lengths: Lengths,
    },
}

impl ImportForm {
    /// Creates a form whose texts were hashed with SHA-256.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::import::{Characters, ImportForm};
    ///
    /// let form = ImportForm::sha256("old keys").characters(Characters::LOWER_HEX).lengths([40]);
    /// assert_eq!(form.name(), "old keys");
    /// ```
    pub fn sha256(name: impl Into<String>) -> Self {
        Self::new(name.into(), ImportAlgorithm::Sha256)
    }

    /// Creates a form whose texts were hashed with SHA-512. The first 32 bytes are compared.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::import::{Characters, ImportForm};
    ///
    /// let form = ImportForm::sha512("old keys").characters(Characters::BASE64URL).lengths([43]);
    /// ```
    pub fn sha512(name: impl Into<String>) -> Self {
        Self::new(name.into(), ImportAlgorithm::Sha512)
    }

    /// Creates a form whose texts were hashed with HMAC-SHA-256 (RFC 2104) under this key. It can have
    /// any length except zero, because the older system chose it.
    ///
    /// These keys are not those of a [`KeyRing`](crate::KeyRing). Several forms may have the same id with
    /// the same key.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::digest::KeyId;
    /// use service_tokens::import::{Characters, ImportForm};
    ///
    /// let form = ImportForm::hmac_sha256("old keys", KeyId(*b"old1"), b"pepper of the old system")
    ///     .characters(Characters::BASE62)
    ///     .lengths([32]);
    /// ```
    pub fn hmac_sha256(name: impl Into<String>, id: KeyId, key: &[u8]) -> Self {
        let mut form = Self::new(name.into(), ImportAlgorithm::HmacSha256(id));
        form.has_empty_key = key.is_empty();
        form.keyed = Hmac::new_from_slice(key).ok();
        form
    }

    fn new(name: String, algorithm: ImportAlgorithm) -> Self {
        Self {
            name,
            prefix: String::new(),
            characters: Characters::NONE,
            lengths: Lengths::default(),
            part: Part::Text,
            algorithm,
            keyed: None,
            has_empty_key: false,
            allows_guessable: false,
        }
    }

    /// Sets the text with which every credential begins. The default is an empty text.
    ///
    /// A text that begins with a prefix of native tokens and `_` is never looked up by a form.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::import::{Characters, ImportForm, InvalidForm};
    /// use service_tokens::{BuildError, MemoryStore, TokenService};
    ///
    /// let build = |prefix| {
    ///     let form = ImportForm::sha256("old keys").characters(Characters::BASE62).lengths([32]);
    ///     TokenService::builder(MemoryStore::new(), "acme").import_form(form.prefix(prefix)).build()
    /// };
    /// assert!(build("sk_live_").is_ok());
    /// let Err(BuildError::ImportForm { source, .. }) = build("acme_old_") else { panic!() };
    /// assert!(matches!(source, InvalidForm::NativePrefix { .. }));
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the characters that may occur after the prefix.
    ///
    /// The library computes the number of random bits from this set and the lengths. So do not add
    /// characters that the older system did not use.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::import::{Characters, ImportForm, InvalidForm};
    ///
    /// let characters = Characters::LOWER.and(Characters::of("234567")?);
    /// let base32 = ImportForm::sha256("old keys").characters(characters).lengths([32]);
    /// # Ok::<(), InvalidForm>(())
    /// ```
    pub fn characters(mut self, characters: Characters) -> Self {
        self.characters = characters;
        self
    }

    /// Sets the lengths that the rest after the prefix may have. A text may have at most
    /// [`MAX_IMPORTED_LEN`] bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::import::{Characters, ImportForm};
    ///
    /// let form = ImportForm::sha256("old keys").characters(Characters::BASE62);
    /// let one_length = form.clone().lengths([32]);
    /// let any_of_a_range = form.lengths(32..=40);
    /// ```
    pub fn lengths(mut self, lengths: impl IntoIterator<Item = usize>) -> Self {
        self.lengths = Lengths::new(lengths);
        self
    }

    /// Says that the older system hashed only the part after the prefix, and not the whole text.
    ///
    /// Then the prefix is not part of the digest. Two forms that differ in the prefix only, also of two
    /// services over one store, accept each other's keys. So a key of `sk_test_` is accepted in the spelling
    /// of `sk_live_`. Give the environments stores of their own.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::import::{Characters, ImportForm};
    ///
    /// let form = ImportForm::sha256("old keys")
    ///     .prefix("sk_")
    ///     .characters(Characters::BASE62)
    ///     .lengths([32])
    ///     .hash_rest();
    /// ```
    pub fn hash_rest(mut self) -> Self {
        self.part = Part::Rest;
        self
    }

    /// Says that the older system hashed only the part after the last occurrence of this character, which
    /// has one of these lengths. The character is allowed in the rest, and at least one must be there.
    ///
    /// The part before that character is not checked, except for its characters and the length.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::import::{Characters, ImportForm};
    ///
    /// // A text such as `key_42.q3ZfT…`, of which `q3ZfT…` was hashed.
    /// let form = ImportForm::sha256("old keys")
    ///     .prefix("key_")
    ///     .characters(Characters::BASE62)
    ///     .lengths(34..=43)
    ///     .hash_after_last('.', [32]);
    /// ```
    pub fn hash_after_last(
        mut self,
        character: char,
        lengths: impl IntoIterator<Item = usize>,
    ) -> Self {
        // Zero is not visible, so `check` refuses it.
        let separator = u8::try_from(character).unwrap_or(0);
        self.part = Part::AfterLast { separator, lengths: Lengths::new(lengths) };
        self
    }

    /// Allows texts of an unkeyed hash with fewer than 112 random bits.
    ///
    /// The id of a token is public and is computed from the digest. So anyone who sees an id in a list or
    /// a log can find a text with few random bits by guessing, without a request to the service. Allow it
    /// only if that risk existed in the older system too, and rotate these tokens soon.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::import::{Characters, ImportForm, InvalidForm};
    /// use service_tokens::{BuildError, MemoryStore, TokenService};
    ///
    /// let form = ImportForm::sha256("old keys").characters(Characters::LOWER_HEX).lengths([20]);
    /// let build = |form| TokenService::builder(MemoryStore::new(), "acme_live").import_form(form).build();
    /// let Err(BuildError::ImportForm { source, .. }) = build(form.clone()) else { panic!() };
    /// assert_eq!(source, InvalidForm::Guessable { bits: 80, min: 112 });
    /// assert!(build(form.allow_guessing_from_ids()).is_ok());
    /// ```
    pub fn allow_guessing_from_ids(mut self) -> Self {
        self.allows_guessable = true;
        self
    }

    /// Returns the name, which occurs only in errors.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the digest of a text, or `None` if the text does not have this form.
    pub(crate) fn digest_of(&self, text: &[u8]) -> Option<ImportDigest> {
        let part = self.hashed_part(text)?;
        let mut hash = [0; 32];
        match (&self.keyed, self.algorithm) {
            (Some(keyed), _) => {
                let mut mac = keyed.clone();
                mac.update(part);
                hash = mac.finalize().into_bytes().into();
            }
            (None, ImportAlgorithm::Sha512) => hash.copy_from_slice(&Sha512::digest(part)[..32]),
            (None, ImportAlgorithm::Sha256) => hash = Sha256::digest(part).into(),
            (None, ImportAlgorithm::HmacSha256(_)) => return None,
        }
        Some(ImportDigest::new(self.algorithm, hash))
    }

    fn hashed_part<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        let rest = text.strip_prefix(self.prefix.as_bytes())?;
        let allowed = self.allowed();
        if !self.lengths.contains(rest.len()) || !rest.iter().all(|byte| allowed.has(*byte)) {
            return None;
        }
        match &self.part {
            Part::Text => Some(text),
            Part::Rest => Some(rest),
            Part::AfterLast { separator, lengths } => {
                let part = rest.rsplit(|byte| byte == separator).next()?;
                (part.len() < rest.len() && lengths.contains(part.len())).then_some(part)
            }
        }
    }

    /// Returns the characters of the rest.
    fn allowed(&self) -> Characters {
        match &self.part {
            Part::AfterLast { separator, .. } => self.characters.with(*separator),
            _ => self.characters,
        }
    }

    /// Checks what can be checked without other forms.
    fn check(&self) -> Result<(), InvalidForm> {
        if self.name.trim().is_empty() || self.name.len() > MAX_NAME_LEN {
            return Err(InvalidForm::Name);
        }
        Characters::of(&self.prefix)?;
        if self.characters == Characters::NONE {
            return Err(InvalidForm::NoCharacters);
        }
        if self.has_empty_key {
            return Err(InvalidForm::EmptyKey);
        }
        let longest = self.lengths.max().map_or(0, |rest| self.prefix.len() + rest);
        if self.lengths.are_too_long() || longest > MAX_IMPORTED_LEN {
            return Err(InvalidForm::TooLong { max: MAX_IMPORTED_LEN });
        }
        let Some(shortest) = self.lengths.min() else { return Err(InvalidForm::NoLength) };
        // The number of characters of the hashed part that may be random.
        let (random, set) = match &self.part {
            Part::Text => (shortest, self.characters),
            Part::Rest => (shortest, self.characters),
            Part::AfterLast { separator, lengths } => {
                if !separator.is_ascii_graphic() {
                    return Err(InvalidForm::Character);
                }
                // Every other length of the part needs a rest that is longer by the separator at least.
                let fits = |part: usize| self.lengths.max().is_some_and(|rest| part < rest);
                let shortest = lengths.min().filter(|part| fits(*part));
                let Some(shortest) = shortest else { return Err(InvalidForm::NoLength) };
                (shortest, self.characters.without(*separator))
            }
        };
        if random == 0 {
            return Err(InvalidForm::EmptyPart);
        }
        let bits = bits(random, set);
        let is_keyed = self.keyed.is_some();
        if !is_keyed && !self.allows_guessable && bits < MIN_BITS {
            return Err(InvalidForm::Guessable { bits, min: MIN_BITS });
        }
        Ok(())
    }
}

/// Returns the whole bits of so many random characters.
fn bits(characters: usize, set: Characters) -> u32 {
    let per_character = f64::from(set.len().max(1)).log2();
    let characters = u32::try_from(characters).unwrap_or(u32::MAX);
    // At most 512 characters of less than 7 bits.
    (f64::from(characters) * per_character).floor() as u32
}

impl fmt::Debug for ImportForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportForm")
            .field("name", &self.name)
            .field("prefix", &self.prefix)
            .field("characters", &self.characters)
            .field("lengths", &self.lengths)
            .field("part", &self.part)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
