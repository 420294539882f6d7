//! The request to import a token of an older system.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Expiry;
use crate::import::{ImportDigest, MAX_IMPORTED_LEN};
use crate::network::Network;
use crate::scope::ScopeSet;
use crate::secret::SecretText;

/// A request to import a token of an older system.
///
/// `Debug` shows neither the digest nor the plaintext.
///
/// # Examples
///
/// ```
/// use service_tokens::ImportRequest;
/// use service_tokens::import::ImportDigest;
///
/// let stored = [0x5a; 32]; // The column of the old table.
/// let request = ImportRequest::of_digest(ImportDigest::sha256(stored), "connector", "backup")
///     .issued_by("migration of 2026")
///     .metadata("old_id", "4711");
/// ```
#[derive(Clone)]
#[must_use]
pub struct ImportRequest {
    pub(crate) source: ImportSource,
    pub(crate) token_type: String,
    pub(crate) issued_to: String,
    pub(crate) expiry: Expiry,
    pub(crate) scopes: Option<ScopeSet>,
    pub(crate) not_before: Option<DateTime<Utc>>,
    pub(crate) created_at: Option<DateTime<Utc>>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) networks: Option<Vec<Network>>,
    pub(crate) issued_by: Option<String>,
}

/// The origin of the digest.
#[derive(Clone)]
pub(crate) enum ImportSource {
    Digest(ImportDigest),
    Plaintext(SecretText),
    /// The plaintext is longer than any form allows, so it was not copied.
    TooLong,
}

impl ImportRequest {
    /// Creates a request to import a token by the digest that the older system stored.
    ///
    /// The service must have an [import form](crate::TokenServiceBuilder::import_form) with the algorithm
    /// and the key of the digest. `issued_to` is a label for people. The token gets all scopes of its type
    /// and the default lifetime of the policy, counted from the import.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{MemoryStore, TokenService, TokenType};
    /// use service_tokens::ImportRequest;
    /// use service_tokens::import::{Characters, ImportDigest, ImportForm};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let builder = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?);
    /// let form = ImportForm::sha256("old keys").characters(Characters::LOWER_HEX).lengths([32]);
    /// let service = builder.import_form(form).build()?;
    ///
    /// let digest = ImportDigest::sha256([0x5a; 32]);
    /// let request = ImportRequest::of_digest(digest, "connector", "backup");
    /// let imported = service.owner("acme").import(request).await?;
    /// assert_eq!(imported.record.id(), digest.token_id());
    /// # Ok(()) }
    /// ```
    pub fn of_digest(
        digest: ImportDigest,
        token_type: impl Into<String>,
        issued_to: impl Into<String>,
    ) -> Self {
        Self::new(ImportSource::Digest(digest), token_type.into(), issued_to.into())
    }

