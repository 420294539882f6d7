//! Digests of secrets, and the keys that they may be made with.
//!
//! A record stores a digest of the secret, never the secret. A [`KeyRing`] makes the digests keyed, so
//! that a reader of the storage cannot confirm a token. The manual explains it in
//! [keys and digests](crate::manual::keys_and_digests).

#[cfg(test)]
pub(crate) mod counted;
mod key_ring;
mod padding;

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

pub use key_ring::{InvalidKey, KeyId, KeyRing};

use crate::secret::{Presented, SECRET_LEN};
use crate::token::TokenId;
use padding::Padding;

const SCHEME_SHA256: u8 = 1;
const SCHEME_HMAC_SHA256: u8 = 2;

/// The length of scheme, key id and hash of a stored digest, in bytes.
pub(crate) const DIGEST_LEN: usize = 1 + 4 + 32;

/// The stored form of a secret, which consists of scheme, key id and 32 bytes. The secret cannot be
/// computed from it.
///
/// Scheme 1 is SHA-256 of the 43 characters of the secret. Scheme 2 is HMAC-SHA-256 (RFC 2104) of
/// the 16 bytes of the id and the characters of the secret, under a key of the [`KeyRing`]. A fast
/// hash is right, because the secret has 256 random bits and cannot be guessed. A slow hash
/// protects passwords, which can.
///
/// `Debug` shows only the scheme and the key id. Comparison takes constant time.
#[derive(Clone, Copy)]
pub(crate) struct StoredDigest {
    scheme: u8,
    key: KeyId,
    hash: [u8; 32],
}

impl StoredDigest {
    #[cfg(test)]
    fn scheme(&self) -> u8 {
        self.scheme
    }

    /// Returns the key id, if the scheme is keyed.
    pub(crate) fn key_id(&self) -> Option<KeyId> {
        (self.scheme == SCHEME_HMAC_SHA256).then_some(self.key)
    }

    pub(crate) fn to_bytes(self) -> [u8; DIGEST_LEN] {
        let mut bytes = [0; DIGEST_LEN];
        bytes[0] = self.scheme;
        bytes[1..5].copy_from_slice(&self.key.0);
        bytes[5..].copy_from_slice(&self.hash);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; DIGEST_LEN]) -> Self {
        let (mut key, mut hash) = ([0; 4], [0; 32]);
        key.copy_from_slice(&bytes[1..5]);
        hash.copy_from_slice(&bytes[5..]);
        Self { scheme: bytes[0], key: KeyId(key), hash }
    }

    /// Returns a digest that no secret matches, because its scheme does not exist.
    pub(crate) const fn unmatchable() -> Self {
        Self { scheme: 0, key: KeyId([0; 4]), hash: [0; 32] }
    }
}

impl PartialEq for StoredDigest {
    fn eq(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.key == other.key
            && constant_time_eq(&self.hash, &other.hash)
    }
}

impl Eq for StoredDigest {}

impl fmt::Debug for StoredDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredDigest")
            .field("scheme", &self.scheme)
            .field("key_id", &self.key_id())
            .finish_non_exhaustive()
    }
}

/// The scheme of new digests and the keys that verify stored ones: plain (scheme 1) or with a key
/// ring (scheme 2).
#[derive(Clone, Default)]
pub struct Digests {
    keys: Option<KeyRing>,
    padding: Padding,
}

impl fmt::Debug for Digests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digests").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// The reason why a digest cannot be verified by this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unverifiable {
    Scheme(u8),
    Key(KeyId),
}

impl Digests {
    /// Creates plain digests, scheme 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::steps::Digests;
    ///
    /// let digests = Digests::plain();
    /// ```
    pub fn plain() -> Self {
        Self::default()
    }

    /// Creates keyed digests, scheme 2. Digests of scheme 1 still verify.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::digest::KeyId;
    /// use service_tokens::steps::Digests;
    /// use service_tokens::KeyRing;
    ///
    /// let digests = Digests::keyed(KeyRing::new(KeyId(*b"2026"), &[7; 32])?);
    /// # Ok::<(), service_tokens::digest::InvalidKey>(())
    /// ```
    pub fn keyed(keys: KeyRing) -> Self {
        Self { keys: Some(keys), ..Self::default() }
    }

    /// Computes the digest of a new secret.
    pub(crate) fn make(&self, id: TokenId, secret: &[u8; SECRET_LEN]) -> StoredDigest {
        match &self.keys {
            None => StoredDigest {
                scheme: SCHEME_SHA256,
                key: KeyId([0; 4]),
                // This hasher overwrites its buffer, which matters because the secret is new.
                hash: Sha256::digest(secret).into(),
            },
            Some(ring) => StoredDigest {
                scheme: SCHEME_HMAC_SHA256,
                key: ring.active.0,
                hash: authenticate(&ring.active.1, id, secret),
            },
        }
    }

