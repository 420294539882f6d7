//! The actions and the results of a leak report.

use super::super::bulk::BulkOutcome;
use crate::digest::KeyId;
use crate::error::ManageError;
use crate::record::{InvalidField, Record, State};
use crate::store::StoreError;
use crate::token::{MalformedToken, TokenId};

/// What a report does if the reported token is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeakAction {
    /// It changes no token.
    Report,
    /// It revokes the token, with its descendants if the token may issue or rotate. An older secret is ended
    /// alone instead.
    Revoke,
    /// It suspends the token until it is resumed, with its descendants if the token may issue or rotate. An
    /// older secret is ended alone instead.
    Suspend,
}

impl LeakAction {
    /// Returns the stable name of the action in `snake_case`, as the event has it.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::leak::LeakAction;
    ///
    /// assert_eq!(LeakAction::Suspend.name(), "suspend");
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Revoke => "revoke",
            Self::Suspend => "suspend",
        }
    }
}

/// The result of a report.
#[derive(Debug)]
#[non_exhaustive]
pub struct LeakReport {
    /// The id in the text, if it has one. Anyone can write any id into a text, so it proves nothing.
    pub id: Option<TokenId>,
    /// The comparison of the text with the record.
    pub outcome: LeakOutcome,
    /// The record before the action, if the secret is one of the token's.
    pub record: Option<Record>,
    /// The action that was taken.
    pub response: LeakResponse,
    /// The number of live descendants that the report left as they are. Descendants are the tokens that the
    /// token issued or rotated, directly or through others. A finder of the secret may have their secrets.
    ///
    /// It is `None` if the secret is not one of the token's, if the action included the descendants, or if
    /// the report failed before they were counted.
    pub live_descendants: Option<u64>,
    /// Whether the token of the reported id made its newest secret [itself](crate::OnBehalf::rotate_self).
    ///
    /// A finder of an earlier secret may have made the newest one, and so may know it. Of the ended
    /// secrets, the record retains only the digest of the last one, so the report of an earlier one has the
    /// outcome [`WrongSecret`](LeakOutcome::WrongSecret). Check this field after that outcome, and after
    /// [`EndedSecret`](LeakOutcome::EndedSecret) and [`EndedToken`](LeakOutcome::EndedToken).
    ///
    /// It is set for every secret, also for a wrong one, so do not pass it on to a reporter from outside.
    /// After a wrong secret it proves nothing about the text, because anyone can write any id into a text.
    /// So no action follows from it. It is `false` if no record was found.
    pub rotated_itself: bool,
}

/// The comparison of a reported text with the record of its id.
#[derive(Debug)]
#[non_exhaustive]
pub enum LeakOutcome {
    /// The text is not a token of this service.
    NotOurs(MalformedToken),
    /// No record has the id in the text.
    UnknownId,
    /// The secret is not one of the token's. Another person knows the id, which is public.
    WrongSecret,
    /// This process cannot compare the secret, so the token may be live.
    CannotTell(CannotTell),
    /// The secret was replaced and has ended. The token itself may be live.
    EndedSecret,
    /// The secret is right, and the token has ended.
    EndedToken {
        /// The state, which is expired or revoked.
        state: State,
    },
    /// The secret is right, and the token is live.
    Live {
        /// The secret in the text.
        secret: LeakedSecret,
        /// The state, which is active, pending or suspended.
        state: State,
    },
}

/// The reason why a reported secret cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CannotTell {
    /// The key ring does not have the key of the digest.
    #[error("the token's digest needs the key {0}, which is not in the key ring")]
    MissingKey(KeyId),
    /// The digest has a scheme that this crate does not know.
    #[error("the token's digest has the unknown scheme {0}")]
    UnknownScheme(u8),
    /// A newer program wrote the record.
    #[error("the token's record was written by a newer program")]
    NewerRecord,
    /// The store gave no answer.
    #[error("the token store failed")]
    StoreUnavailable(#[source] StoreError),
}

/// The secret of a live token that was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeakedSecret {
    /// The newest secret.
    Newest,
    /// The older secret of an overlap.
    Older,
}

/// The action that a report has taken.
#[derive(Debug)]
#[non_exhaustive]
pub enum LeakResponse {
    /// No token was changed.
    Nothing,
    /// The older secret was ended, and the newest one stays.
    EndedOlder,
    /// The token was revoked.
    Revoked {
        /// The revocation of its descendants, if the token may issue or rotate, or has descendants because it
        /// might do so before. Check its [`failed`](BulkOutcome::failed).
        descendants: Option<BulkOutcome>,
    },
    /// The token was suspended.
    Suspended {
        /// The suspension of its descendants, in the same cases.
        descendants: Option<BulkOutcome>,
    },
}

impl LeakResponse {
    /// Returns the stable name of the response in `snake_case`, as the event has it.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::leak::LeakResponse;
    ///
    /// assert_eq!(LeakResponse::Nothing.name(), "nothing");
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::EndedOlder => "ended_older",
            Self::Revoked { .. } => "revoked",
            Self::Suspended { .. } => "suspended",
        }
    }

    /// Returns the result for the descendants, if the action included them.
    pub fn descendants(&self) -> Option<&BulkOutcome> {
        match self {
            Self::Revoked { descendants } | Self::Suspended { descendants } => descendants.as_ref(),
            Self::Nothing | Self::EndedOlder => None,
        }
    }
}

/// The error returned if a leak could not be reported, or if the report was not completed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportLeakError {
    /// A text of the request is empty or too long. The reported text was not examined.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// The secret is one of the token's, and the action or the count of its descendants failed. Repeat the
    /// report.
    #[error("the text is a token, and the action on it or the count of its descendants failed")]
    NotDone {
        /// The report. Its response is the part of the action that was done.
        report: Box<LeakReport>,
        /// The error of the action or of the count.
        #[source]
        cause: ManageError,
    },
}

impl LeakOutcome {
    /// Returns the stable name of the outcome in `snake_case`, as the event has it.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::leak::LeakOutcome;
    ///
    /// assert_eq!(LeakOutcome::WrongSecret.name(), "wrong_secret");
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotOurs(_) => "not_ours",
            Self::UnknownId => "unknown_id",
            Self::WrongSecret => "wrong_secret",
            Self::CannotTell(_) => "cannot_tell",
            Self::EndedSecret => "ended_secret",
            Self::EndedToken { .. } => "ended_token",
            Self::Live { .. } => "live",
        }
    }
}
