//! The report of a text that a person or a scanner found where no token should be.
//!
//! Ids are public and the checksum of a token is not keyed, so anyone can write a text with the id of
//! another token. Only the secret shows that the text is that token. So nothing happens to a token unless
//! the secret is right, and it is compared again on the record that a write replaces. If a rotation came in
//! between, the report starts again, because the reported secret may now be the older one or may have ended.

use super::bulk::{BulkError, BulkOutcome};
use super::caller::Caller;
use super::core::TokenService;
use super::request::{EndOlderRequest, LeakRequest};
use super::tokens::{Tokens, View};
use crate::digest::{HashedSecret, KeyId};
use crate::error::{ManageError, NotPermitted};
use crate::event::{Event, Operation};
use crate::record::{Field, InvalidField, PresentedSecret, Record, RotateDenied, State};
use crate::refusal::Refusal;
use crate::scope::ReservedScope;
use crate::store::{Filter, StoreError, TokenStore};
use crate::token::{MalformedToken, TokenId};

/// How often a report starts again because the token was rotated in the meantime.
const ATTEMPTS: usize = 16;

/// What a report does if the reported token is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeakAction {
    /// It changes no token.
    Report,
    /// It revokes the token, with its descendants if the token may issue or rotate. An older secret is ended
    /// alone instead.
    Revoke,
    /// It suspends the token until it is resumed. An older secret is ended alone instead.
    Suspend,
}

/// The result of a report.
#[derive(Debug)]
#[non_exhaustive]
pub struct LeakReport {
    /// The id in the text, if it has one. Anyone can write any id into a text, so it proves nothing.
    pub id: Option<TokenId>,
    /// The comparison of the text with the record.
    pub outcome: LeakOutcome,
    /// The record before the action, if the secret is one of the token's.
    pub record: Option<Record>,
    /// The action that was taken.
    pub response: LeakResponse,
}

/// The comparison of a reported text with the record of its id.
#[derive(Debug)]
#[non_exhaustive]
pub enum LeakOutcome {
    /// The text is not a token of this service.
    NotOurs(MalformedToken),
    /// No record has the id in the text.
    UnknownId,
    /// The secret is not one of the token's. Another person knows the id, which is public.
    WrongSecret,
    /// This process cannot compare the secret, so the token may be live.
    CannotTell(CannotTell),
    /// The secret was replaced and has ended. The token itself may be live.
    EndedSecret,
    /// The secret is right, and the token has ended.
    EndedToken {
        /// The state, which is expired or revoked.
        state: State,
    },
    /// The secret is right, and the token is live.
    Live {
        /// The secret in the text.
        secret: LeakedSecret,
        /// The state, which is active, pending or suspended.
        state: State,
    },
}

/// The reason why a reported secret cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CannotTell {
    /// The key ring does not have the key of the digest.
    #[error("the token's digest needs the key {0}, which is not in the key ring")]
    MissingKey(KeyId),
    /// The digest has a scheme that this crate does not know.
    #[error("the token's digest has the unknown scheme {0}")]
    UnknownScheme(u8),
    /// A newer program wrote the record.
    #[error("the token's record was written by a newer program")]
    NewerRecord,
    /// The store gave no answer.
    #[error("the token store failed")]
    StoreUnavailable(#[source] StoreError),
}

/// The secret of a live token that was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeakedSecret {
    /// The newest secret.
    Newest,
    /// The older secret of an overlap.
    Older,
}

/// The action that a report has taken.
#[derive(Debug)]
#[non_exhaustive]
pub enum LeakResponse {
    /// No token was changed.
    Nothing,
    /// The older secret was ended, and the newest one stays.
    EndedOlder,
    /// The token was revoked.
    Revoked {
        /// The revocation of its descendants, if the token may issue or rotate. Check its
        /// [`failed`](BulkOutcome::failed).
        descendants: Option<BulkOutcome>,
    },
    /// The token was suspended.
    Suspended,
}

/// The error returned if a leak could not be reported, or if the action was not completed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportLeakError {
    /// A text of the request is empty or too long. The reported text was not examined.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// The reported token is live, and the action failed. Repeat it with the id in the report.
    #[error("the reported token is live, and the action on it failed")]
    NotDone {
        /// The report. Its response is the part of the action that was done.
        report: Box<LeakReport>,
        /// The error of the action.
        #[source]
        cause: ManageError,
    },
}

impl LeakOutcome {
    /// Returns the stable name of the outcome in `snake_case`, as the event has it.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::leak::LeakOutcome;
    ///
    /// assert_eq!(LeakOutcome::WrongSecret.name(), "wrong_secret");
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotOurs(_) => "not_ours",
            Self::UnknownId => "unknown_id",
            Self::WrongSecret => "wrong_secret",
            Self::CannotTell(_) => "cannot_tell",
            Self::EndedSecret => "ended_secret",
            Self::EndedToken { .. } => "ended_token",
            Self::Live { .. } => "live",
        }
    }
}

