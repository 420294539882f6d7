//! Importing a token of an older system.
//!
//! The id of an imported token is a hash of its digest, so importing the same digest twice meets the same
//! record. The store decides which of two concurrent imports inserts it. The other one, and every later
//! one, compares digest, owner and type with the record and changes nothing. So an import can be repeated
//! at any time, and it never makes a revoked or rotated token valid again.

use super::audit::Audit;
use super::core::TokenService;
use super::issue::requested_networks;
use super::issue_gate::IssuePermit;
use super::owner_limit::Place;
use super::request::{ImportRequest, ImportSource};
use super::tokens::{OneOwner, Tokens, View};
use crate::clock::whole_micros;
use crate::error::ManageError;
use crate::event::{Event, Operation};
use crate::import::ImportDigest;
use crate::record::{Field, InvalidField, NewRecord, Record, Rule};
use crate::store::TokenStore;

/// The result of an import.
#[derive(Debug)]
#[non_exhaustive]
pub struct Imported {
    /// The record in the store, which has any state if the token was imported before.
    pub record: Record,
    /// Whether the token was imported before. Then nothing has changed.
    pub already_imported: bool,
}

/// A token that passed all checks and is not stored yet.
struct NewImport<'s> {
    permit: IssuePermit<'s>,
    place: Option<Place<'s>>,
    record: Record,
}

impl<S: TokenStore> Tokens<'_, S, OneOwner> {
    /// Imports a token of an older system for this owner, by its digest or by its plaintext.
    ///
    /// The holder keeps its text. The token is then a token like any other: it can be listed, rotated,
    /// amended, suspended and revoked. A rotation gives it a native text under the same id.
    ///
    /// The limits are those of an [issue](Self::issue), counted from now. Importing a token again, for the
    /// same owner and with the same type, changes nothing and returns its record in the state that it has by
    /// then. So a migration can be repeated, and it never makes a token valid again that was revoked.
    ///
    /// # Errors
    ///
    /// - [`ManageError::Invalid`] for a digest whose algorithm and key no [import
    ///   form](crate::TokenServiceBuilder::import_form) has, for a text that has no form, and for any
    ///   other invalid field. A text of a native token has no form.
    /// - [`ManageError::Exists`] if the token was imported for another owner or with another type.
    /// - [`ManageError::TooManyActive`] and [`ManageError::IssuingPaused`] as for an issue.
    /// - [`ManageError::Store`] or [`ManageError::Indeterminate`] if the store failed. Repeat the import.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::import::{Characters, ImportDigest, ImportForm};
    /// use service_tokens::{ImportRequest, MemoryStore, RevokeRequest, State, TokenService, TokenType};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let form = ImportForm::sha256("old keys").characters(Characters::LOWER_HEX).lengths([32]);
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .import_form(form)
    ///     .build()?;
    /// let acme = service.owner("acme");
    ///
    /// let digest = ImportDigest::sha256([0x5a; 32]); // The column of the old table.
    /// let request = ImportRequest::of_digest(digest, "connector", "nightly backup");
    /// let imported = acme.import(request.clone()).await?;
    /// assert!(!imported.already_imported);
    ///
    /// acme.revoke(imported.record.id(), RevokeRequest::new()).await?;
    /// let again = acme.import(request).await?;
    /// assert!(again.already_imported);
    /// assert_eq!(again.record.state(service.now()), State::Revoked);
    /// # Ok(()) }
    /// ```
    pub async fn import(self, mut request: ImportRequest) -> Result<Imported, ManageError> {
        let View { service, owner } = self.view();
        let owner = owner.unwrap_or_default();
        let mut audit = service.audit(Operation::Import, None);
        let outcome = service.try_import(owner, &mut request, &mut audit).await;
        audit.end(outcome, |imported| imported.event(service, &request))
    }
}

impl<S: TokenStore> TokenService<S> {
    async fn try_import(
        &self,
        owner: &str,
        request: &mut ImportRequest,
        audit: &mut Audit<'_>,
    ) -> Result<Imported, ManageError> {
        // A digest or a text that cannot be imported is refused before the store is asked.
        let digest = self.import_digest(&request.source)?;
        // The plaintext is not needed any more, so it is overwritten before the first wait.
        request.source = ImportSource::Digest(digest);
        audit.set_new_id(digest.token_id());
        let NewImport { permit: _permit, place, record } =
            match self.prepare_import(owner, request, &digest).await {
                Ok(new) => new,
                Err(refused) => {
                    // A repeated import must succeed, even if it would be refused by now. The type may have
                    // been removed, issuing may have been paused, or the end may have passed.
                    let found = self.imported_before(owner, request, &digest).await?;
                    return found.ok_or(refused);
                }
            };
        let mut place = place;
        if let Some(place) = &mut place {
            place.begin_insert();
        }
        let inserted = self.core.records.insert(record.clone(), &digest.stored()).await;
        if let Some(mut place) = place {
            place.end_insert(&inserted);
        }
        match inserted {
            Ok(inserted) if inserted == record => {
                Ok(Imported { record: inserted, already_imported: false })
            }
            // After a lost answer, the found record may be that of a concurrent import.
            Ok(_) | Err(ManageError::Exists { .. }) => {
                let id = digest.token_id();
                let found = self.imported_before(owner, request, &digest).await?;
                // The record was purged in the meantime.
                found.ok_or(ManageError::Contended { id })
            }
            Err(error) => Err(error),
        }
    }

