//! The amendment of a token, as a pure function.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::field::{Field, MAX_METADATA, MAX_TEXT_LEN, Rule, check_metadata};
use super::lifecycle::ChangeDenied;
use super::{Details, Record, Texts};
use crate::clock::whole_micros;
use crate::network::NetworkSet;
use crate::scope::ScopeSet;

/// The fields that an amendment sets. A missing field does not change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amendment<'r> {
    pub(crate) issued_to: Option<&'r str>,
    /// The new value of each key. `None` removes the key.
    pub(crate) metadata: &'r BTreeMap<String, Option<String>>,
    pub(crate) expires_at: Option<Option<DateTime<Utc>>>,
    pub(crate) scopes: Option<&'r ScopeSet>,
    pub(crate) networks: Option<&'r NetworkSet>,
}

impl Record {
    /// Returns the amended record, or `None` if nothing changes. Scopes and networks can only be narrowed.
    ///
    /// # Errors
    ///
    /// Returns [`ChangeDenied`]. The policy is not checked here.
    pub(crate) fn amend(
        &self,
        now: DateTime<Utc>,
        amendment: &Amendment<'_>,
    ) -> Result<Option<Self>, ChangeDenied> {
        self.expect_live(now)?;
        let issued_to = amendment.issued_to.unwrap_or_else(|| self.issued_to());
        Field::IssuedTo.filled(issued_to, MAX_TEXT_LEN)?;
        let scopes = amendment.scopes.map_or(self.scopes(), ScopeSet::as_scopes);
        if amendment.scopes.is_some_and(|scopes| scopes.as_scopes().is_empty()) {
            return Err(Field::Scopes.breaks(Rule::Empty).into());
        }
        if !self.scopes().contains(scopes) {
            return Err(Field::Scopes.breaks(Rule::Widens).into());
        }
        let mut amended = self.clone();
        amended.texts = Texts::new(self.owner(), self.token_type(), scopes.as_str(), issued_to);
        let details = self.amended_details(amendment)?;
        let mut rare = amended.rare.take().map(|rare| *rare).unwrap_or_default();
        rare.details = details;
        amended.set_rare(rare);
        if let Some(end) = amendment.expires_at {
            self.check_end(now, end)?;
            amended.set_end(end, now);
        }
        Ok((amended != *self).then_some(amended))
    }

    /// Returns the fields that an amendment of this record changed.
    pub(crate) fn fields_changed_in(&self, amended: &Self) -> Vec<Field> {
        let changed = [
            (Field::IssuedTo, self.issued_to() != amended.issued_to()),
            (Field::Metadata, !self.metadata().eq(amended.metadata())),
            (Field::ExpiresAt, self.expires_at() != amended.expires_at()),
            (Field::Scopes, self.scopes() != amended.scopes()),
            (Field::Networks, !self.networks().eq(amended.networks())),
        ];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(field, _)| field).collect()
    }

    fn amended_details(&self, amendment: &Amendment<'_>) -> Result<Option<Details>, ChangeDenied> {
        let mut metadata: BTreeMap<String, String> =
            self.metadata().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        for (key, value) in amendment.metadata {
            match value {
                Some(value) => metadata.insert(key.clone(), value.clone()),
                None => metadata.remove(key),
            };
        }
        let (max_entries, max_bytes) = MAX_METADATA;
        check_metadata(&metadata, max_entries, max_bytes)?;
        let present = self.details().and_then(Details::networks);
        if let Some(asked) = amendment.networks {
            if present.is_some_and(|present| !present.contains(asked.borrowed())) {
                return Err(Field::Networks.breaks(Rule::Widens).into());
            }
            return Ok(Details::new(Some(asked), &metadata));
        }
        Ok(Details::new(present.map(|networks| networks.to_set()).as_ref(), &metadata))
    }

    fn check_end(
        &self,
        now: DateTime<Utc>,
        end: Option<DateTime<Utc>>,
    ) -> Result<(), ChangeDenied> {
        let Some(end) = end else { return Ok(()) };
        Field::ExpiresAt.in_range(end)?;
        if whole_micros(end) <= whole_micros(now) {
            return Err(Field::ExpiresAt.breaks(Rule::NotAfterNow).into());
        }
        if self.not_before.is_some_and(|start| whole_micros(end) <= start) {
            return Err(Field::ExpiresAt.breaks(Rule::NotAfterNotBefore).into());
        }
        Ok(())
    }
}
