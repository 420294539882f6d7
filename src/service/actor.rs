//! Who asks for an act, and what follows from it.

use chrono::{DateTime, Utc};

use super::TokenService;
use crate::check::VerifiedToken;
use crate::error::{ManageError, NotPermitted};
use crate::record::Record;
use crate::refusal::Refusal;
use crate::scope::{Requirement, ReservedScope};
use crate::store::TokenStore;
use crate::token::TokenId;

/// Who asks for an act on a token.
pub(super) enum Actor<'a> {
    /// The embedder: within one owner, or without bounds.
    Embedder(Option<&'a str>),
    /// A token, for another one.
    Token(&'a Acting),
    /// A token, for itself. What it needs is asked of the very record that is changed.
    Itself(&'a VerifiedToken, Option<ReservedScope>),
}

/// A token that acts, as its record was when it was read again.
pub(super) struct Acting {
    /// Its present scopes and end.
    pub(super) token: VerifiedToken,
    /// The issuers of whatever it obtains.
    pub(super) lineage: Vec<TokenId>,
}

/// Who issues a token: the embedder for an owner, or a token for its own owner.
pub(super) enum Issuer<'a> {
    Embedder { owner: &'a str },
    Token(&'a Acting),
}

impl Issuer<'_> {
    /// The owner of the new token.
    pub(super) fn owner(&self) -> &str {
        match self {
            Self::Embedder { owner } => owner,
            Self::Token(acting) => acting.token.owner(),
        }
    }

    pub(super) fn acting(&self) -> Option<&Acting> {
        match self {
            Self::Embedder { .. } => None,
            Self::Token(acting) => Some(acting),
        }
    }
}

impl Actor<'_> {
    /// The owner beyond whose tokens there are none.
    pub(super) fn owner(&self) -> Option<&str> {
        match self {
            Self::Embedder(owner) => *owner,
            Self::Token(acting) => Some(acting.token.owner()),
            Self::Itself(token, _) => Some(token.owner()),
        }
    }

    /// Who knows the secret that the act gives out, besides the embedder.
    pub(super) fn lineage(&self) -> &[TokenId] {
        match self {
            Self::Token(acting) => &acting.lineage,
            Self::Embedder(_) | Self::Itself(..) => &[],
        }
    }
}

impl<S: TokenStore> TokenService<S> {
    /// The acting token by its record in the store, never by a kept one, if it may do this now.
    pub(super) async fn acting(
        &self,
        token: &VerifiedToken,
        scope: ReservedScope,
    ) -> Result<Acting, ManageError> {
        let Some(present) = self.find(token.id()).await? else {
            self.no_longer_kept(token.id());
            return Err(NotPermitted::NotActive(Refusal::UnknownId).into());
        };
        let lineage = present.record.lineage();
        Ok(Acting { token: self.admit(token, &present.record, Some(scope))?, lineage })
    }

    /// The token as it is now, if it is accepted and has the scope.
    pub(super) fn admit(
        &self,
        token: &VerifiedToken,
        present: &Record,
        scope: Option<ReservedScope>,
    ) -> Result<VerifiedToken, ManageError> {
        let not_active = |refusal| {
            // What the store has just refused must not be accepted from a kept record.
            self.no_longer_kept(token.id());
            NotPermitted::NotActive(refusal)
        };
        let any = Requirement::any_token();
        let verified = token
            .matched_on(present)
            .and_then(|matched| matched.authorize(self.now(), &any, &self.types))
            .map_err(not_active)?;
        match scope {
            Some(scope) if !verified.permits(&scope.requirement()) => {
                Err(NotPermitted::MissingScope(scope).into())
            }
            _ => Ok(verified),
        }
    }

    /// Whether the actor may give this token a new secret; the latest end that it may have then.
    ///
    /// The scopes that count are those it was issued with: a type that is narrow today may be wide
    /// again tomorrow, and the secret would be known by then.
    pub(super) fn may_rotate(
        &self,
        actor: &Actor<'_>,
        present: &Record,
    ) -> Result<Option<DateTime<Utc>>, ManageError> {
        match actor {
            Actor::Embedder(_) => Ok(None),
            Actor::Token(acting) if !acting.token.scopes().contains(present.scopes()) => {
                Err(NotPermitted::ExceedsCaller.into())
            }
            Actor::Token(acting) => Ok(self.policy.latest_below(acting.token.expires_at())),
            Actor::Itself(token, scope) => {
                self.admit(token, present, *scope)?;
                Ok(present.expires_at())
            }
        }
    }

    fn no_longer_kept(&self, id: TokenId) {
        if let Some(kept) = &self.kept {
            kept.forget(id);
        }
    }
}
