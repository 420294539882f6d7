//! The fields that a caller sets, their limits, and the errors of invalid ones.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::NewRecord;
use crate::clock::{RECORDABLE_MICROS, from_micros, rfc3339};
use crate::scope::{MAX_SCOPE_LEN, MAX_SCOPES, valid_type_name};

/// The maximum length of an owner, issued-to, actor or reason in any record, in bytes. It fits an
/// index of any database. A policy may be stricter.
pub(crate) const MAX_TEXT_LEN: usize = 1_024;

/// The maximum length of all scopes together, in bytes. Any set of the allowed size fits.
pub(crate) const MAX_SCOPES_LEN: usize = MAX_SCOPES * (MAX_SCOPE_LEN + 1) - 1;

/// The maximum number of metadata entries, and the maximum length of all keys and values together
/// in bytes.
pub(crate) const MAX_METADATA: (usize, usize) = (64, 8_192);

/// The maximum number of issuers in a record.
pub(crate) const MAX_ISSUERS: usize = 16;

/// A field that a caller sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// The id, if the caller chose it.
    Id,
    /// The tenant or account.
    Owner,
    /// The name of the type.
    Type,
    /// The human label.
    IssuedTo,
    /// The scopes.
    Scopes,
    /// The time of issue.
    CreatedAt,
    /// The time from which the token is accepted.
    NotBefore,
    /// The expiry time.
    ExpiresAt,
    /// The embedder's own entries.
    Metadata,
    /// The person or program that issued the token.
    IssuedBy,
    /// The chain of tokens on whose behalf the token was issued.
    Issuers,
    /// The person or program that rotated the token.
    RotatedBy,
    /// The person or program that revoked the token.
    RevokedBy,
    /// The reason of the revocation.
    Reason,
    /// The end of the older secret after a rotation.
    OlderEnds,
    /// The maximum number of records on a page.
    Limit,
    /// The period for which ended tokens are retained.
    Retention,
    /// The networks from which the token is accepted.
    Networks,
    /// The person or program that suspended the token.
    SuspendedBy,
    /// The time at which a suspension passes.
    SuspendedUntil,
    /// The suspensions of the token.
    Suspensions,
    /// The person or program that resumed the token.
    ResumedBy,
    /// The person or program that amended the token.
    AmendedBy,
    /// The digest of an imported token, or the text from which it is computed.
    Digest,
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
            Self::Networks => "networks",
            Self::SuspendedBy => "suspended_by",
            Self::SuspendedUntil => "suspended_until",
            Self::Suspensions => "suspensions",
            Self::ResumedBy => "resumed_by",
            Self::AmendedBy => "amended_by",
            Self::Digest => "digest",
        })
    }
}

/// The rule that a field breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// The text contains no visible character.
    #[error("must contain a visible character")]
    Empty,
    /// The text is too long.
    #[error("has more than {max} bytes")]
    TooLong {
        /// The maximum length, in bytes.
        max: usize,
    },
    /// There are too many entries.
    #[error("has more than {max} entries")]
    TooMany {
        /// The maximum number of entries.
        max: usize,
    },
    /// The text is not a valid name of a type.
    #[error("is not a valid name of a type")]
    Name,
    /// The service has no type with this name.
    #[error("is not a type of this service")]
    Unknown,
    /// The time is not after the current time.
    #[error("must be in the future")]
    NotAfterNow,
    /// The end is not after the start.
    #[error("must be after not_before")]
    NotAfterNotBefore,
    /// The time is later than the policy allows.
    #[error("must not be after {}", rfc3339(*latest))]
    TooLate {
        /// The latest allowed time.
        latest: DateTime<Utc>,
    },
    /// The policy requires an expiry time.
    #[error("is required because the policy does not allow tokens without an end")]
    Required,
    /// The time is outside the years 1970 to 9999.
    #[error("must be in the years 1970 to 9999")]
    OutOfRange,
    /// A scope exceeds those of the type.
    #[error("has a scope that the type does not contain")]
    NotContained,
    /// A scope exceeds the current scopes of the calling token.
    #[error("has a scope that the calling token does not have")]
    ExceedsCallerScopes,
    /// The end is later than that of the calling token.
    #[error("must not be after the end of the calling token, {}", rfc3339(*latest))]
    OutlivesCaller {
        /// The latest allowed time.
        latest: DateTime<Utc>,
    },
    /// The chosen id is not a UUID of version 7.
    #[error("must be a UUID of version 7")]
    NotVersion7,
    /// The time in the chosen id is more than an hour from the current time.
    #[error("must be a UUID with a time within an hour of now")]
    NotRecent,
    /// The duration is too short.
    #[error("must be at least {min:?}")]
    TooShort {
        /// The minimum duration.
        min: Duration,
    },
    /// The number is zero or too large.
    #[error("must be between 1 and {max}")]
    Bounds {
        /// The maximum value.
        max: usize,
    },
    /// The amendment adds a scope or a network.
    #[error("may only be narrowed")]
    Widens,
    /// The end is later than the present end, and the caller may not extend it.
    #[error("must not be after the present end, {}", rfc3339(*latest))]
    LaterThanPresent {
        /// The latest allowed time.
        latest: DateTime<Utc>,
    },
    /// No import form of the service has the algorithm and the key of the digest, or the form of the text.
    #[error("has the form of no import form of this service")]
    NoImportForm,
    /// A network exceeds those of the calling token.
    #[error("must be within the networks of the calling token")]
    ExceedsCallerNetworks,
    /// The list has no entry.
    #[error("must have at least one entry")]
    NoEntries,
    /// A key of the metadata contains no visible character.
    #[error("has a key without a visible character")]
    BlankKey,
    /// The type is retired, so no token of it is issued.
    #[error("is a retired type, so no new token of it is issued")]
    Retired,
    /// The type requires client networks, and the request names none.
    #[error("must be given because the type requires client networks")]
    NetworksRequired,
}

