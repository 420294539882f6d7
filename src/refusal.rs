//! The one list of reasons for which a token is refused.

use crate::digest::{KeyId, Unverifiable};
use crate::token::MalformedToken;

/// The reason for which a token is refused.
///
/// Use it in logs, metrics and your own code. Do not send it to the client, because a client that tries
/// tokens must not learn which part of a token was right. [`VerifyError`](crate::VerifyError) has a
/// `Display` that is safe to send.
///
/// If several reasons apply, a verification returns the first one in this order:
///
/// 1. The token is malformed.
/// 2. No record has its id.
/// 3. A newer program wrote the record.
/// 4. The secret does not match, or its digest cannot be computed.
/// 5. The token was revoked.
/// 6. The secret has ended.
/// 7. The key of the secret's digest has ended.
/// 8. The token has expired.
/// 9. The token is not active yet.
/// 10. The token is suspended.
/// 11. The owner is closed, or it is not known whether the owner is open.
/// 12. The type is unknown.
/// 13. A scope is missing.
/// 14. The request comes from outside the token's networks.
///
/// # Examples
///
/// ```
/// use service_tokens::{Refusal, VerifyError};
///
/// fn metric(error: &VerifyError) -> &'static str {
///     match error.refusal() {
///         Some(Refusal::Expired) => "expired",
///         Some(Refusal::Revoked | Refusal::SecretEnded) => "revoked",
///         Some(_) => "refused",
///         None => "unavailable",
///     }
/// }
/// # assert_eq!(metric(&VerifyError::Refused(Refusal::Expired)), "expired");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Refusal {
    /// The token does not follow the grammar. The store was not read.
    #[error(transparent)]
    Malformed(MalformedToken),
    /// No record has the token's id.
    #[error("no record has the token's id")]
    UnknownId,
    /// The token's secret does not match any secret of the record.
    #[error("the token's secret is wrong")]
    WrongSecret,
    /// The token's secret was replaced by a rotation and has ended. A client with this secret missed
    /// the rotation, or the secret leaked.
    #[error("the token's secret was replaced and has ended")]
    SecretEnded,
    /// The token was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// The token has expired.
    #[error("the token has expired")]
    Expired,
    /// The token's `not_before` has not been reached.
    #[error("the token is not active yet")]
    NotYetActive,
    /// The token is suspended.
    #[error("the token is suspended")]
    Suspended,
    /// The owner gate of the service says that the owner's account is closed.
    #[error("the owner of the token is closed")]
    OwnerClosed,
    /// The owner gate of the service does not know whether the owner's account is open.
    #[error("it is unknown whether the owner of the token is open")]
    OwnerUnknown,
    /// The service does not know the token's type, so the token has no scopes.
    #[error("the token's type is unknown to this service")]
    UnknownType,
    /// The token is active and lacks a required scope.
    #[error("the token lacks a required scope")]
    MissingScope,
    /// The token is active and restricted to networks, and the request does not come from one of them, or
    /// its address is not known.
    #[error("the request comes from outside the token's networks")]
    OutsideNetworks,
    /// A newer program wrote the record, so the record may carry a restriction that this program
    /// cannot read.
    #[error("the token's record was written by a newer program")]
    NewerRecord,
    /// A digest of the record has a scheme that this crate does not know, and no other digest
    /// matches.
    #[error("the token's digest has the unknown scheme {0}")]
    UnknownScheme(u8),
    /// A digest of the record was made with a key that the key ring does not have, and no other digest
    /// matches.
    #[error("the token's digest needs the key {0}, which is not in the key ring")]
    MissingKey(KeyId),
    /// The token's secret is right, and its digest was made with a retired key that has ended. See
    /// [`KeyRing::retired_until`](crate::KeyRing::retired_until).
    #[error("the token's digest was made with the key {0}, which has ended")]
    KeyEnded(KeyId),
}

impl From<Unverifiable> for Refusal {
    fn from(unverifiable: Unverifiable) -> Self {
        match unverifiable {
            Unverifiable::Scheme(scheme) => Self::UnknownScheme(scheme),
            Unverifiable::Key(key) => Self::MissingKey(key),
        }
    }
}
