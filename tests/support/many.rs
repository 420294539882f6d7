//! Many alike tokens, and what is left of them.

use service_tokens::clock::{Clock, SystemClock};
use service_tokens::store::States;
use service_tokens::{IssueRequest, RevokeRequest, TokenId};

use super::{SharedStore, builder, records};

pub(crate) fn words() -> RevokeRequest {
    RevokeRequest::new().by("alice").reason("INC-42")
}

pub(crate) fn request() -> IssueRequest {
    IssueRequest::new("connector", "backup")
}

pub(crate) async fn issue_many(store: &SharedStore, many: usize) -> Vec<TokenId> {
    // Of their own, so that the events of this are not in the way of those that are looked at.
    let service = builder(store.clone()).build().unwrap();
    let mut ids = Vec::with_capacity(many);
    for _ in 0..many {
        ids.push(service.owner("acme").issue(request()).await.unwrap().record.id());
    }
    ids
}

pub(crate) async fn live(store: &SharedStore) -> usize {
    let now = Clock::now(&SystemClock::new());
    let records = records(&**store).await;
    records.iter().filter(|record| States::LIVE.contains(record.state(now))).count()
}
