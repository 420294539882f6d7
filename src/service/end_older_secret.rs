//! Ending the older secret of an overlap alone, while the newest one stays.

use super::caller::Caller;
use super::core::TokenService;
use super::records::Retry;
use super::request::EndOlderRequest;
use crate::error::{ManageError, NotPermitted};
use crate::event::Event;
use crate::record::{Field, Record};
use crate::store::TokenStore;
use crate::token::TokenId;

/// The result of ending an older secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedOlder {
    /// The record, which has the newest secret only.
    pub record: Record,
    /// Whether the older secret had ended before. Then this call did not change the record.
    pub already_ended: bool,
}

impl<S: TokenStore> TokenService<S> {
    pub(super) async fn try_end_older(
        &self,
        caller: &Caller<'_>,
        id: TokenId,
        request: &EndOlderRequest,
    ) -> Result<EndedOlder, ManageError> {
        if let Some(by) = &request.by {
            self.core.policy.check_text(Field::RotatedBy, by)?;
        }
        if let Some(reason) = &request.reason {
            self.core.policy.check_text(Field::Reason, reason)?;
        }
        let now = self.now();
        let mut own = None;
        let record = self
            .core
            .records
            .change(Retry::Persistent, caller.owner(), id, |present, lost| {
                // Only after a lost answer may the end in the record be this one.
                if !lost {
                    own = None;
                }
                self.may_end_older(caller, present)?;
                let ended = present.end_older(now, request.older_created_at)?;
                if let Some(ended) = &ended {
                    own = ended.last_ended();
                }
                Ok(ended)
            })
            .await?;
        Ok(EndedOlder { already_ended: own.is_none() || record.last_ended() != own, record })
    }

    /// Checks that the caller may end the older secret of this token.
    fn may_end_older(&self, caller: &Caller<'_>, present: &Record) -> Result<(), ManageError> {
        match caller {
            Caller::Embedder(_) => Ok(()),
            Caller::Token(calling) => {
                calling.expect_no_issuer(present)?;
                Ok(calling.expect_contained(present)?)
            }
            Caller::Itself(token, scope) => {
                self.admit(token, present, *scope)?;
                if token.secret_created_at() == present.secret_created_at() {
                    Ok(())
                } else {
                    Err(NotPermitted::OlderSecret.into())
                }
            }
        }
    }
}

impl EndOlderRequest {
    /// Returns the event of a success.
    pub(super) fn ended_event(&self, ended: &EndedOlder, on_behalf_of: Option<TokenId>) -> Event {
        Event::OlderSecretEnded {
            id: ended.record.id(),
            owner: ended.record.owner().to_owned(),
            already_ended: ended.already_ended,
            by: self.by.clone(),
            reason: self.reason.clone(),
            on_behalf_of,
        }
    }
}
