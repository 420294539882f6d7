//! Revoking a token.

use super::caller::Caller;
use super::core::TokenService;
use super::records::{Retry, Target};
use super::request::RevokeRequest;
use crate::error::ManageError;
use crate::event::Event;
use crate::record::{Field, Record};
use crate::store::TokenStore;
use crate::token::TokenId;

/// The result of a revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revoked {
    /// The record with the revocation that is in effect.
    pub record: Record,
    /// Whether the token had been revoked before. Then this call did not change it.
    pub already_revoked: bool,
}

impl<S: TokenStore> TokenService<S> {
    pub(super) async fn try_revoke(
        &self,
        caller: &Caller<'_>,
        id: TokenId,
        request: &RevokeRequest,
    ) -> Result<Revoked, ManageError> {
        self.check_revocation(request)?;
        self.revoke_with(caller, id, request).await
    }

    /// Revokes with texts to which the policy does not apply, because the service itself wrote them.
    pub(super) async fn revoke_with(
        &self,
        caller: &Caller<'_>,
        id: TokenId,
        request: &RevokeRequest,
    ) -> Result<Revoked, ManageError> {
        self.revoke_if(caller.owner(), id, request, |present| match caller {
            Caller::Itself(token, scope) => self.admit(token, present, *scope).map(drop),
            Caller::Embedder(_) | Caller::Token(_) => Ok(()),
        })
        .await
    }

    /// Revokes if the present record passes the check.
    pub(super) async fn revoke_if<'b>(
        &self,
        owner: Option<&str>,
        target: impl Into<Target<'b>>,
        request: &RevokeRequest,
        check: impl Fn(&Record) -> Result<(), ManageError> + Send + Sync,
    ) -> Result<Revoked, ManageError> {
        let target = target.into();
        let (now, id) = (self.now(), target.id());
        let (mut own, mut guard) = (None, None);
        let record = self
            .core
            .records
            .change(Retry::Persistent, owner, target, |present, lost| {
                // Only after a lost answer may a revocation in the record be this one. Otherwise another
                // caller revoked in the same microsecond with the same texts.
                if !lost {
                    own = None;
                }
                let done = own.is_some() && present.revocation() == own.as_ref();
                if !done {
                    check(present)?;
                }
                let revoked = present
                    .revoke(now, request.by.as_deref(), request.reason.as_deref())
                    .map_err(|denied| ManageError::of_denied(id, denied))?;
                if let Some(revoked) = &revoked {
                    guard.get_or_insert_with(|| self.core.records.begin_stop(id));
                    own = revoked.revocation().cloned();
                }
                Ok(revoked)
            })
            .await?;
        Ok(Revoked { already_revoked: record.revocation() != own.as_ref(), record })
    }

    pub(super) fn check_revocation(&self, request: &RevokeRequest) -> Result<(), ManageError> {
        if let Some(by) = &request.by {
            self.core.policy.check_text(Field::RevokedBy, by)?;
        }
        if let Some(reason) = &request.reason {
            self.core.policy.check_text(Field::Reason, reason)?;
        }
        Ok(())
    }
}

impl RevokeRequest {
    /// Returns the event of a successful revocation.
    pub(super) fn revoked_event(&self, revoked: &Revoked, on_behalf_of: Option<TokenId>) -> Event {
        let (id, owner) = (revoked.record.id(), revoked.record.owner().to_owned());
        if revoked.already_revoked {
            return Event::AlreadyRevoked { id, owner, on_behalf_of };
        }
        let (by, reason) = (self.by.clone(), self.reason.clone());
        Event::Revoked { id, owner, by, reason, on_behalf_of }
    }
}
