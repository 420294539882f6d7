//! The rules of a policy, applied to requests.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::super::request::Expiry;
use super::{InvalidPolicy, Policy};
use crate::clock::{from_micros, whole_micros};
use crate::record::{Field, InvalidField, MAX_METADATA, MAX_TEXT_LEN, Rule};

impl Policy {
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

    /// Returns the end of a token whose secret is created at `now`.
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

    /// Checks an end that is later than the present one, for a token whose newest secret was created at this
    /// time.
    pub(crate) fn check_extension(
        &self,
        end: Option<DateTime<Utc>>,
        secret_created_at: DateTime<Utc>,
    ) -> Result<(), InvalidField> {
        let field = Field::ExpiresAt;
        match (end, self.max_lifetime) {
            (None, _) if self.allow_never => Ok(()),
            (None, _) => Err(field.breaks(Rule::Required)),
            (Some(_), None) => Ok(()),
            (Some(end), Some(max)) => match later(secret_created_at, max, field) {
                Ok(latest) if end > latest => Err(field.breaks(Rule::TooLate { latest })),
                _ => Ok(()),
            },
        }
    }

    /// Returns the latest end that a token with this end may give to another, if there is a limit.
    pub(crate) fn latest_below(&self, end: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        end.filter(|_| !self.allow_outliving_issuer)
    }

    /// Returns the end as [`end`](Self::end) does, but not after `latest`. A default end is cut to
    /// `latest`. An end that the request names is refused instead.
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

    /// Returns the end of an older secret.
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

    /// Returns the end of a suspension, or `None` if it lasts until the token is resumed.
    pub(crate) fn suspension_end(
        &self,
        asked: Expiry,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, InvalidField> {
        let field = Field::SuspendedUntil;
        let end = match asked {
            Expiry::Default | Expiry::Never => return Ok(None),
            Expiry::In(duration) => later(now, duration, field)?,
            Expiry::At(end) => whole_micros(end),
        };
        within(field, end, now, None)?;
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

/// Returns the end that an amendment asks for, counted from now. It is not checked.
pub(in super::super) fn asked_end(
    asked: Expiry,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, InvalidField> {
    match asked {
        Expiry::In(lifetime) => Ok(Some(later(now, lifetime, Field::ExpiresAt)?)),
        Expiry::At(end) => Ok(Some(whole_micros(end))),
        Expiry::Default | Expiry::Never => Ok(None),
    }
}

/// Returns the present end if another end is later than it.
pub(in super::super) fn ends_later(
    end: Option<DateTime<Utc>>,
    present: Option<DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    present.filter(|present| end.is_none_or(|end| end > *present))
}

/// Refuses an end after the latest one that a calling token may give.
pub(in super::super) fn ends_by(
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
