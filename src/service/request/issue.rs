//! The request to issue a token.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Expiry;
use crate::network::Network;
use crate::scope::ScopeSet;
use crate::token::TokenId;

/// A request to issue a token.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use service_tokens::{IssueRequest, ScopeSet};
///
/// let request = IssueRequest::new("developer", "build server")
///     .expires_in(Duration::from_secs(30 * 86_400))
///     .scopes(ScopeSet::new(["builds:*"])?)
///     .issued_by("alice@acme.example")
///     .metadata("ticket", "OPS-1234");
/// # Ok::<(), service_tokens::InvalidScope>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct IssueRequest {
    pub(crate) token_type: String,
    pub(crate) issued_to: String,
    pub(crate) expiry: Expiry,
    pub(crate) scopes: Option<ScopeSet>,
    pub(crate) not_before: Option<DateTime<Utc>>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) networks: Option<Vec<Network>>,
    pub(crate) issued_by: Option<String>,
    pub(crate) id: Option<TokenId>,
}

impl IssueRequest {
    /// Creates a request for a token of this type.
    ///
    /// `issued_to` is a label for people. It names the person or program that receives the token.
    /// The service stores and lists it, but does not use it in any decision.
    ///
    /// The token gets all scopes of its type and the default lifetime of the policy. The owner is that
    /// of the [`Tokens`](crate::Tokens) view on which you call
    /// [`issue`](crate::Tokens::issue), such as `service.owner("acme")`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let request = IssueRequest::new("connector", "nightly backup");
    /// let record = service.owner("acme").issue(request).await?.record;
    /// assert_eq!((record.owner(), record.issued_to()), ("acme", "nightly backup"));
    /// # Ok(()) }
    /// ```
    pub fn new(token_type: impl Into<String>, issued_to: impl Into<String>) -> Self {
        Self {
            token_type: token_type.into(),
            issued_to: issued_to.into(),
            expiry: Expiry::Default,
            scopes: None,
            not_before: None,
            metadata: BTreeMap::new(),
            networks: None,
            issued_by: None,
            id: None,
        }
    }

