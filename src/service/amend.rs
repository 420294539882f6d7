//! Amending a token, which changes its label, metadata or end, or narrows its scopes and networks.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::caller::Caller;
use super::core::TokenService;
use super::issue::requested_networks;
use super::policy::{asked_end, ends_later};
use super::records::Retry;
use super::request::AmendRequest;
use crate::error::ManageError;
use crate::event::Event;
use crate::record::{Amendment, Field, InvalidField, Record, Rule};
use crate::store::{TokenStore, Version};
use crate::token::TokenId;

/// The result of an amendment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Amended {
    /// The record in the store.
    pub record: Record,
    /// The version of the record, for the next [`if_version`](AmendRequest::if_version).
    pub version: Version,
    /// The fields that changed. It is empty if the record had all these values before. Then nothing was
    /// written.
    pub fields: Vec<Field>,
}

impl<S: TokenStore> TokenService<S> {
    pub(super) async fn try_amend(
        &self,
        caller: &Caller<'_>,
        id: TokenId,
        request: &AmendRequest,
    ) -> Result<Amended, ManageError> {
        let texts = [(Field::AmendedBy, &request.by), (Field::IssuedTo, &request.issued_to)];
        for (field, text) in texts {
            text.as_ref().map_or(Ok(()), |text| self.core.policy.check_text(field, text))?;
        }
        let networks = request.networks.as_deref().map(requested_networks).transpose()?;
        let now = self.now();
        let (mut written, mut fields) = (None, Vec::new());
        let (record, version) = self
            .core
            .records
            .change_version(Retry::YieldToStop, caller.owner(), id, |stored, lost| {
                let present = &stored.record;
                // The answer to this write was lost, and it happened.
                if lost && written.as_ref() == Some(present) {
                    return Ok(None);
                }
                self.may_amend(caller, present)?;
                if request.if_version.is_some_and(|expected| expected != stored.version) {
                    return Err(ManageError::VersionChanged { id });
                }
                let denied = |denied| ManageError::of_denied(id, denied);
                present.expect_live(now).map_err(denied)?;
                self.check_merged_metadata(present, request)?;
                let amendment = Amendment {
                    issued_to: request.issued_to.as_deref(),
                    metadata: &request.metadata,
                    expires_at: self.amended_end(caller, present, request, now)?,
                    scopes: request.scopes.as_ref(),
                    networks: networks.as_ref(),
                };
                let amended = present.amend(now, &amendment).map_err(denied)?;
                match &amended {
                    Some(amended) => fields = present.fields_changed_in(amended),
                    None if lost => {}
                    None => fields.clear(),
                }
                written.clone_from(&amended);
                Ok(amended)
            })
            .await?;
        Ok(Amended { record, version, fields })
    }

    /// Checks that the caller may amend this token.
    fn may_amend(&self, caller: &Caller<'_>, present: &Record) -> Result<(), ManageError> {
        match caller {
            Caller::Embedder(_) => {}
            Caller::Token(calling) => calling.expect_contained(present)?,
            Caller::Itself(token, scope) => {
                self.admit(token, present, *scope)?;
            }
        }
        Ok(())
    }

    /// Checks the metadata as it is after the amendment.
    fn check_merged_metadata(
        &self,
        present: &Record,
        request: &AmendRequest,
    ) -> Result<(), InvalidField> {
        if request.metadata.is_empty() {
            return Ok(());
        }
        let mut merged: BTreeMap<String, String> =
            present.metadata().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        for (key, value) in &request.metadata {
            match value {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        self.core.policy.check_metadata(merged.iter())
    }

    /// Returns the end that the request asks for. Only a later end than the present one is limited, so a
    /// token can be shortened under every policy. A token never extends an end.
    fn amended_end(
        &self,
        caller: &Caller<'_>,
        present: &Record,
        request: &AmendRequest,
        now: DateTime<Utc>,
    ) -> Result<Option<Option<DateTime<Utc>>>, InvalidField> {
        let Some(asked) = request.expiry else { return Ok(None) };
        let end = asked_end(asked, now)?;
        if let Some(latest) = ends_later(end, present.expires_at()) {
            if caller.token_id().is_some() {
                return Err(Field::ExpiresAt.breaks(Rule::LaterThanPresent { latest }));
            }
            let token_type = self.core.rules.types().get(present.token_type());
            let token_type = token_type.ok_or(Field::Type.breaks(Rule::Unknown))?;
            let policy = self.core.policy.for_type(token_type);
            policy.check_extension(end, present.secret_created_at())?;
        }
        Ok(Some(end))
    }
}

impl AmendRequest {
    /// Returns the event of a successful amendment.
    pub(super) fn amended_event(&self, amended: &Amended, on_behalf_of: Option<TokenId>) -> Event {
        Event::Amended {
            id: amended.record.id(),
            owner: amended.record.owner().to_owned(),
            fields: amended.fields.clone(),
            by: self.by.clone(),
            on_behalf_of,
        }
    }
}
