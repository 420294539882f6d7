//! The errors of the service.
//!
//! [`VerifyError`] is for verifications and [`ManageError`] for management operations. The documentation
//! of each variant names its HTTP status.

use crate::random::RandomError;
use crate::record::{ChangeDenied, InvalidField, RotateDenied, State};
use crate::refusal::Refusal;
use crate::scope::{Requirement, ReservedScope};
use crate::store::StoreError;
use crate::token::{MalformedToken, TokenId};

/// The error returned if a token is not accepted. Its `Display` is safe to send to the client.
///
/// ```
/// use service_tokens::token::MalformedToken;
/// use service_tokens::{Refusal, VerifyError};
///
/// let error = VerifyError::Refused(Refusal::Malformed(MalformedToken::Checksum));
/// assert_eq!(error.to_string(), VerifyError::Refused(Refusal::Revoked).to_string());
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The token is not an active token of this service. Answer 401 `invalid_token` (RFC 6750 §3.1).
    /// The message is the same for every reason, and the reason is in the field.
    #[error("the token is not accepted")]
    Refused(Refusal),
    /// The token is active and lacks a required scope. Answer 403 `insufficient_scope`.
    #[error(transparent)]
    MissingScope(Box<MissingScope>),
    /// The store gave no answer, so the token is not accepted. Answer 503.
    #[error("tokens cannot be verified at the moment")]
    Unavailable(#[source] Box<StoreError>),
    /// The [owner gate](crate::OwnerGate) does not know whether the owner's account is open, so the token
    /// is not accepted. Answer 503.
    #[error("tokens cannot be verified at the moment")]
    OwnerUnknown,
}

/// The error returned if an active token lacks a required scope. Its `Display` is safe to send to the
/// client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the token lacks the required scope: {requirement}")]
#[non_exhaustive]
pub struct MissingScope {
    /// The token's id.
    pub id: TokenId,
    /// The requirement of the request.
    pub requirement: Requirement,
}

impl VerifyError {
    /// Returns the reason of a refusal, or `None` if the store gave no answer.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::{Refusal, VerifyError};
    ///
    /// let error = VerifyError::Refused(Refusal::Revoked);
    /// assert_eq!(error.refusal(), Some(Refusal::Revoked));
    /// ```
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused(refusal) => Some(*refusal),
            Self::MissingScope(_) => Some(Refusal::MissingScope),
            Self::OwnerUnknown => Some(Refusal::OwnerUnknown),
            Self::Unavailable(_) => None,
        }
    }

    /// Creates the error of a token that was refused under this requirement.
    pub(crate) fn refused(refusal: Refusal, id: TokenId, requirement: &Requirement) -> Self {
        match refusal {
            Refusal::MissingScope => {
                Self::MissingScope(Box::new(MissingScope { id, requirement: requirement.clone() }))
            }
            Refusal::OwnerUnknown => Self::OwnerUnknown,
            refusal => Self::Refused(refusal),
        }
    }
}

/// The reason for which a token may not do what was requested on its behalf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPermitted {
    /// The calling token is not accepted any more. Answer 401 without the reason, as for every refused
    /// token, and 503 for [`Refusal::OwnerUnknown`].
    #[error("the calling token is not accepted any more: {0}")]
    NotActive(Refusal),
    /// The calling token lacks the scope for this operation. Answer 403 `insufficient_scope`.
    #[error("the calling token lacks the scope {0}")]
    MissingScope(ReservedScope),
    /// The token to rotate or amend has a scope or a network that the calling token lacks. Answer 403.
    #[error("the token has a scope or a network that the calling token does not have")]
    ExceedsCaller,
    /// The token to rotate, or whose older secret is to end, is an issuer of the calling token. Answer 403.
    #[error("the token is an issuer of the calling token")]
    OwnIssuer,
    /// The calling token was presented with its older secret, and an operator or another token made its
    /// newest one. Answer 403.
    #[error("the calling token was presented with its older secret")]
    OlderSecret,
}

impl From<StoreError> for VerifyError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

/// Creates the error of a store that returned the record of another id.
pub(crate) fn other_record() -> StoreError {
    StoreError::corrupt("the store answered with the record of another id")
}

