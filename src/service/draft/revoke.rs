//! A draft of a revocation.
//!
//! Unlike [`revoke`](super::super::revoke), the draft does not register a stop to which other writes yield. It
//! may exist for any time, and the embedder may never store it.

use std::fmt;

use async_trait::async_trait;

use super::super::caller::Caller;
use super::super::core::TokenService;
use super::super::records::owned;
use super::super::request::RevokeRequest;
use super::super::revoke::Revoked;
use super::{Origin, Stage};
use crate::error::ManageError;
use crate::event::{Event, Operation};
use crate::record::{Record, State};
use crate::store::{StoreError, TokenStore, Version};
use crate::token::TokenId;

/// A prepared revocation that is not stored yet, from
/// [`Tokens::prepare_revoke`](crate::Tokens::prepare_revoke).
///
/// Replace the record of the version [`expected`](Self::expected) with [`record`](Self::record) in your own
/// transaction, commit it, and call [`confirm`](Self::confirm). [The
/// manual](crate::manual::choosing_a_store#in-your-own-transaction) leads through the steps and their failures.
///
/// **The draft does not hold up other writes.** If the token is rotated, amended or suspended before your
/// commit, the replacement has a conflict and changes no row. Roll back and prepare another draft. A client
/// can rotate its token again and again. So if conflicts repeat, commit without the draft and call
/// [`Tokens::revoke`](crate::Tokens::revoke), which takes precedence over rotations.
///
/// **Services with a cache accept the token until the confirmation** in this process, and in other processes
/// for the [maximum age](crate::TokenServiceBuilder::cache_records) of a cached record.
///
/// The draft has no lifetime and no type of a store, so it can move between tasks. It holds the service's
/// store open. Dropping it without a confirmation does not change the store, and
/// [`Event::NotConfirmed`] reports it.
#[must_use = "a draft is not stored: replace the record and confirm it"]
pub struct RevokeDraft(Box<dyn ConfirmRevoke>);

impl RevokeDraft {
    /// Returns the revoked record, which replaces the present one.
    pub fn record(&self) -> &Record {
        self.0.record()
    }

    /// Returns the version of the record to replace. If the stored version is another one, change no row.
    pub fn expected(&self) -> Version {
        self.0.expected()
    }

    /// Returns whether the draft can be confirmed. It cannot after a confirmation succeeded or failed for good.
    pub fn can_confirm(&self) -> bool {
        self.0.stage() == Stage::Open
    }

    /// Confirms after the commit that the token is revoked.
    ///
    /// It reads the record from the store. From then on this service does not accept the token, even if it
    /// had cached the record. If another revocation was stored before that of the draft, that one prevails,
    /// and [`Revoked::already_revoked`] is `true`.
    ///
    /// After an error, [`can_confirm`](Self::can_confirm) says whether another call can have another result.
    /// If the future is dropped, the draft can be confirmed again. Each call emits one event.
    ///
    /// # Errors
    ///
    /// The draft can be confirmed again after these:
    ///
    /// - [`ManageError::NotStored`] if the store still has the record that the draft replaces. The transaction
    ///   was not committed or was rolled back.
    /// - [`ManageError::Store`] if the store failed. It is also returned if a newer program wrote the record.
    ///
    /// These are final, because the replacement cannot succeed any more:
    ///
    /// - [`ManageError::VersionChanged`] if the token is not revoked and its record was changed since the
    ///   preparation.
    /// - [`ManageError::NotFound`] if the record is gone.
    /// - [`ManageError::DraftEnded`] if the draft was confirmed before or has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenStore, TokenType};
    /// use service_tokens::RevokeRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let issued = acme.issue(IssueRequest::new("connector", "backup")).await?;
    /// # let id = issued.record.id();
    /// let request = RevokeRequest::new().by("alice@acme.example").reason("account closed");
    /// let mut draft = acme.prepare_revoke(id, request).await?;
    ///
    /// // Here the replacement stands for your transaction and its commit.
    /// service.store().replace(draft.record(), draft.expected()).await?;
    /// assert!(!draft.confirm().await?.already_revoked);
    /// # assert!(service.verify(issued.token.expose_secret(), &Requirement::any_token()).await.is_err());
    /// # assert!(!draft.can_confirm());
    /// # Ok(()) }
    /// ```
    pub async fn confirm(&mut self) -> Result<Revoked, ManageError> {
        self.0.confirm().await
    }

    /// Returns the event of the preparation.
    pub(in super::super) fn prepared_event(&self) -> Event {
        self.0.origin().prepared_event(self.record())
    }
}

