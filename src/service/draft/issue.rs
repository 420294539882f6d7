//! A draft of a new token.

use std::fmt;

use async_trait::async_trait;

use super::super::audit::Audit;
use super::super::caller::{Caller, Issuer};
use super::super::core::TokenService;
use super::super::issue::{Issued, NewToken};
use super::super::request::{IssueRequest, RevokeRequest};
use super::{Origin, Stage};
use crate::check::VerifiedToken;
use crate::digest::StoredDigest;
use crate::error::{ManageError, NotPermitted};
use crate::event::{Event, Operation};
use crate::record::{Record, State};
use crate::refusal::Refusal;
use crate::scope::ReservedScope;
use crate::secret::Secret;
use crate::store::{StoreError, TokenStore};
use crate::token::{Token, TokenId};

/// The reason of the revocation of a stored token after a pause.
const PAUSED: &str = "issuing was paused before the draft of the token was confirmed";

/// The reason of the revocation of a stored token whose issuing token ended.
const OVERTAKEN: &str = "the token that issued it could not be confirmed with the draft";

/// A prepared token that is not stored yet, from [`Tokens::prepare_issue`](crate::Tokens::prepare_issue).
///
/// Insert the [`record`](Self::record) in your own transaction, commit it, and call
/// [`confirm`](Self::confirm), which returns the token. [The
/// manual](crate::manual::choosing_a_store#in-your-own-transaction) leads through the steps and their failures.
///
/// The draft has no lifetime and no type of a store, so it can move between tasks. It holds the service's
/// store open. Dropping it without a confirmation does not change the store, and
/// [`Event::NotConfirmed`] reports it.
#[must_use = "a draft is not stored: insert its record and confirm it"]
pub struct IssueDraft(Box<dyn ConfirmIssue>);

impl IssueDraft {
    /// Returns the record to insert. Insert it as it is. If a record with its id exists, leave that one as it
    /// is, because it is another token.
    pub fn record(&self) -> &Record {
        self.0.record()
    }

    /// Returns whether the draft can be confirmed. It cannot after a confirmation succeeded or failed for good.
    pub fn can_confirm(&self) -> bool {
        self.0.stage() == Stage::Open
    }

    /// Confirms after the commit that the record is stored, and returns the token. It is shown this once.
    ///
    /// It reads the record from the store, and for a draft of a token also the record of the issuing token.
    /// If the issuing token ended or was narrowed since, or if issuing was
    /// [paused](crate::TokenService::pause_issuing) since the preparation, it revokes the new token and
    /// returns no secret.
    ///
    /// After an error, [`can_confirm`](Self::can_confirm) says whether another call can have another result.
    /// If the future is dropped, the draft can be confirmed again. Each call emits one event.
    ///
    /// # Errors
    ///
    /// The draft can be confirmed again after these:
    ///
    /// - [`ManageError::NotStored`] if the store has no record with the id. The transaction was not committed or
    ///   was rolled back, or the record was purged.
    /// - [`ManageError::Store`] if the store failed. It is also returned if a newer program wrote the record.
    /// - [`ManageError::NotPermitted`] if the [owner gate](crate::OwnerGate) did not know whether the owner of
    ///   the issuing token is open.
    /// - [`ManageError::Indeterminate`] if a revocation of the new token failed. The next call decides again.
    /// - [`ManageError::PausedSincePrepared`] if the record is not stored. If it is committed later, the next
    ///   call revokes it.
    ///
    /// These are final:
    ///
    /// - [`ManageError::Exists`] if the record with the id is not that of the draft. It was there before, so
    ///   the insert had no effect.
    /// - [`ManageError::Ended`] if the token was revoked or has expired since it was stored.
    /// - [`ManageError::VersionChanged`] if the token was rotated since it was stored.
    /// - [`ManageError::Overtaken`] if the issuing token ended or was narrowed. The new token is revoked.
    /// - [`ManageError::PausedSincePrepared`] if the record was stored. The new token is revoked.
    /// - [`ManageError::DraftEnded`] if the draft was confirmed before or has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenStore, TokenType};
    /// use service_tokens::ManageError;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let request = IssueRequest::new("connector", "nightly backup");
    /// let mut draft = service.owner("acme").prepare_issue(request).await?;
    /// let early = draft.confirm().await;
    /// assert!(matches!(early, Err(ManageError::NotStored { .. })));
    ///
    /// // Here the insert stands for your transaction and its commit.
    /// service.store().insert(draft.record()).await?;
    /// let issued = draft.confirm().await?;
    /// # assert!(service.verify(issued.token.expose_secret(), &Requirement::any_token()).await.is_ok());
    /// # assert!(!draft.can_confirm());
    /// # Ok(()) }
    /// ```
    pub async fn confirm(&mut self) -> Result<Issued, ManageError> {
        self.0.confirm().await
    }
}

