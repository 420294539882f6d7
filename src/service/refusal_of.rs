//! Why the service refuses a record, without a presented token.

use super::core::TokenService;
use crate::check::OwnerStatus;
use crate::record::{Record, State};
use crate::refusal::Refusal;

impl<S> TokenService<S> {
    /// Returns why this service refuses every secret of the record now, or `None` if it accepts the
    /// newest one.
    ///
    /// Use it in lists, so that a token which no client can use is not shown as usable. A token whose
    /// type was removed is an example, because its state is still [`State::Active`]. Scopes are not
    /// considered, because each request requires its own.
    ///
    /// If several reasons apply, the result is the first one in the order of a verification. The result
    /// is for display, because it proves nothing about a client. To decide about a request, use
    /// [`verify`](Self::verify).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use service_tokens::{IssueRequest, MemoryStore, Refusal, State, TokenService, TokenType};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = Arc::new(MemoryStore::new());
    /// let before = TokenService::builder(store.clone(), "acme_live")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .build()?;
    /// let issued = before.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// assert_eq!(before.refusal_of(&issued.record), None);
    ///
    /// // The type was removed.
    /// let after = TokenService::builder(store, "acme_live").build()?;
    /// assert_eq!(issued.record.state(after.now()), State::Active);
    /// assert_eq!(after.refusal_of(&issued.record), Some(Refusal::UnknownType));
    /// # Ok(()) }
    /// ```
    pub fn refusal_of(&self, record: &Record) -> Option<Refusal> {
        // This program cannot read every field of such a record, so it says nothing about its state.
        if record.is_newer() {
            return Some(Refusal::NewerRecord);
        }
        let times = self.times();
        match record.state_by(times) {
            State::Revoked => return Some(Refusal::Revoked),
            State::Expired => return Some(Refusal::Expired),
            _ if record.is_pending(times.now) => return Some(Refusal::NotYetActive),
            State::Suspended => return Some(Refusal::Suspended),
            State::Pending | State::Active => {}
        }
        match self.core.rules.owner_status(record.owner()) {
            OwnerStatus::Open => {}
            OwnerStatus::Closed => return Some(Refusal::OwnerClosed),
            OwnerStatus::Unknown => return Some(Refusal::OwnerUnknown),
        }
        let is_known = self.core.rules.types().get(record.token_type()).is_some();
        (!is_known).then_some(Refusal::UnknownType)
    }
}
