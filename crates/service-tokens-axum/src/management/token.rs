//! Tokens as JSON. Nothing here can hold a digest.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use service_tokens::store::LastUsed;
use service_tokens::{Issued, Record, Revoked, StoredRecord};
use utoipa::ToSchema;

/// A time in UTC with `Z`, in as many digits as it needs.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A token without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(super) struct TokenJson {
    /// The public id: 22 characters of `0-9A-Za-z`.
    #[schema(
        min_length = 22,
        max_length = 22,
        pattern = "^[0-9A-Za-z]{22}$",
        example = "05Swf3OEdIgE2bQlsPJ8wB"
    )]
    id: String,
    /// The tenant or account.
    owner: String,
    /// The name of its type.
    #[serde(rename = "type")]
    token_type: String,
    /// The human label: which service was this given to.
    issued_to: String,
    /// What it was issued for. It may do what these and its type's present scopes both permit.
    scopes: Vec<String>,
    state: StateJson,
    /// When it was issued.
    #[schema(format = DateTime)]
    created_at: String,
    /// From when on it is accepted.
    #[schema(format = DateTime, required)]
    not_before: Option<String>,
    /// From when on it is dead. Null is never.
    #[schema(format = DateTime, required)]
    expires_at: Option<String>,
    /// Its latest use. Null is never; it is left out where uses are not tracked, and in answers to
    /// changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, value_type = Option<String>)]
    last_used_at: Option<Option<String>>,
    /// When its newest secret was made.
    #[schema(format = DateTime)]
    secret_created_at: String,
    /// Who issued it: the id of a token, or a name that the service's operator gave.
    #[schema(required)]
    issued_by: Option<String>,
    /// The tokens through which it was obtained, nearest first.
    issuers: Vec<String>,
    /// Notes.
    metadata: BTreeMap<String, String>,
    /// The overlap of two secrets, while it runs.
    #[schema(required)]
    overlap: Option<OverlapJson>,
    /// The revocation, if it was revoked.
    #[schema(required)]
    revocation: Option<RevocationJson>,
}

/// Where a token is in its life.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = State)]
enum StateJson {
    Pending,
    Active,
    Expired,
    Revoked,
}

/// Two secrets are accepted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Overlap)]
struct OverlapJson {
    /// When the older one ends, at the latest; exclusive.
    #[schema(format = DateTime)]
    ends_at: String,
    /// Whether it ends earlier, when the newer one is first used.
    ends_on_first_use: bool,
}

/// The revocation that stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Revocation)]
struct RevocationJson {
    #[schema(format = DateTime)]
    at: String,
    /// Who revoked: the id of a token, or a name that the service's operator gave.
    #[schema(required)]
    by: Option<String>,
    #[schema(required)]
    reason: Option<String>,
}

/// A token with its secret: it is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = TokenWithSecret)]
pub(super) struct IssuedJson<'i> {
    #[serde(flatten)]
    record: TokenJson,
    /// The token for the `Authorization: Bearer` header. It is not stored.
    token: &'i str,
}

/// A token that is revoked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RevokedToken)]
pub(super) struct RevokedJson {
    #[serde(flatten)]
    record: TokenJson,
    /// Whether it had been revoked before: nothing changed then.
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
            }),
            revocation: record.revocation().map(|revocation| RevocationJson {
                at: time(revocation.at),
                by: revocation.by.as_deref().map(str::to_owned),
                reason: revocation.reason.as_deref().map(str::to_owned),
            }),
        }
    }

    pub(super) fn stored(stored: &StoredRecord, now: DateTime<Utc>) -> Self {
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
