//! Revoking a token by its holder, who presents the token.
//!
//! The secret is compared with the record that is replaced, so no rotation can happen between the
//! comparison and the write. A right secret is enough. The state of the token, its owner, its type and its
//! networks do not matter, because a holder must always be able to end its own token.

use std::sync::OnceLock;

use super::core::TokenService;
use super::request::RevokeRequest;
use super::revoke::Revoked;
use crate::digest::HashedSecret;
use crate::error::{ManageError, NotPermitted, RevokePresentedError, VerifyError};
use crate::event::{Event, Operation};
use crate::record::Record;
use crate::refusal::Refusal;
use crate::store::TokenStore;

impl<S: TokenStore> TokenService<S> {
    /// Revokes a token for good on behalf of its holder, who presents it.
    ///
    /// The right secret is enough. The token may be used from any network, and it may also be pending,
    /// suspended or expired. Its type may be unknown, its owner may be closed, and the key of its digest may
    /// have ended. A secret that has ended does not revoke the token, because a leaked secret must be
    /// worthless after a rotation. The record is read from the store and never from the cache. The
    /// revocation does not count as a use, and it takes precedence over other writes as
    /// [`Tokens::revoke`](crate::Tokens::revoke) does.
    ///
    /// Each call emits one event, which is that of the revocation or that of the refusal. The event of a
    /// revocation names the token itself as the calling token.
    ///
    /// # Errors
    ///
    /// [`RevokePresentedError`]. A revocation endpoint by RFC 7009 answers 200 to `Malformed` and
    /// `Refused`, and 503 to `CannotTell` and `Failed`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::error::RevokePresentedError;
    /// use service_tokens::RevokeRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let issued = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// let text = issued.token.expose_secret();
    /// let revoked = service.revoke_presented(text, RevokeRequest::new()).await?;
    /// assert_eq!(revoked.record.id(), issued.record.id());
    ///
    /// let other = service.revoke_presented("not a token", RevokeRequest::new()).await;
    /// assert!(matches!(other, Err(RevokePresentedError::Malformed(_))));
    /// # Ok(()) }
    /// ```
    pub async fn revoke_presented<T>(
        &self,
        text: &T,
        request: RevokeRequest,
    ) -> Result<Revoked, RevokePresentedError>
    where
        T: AsRef<[u8]> + ?Sized + Sync,
    {
        let hashed = match self.present(text.as_ref()) {
            Ok(hashed) => hashed,
            Err(malformed) => {
                let refused = VerifyError::Refused(Refusal::Malformed(malformed));
                self.core.events.emit(Event::of_refusal(None, None, &refused));
                return Err(RevokePresentedError::Malformed(malformed));
            }
        };
        let id = hashed.id();
        let audit = self.audit(Operation::RevokePresented, Some(id));
        let owner = OnceLock::new();
        let refusal = match self.try_revoke_presented(&hashed, &request, &owner).await {
            Err(ManageError::NotPermitted(NotPermitted::NotActive(refusal))) => refusal,
            Err(ManageError::NotFound { .. }) => {
                self.core.digests.verify_nothing(&hashed);
                Refusal::UnknownId
            }
            outcome => {
                return audit
                    .end(outcome, |revoked| request.revoked_event(revoked, Some(id)))
                    .map_err(RevokePresentedError::Failed);
            }
        };
        let refused = VerifyError::Refused(refusal);
        audit.end_with(Event::of_refusal(Some(id), owner.into_inner(), &refused));
        Err(match refusal {
            Refusal::NewerRecord | Refusal::UnknownScheme(_) | Refusal::MissingKey(_) => {
                RevokePresentedError::CannotTell(refusal)
            }
            refusal => RevokePresentedError::Refused(refusal),
        })
    }

    async fn try_revoke_presented(
        &self,
        hashed: &HashedSecret<'_>,
        request: &RevokeRequest,
        owner: &OnceLock<String>,
    ) -> Result<Revoked, ManageError> {
        self.check_revocation(request)?;
        let holds = |present: &Record| {
            let matched = present.matches_hashed(hashed, &self.core.digests);
            let ended = matched.map(|matched| matched.secret_ended(self.now()));
            if ended == Ok(true) {
                // The secret was one of the token's, so the event of the refusal names the owner.
                owner.get_or_init(|| present.owner().to_owned());
            }
            match (ended, present.revocation().is_some()) {
                (Ok(false), _) => Ok(()),
                (Ok(true), true) => Err(NotPermitted::NotActive(Refusal::Revoked).into()),
                (Ok(true), false) => Err(NotPermitted::NotActive(Refusal::SecretEnded).into()),
                (Err(refusal), _) => Err(NotPermitted::NotActive(refusal).into()),
            }
        };
        self.revoke_if(None, hashed.id(), request, holds).await
    }
}