    /// Sets the lifetime, counted from the issue.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let day = Duration::from_secs(86_400);
    /// let request = IssueRequest::new("connector", "migration").expires_in(day);
    /// let record = service.owner("acme").issue(request).await?.record;
    /// assert_eq!(record.expires_at(), Some(record.created_at() + day));
    /// # Ok(()) }
    /// ```
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.expiry = Expiry::In(lifetime);
        self
    }

    /// Sets the expiry time (exclusive). The token is refused from this time on.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let end = service.now() + Duration::from_secs(86_400);
    /// let request = IssueRequest::new("connector", "migration").expires_at(end);
    /// assert_eq!(service.owner("acme").issue(request).await?.record.expires_at(), Some(end));
    /// # Ok(()) }
    /// ```
    pub fn expires_at(mut self, end: DateTime<Utc>) -> Self {
        self.expiry = Expiry::At(end);
        self
    }

    /// Requests a token that never expires. The policy must
    /// [allow](method@crate::Policy::allow_never) it, or the [type](crate::TokenType::allow_never) must. By default it does not, because a forgotten token
    /// would stay valid.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::Policy;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .policy(Policy::new().allow_never(true))
    ///     .build()?;
    /// let request = IssueRequest::new("connector", "backup").never_expires();
    /// assert_eq!(service.owner("acme").issue(request).await?.record.expires_at(), None);
    /// # Ok(()) }
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
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{ScopeSet, requirement};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("developer", ["*"])?).build()?;
    /// let builds = ScopeSet::new(["builds:*"])?;
    /// let request = IssueRequest::new("developer", "build server").scopes(builds);
    /// let record = service.owner("acme").issue(request).await?.record;
    /// assert!(record.scopes().permits(&requirement!("builds:start")));
    /// assert!(!record.scopes().permits(&requirement!("files:upload")));
    /// # Ok(()) }
    /// ```
    pub fn scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = Some(scopes);
        self
    }

    /// Sets the time from which the token is accepted (inclusive). The lifetime counts from the issue
    /// and not from this time, so a late start shortens the time of use.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use std::time::Duration;
    /// use service_tokens::State;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let tomorrow = service.now() + Duration::from_secs(86_400);
    /// let request = IssueRequest::new("connector", "backup").not_before(tomorrow);
    /// let record = service.owner("acme").issue(request).await?.record;
    /// assert_eq!(record.state(service.now()), State::Pending);
    /// assert_eq!(record.state(tomorrow), State::Active);
    /// # Ok(()) }
    /// ```
    pub fn not_before(mut self, start: DateTime<Utc>) -> Self {
        self.not_before = Some(start);
        self
    }

    /// Adds a metadata entry of your own to the record, for example the number of a ticket. A second
    /// value for the same key replaces the first.
    ///
    /// A record can have at most 64 entries, and their keys and values at most 8,192 bytes together.
    /// The policy may be stricter. By default it allows
    /// [16 entries](method@crate::Policy::max_metadata_entries) and
    /// [2,048 bytes](method@crate::Policy::max_metadata_bytes). A request beyond a limit is refused.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let request = IssueRequest::new("connector", "backup").metadata("ticket", "OPS-1234");
    /// let record = service.owner("acme").issue(request).await?.record;
    /// assert!(record.metadata().eq([("ticket", "OPS-1234")]));
    /// # Ok(()) }
    /// ```
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Restricts the token to these networks, at most 32 of them. From any other address, and without a
    /// known address, it is refused.
    ///
    /// A token that another token issues without networks inherits those of its issuer.
    /// [`TokenService::in_context`](crate::TokenService::in_context) passes the client's address to a
    /// verification.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let office = ["192.0.2.0/24".parse()?, "2001:db8::/32".parse()?];
    /// let request = IssueRequest::new("connector", "backup").networks(office);
    /// let record = service.owner("acme").issue(request).await?.record;
    /// assert_eq!(record.networks().count(), 2);
    /// # Ok(()) }
    /// ```
    pub fn networks(mut self, networks: impl IntoIterator<Item = Network>) -> Self {
        self.networks = Some(networks.into_iter().collect());
        self
    }

    /// Sets the person or program that issues the token. The record and the event contain it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let request = IssueRequest::new("connector", "backup").issued_by("alice@acme.example");
    /// let record = service.owner("acme").issue(request).await?.record;
    /// assert_eq!(record.issued_by(), Some("alice@acme.example"));
    /// # Ok(()) }
    /// ```
    pub fn issued_by(mut self, by: impl Into<String>) -> Self {
        self.issued_by = Some(by.into());
        self
    }

    /// Sets the id, so that a repeated request cannot create a second token.
    ///
    /// The id is a UUID of version 7 whose time is within an hour of now. [`TokenService::new_id`]
    /// makes one. *Now* is the service's time or the reading of its clock. They differ after the clock
    /// ran ahead and was corrected, and ids near either are accepted.
    ///
    /// If a token with the id exists, the request fails with
    /// [`ManageError::Exists`](crate::ManageError::Exists). If that token has the same owner, this check
    /// comes first, so a retry returns `Exists` even if the hour has passed or issuing is paused.
    /// The store does not have the secret of that token. [Rotate](crate::Tokens::rotate) it when it is
    /// active to get a usable token.
    ///
    /// [`TokenService::new_id`]: crate::TokenService::new_id
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::ManageError;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let request = IssueRequest::new("connector", "backup").id(service.new_id()?);
    /// let _ = service.owner("acme").issue(request.clone()).await?;
    /// let repeated = service.owner("acme").issue(request).await;
    /// assert!(matches!(repeated, Err(ManageError::Exists { .. })));
    /// # Ok(()) }
    /// ```
    pub fn id(mut self, id: TokenId) -> Self {
        self.id = Some(id);
        self
    }
}
