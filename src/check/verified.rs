//! The result of a verification.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::RequestContext;
use crate::digest::Digests;
use crate::network::Networks;
use crate::record::{Details, FirstUse, Matched, Record, Texts};
use crate::refusal::Refusal;
use crate::scope::{Requirement, Scopes};
use crate::token::TokenId;

/// A token that was found, compared and authorized.
///
/// It owns its data, so it can be passed along with the request. Cloning it copies the data and allocates
/// once, once more if its texts are long, and once more if it has networks or metadata.
///
/// Pass it only to the service that verified it. It does not carry the prefix of its text. So another service
/// over the same store accepts it in [`still_active`](crate::TokenService::still_active) and
/// [`on_behalf_of`](crate::TokenService::on_behalf_of), although that service refuses a text with this prefix.
///
/// A verification writes to no memory that other cores share, so a token in use on all cores scales.
// The data is in one allocation, so that the value moves through futures and extensions as a pointer.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedToken(Box<Verified>);

#[derive(Clone, PartialEq, Eq)]
struct Verified {
    id: TokenId,
    /// The owner, type, issued-to and effective scopes.
    texts: Texts,
    created_at: DateTime<Utc>,
    not_before: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    secret_created_at: DateTime<Utc>,
    details: Option<Details>,
    client_address: Option<IpAddr>,
    staleness: Duration,
    follows: Follows,
}

/// The work that follows when the use of the token is permitted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Follows {
    /// Whether to note the use, which depends on the last use that the store returned.
    pub(crate) due: bool,
    /// The first use of a new secret. It is boxed, because few uses are the first.
    pub(crate) first_use: Option<Box<FirstUse>>,
}

/// Always equal, because it is not part of the verified data.
impl PartialEq for Follows {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Follows {}

impl VerifiedToken {
    /// Creates the token of the record, with its scopes or with fewer.
    #[inline]
    pub(super) fn of(
        matched: &Matched<'_>,
        fewer: Option<Scopes<'_>>,
        context: &RequestContext,
    ) -> Self {
        let (record, secret_created_at) = (matched.record(), matched.secret_created_at());
        // Allocate first, so that the value is built in place and not copied.
        let mut token = Self(Box::write(
            Box::new_uninit(),
            Verified {
                id: record.id(),
                texts: record.texts().clone(),
                created_at: record.created_at(),
                not_before: record.not_before(),
                expires_at: record.expires_at(),
                secret_created_at,
                details: None,
                client_address: context.client_address,
                staleness: Duration::ZERO,
                follows: Follows { due: false, first_use: None },
            },
        ));
        // Set afterwards, because an allocation in the middle would keep the value from being built in
        // place.
        if let Some(details) = record.details() {
            token.0.details = details.copy();
        }
        if let Some(scopes) = fewer {
            token.0.texts = Texts::new(
                record.owner(),
                record.token_type(),
                scopes.as_str(),
                record.issued_to(),
            );
        }
        token
    }

    /// Returns the token's public id, for logs and audit trails.
    #[inline]
    pub fn id(&self) -> TokenId {
        self.0.id
    }

    /// Returns the tenant or account that the token belongs to.
    #[inline]
    pub fn owner(&self) -> &str {
        self.0.texts.owner()
    }

    /// Returns the name of the token's type.
    #[inline]
    pub fn token_type(&self) -> &str {
        self.0.texts.token_type()
    }

    /// Returns the label for people: the service or person that the token was issued to.
    #[inline]
    pub fn issued_to(&self) -> &str {
        self.0.texts.issued_to()
    }

    /// Returns the effective scopes: the intersection of the scopes that the token was issued with and the
    /// scopes of its type.
    #[inline]
    pub fn scopes(&self) -> Scopes<'_> {
        self.0.texts.scopes()
    }