impl<S: TokenStore> TokenService<S> {
    /// Reports a text that a person or a scanner found where no token should be, and acts on the token if
    /// it is live and the secret in the text is right.
    ///
    /// Pass the whole text and never only the id in it. Ids are public and the checksum is not keyed, so a
    /// function that revokes the id of a reported text would let anyone revoke any token. With a wrong
    /// secret this method changes nothing.
    ///
    /// The secret is compared with the newest, the older and the ended digest of the record in the store.
    /// The report does not count as a use and ends no overlap. Where the secret was right, the report has the
    /// record.
    ///
    /// | the secret is | [`Revoke`](LeakAction::Revoke) | [`Suspend`](LeakAction::Suspend) |
    /// | --- | --- | --- |
    /// | the newest one of a live token | revokes the token, and all tokens that it issued or rotated if it has a scope for that | suspends the token |
    /// | the older one of a live token | ends it, and the newest one stays | ends it, and the newest one stays |
    /// | any other | changes nothing | changes nothing |
    ///
    /// If the token made its newest secret [itself](crate::OnBehalf::rotate_self), the older one counts as
    /// the newest in this table, because a thief with the older one may have made the newest.
    ///
    /// Each call emits one [`Event::LeakReported`], and the action emits its
    /// own event before that.
    ///
    /// # Errors
    ///
    /// - [`ReportLeakError::Invalid`] if a text of the request is empty or too long.
    /// - [`ReportLeakError::NotDone`] if the token is live and the action failed. A store that gives no
    ///   answer to the look-up is an outcome and not an error.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::leak::{LeakAction, LeakOutcome};
    /// use service_tokens::{LeakRequest, State};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let issued = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// # let found = issued.token.expose_secret();
    /// let request = LeakRequest::new().by("secret scanner").reason("in a public repository");
    /// let report = service.report_leak(found, LeakAction::Revoke, request).await?;
    /// assert!(matches!(report.outcome, LeakOutcome::Live { .. }));
    ///
    /// let record = service.owner("acme").get(issued.record.id()).await?.record;
    /// assert_eq!(record.state(service.now()), State::Revoked);
    /// # Ok(()) }
    /// ```
    pub async fn report_leak<T>(
        &self,
        text: &T,
        action: LeakAction,
        request: LeakRequest,
    ) -> Result<LeakReport, ReportLeakError>
    where
        T: AsRef<[u8]> + ?Sized + Sync,
    {
        let presented = self.present(text.as_ref());
        let id = presented.as_ref().ok().map(HashedSecret::id);
        let audit = self.audit(Operation::ReportLeak, id);
        if let Err(invalid) = self.check_leak(&request) {
            audit.fail(&invalid.into());
            return Err(invalid.into());
        }
        let mut report = LeakReport {
            id,
            outcome: LeakOutcome::UnknownId,
            record: None,
            response: LeakResponse::Nothing,
        };
        let acted = match presented {
            Ok(hashed) => self.act_on_leak(&hashed, action, &request, &mut report).await,
            Err(malformed) => {
                report.outcome = LeakOutcome::NotOurs(malformed);
                Ok(())
            }
        };
        audit.end_with(Event::LeakReported {
            id,
            owner: report.record.as_ref().map(|record| record.owner().to_owned()),
            outcome: report.outcome.name(),
            by: request.by.clone(),
        });
        match acted {
            Ok(()) => Ok(report),
            Err(cause) => Err(ReportLeakError::NotDone { report: Box::new(report), cause }),
        }
    }

    fn check_leak(&self, request: &LeakRequest) -> Result<(), InvalidField> {
        let texts = [(Field::RevokedBy, &request.by), (Field::Reason, &request.reason)];
        texts.into_iter().try_for_each(|(field, text)| {
            text.as_ref().map_or(Ok(()), |text| self.policy.check_text(field, text))
        })
    }

    /// Compares and acts, and starts again if the token was rotated in the meantime.
    async fn act_on_leak(
        &self,
        hashed: &HashedSecret<'_>,
        action: LeakAction,
        request: &LeakRequest,
        report: &mut LeakReport,
    ) -> Result<(), ManageError> {
        for _ in 0..ATTEMPTS {
            (report.outcome, report.record) = match self.records.find(hashed.id()).await {
                Ok(Some(stored)) => self.compare_leak(hashed, stored.record),
                Ok(None) => {
                    self.digests.verify_nothing(hashed);
                    (LeakOutcome::UnknownId, None)
                }
                Err(error) => (LeakOutcome::CannotTell(CannotTell::StoreUnavailable(error)), None),
            };
            let (LeakOutcome::Live { secret, .. }, Some(record)) =
                (&report.outcome, &report.record)
            else {
                return Ok(());
            };
            if action == LeakAction::Report {
                return Ok(());
            }
            match self.respond(hashed, *secret, record, action, request, &mut report.response).await
            {
                Err(error) if is_outdated(&error) => {}
                acted => return acted,
            }
        }
        Err(ManageError::Contended { id: hashed.id() })
    }

