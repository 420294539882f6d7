//! The hash of a presented secret.

use std::array;

use sha2::block_api::compress256;

use crate::secret::{Presented, SECRET_LEN};

/// The padding that makes a presented secret a block of SHA-256 (FIPS 180-4 §5.1.1): a one bit
/// after the secret, zeros, and the length in bits. The secret fits a single block, so the
/// buffering of a general hasher is not needed.
///
/// The padding is data and not constants in code. The compiler writes constants in small parts, and
/// reading a whole quarter of the block right after that causes a store-forwarding stall. With data
/// each quarter is written as a whole.
#[derive(Clone)]
pub(super) struct Padding {
    /// Selects the part of the third quarter that belongs to the secret.
    mask: [u8; 16],
    one: [u8; 16],
    length: [u8; 16],
}

impl Default for Padding {
    fn default() -> Self {
        const REST: usize = SECRET_LEN - 32;
        let (mut mask, mut one) = ([0; 16], [0; 16]);
        mask[..REST].fill(0xff);
        one[REST] = 0x80;
        Self { mask, one, length: (8 * SECRET_LEN as u128).to_be_bytes() }
    }
}

impl Padding {
    #[inline]
    pub(super) fn hash(&self, presented: &Presented) -> [u8; 32] {
        #[cfg(test)]
        super::counted::plain();
        // §5.3.3, the initial hash value.
        let mut state = [
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ];
        let mut block = [0; 64];
        let (quarters, _) = block.as_chunks_mut::<16>();
        quarters[..3].copy_from_slice(presented.as_chunks().0);
        let third = quarters[2];
        quarters[2] = array::from_fn(|i| third[i] & self.mask[i] | self.one[i]);
        quarters[3] = self.length;
        compress256(&mut state, &[block]);
        let mut hash = [0; 32];
        for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(state) {
            *bytes = word.to_be_bytes();
        }
        hash
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn one_block_hash_equals_general_hash() {
        let mut presented = *b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg4Zz1c";
        for turn in 0..500 {
            for (place, character) in presented.iter_mut().enumerate() {
                *character = character.wrapping_mul(31).wrapping_add(place as u8 ^ turn as u8);
            }
            let general: [u8; 32] = Sha256::digest(&presented[..SECRET_LEN]).into();
            assert_eq!(Padding::default().hash(&presented), general, "{turn}");
        }
    }
}