impl fmt::Debug for IssueDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("IssueDraft");
        shown.field("record", self.record()).field("stage", &self.0.stage()).finish()
    }
}

/// A [`PreparedIssue`] without the type of its store.
#[async_trait]
trait ConfirmIssue: Send + Sync {
    fn record(&self) -> &Record;
    fn stage(&self) -> Stage;
    fn origin(&self) -> Origin;
    async fn confirm(&mut self) -> Result<Issued, ManageError>;
}

/// A token that is not stored by this service.
struct PreparedIssue<S: TokenStore> {
    service: TokenService<S>,
    request: IssueRequest,
    /// The issuing token, if the token is issued on behalf of one.
    calling: Option<VerifiedToken>,
    /// How often issuing had been paused when the draft was prepared.
    pauses: u64,
    secret: Secret,
    digest: StoredDigest,
    record: Record,
    stage: Stage,
}

impl<S: TokenStore> TokenService<S> {
    /// Prepares a token. `calling` is the token on whose behalf it is issued.
    pub(in super::super) async fn try_prepare_issue(
        &self,
        issuer: &Issuer<'_>,
        request: IssueRequest,
        calling: Option<VerifiedToken>,
    ) -> Result<IssueDraft, ManageError> {
        let NewToken { permit, place, secret, digest, record } =
            match self.prepare(issuer, &request).await {
                Ok(new) => new,
                Err(refused) => {
                    return Err(self.unless_issued_before(issuer, &request, refused).await);
                }
            };
        // The embedder's insert does not report an existing record, because a conflict is not an error there.
        if let Some(id) = request.id
            && self.core.records.find(id).await?.is_some()
        {
            return Err(ManageError::Exists { id });
        }
        if let Some(place) = place {
            place.leave_to_draft();
        }
        let (service, pauses, stage) = (self.handle(), permit.pauses(), Stage::Open);
        Ok(IssueDraft(Box::new(PreparedIssue {
            service,
            request,
            calling,
            pauses,
            secret,
            digest,
            record,
            stage,
        })))
    }
}

impl<S: TokenStore> PreparedIssue<S> {
    /// Confirms the draft, and returns whether it has ended.
    async fn try_confirm(&self) -> (Stage, Result<Issued, ManageError>) {
        let id = self.record.id();
        if let Err(ended) = self.stage.expect_open(id) {
            return (Stage::Ended, Err(ended));
        }
        // The permit is held until the end, so a pause also waits for the reading of the issuing token.
        let permit = self.service.core.issue_gate.enter_again(self.pauses);
        let stored = match self.find_stored().await {
            Ok(stored) => stored,
            Err(ManageError::NotStored { .. }) if permit.is_none() => {
                return (Stage::Open, Err(ManageError::PausedSincePrepared { id }));
            }
            Err(error @ (ManageError::NotStored { .. } | ManageError::Store(_))) => {
                return (Stage::Open, Err(error));
            }
            Err(error) => {
                self.settle_place();
                return (Stage::Ended, Err(error));
            }
        };
        self.settle_place();
        let bounded = match permit {
            Some(_) => self.expect_issuer(&stored).await,
            None => Err(ManageError::PausedSincePrepared { id }),
        };
        let (reason, error) = match bounded {
            Ok(()) => {
                let token = Token::assemble(&self.service.core.prefixes[0], id, &self.secret);
                return (Stage::Ended, Ok(Issued { token, record: stored }));
            }
            Err(ManageError::NotPermitted(cause)) if cause != OWNER_UNKNOWN => {
                (OVERTAKEN, ManageError::Overtaken { id, cause })
            }
            Err(error @ ManageError::PausedSincePrepared { .. }) => (PAUSED, error),
            Err(error) => return (Stage::Open, Err(error)),
        };
        match self.revoke_stored(reason).await {
            Ok(()) => (Stage::Ended, Err(error)),
            Err(unknown) => (Stage::Open, Err(unknown)),
        }
    }

