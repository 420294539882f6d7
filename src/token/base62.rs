//! Numbers in base62, of a fixed width.

use crate::secret::ALPHABET;

/// Characters of an id: 62^22 is above 2^128.
pub(super) const ID_LEN: usize = 22;

pub(super) fn all_base62(characters: &[u8]) -> bool {
    // Without an early exit the loop becomes vector code.
    characters.iter().fold(true, |fine, b| fine & b.is_ascii_alphanumeric())
}

pub(super) fn encode_base62(mut value: u128, into: &mut [u8]) {
    for character in into.iter_mut().rev() {
        *character = ALPHABET[(value % 62) as usize];
        value /= 62;
    }
}

/// Each character's value; only asked for characters of the alphabet.
const VALUES: [u8; 256] = {
    let mut values = [0; 256];
    let mut i = 0;
    while i < ALPHABET.len() {
        values[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    values
};

/// The value of 22 characters of the alphabet; `None` from 2^128 on.
pub(super) fn decode_id(characters: &[u8; ID_LEN]) -> Option<u128> {
    // Ten digits fit 64 bits, so the wide multiplications are two and not twenty-two.
    let digits = |part: &[u8]| {
        part.iter().fold(0u64, |value, &b| value * 62 + u64::from(VALUES[usize::from(b)]))
    };
    const TEN: u128 = 62u128.pow(10);
    let high = u128::from(digits(&characters[..2]));
    let low = u128::from(digits(&characters[2..12])) * TEN + u128::from(digits(&characters[12..]));
    high.checked_mul(TEN * TEN)?.checked_add(low)
}
