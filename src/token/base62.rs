//! Base62 numbers of a fixed width.

use crate::secret::ALPHABET;

/// The number of characters of an id. 62^22 is above 2^128.
pub(super) const ID_LEN: usize = 22;

/// Returns whether all characters are in the alphabet. There must be at least eight.
#[inline]
pub(super) fn all_base62(characters: &[u8]) -> bool {
    // Checks eight characters at a time without an early exit. The last eight overlap others.
    let seen =
        characters.as_chunks().0.iter().fold(0, |seen, eight| seen | outside_alphabet(eight));
    characters.last_chunk().is_some_and(|last| seen | outside_alphabet(last) == 0)
}

/// Returns a mask with the high bit of each of the eight bytes that is not in the alphabet.
#[inline]
fn outside_alphabet(eight: &[u8; 8]) -> u64 {
    const HIGH: u64 = each(0x80);
    let bytes = u64::from_le_bytes(*eight);
    // Sets the high bit of each byte that is at least the limit. A byte with the high bit set
    // carries into its neighbour, but it is outside the alphabet itself, so the result is still
    // right.
    let at_least = |bytes: u64, limit: u8| bytes.wrapping_add(each(0x80 - limit));
    let lower = bytes | each(0x20);
    let letter = at_least(lower, b'a') & !at_least(lower, b'z' + 1);
    let digit = at_least(bytes, b'0') & !at_least(bytes, b'9' + 1);
    (bytes | !(letter | digit)) & HIGH
}

const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

pub(super) fn encode_base62(mut value: u128, into: &mut [u8]) {
    for character in into.iter_mut().rev() {
        *character = ALPHABET[(value % 62) as usize];
        value /= 62;
    }
}

/// The value of each character of the alphabet.
const VALUES: [u8; 256] = {
    let mut values = [0; 256];
    let mut i = 0;
    while i < ALPHABET.len() {
        values[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    values
};

/// Decodes an even number of characters of the alphabet, at most ten, so that the value fits 64
/// bits.
#[inline]
pub(super) fn decode_base62<const N: usize>(characters: &[u8; N]) -> u64 {
    const { assert!(N.is_multiple_of(2) && N <= 10) }
    // Decodes two characters at a time, so that only half of the multiplications depend on each
    // other.
    characters.as_chunks().0.iter().fold(0, |value, [high, low]| {
        let (high, low) = (VALUES[usize::from(*high)], VALUES[usize::from(*low)]);
        value * (62 * 62) + u64::from(u16::from(high) * 62 + u16::from(low))
    })
}

/// Decodes the 22 characters of an id. Returns `None` if the value is 2^128 or more.
#[inline]
pub(super) fn decode_id(characters: &[u8; ID_LEN]) -> Option<u128> {
    // Ten digits fit 64 bits, so two wide multiplications suffice instead of 22.
    const TEN: u128 = 62u128.pow(10);
    let (high, rest) = characters.split_first_chunk::<2>()?;
    let (middle, low) = rest.split_first_chunk::<10>()?;
    let low = u128::from(decode_base62(middle)) * TEN
        + u128::from(decode_base62(low.first_chunk::<10>()?));
    u128::from(decode_base62(high)).checked_mul(TEN * TEN)?.checked_add(low)
}
