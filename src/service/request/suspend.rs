//! The requests to suspend and to resume tokens.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Expiry;

/// A request to suspend a token. It says how long the suspension lasts, who suspends the token, and why.
///
/// Without an end, the suspension lasts until the token is resumed.
///
/// # Examples
///
/// ```
/// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
/// use service_tokens::{State, SuspendRequest};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
/// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
/// # let acme = service.owner("acme");
/// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
/// let request = SuspendRequest::new().by("alice@acme.example").reason("INC-42");
/// let record = acme.suspend(id, request).await?.record;
/// assert_eq!(record.state(service.now()), State::Suspended);
///
/// let suspension = record.suspensions().first().ok_or("not suspended")?;
/// assert_eq!(suspension.reason.as_deref(), Some("INC-42"));
/// assert_eq!(suspension.until, None);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct SuspendRequest {
    pub(crate) end: Expiry,
    pub(crate) by: Option<String>,
    pub(crate) reason: Option<String>,
}

impl Default for SuspendRequest {
    fn default() -> Self {
        Self::new()
    }
}

impl SuspendRequest {
    /// Creates a request for a suspension that lasts until the token is resumed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::SuspendRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let suspended = acme.suspend(id, SuspendRequest::new()).await?;
    /// assert!(!suspended.already_suspended);
    /// # Ok(()) }
    /// ```
    pub fn new() -> Self {
        Self { end: Expiry::Never, by: None, reason: None }
    }

    /// Sets the time at which the suspension passes by itself (exclusive).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{State, SuspendRequest, chrono};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let tomorrow = service.now() + chrono::Duration::days(1);
    /// let record = acme.suspend(id, SuspendRequest::new().until(tomorrow)).await?.record;
    /// assert_eq!(record.state(service.now()), State::Suspended);
    /// assert_eq!(record.state(tomorrow), State::Active);
    /// # Ok(()) }
    /// ```
    pub fn until(mut self, time: DateTime<Utc>) -> Self {
        self.end = Expiry::At(time);
        self
    }

    /// Sets the duration of the suspension, counted from the [service's time](crate::TokenService::now) at the
    /// operation.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use std::time::Duration;
    /// use service_tokens::SuspendRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let day = Duration::from_secs(86_400);
    /// let record = acme.suspend(id, SuspendRequest::new().lasting(day)).await?.record;
    /// let suspension = record.suspensions().first().ok_or("not suspended")?;
    /// assert_eq!(suspension.until, Some(suspension.since + day));
    /// # Ok(()) }
    /// ```
    pub fn lasting(mut self, duration: Duration) -> Self {
        self.end = Expiry::In(duration);
        self
    }

    /// Sets the person or program that suspends the token. The record and the event contain it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::SuspendRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let record = acme.suspend(id, SuspendRequest::new().by("alice@acme.example")).await?.record;
    /// let suspension = record.suspensions().first().ok_or("not suspended")?;
    /// assert_eq!(suspension.by.as_deref(), Some("alice@acme.example"));
    /// # Ok(()) }
    /// ```
    pub fn by(mut self, by: impl Into<String>) -> Self {
        self.by = Some(by.into());
        self
    }

    /// Sets the reason of the suspension. The record and the event contain it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::SuspendRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let record = acme.suspend(id, SuspendRequest::new().reason("INC-42")).await?.record;
    /// let suspension = record.suspensions().first().ok_or("not suspended")?;
    /// assert_eq!(suspension.reason.as_deref(), Some("INC-42"));
    /// # Ok(()) }
    /// ```
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

/// A request to resume a suspended token, with the person or program that resumes it. The record does not
/// retain that name, because it retains no suspension that has ended. The event contains it.
///
/// # Examples
///
/// ```
/// # use service_tokens::{IssueRequest, MemoryStore, SuspendRequest, TokenService, TokenType};
/// use service_tokens::{ResumeRequest, State};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
/// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
/// # let acme = service.owner("acme");
/// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
/// acme.suspend(id, SuspendRequest::new().reason("INC-42")).await?;
/// let resumed = acme.resume(id, ResumeRequest::new().by("alice@acme.example")).await?;
/// assert_eq!(resumed.ended[0].reason.as_deref(), Some("INC-42"));
/// assert_eq!(resumed.record.state(service.now()), State::Active);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct ResumeRequest {
    pub(crate) by: Option<String>,
}

impl ResumeRequest {
    /// Creates a request without a name.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::ResumeRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// assert!(acme.resume(id, ResumeRequest::new()).await?.ended.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the person or program that resumes the token. The event contains it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, SuspendRequest, TokenService, TokenType};
    /// use service_tokens::ResumeRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// # acme.suspend(id, SuspendRequest::new()).await?;
    /// let resumed = acme.resume(id, ResumeRequest::new().by("alice@acme.example")).await?;
    /// assert!(resumed.record.suspensions().is_empty());
    /// # Ok(()) }
    /// ```
    pub fn by(mut self, by: impl Into<String>) -> Self {
        self.by = Some(by.into());
        self
    }
}