    /// Returns the stored record of this draft if its token is live and has the secret of the draft.
    async fn find_stored(&self) -> Result<Record, ManageError> {
        let id = self.record.id();
        let found = self.service.core.records.find(id).await?;
        // A verification may have cached the record that was there before the commit.
        self.service.core.records.invalidate(id);
        let Some(found) = found else { return Err(ManageError::NotStored { id }) };
        let stored = found.record;
        if stored.is_newer() {
            return Err(StoreError::NewerFormat.into());
        }
        if stored.owner() != self.record.owner() || !stored.holds(&self.digest) {
            return Err(ManageError::Exists { id });
        }
        match stored.state_by(self.service.times()) {
            state @ (State::Expired | State::Revoked) => Err(ManageError::Ended { id, state }),
            _ if !stored.is_newest(&self.digest) => Err(ManageError::VersionChanged { id }),
            State::Pending | State::Active | State::Suspended => Ok(stored),
        }
    }

    /// Frees the place in the owner's limit, because a record with the id is in the store.
    fn settle_place(&self) {
        self.service.core.owner_limits.settle(self.record.owner(), self.record.id());
    }

    /// Checks that the issuing token may have issued this token, by its record as it is now.
    async fn expect_issuer(&self, stored: &Record) -> Result<(), ManageError> {
        let Some(token) = &self.calling else { return Ok(()) };
        let calling = self.service.calling_token(token, ReservedScope::Issue).await?;
        Ok(calling.expect_bounded(stored, &self.service.core.policy)?)
    }

    /// Revokes the stored token, whose secret is not returned.
    async fn revoke_stored(&self, reason: &str) -> Result<(), ManageError> {
        let id = self.record.id();
        let request = RevokeRequest::new().reason(reason);
        let caller = Caller::Embedder(Some(self.record.owner()));
        match self.service.revoke_with(&caller, id, &request).await {
            Ok(_) | Err(ManageError::NotFound { .. }) => Ok(()),
            Err(ManageError::Store(source) | ManageError::Indeterminate { source, .. }) => {
                Err(ManageError::Indeterminate { id, source })
            }
            Err(_) => Err(ManageError::Indeterminate { id, source: StoreError::Conflict }),
        }
    }

    fn calling_id(&self) -> Option<TokenId> {
        self.calling.as_ref().map(VerifiedToken::id)
    }
}

/// The refusal of an owner gate that may answer later.
const OWNER_UNKNOWN: NotPermitted = NotPermitted::NotActive(Refusal::OwnerUnknown);

#[async_trait]
impl<S: TokenStore> ConfirmIssue for PreparedIssue<S> {
    fn record(&self) -> &Record {
        &self.record
    }

    fn stage(&self) -> Stage {
        self.stage
    }

    fn origin(&self) -> Origin {
        let by = self.request.issued_by.clone();
        Origin { operation: Operation::Issue, by, on_behalf_of: self.calling_id() }
    }

    async fn confirm(&mut self) -> Result<Issued, ManageError> {
        let (operation, id) = (Operation::Issue, self.record.id());
        let events = &self.service.core.events;
        let audit = match self.calling_id() {
            Some(calling) => Audit::of_act(events, operation, Some(id), calling).await,
            None => Audit::new(events, operation, Some(id)),
        };
        let (stage, outcome) = self.try_confirm().await;
        let outcome =
            audit.end(outcome, |issued| self.request.issued_event(issued, self.calling_id()));
        self.stage = stage;
        outcome
    }
}

impl<S: TokenStore> Drop for PreparedIssue<S> {
    fn drop(&mut self) {
        if self.stage == Stage::Open {
            let event = self.origin().not_confirmed_event(&self.record);
            self.service.core.events.emit(event);
        }
    }
}

impl IssueDraft {
    /// Returns the event of the preparation.
    pub(in super::super) fn prepared_event(&self) -> Event {
        self.0.origin().prepared_event(self.record())
    }
}
