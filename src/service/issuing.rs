//! Stopping the issue of tokens while everything else goes on.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::TokenService;
use crate::error::ManageError;
use crate::event::Event;
use crate::record::Field;
use crate::store::TokenStore;

impl<S: TokenStore> TokenService<S> {
    /// Stops issuing, for a reason that every refused caller is told
    /// ([`ManageError::IssuingPaused`]; whoever repeats a request that was done learns that,
    /// [`ManageError::Exists`]). Verifying, listing, rotating, revoking and purging go on.
    ///
    /// It waits for the issues that are under way: when it has returned, this service hands out no
    /// new token until [`resume_issuing`](Self::resume_issuing). An issue whose caller has given up is
    /// not waited for: its record may still appear, with a secret that nobody was told. If the future
    /// is dropped, issuing is paused all the same. Pausing again gives another reason.
    ///
    /// An incident needs this when somebody has stolen the power to issue: they make tokens faster
    /// than they are found and revoked. Stop issuing, [revoke](super::Tokens::revoke_all) what may be
    /// theirs, take the power from them, resume. A stolen token that cannot issue needs only its
    /// revocation.
    ///
    /// It concerns this service alone, and only until the process ends: tell every process that
    /// issues.
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{Filter, ManageError, RevokeRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let request = || IssueRequest::new("connector", "backup");
    /// service.pause_issuing("INC-42: the deployment account leaked").await?;
    /// let refused = service.owner("acme").issue(request()).await;
    /// assert!(matches!(refused, Err(ManageError::IssuingPaused { .. })));
    ///
    /// let theirs = Filter::new().issued_by("deployment");
    /// let request_words = RevokeRequest::new().by("alice").reason("INC-42");
    /// let _ = service.all_owners().revoke_all(theirs, request_words).run().await?;
    /// service.resume_issuing();
    /// # assert!(service.owner("acme").issue(request()).await.is_ok());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ManageError::Invalid`] if the reason is empty or longer than the policy allows a reason to
    /// be; issuing goes on then.
    pub async fn pause_issuing(&self, reason: impl Into<String>) -> Result<(), ManageError> {
        let reason = reason.into();
        self.policy.check_text(Field::Reason, &reason)?;
        let stop = self.issuing.stop(&reason);
        self.events.emit(Event::IssuingPaused { reason });
        poll_fn(|context| self.issuing.poll_idle(stop, context)).await;
        Ok(())
    }

    /// Resumes issuing, and returns whether it was paused.
    pub fn resume_issuing(&self) -> Resumed {
        if self.issuing.resume() {
            self.events.emit(Event::IssuingResumed);
            Resumed::WasPaused
        } else {
            Resumed::WasNotPaused
        }
    }

    /// Returns the reason why issuing is paused, or `None` if it is not.
    pub fn issuing_paused(&self) -> Option<String> {
        self.issuing.lock().reason.clone()
    }
}

/// The state in which [`TokenService::resume_issuing`] found issuing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resumed {
    /// Issuing was paused, and goes on now.
    WasPaused,
    /// Issuing was not paused. Nothing changed.
    WasNotPaused,
}

/// The door that every issue goes through.
#[derive(Debug, Default)]
pub(super) struct Issuing(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Why the door is closed, if it is.
    reason: Option<String>,
    inside: usize,
    /// How often it was opened: who waits for it to be empty waits no longer then.
    resumed: u64,
    wakers: Vec<Waker>,
}

impl Issuing {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one issue in, unless the door is closed.
    pub(super) fn enter(&self) -> Result<Inside<'_>, ManageError> {
        let mut state = self.lock();
        if let Some(reason) = &state.reason {
            return Err(ManageError::IssuingPaused { reason: reason.clone() });
        }
        state.inside += 1;
        Ok(Inside(self))
    }

    fn stop(&self, reason: &str) -> u64 {
        let mut state = self.lock();
        state.reason = Some(reason.to_owned());
        state.resumed
    }

    fn resume(&self) -> bool {
        let mut state = self.lock();
        let stopped = state.reason.take().is_some();
        state.resumed += u64::from(stopped);
        wake(state);
        stopped
    }

    fn poll_idle(&self, resumed: u64, context: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.inside == 0 || state.resumed != resumed {
            return Poll::Ready(());
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let wakers = std::mem::take(&mut state.wakers);
    drop(state);
    wakers.into_iter().for_each(Waker::wake);
}

/// An issue that is under way.
pub(super) struct Inside<'i>(&'i Issuing);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.inside -= 1;
        if state.inside == 0 {
            wake(state);
        }
    }
}
