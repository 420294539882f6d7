//! Digests of secrets, and the keys that they may be made with.
//!
//! A record stores a digest of the secret, never the secret. A [`KeyRing`] makes the digests keyed, so
//! that a reader of the storage cannot confirm a token. The manual explains it in
//! [keys and digests](crate::manual::keys_and_digests).

mod key_ring;

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

pub(crate) use key_ring::RingKey;
pub use key_ring::{InvalidKey, KeyId, KeyRing};

use crate::secret::{PrefixTag, Presented, SECRET_LEN};
use crate::token::{ParsedToken, TokenId};

const SCHEME_SHA256: u8 = 1;
const SCHEME_HMAC_SHA256: u8 = 2;
const SCHEME_IMPORTED_SHA256: u8 = 3;
const SCHEME_IMPORTED_SHA512: u8 = 4;
const SCHEME_IMPORTED_HMAC_SHA256: u8 = 5;

/// The length of scheme, key id and hash of a stored digest, in bytes.
pub(crate) const DIGEST_LEN: usize = 1 + 4 + 32;

/// The stored form of a secret, which consists of scheme, key id and 32 bytes. The secret cannot be
/// computed from it.
///
/// | scheme | digest |
/// | --- | --- |
/// | 1 | SHA-256 of the 43 characters of the secret and the 12 bytes of the prefix's tag |
/// | 2 | HMAC-SHA-256 (RFC 2104) of the 16 bytes of the id, the secret and the tag, under a key of the [`KeyRing`] |
/// | 3, 4 | imported: SHA-256, or the first 32 bytes of SHA-512, of a text of an older system |
/// | 5 | imported: HMAC-SHA-256 of a text of an older system, under that system's key |
///
/// A fast hash is right, because the secret has 256 random bits and cannot be guessed. A slow hash
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

    /// Returns the digest of a secret that an older system made.
    pub(crate) fn imported(algorithm: ImportAlgorithm, hash: [u8; 32]) -> Self {
        let (scheme, key) = match algorithm {
            ImportAlgorithm::Sha256 => (SCHEME_IMPORTED_SHA256, KeyId([0; 4])),
            ImportAlgorithm::Sha512 => (SCHEME_IMPORTED_SHA512, KeyId([0; 4])),
            ImportAlgorithm::HmacSha256(key) => (SCHEME_IMPORTED_HMAC_SHA256, key),
        };
        Self { scheme, key, hash }
    }

    /// Returns whether an older system made the digest.
    pub(crate) fn is_imported(&self) -> bool {
        (SCHEME_IMPORTED_SHA256..=SCHEME_IMPORTED_HMAC_SHA256).contains(&self.scheme)
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

/// The algorithm by which an older system made a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImportAlgorithm {
    Sha256,
    /// The first 32 bytes of SHA-512.
    Sha512,
    HmacSha256(KeyId),
}

