//! The option `--import-form`, which describes the credentials of an older system.

use std::fs;
use std::path::PathBuf;

use service_tokens::digest::KeyId;
use service_tokens::import::{Characters, ImportDigest, ImportForm};

/// A form, and the hash by which its digests were made.
#[derive(Debug, Clone)]
pub(crate) struct FormOption {
    pub(crate) form: ImportForm,
    pub(crate) hash: Hash,
    /// The file with the HMAC key.
    pub(crate) key_file: Option<PathBuf>,
}

/// A hash of an older system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
    HmacSha256(KeyId),
}

impl Hash {
    /// Returns the digest, or `None` if it has the wrong length for the hash.
    pub(crate) fn digest(self, bytes: &[u8]) -> Option<ImportDigest> {
        Some(match self {
            Self::Sha256 => ImportDigest::sha256(bytes.try_into().ok()?),
            Self::Sha512 => ImportDigest::sha512(bytes.try_into().ok()?),
            Self::HmacSha256(key) => ImportDigest::hmac_sha256(key, bytes.try_into().ok()?),
        })
    }

    /// Returns the length of a digest in bytes.
    pub(crate) fn len(self) -> usize {
        if self == Self::Sha512 { 64 } else { 32 }
    }
}

/// The part of a text that is hashed.
enum Part {
    Text,
    Rest,
    AfterLast(char),
}

/// Parses a form such as `sha256,prefix=sk_live_,characters=base62,lengths=32`.
///
/// Its name in errors is its number on the command line.
pub(crate) fn parse(number: usize, text: &str) -> Result<FormOption, String> {
    let name = number.to_string();
    let mut words = text.split(',');
    let hash = words.next().unwrap_or_default();
    let (mut prefix, mut characters, mut lengths) = (None, None, None);
    let (mut part, mut part_lengths, mut key_id, mut key_file) = (Part::Text, None, None, None);
    let mut allow_guessing = false;
    for word in words {
        if word == "allow-guessing-from-ids" {
            allow_guessing = true;
            continue;
        }
        let (key, value) = word.split_once('=').ok_or_else(form)?;
        match key {
            "prefix" => prefix = Some(value),
            "characters" => characters = Some(set(value)?),
            "lengths" => lengths = Some(range(value)?),
            "hashed" => part = hashed(value)?,
            "hashed-lengths" => part_lengths = Some(range(value)?),
            "key-id" => key_id = Some(id(value)?),
            "key-file" => key_file = Some(value),
            _ => return Err(form()),
        }
    }
    let (mut form, hash) = match (hash, key_id, key_file) {
        ("sha256", None, None) => (ImportForm::sha256(name), Hash::Sha256),
        ("sha512", None, None) => (ImportForm::sha512(name), Hash::Sha512),
        ("hmac-sha256", Some(id), Some(path)) => {
            let key =
                fs::read(path).map_err(|error| format!("key-file cannot be read: {error}"))?;
            (ImportForm::hmac_sha256(name, id, &key), Hash::HmacSha256(id))
        }
        ("hmac-sha256", ..) => return Err("needs key-id and key-file for hmac-sha256".into()),
        ("sha256" | "sha512", ..) => {
            return Err("has key-id or key-file for a hash without a key".into());
        }
        _ => return Err(form()),
    };
    form = form.characters(characters.ok_or("needs characters")?);
    form = form.lengths(lengths.ok_or("needs lengths")?).prefix(prefix.unwrap_or_default());
    form = match (part, part_lengths) {
        (Part::Text, None) => form,
        (Part::Rest, None) => form.hash_rest(),
        (Part::AfterLast(character), Some(lengths)) => form.hash_after_last(character, lengths),
        (Part::AfterLast(_), None) => return Err("needs hashed-lengths for hashed=after:C".into()),
        _ => return Err("has hashed-lengths without hashed=after:C".into()),
    };
    if allow_guessing {
        form = form.allow_guessing_from_ids();
    }
    Ok(FormOption { form, hash, key_file: key_file.map(PathBuf::from) })
}

fn form() -> String {
    "must have the form HASH,characters=SET,lengths=N, such as \
     sha256,prefix=sk_live_,characters=base62,lengths=32"
        .into()
}

fn set(text: &str) -> Result<Characters, String> {
    let mut set: Option<Characters> = None;
    for name in text.split('+') {
        let next = match name {
            "digits" => Characters::DIGITS,
            "lower" => Characters::LOWER,
            "upper" => Characters::UPPER,
            "lower-hex" => Characters::LOWER_HEX,
            "upper-hex" => Characters::UPPER_HEX,
            "base62" => Characters::BASE62,
            "base64url" => Characters::BASE64URL,
            "base64" => Characters::BASE64,
            _ => {
                match name.strip_prefix("of:") {
                    Some(characters) => Characters::of(characters)
                        .map_err(|error| format!("characters: {error}"))?,
                    None => {
                        return Err("characters must be digits, lower, upper, lower-hex, upper-hex, base62, \
                                base64url, base64 or of:LIST, joined by +"
                        .into());
                    }
                }
            }
        };
        set = Some(set.map_or(next, |set| set.and(next)));
    }
    set.ok_or_else(form)
}

/// Parses lengths such as `32`, `40..48` (both ends included) or `40+48`.
fn range(text: &str) -> Result<Vec<usize>, String> {
    let mut lengths = Vec::new();
    for part in text.split('+') {
        let (first, last) = part.split_once("..").unwrap_or((part, part));
        match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) if first <= last && last <= 1_000 => lengths.extend(first..=last),
            _ => return Err("lengths must be numbers such as 32, 40..48 or 40+48".into()),
        }
    }
    Ok(lengths)
}

fn hashed(text: &str) -> Result<Part, String> {
    let character = text.strip_prefix("after:").and_then(|text| text.chars().next());
    match (text, character) {
        ("text", _) => Ok(Part::Text),
        ("rest", _) => Ok(Part::Rest),
        (_, Some(character)) if text.len() == "after:".len() + character.len_utf8() => {
            Ok(Part::AfterLast(character))
        }
        _ => Err("hashed must be text, rest or after:C with one character C".into()),
    }
}

fn id(text: &str) -> Result<KeyId, String> {
    let bytes: [u8; 4] =
        text.as_bytes().try_into().map_err(|_| "key-id must have four bytes".to_owned())?;
    Ok(KeyId(bytes))
}