/// The error returned for a field that breaks a rule. Its text does not repeat the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}")]
pub struct InvalidField {
    /// The invalid field.
    pub field: Field,
    /// The rule that it breaks.
    pub rule: Rule,
}

impl Field {
    /// Creates the error for this field.
    pub(crate) fn breaks(self, rule: Rule) -> InvalidField {
        InvalidField { field: self, rule }
    }

    /// Refuses a text that is longer than `max` bytes.
    pub(crate) fn at_most(self, text: &str, max: usize) -> Result<(), InvalidField> {
        if text.len() > max { Err(self.breaks(Rule::TooLong { max })) } else { Ok(()) }
    }

    /// Refuses a text that is blank or longer than `max` bytes. A request needs a visible character too, but
    /// a record may have an invisible text of an older program.
    pub(crate) fn filled(self, text: &str, max: usize) -> Result<(), InvalidField> {
        if text.trim().is_empty() {
            return Err(self.breaks(Rule::Empty));
        }
        self.at_most(text, max)
    }

    /// Refuses a time that RFC 3339 or a stored integer cannot represent.
    pub(crate) fn in_range(self, time: DateTime<Utc>) -> Result<(), InvalidField> {
        if valid_micros(time.timestamp_micros()) {
            Ok(())
        } else {
            Err(self.breaks(Rule::OutOfRange))
        }
    }
}

/// Returns whether a time in microseconds is in the years 1970 to 9999.
pub(crate) fn valid_micros(micros: i64) -> bool {
    RECORDABLE_MICROS.contains(&micros)
}

/// Truncates a time to whole microseconds and clamps it to the years 1970 to 9999. Used where an
/// operation must not fail because of a wrong clock, such as a revocation.
pub(crate) fn nearest_valid(time: DateTime<Utc>) -> DateTime<Utc> {
    let (first, last) = (*RECORDABLE_MICROS.start(), *RECORDABLE_MICROS.end());
    from_micros(time.timestamp_micros().clamp(first, last))
}

/// Checks the limits that hold for every record under any policy.
pub(crate) fn check_new(new: &NewRecord<'_>) -> Result<(), InvalidField> {
    Field::Owner.filled(new.owner, MAX_TEXT_LEN)?;
    Field::IssuedTo.filled(new.issued_to, MAX_TEXT_LEN)?;
    if !valid_type_name(new.token_type) {
        return Err(Field::Type.breaks(Rule::Name));
    }
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
    let (max_entries, max_bytes) = MAX_METADATA;
    check_metadata(new.metadata, max_entries, max_bytes)
}

/// Checks the number of metadata entries, their keys and their total length.
pub(crate) fn check_metadata(
    metadata: &BTreeMap<String, String>,
    max_entries: usize,
    max_bytes: usize,
) -> Result<(), InvalidField> {
    if metadata.len() > max_entries {
        return Err(Field::Metadata.breaks(Rule::TooMany { max: max_entries }));
    }
    if metadata.keys().any(String::is_empty) {
        return Err(Field::Metadata.breaks(Rule::Empty));
    }
    if metadata.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > max_bytes {
        return Err(Field::Metadata.breaks(Rule::TooLong { max: max_bytes }));
    }
    Ok(())
}
