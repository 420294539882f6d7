//! The floor, which is the least work that a verification needs, written as one piece of code.
//!
//! It parses the token (checksum, base62 id), looks up one record, computes one SHA-256 of the 43 characters
//! of the secret, compares in constant time, and checks the expiry and one scope bit. It has no traits,
//! futures, locks or strings. The records are in the hash table itself. Prefix and version are fixed.

use std::hint::black_box;

use hashbrown::HashMap;
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::tokens::Tokens;

/// The characters before the id.
pub const START: &[u8] = b"acme_live_1";
const ID: usize = 22;
const SECRET: usize = 43;
const CHECKSUM: usize = 6;
const COVERED: usize = START.len() + ID + SECRET;
const LEN: usize = COVERED + CHECKSUM;

/// The base62 value of each character, or 255 if the character is not base62.
const VALUES: [u8; 256] = {
    let alphabet = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut values = [255; 256];
    let mut i = 0;
    while i < alphabet.len() {
        values[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    values
};

/// The stored record of a token.
#[derive(Debug, Clone, Copy)]
struct Row {
    hash: [u64; 4],
    expires_at: i64,
    scopes: u64,
    owner: u64,
}

/// The result for an accepted token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The token's id.
    pub id: u128,
    /// The number of the owner.
    pub owner: u64,
    /// The scopes, one bit each.
    pub scopes: u64,
    /// The expiry time, in microseconds since 1970.
    pub expires_at: i64,
}

/// A map of records.
#[derive(Debug, Default)]
pub struct Floor {
    rows: HashMap<u128, Row>,
}

impl Floor {
    /// Creates records for these tokens. Each has the scope of bit 0 and expires in an hour.
    pub fn of<'t>(tokens: impl IntoIterator<Item = &'t [u8]>) -> Self {
        let mut floor = Self::default();
        for (n, text) in tokens.into_iter().enumerate() {
            let (id, secret) = parse(text).expect("a well-formed token");
            let row = Row {
                hash: hash(secret),
                expires_at: now() + 3_600_000_000,
                scopes: 1,
                owner: n as u64,
            };
            floor.rows.insert(id, row);
        }
        floor
    }

    /// Verifies a token for the scopes of `requirement`.
    #[inline]
    pub fn verify(&self, token: &[u8], requirement: u64) -> Option<Accepted> {
        let (id, secret) = parse(token)?;
        let row = self.rows.get(&id)?;
        let same = equal(&hash(secret), &row.hash);
        (same && now() < row.expires_at && row.scopes & requirement == requirement).then_some(
            Accepted { id, owner: row.owner, scopes: row.scopes, expires_at: row.expires_at },
        )
    }
}

impl Floor {
    /// Returns a function that verifies this number of tokens at each call.
    pub fn verifying<'f>(&'f self, tokens: &'f Tokens, start: usize) -> impl FnMut(usize) + 'f {
        let mut texts = tokens.from(start);
        move |times| {
            for _ in 0..times {
                black_box(self.verify(texts.next_text(), 1).expect("a verified token"));
            }
        }
    }
}

/// Hashes a secret.
#[inline]
pub fn hash(secret: &[u8]) -> [u64; 4] {
    let bytes = Sha256::digest(secret);
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    words
}

/// Returns the characters of the secret. The token must be well-formed.
pub fn secret(token: &[u8]) -> &[u8] {
    &token[START.len() + ID..COVERED]
}

#[inline]
fn parse(token: &[u8]) -> Option<(u128, &[u8])> {
    if token.len() != LEN || !token.starts_with(START) {
        return None;
    }
    if digits(&token[COVERED..])? != u64::from(crc32fast::hash(&token[..COVERED])) {
        return None;
    }
    let id = &token[START.len()..START.len() + ID];
    const TEN: u128 = 62u128.pow(10);
    let low = u128::from(digits(&id[2..12])?) * TEN + u128::from(digits(&id[12..])?);
    let id = u128::from(digits(&id[..2])?).checked_mul(TEN * TEN)?.checked_add(low)?;
    Some((id, secret(token)))
}

/// Decodes base62. The part has at most ten characters, because more would overflow.
#[inline]
fn digits(part: &[u8]) -> Option<u64> {
    let mut value = 0;
    let mut seen = 0;
    for &character in part {
        let digit = VALUES[usize::from(character)];
        seen |= digit;
        value = value * 62 + u64::from(digit);
    }
    // Valid values are below 64, so a higher bit comes from an invalid character.
    (seen < 64).then_some(value)
}

#[inline]
fn equal(one: &[u64; 4], other: &[u64; 4]) -> bool {
    let differences = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    differences.ct_eq(&0).into()
}

#[inline]
fn now() -> i64 {
    let time = clock_gettime(ClockId::RealtimeCoarse);
    time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
}
