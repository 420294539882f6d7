//! The policy: limits on lifetimes, numbers and lengths.

mod rules;

use std::time::Duration;

pub(super) use rules::{asked_end, ends_by, ends_later};

use crate::scope::TokenType;

const DAY: Duration = Duration::from_secs(86_400);

/// The limits for tokens that are issued or rotated.
///
/// The defaults suit a service whose authors have not chosen their own values yet. The manual gives
/// [the reason for each](crate::manual::defaults).
///
/// | limit | default |
/// | --- | --- |
/// | lifetime if the request names none | 90 days |
/// | maximum lifetime | 366 days |
/// | tokens that never expire | not allowed |
/// | a token that outlives the token on whose behalf it was issued | not allowed |
/// | maximum overlap of two secrets | 30 days |
/// | live tokens of an owner | no limit |
/// | owner, issued-to, issued-by, rotated-by, revoked-by | 255 bytes |
/// | reason of a revocation or a pause | 1,000 bytes |
/// | metadata | 16 entries, 2,048 bytes in all |
///
/// A [`TokenType`] can set lifetimes of its own. [`for_type`](Self::for_type) returns the result.
///
/// A stricter policy changes no stored token. A rotation that names no new end keeps the present end, even
/// if it is "never" or later than the policy now allows. A new end must be within the limits, counted from
/// the rotation.
///
/// [`TokenServiceBuilder::build`](crate::TokenServiceBuilder::build) refuses an impossible policy
/// with [`InvalidPolicy`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use service_tokens::Policy;
///
/// let day = Duration::from_secs(86_400);
/// let policy = Policy::new().default_lifetime(30 * day).max_lifetime(90 * day);
/// assert_eq!(policy.max_lifetime, Some(90 * day));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Policy {
    /// The lifetime of a token if the request does not name one. `None` means no expiry.
    pub default_lifetime: Option<Duration>,
    /// The maximum lifetime of a token that expires. `None` means no limit.
    pub max_lifetime: Option<Duration>,
    /// Whether a request may ask for a token that never expires.
    pub allow_never: bool,
    /// Whether a token may outlive the token on whose behalf it was issued or rotated.
    pub allow_outliving_issuer: bool,
    /// The maximum overlap of two secrets after a rotation. Zero allows no overlap.
    pub max_overlap: Duration,
    /// The maximum number of live tokens (active, pending and suspended) of one owner. `None` means no limit.
    /// Zero allows no tokens.
    pub max_active_per_owner: Option<usize>,
    /// The maximum length of owner, issued-to, issued-by, rotated-by and revoked-by, in bytes: 1 to
    /// 1,024.
    pub max_text_len: usize,
    /// The maximum length of the reason of a revocation or a pause, in bytes: 1 to 1,024.
    pub max_reason_len: usize,
    /// The maximum number of metadata entries: 0 to 64. Zero allows no metadata.
    pub max_metadata_entries: usize,
    /// The maximum total length of metadata keys and values, in bytes: 0 to 8,192.
    pub max_metadata_bytes: usize,
}

/// The reason why a [`Policy`] is impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPolicy {
    /// The default lifetime is shorter than a microsecond, which is the resolution of times in records.
    #[error("the default lifetime must be at least a microsecond")]
    NoLifetime,
    /// The maximum lifetime is shorter than a microsecond.
    #[error("the maximum lifetime must be at least a microsecond")]
    NoMaxLifetime,
    /// The default lifetime is longer than the maximum lifetime.
    #[error("the default lifetime is longer than the maximum lifetime")]
    DefaultTooLong,
    /// The default lifetime is longer than 1,000 years, so tokens would end after the year 9999. A
    /// default of `None` means no expiry.
    #[error("the default lifetime must be at most 1,000 years")]
    DefaultOutOfRange,
    /// The default lifetime is unlimited, but tokens that never expire are not allowed.
    #[error("the default is no expiry, and tokens that never expire are not allowed")]
    DefaultNever,
    /// The maximum text length is zero or longer than a record can hold.
    #[error("max_text_len must be between 1 and {max} bytes")]
    MaxTextLen {
        /// The maximum of a record, in bytes.
        max: usize,
    },
    /// The maximum length of a reason is zero or longer than a record can hold.
    #[error("max_reason_len must be between 1 and {max} bytes")]
    MaxReasonLen {
        /// The maximum of a record, in bytes.
        max: usize,
    },
    /// The maximum number of metadata entries is larger than a record can hold.
    #[error("max_metadata_entries must be at most {max}")]
    MaxMetadataEntries {
        /// The maximum number of entries of a record.
        max: usize,
    },
    /// The maximum length of metadata is larger than a record can hold.
    #[error("max_metadata_bytes must be at most {max}")]
    MaxMetadataBytes {
        /// The maximum total length of the metadata of a record, in bytes.
        max: usize,
    },
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

