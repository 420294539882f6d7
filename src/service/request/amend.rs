//! The request to amend a token.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Expiry;
use crate::network::Network;
use crate::scope::ScopeSet;
use crate::store::Version;

/// A request to change the label, the metadata or the end of a token, or to narrow its scopes and networks.
/// Its secrets stay. The fields that the request does not set do not change.
///
/// # Examples
///
/// ```
/// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
/// use service_tokens::AmendRequest;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
/// #     .token_type(TokenType::new("connector", ["files:*"])?).build()?;
/// # let acme = service.owner("acme");
/// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
/// let request = AmendRequest::new().issued_to("nightly backup").metadata("ticket", "OPS-1234");
/// let record = acme.amend(id, request.by("alice@acme.example")).await?.record;
/// assert_eq!(record.issued_to(), "nightly backup");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct AmendRequest {
    pub(crate) issued_to: Option<String>,
    /// The new value of each key. `None` removes the key.
    pub(crate) metadata: BTreeMap<String, Option<String>>,
    pub(crate) expiry: Option<Expiry>,
    pub(crate) scopes: Option<ScopeSet>,
    pub(crate) networks: Option<Vec<Network>>,
    pub(crate) by: Option<String>,
    pub(crate) if_version: Option<Version>,
}

impl AmendRequest {
    /// Creates a request that changes no field.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::AmendRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:*"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let amended = acme.amend(id, AmendRequest::new()).await?;
    /// assert!(amended.fields.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the label for people.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::AmendRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:*"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let amended = acme.amend(id, AmendRequest::new().issued_to("restore")).await?;
    /// assert_eq!(amended.record.issued_to(), "restore");
    /// # Ok(()) }
    /// ```
    pub fn issued_to(mut self, issued_to: impl Into<String>) -> Self {
        self.issued_to = Some(issued_to.into());
        self
    }

    /// Sets a metadata entry. Entries with other keys stay. The limits are those of an
    /// [issue](crate::IssueRequest::metadata), for all entries together.
    ///
    /// If tokens may amend tokens (`service-tokens:amend`), do not store permissions in metadata.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::AmendRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:*"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let amended = acme.amend(id, AmendRequest::new().metadata("ticket", "OPS-1234")).await?;
    /// assert!(amended.record.metadata().eq([("ticket", "OPS-1234")]));
    /// # Ok(()) }
    /// ```
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), Some(value.into()));
        self
    }

    /// Removes a metadata entry. A key without an entry is not an error.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::AmendRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:*"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// # acme.amend(id, AmendRequest::new().metadata("ticket", "OPS-1234")).await?;
    /// let amended = acme.amend(id, AmendRequest::new().remove_metadata("ticket")).await?;
    /// assert_eq!(amended.record.metadata().count(), 0);
    /// # Ok(()) }
    /// ```
    pub fn remove_metadata(mut self, key: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), None);
        self
    }

    /// Sets the expiry time to this duration after the amendment.
    ///
    /// A later end than the present one must be within
    /// [`Policy::max_lifetime`](method@crate::Policy::max_lifetime), counted from the creation of the newest
    /// secret. So a token lives longer only if its secret is replaced. An earlier end is always allowed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use std::time::Duration;
    /// use service_tokens::AmendRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:*"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let day = Duration::from_secs(86_400);
    /// let amended = acme.amend(id, AmendRequest::new().expires_in(day)).await?;
    /// assert!(amended.record.expires_at().unwrap() <= service.now() + day);
    /// # Ok(()) }
    /// ```
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.expiry = Some(Expiry::In(lifetime));
        self
    }

    /// Sets the expiry time (exclusive), with the limits of [`expires_in`](Self::expires_in).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::AmendRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:*"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let end = service.now() + service_tokens::chrono::Duration::days(7);
    /// let amended = acme.amend(id, AmendRequest::new().expires_at(end)).await?;
    /// assert_eq!(amended.record.expires_at(), Some(end));
    /// # Ok(()) }
    /// ```
    pub fn expires_at(mut self, end: DateTime<Utc>) -> Self {
        self.expiry = Some(Expiry::At(end));
        self
    }

    /// Removes the expiry time. It is refused unless the policy
    /// [allows](method@crate::Policy::allow_never) tokens that never expire.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{AmendRequest, Policy};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let builder = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?);
    /// let service = builder.policy(Policy::new().allow_never(true)).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let amended = acme.amend(id, AmendRequest::new().never_expires()).await?;
    /// assert_eq!(amended.record.expires_at(), None);
    /// # Ok(()) }
    /// ```
    pub fn never_expires(mut self) -> Self {
        self.expiry = Some(Expiry::Never);
        self
    }

    /// Sets the scopes, which the present ones must contain. A token never gets more scopes.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{AmendRequest, ScopeSet};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:*"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let read = ScopeSet::new(["files:read"])?;
    /// let amended = acme.amend(id, AmendRequest::new().scopes(read)).await?;
    /// assert_eq!(amended.record.scopes().as_str(), "files:read");
    /// # Ok(()) }
    /// ```
    pub fn scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = Some(scopes);
        self
    }

    /// Restricts the token to these networks, at most 32 of them. If it is restricted already, its present
    /// networks must contain them. A restriction cannot be removed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::AmendRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:*"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let office = ["192.0.2.0/24".parse()?];
    /// let amended = acme.amend(id, AmendRequest::new().networks(office)).await?;
    /// assert_eq!(amended.record.networks().count(), 1);
    /// # Ok(()) }
    /// ```
    pub fn networks(mut self, networks: impl IntoIterator<Item = Network>) -> Self {
        self.networks = Some(networks.into_iter().collect());
        self
    }

    /// Sets the person or program that amends the token. The event contains it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::AmendRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:*"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let request = AmendRequest::new().issued_to("restore").by("alice@acme.example");
    /// acme.amend(id, request).await?;
    /// # Ok(()) }
    /// ```
    pub fn by(mut self, by: impl Into<String>) -> Self {
        self.by = Some(by.into());
        self
    }

    /// Sets the version that the record must have, from [`StoredRecord::version`](crate::StoredRecord) or
    /// from an earlier amendment. If the record was changed in the meantime, the request is refused with
    /// [`ManageError::VersionChanged`](crate::ManageError::VersionChanged).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{AmendRequest, ManageError};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:*"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let seen = acme.get(id).await?.version;
    /// acme.amend(id, AmendRequest::new().issued_to("restore").if_version(seen)).await?;
    ///
    /// let stale = AmendRequest::new().issued_to("backup").if_version(seen);
    /// let refused = acme.amend(id, stale).await;
    /// assert!(matches!(refused, Err(ManageError::VersionChanged { .. })));
    /// # Ok(()) }
    /// ```
    pub fn if_version(mut self, version: Version) -> Self {
        self.if_version = Some(version);
        self
    }
}