    /// Prepares a presented secret for the comparison with stored digests. Most of the work is done
    /// here, before the look-up. So it takes the same time for unknown ids, and it can overlap with
    /// the look-up.
    #[inline]
    pub(crate) fn hash<'t>(&self, id: TokenId, secret: &'t Presented) -> HashedSecret<'t> {
        // With a key ring most digests are keyed, and the key is known only from the record.
        let plain = self.keys.is_none().then(|| self.padding.hash(secret));
        HashedSecret { id, secret, plain }
    }

    /// Returns whether the digest was computed from this secret.
    #[inline]
    pub(crate) fn verify(
        &self,
        stored: &StoredDigest,
        hashed: &HashedSecret<'_>,
    ) -> Result<bool, Unverifiable> {
        let hash = match (stored.scheme, hashed.plain) {
            (SCHEME_SHA256, Some(hash)) => hash,
            (SCHEME_SHA256, None) => self.padding.hash(hashed.secret),
            (SCHEME_HMAC_SHA256, _) => {
                let mac = self.keys.as_ref().and_then(|ring| ring.find(stored.key));
                let mac = mac.ok_or(Unverifiable::Key(stored.key))?;
                authenticate(mac, hashed.id, hashed.characters())
            }
            (unknown, _) => return Err(Unverifiable::Scheme(unknown)),
        };
        Ok(constant_time_eq(&hash, &stored.hash))
    }

    /// Does the work of [`verify`](Self::verify) for an unknown id.
    pub(crate) fn verify_nothing(&self, hashed: &HashedSecret<'_>) {
        let hash = hashed.plain.unwrap_or_else(|| match &self.keys {
            Some(ring) => authenticate(&ring.active.1, hashed.id, hashed.characters()),
            None => self.padding.hash(hashed.secret),
        });
        std::hint::black_box(constant_time_eq(&hash, &[0; 32]));
    }
}

/// A presented secret with its plain hash, if that is likely to be needed.
pub(crate) struct HashedSecret<'t> {
    id: TokenId,
    secret: &'t Presented,
    plain: Option<[u8; 32]>,
}

impl HashedSecret<'_> {
    pub(crate) fn id(&self) -> TokenId {
        self.id
    }

    fn characters(&self) -> &[u8] {
        &self.secret[..SECRET_LEN]
    }
}

/// Both parts have a fixed length, so two different pairs never give the same message.
fn authenticate(keyed: &Hmac<Sha256>, id: TokenId, secret: &[u8]) -> [u8; 32] {
    #[cfg(test)]
    counted::keyed();
    let mut mac = keyed.clone();
    mac.update(&id.to_bytes());
    mac.update(secret);
    mac.finalize().into_bytes().into()
}

/// Compares in constant time. The differences of four words are combined and compared once, which
/// takes a fraction of the time of a comparison byte by byte.
#[inline]
fn constant_time_eq(left: &[u8; 32], right: &[u8; 32]) -> bool {
    let mut difference = 0u64;
    for (l, r) in left.as_chunks::<8>().0.iter().zip(right.as_chunks::<8>().0) {
        difference |= u64::from_ne_bytes(*l) ^ u64::from_ne_bytes(*r);
    }
    bool::from(difference.ct_eq(&0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; SECRET_LEN] = *b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg";
    /// The secret within a token, followed by the first character of a checksum.
    const PRESENTED: Presented = *b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg4Zz1c";
    const ID: TokenId = TokenId::from_bytes([7; 16]);

    fn verified(
        digests: &Digests,
        stored: &StoredDigest,
        id: TokenId,
    ) -> Result<bool, Unverifiable> {
        digests.verify(stored, &digests.hash(id, &PRESENTED))
    }

    #[test]
    fn digest_differing_in_any_bit_is_unequal() {
        let base = [0x5a; 32];
        assert!(constant_time_eq(&base, &base));
        for bit in 0..256 {
            let mut other = base;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!constant_time_eq(&base, &other), "bit {bit}");
        }
    }

    #[test]
    fn scheme_1_is_sha_256_of_the_secret() {
        let digest = Digests::plain().make(ID, &SECRET);
        assert_eq!(digest.scheme(), 1);
        assert_eq!(digest.hash, <[u8; 32]>::from(Sha256::digest(SECRET)));
    }

    #[test]
    fn retired_key_verifies_until_removed() {
        let (old, new) = ([1; 32], [2; 32]);
        let before = Digests::keyed(KeyRing::new(KeyId(*b"old_"), &old).unwrap());
        let stored = before.make(ID, &SECRET);
        assert_eq!((stored.scheme(), stored.key_id()), (2, Some(KeyId(*b"old_"))));
        assert_eq!(verified(&before, &stored, ID), Ok(true));
        assert_eq!(verified(&before, &stored, TokenId::from_bytes([8; 16])), Ok(false));

        let ring = KeyRing::new(KeyId(*b"new_"), &new).unwrap();
        let after = Digests::keyed(ring.clone().retired(KeyId(*b"old_"), &old).unwrap());
        assert_eq!(verified(&after, &stored, ID), Ok(true));
        assert_eq!(after.make(ID, &SECRET).key_id(), Some(KeyId(*b"new_")));

        let without = Digests::keyed(ring);
        let missing = Err(Unverifiable::Key(KeyId(*b"old_")));
        assert_eq!(verified(&without, &stored, ID), missing);
        assert_eq!(verified(&Digests::plain(), &stored, ID), missing);
    }

    #[test]
    fn digest_of_unknown_scheme_is_refused() {
        let stored = StoredDigest { scheme: 3, key: KeyId([0; 4]), hash: [0; 32] };
        let refused = Err(Unverifiable::Scheme(3));
        assert_eq!(verified(&Digests::plain(), &stored, ID), refused);
    }

    #[test]
    fn weak_or_duplicate_key_is_refused() {
        assert_eq!(KeyRing::new(KeyId([0; 4]), &[0; 31]).err(), Some(InvalidKey::TooShort));
        let ring = KeyRing::new(KeyId([0; 4]), &[0; 32]).unwrap();
        let doubled = ring.retired(KeyId([0; 4]), &[1; 32]).err();
        assert_eq!(doubled, Some(InvalidKey::DuplicateId(KeyId([0; 4]))));
    }
}