    fn import_digest(&self, source: &ImportSource) -> Result<ImportDigest, InvalidField> {
        let digest = match source {
            ImportSource::Digest(digest) => {
                Some(*digest).filter(|digest| self.core.import_forms.have(digest.algorithm()))
            }
            ImportSource::Plaintext(text) => {
                self.core.import_forms.digest_of(text.as_str().as_bytes(), &self.core.prefixes)
            }
            ImportSource::TooLong => None,
        };
        digest.ok_or(Field::Digest.breaks(Rule::NoImportForm))
    }

    /// Returns the token if it was imported before.
    async fn imported_before(
        &self,
        owner: &str,
        request: &ImportRequest,
        digest: &ImportDigest,
    ) -> Result<Option<Imported>, ManageError> {
        let id = digest.token_id();
        let Some(found) = self.core.records.find(id).await? else { return Ok(None) };
        let record = found.record;
        let is_same = record.owner() == owner
            && record.token_type() == request.token_type
            && record.was_imported_by(&digest.stored());
        if !is_same {
            return Err(ManageError::Exists { id });
        }
        Ok(Some(Imported { record, already_imported: true }))
    }

    /// Checks everything that has to be checked before a token exists.
    async fn prepare_import(
        &self,
        owner: &str,
        request: &ImportRequest,
        digest: &ImportDigest,
    ) -> Result<NewImport<'_>, ManageError> {
        let permit = self.core.issue_gate.enter()?;
        let now = self.now();
        self.core.policy.check_text(Field::Owner, owner)?;
        self.core.policy.check_text(Field::IssuedTo, &request.issued_to)?;
        if let Some(by) = &request.issued_by {
            self.core.policy.check_text(Field::IssuedBy, by)?;
        }
        self.core.policy.check_metadata(request.metadata.iter())?;
        let networks = request.networks.as_deref().map(requested_networks).transpose()?;
        let token_type = self
            .core
            .rules
            .types()
            .get(&request.token_type)
            .ok_or(Field::Type.breaks(Rule::Unknown))?;
        if token_type.limits().retired {
            return Err(Field::Type.breaks(Rule::Retired).into());
        }
        if token_type.limits().require_networks && networks.is_none() {
            return Err(Field::Networks.breaks(Rule::NetworksRequired).into());
        }
        let present = token_type.scopes();
        if let Some(requested) = &request.scopes {
            if requested.as_scopes().is_empty() {
                return Err(Field::Scopes.breaks(Rule::NoEntries).into());
            }
            if !present.contains(requested.as_scopes()) {
                return Err(Field::Scopes.breaks(Rule::NotContained).into());
            }
        }
        let scopes = request.scopes.as_ref().map_or(present, |requested| requested.as_scopes());
        let expires_at = self.core.policy.for_type(token_type).end(request.expiry, now)?;
        let created_at = request.created_at.map_or(now, whole_micros);
        if created_at > now {
            return Err(Field::CreatedAt.breaks(Rule::TooLate { latest: now }).into());
        }
        let record = Record::new(&NewRecord {
            id: digest.token_id(),
            owner,
            token_type: &request.token_type,
            issued_to: &request.issued_to,
            scopes: &scopes.to_set(),
            created_at,
            not_before: request.not_before.map(whole_micros),
            expires_at,
            digest: digest.stored(),
            issued_by: request.issued_by.as_deref(),
            issuers: &[],
            metadata: &request.metadata,
            networks: networks.as_ref(),
            imported_at: Some(now),
        })?;
        let place = self.take_place(owner, record.id()).await?;
        Ok(NewImport { permit, place, record })
    }
}

impl Imported {
    fn event<S: TokenStore>(&self, service: &TokenService<S>, request: &ImportRequest) -> Event {
        let record = &self.record;
        let (id, owner) = (record.id(), record.owner().to_owned());
        if self.already_imported {
            return Event::AlreadyImported { id, owner, state: record.state(service.now()) };
        }
        Event::Imported {
            id,
            owner,
            token_type: record.token_type().to_owned(),
            issued_to: record.issued_to().to_owned(),
            by: request.issued_by.clone(),
        }
    }
}
