//! The report of a text that a person or a scanner found where no token should be.
//!
//! Ids are public and the checksum of a token is not keyed, so anyone can write a text with the id of
//! another token. Only the secret shows that the text is that token. So nothing happens to a token unless
//! the secret is right, and it is compared again on the record that a write replaces. If a rotation came in
//! between, the report starts again, because the reported secret may now be the older one or may have ended.
//!
//! The text may have quotes or a header around it. The text as it is comes first, because a form of an older
//! system may allow such characters.

mod outcome;
mod surroundings;

use chrono::{DateTime, Utc};

pub use outcome::{
    CannotTell, LeakAction, LeakOutcome, LeakReport, LeakResponse, LeakedSecret, ReportLeakError,
};

use super::bulk::BulkError;
use super::caller::Caller;
use super::core::TokenService;
use super::request::LeakRequest;
use super::tokens::{Tokens, View};
use crate::digest::HashedSecret;
use crate::error::{ManageError, NotPermitted};
use crate::event::{Event, Operation};
use crate::record::{Field, InvalidField, PresentedSecret, Record, RotateDenied, State};
use crate::refusal::Refusal;
use crate::scope::ReservedScope;
use crate::store::{Filter, States, TokenStore};
use crate::token::MalformedToken;
use surroundings::without_surroundings;

/// How often a report starts again because the token was rotated in the meantime.
const ATTEMPTS: usize = 16;

