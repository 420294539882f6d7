//! What can go wrong in the service, for the caller and for the log.

use crate::check::Denied;
use crate::digest::KeyId;
use crate::record::{InvalidField, Mismatch, RevokeDenied, RotateDenied};
use crate::scope::{Requirement, ReservedScope};
use crate::secret::RandomError;
use crate::store::StoreError;
use crate::token::{MalformedToken, TokenId};

/// Why a token was refused: for logs, metrics and the embedder's own code. Do not answer it to the
/// client: whoever tries tokens must not learn which part was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It does not obey the grammar; no store was asked.
    #[error(transparent)]
    Malformed(MalformedToken),
    /// There is no record with its id.
    #[error("no record has this id")]
    UnknownId,
    /// Its secret is none of the record's.
    #[error("the secret is wrong")]
    WrongSecret,
    /// Its secret was replaced by a rotation and has ended.
    #[error("the secret was replaced and has ended")]
    SecretEnded,
    /// It was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// Its end has come.
    #[error("the token has expired")]
    Expired,
    /// Its start lies ahead.
    #[error("the token is not yet active")]
    NotYetActive,
    /// The service knows no type of its name.
    #[error("the token's type is unknown to this service")]
    UnknownType,
    /// A newer program wrote its record.
    #[error("a newer program wrote the record")]
    NewerRecord,
    /// Its digest is of a scheme that this crate does not know.
    #[error("the digest's scheme {0} is unknown")]
    UnknownScheme(u8),
    /// Its digest is under a key that the ring does not have.
    #[error("the key {0} is not in the key ring")]
    MissingKey(KeyId),
}

/// A token was not accepted. Its `Display` is fit for the client.
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
    /// The token is no active token of this service: answer 401 `invalid_token` (RFC 6750 §3.1).
    /// One sentence for every reason; the reason is inside.
    #[error("the token is not accepted")]
    Refused(Refusal),
    /// The token is active and may not do this: answer 403 `insufficient_scope`.
    #[error(transparent)]
    MissingScope(Box<MissingScope>),
    /// The store gave no answer, so the token is not accepted: answer 503.
    #[error("tokens cannot be verified at the moment")]
    Unavailable(#[source] Box<StoreError>),
}

/// An active token and what it may not do. Its `Display` is fit for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the token lacks the scope for this: {requirement}")]
#[non_exhaustive]
pub struct MissingScope {
    /// The token.
    pub id: TokenId,
    /// What was asked for.
    pub requirement: Requirement,
}

impl VerifyError {
    /// The exact reason of a refusal.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused(refusal) => Some(*refusal),
            _ => None,
        }
    }

    pub(crate) fn mismatch(mismatch: Mismatch) -> Self {
        Self::Refused(match mismatch {
            // A store that answers with another row answers nothing.
            Mismatch::OtherId => return other_record().into(),
            Mismatch::NewerRecord => Refusal::NewerRecord,
            Mismatch::WrongSecret => Refusal::WrongSecret,
            Mismatch::UnknownScheme(scheme) => Refusal::UnknownScheme(scheme),
            Mismatch::MissingKey(key) => Refusal::MissingKey(key),
        })
    }

    pub(crate) fn denied(denied: Denied, id: TokenId, requirement: &Requirement) -> Self {
        Self::Refused(match denied {
            Denied::MissingScope => {
                return Self::MissingScope(Box::new(MissingScope {
                    id,
                    requirement: requirement.clone(),
                }));
            }
            Denied::Revoked => Refusal::Revoked,
            Denied::SecretEnded => Refusal::SecretEnded,
            Denied::Expired => Refusal::Expired,
            Denied::NotYetActive => Refusal::NotYetActive,
            Denied::UnknownType => Refusal::UnknownType,
        })
    }
}

