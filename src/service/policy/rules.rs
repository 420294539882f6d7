//! The rules of a policy, applied to requests.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::super::request::Expiry;
use super::{InvalidPolicy, Policy};
use crate::clock::{from_micros, whole_micros};
use crate::record::{Field, InvalidField, MAX_METADATA, MAX_TEXT_LEN, Rule};
use crate::visible::has_visible;

/// The resolution of times in records. A shorter lifetime would end a token at its creation.
const RESOLUTION: Duration = Duration::from_micros(1);

/// The longest default lifetime, 1,000 years. A record cannot hold a time after the year 9999, so a
/// service with a much longer default would refuse every request that names no end.
const MAX_DEFAULT_LIFETIME: Duration = Duration::from_secs(1_000 * 366 * 86_400);

/// The length of a token id as text.
const ID_TEXT_LEN: usize = 22;

impl Policy {
    pub(crate) fn check(&self) -> Result<(), InvalidPolicy> {
        let (entries, bytes) = MAX_METADATA;
        match (self.default_lifetime, self.max_lifetime) {
            (_, Some(max)) if max < RESOLUTION => return Err(InvalidPolicy::NoMaxLifetime),
            (None, _) if !self.allow_never => return Err(InvalidPolicy::DefaultNever),
            (Some(default), _) if default < RESOLUTION => return Err(InvalidPolicy::NoLifetime),
            (Some(default), Some(max)) if default > max => {
                return Err(InvalidPolicy::DefaultTooLong);
            }
            (Some(default), _) if default > MAX_DEFAULT_LIFETIME => {
                return Err(InvalidPolicy::DefaultOutOfRange);
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

    pub(crate) fn check_text(&self, field: Field, text: &str) -> Result<(), InvalidField> {
        let longest = match field {
            Field::Reason => self.max_reason_len,
            Field::Owner | Field::IssuedTo => self.max_text_len,
            // Endpoints record the id of the calling token as the actor. A limit below its length would
            // make every revocation through them impossible.
            _ => self.max_text_len.max(ID_TEXT_LEN),
        };
        if !has_visible(text) {
            return Err(field.breaks(Rule::Empty));
        }
        field.filled(text, longest)
    }

    pub(crate) fn check_metadata<'m>(
        &self,
        entries: impl ExactSizeIterator<Item = (&'m String, &'m String)> + Clone,
    ) -> Result<(), InvalidField> {
        let (most, longest) = (self.max_metadata_entries, self.max_metadata_bytes);
        if entries.len() > most {
            return Err(Field::Metadata.breaks(Rule::TooMany { max: most }));
        }
        if !entries.clone().all(|(key, _)| has_visible(key)) {
            return Err(Field::Metadata.breaks(Rule::BlankKey));
        }
        if entries.map(|(key, value)| key.len() + value.len()).sum::<usize>() > longest {
            return Err(Field::Metadata.breaks(Rule::TooLong { max: longest }));
        }
        Ok(())
    }
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
