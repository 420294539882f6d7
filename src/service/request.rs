//! The requests to issue, rotate and revoke a token.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::record::ReplacedSecret;
use crate::scope::ScopeSet;
use crate::token::TokenId;

/// The end that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    Default,
    In(Duration),
    At(DateTime<Utc>),
    Never,
}

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
    pub(crate) issued_by: Option<String>,
    pub(crate) id: Option<TokenId>,
}

impl IssueRequest {
    /// Creates a request for a token of this type.
    ///
    /// `issued_to` is a label for people. It names the person or program that receives the token.
    /// The service stores and lists it, but does not use it in any decision.
    ///
    /// The token gets all scopes of its type and the default lifetime of the policy. The view that
    /// [issues](crate::Tokens::issue) it gives the owner.
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
    /// [allow](method@crate::Policy::allow_never) it.
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
    /// let request = IssueRequest::new("connector", "backup").never_expires();
    /// let refused = service.owner("acme").issue(request).await;
    /// assert!(matches!(refused, Err(ManageError::Invalid(_))));
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

    /// Sets the time from which the token is accepted. The default lifetime counts from the issue
    /// and not from this time.
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

    /// Adds a metadata entry of your own to the record. A second value for the same key replaces
    /// the first.
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
    /// makes one.
    ///
    /// If the same owner already has a token with the id, the request fails with
    /// [`ManageError::Exists`](crate::ManageError::Exists). A repeated request gets this error after
    /// the hour too, while issuing is paused, and if it would be refused for another reason by then.
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

/// A request to give a token a new secret. The id stays, and the expiry time stays unless the
/// request sets a new one.
///
/// The manual describes what happens to both secrets in [the life of a
/// token](crate::manual::life#rotation), and how to choose in [rotation and
/// incidents](crate::manual::rotation_and_incidents).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use service_tokens::RotateRequest;
///
/// let leaked = RotateRequest::at_once().by("alice@acme.example");
/// let planned = RotateRequest::until_first_use(Duration::from_secs(7 * 86_400));
/// assert_ne!(leaked, planned);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct RotateRequest {
    pub(crate) older_ends: Expiry,
    pub(crate) on_first_use: bool,
    pub(crate) replaces: Option<ReplacedSecret>,
    pub(crate) expiry: Option<Expiry>,
    pub(crate) if_secret_created_at: Option<DateTime<Utc>>,
    pub(crate) by: Option<String>,
}

impl RotateRequest {
    fn new(older_ends: Expiry) -> Self {
        Self {
            older_ends,
            on_first_use: false,
            replaces: None,
            expiry: None,
            if_secret_created_at: None,
            by: None,
        }
    }

