//! What may be issued: lifetimes, numbers and lengths.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::request::Expiry;
use crate::clock::{from_micros, whole_micros};
use crate::record::{Field, InvalidField, MAX_METADATA, MAX_TEXT_LEN, Rule};

const DAY: Duration = Duration::from_secs(86_400);

/// What may be issued. The defaults suit a service that has not thought about it yet; the
/// [manual](crate::manual::defaults) has the reason for each:
///
/// | | default |
/// | --- | --- |
/// | lifetime if none is asked for | 90 days |
/// | longest lifetime | 366 days |
/// | tokens without an end | not allowed |
/// | a token that outlives the one it was issued on behalf of | not allowed |
/// | longest overlap of two secrets | 30 days |
/// | active tokens per owner | no limit |
/// | owner, issued-to, issued-by, revoked-by | 255 bytes |
/// | reason of a revocation | 1,000 bytes |
/// | metadata | 16 entries, 2,048 bytes in all |
///
/// ```
/// use std::time::Duration;
/// use service_tokens::Policy;
///
/// let day = Duration::from_secs(86_400);
/// let policy = Policy::new().default_lifetime(30 * day).max_lifetime(90 * day);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Policy {
    default_lifetime: Option<Duration>,
    max_lifetime: Option<Duration>,
    allow_never: bool,
    allow_outliving_issuer: bool,
    max_overlap: Duration,
    max_active_per_owner: Option<usize>,
    max_text_len: usize,
    max_reason_len: usize,
    metadata: (usize, usize),
}

/// What a [`Policy`] allows, to be read: from [`Policy::limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyLimits {
    /// How long a token lives if the request does not say; `None` is for ever.
    pub default_lifetime: Option<Duration>,
    /// The longest a token with an end may live; `None` is no limit.
    pub max_lifetime: Option<Duration>,
    /// Whether a token may have no end.
    pub never_allowed: bool,
    /// Whether a token may live longer than the one on whose behalf it was issued or rotated.
    pub outliving_issuer_allowed: bool,
    /// The longest that an older secret may live on after a rotation.
    pub max_overlap: Duration,
    /// The most active and pending tokens of one owner; `None` is no limit.
    pub max_active_per_owner: Option<usize>,
    /// The longest owner, issued-to, issued-by and revoked-by, in bytes.
    pub max_text_len: usize,
    /// The longest reason of a revocation, in bytes.
    pub max_reason_len: usize,
    /// The most metadata entries.
    pub max_metadata_entries: usize,
    /// The most bytes of all metadata keys and values together.
    pub max_metadata_bytes: usize,
}

/// Why a policy contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPolicy {
    /// The default lifetime is zero.
    #[error("the default lifetime must be longer than zero")]
    NoLifetime,
    /// The default lifetime is longer than the longest.
    #[error("the default lifetime is longer than the longest lifetime")]
    DefaultTooLong,
    /// No end by default, and tokens without an end are not allowed.
    #[error("the default is no end, and tokens without an end are not allowed")]
    DefaultNever,
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