impl Policy {
    /// Creates a policy with the defaults.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use service_tokens::Policy;
    ///
    /// let policy = Policy::new();
    /// assert_eq!(policy.default_lifetime, Some(Duration::from_secs(90 * 86_400)));
    /// assert_eq!(policy, Policy::default());
    /// ```
    pub fn new() -> Self {
        Self {
            default_lifetime: Some(90 * DAY),
            max_lifetime: Some(366 * DAY),
            allow_never: false,
            allow_outliving_issuer: false,
            max_overlap: 30 * DAY,
            max_active_per_owner: None,
            max_text_len: 255,
            max_reason_len: 1_000,
            max_metadata_entries: 16,
            max_metadata_bytes: 2_048,
        }
    }

    /// Returns this policy with the limits that the type sets. It is the policy by which tokens of the
    /// type are issued and rotated.
    ///
    /// A limit of the type replaces that of the policy. Two limits that a type does not set depend on
    /// another limit of the type:
    ///
    /// - The default lifetime is the policy's, but at most the maximum lifetime.
    /// - A token that never expires is allowed if the policy allows it and the type has no maximum
    ///   lifetime of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use service_tokens::{Policy, TokenType};
    ///
    /// let day = Duration::from_secs(86_400);
    /// let developer = TokenType::new("developer", ["*"])?.max_lifetime(30 * day);
    /// let policy = Policy::new().allow_never(true).for_type(&developer);
    /// assert_eq!(policy.max_lifetime, Some(30 * day));
    /// assert_eq!(policy.default_lifetime, Some(30 * day));
    /// assert!(!policy.allow_never);
    /// # Ok::<(), service_tokens::InvalidScope>(())
    /// ```
    pub fn for_type(&self, token_type: &TokenType) -> Self {
        let limits = token_type.limits();
        let mut policy = self.clone();
        policy.max_lifetime = limits.max_lifetime.unwrap_or(self.max_lifetime);
        // Without this, "never" would be a way around the type's own maximum.
        let has_own_max = matches!(limits.max_lifetime, Some(Some(_)));
        policy.allow_never = limits.allow_never.unwrap_or(self.allow_never && !has_own_max);
        policy.default_lifetime = match (limits.default_lifetime, self.default_lifetime) {
            (Some(own), _) => own,
            (None, Some(default)) => {
                Some(policy.max_lifetime.map_or(default, |max| default.min(max)))
            }
            (None, None) if policy.allow_never => None,
            (None, None) => policy.max_lifetime,
        };
        policy
    }