    /// Creates a request that ends the current secret at once. Use it if the secret leaked.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use service_tokens::Requirement;
    /// use service_tokens::RotateRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let old = acme.issue(IssueRequest::new("connector", "backup")).await?;
    /// let new = acme.rotate(old.record.id(), RotateRequest::at_once()).await?;
    /// let any = Requirement::any_token();
    /// assert!(service.verify(old.token.expose_secret(), &any).await.is_err());
    /// assert!(service.verify(new.token.expose_secret(), &any).await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn at_once() -> Self {
        Self::new(Expiry::In(Duration::ZERO))
    }

    /// Creates a request after which both secrets are accepted for this long. After that only the
    /// new one is accepted.
    ///
    /// [`Policy::max_overlap`](method@crate::Policy::max_overlap) limits it. Zero has the effect of
    /// [`at_once`](Self::at_once).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use service_tokens::Requirement;
    /// # use std::time::Duration;
    /// use service_tokens::RotateRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let old = acme.issue(IssueRequest::new("connector", "backup")).await?;
    /// let request = RotateRequest::with_overlap(Duration::from_secs(86_400));
    /// let new = acme.rotate(old.record.id(), request).await?;
    /// for token in [&old.token, &new.token] {
    ///     assert!(service.verify(token.expose_secret(), &Requirement::any_token()).await.is_ok());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn with_overlap(overlap: Duration) -> Self {
        Self::new(Expiry::In(overlap))
    }

    /// Creates a request after which both secrets are accepted until this time (exclusive). After
    /// that only the new one is accepted.
    ///
    /// [`Policy::max_overlap`](method@crate::Policy::max_overlap) limits it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use std::time::Duration;
    /// use service_tokens::RotateRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// let end = service.now() + Duration::from_secs(86_400);
    /// let rotated = acme.rotate(record.id(), RotateRequest::with_overlap_until(end)).await?.record;
    /// assert!(rotated.overlap(service.now()).is_some());
    /// assert!(rotated.overlap(end).is_none());
    /// # Ok(()) }
    /// ```
    pub fn with_overlap_until(end: DateTime<Utc>) -> Self {
        Self::new(Expiry::At(end))
    }

    /// Creates a request after which both secrets are accepted until the first use of the new one,
    /// but at most for this long. After that only the new one is accepted.
    ///
    /// [`Policy::max_overlap`](method@crate::Policy::max_overlap) limits the time. Zero has the
    /// effect of [`at_once`](Self::at_once).
    ///
    /// A use is an accepted verification. A refusal does not count as a use, not even one for a
    /// missing scope.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use service_tokens::Requirement;
    /// # use std::time::Duration;
    /// use service_tokens::RotateRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let any = Requirement::any_token();
    /// # let old = acme.issue(IssueRequest::new("connector", "backup")).await?;
    /// let request = RotateRequest::until_first_use(Duration::from_secs(7 * 86_400));
    /// let new = acme.rotate(old.record.id(), request).await?;
    /// assert!(service.verify(old.token.expose_secret(), &any).await.is_ok());
    /// assert!(service.verify(new.token.expose_secret(), &any).await.is_ok());
    /// assert!(service.verify(old.token.expose_secret(), &any).await.is_err());
    /// # Ok(()) }
    /// ```
    pub fn until_first_use(latest: Duration) -> Self {
        Self { on_first_use: true, ..Self::new(Expiry::In(latest)) }
    }

    /// Creates a request after which both secrets are accepted until the first use of the new one,
    /// but at most until this time (exclusive).
    ///
    /// [`Policy::max_overlap`](method@crate::Policy::max_overlap) limits the time.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use std::time::Duration;
    /// use service_tokens::RotateRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// let end = service.now() + Duration::from_secs(86_400);
    /// let rotated = acme.rotate(record.id(), RotateRequest::until_first_use_or(end)).await?.record;
    /// assert!(rotated.overlap(service.now()).is_some());
    /// assert!(rotated.overlap(end).is_none());
    /// # Ok(()) }
    /// ```
    pub fn until_first_use_or(latest: DateTime<Utc>) -> Self {
        Self { on_first_use: true, ..Self::new(Expiry::At(latest)) }
    }

    /// Sets the person or program that rotates. The event contains it, and the record does not.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use std::time::Duration;
    /// use service_tokens::{Event, RotateRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (sender, events) = std::sync::mpsc::channel();
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?)
    /// #     .events(move |event: &Event| sender.send(event.clone()).unwrap_or_default()).build()?;
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// let _ = acme.rotate(record.id(), RotateRequest::at_once().by("alice@acme.example")).await?;
    /// # service.flush_events(Duration::from_secs(5))?;
    /// assert!(events.try_iter().any(|event| event.by() == Some("alice@acme.example")));
    /// # Ok(()) }
    /// ```
    pub fn by(mut self, by: impl Into<String>) -> Self {
        self.by = Some(by.into());
        self
    }

    /// Sets which secret the rotation replaces. It is required during an overlap of two secrets.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use std::time::Duration;
    /// use service_tokens::record::{ReplacedSecret, RotateDenied};
    /// use service_tokens::{ManageError, RotateRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let request = RotateRequest::with_overlap(Duration::from_secs(86_400));
    /// let _ = acme.rotate(id, request.clone()).await?;
    ///
    /// let refused = acme.rotate(id, request.clone()).await;
    /// assert!(matches!(refused, Err(ManageError::NotRotated(RotateDenied::OverlapRuns))));
    /// assert!(acme.rotate(id, request.replacing(ReplacedSecret::Newest)).await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn replacing(mut self, which: ReplacedSecret) -> Self {
        self.replaces = Some(which);
        self
    }

    /// Sets the condition that the newest secret is still the one created at this time.
    ///
    /// The time is the [`Record::secret_created_at`](crate::Record::secret_created_at) that the
    /// caller has read. If the token has been rotated since, the request is refused with
    /// [`RotateDenied::RotatedSince`](crate::record::RotateDenied::RotatedSince), and nothing
    /// changes.
    ///
    /// If two callers rotate the same token at the same moment, only one of them succeeds with this
    /// condition. Without it both succeed, and the first caller gets a secret that the second has
    /// already replaced.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::record::RotateDenied;
    /// use service_tokens::{ManageError, RotateRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// let request = RotateRequest::at_once().if_secret_created_at(record.secret_created_at());
    ///
    /// let _ = acme.rotate(record.id(), request.clone()).await?;
    /// let second = acme.rotate(record.id(), request).await;
    /// assert!(matches!(second, Err(ManageError::NotRotated(RotateDenied::RotatedSince))));
    /// # Ok(()) }
    /// ```
    pub fn if_secret_created_at(mut self, time: DateTime<Utc>) -> Self {
        self.if_secret_created_at = Some(time);
        self
    }

    /// Sets a new lifetime of the token, counted from this rotation.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use std::time::Duration;
    /// use service_tokens::RotateRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// let month = Duration::from_secs(30 * 86_400);
    /// let rotated = acme.rotate(record.id(), RotateRequest::at_once().expires_in(month)).await?.record;
    /// assert_eq!(rotated.expires_at(), Some(rotated.secret_created_at() + month));
    /// # Ok(()) }
    /// ```
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.expiry = Some(Expiry::In(lifetime));
        self
    }

    /// Sets a new expiry time of the token (exclusive).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use std::time::Duration;
    /// use service_tokens::RotateRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// let end = service.now() + Duration::from_secs(30 * 86_400);
    /// let rotated = acme.rotate(record.id(), RotateRequest::at_once().expires_at(end)).await?.record;
    /// assert_eq!(rotated.expires_at(), Some(end));
    /// # Ok(()) }
    /// ```
    pub fn expires_at(mut self, end: DateTime<Utc>) -> Self {
        self.expiry = Some(Expiry::At(end));
        self
    }

    /// Removes the expiry time of the token. The policy must
    /// [allow](method@crate::Policy::allow_never) it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{Policy, RotateRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .policy(Policy::new().allow_never(true))
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// assert!(record.expires_at().is_some());
    /// let rotated = acme.rotate(record.id(), RotateRequest::at_once().never_expires()).await?.record;
    /// assert_eq!(rotated.expires_at(), None);
    /// # Ok(()) }
    /// ```
    pub fn never_expires(mut self) -> Self {
        self.expiry = Some(Expiry::Never);
        self
    }
}