impl Policy {
    /// The defaults.
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
            metadata: (16, 2_048),
        }
    }

    /// How long a token lives if the request does not say; `None` is for ever.
    pub fn default_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.default_lifetime = lifetime.into();
        self
    }

    /// The longest a token may live; `None` is no limit. It does not concern tokens without an end:
    /// see [`allow_never`](Self::allow_never).
    pub fn max_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.max_lifetime = lifetime.into();
        self
    }

    /// Whether a token may have no end.
    pub fn allow_never(mut self, allow: bool) -> Self {
        self.allow_never = allow;
        self
    }

    /// Whether a token may live longer than the one on whose behalf it was issued or rotated. A token
    /// never prolongs itself.
    pub fn allow_outliving_issuer(mut self, allow: bool) -> Self {
        self.allow_outliving_issuer = allow;
        self
    }

    /// The longest that an older secret may live on after a rotation.
    pub fn max_overlap(mut self, overlap: Duration) -> Self {
        self.max_overlap = overlap;
        self
    }

    /// The most live tokens (active and pending) that one owner may have; `None` is no limit.
    ///
    /// Best effort: requests that are handled at the same moment do not see each other and may
    /// exceed it by their number.
    pub fn max_active_per_owner(mut self, most: impl Into<Option<usize>>) -> Self {
        self.max_active_per_owner = most.into();
        self
    }

    /// The longest owner, issued-to, issued-by and revoked-by, in bytes; at most 1,024.
    pub fn max_text_len(mut self, bytes: usize) -> Self {
        self.max_text_len = bytes.min(MAX_TEXT_LEN);
        self
    }

    /// The longest reason of a revocation, in bytes; at most 1,024.
    pub fn max_reason_len(mut self, bytes: usize) -> Self {
        self.max_reason_len = bytes.min(MAX_TEXT_LEN);
        self
    }

    /// The most metadata entries (at most 64) and bytes of all of them (at most 8,192).
    pub fn max_metadata_entries(mut self, entries: usize, bytes: usize) -> Self {
        self.metadata = (entries.min(MAX_METADATA.0), bytes.min(MAX_METADATA.1));
        self
    }

    /// What it allows, for forms that offer no more than that.
    ///
    /// ```
    /// use service_tokens::Policy;
    ///
    /// assert!(!Policy::new().limits().never_allowed);
    /// assert!(Policy::new().allow_never(true).limits().never_allowed);
    /// ```
    pub fn limits(&self) -> PolicyLimits {
        let (max_metadata_entries, max_metadata_bytes) = self.metadata;
        PolicyLimits {
            default_lifetime: self.default_lifetime,
            max_lifetime: self.max_lifetime,
            never_allowed: self.allow_never,
            outliving_issuer_allowed: self.allow_outliving_issuer,
            max_overlap: self.max_overlap,
            max_active_per_owner: self.max_active_per_owner,
            max_text_len: self.max_text_len,
            max_reason_len: self.max_reason_len,
            max_metadata_entries,
            max_metadata_bytes,
        }
    }

    pub(crate) fn check(&self) -> Result<(), InvalidPolicy> {
        match (self.default_lifetime, self.max_lifetime) {
            (None, _) if !self.allow_never => Err(InvalidPolicy::DefaultNever),
            (Some(Duration::ZERO), _) => Err(InvalidPolicy::NoLifetime),
            (Some(default), Some(longest)) if default > longest => {
                Err(InvalidPolicy::DefaultTooLong)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn active_limit(&self) -> Option<usize> {
        self.max_active_per_owner
    }

    /// The end of a token whose secret is made at `now`.
    pub(crate) fn end(
        &self,
        asked: Expiry,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, InvalidField> {
        let field = Field::ExpiresAt;
        let end = match asked {
            Expiry::Default => match self.default_lifetime {
                Some(lifetime) => later(now, lifetime, field)?,
                None => return Ok(None),
            },
            Expiry::In(lifetime) => later(now, lifetime, field)?,
            Expiry::At(end) => whole_micros(end),
            Expiry::Never if self.allow_never => return Ok(None),
            Expiry::Never => return Err(field.breaks(Rule::Required)),
        };
        let latest = self.max_lifetime.and_then(|longest| later(now, longest, field).ok());
        within(field, end, now, latest)?;
        Ok(Some(end))
    }

    /// The latest end of what a token with this end obtains, if there is one.
    pub(crate) fn latest_below(&self, end: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        end.filter(|_| !self.allow_outliving_issuer)
    }

    /// As [`end`](Self::end), and not after `latest`: a default is cut there, a wish is refused.
    pub(crate) fn end_until(
        &self,
        asked: Expiry,
        now: DateTime<Utc>,
        latest: Option<DateTime<Utc>>,
    ) -> Result<Option<DateTime<Utc>>, InvalidField> {
        let end = self.end(asked, now)?;
        match latest {
            Some(latest) if asked == Expiry::Default => {
                Ok(Some(end.map_or(latest, |end| end.min(latest))))
            }
            _ => {
                ends_by(end, latest)?;
                Ok(end)
            }
        }
    }

    /// The end of an older secret.
    pub(crate) fn older_end(
        &self,
        asked: Expiry,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, InvalidField> {
        let field = Field::OlderEnds;
        let end = match asked {
            Expiry::In(Duration::ZERO) => return Ok(None),
            Expiry::In(overlap) => later(now, overlap, field)?,
            Expiry::At(end) => whole_micros(end),
            Expiry::Default | Expiry::Never => return Err(field.breaks(Rule::Required)),
        };
        within(field, end, now, later(now, self.max_overlap, field).ok())?;
        Ok(Some(end))
    }

    pub(crate) fn check_text(&self, field: Field, text: &str) -> Result<(), InvalidField> {
        let longest = if field == Field::Reason { self.max_reason_len } else { self.max_text_len };
        field.filled(text, longest)
    }

    pub(crate) fn check_metadata<'m>(
        &self,
        entries: impl ExactSizeIterator<Item = (&'m String, &'m String)>,
    ) -> Result<(), InvalidField> {
        let (most, longest) = self.metadata;
        if entries.len() > most {
            return Err(Field::Metadata.breaks(Rule::TooMany { max: most }));
        }
        if entries.map(|(key, value)| key.len() + value.len()).sum::<usize>() > longest {
            return Err(Field::Metadata.breaks(Rule::TooLong { max: longest }));
        }
        Ok(())
    }
}

/// Refuses an end after the latest that an acting token may give.
pub(crate) fn ends_by(
    end: Option<DateTime<Utc>>,
    latest: Option<DateTime<Utc>>,
) -> Result<(), InvalidField> {
    match latest {
        Some(latest) if end.is_none_or(|end| end > latest) => {
            Err(Field::ExpiresAt.breaks(Rule::OutlivesCaller { latest }))
        }
        _ => Ok(()),
    }
}

fn within(
    field: Field,
    end: DateTime<Utc>,
    now: DateTime<Utc>,
    latest: Option<DateTime<Utc>>,
) -> Result<(), InvalidField> {
    field.in_range(end)?;
    if end <= now {
        return Err(field.breaks(Rule::NotAfterNow));
    }
    match latest {
        Some(latest) if end > latest => Err(field.breaks(Rule::TooLate { latest })),
        _ => Ok(()),
    }
}

fn later(now: DateTime<Utc>, by: Duration, field: Field) -> Result<DateTime<Utc>, InvalidField> {
    let micros = i64::try_from(by.as_micros()).ok();
    let end = micros.and_then(|micros| now.timestamp_micros().checked_add(micros));
    let end = from_micros(end.ok_or(field.breaks(Rule::OutOfRange))?);
    field.in_range(end)?;
    Ok(end)
}