/// Why a token may not do what was asked on its behalf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPermitted {
    /// It is not accepted any more: answer 401 as for every token that is refused, without the
    /// reason.
    #[error("the acting token is not accepted any more: {0}")]
    NotActive(Refusal),
    /// It lacks the scope for this act: answer 403 `insufficient_scope`.
    #[error("the acting token lacks the scope {0}")]
    MissingScope(ReservedScope),
    /// The token that was to get a new secret has a scope that the acting one lacks: 403.
    #[error("the token was issued with a scope that the acting token does not contain")]
    ExceedsCaller,
}

impl From<StoreError> for VerifyError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

pub(crate) fn other_record() -> StoreError {
    StoreError::corrupt("the store answered with the record of another id")
}

/// An act of management did not succeed. Unless it is [`Indeterminate`](Self::Indeterminate) or
/// [`Overtaken`](Self::Overtaken), nothing changed.
///
/// For HTTP: `Invalid` is 400, `NotPermitted` and `Overtaken` 401 or 403 as [`NotPermitted`] says,
/// `NotFound` 404, `Exists`, `NotRotated`, `TooManyActive` and `ClockJumped` 409, all others,
/// `IssuingPaused` among them, 503.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManageError {
    /// A field of the request breaks a rule.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// The owner has as many active tokens as the policy allows.
    #[error("this owner has {max} active tokens, and more are not allowed: revoke one first")]
    TooManyActive {
        /// The most allowed.
        max: usize,
    },
    /// There is a token with the chosen id. If the answer to the first request was lost, rotate it once
    /// it is active: that gives a secret. Or revoke it and issue another.
    #[error("a token with the id {id} exists")]
    Exists {
        /// The id.
        id: TokenId,
    },
    /// There is no token with this id, or it is another owner's.
    #[error("there is no token with the id {id}")]
    NotFound {
        /// The id.
        id: TokenId,
    },
    /// An operator has [paused issuing](crate::TokenService::pause_issuing).
    #[error("issuing is paused: {reason}")]
    IssuingPaused {
        /// The operator's words: for those who manage tokens, not for strangers.
        reason: String,
    },
    /// The clock jumped and nobody has
    /// [acknowledged](crate::TokenService::acknowledge_clock_jump) it: nothing is removed by it.
    #[error("the clock jumped: nothing is removed until that is acknowledged")]
    ClockJumped,
    /// The token cannot be rotated as asked.
    #[error(transparent)]
    NotRotated(RotateDenied),
    /// The token on whose behalf it was to happen may not do this.
    #[error(transparent)]
    NotPermitted(#[from] NotPermitted),
    /// The act was done, and by then the token on whose behalf it was done might not do it any more:
    /// nobody gets the new secret. A token that was issued is revoked. One that was rotated has a new
    /// secret that nobody knows, and its older one ends as the request said: rotate it again.
    #[error("the acting token ended during the act, and nobody gets the secret of {id}")]
    Overtaken {
        /// The token that was issued or rotated.
        id: TokenId,
        /// What the acting token lacks now.
        #[source]
        cause: NotPermitted,
    },
    /// No random bytes, so no token.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Others changed the same token again and again, or a rotation met a revocation of it that is
    /// under way. Repeat.
    #[error("the token with the id {id} changed again and again meanwhile")]
    Contended {
        /// The id.
        id: TokenId,
    },
    /// The store's answer was lost and reading again did not tell: the act may have happened. Look at
    /// the token with this id, or repeat: rotating gives a new secret, revoking twice does no harm.
    #[error("it is unknown whether the token with the id {id} was changed")]
    Indeterminate {
        /// The id.
        id: TokenId,
        /// What the store reported.
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

impl From<RevokeDenied> for ManageError {
    fn from(denied: RevokeDenied) -> Self {
        match denied {
            RevokeDenied::NewerRecord => Self::Store(StoreError::NewerFormat),
            RevokeDenied::Invalid(invalid) => Self::Invalid(invalid),
        }
    }
}
