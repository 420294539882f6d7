//! The rotation of a token, which gives it a new secret.

use super::caller::Caller;
use super::core::TokenService;
use super::issue::Issued;
use super::policy::ends_by;
use super::records::Retry;
use super::request::RotateRequest;
use crate::error::ManageError;
use crate::event::Event;
use crate::record::{Field, OlderEnds, Rotation, Rule};
use crate::secret::Secret;
use crate::store::TokenStore;
use crate::token::{Token, TokenId};

impl<S: TokenStore> TokenService<S> {
    pub(super) async fn try_rotate(
        &self,
        caller: &Caller<'_>,
        id: TokenId,
        request: &RotateRequest,
    ) -> Result<Issued, ManageError> {
        if let Some(by) = &request.by {
            self.core.policy.check_text(Field::RotatedBy, by)?;
        }
        let times = self.times();
        let now = times.now;
        let older_ends = self.core.policy.older_end(request.older_ends, now)?;
        let secret = Secret::generate(&*self.core.random)?;
        let digest = self.core.digests.make(id, secret.characters(), self.core.prefixes[0].tag());
        let mut rotation = Rotation {
            digest,
            older_ends: match older_ends {
                None => OlderEnds::Now,
                Some(latest) if request.on_first_use => OlderEnds::OnFirstUse { latest },
                Some(end) => OlderEnds::At(end),
            },
            replaces: request.replaces,
            expires_at: None,
            by: request.by.as_deref(),
            on_behalf_of: caller.token_id(),
            made_with: caller.presented_secret(),
        };
        let record = self
            .core
            .records
            .change(Retry::YieldToStop, caller.owner(), id, |present, _| {
                // The result of an earlier attempt was lost, and the rotation happened.
                if present.holds(&digest) {
                    return Ok(None);
                }
                let latest = self.may_rotate(caller, present)?;
                let token_type = self.core.rules.types().get(present.token_type());
                // The limits of a new end are those of the token's type, which only the record names.
                if let (Some(requested), Some(token_type)) = (request.expiry, token_type) {
                    rotation.expires_at =
                        Some(self.core.policy.for_type(token_type).end(requested, now)?);
                }
                if let (Some(start), Some(Some(end))) = (present.not_before(), rotation.expires_at)
                    && end <= start
                {
                    return Err(Field::ExpiresAt.breaks(Rule::NotAfterNotBefore).into());
                }
                if let Some(created_at) = request.if_secret_created_at {
                    present.expect_newest(created_at)?;
                }
                let rotated = present.rotate(times, &rotation)?;
                // The state is reported first, because no type makes an ended token usable again.
                if token_type.is_none() {
                    return Err(Field::Type.breaks(Rule::Unknown).into());
                }
                ends_by(rotated.expires_at(), latest)?;
                Ok(Some(rotated.below(caller.lineage())?))
            })
            .await?;
        Ok(Issued { token: Token::assemble(&self.core.prefixes[0], id, &secret), record })
    }
}

impl RotateRequest {
    /// Returns the event of a successful rotation.
    pub(super) fn rotated_event(&self, rotated: &Issued, on_behalf_of: Option<TokenId>) -> Event {
        let record = &rotated.record;
        let overlap = record.overlap(record.secret_created_at());
        Event::Rotated {
            id: record.id(),
            owner: record.owner().to_owned(),
            by: self.by.clone(),
            older_ends_at: overlap.map(|overlap| overlap.ends_at),
            older_ends_on_first_use: overlap.is_some_and(|overlap| overlap.ends_on_first_use),
            on_behalf_of,
        }
    }
}
