//! Verification again, of a token that was verified before.

use super::super::core::TokenService;
use super::two_step::ANY;
use super::verdict::Freshness;
use crate::check::VerifiedToken;
use crate::error::VerifyError;
use crate::refusal::Refusal;
use crate::store::{StoredRecord, TokenStore};

impl<S: TokenStore> TokenService<S> {
    /// Checks whether a token that was verified before would still be accepted, and returns it with its
    /// present scopes.
    ///
    /// Call it every few seconds during a long download or for an open socket, so that these end soon
    /// after their token does. It decides as a verification in the same
    /// [context](TokenService::in_context) would, and needs no secret. If the token was rotated since, it
    /// decides about the secret that was presented.
    ///
    /// The token must have been verified by this service. A token of another service over the same store, with
    /// another prefix or another import form, is not refused for that.
    ///
    /// It reads the record from the store and never from the cache. It does not count as a use of the
    /// token, and it ends no overlap.
    ///
    /// # Errors
    ///
    /// - [`VerifyError::Refused`] if the token would be refused now, for example because it was revoked or
    ///   suspended. The refusal is an event.
    /// - [`VerifyError::OwnerUnknown`] and [`VerifyError::Unavailable`], as for a verification.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{RevokeRequest, requirement};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let issued = acme.issue(IssueRequest::new("connector", "backup")).await?;
    /// let download = requirement!("files:upload");
    /// let verified = service.verify(issued.token.expose_secret(), &download).await?;
    ///
    /// // … after each part of the file:
    /// assert!(service.still_active(&verified).await?.permits(&download));
    ///
    /// let _ = acme.revoke(verified.id(), RevokeRequest::new()).await?;
    /// assert!(service.still_active(&verified).await.is_err());
    /// # Ok(()) }
    /// ```
    pub async fn still_active(&self, token: &VerifiedToken) -> Result<VerifiedToken, VerifyError> {
        let id = token.id();
        let decide = |found: Option<&StoredRecord>| {
            let Some(stored) = found else { return Err(VerifyError::Refused(Refusal::UnknownId)) };
            token
                .matched_on(&stored.record, &self.core.digests)
                .and_then(|matched| {
                    matched.authorize_by(
                        self.now(),
                        || self.earlier().passed,
                        &ANY,
                        &token.context(),
                        &self.core.rules,
                    )
                })
                .map_err(|refusal| VerifyError::refused(refusal, id, &ANY))
        };
        let mut asked_at = self.core.clock.monotonic();
        let outcome = match &self.core.records.gatherer {
            None => match self.core.records.find(id).await {
                Ok(found) => decide(found.as_ref()),
                Err(error) => Err(error.into()),
            },
            Some(gatherer) => match gatherer.find(id).await {
                Ok((found, sent_at)) => {
                    asked_at = sent_at;
                    decide(found.as_deref())
                }
                Err(error) => Err(error.into()),
            },
        };
        match outcome {
            Ok(verified) => {
                let staleness = self.core.clock.monotonic().saturating_sub(asked_at);
                Ok(verified.with_staleness(staleness))
            }
            Err(error) => Err(self.refuse(Some(id), error, Freshness::Uncached)),
        }
    }
}