    /// Sets the lifetime of a token if the request does not name one. `None` means no expiry.
    ///
    /// The default is 90 days, and at most 1,000 years are allowed. No expiry requires [`allow_never`](Self::allow_never()).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use std::time::Duration;
    /// use service_tokens::Policy;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let month = Duration::from_secs(30 * 86_400);
    /// # let builder = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?);
    /// let service = builder.policy(Policy::new().default_lifetime(month)).build()?;
    /// let acme = service.owner("acme");
    /// let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// assert_eq!(record.expires_at(), Some(record.created_at() + month));
    /// # Ok(()) }
    /// ```
    pub fn default_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.default_lifetime = lifetime.into();
        self
    }

    /// Sets the maximum lifetime of a token that expires. `None` means no limit. The default is 366
    /// days.
    ///
    /// It does not concern tokens that never expire. [`allow_never`](Self::allow_never()) decides
    /// about those.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use service_tokens::policy::InvalidPolicy;
    /// use service_tokens::{BuildError, MemoryStore, Policy, TokenService};
    ///
    /// let month = Duration::from_secs(30 * 86_400);
    /// let builder = || TokenService::builder(MemoryStore::new(), "acme_live");
    /// let policy = Policy::new().default_lifetime(month).max_lifetime(month);
    /// assert!(builder().policy(policy).build().is_ok());
    ///
    /// // The default lifetime of 90 days would be longer.
    /// let refused = builder().policy(Policy::new().max_lifetime(month)).build();
    /// assert!(matches!(refused, Err(BuildError::Policy(InvalidPolicy::DefaultTooLong))));
    /// ```
    pub fn max_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.max_lifetime = lifetime.into();
        self
    }

    /// Sets whether a request may ask for a token that never expires. The default is `false`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::Policy;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let builder = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?);
    /// let service = builder.policy(Policy::new().allow_never(true)).build()?;
    /// let request = IssueRequest::new("connector", "backup").never_expires();
    /// assert_eq!(service.owner("acme").issue(request).await?.record.expires_at(), None);
    /// # Ok(()) }
    /// ```
    pub fn allow_never(mut self, allow: bool) -> Self {
        self.allow_never = allow;
        self
    }

    /// Sets whether a token may outlive the token on whose behalf it was issued or rotated. The
    /// default is `false`.
    ///
    /// A token can never extend its own lifetime itself. With `true`, a token that may issue and rotate can issue
    /// a token that outlives it.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::Policy;
    ///
    /// assert!(!Policy::new().allow_outliving_issuer);
    /// assert!(Policy::new().allow_outliving_issuer(true).allow_outliving_issuer);
    /// ```
    pub fn allow_outliving_issuer(mut self, allow: bool) -> Self {
        self.allow_outliving_issuer = allow;
        self
    }

    /// Sets the maximum overlap of two secrets after a rotation. Zero allows no overlap. The
    /// default is 30 days.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use std::time::Duration;
    /// use service_tokens::{ManageError, Policy, RotateRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let builder = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?);
    /// let day = Duration::from_secs(86_400);
    /// let service = builder.policy(Policy::new().max_overlap(day)).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let refused = acme.rotate(id, RotateRequest::with_overlap(2 * day)).await;
    /// assert!(matches!(refused, Err(ManageError::Invalid(_))));
    /// # Ok(()) }
    /// ```
    pub fn max_overlap(mut self, overlap: Duration) -> Self {
        self.max_overlap = overlap;
        self
    }

    /// Sets the maximum number of live tokens (active, pending and suspended) of one owner. `None` means no
    /// limit, which is the default. Zero allows no tokens.
    ///
    /// Simultaneous requests to one service do not exceed the limit, because each reserves a place
    /// before it stores its token. If the caller gives up while the token is being stored, or if the
    /// answer of the store is lost, the token may still appear. Its place is then held until it
    /// appears, at most for a minute.
    ///
    /// Services in other processes, and other services over the same store, do not see these places. They
    /// count a token from the moment at which the store has it. So several services can exceed the limit
    /// together by the tokens that they are storing at the same moment.
    ///
    /// A token is live if it has not ended by the earlier of the service's time and the clock's. If the clock
    /// ran ahead and was corrected, other processes accept tokens that have expired here. While a [clock
    /// jump](crate::TokenService::has_clock_jumped) is not acknowledged, every token that is not revoked
    /// counts.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{ManageError, Policy};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let builder = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?);
    /// let service = builder.policy(Policy::new().max_active_per_owner(1)).build()?;
    /// let acme = service.owner("acme");
    /// let _ = acme.issue(IssueRequest::new("connector", "backup")).await?;
    /// let refused = acme.issue(IssueRequest::new("connector", "restore")).await;
    /// assert!(matches!(refused, Err(ManageError::TooManyActive { max: 1 })));
    /// # Ok(()) }
    /// ```
    pub fn max_active_per_owner(mut self, max: impl Into<Option<usize>>) -> Self {
        self.max_active_per_owner = max.into();
        self
    }

    /// Sets the maximum length of owner, issued-to, issued-by, rotated-by and revoked-by, in bytes:
    /// 1 to 1,024. The default is 255.
    ///
    /// A token id always fits issued-by, rotated-by and revoked-by, because the endpoints through which
    /// tokens manage tokens record the id of the calling token there.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::policy::InvalidPolicy;
    /// use service_tokens::{BuildError, MemoryStore, Policy, TokenService};
    ///
    /// let build = |bytes| {
    ///     let policy = Policy::new().max_text_len(bytes);
    ///     TokenService::builder(MemoryStore::new(), "acme_live").policy(policy).build()
    /// };
    /// assert!(build(1_024).is_ok());
    /// let refused = build(1_025);
    /// assert!(matches!(refused, Err(BuildError::Policy(InvalidPolicy::MaxTextLen { .. }))));
    /// ```
    pub fn max_text_len(mut self, bytes: usize) -> Self {
        self.max_text_len = bytes;
        self
    }

    /// Sets the maximum length of the reason of a revocation or a pause, in bytes: 1 to 1,024. The
    /// default is 1,000.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{ManageError, Policy, RevokeRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let builder = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?);
    /// let service = builder.policy(Policy::new().max_reason_len(6)).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let refused = acme.revoke(id, RevokeRequest::new().reason("leaked in a log")).await;
    /// assert!(matches!(refused, Err(ManageError::Invalid(_))));
    /// assert!(acme.revoke(id, RevokeRequest::new().reason("INC-42")).await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn max_reason_len(mut self, bytes: usize) -> Self {
        self.max_reason_len = bytes;
        self
    }

    /// Sets the maximum number of metadata entries: 0 to 64. Zero allows no metadata. The default
    /// is 16.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{ManageError, Policy};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let builder = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?);
    /// let service = builder.policy(Policy::new().max_metadata_entries(0)).build()?;
    /// let request = IssueRequest::new("connector", "backup").metadata("ticket", "OPS-1234");
    /// let refused = service.owner("acme").issue(request).await;
    /// assert!(matches!(refused, Err(ManageError::Invalid(_))));
    /// # Ok(()) }
    /// ```
    pub fn max_metadata_entries(mut self, entries: usize) -> Self {
        self.max_metadata_entries = entries;
        self
    }

    /// Sets the maximum total length of metadata keys and values, in bytes: 0 to 8,192. The default
    /// is 2,048.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::Policy;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let builder = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?);
    /// let service = builder.policy(Policy::new().max_metadata_bytes(8_192)).build()?;
    /// let request = IssueRequest::new("connector", "backup").metadata("note", "x".repeat(4_096));
    /// assert!(service.owner("acme").issue(request).await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn max_metadata_bytes(mut self, bytes: usize) -> Self {
        self.max_metadata_bytes = bytes;
        self
    }
}
