//! The request to end the older secret of a token.

use chrono::{DateTime, Utc};

/// A request to end the older secret of an overlap at once, while the newest one stays. It names the secret
/// by its creation time, so it never ends another secret if the token was rotated in the meantime.
///
/// # Examples
///
/// ```
/// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
/// # use std::time::Duration;
/// use service_tokens::{EndOlderRequest, RotateRequest};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
/// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
/// # let acme = service.owner("acme");
/// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
/// let week = Duration::from_secs(7 * 86_400);
/// let record = acme.rotate(id, RotateRequest::with_overlap(week)).await?.record;
///
/// // The older secret leaks before the overlap is over.
/// let overlap = record.overlap(service.now()).ok_or("no overlap")?;
/// let request = EndOlderRequest::new(overlap.older_created_at).by("alice@acme.example");
/// let record = acme.end_older_secret(id, request).await?.record;
/// assert!(record.overlap(service.now()).is_none());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct EndOlderRequest {
    pub(crate) older_created_at: DateTime<Utc>,
    pub(crate) by: Option<String>,
    pub(crate) reason: Option<String>,
}

impl EndOlderRequest {
    /// Creates a request for the older secret that was created at this time, which is
    /// [`Overlap::older_created_at`](crate::record::Overlap::older_created_at).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use std::time::Duration;
    /// use service_tokens::{EndOlderRequest, RotateRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// let first = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// let day = Duration::from_secs(86_400);
    /// let _ = acme.rotate(first.id(), RotateRequest::with_overlap(day)).await?;
    ///
    /// let request = EndOlderRequest::new(first.secret_created_at());
    /// assert!(!acme.end_older_secret(first.id(), request).await?.already_ended);
    /// # Ok(()) }
    /// ```
    pub fn new(older_created_at: DateTime<Utc>) -> Self {
        Self { older_created_at, by: None, reason: None }
    }

    /// Sets the person or program that ends the secret. The event contains it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use std::time::Duration;
    /// use service_tokens::{EndOlderRequest, RotateRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let first = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// # let day = Duration::from_secs(86_400);
    /// # let _ = acme.rotate(first.id(), RotateRequest::with_overlap(day)).await?;
    /// let request = EndOlderRequest::new(first.secret_created_at()).by("alice@acme.example");
    /// acme.end_older_secret(first.id(), request).await?;
    /// # Ok(()) }
    /// ```
    pub fn by(mut self, by: impl Into<String>) -> Self {
        self.by = Some(by.into());
        self
    }

    /// Sets the reason, for example the number of an incident. The event contains it.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::EndOlderRequest;
    /// use service_tokens::chrono::DateTime;
    ///
    /// let request = EndOlderRequest::new(DateTime::UNIX_EPOCH).by("alice").reason("INC-42");
    /// # let _ = request;
    /// ```
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}
