//! The request to revoke tokens.

/// A request to revoke a token, with the person or program that revokes it and the reason. Both are
/// optional and are for the people who read the record later.
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
/// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
/// let request = RevokeRequest::new().by("alice@acme.example").reason("INC-42");
/// let _ = acme.revoke(id, request).await?;
///
/// // The first revocation is retained, so a later one does not change the reason.
/// let later = acme.revoke(id, RevokeRequest::new().reason("INC-43")).await?.record;
/// let revocation = later.revocation().ok_or("not revoked")?;
/// assert_eq!(revocation.reason.as_deref(), Some("INC-42"));
/// # Ok(()) }
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
