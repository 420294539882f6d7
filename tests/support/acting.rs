//! Tokens that act: a service whose types allow anything, so that each token's own scopes decide.

use std::sync::Arc;
use std::time::Duration;

use service_tokens::clock::ManualClock;
use service_tokens::error::NotPermitted;
use service_tokens::store::States;
use service_tokens::{
    IssueRequest, Issued, ManageError, Policy, Record, Refusal, RevokeRequest, ScopeSet, TokenId,
    TokenService, TokenServiceBuilder, TokenStore, TokenType, VerifiedToken,
};

use super::{Collected, Open, SharedStore, any, text};

pub(crate) struct Scene {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: SharedStore,
    pub(crate) collected: Collected,
    pub(crate) service: TokenService<SharedStore>,
    _guard: Box<dyn std::any::Any>,
}

/// A type of this name with these scopes.
pub(crate) fn token_type(name: &str, scopes: &[&str]) -> TokenType {
    TokenType::new(name, scopes).unwrap()
}

/// A service with a type `all` that has every scope, reserved ones too, and one `files` that has two.
pub(crate) fn builder<S: TokenStore>(store: S, clock: Arc<ManualClock>) -> TokenServiceBuilder<S> {
    TokenService::builder(store, "acme_live")
        .token_type(token_type("all", &["*", "service-tokens:*"]))
        .token_type(token_type("files", &["files:read", "files:upload"]))
        .clock(clock)
}

pub(crate) fn scene_with(open: Open, policy: Policy) -> Scene {
    let opened = open();
    let (clock, collected) = (Arc::new(ManualClock::default()), Collected::default());
    let service = builder(opened.store.clone(), clock.clone()).policy(policy);
    let service = service.events(collected.sink()).build().unwrap();
    Scene { clock, store: opened.store, collected, service, _guard: opened.guard }
}

pub(crate) fn scene(open: Open) -> Scene {
    scene_with(open, Policy::new())
}

pub(crate) fn set(scopes: &[&str]) -> ScopeSet {
    ScopeSet::new(scopes).unwrap()
}

/// A token with these scopes, of acme's.
pub(crate) fn request(scopes: &[&str]) -> IssueRequest {
    IssueRequest::new("all", "a program").scopes(set(scopes))
}

/// The scopes of a token that manages others.
pub(crate) const MANAGER: [&str; 5] = [
    "files:*",
    "service-tokens:read",
    "service-tokens:issue",
    "service-tokens:rotate",
    "service-tokens:revoke",
];

/// A token with two scopes, of acme's.
pub(crate) fn files() -> IssueRequest {
    IssueRequest::new("files", "backup")
}

impl Scene {
    pub(crate) async fn issue(&self, request: IssueRequest) -> Issued {
        self.service.owner("acme").issue(request).await.unwrap()
    }

    pub(crate) async fn verified(&self, issued: &Issued) -> VerifiedToken {
        self.service.verify(&text(issued), &any()).await.unwrap()
    }

    /// An acting token with these scopes.
    pub(crate) async fn acting(&self, scopes: &[&str]) -> VerifiedToken {
        self.verified(&self.issue(request(scopes)).await).await
    }

    pub(crate) async fn record(&self, id: TokenId) -> Record {
        self.service.all_owners().get(id).await.unwrap().record
    }

    pub(crate) async fn revoke(&self, id: TokenId) {
        self.service.all_owners().revoke(id, RevokeRequest::new()).await.unwrap();
    }

    /// Another process over the same records, whose types these are.
    pub(crate) fn elsewhere<const N: usize>(
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
}

/// Revokes a token and everything that it may have obtained.
pub(crate) async fn revoke_with_descendants<S: TokenStore>(service: &TokenService<S>, id: TokenId) {
    let words = RevokeRequest::new().by("rival");
    let outcome = service.all_owners().revoke_with_descendants(id, words).run().await.unwrap();
    assert_eq!(outcome.failed, 0);
}

#[track_caller]
pub(crate) fn not_permitted<T: std::fmt::Debug>(outcome: Result<T, ManageError>) -> NotPermitted {
    match outcome {
        Err(ManageError::NotPermitted(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(crate) fn not_active<T: std::fmt::Debug>(outcome: Result<T, ManageError>) -> Refusal {
    match not_permitted(outcome) {
        NotPermitted::NotActive(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}