impl fmt::Debug for RevokeDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RevokeDraft");
        shown.field("record", self.record()).field("expected", &self.expected());
        shown.field("stage", &self.0.stage()).finish()
    }
}

/// A [`PreparedRevocation`] without the type of its store.
#[async_trait]
trait ConfirmRevoke: Send + Sync {
    fn record(&self) -> &Record;
    fn expected(&self) -> Version;
    fn stage(&self) -> Stage;
    fn origin(&self) -> Origin;
    async fn confirm(&mut self) -> Result<Revoked, ManageError>;
}

/// A revocation that is not stored by this service.
struct PreparedRevocation<S: TokenStore> {
    service: TokenService<S>,
    request: RevokeRequest,
    calling: Option<TokenId>,
    /// The record with the revocation.
    record: Record,
    /// The version of the record without it.
    expected: Version,
    stage: Stage,
}

impl<S: TokenStore> TokenService<S> {
    /// Prepares a revocation of a token that is not revoked.
    pub(in super::super) async fn try_prepare_revoke(
        &self,
        caller: &Caller<'_>,
        id: TokenId,
        request: &RevokeRequest,
    ) -> Result<RevokeDraft, ManageError> {
        self.check_revocation(request)?;
        let present = owned(self.core.records.find(id).await?, caller.owner(), id)?;
        if let Caller::Itself(token, scope) = caller {
            self.admit(token, &present.record, *scope)?;
        }
        let revoked = present
            .record
            .revoke(self.draft_revocation(), request.by.as_deref(), request.reason.as_deref())
            .map_err(|denied| ManageError::of_denied(id, denied))?;
        let record = revoked.ok_or(ManageError::Ended { id, state: State::Revoked })?;
        Ok(RevokeDraft(Box::new(PreparedRevocation {
            service: self.handle(),
            request: request.clone(),
            calling: caller.token_id(),
            record,
            expected: present.version,
            stage: Stage::Open,
        })))
    }
}

impl<S: TokenStore> PreparedRevocation<S> {
    /// Confirms the draft, and returns whether it has ended.
    async fn try_confirm(&self) -> (Stage, Result<Revoked, ManageError>) {
        let id = self.record.id();
        if let Err(ended) = self.stage.expect_open(id) {
            return (Stage::Ended, Err(ended));
        }
        let found = self.service.core.records.find(id).await;
        // The cached record may be the one from before the commit.
        self.service.core.records.invalidate(id);
        let present = match found.map(|found| owned(found, Some(self.record.owner()), id)) {
            Ok(Ok(present)) => present,
            Ok(Err(gone)) => return (Stage::Ended, Err(gone)),
            Err(error) => return (Stage::Open, Err(error.into())),
        };
        if present.record.is_newer() {
            return (Stage::Open, Err(StoreError::NewerFormat.into()));
        }
        if let Some(revocation) = present.record.revocation() {
            let already_revoked = Some(revocation) != self.record.revocation();
            return (Stage::Ended, Ok(Revoked { record: present.record, already_revoked }));
        }
        match present.version == self.expected {
            true => (Stage::Open, Err(ManageError::NotStored { id })),
            // A version never returns, so the replacement cannot succeed any more.
            false => (Stage::Ended, Err(ManageError::VersionChanged { id })),
        }
    }
}

#[async_trait]
impl<S: TokenStore> ConfirmRevoke for PreparedRevocation<S> {
    fn record(&self) -> &Record {
        &self.record
    }

    fn expected(&self) -> Version {
        self.expected
    }

    fn stage(&self) -> Stage {
        self.stage
    }

    fn origin(&self) -> Origin {
        let by = self.request.by.clone();
        Origin { operation: Operation::Revoke, by, on_behalf_of: self.calling }
    }

    async fn confirm(&mut self) -> Result<Revoked, ManageError> {
        let mut audit = self.service.audit(Operation::Revoke, Some(self.record.id()));
        if let Some(calling) = self.calling {
            audit = audit.on_behalf_of(calling);
        }
        let (stage, outcome) = self.try_confirm().await;
        let outcome =
            audit.end(outcome, |revoked| self.request.revoked_event(revoked, self.calling));
        self.stage = stage;
        outcome
    }
}

impl<S: TokenStore> Drop for PreparedRevocation<S> {
    fn drop(&mut self) {
        if self.stage == Stage::Open {
            let event = self.origin().not_confirmed_event(&self.record);
            self.service.core.events.emit(event);
        }
    }
}
