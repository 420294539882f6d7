//! The caller of an operation, which is the embedder or a token, and the limits for each.

use chrono::{DateTime, Utc};

use super::core::TokenService;
use super::policy::{Policy, ends_by};
use crate::check::VerifiedToken;
use crate::error::{ManageError, NotPermitted};
use crate::record::{Details, Record};
use crate::refusal::Refusal;
use crate::scope::{Requirement, ReservedScope};
use crate::store::TokenStore;
use crate::token::TokenId;

/// The caller of an operation on an existing token.
pub(super) enum Caller<'a> {
    /// The embedder, limited to the tokens of one owner, or not limited.
    Embedder(Option<&'a str>),
    /// A token that operates on another one.
    Token(&'a CallingToken),
    /// A token that operates on itself, and the scope that it needs. The token is checked on the same
    /// record that is changed, so no other check can be out of date.
    Itself(&'a VerifiedToken, Option<ReservedScope>),
}

/// A calling token, as its record was when it was read again.
pub(super) struct CallingToken {
    /// The token with its present scopes and end.
    pub(super) token: VerifiedToken,
    /// The issuers of each token that it issues or rotates. They are the token's own issuers and itself.
    pub(super) lineage: Vec<TokenId>,
}

/// The caller that issues a token, which is the embedder for an owner, or a token for its own owner.
pub(super) enum Issuer<'a> {
    Embedder { owner: &'a str },
    Token(&'a CallingToken),
}

impl Issuer<'_> {
    /// Returns the owner of the new token.
    pub(super) fn owner(&self) -> &str {
        match self {
            Self::Embedder { owner } => owner,
            Self::Token(calling) => calling.token.owner(),
        }
    }

    pub(super) fn calling_token(&self) -> Option<&CallingToken> {
        match self {
            Self::Embedder { .. } => None,
            Self::Token(calling) => Some(calling),
        }
    }
}

impl Caller<'_> {
    /// Returns the owner to whose tokens the caller is limited.
    pub(super) fn owner(&self) -> Option<&str> {
        match self {
            Self::Embedder(owner) => *owner,
            Self::Token(calling) => Some(calling.token.owner()),
            Self::Itself(token, _) => Some(token.owner()),
        }
    }

    /// Returns the id of the calling token, if the caller is a token.
    pub(super) fn token_id(&self) -> Option<TokenId> {
        match self {
            Self::Embedder(_) => None,
            Self::Token(calling) => Some(calling.token.id()),
            Self::Itself(token, _) => Some(token.id()),
        }
    }

    /// Returns the creation time of the secret with which a token operates on itself.
    pub(super) fn presented_secret(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Embedder(_) | Self::Token(_) => None,
            Self::Itself(token, _) => Some(token.secret_created_at()),
        }
    }

    /// Returns the tokens that become issuers of a rotated token, because their clients may know its
    /// new secret.
    pub(super) fn lineage(&self) -> &[TokenId] {
        match self {
            Self::Token(calling) => &calling.lineage,
            Self::Embedder(_) | Self::Itself(..) => &[],
        }
    }
}

impl<S: TokenStore> TokenService<S> {
    /// Reads the calling token's record from the store, never from the cache, and returns the token if it
    /// may do this now.
    pub(super) async fn calling_token(
        &self,
        token: &VerifiedToken,
        scope: ReservedScope,
    ) -> Result<CallingToken, ManageError> {
        let Some(present) = self.core.records.find(token.id()).await? else {
            self.core.records.invalidate(token.id());
            return Err(NotPermitted::NotActive(Refusal::UnknownId).into());
        };
        let lineage = present.record.lineage();
        Ok(CallingToken { token: self.admit(token, &present.record, Some(scope))?, lineage })
    }

    /// Returns the calling token as it is in `present`, if it is accepted now and has the scope.
    pub(super) fn admit(
        &self,
        token: &VerifiedToken,
        present: &Record,
        scope: Option<ReservedScope>,
    ) -> Result<VerifiedToken, ManageError> {
        let not_active = |refusal| {
            // The cache may still have the record from before. A later verification must not accept it.
            self.core.records.invalidate(token.id());
            NotPermitted::NotActive(refusal)
        };
        let any = Requirement::any_token();
        let verified = token
            .matched_on(present, &self.core.digests)
            .and_then(|matched| {
                matched.authorize_by(
                    self.now(),
                    || self.earlier().passed,
                    &any,
                    &token.context(),
                    &self.core.rules,
                )
            })
            .map_err(not_active)?;
        match scope {
            Some(scope) if !verified.permits(&scope.requirement()) => {
                Err(NotPermitted::MissingScope(scope).into())
            }
            _ => Ok(verified),
        }
    }

    /// Checks that the caller may give this token a new secret, and returns the latest end that the token
    /// may then have.
    pub(super) fn may_rotate(
        &self,
        caller: &Caller<'_>,
        present: &Record,
    ) -> Result<Option<DateTime<Utc>>, ManageError> {
        match caller {
            Caller::Embedder(_) => Ok(None),
            Caller::Token(calling) => {
                calling.expect_no_issuer(present)?;
                calling.expect_contained(present)?;
                Ok(self.core.policy.latest_below(calling.token.expires_at()))
            }
            Caller::Itself(token, scope) => {
                self.admit(token, present, *scope)?;
                may_replace_newest(token, present)?;
                Ok(present.expires_at())
            }
        }
    }
}

impl CallingToken {
    /// Checks that the other token is not an issuer of this one.
    ///
    /// The holder of a secret can make a second token with the same rights as the first one, by issuing it or by
    /// rotating it. If that token could rotate the first one or end its older secret, the holder of an older
    /// secret would get around [`may_replace_newest`].
    pub(super) fn expect_no_issuer(&self, other: &Record) -> Result<(), NotPermitted> {
        if self.lineage.contains(&other.id()) { Err(NotPermitted::OwnIssuer) } else { Ok(()) }
    }

    /// Checks that a token which this one issued or rotated is still within its bounds, after both were
    /// read again.
    pub(super) fn expect_bounded(
        &self,
        other: &Record,
        policy: &Policy,
    ) -> Result<(), NotPermitted> {
        self.expect_contained(other)?;
        let latest = policy.latest_below(self.token.expires_at());
        ends_by(other.expires_at(), latest).map_err(|_| NotPermitted::ExceedsCaller)
    }

    /// Checks that the other token can do no more than this one, and is accepted from no other address.
    ///
    /// The scopes with which the token was issued count, and not those that its type has today. The
    /// type may get scopes back later, and by then the caller would know the secret.
    pub(super) fn expect_contained(&self, other: &Record) -> Result<(), NotPermitted> {
        let contained = self.token.scopes().contains(other.scopes())
            && Details::covers_networks(self.token.details(), other.details());
        if contained { Ok(()) } else { Err(NotPermitted::ExceedsCaller) }
    }
}

/// Refuses a token that was presented with its older secret, unless it made the newest one with that secret.
///
/// An operator may have rotated the token because the older secret leaked, and then the holder of that secret
/// must not get a new one, also if the holder of the newest secret rotates again. A client that rotated its
/// own token and lost the answer has only the older secret, and repeats the rotation with it.
pub(super) fn may_replace_newest(
    token: &VerifiedToken,
    present: &Record,
) -> Result<(), NotPermitted> {
    let presented_newest = token.secret_created_at() == present.secret_created_at();
    let made_with_it = present.secret_made_with() == Some(token.secret_created_at());
    if presented_newest || made_with_it { Ok(()) } else { Err(NotPermitted::OlderSecret) }
}
