//! Numbers in base62, of a fixed width.

use crate::secret::{ALPHABET, SECRET_LEN};

/// Characters of an id: 62^22 is above 2^128.
pub(super) const ID_LEN: usize = 22;

#[inline]
pub(super) fn all_base62(secret: &[u8; SECRET_LEN]) -> bool {
    // Sixteen at a time and without an early exit it becomes vector code; the last sixteen overlap.
    let fine = |characters: &[u8]| {
        characters.iter().fold(true, |fine, b| fine & b.is_ascii_alphanumeric())
    };
    fine(&secret[..16]) & fine(&secret[16..32]) & fine(&secret[SECRET_LEN - 16..])
}

pub(super) fn encode_base62(mut value: u128, into: &mut [u8]) {
    for character in into.iter_mut().rev() {
        *character = ALPHABET[(value % 62) as usize];
        value /= 62;
    }
}

/// Each character's value, and for all that are none a number with this bit.
const NONE: u8 = 0x80;

const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut i = 0;
    while i < ALPHABET.len() {
        values[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    values
};

/// The value of at most ten characters; `None` if one is not of the alphabet.
#[inline]
pub(super) fn decode_base62(characters: &[u8]) -> Option<u64> {
    // Without an early exit, and with one test at the end.
    let (value, seen) = characters.iter().fold((0u64, 0), |(value, seen), &b| {
        let digit = VALUES[usize::from(b)];
        (value.wrapping_mul(62).wrapping_add(u64::from(digit)), seen | digit)
    });
    (seen & NONE == 0).then_some(value)
}

/// Why 22 characters are no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoId {
    Character,
    Range,
}

/// The number that 22 characters stand for, below 2^128.
#[inline]
pub(super) fn decode_id(characters: &[u8; ID_LEN]) -> Result<u128, NoId> {
    // Ten digits fit 64 bits, so the wide multiplications are two and not twenty-two.
    const TEN: u128 = 62u128.pow(10);
    let digits = |part| decode_base62(part).map(u128::from).ok_or(NoId::Character);
    let high = digits(&characters[..2])?;
    let low = digits(&characters[2..12])? * TEN + digits(&characters[12..])?;
    high.checked_mul(TEN * TEN).and_then(|high| high.checked_add(low)).ok_or(NoId::Range)
}