/// The scheme of new digests and the keys that verify stored ones: plain (scheme 1) or with a key
/// ring (scheme 2).
#[derive(Clone, Default)]
pub struct Digests {
    keys: Option<KeyRing>,
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
        Self { keys: Some(keys) }
    }

    /// Computes the digest of a new secret.
    pub(crate) fn make(
        &self,
        id: TokenId,
        secret: &[u8; SECRET_LEN],
        tag: &PrefixTag,
    ) -> StoredDigest {
        match &self.keys {
            None => StoredDigest {
                scheme: SCHEME_SHA256,
                key: KeyId([0; 4]),
                // This hasher overwrites its buffer, which matters because the secret is new.
                hash: Sha256::new()
                    .chain_update(secret)
                    .chain_update(tag.bytes())
                    .finalize()
                    .into(),
            },
            Some(ring) => StoredDigest {
                scheme: SCHEME_HMAC_SHA256,
                key: ring.active.id,
                hash: authenticate(&ring.active.mac, id, secret, tag),
            },
        }
    }

    /// Prepares a presented secret for the comparison with stored digests. Most of the work is done
    /// here, before the look-up. So it takes the same time for unknown ids, and it can overlap with
    /// the look-up.
    #[inline]
    pub(crate) fn hash<'t>(&self, token: &ParsedToken<'t>) -> HashedSecret<'t> {
        let (secret, tag) = (token.presented(), token.prefix_tag());
        // With a key ring most digests are keyed, and the key is known only from the record.
        let plain = self.keys.is_none().then(|| tag.hash(secret));
        HashedSecret { id: token.id(), presented: PresentedSecret::Native { secret, tag, plain } }
    }

    /// Returns whether the digest was computed from this secret. A secret of this crate never matches an
    /// imported digest, and an imported secret never matches a digest of this crate.
    #[inline]
    pub(crate) fn verify(
        &self,
        stored: &StoredDigest,
        hashed: &HashedSecret<'_>,
    ) -> Result<bool, Unverifiable> {
        let PresentedSecret::Native { secret, tag, plain } = &hashed.presented else {
            return hashed.verify_imported(stored);
        };
        let hash = match (stored.scheme, plain) {
            (SCHEME_SHA256, Some(hash)) => *hash,
            (SCHEME_SHA256, None) => tag.hash(secret),
            (SCHEME_HMAC_SHA256, _) => {
                let key = self.keys.as_ref().and_then(|ring| ring.find(stored.key));
                let key = key.ok_or(Unverifiable::Key(stored.key))?;
                authenticate(&key.mac, hashed.id, characters(secret), tag)
            }
            (SCHEME_IMPORTED_SHA256 | SCHEME_IMPORTED_SHA512 | SCHEME_IMPORTED_HMAC_SHA256, _) => {
                return Ok(false);
            }
            (unknown, _) => return Err(Unverifiable::Scheme(unknown)),
        };
        Ok(constant_time_eq(&hash, &stored.hash))
    }

    /// Returns the key of this digest, if it is in the ring.
    #[inline]
    pub(crate) fn key_of(&self, stored: &StoredDigest) -> Option<&RingKey> {
        // The ring is asked first, because most services have none.
        let ring = self.keys.as_ref()?;
        ring.find(stored.key_id()?)
    }

    /// Does the work of [`verify`](Self::verify) for an unknown id.
    pub(crate) fn verify_nothing(&self, hashed: &HashedSecret<'_>) {
        let hash = match &hashed.presented {
            PresentedSecret::Native { plain: Some(hash), .. } => *hash,
            PresentedSecret::Native { secret, tag, plain: None } => match &self.keys {
                Some(ring) => authenticate(&ring.active.mac, hashed.id, characters(secret), tag),
                None => tag.hash(secret),
            },
            PresentedSecret::Imported(digest) => digest.hash,
        };
        std::hint::black_box(constant_time_eq(&hash, &[0; 32]));
    }
}

/// A presented secret, prepared for the comparison with stored digests.
pub(crate) struct HashedSecret<'t> {
    id: TokenId,
    presented: PresentedSecret<'t>,
}

enum PresentedSecret<'t> {
    Native {
        secret: &'t Presented,
        tag: &'t PrefixTag,
        /// The hash of scheme 1, if it is likely to be needed.
        plain: Option<[u8; 32]>,
    },
    /// The digest of a text of an older system.
    Imported(StoredDigest),
}

impl HashedSecret<'_> {
    /// Creates the prepared form of a text of an older system.
    pub(crate) fn imported(id: TokenId, digest: StoredDigest) -> Self {
        Self { id, presented: PresentedSecret::Imported(digest) }
    }

    #[inline]
    pub(crate) fn id(&self) -> TokenId {
        self.id
    }

    #[cold]
    fn verify_imported(&self, stored: &StoredDigest) -> Result<bool, Unverifiable> {
        match (&self.presented, stored.scheme) {
            (PresentedSecret::Imported(digest), SCHEME_SHA256..=SCHEME_IMPORTED_HMAC_SHA256) => {
                Ok(digest == stored)
            }
            (_, unknown) => Err(Unverifiable::Scheme(unknown)),
        }
    }
}

fn characters(secret: &Presented) -> &[u8] {
    &secret[..SECRET_LEN]
}

/// All parts have a fixed length, so two different inputs never give the same message.
fn authenticate(keyed: &Hmac<Sha256>, id: TokenId, secret: &[u8], tag: &PrefixTag) -> [u8; 32] {
    #[cfg(test)]
    crate::secret::counted::keyed();
    let mut mac = keyed.clone();
    mac.update(&id.to_bytes());
    mac.update(secret);
    mac.update(tag.bytes());
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
mod tests;