/// Creates the error of a store that returned another number of results than there were rows. `kind` says
/// what is known about each row.
pub(crate) fn wrong_number_of_results(kind: fn(&'static str) -> StoreError) -> StoreError {
    kind("the store answered with another number of results than rows")
}

/// The error returned if a management operation does not succeed. The operation had no effect, except for
/// [`Indeterminate`](Self::Indeterminate), [`Overtaken`](Self::Overtaken) and
/// [`PausedSincePrepared`](Self::PausedSincePrepared).
///
/// | HTTP status | variants |
/// | --- | --- |
/// | 400 | `Invalid` |
/// | 401 or 403, see [`NotPermitted`] | `NotPermitted`, `Overtaken` |
/// | 404 | `NotFound` |
/// | 409 | `Exists`, `Ended`, `VersionChanged`, `NotRotated`, `TooManyActive`, `ClockJumped` |
/// | 503 | all others, `IssuingPaused` among them |
///
/// # Examples
///
/// ```
/// use service_tokens::ManageError;
///
/// fn status(error: &ManageError) -> u16 {
///     match error {
///         ManageError::Invalid(_) => 400,
///         ManageError::NotPermitted(_) | ManageError::Overtaken { .. } => 403,
///         ManageError::NotFound { .. } => 404,
///         ManageError::Exists { .. }
///         | ManageError::Ended { .. }
///         | ManageError::VersionChanged { .. }
///         | ManageError::NotRotated(_)
///         | ManageError::TooManyActive { .. }
///         | ManageError::ClockJumped => 409,
///         _ => 503,
///     }
/// }
/// # assert_eq!(status(&ManageError::TooManyActive { max: 5 }), 409);
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManageError {
    /// A field of the request is invalid.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// The owner has as many active tokens as the policy allows.
    #[error("the owner has the maximum of {max} live tokens: revoke one first")]
    TooManyActive {
        /// The maximum that the policy allows.
        max: usize,
    },
    /// A token with the chosen id exists. If the answer to the first request was lost, rotate that token
    /// when it is active to get a secret, or revoke it and issue another.
    #[error("a token with the id {id} exists")]
    Exists {
        /// The id.
        id: TokenId,
    },
    /// No token has this id, or the token belongs to another owner.
    #[error("there is no token with the id {id}")]
    NotFound {
        /// The id.
        id: TokenId,
    },
    /// The token has ended, and the operation is for live tokens.
    #[error("the token with the id {id} is {state}")]
    Ended {
        /// The id.
        id: TokenId,
        /// The state of the token, which is expired or revoked.
        state: State,
    },
    /// The record has another version than the request expects, because it was changed in the meantime.
    #[error("the token with the id {id} was changed in the meantime")]
    VersionChanged {
        /// The id.
        id: TokenId,
    },
    /// An operator has [paused issuing](crate::TokenService::pause_issuing).
    #[error("issuing is paused: {reason}")]
    IssuingPaused {
        /// The operator's reason. Show it to people who manage tokens only.
        reason: String,
    },
    /// Issuing was [paused](crate::TokenService::pause_issuing) after the [draft](crate::IssueDraft) was
    /// prepared, so its token is not returned. If it was stored, it is revoked. Prepare another draft when
    /// issuing has resumed.
    #[error("issuing was paused after the token with the id {id} was prepared, so it is not valid")]
    PausedSincePrepared {
        /// The id.
        id: TokenId,
    },
    /// The store does not have the record of the draft, because the transaction was not committed or was rolled
    /// back. After its commit, the draft can be confirmed again.
    #[error("the draft of the token with the id {id} is not stored")]
    NotStored {
        /// The id.
        id: TokenId,
    },
    /// The draft was confirmed before, or ended with an error for good. See
    /// [`IssueDraft::can_confirm`](crate::IssueDraft::can_confirm).
    #[error("the draft of the token with the id {id} has ended")]
    DraftEnded {
        /// The id.
        id: TokenId,
    },
    /// The clock jumped, and the jump was not
    /// [acknowledged](crate::TokenService::acknowledge_clock_jump). Until then no record is removed,
    /// because the time may be wrong.
    #[error("the clock jumped, and no record is removed until the jump is acknowledged")]
    ClockJumped,
    /// The token cannot be rotated as requested.
    #[error(transparent)]
    NotRotated(RotateDenied),
    /// The calling token may not do this.
    #[error(transparent)]
    NotPermitted(#[from] NotPermitted),
    /// The operation was done, but at its end the calling token was not permitted to do it any more. So the
    /// new secret is not returned. An issued token is revoked. A rotated token has a new secret that is
    /// unknown, and its older secret ends as the request said. Rotate such a token again.
    #[error("the calling token ended during the operation, so the secret of {id} is not returned")]
    Overtaken {
        /// The token that was issued or rotated.
        id: TokenId,
        /// The reason for which the calling token may not do this now.
        #[source]
        cause: NotPermitted,
    },
    /// The random source failed, so no token was issued.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Other operations wrote the same record again and again, or the operation met a concurrent revocation
    /// or suspension of the token, or a first use that ends its older secret. Repeat the request.
    #[error("other operations kept changing the token with the id {id}")]
    Contended {
        /// The id.
        id: TokenId,
    },
    /// The store's answer was lost, and reading again did not show whether the write happened. Read the
    /// token with this id, or repeat the request. Repeating a rotation creates a new secret, and
    /// repeating a revocation or a suspension has no further effect.
    #[error("it is unknown whether the token with the id {id} was changed")]
    Indeterminate {
        /// The id.
        id: TokenId,
        /// The error of the store.
        source: StoreError,
    },
    /// The store failed.
    #[error("the token store failed")]
    Store(#[source] StoreError),
}

impl From<StoreError> for ManageError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<RotateDenied> for ManageError {
    fn from(denied: RotateDenied) -> Self {
        match denied {
            RotateDenied::NewerRecord => Self::Store(StoreError::NewerFormat),
            RotateDenied::Invalid(invalid) => Self::Invalid(invalid),
            RotateDenied::NotActive(_) | RotateDenied::OverlapRuns | RotateDenied::RotatedSince => {
                Self::NotRotated(denied)
            }
        }
    }
}

impl ManageError {
    /// Creates the error of a change of this token that was denied.
    pub(crate) fn of_denied(id: TokenId, denied: ChangeDenied) -> Self {
        match denied {
            ChangeDenied::Ended(state) => Self::Ended { id, state },
            ChangeDenied::NewerRecord => Self::Store(StoreError::NewerFormat),
            ChangeDenied::Invalid(invalid) => Self::Invalid(invalid),
        }
    }
}

/// The error returned if a presented token is not revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevokePresentedError {
    /// The text is not a token of this service.
    #[error("the text is not a token of this service")]
    Malformed(MalformedToken),
    /// The text is not a token that can be revoked with it, because its id is unknown, or its secret is wrong
    /// or has ended.
    #[error("the token is not accepted")]
    Refused(Refusal),
    /// This process cannot decide about the token, and another one may accept it. The record was written by
    /// a newer program, or the key or the scheme of its digest is unknown here.
    #[error("the token cannot be decided about here")]
    CannotTell(Refusal),
    /// The request is invalid, or the store failed.
    #[error(transparent)]
    Failed(ManageError),
}