    /// Returns whether the token meets a further requirement of the same request.
    ///
    /// # Examples
    ///
    /// A handler that shows more to a token with a second scope:
    ///
    /// ```
    /// use service_tokens::{VerifiedToken, requirement};
    ///
    /// fn columns(token: &VerifiedToken) -> &'static str {
    ///     if token.permits(&requirement!("invoices:amounts")) { "number, amount" } else { "number" }
    /// }
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["invoices:read"])?).build()?;
    /// # let issued = service.owner("acme").issue(IssueRequest::new("connector", "reports")).await?;
    /// # let token = issued.token.expose_secret();
    /// # assert_eq!(columns(&service.verify(token, &Requirement::any_token()).await?), "number");
    /// # Ok(()) }
    /// ```
    pub fn permits(&self, requirement: &Requirement) -> bool {
        self.scopes().permits(requirement)
    }

    /// Returns the time at which the token was issued.
    #[inline]
    pub fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Returns the time from which on the token is accepted (inclusive).
    #[inline]
    pub fn not_before(&self) -> Option<DateTime<Utc>> {
        self.0.not_before
    }

    /// Returns the time at which the token expires (exclusive), or `None` if it never does.
    #[inline]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.0.expires_at
    }

    /// Returns the embedder's own entries, sorted by key.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let request = IssueRequest::new("connector", "backup").metadata("project", "p-17");
    /// let issued = service.owner("acme").issue(request).await?;
    /// let verified = service.verify(issued.token.expose_secret(), &Requirement::any_token()).await?;
    /// assert_eq!(verified.metadata_value("project"), Some("p-17"));
    /// assert_eq!(verified.metadata().count(), 1);
    /// # Ok(()) }
    /// ```
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.details.iter().flat_map(Details::metadata)
    }

    /// Returns the embedder's entry with this key.
    pub fn metadata_value(&self, key: &str) -> Option<&str> {
        self.metadata().find_map(|(known, value)| (known == key).then_some(value))
    }

    /// Returns the networks from which the token is accepted, in ascending order. Without networks the
    /// token is accepted from any address.
    pub fn networks(&self) -> Networks<'_> {
        Details::networks_of(self.0.details.as_ref()).iter()
    }

    /// Returns the client address that the token was verified with.
    pub fn client_address(&self) -> Option<IpAddr> {
        self.0.client_address
    }

    /// Returns the context that the token was verified in.
    pub(crate) fn context(&self) -> RequestContext {
        RequestContext::new().client_address(self.0.client_address)
    }

    pub(crate) fn details(&self) -> Option<&Details> {
        self.0.details.as_ref()
    }

    /// Returns the creation time of the secret that the token was verified with.
    pub(crate) fn secret_created_at(&self) -> DateTime<Utc> {
        self.0.secret_created_at
    }

    /// Returns the maximum age of the record behind this verification, counted from before the store was
    /// read. It is zero if the store answered in this process without waiting.
    #[inline]
    pub fn staleness(&self) -> Duration {
        self.0.staleness
    }

    /// Applies the comparison that was made for this token to its record as it is now.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownId`] if the record is another token's, and [`Refusal::NewerRecord`] if a newer
    /// program wrote it.
    pub(crate) fn matched_on<'r>(
        &self,
        record: &'r Record,
        digests: &'r Digests,
    ) -> Result<Matched<'r>, Refusal> {
        let same = record.id() == self.id()
            && record.owner() == self.owner()
            && record.created_at() == self.created_at();
        if !same {
            return Err(Refusal::UnknownId);
        }
        record.matched_before(self.0.secret_created_at, digests)
    }

    pub(crate) fn with_staleness(mut self, staleness: Duration) -> Self {
        self.0.staleness = staleness;
        self
    }

    /// Attaches the work that follows when the use of the token is permitted.
    pub(crate) fn followed_by(mut self, follows: Follows) -> Self {
        self.0.follows = follows;
        self
    }

    pub(crate) fn follows(&self) -> &Follows {
        &self.0.follows
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("id", &self.id())
            .field("owner", &self.owner())
            .field("token_type", &self.token_type())
            .field("issued_to", &self.issued_to())
            .field("scopes", &self.scopes())
            .field("created_at", &self.created_at())
            .field("not_before", &self.not_before())
            .field("expires_at", &self.expires_at())
            .field("networks", &self.networks())
            .field("client_address", &self.client_address())
            .field("metadata", &self.metadata().collect::<Vec<_>>())
            .field("staleness", &self.staleness())
            .finish()
    }
}
