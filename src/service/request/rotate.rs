//! The request to give a token a new secret.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Expiry;
use crate::record::ReplacedSecret;

/// A request to give a token a new secret. The id stays.
///
/// A rotation that names no new end keeps the present end, even if it is "never" or later than the
/// [policy](crate::Policy) now allows. A new end must be within the limits of the token's type, counted
/// from the rotation.
///
/// The manual describes what happens to both secrets in [the life of a
/// token](crate::manual::life#rotation), and how to choose in [rotation and
/// incidents](crate::manual::rotation_and_incidents).
///
/// # Examples
///
/// ```
/// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
/// # use std::time::Duration;
/// use service_tokens::RotateRequest;
/// use service_tokens::record::ReplacedSecret;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
/// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
/// # let acme = service.owner("acme");
/// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
/// let planned = RotateRequest::until_first_use(Duration::from_secs(7 * 86_400));
/// let record = acme.rotate(id, planned).await?.record;
/// assert!(record.overlap(service.now()).is_some());
///
/// // A secret leaks during the overlap. This request ends both secrets.
/// let leaked = RotateRequest::at_once().replacing(ReplacedSecret::Newest);
/// let record = acme.rotate(id, leaked.by("alice@acme.example")).await?.record;
/// assert!(record.overlap(service.now()).is_none());
/// # Ok(()) }
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
    /// During an overlap the request is refused with
    /// [`RotateDenied::OverlapRuns`](crate::record::RotateDenied::OverlapRuns), unless
    /// [`replacing`](Self::replacing) is set. In an incident, use
    /// `at_once().replacing(ReplacedSecret::Newest)`. It ends both secrets, and it works without an
    /// overlap too.
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

    /// Creates a request that keeps the old secret valid for `overlap` after the rotation. After that
    /// only the new one is accepted.
    ///
    /// An overlap above [`Policy::max_overlap`](method@crate::Policy::max_overlap) is refused. Zero has
    /// the effect of [`at_once`](Self::at_once).
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
    /// An overlap above [`Policy::max_overlap`](method@crate::Policy::max_overlap) is refused.
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

    /// Creates a request after which both secrets are accepted until the first use of the new one, or
    /// for this long, whichever ends first. After that only the new one is accepted.
    ///
    /// A time above [`Policy::max_overlap`](method@crate::Policy::max_overlap) is refused. Zero has the
    /// effect of [`at_once`](Self::at_once).
    ///
    /// A use is an accepted verification. A refusal does not count as a use, not even one for a
    /// missing scope.
    ///
    /// The older secret may be accepted after the first use in these cases, but never after the latest
    /// end:
    ///
    /// - The write that ends it is still running, or its verification was dropped. Concurrent requests do
    ///   not wait for that write.
    /// - The write to the store fails. The use is accepted, and a use at least a minute later tries
    ///   the write again.
    /// - Another process [caches records](crate::TokenServiceBuilder::cache_records). It may accept the
    ///   older secret until its cached record is too old.
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
    pub fn until_first_use(max_overlap: Duration) -> Self {
        Self { on_first_use: true, ..Self::new(Expiry::In(max_overlap)) }
    }

    /// Creates a request after which both secrets are accepted until the first use of the new one or
    /// until `deadline` (exclusive), whichever comes first.
    ///
    /// A deadline beyond [`Policy::max_overlap`](method@crate::Policy::max_overlap) is refused. The
    /// exceptions of [`until_first_use`](Self::until_first_use) apply.
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
    /// let deadline = service.now() + Duration::from_secs(86_400);
    /// let request = RotateRequest::until_first_use_or(deadline);
    /// let rotated = acme.rotate(record.id(), request).await?.record;
    /// assert!(rotated.overlap(service.now()).is_some());
    /// assert!(rotated.overlap(deadline).is_none());
    /// # Ok(()) }
    /// ```
    pub fn until_first_use_or(deadline: DateTime<Utc>) -> Self {
        Self { on_first_use: true, ..Self::new(Expiry::At(deadline)) }
    }

    /// Sets the person or program that rotates. The event and the record contain it
    /// ([`Record::secret_created_by`](crate::Record::secret_created_by)).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
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
    /// # service.flush_events().await;
    /// assert!(events.try_iter().any(|event| event.by() == Some("alice@acme.example")));
    /// # Ok(()) }
    /// ```
    pub fn by(mut self, by: impl Into<String>) -> Self {
        self.by = Some(by.into());
        self
    }

    /// Sets which of two accepted secrets the rotation discards. It is required during an overlap, and
    /// it has no effect without one. [`ReplacedSecret`] shows which secrets are accepted afterwards.
    ///
    /// With [`ReplacedSecret::Newest`] the older secret keeps its end, so the overlap that the request
    /// names is ignored. The exception is [`at_once`](Self::at_once), which ends both secrets.
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
    /// [`RotateDenied::RotatedSince`](crate::record::RotateDenied::RotatedSince), and the record does
    /// not change.
    ///
    /// Many clients hold times in milliseconds, such as a `Date` of JavaScript. So a whole millisecond
    /// also matches if the secret was created less than a millisecond before or after it. The secrets of a
    /// token are created at least 2 ms apart, so it matches one of them only.
    ///
    /// If two callers rotate the same token at the same moment, only one of them succeeds with this
    /// condition. Without it two rotations [`at_once`](Self::at_once) both succeed, and the first
    /// caller gets a secret that the second has already replaced. After a rotation with an overlap, the
    /// second caller succeeds only if [`replacing`](Self::replacing) is set.
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

    /// Sets a new lifetime of the token, counted from this rotation. Without it the expiry time stays,
    /// so that rotations alone do not extend the life of a token.
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
    /// // The default policy gave the token 90 days.
    /// assert!(rotated.expires_at() < record.expires_at());
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

    /// Removes the expiry time of the token. The policy or the token's type must
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
