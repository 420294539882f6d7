//! The fields a caller fills in, their limits, and how a broken one is named.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::NewRecord;
use crate::clock::{RECORDABLE_MICROS, from_micros, rfc3339};
use crate::scope::{MAX_SCOPE_LEN, MAX_SCOPES, valid_type_name};

/// The longest owner, issued-to, actor or reason of any record, in bytes: short enough for an index of
/// any database. A policy may be stricter.
pub(crate) const MAX_TEXT_LEN: usize = 1_024;

/// The longest text of all scopes together, in bytes: any set of the allowed size fits.
pub(crate) const MAX_SCOPES_LEN: usize = MAX_SCOPES * (MAX_SCOPE_LEN + 1) - 1;

/// The most metadata entries, and the most bytes of all their keys and values together.
pub(crate) const MAX_METADATA: (usize, usize) = (64, 8_192);

/// The most issuers that a record keeps.
pub(crate) const MAX_ISSUERS: usize = 16;

/// A field that a caller filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// The caller-chosen id.
    Id,
    /// The tenant or account.
    Owner,
    /// The type's name.
    Type,
    /// The human label.
    IssuedTo,
    /// The scopes.
    Scopes,
    /// The time of issue.
    CreatedAt,
    /// The start.
    NotBefore,
    /// The end.
    ExpiresAt,
    /// The embedder's notes.
    Metadata,
    /// Who issued.
    IssuedBy,
    /// The chain of issuing tokens: those through which the token was obtained.
    Issuers,
    /// Who rotated.
    RotatedBy,
    /// Who revoked.
    RevokedBy,
    /// Why it was revoked.
    Reason,
    /// When the older secret ends after a rotation.
    OlderEnds,
    /// How many a page holds at most.
    Limit,
    /// How long what is dead is kept.
    Retention,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Id => "id",
            Self::Owner => "owner",
            Self::Type => "type",
            Self::IssuedTo => "issued_to",
            Self::Scopes => "scopes",
            Self::CreatedAt => "created_at",
            Self::NotBefore => "not_before",
            Self::ExpiresAt => "expires_at",
            Self::Metadata => "metadata",
            Self::IssuedBy => "issued_by",
            Self::Issuers => "issuers",
            Self::RotatedBy => "rotated_by",
            Self::RevokedBy => "revoked_by",
            Self::Reason => "reason",
            Self::OlderEnds => "older_ends",
            Self::Limit => "limit",
            Self::Retention => "retention",
        })
    }
}

/// The rule that a field breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// It has no visible character.
    #[error("must not be empty")]
    Empty,
    /// More bytes than allowed.
    #[error("has more than {max} bytes")]
    TooLong {
        /// The most bytes allowed.
        max: usize,
    },
    /// More entries than allowed.
    #[error("has more than {max} entries")]
    TooMany {
        /// The most entries allowed.
        max: usize,
    },
    /// No name of a type.
    #[error("is not a type's name")]
    Name,
    /// A type that the service does not know.
    #[error("is not a type that this service knows")]
    Unknown,
    /// A time that is not after now.
    #[error("must be after now")]
    NotAfterNow,
    /// An end that is not after the start.
    #[error("must be after not_before")]
    NotAfterNotBefore,
    /// A time beyond what the policy allows.
    #[error("must not be after {}", rfc3339(*latest))]
    TooLate {
        /// The latest time allowed.
        latest: DateTime<Utc>,
    },
    /// No end, where the policy asks for one.
    #[error("is required: tokens without an end are not allowed here")]
    Required,
    /// A time outside the years 1970 to 9999.
    #[error("is outside the years 1970 to 9999")]
    OutOfRange,
    /// Scopes beyond those of the type.
    #[error("has a scope that the type does not contain")]
    NotContained,
    /// A scope that the calling token does not have at the moment.
    #[error("has a scope that the calling token does not have")]
    ExceedsCallerScopes,
    /// An end later than that of the calling token.
    #[error("must not be after {}, when the calling token expires", rfc3339(*latest))]
    OutlivesCaller {
        /// The latest time allowed.
        latest: DateTime<Utc>,
    },
    /// A chosen id that is no UUID of version 7.
    #[error("is not a UUID of version 7")]
    NotVersion7,
    /// A chosen id whose time is not within an hour of now.
    #[error("is a UUID whose time is not within an hour of now")]
    NotRecent,
    /// A time span below the shortest allowed.
    #[error("must be at least {min:?}")]
    TooShort {
        /// The shortest allowed.
        min: Duration,
    },
    /// Zero where at least one is needed, or more than allowed.
    #[error("must be between 1 and {max}")]
    Bounds {
        /// The largest value allowed.
        max: usize,
    },
}