impl<S: TokenStore> TokenService<S> {
    /// Reports a text that a person or a scanner found where no token should be, and acts on the token if
    /// it is live and the secret in the text is right.
    ///
    /// Pass the whole text and never only the id in it. Ids are public and the checksum is not keyed, so a
    /// function that revokes the id of a reported text would let anyone revoke any token. With a wrong
    /// secret this method changes nothing.
    ///
    /// Blanks, quotes, backticks and angle brackets around the token are ignored, and so are the words
    /// `Authorization:` and `Bearer` before it. Only a report ignores them, because a verification must not
    /// accept two spellings of one token.
    ///
    /// The secret is compared with the newest, the older and the ended digest of the record in the store.
    /// The report does not count as a use and ends no overlap. Where the secret was right, the report has the
    /// record.
    ///
    /// | the secret is | [`Revoke`](LeakAction::Revoke) | [`Suspend`](LeakAction::Suspend) |
    /// | --- | --- | --- |
    /// | the newest one of a live token | revokes the token, and all tokens that it issued or rotated | suspends the token, and all tokens that it issued or rotated |
    /// | the older one of a live token | ends it, and the newest one stays | ends it, and the newest one stays |
    /// | any other | changes nothing | changes nothing |
    ///
    /// If the action does not include the tokens that it issued or rotated, the report
    /// [counts](LeakReport::live_descendants) those that are live. A finder of the secret may have made them,
    /// so decide about them yourself. The count reads the records of the owner, so limit the rate of reports
    /// from outside.
    ///
    /// If the token made its newest secret [itself](crate::OnBehalf::rotate_self), the older one counts as
    /// the newest in this table, because a thief with the older one may have made the newest. After a secret
    /// that is not accepted any more, check [`LeakReport::rotated_itself`] for the same reason.
    ///
    /// Each call emits one [`Event::LeakReported`], and the action emits its
    /// own event before that.
    ///
    /// # Errors
    ///
    /// - [`ReportLeakError::Invalid`] if a text of the request is empty or too long.
    /// - [`ReportLeakError::NotDone`] if the secret is right, and the action or the count failed. A store
    ///   that gives no answer to the look-up is an outcome and not an error.
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
        let text = text.as_ref();
        let candidates = self.candidates(text);
        let id = candidates.as_ref().ok().and_then(|candidates| Some(candidates.first()?.id()));
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
            live_descendants: None,
            rotated_itself: false,
        };
        let acted = match candidates {
            Ok(candidates) => self.report_first(&candidates, action, &request, &mut report).await,
            Err(malformed) => {
                report.outcome = LeakOutcome::NotOurs(malformed);
                Ok(())
            }
        };
        audit.end_with(Event::LeakReported {
            id: report.id,
            owner: report.record.as_ref().map(|record| record.owner().to_owned()),
            outcome: report.outcome.name(),
            action: action.name(),
            response: report.response.name(),
            live_descendants: report.live_descendants,
            rotated_itself: report.rotated_itself,
            by: request.by.clone(),
            reason: request.reason.clone(),
        });
        match acted {
            Ok(()) => Ok(report),
            Err(cause) => Err(ReportLeakError::NotDone { report: Box::new(report), cause }),
        }
    }

    /// Returns the tokens that a text can be. At least one is returned.
    fn candidates<'t>(&'t self, text: &'t [u8]) -> Result<Vec<HashedSecret<'t>>, MalformedToken> {
        let inner = without_surroundings(text);
        let whole = self.present(text);
        if inner == text {
            return Ok(vec![whole?]);
        }
        match (whole, self.present(inner)) {
            (Ok(whole), Ok(inner)) => Ok(vec![whole, inner]),
            (Ok(hashed), Err(_)) | (Err(_), Ok(hashed)) => Ok(vec![hashed]),
            (Err(_), Err(malformed)) => Err(malformed),
        }
    }

    /// Reports the first candidate that has a record, or the last one.
    async fn report_first(
        &self,
        candidates: &[HashedSecret<'_>],
        action: LeakAction,
        request: &LeakRequest,
        report: &mut LeakReport,
    ) -> Result<(), ManageError> {
        for hashed in candidates {
            report.id = Some(hashed.id());
            self.act_on_leak(hashed, action, request, report).await?;
            if !matches!(report.outcome, LeakOutcome::UnknownId) {
                break;
            }
        }
        Ok(())
    }

    fn check_leak(&self, request: &LeakRequest) -> Result<(), InvalidField> {
        let texts = [(Field::RevokedBy, &request.by), (Field::Reason, &request.reason)];
        texts.into_iter().try_for_each(|(field, text)| {
            text.as_ref().map_or(Ok(()), |text| self.core.policy.check_text(field, text))
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
            report.rotated_itself = false;
            (report.outcome, report.record) = match self.core.records.find(hashed.id()).await {
                Ok(Some(stored)) => {
                    report.rotated_itself = has_made_newest(&stored.record);
                    self.compare_leak(hashed, stored.record)
                }
                Ok(None) => {
                    self.core.digests.verify_nothing(hashed);
                    (LeakOutcome::UnknownId, None)
                }
                Err(error) => (LeakOutcome::CannotTell(CannotTell::StoreUnavailable(error)), None),
            };
            let Some(record) = &report.record else { return Ok(()) };
            let since = match action {
                LeakAction::Suspend => self.start_bulk_suspension(),
                LeakAction::Report | LeakAction::Revoke => self.now(),
            };
            if let LeakOutcome::Live { secret, .. } = &report.outcome
                && action != LeakAction::Report
            {
                match self.respond(hashed, *secret, record, action, request, since).await {
                    Ok(response) => report.response = response,
                    Err(error) if is_outdated(&error) => continue,
                    Err(error) => return Err(error),
                }
            }
            return self.follow_descendants(request, since, report).await;
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
        let outcome = match record.matches_hashed(hashed, &self.core.digests) {
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

    /// Acts on a live token whose secret is right, without its descendants.
    async fn respond(
        &self,
        hashed: &HashedSecret<'_>,
        secret: LeakedSecret,
        record: &Record,
        action: LeakAction,
        request: &LeakRequest,
        since: DateTime<Utc>,
    ) -> Result<LeakResponse, ManageError> {
        let id = record.id();
        if secret == LeakedSecret::Older && !has_made_newest(record) {
            let Some(overlap) = record.overlap(self.now()) else { return Err(outdated()) };
            let end = request.end_of_older(overlap.older_created_at);
            let audit = self.audit(Operation::ReportLeak, Some(id));
            let outcome = self.try_end_older(&Caller::Embedder(None), id, &end).await;
            audit.end(outcome, |ended| end.ended_event(ended, None))?;
            return Ok(LeakResponse::EndedOlder);
        }
        let is_unchanged = |present: &Record| {
            let matched = present.matches_hashed(hashed, &self.core.digests);
            let accepted = matched.is_ok_and(|matched| !matched.secret_ended(self.now()));
            let rotated = present.secret_created_at() != record.secret_created_at();
            if accepted && !rotated { Ok(()) } else { Err(outdated()) }
        };
        if action == LeakAction::Suspend {
            let suspension = request.suspension();
            let span = self.suspension_span(&suspension, since)?;
            let audit = self.audit(Operation::ReportLeak, Some(id));
            let outcome =
                self.suspend_if(&Caller::Embedder(None), id, &suspension, span, is_unchanged).await;
            match outcome {
                // The event of the report is enough. A token can be reported any number of times.
                Ok(suspended) if suspended.already_suspended => audit.end_without_event(),
                outcome => {
                    audit.end(outcome, |suspended| suspension.suspended_event(suspended, None))?;
                }
            }
            return Ok(LeakResponse::Suspended { descendants: None });
        }
        let revocation = request.revocation();
        let audit = self.audit(Operation::ReportLeak, Some(id));
        let outcome = self.revoke_if(None, id, &revocation, is_unchanged).await;
        audit.end(outcome, |revoked| revocation.revoked_event(revoked, None))?;
        Ok(LeakResponse::Revoked { descendants: None })
    }

    /// Does to the descendants what was done to the token. Counts them if that is nothing, or if its older
    /// secret was ended.
    async fn follow_descendants(
        &self,
        request: &LeakRequest,
        since: DateTime<Utc>,
        report: &mut LeakReport,
    ) -> Result<(), ManageError> {
        let Some(record) = &report.record else { return Ok(()) };
        let view = View::of(self, Some(record.owner()));
        let descendants = Filter::new().issuer(record.id());
        let stopped = matches!(
            report.response,
            LeakResponse::Revoked { .. } | LeakResponse::Suspended { .. }
        );
        if !stopped || !may_have_descendants(record) {
            // By the earlier time, because a bulk operation would find the descendants by that time.
            let live = descendants.clone().states(States::LIVE);
            let live = view.count_as_of(live, self.earlier().time).await?;
            if !stopped || live == 0 {
                report.live_descendants = Some(live);
                return Ok(());
            }
        }
        let tokens: Tokens<'_, S> = view.into();
        let (ended, slot) = match &mut report.response {
            LeakResponse::Revoked { descendants: slot } => {
                (tokens.revoke_all_reported(descendants, request.revocation()).run().await, slot)
            }
            LeakResponse::Suspended { descendants: slot } => {
                let suspension = request.suspension();
                (tokens.suspend_all_reported(descendants, suspension, since).run().await, slot)
            }
            LeakResponse::Nothing | LeakResponse::EndedOlder => return Ok(()),
        };
        match ended {
            Ok(outcome) => {
                *slot = Some(outcome);
                Ok(())
            }
            Err(BulkError { so_far, cause, .. }) => {
                *slot = Some(so_far);
                Err(cause)
            }
        }
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

/// Returns whether the token made its newest secret itself. Then a client with an earlier secret may know the
/// newest one.
fn has_made_newest(record: &Record) -> bool {
    record.secret_created_on_behalf_of() == Some(record.id())
}

/// Returns whether the token may have issued or rotated other tokens by its scopes. Those of its type do not
/// count, because they may have been wider before. If an amendment narrowed the scopes of the record itself,
/// only a search for descendants finds them.
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
