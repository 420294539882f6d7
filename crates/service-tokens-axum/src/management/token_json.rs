//! Tokens as JSON. No type here contains a digest.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use service_tokens::store::LastUsed;
use service_tokens::{Issued, Record, Revoked, StoredRecord};
use utoipa::ToSchema;

/// Formats a time as RFC 3339 in UTC with `Z`, with as many digits as needed.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A token without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(super) struct TokenJson {
    /// The public id, 22 characters of `0-9A-Za-z`.
    #[schema(
        min_length = 22,
        max_length = 22,
        pattern = "^[0-9A-Za-z]{22}$",
        example = "05Swf3OEdIgE2bQlsPJ8wB"
    )]
    id: String,
    /// The owner, such as a customer or an account.
    owner: String,
    /// The name of the token type.
    #[serde(rename = "type")]
    token_type: String,
    /// A text for people that names the program which has the token.
    issued_to: String,
    /// The scopes from the issue. The effective scopes are those that the current type permits too.
    scopes: Vec<String>,
    state: StateJson,
    /// The time of issue.
    #[schema(format = DateTime)]
    created_at: String,
    /// The time from which the token is accepted. Null means from its issue.
    #[schema(format = DateTime, required)]
    not_before: Option<String>,
    /// The expiry time (exclusive). Null means that the token never expires.
    #[schema(format = DateTime, required)]
    expires_at: Option<String>,
    /// The time of the last use. Null means never. Absent if uses are not tracked, and in the answers to
    /// issue, rotate and revoke.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, value_type = Option<String>)]
    last_used_at: Option<Option<String>>,
    /// The creation time of the newest secret.
    #[schema(format = DateTime)]
    secret_created_at: String,
    /// The id of the token that issued it, or a name that the service's operator set.
    #[schema(required)]
    issued_by: Option<String>,
    /// The ids of the tokens through which it was issued or rotated, nearest first.
    issuers: Vec<String>,
    /// The notes from the issue.
    metadata: BTreeMap<String, String>,
    /// The current overlap of two secrets, or null.
    #[schema(required)]
    overlap: Option<OverlapJson>,
    /// The revocation, or null if the token is not revoked.
    #[schema(required)]
    revocation: Option<RevocationJson>,
}

/// The state of a token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = State)]
enum StateJson {
    Pending,
    Active,
    Suspended,
    Expired,
    Revoked,
}

/// An overlap, during which two secrets are accepted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Overlap)]
struct OverlapJson {
    /// The latest time at which the older secret ends (exclusive).
    #[schema(format = DateTime)]
    ends_at: String,
    /// Whether the first use of the newer secret ends the older one earlier.
    ends_on_first_use: bool,
    /// The creation time of the older secret.
    #[schema(format = DateTime)]
    older_secret_created_at: String,
}

/// The first revocation of a token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Revocation)]
struct RevocationJson {
    #[schema(format = DateTime)]
    at: String,
    /// The id of the token that revoked it, or a name that the service's operator set.
    #[schema(required)]
    by: Option<String>,
    #[schema(required)]
    reason: Option<String>,
}

/// A token with its secret, which no other answer contains.
#[derive(Serialize, ToSchema)]
#[schema(as = TokenWithSecret)]
pub(super) struct IssuedJson<'i> {
    #[serde(flatten)]
    record: TokenJson,
    /// The token for the `Authorization: Bearer` header. The service does not store it.
    token: &'i str,
}

/// A revoked token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RevokedToken)]
pub(super) struct RevokedJson {
    #[serde(flatten)]
    record: TokenJson,
    /// Whether it was revoked before this request, which then changed nothing.
    already_revoked: bool,
}

impl TokenJson {
    pub(super) fn new(record: &Record, last_used: Option<LastUsed>, now: DateTime<Utc>) -> Self {
        Self {
            id: record.id().to_string(),
            owner: record.owner().to_owned(),
            token_type: record.token_type().to_owned(),
            issued_to: record.issued_to().to_owned(),
            scopes: record.scopes().iter().map(str::to_owned).collect(),
            state: match record.state(now) {
                service_tokens::State::Pending => StateJson::Pending,
                service_tokens::State::Active => StateJson::Active,
                service_tokens::State::Suspended => StateJson::Suspended,
                service_tokens::State::Expired => StateJson::Expired,
                service_tokens::State::Revoked => StateJson::Revoked,
            },
            created_at: time(record.created_at()),
            not_before: record.not_before().map(time),
            expires_at: record.expires_at().map(time),
            last_used_at: match last_used {
                Some(LastUsed::At(used)) => Some(Some(time(used))),
                Some(LastUsed::Never) => Some(None),
                Some(LastUsed::NotTracked) | None => None,
            },
            secret_created_at: time(record.secret_created_at()),
            issued_by: record.issued_by().map(str::to_owned),
            issuers: record.issuers().iter().map(ToString::to_string).collect(),
            metadata: record.metadata().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            overlap: record.overlap(now).map(|overlap| OverlapJson {
                ends_at: time(overlap.ends_at),
                ends_on_first_use: overlap.ends_on_first_use,
                older_secret_created_at: time(overlap.older_created_at),
            }),
            revocation: record.revocation().map(|revocation| RevocationJson {
                at: time(revocation.at),
                by: revocation.by.as_deref().map(str::to_owned),
                reason: revocation.reason.as_deref().map(str::to_owned),
            }),
        }
    }

    pub(super) fn from_stored(stored: &StoredRecord, now: DateTime<Utc>) -> Self {
        Self::new(&stored.record, Some(stored.last_used), now)
    }
}

impl<'i> IssuedJson<'i> {
    pub(super) fn new(issued: &'i Issued, now: DateTime<Utc>) -> Self {
        Self {
            record: TokenJson::new(&issued.record, None, now),
            token: issued.token.expose_secret(),
        }
    }
}

impl RevokedJson {
    pub(super) fn new(revoked: &Revoked, now: DateTime<Utc>) -> Self {
        let record = TokenJson::new(&revoked.record, None, now);
        Self { record, already_revoked: revoked.already_revoked }
    }
}
