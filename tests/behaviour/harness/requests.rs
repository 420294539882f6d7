//! Requests that many tests make.

use std::time::Duration;

use chrono::TimeDelta;
use service_tokens::clock::{Clock, SystemClock};
use service_tokens::store::States;
use service_tokens::{
    IssueRequest, RevokeRequest, ScopeSet, TokenId, TokenService, TokenStore, TokenType,
};

use super::{SharedStore, builder, records};

/// The scopes of a token that manages other tokens.
pub(crate) const MANAGER: [&str; 5] = [
    "files:*",
    "service-tokens:read",
    "service-tokens:issue",
    "service-tokens:rotate",
    "service-tokens:revoke",
];

pub(crate) fn delta(by: Duration) -> TimeDelta {
    TimeDelta::from_std(by).unwrap()
}

pub(crate) fn token_type(name: &str, scopes: &[&str]) -> TokenType {
    TokenType::new(name, scopes).unwrap()
}

pub(crate) fn scope_set(scopes: &[&str]) -> ScopeSet {
    ScopeSet::new(scopes).unwrap()
}

/// Requests a connector for the owner acme.
pub(crate) fn backup() -> IssueRequest {
    IssueRequest::new("connector", "backup")
}

/// Requests a token of the owner acme with these scopes, of the type that allows every scope.
pub(crate) fn scoped_request(scopes: &[&str]) -> IssueRequest {
    IssueRequest::new("all", "a program").scopes(scope_set(scopes))
}

/// Requests a token of the owner acme with two scopes for files.
pub(crate) fn files_request() -> IssueRequest {
    IssueRequest::new("files", "backup")
}

/// Requests a revocation that names a person and an incident.
pub(crate) fn incident() -> RevokeRequest {
    RevokeRequest::new().by("alice").reason("INC-42")
}

/// Issues through a separate service, so that these events are not among the collected ones.
pub(crate) async fn issue_many(store: &SharedStore, many: usize) -> Vec<TokenId> {
    let service = builder(store.clone()).build().unwrap();
    let mut ids = Vec::with_capacity(many);
    for _ in 0..many {
        ids.push(service.owner("acme").issue(backup()).await.unwrap().record.id());
    }
    ids
}

/// Counts the tokens that are pending or active at the present time.
pub(crate) async fn count_live(store: &SharedStore) -> usize {
    let now = Clock::now(&SystemClock::new());
    let records = records(&**store).await;
    records.iter().filter(|record| States::LIVE.contains(record.state(now))).count()
}

/// Revokes a token and its descendants.
pub(crate) async fn revoke_with_descendants<S: TokenStore>(service: &TokenService<S>, id: TokenId) {
    let request = RevokeRequest::new().by("rival");
    let outcome = service.all_owners().revoke_with_descendants(id, request).run().await.unwrap();
    assert_eq!(outcome.failed, 0);
}
