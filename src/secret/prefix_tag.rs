//! The tag of a prefix, which is hashed together with each secret.

use std::array;

use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};

use super::{Presented, SECRET_LEN};

/// The length of a tag, in bytes. Together with a secret and the padding it fills one block of SHA-256.
const TAG_LEN: usize = 12;

/// The text before the prefix in the input of the tag, so that no other use of SHA-256 has the same
/// input.
const DOMAIN: &[u8] = b"service-tokens prefix\0";

/// A tag of a prefix. It is part of every digest, so a token that is spelled with another prefix has
/// the wrong secret.
///
/// A tag is the first 12 bytes of SHA-256 of a fixed text and the prefix. The secret, the tag and the
/// padding (FIPS 180-4 §5.1.1: a one bit, zeros, the length in bits) are exactly one block of SHA-256. So
/// the tag costs no time, and the buffering of a general hasher is not needed.
///
/// The second half of the block is data and not constants in code. The compiler writes constants in
/// small parts, and reading a whole quarter of the block right after that causes a store-forwarding
/// stall. With data each quarter is written as a whole.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PrefixTag {
    /// Selects the part of the third quarter that belongs to the secret.
    mask: [u8; 16],
    /// The rest of the third quarter: the first bytes of the tag.
    third: [u8; 16],
    /// The other bytes of the tag, and the padding.
    fourth: [u8; 16],
    tag: [u8; TAG_LEN],
}

impl PrefixTag {
    pub(crate) fn of(prefix: &str) -> Self {
        let digest = Sha256::new().chain_update(DOMAIN).chain_update(prefix).finalize();
        let mut tag = [0; TAG_LEN];
        tag.iter_mut().zip(digest).for_each(|(byte, hashed)| *byte = hashed);

        const REST: usize = SECRET_LEN - 32;
        const SPLIT: usize = 16 - REST;
        let (mut mask, mut third, mut fourth) = ([0; 16], [0; 16], [0; 16]);
        mask[..REST].fill(0xff);
        third[REST..].copy_from_slice(&tag[..SPLIT]);
        fourth[..TAG_LEN - SPLIT].copy_from_slice(&tag[SPLIT..]);
        fourth[TAG_LEN - SPLIT] = 0x80;
        fourth[8..].copy_from_slice(&(8 * (SECRET_LEN + TAG_LEN) as u64).to_be_bytes());
        Self { mask, third, fourth, tag }
    }

    /// Returns the tag.
    pub(crate) fn bytes(&self) -> &[u8; TAG_LEN] {
        &self.tag
    }

    /// Computes SHA-256 of the secret and the tag.
    #[inline]
    pub(crate) fn hash(&self, presented: &Presented) -> [u8; 32] {
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
        quarters[2] = array::from_fn(|i| third[i] & self.mask[i] | self.third[i]);
        quarters[3] = self.fourth;
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
    use super::*;

    #[test]
    fn one_block_hash_equals_general_hash() {
        let mut presented = *b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg4Zz1c";
        for turn in 0..500u32 {
            for (place, character) in presented.iter_mut().enumerate() {
                *character = character.wrapping_mul(31).wrapping_add(place as u8 ^ turn as u8);
            }
            let tag = PrefixTag::of(&format!("acme_{turn}"));
            let general = Sha256::new()
                .chain_update(&presented[..SECRET_LEN])
                .chain_update(tag.bytes())
                .finalize();
            assert_eq!(tag.hash(&presented), <[u8; 32]>::from(general), "{turn}");
        }
    }

    #[test]
    fn tag_is_start_of_domain_separated_hash() {
        let hash = Sha256::digest(b"service-tokens prefix\0acme_live");
        assert_eq!(PrefixTag::of("acme_live").bytes()[..], hash[..12]);
        assert_ne!(PrefixTag::of("acme_live").bytes(), PrefixTag::of("acme_test").bytes());
    }
}
