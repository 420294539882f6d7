//! Pausing issuing while everything else works.

use std::future::poll_fn;

use super::core::TokenService;
use crate::error::ManageError;
use crate::event::Event;
use crate::record::Field;
use crate::store::TokenStore;

impl<S: TokenStore> TokenService<S> {
    /// Pauses issuing, and waits until the issues in progress have ended. Verifying, listing, rotating,
    /// revoking and purging still work.
    ///
    /// Each refused caller gets the reason, in [`ManageError::IssuingPaused`]. A repeated request whose
    /// token exists is refused with [`ManageError::Exists`] instead.
    ///
    /// When this has returned, the service returns no new token until
    /// [`resume_issuing`](Self::resume_issuing). It does not wait for an issue whose future was dropped:
    /// that record may still appear in the store, and its secret is unknown to everyone. If the future of
    /// this function is dropped, issuing stays paused. Another call replaces the reason.
    ///
    /// It does not wait for [drafts](crate::IssueDraft) either, but ends them. A draft that was prepared
    /// before the pause never returns a token, and its confirmation revokes what was stored, also after issuing
    /// has resumed.
    ///
    /// Use it in an incident in which an attacker can issue tokens, and may issue them faster than you
    /// find and revoke them. Pause issuing, [revoke](crate::Tokens::revoke_all) the tokens that may
    /// belong to the attacker, remove the attacker's access, and resume. A stolen token that cannot
    /// issue only has to be revoked.
    ///
    /// The pause applies to this service only and ends with the process. Pause issuing in every process
    /// that issues tokens.
    ///
    /// # Errors
    ///
    /// [`ManageError::Invalid`] if the reason is empty or longer than the policy allows. Issuing is not
    /// paused then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{Filter, ManageError, RevokeRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// service.pause_issuing("INC-42: the deployment account leaked").await?;
    /// let refused = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await;
    /// assert!(matches!(refused, Err(ManageError::IssuingPaused { .. })));
    ///
    /// let issued_by_attacker = Filter::new().issued_by("deployment");
    /// let request = RevokeRequest::new().by("alice").reason("INC-42");
    /// let outcome = service.all_owners().revoke_all(issued_by_attacker, request).run().await?;
    /// assert_eq!(outcome.failed, 0);
    ///
    /// service.resume_issuing();
    /// # assert!(service.owner("acme").issue(IssueRequest::new("connector", "backup")).await.is_ok());
    /// # Ok(()) }
    /// ```
    pub async fn pause_issuing(&self, reason: impl Into<String>) -> Result<(), ManageError> {
        let reason = reason.into();
        self.core.policy.check_text(Field::Reason, &reason)?;
        let resumptions = self.core.issue_gate.close(&reason);
        self.core.events.emit(Event::IssuingPaused { reason });
        poll_fn(|context| self.core.issue_gate.poll_idle(resumptions, context)).await;
        Ok(())
    }

    /// Resumes issuing, and returns whether it was paused.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::{MemoryStore, ResumedIssuing, TokenService};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// service.pause_issuing("INC-42").await?;
    /// assert_eq!(service.resume_issuing(), ResumedIssuing::WasPaused);
    /// assert_eq!(service.resume_issuing(), ResumedIssuing::WasNotPaused);
    /// # Ok(()) }
    /// ```
    pub fn resume_issuing(&self) -> ResumedIssuing {
        if self.core.issue_gate.open() {
            self.core.events.emit(Event::IssuingResumed);
            ResumedIssuing::WasPaused
        } else {
            ResumedIssuing::WasNotPaused
        }
    }

    /// Returns the reason why issuing is paused, or `None` if it is not.
    pub fn issuing_paused(&self) -> Option<String> {
        self.core.issue_gate.reason()
    }
}

/// The state in which [`TokenService::resume_issuing`] found issuing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResumedIssuing {
    /// Issuing was paused, and is resumed now.
    WasPaused,
    /// Issuing was not paused. The call had no effect.
    WasNotPaused,
}