/// A field and the rule that it breaks. The value itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}")]
pub struct InvalidField {
    /// The field.
    pub field: Field,
    /// The rule.
    pub rule: Rule,
}

impl Field {
    /// An error about this field.
    pub(crate) fn breaks(self, rule: Rule) -> InvalidField {
        InvalidField { field: self, rule }
    }

    /// Refuses a text that has more bytes.
    pub(crate) fn at_most(self, text: &str, longest: usize) -> Result<(), InvalidField> {
        if text.len() > longest { Err(self.breaks(Rule::TooLong { max: longest })) } else { Ok(()) }
    }

    /// Refuses a text that is blank or has more bytes.
    pub(crate) fn filled(self, text: &str, longest: usize) -> Result<(), InvalidField> {
        if text.trim().is_empty() {
            return Err(self.breaks(Rule::Empty));
        }
        self.at_most(text, longest)
    }

    /// Refuses a time that RFC 3339 or a stored integer might not carry.
    pub(crate) fn in_range(self, time: DateTime<Utc>) -> Result<(), InvalidField> {
        if valid_micros(time.timestamp_micros()) {
            Ok(())
        } else {
            Err(self.breaks(Rule::OutOfRange))
        }
    }
}

/// Whether a time in microseconds lies in the years 1970 to 9999.
pub(crate) fn valid_micros(micros: i64) -> bool {
    RECORDABLE_MICROS.contains(&micros)
}

/// The time to whole microseconds; beyond the years 1970 to 9999, their nearest end. For what must not
/// fail because a clock is wrong.
pub(crate) fn nearest_valid(time: DateTime<Utc>) -> DateTime<Utc> {
    let (first, last) = (*RECORDABLE_MICROS.start(), *RECORDABLE_MICROS.end());
    from_micros(time.timestamp_micros().clamp(first, last))
}

/// The limits that hold for every record, whatever the policy.
pub(crate) fn check_new(new: &NewRecord<'_>) -> Result<(), InvalidField> {
    Field::Owner.filled(new.owner, MAX_TEXT_LEN)?;
    Field::IssuedTo.filled(new.issued_to, MAX_TEXT_LEN)?;
    if !valid_type_name(new.token_type) {
        return Err(Field::Type.breaks(Rule::Name));
    }
    Field::Scopes.at_most(new.scopes.as_scopes().as_str(), MAX_SCOPES_LEN)?;
    if new.scopes.as_scopes().iter().count() > MAX_SCOPES {
        return Err(Field::Scopes.breaks(Rule::TooMany { max: MAX_SCOPES }));
    }
    Field::CreatedAt.in_range(new.created_at)?;
    if let Some(start) = new.not_before {
        Field::NotBefore.in_range(start)?;
    }
    if let Some(end) = new.expires_at {
        Field::ExpiresAt.in_range(end)?;
        if end.timestamp_micros() <= new.created_at.timestamp_micros() {
            return Err(Field::ExpiresAt.breaks(Rule::NotAfterNow));
        }
        if new.not_before.is_some_and(|start| end.timestamp_micros() <= start.timestamp_micros()) {
            return Err(Field::ExpiresAt.breaks(Rule::NotAfterNotBefore));
        }
    }
    if let Some(by) = new.issued_by {
        Field::IssuedBy.filled(by, MAX_TEXT_LEN)?;
    }
    if new.issuers.len() > MAX_ISSUERS {
        return Err(Field::Issuers.breaks(Rule::TooMany { max: MAX_ISSUERS }));
    }
    let (entries, bytes) = MAX_METADATA;
    if new.metadata.len() > entries {
        return Err(Field::Metadata.breaks(Rule::TooMany { max: entries }));
    }
    if new.metadata.keys().any(String::is_empty) {
        return Err(Field::Metadata.breaks(Rule::Empty));
    }
    if new.metadata.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > bytes {
        return Err(Field::Metadata.breaks(Rule::TooLong { max: bytes }));
    }
    Ok(())
}
