//! What a caller asks for.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::record::ReplacedSecret;
use crate::scope::ScopeSet;
use crate::token::TokenId;

/// When something is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    Default,
    In(Duration),
    At(DateTime<Utc>),
    Never,
}

/// A token to be issued.
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
    /// Creates a request for a token of this type, for the person or program that `issued_to` names.
    /// The token gets all scopes of its type and the policy's default lifetime. The owner comes from
    /// the view that [issues](crate::Tokens::issue) it.
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

    /// It ends this long after its issue.
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.expiry = Expiry::In(lifetime);
        self
    }

    /// It ends at this time; exclusive.
    pub fn expires_at(mut self, end: DateTime<Utc>) -> Self {
        self.expiry = Expiry::At(end);
        self
    }

    /// It has no end, if the policy allows that.
    pub fn never_expires(mut self) -> Self {
        self.expiry = Expiry::Never;
        self
    }

    /// It gets these scopes instead of all of its type's, which must contain them.
    pub fn scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = Some(scopes);
        self
    }

    /// It is accepted from this time on. The default lifetime counts from the issue and not from
    /// here.
    pub fn not_before(mut self, start: DateTime<Utc>) -> Self {
        self.not_before = Some(start);
        self
    }

    /// Keeps a note of the embedder's own with the record.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Who issues it.
    pub fn issued_by(mut self, by: impl Into<String>) -> Self {
        self.issued_by = Some(by.into());
        self
    }

    /// It gets this id, a UUID of version 7 made within an hour of now: a request that is repeated
    /// with the same id cannot create a second token. The second is
    /// [`ManageError::Exists`](crate::ManageError::Exists), also after that hour, when issuing was
    /// paused meanwhile or when the request would be refused for another reason by now.
    pub fn id(mut self, id: TokenId) -> Self {
        self.id = Some(id);
        self
    }
}

/// How a token is given a new secret. Its id stays, and so does its end unless a new one is asked for.
///
/// What becomes of both secrets is in [the life of a token](crate::manual::life#rotation), and what to
/// do when in [rotation and incidents](crate::manual::rotation_and_incidents).
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

    /// The present secret ends now: it leaked.
    pub fn at_once() -> Self {
        Self::new(Expiry::In(Duration::ZERO))
    }

    /// Both secrets are accepted for this long, then only the new one.
    pub fn with_overlap(overlap: Duration) -> Self {
        Self::new(Expiry::In(overlap))
    }

    /// Both secrets are accepted until this time, then only the new one; exclusive.
    pub fn with_overlap_until(end: DateTime<Utc>) -> Self {
        Self::new(Expiry::At(end))
    }

    /// Both secrets are accepted until the new one is first used, at most for this long, then only the
    /// new one. The policy's longest overlap bounds it; zero is [`at_once`](Self::at_once).
    ///
    /// A use is an accepted verification. A refusal is none, be it for a missing scope only.
    pub fn until_first_use(latest: Duration) -> Self {
        Self { on_first_use: true, ..Self::new(Expiry::In(latest)) }
    }

    /// Both secrets are accepted until the new one is first used, at most until this time; exclusive.
    pub fn until_first_use_or(latest: DateTime<Utc>) -> Self {
        Self { on_first_use: true, ..Self::new(Expiry::At(latest)) }
    }

    /// Who rotates: for the event, the record does not keep it.
    pub fn by(mut self, by: impl Into<String>) -> Self {
        self.by = Some(by.into());
        self
    }

    /// Says which secret is replaced. Required while an overlap of two runs.
    pub fn replacing(mut self, which: ReplacedSecret) -> Self {
        self.replaces = Some(which);
        self
    }

    /// Rotates only if the newest secret is still the one made at this time: the
    /// [`Record::secret_created_at`](crate::Record::secret_created_at) that the caller has read. Otherwise it is
    /// refused with [`RotateDenied::RotatedSince`](crate::record::RotateDenied::RotatedSince), and nothing
    /// changes.
    ///
    /// Of two that rotate the same token at the same moment one succeeds then; without it both do, and
    /// the one that comes first holds a secret that the other has already replaced.
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, ManageError, MemoryStore, TokenService, TokenType};
    /// use service_tokens::record::RotateDenied;
    /// use service_tokens::RotateRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let record = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?.record;
    /// let request = RotateRequest::at_once().if_secret_created_at(record.secret_created_at());
    /// let acme = service.owner("acme");
    ///
    /// acme.rotate(record.id(), request.clone()).await?;
    /// let second = acme.rotate(record.id(), request).await;
    /// assert!(matches!(second, Err(ManageError::NotRotated(RotateDenied::RotatedSince))));
    /// # Ok(()) }
    /// ```
    pub fn if_secret_created_at(mut self, time: DateTime<Utc>) -> Self {
        self.if_secret_created_at = Some(time);
        self
    }

    /// The token ends this long after this rotation.
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.expiry = Some(Expiry::In(lifetime));
        self
    }

    /// The token ends at this time; exclusive.
    pub fn expires_at(mut self, end: DateTime<Utc>) -> Self {
        self.expiry = Some(Expiry::At(end));
        self
    }

    /// The token has no end any more, if the policy allows that.
    pub fn never_expires(mut self) -> Self {
        self.expiry = Some(Expiry::Never);
        self
    }
}

/// A revocation: who and why, for those who read it later. Both may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct RevokeRequest {
    pub(crate) by: Option<String>,
    pub(crate) reason: Option<String>,
}

impl RevokeRequest {
    /// A revocation without further words.
    pub fn new() -> Self {
        Self::default()
    }

    /// Who revokes.
    pub fn by(mut self, by: impl Into<String>) -> Self {
        self.by = Some(by.into());
        self
    }

    /// Why.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}
