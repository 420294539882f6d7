//! The verbs of the harness.

use std::time::Duration;

use chrono::{DateTime, Utc};
use service_tokens::clock::Clock;
use service_tokens::store::LastUsed;
use service_tokens::{
    Event, Filter, IssueRequest, Issued, ListRequest, Record, Refusal, RevokeRequest,
    RotateRequest, State, TokenId, TokenService, TokenServiceBuilder, TokenStore, TokenType,
    VerifiedToken, VerifyError,
};

use super::{HOUR, Harness, SharedStore, any, backup, builder, scoped_request, text};
use super::{Remote, refusal_of};

impl<S: TokenStore> Harness<S> {
    /// Returns another process over the same records and clock. It caches nothing and never fails.
    pub(crate) fn elsewhere(&self) -> &TokenService<SharedStore> {
        self.elsewhere
            .get_or_init(|| builder(self.store.clone()).clock(self.clock.clone()).build().unwrap())
    }

    /// Returns another process over the same records, which knows these types only.
    pub(crate) fn with_types<const N: usize>(
        &self,
        types: [TokenType; N],
    ) -> TokenService<SharedStore> {
        let builder = TokenService::builder(self.store.clone(), "acme_live");
        types
            .into_iter()
            .fold(builder, TokenServiceBuilder::token_type)
            .clock(self.clock.clone())
            .build()
            .unwrap()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub(crate) async fn issue(&self, request: IssueRequest) -> Issued {
        self.service.owner("acme").issue(request).await.unwrap()
    }

    pub(crate) async fn issue_for(&self, owner: &str, request: IssueRequest) -> Issued {
        self.service.owner(owner).issue(request).await.unwrap()
    }

    /// Issues a connector and returns its id and its text.
    pub(crate) async fn issue_backup(&self) -> (TokenId, String) {
        let issued = self.issue(backup()).await;
        (issued.record.id(), text(&issued))
    }

    pub(crate) async fn issue_elsewhere(&self) -> Issued {
        self.elsewhere().owner("acme").issue(backup()).await.unwrap()
    }

    /// Verifies a token that is to be accepted.
    pub(crate) async fn verified(&self, issued: &Issued) -> VerifiedToken {
        self.service.verify(&text(issued), &any()).await.unwrap()
    }

    /// Issues and verifies a calling token with these scopes.
    pub(crate) async fn caller(&self, scopes: &[&str]) -> VerifiedToken {
        self.verified(&self.issue(scoped_request(scopes)).await).await
    }

    pub(crate) async fn verify(&self, token: &str) -> Result<VerifiedToken, VerifyError> {
        self.service.verify(token, &any()).await
    }

    /// Verifies and returns the refusal, or `None` for an accepted token.
    pub(crate) async fn refusal(&self, token: &str) -> Option<Refusal> {
        match self.verify(token).await {
            Ok(_) => None,
            refused => Some(refusal_of(refused).unwrap()),
        }
    }

    /// Returns whether a token is accepted. Only an ended secret or a revocation may refuse it.
    pub(crate) async fn accepts(&self, token: &str) -> bool {
        match self.verify(token).await {
            Ok(_) => true,
            Err(VerifyError::Refused(Refusal::SecretEnded | Refusal::Revoked)) => false,
            Err(error) => panic!("{error:?}"),
        }
    }

    pub(crate) async fn record(&self, id: TokenId) -> Record {
        self.service.all_owners().get(id).await.unwrap().record
    }

    pub(crate) async fn state(&self, id: TokenId) -> State {
        self.record(id).await.state(self.clock.now())
    }

    pub(crate) async fn revoke(&self, id: TokenId) {
        self.service.all_owners().revoke(id, RevokeRequest::new()).await.unwrap();
    }

    pub(crate) async fn revoke_elsewhere(&self, id: TokenId) {
        self.elsewhere().all_owners().revoke(id, RevokeRequest::new()).await.unwrap();
    }

    /// Rotates a token of acme and returns the new text.
    pub(crate) async fn rotate(&self, id: TokenId, request: RotateRequest) -> String {
        text(&self.service.owner("acme").rotate(id, request).await.unwrap())
    }

    pub(crate) async fn rotate_elsewhere(&self, id: TokenId) -> String {
        let rotation = RotateRequest::at_once();
        text(&self.elsewhere().all_owners().rotate(id, rotation).await.unwrap())
    }

    /// Issues a token and rotates it until first use. Returns its id, its older and its newer text.
    pub(crate) async fn rotate_until_first_use(&self) -> (TokenId, String, String) {
        let (id, older) = self.issue_backup().await;
        let newer = self.rotate(id, RotateRequest::until_first_use(HOUR)).await;
        let _ = self.events();
        (id, older, newer)
    }

    pub(crate) async fn has_overlap(&self, id: TokenId) -> bool {
        self.record(id).await.overlap(self.clock.now()).is_some()
    }

    /// Returns the events since the last call.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.collected.take(&self.service)
    }

    /// Returns the events since the last call that are not refusals.
    pub(crate) fn events_but_refusals(&self) -> Vec<Event> {
        let refused =
            |e: &Event| matches!(e, Event::Refused { .. } | Event::EndedSecretPresented { .. });
        let mut events = self.events();
        events.retain(|event| !refused(event));
        events
    }

    /// Returns the events since the last call that are about flushing last use.
    pub(crate) fn last_used_events(&self) -> Vec<Event> {
        let mut events = self.events();
        events.retain(|event| {
            matches!(event, Event::LastUsedNotFlushed { .. } | Event::LastUsedStalled { .. })
        });
        events
    }

    #[track_caller]
    pub(crate) fn expect_overlap_ended(&self, id: TokenId) {
        let events = self.events_but_refusals();
        let [Event::OverlapEnded { id: of, owner, .. }] = &events[..] else { panic!("{events:?}") };
        assert_eq!((*of, &**owner), (id, "acme"));
    }

    /// Verifies a token that is to be accepted, and returns the time of this use.
    pub(crate) async fn use_token(&self, token: &str) -> DateTime<Utc> {
        self.verify(token).await.unwrap();
        self.clock.now()
    }

    /// Returns the last use that the service shows. A list must agree with a single read.
    pub(crate) async fn last_used(&self, id: TokenId) -> LastUsed {
        let got = self.service.owner("acme").get(id).await.unwrap().last_used;
        let page = self.service.owner("acme").list(ListRequest::new().limit(1_000)).await.unwrap();
        let listed = page.items.iter().find(|stored| stored.record.id() == id).unwrap();
        assert_eq!(listed.last_used, got);
        got
    }

    /// Returns the last use that the store has.
    pub(crate) async fn stored_last_used(&self, id: TokenId) -> LastUsed {
        self.store.find(id).await.unwrap().unwrap().last_used
    }

    pub(crate) async fn unused_since(&self, time: DateTime<Utc>) -> Vec<TokenId> {
        let page = self
            .service
            .owner("acme")
            .list(ListRequest::from(Filter::new().unused_since(time)))
            .await;
        page.unwrap().items.iter().map(|stored| stored.record.id()).collect()
    }

    /// Flushes last use and returns the number of tokens that were written.
    pub(crate) async fn flush(&self) -> usize {
        self.service.flush_last_used().await.unwrap().tokens
    }
}

impl Harness<std::sync::Arc<Remote>> {
    #[track_caller]
    pub(crate) fn expect_store_reads(&self, times: usize) {
        assert_eq!(self.remote().finds(), times, "reads of the store");
    }
}
