//! Counting the records of the calling token's owner.

use super::super::tokens::View;
use super::OnBehalf;
use crate::error::ManageError;
use crate::event::{Event, Operation};
use crate::scope::ReservedScope;
use crate::store::{Filter, TokenStore};

impl<S: TokenStore> OnBehalf<'_, S> {
    /// Counts the records of the owner that a filter selects, including that of the calling token.
    /// Requires `service-tokens:read`.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] in the cases that the [type](Self) lists.
    /// - All errors of [`Tokens::count`](crate::Tokens::count).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// use service_tokens::Filter;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("manager", ["files:upload", "service-tokens:*"])?)
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let backup = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// # let manager = service.owner("acme").issue(IssueRequest::new("manager", "console")).await?;
    /// let verified = service.verify(manager.token.expose_secret(), &Requirement::any_token()).await?;
    /// let caller = service.on_behalf_of(&verified);
    /// assert_eq!(caller.count(Filter::new()).await?, 2);
    /// assert_eq!(caller.count(Filter::new().token_type("connector")).await?, 1);
    /// # Ok(()) }
    /// ```
    pub async fn count(self, filter: Filter) -> Result<u64, ManageError> {
        let audit = self.audit(Operation::Count, None);
        let outcome = async {
            let calling = self.service.calling_token(self.token, ReservedScope::Read).await?;
            View::of(self.service, Some(calling.token.owner())).try_count(filter).await
        };
        audit.end(outcome.await, |records| Event::Counted {
            owner: Some(self.token.owner().to_owned()),
            records: *records,
            on_behalf_of: self.calling_id(),
        })
    }
}