    /// Creates a request to import a token by its plaintext, which the service hashes as the text's form
    /// says. The plaintext is not stored.
    ///
    /// It is for older systems with salted or slow hashes, whose digests cannot be looked up. Such a
    /// system checks the text one last time, and then imports it:
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{MemoryStore, TokenService, TokenType};
    /// use service_tokens::ImportRequest;
    /// use service_tokens::import::{Characters, ImportForm};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let builder = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?);
    /// # fn old_check(_: &str) -> Option<&'static str> { Some("acme") }
    /// let form = ImportForm::sha256("old keys").characters(Characters::LOWER_HEX).lengths([32]);
    /// let service = builder.import_form(form).build()?;
    ///
    /// let presented = "e5e9fa1ba31ecd1ae84f75caaa474f3a";
    /// if let Some(owner) = old_check(presented) {
    ///     let request = ImportRequest::of_plaintext(presented, "connector", "backup");
    ///     let imported = service.owner(owner).import(request).await?;
    ///     assert!(imported.record.is_imported());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn of_plaintext(
        text: &str,
        token_type: impl Into<String>,
        issued_to: impl Into<String>,
    ) -> Self {
        let source = if text.len() > MAX_IMPORTED_LEN {
            ImportSource::TooLong
        } else {
            let mut copy = SecretText::with_capacity(text.len());
            copy.push(text);
            ImportSource::Plaintext(copy)
        };
        Self::new(source, token_type.into(), issued_to.into())
    }

    fn new(source: ImportSource, token_type: String, issued_to: String) -> Self {
        Self {
            source,
            token_type,
            issued_to,
            expiry: Expiry::Default,
            scopes: None,
            not_before: None,
            created_at: None,
            metadata: BTreeMap::new(),
            networks: None,
            issued_by: None,
        }
    }

    /// Sets the lifetime, counted from the import.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::ImportRequest;
    /// # use service_tokens::import::ImportDigest;
    /// use std::time::Duration;
    ///
    /// # let digest = ImportDigest::sha256([1; 32]);
    /// let quarter = Duration::from_secs(90 * 86_400);
    /// let request = ImportRequest::of_digest(digest, "connector", "backup").expires_in(quarter);
    /// ```
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.expiry = Expiry::In(lifetime);
        self
    }

    /// Sets the expiry time (exclusive), such as the end that the token had in the older system.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{ImportRequest, MemoryStore, TokenService, TokenType};
    /// # use service_tokens::import::{Characters, ImportDigest, ImportForm};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let form = ImportForm::sha256("old keys").characters(Characters::LOWER_HEX).lengths([32]);
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).import_form(form).build()?;
    /// # let digest = ImportDigest::sha256([1; 32]);
    /// let end = service.now() + Duration::from_secs(30 * 86_400);
    /// let request = ImportRequest::of_digest(digest, "connector", "backup").expires_at(end);
    /// let imported = service.owner("acme").import(request).await?;
    /// assert_eq!(imported.record.expires_at(), Some(end));
    /// # Ok(()) }
    /// ```
    pub fn expires_at(mut self, end: DateTime<Utc>) -> Self {
        self.expiry = Expiry::At(end);
        self
    }

    /// Imports a token that never expires. The policy must [allow](method@crate::Policy::allow_never) it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::ImportRequest;
    /// # use service_tokens::import::ImportDigest;
    /// # let digest = ImportDigest::sha256([1; 32]);
    /// let request = ImportRequest::of_digest(digest, "connector", "backup").never_expires();
    /// ```
    pub fn never_expires(mut self) -> Self {
        self.expiry = Expiry::Never;
        self
    }

    /// Sets the scopes of the token, instead of all scopes of its type. The type must contain them.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::ImportRequest;
    /// # use service_tokens::import::ImportDigest;
    /// use service_tokens::ScopeSet;
    ///
    /// # let digest = ImportDigest::sha256([1; 32]);
    /// let scopes = ScopeSet::new(["files:upload"])?;
    /// let request = ImportRequest::of_digest(digest, "connector", "backup").scopes(scopes);
    /// # Ok::<(), service_tokens::InvalidScope>(())
    /// ```
    pub fn scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = Some(scopes);
        self
    }

    /// Sets the client networks from which the token is accepted. Without this call any address is
    /// accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::ImportRequest;
    /// # use service_tokens::import::ImportDigest;
    /// # let digest = ImportDigest::sha256([1; 32]);
    /// let office = "192.0.2.0/24".parse()?;
    /// let request = ImportRequest::of_digest(digest, "connector", "backup").networks([office]);
    /// # Ok::<(), service_tokens::network::InvalidNetwork>(())
    /// ```
    pub fn networks(mut self, networks: impl IntoIterator<Item = Network>) -> Self {
        self.networks = Some(networks.into_iter().collect());
        self
    }

    /// Sets the time from which the token is accepted (inclusive).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::ImportRequest;
    /// # use service_tokens::import::ImportDigest;
    /// # let digest = ImportDigest::sha256([1; 32]);
    /// let start = "2027-01-01T00:00:00Z".parse()?;
    /// let request = ImportRequest::of_digest(digest, "connector", "backup").not_before(start);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn not_before(mut self, start: DateTime<Utc>) -> Self {
        self.not_before = Some(start);
        self
    }

    /// Sets the time at which the older system created the token. It must not be in the future. The
    /// default is the time of the import.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{ImportRequest, MemoryStore, TokenService, TokenType};
    /// # use service_tokens::import::{Characters, ImportDigest, ImportForm};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let form = ImportForm::sha256("old keys").characters(Characters::LOWER_HEX).lengths([32]);
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).import_form(form).build()?;
    /// # let digest = ImportDigest::sha256([1; 32]);
    /// let created = "2019-05-04T08:00:00Z".parse()?;
    /// let request = ImportRequest::of_digest(digest, "connector", "backup").created_at(created);
    /// let record = service.owner("acme").import(request).await?.record;
    /// assert_eq!(record.created_at(), created);
    /// assert!(record.end_set_at() > created);
    /// # Ok(()) }
    /// ```
    pub fn created_at(mut self, time: DateTime<Utc>) -> Self {
        self.created_at = Some(time);
        self
    }

    /// Adds an entry of your own, such as the id in the older system. A later value of the same key
    /// replaces the earlier one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::ImportRequest;
    /// # use service_tokens::import::ImportDigest;
    /// # let digest = ImportDigest::sha256([1; 32]);
    /// let request = ImportRequest::of_digest(digest, "connector", "backup").metadata("old_id", "4711");
    /// ```
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Sets the person or program that imports the token.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::ImportRequest;
    /// # use service_tokens::import::ImportDigest;
    /// # let digest = ImportDigest::sha256([1; 32]);
    /// let request = ImportRequest::of_digest(digest, "connector", "backup").issued_by("migration");
    /// ```
    pub fn issued_by(mut self, by: impl Into<String>) -> Self {
        self.issued_by = Some(by.into());
        self
    }
}

impl fmt::Debug for ImportRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportRequest")
            .field("token_type", &self.token_type)
            .field("issued_to", &self.issued_to)
            .field("expiry", &self.expiry)
            .field("scopes", &self.scopes)
            .field("not_before", &self.not_before)
            .field("created_at", &self.created_at)
            .field("metadata", &self.metadata)
            .field("networks", &self.networks)
            .field("issued_by", &self.issued_by)
            .finish_non_exhaustive()
    }
}
