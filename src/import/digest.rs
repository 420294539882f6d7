//! Digests that an older system stored, and the ids of the tokens that are imported by them.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::digest::{ImportAlgorithm, KeyId, StoredDigest};
use crate::token::TokenId;

/// The text before a digest in the input of its id, so that no other use of SHA-256 has the same input. With
/// the digest it fits one block of SHA-256.
const DOMAIN: &[u8] = b"service-tokens id\0";

/// A digest of a credential, as an older system stored it.
///
/// `Debug` does not show the digest.
///
/// # Examples
///
/// ```
/// use service_tokens::import::ImportDigest;
///
/// let stored = [0x5a; 32]; // The column of the old table.
/// let digest = ImportDigest::sha256(stored);
/// assert!(digest.token_id().is_imported());
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ImportDigest {
    algorithm: ImportAlgorithm,
    stored: StoredDigest,
}

impl ImportDigest {
    /// Creates the digest of a system that stores SHA-256.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::import::ImportDigest;
    ///
    /// assert_ne!(ImportDigest::sha256([1; 32]).token_id(), ImportDigest::sha256([2; 32]).token_id());
    /// ```
    pub fn sha256(digest: [u8; 32]) -> Self {
        Self::new(ImportAlgorithm::Sha256, digest)
    }

    /// Creates the digest of a system that stores SHA-512. Only its first 32 bytes are retained, which
    /// are as hard to invert as SHA-256. SHA-512/256 is another algorithm, which cannot be imported.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::import::ImportDigest;
    ///
    /// assert_ne!(ImportDigest::sha512(&[1; 64]).token_id(), ImportDigest::sha256([1; 32]).token_id());
    /// ```
    pub fn sha512(digest: &[u8; 64]) -> Self {
        let mut first = [0; 32];
        first.copy_from_slice(&digest[..32]);
        Self::new(ImportAlgorithm::Sha512, first)
    }

    /// Creates the digest of a system that stores HMAC-SHA-256 (RFC 2104), made with the key with this
    /// id.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::digest::KeyId;
    /// use service_tokens::import::ImportDigest;
    ///
    /// let digest = ImportDigest::hmac_sha256(KeyId(*b"old1"), [7; 32]);
    /// assert_ne!(digest.token_id(), ImportDigest::sha256([7; 32]).token_id());
    /// ```
    pub fn hmac_sha256(key: KeyId, digest: [u8; 32]) -> Self {
        Self::new(ImportAlgorithm::HmacSha256(key), digest)
    }

    /// Returns the id of the token that is imported by this digest.
    ///
    /// It is a UUID of version 8 whose first 16 bits are zero. Its other free bits are a hash of the
    /// algorithm, the key id and the digest. So importing a digest twice gives the same id, and such an id
    /// is never that of an issued token.
    ///
    /// # Examples
    ///
    /// Whether a credential was imported before:
    ///
    /// ```
    /// # use service_tokens::{ManageError, MemoryStore, TokenService};
    /// use service_tokens::import::ImportDigest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let id = ImportDigest::sha256([0x5a; 32]).token_id();
    /// let missing = service.owner("acme").get(id).await;
    /// assert!(matches!(missing, Err(ManageError::NotFound { .. })));
    /// # Ok(()) }
    /// ```
    pub fn token_id(&self) -> TokenId {
        let hash =
            Sha256::new().chain_update(DOMAIN).chain_update(self.stored.to_bytes()).finalize();
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(hash).for_each(|(byte, hashed)| *byte = hashed);
        bytes[..2].fill(0);
        // Version 8 and the variant of RFC 9562 §4.
        bytes[6] = 0x80 | bytes[6] & 0x0f;
        bytes[8] = 0x80 | bytes[8] & 0x3f;
        TokenId::from_bytes(bytes)
    }

    pub(super) fn new(algorithm: ImportAlgorithm, digest: [u8; 32]) -> Self {
        Self { algorithm, stored: StoredDigest::imported(algorithm, digest) }
    }

    pub(crate) fn algorithm(&self) -> ImportAlgorithm {
        self.algorithm
    }

    pub(crate) fn stored(&self) -> StoredDigest {
        self.stored
    }
}

impl fmt::Debug for ImportDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportDigest").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