/// A request to revoke a token, with the person or program that revokes it and the reason. Both are
/// optional and are for the people who read the record later.
///
/// # Examples
///
/// ```
/// use service_tokens::RevokeRequest;
///
/// let request = RevokeRequest::new().by("alice@acme.example").reason("INC-42");
/// assert_ne!(request, RevokeRequest::new());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct RevokeRequest {
    pub(crate) by: Option<String>,
    pub(crate) reason: Option<String>,
}

impl RevokeRequest {
    /// Creates a request without a name and without a reason.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{RevokeRequest, State};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// let revoked = acme.revoke(record.id(), RevokeRequest::new()).await?;
    /// assert_eq!(revoked.record.state(service.now()), State::Revoked);
    /// # Ok(()) }
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the person or program that revokes the token. The record and the event contain it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::RevokeRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// let request = RevokeRequest::new().by("alice@acme.example");
    /// let revoked = acme.revoke(record.id(), request).await?.record;
    /// let revocation = revoked.revocation().ok_or("not revoked")?;
    /// assert_eq!(revocation.by.as_deref(), Some("alice@acme.example"));
    /// # Ok(()) }
    /// ```
    pub fn by(mut self, by: impl Into<String>) -> Self {
        self.by = Some(by.into());
        self
    }

    /// Sets the reason of the revocation. The record and the event contain it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::RevokeRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// let revoked = acme.revoke(record.id(), RevokeRequest::new().reason("INC-42")).await?.record;
    /// let revocation = revoked.revocation().ok_or("not revoked")?;
    /// assert_eq!(revocation.reason.as_deref(), Some("INC-42"));
    /// # Ok(()) }
    /// ```
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}