    /// Compares a reported secret with the record of its id.
    fn compare_leak(
        &self,
        hashed: &HashedSecret<'_>,
        record: Record,
    ) -> (LeakOutcome, Option<Record>) {
        let times = self.times();
        let outcome = match record.matches_hashed(hashed, &self.digests) {
            Ok(matched) if matched.secret_ended(times.now) => LeakOutcome::EndedSecret,
            Ok(matched) => match record.state_by(times) {
                state @ (State::Expired | State::Revoked) => LeakOutcome::EndedToken { state },
                state => {
                    let secret = match matched.presented() {
                        PresentedSecret::Newest => LeakedSecret::Newest,
                        PresentedSecret::Older | PresentedSecret::Ended => LeakedSecret::Older,
                    };
                    LeakOutcome::Live { secret, state }
                }
            },
            Err(refusal) => return (of_mismatch(refusal), None),
        };
        (outcome, Some(record))
    }

    /// Acts on a live token whose secret is right.
    async fn respond(
        &self,
        hashed: &HashedSecret<'_>,
        secret: LeakedSecret,
        record: &Record,
        action: LeakAction,
        request: &LeakRequest,
        response: &mut LeakResponse,
    ) -> Result<(), ManageError> {
        let id = record.id();
        if secret == LeakedSecret::Older && !may_have_made_newest(record) {
            let Some(overlap) = record.overlap(self.now()) else { return Err(outdated()) };
            let mut end = EndOlderRequest::new(overlap.older_created_at);
            end.by.clone_from(&request.by);
            let audit = self.audit(Operation::ReportLeak, Some(id));
            let outcome = self.try_end_older(&Caller::Embedder(None), id, &end).await;
            audit.end(outcome, |ended| end.ended_event(ended, None))?;
            *response = LeakResponse::EndedOlder;
            return Ok(());
        }
        if action == LeakAction::Suspend {
            let suspension = request.suspension();
            let audit = self.audit(Operation::ReportLeak, Some(id));
            let outcome = self.try_suspend(&Caller::Embedder(None), id, &suspension).await;
            audit.end(outcome, |suspended| suspension.suspended_event(suspended, None))?;
            *response = LeakResponse::Suspended;
            return Ok(());
        }
        let revocation = request.revocation();
        let audit = self.audit(Operation::ReportLeak, Some(id));
        let is_unchanged = |present: &Record| {
            let matched = present.matches_hashed(hashed, &self.digests);
            let accepted = matched.is_ok_and(|matched| !matched.secret_ended(self.now()));
            let rotated = present.secret_created_at() != record.secret_created_at();
            if accepted && !rotated { Ok(()) } else { Err(outdated()) }
        };
        let outcome = self.revoke_if(None, id, &revocation, is_unchanged).await;
        audit.end(outcome, |revoked| revocation.revoked_event(revoked, None))?;
        *response = LeakResponse::Revoked { descendants: None };
        if may_have_descendants(record) {
            let view: Tokens<'_, S> = View::of(self, Some(record.owner())).into();
            let filter = Filter::new().issuer(id);
            let (outcome, cause) = match view.revoke_all(filter, revocation).run().await {
                Ok(outcome) => (outcome, None),
                Err(BulkError { so_far, cause, .. }) => (so_far, Some(cause)),
            };
            *response = LeakResponse::Revoked { descendants: Some(outcome) };
            cause.map_or(Ok(()), Err)?;
        }
        Ok(())
    }
}

/// Returns the outcome for a secret that does not match.
fn of_mismatch(refusal: Refusal) -> LeakOutcome {
    match refusal {
        Refusal::NewerRecord => LeakOutcome::CannotTell(CannotTell::NewerRecord),
        Refusal::UnknownScheme(scheme) => {
            LeakOutcome::CannotTell(CannotTell::UnknownScheme(scheme))
        }
        Refusal::MissingKey(key) => LeakOutcome::CannotTell(CannotTell::MissingKey(key)),
        _ => LeakOutcome::WrongSecret,
    }
}

/// Returns whether a client with the older secret may know the newest one, because the token made that
/// itself.
fn may_have_made_newest(record: &Record) -> bool {
    record.secret_created_on_behalf_of() == Some(record.id())
}

/// Returns whether the token may have issued or rotated other tokens. Its own scopes count and not those of
/// its type today, which may have been wider before.
fn may_have_descendants(record: &Record) -> bool {
    [ReservedScope::Issue, ReservedScope::Rotate]
        .iter()
        .any(|scope| record.scopes().permits(&scope.requirement()))
}

/// Creates the error of an action on a token that was changed since it was compared.
fn outdated() -> ManageError {
    NotPermitted::NotActive(Refusal::SecretEnded).into()
}

fn is_outdated(error: &ManageError) -> bool {
    matches!(
        error,
        ManageError::NotPermitted(NotPermitted::NotActive(Refusal::SecretEnded))
            | ManageError::NotRotated(RotateDenied::RotatedSince | RotateDenied::NotActive(_))
            | ManageError::Ended { .. }
            | ManageError::NotFound { .. }
    )
}
