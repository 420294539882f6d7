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
#[non_exhaustive]
pub struct Policy {
    /// The lifetime of a token if the request does not name one. `None` is no expiry.
    pub default_lifetime: Option<Duration>,
    /// The longest lifetime of a token that expires. `None` is no limit.
    pub max_lifetime: Option<Duration>,
    /// Whether a request may ask for a token that never expires.
    pub allow_never: bool,
    /// Whether a token may outlive the token on whose behalf it was issued or rotated.
    pub allow_outliving_issuer: bool,
    /// The longest overlap of two secrets after a rotation. Zero allows no overlap.
    pub max_overlap: Duration,
    /// The largest number of live tokens (active and pending) of one owner. `None` is no limit. Zero
    /// allows none.
    pub max_active_per_owner: Option<usize>,
    /// The longest owner, issued-to, issued-by, rotated-by and revoked-by, in bytes: 1 to 1,024.
    pub max_text_len: usize,
    /// The longest reason of a revocation or a pause, in bytes: 1 to 1,024.
    pub max_reason_len: usize,
    /// The largest number of metadata entries: at most 64. Zero allows no metadata.
    pub max_metadata_entries: usize,
    /// The largest total length of metadata keys and values, in bytes: at most 8,192.
    pub max_metadata_bytes: usize,
}

/// The reason why a [`Policy`] is impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPolicy {
    /// The default lifetime is zero.
    #[error("the default lifetime must be longer than zero")]
    NoLifetime,
    /// The longest lifetime is zero.
    #[error("the longest lifetime must be longer than zero")]
    NoMaxLifetime,
    /// The default lifetime is longer than the longest.
    #[error("the default lifetime is longer than the longest lifetime")]
    DefaultTooLong,
    /// No expiry by default, and tokens that never expire are not allowed.
    #[error("the default is no expiry, and tokens that never expire are not allowed")]
    DefaultNever,
    /// The longest text is zero bytes or longer than a record can hold.
    #[error("max_text_len must be between 1 and {max} bytes")]
    MaxTextLen {
        /// The longest text of a record, in bytes.
        max: usize,
    },
    /// The longest reason is zero bytes or longer than a record can hold.
    #[error("max_reason_len must be between 1 and {max} bytes")]
    MaxReasonLen {
        /// The longest reason of a record, in bytes.
        max: usize,
    },
    /// There may be more metadata entries than a record can hold.
    #[error("max_metadata_entries must be at most {max}")]
    MaxMetadataEntries {
        /// The largest number of entries of a record.
        max: usize,
    },
    /// There may be more metadata than a record can hold.
    #[error("max_metadata_bytes must be at most {max}")]
    MaxMetadataBytes {
        /// The largest total length of metadata of a record, in bytes.
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

    /// Sets the lifetime of a token if the request does not name one. `None` is no expiry.
    pub fn default_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.default_lifetime = lifetime.into();
        self
    }

    /// Sets the longest lifetime of a token that expires. `None` is no limit. Tokens that never expire
    /// are not affected: see [`allow_never`](Self::allow_never).
    pub fn max_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.max_lifetime = lifetime.into();
        self
    }

    /// Sets whether a request may ask for a token that never expires.
    pub fn allow_never(mut self, allow: bool) -> Self {
        self.allow_never = allow;
        self
    }

    /// Sets whether a token may outlive the token on whose behalf it was issued or rotated. A token
    /// never prolongs itself.
    pub fn allow_outliving_issuer(mut self, allow: bool) -> Self {
        self.allow_outliving_issuer = allow;
        self
    }

    /// Sets the longest overlap of two secrets after a rotation. Zero allows no overlap.
    pub fn max_overlap(mut self, overlap: Duration) -> Self {
        self.max_overlap = overlap;
        self
    }

    /// Sets the largest number of live tokens (active and pending) of one owner. `None` is no limit.
    ///
    /// The limit is best effort. Requests that are handled at the same moment do not see each other,
    /// so they may exceed it by their number.
    pub fn max_active_per_owner(mut self, max: impl Into<Option<usize>>) -> Self {
        self.max_active_per_owner = max.into();
        self
    }

    /// Sets the longest owner, issued-to, issued-by, rotated-by and revoked-by, in bytes: 1 to 1,024.
    pub fn max_text_len(mut self, bytes: usize) -> Self {
        self.max_text_len = bytes;
        self
    }

    /// Sets the longest reason of a revocation or a pause, in bytes: 1 to 1,024.
    pub fn max_reason_len(mut self, bytes: usize) -> Self {
        self.max_reason_len = bytes;
        self
    }

    /// Sets the largest number of metadata entries: at most 64. Zero allows no metadata.
    pub fn max_metadata_entries(mut self, entries: usize) -> Self {
        self.max_metadata_entries = entries;
        self
    }

    /// Sets the largest total length of metadata keys and values, in bytes: at most 8,192.
    pub fn max_metadata_bytes(mut self, bytes: usize) -> Self {
        self.max_metadata_bytes = bytes;
        self
    }

    pub(crate) fn check(&self) -> Result<(), InvalidPolicy> {
        let (entries, bytes) = MAX_METADATA;
        match (self.default_lifetime, self.max_lifetime) {
            (None, _) if !self.allow_never => return Err(InvalidPolicy::DefaultNever),
            (Some(Duration::ZERO), _) => return Err(InvalidPolicy::NoLifetime),
            (_, Some(Duration::ZERO)) => return Err(InvalidPolicy::NoMaxLifetime),
            (Some(default), Some(max)) if default > max => {
                return Err(InvalidPolicy::DefaultTooLong);
            }
            _ => {}
        }
        if !(1..=MAX_TEXT_LEN).contains(&self.max_text_len) {
            return Err(InvalidPolicy::MaxTextLen { max: MAX_TEXT_LEN });
        }
        if !(1..=MAX_TEXT_LEN).contains(&self.max_reason_len) {
            return Err(InvalidPolicy::MaxReasonLen { max: MAX_TEXT_LEN });
        }
        if self.max_metadata_entries > entries {
            return Err(InvalidPolicy::MaxMetadataEntries { max: entries });
        }
        if self.max_metadata_bytes > bytes {
            return Err(InvalidPolicy::MaxMetadataBytes { max: bytes });
        }
        Ok(())
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
        let (most, longest) = (self.max_metadata_entries, self.max_metadata_bytes);
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
