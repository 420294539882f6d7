//! A service that records when tokens are used.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::store::LastUsed;
use service_tokens::{
    Event, Filter, IssueRequest, ListRequest, TokenId, TokenService, TokenServiceBuilder,
    TokenStore,
};

use super::{Collected, Faulty, Open, Opened, Remote, SharedStore, any, builder, text};

/// A service that records uses, and what its store has of them.
pub(crate) struct Scene<S> {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) collected: Collected,
    pub(crate) store: SharedStore,
    pub(crate) service: TokenService<S>,
    pub(crate) _guard: Box<dyn std::any::Any>,
}

pub(crate) fn scene_with<S: TokenStore>(
    open: Open,
    over: impl FnOnce(SharedStore) -> S,
    set: impl FnOnce(TokenServiceBuilder<S>) -> TokenServiceBuilder<S>,
) -> Scene<S> {
    let Opened { store, guard } = open();
    let clock = Arc::new(ManualClock::default());
    let collected = Collected::default();
    let with = builder(over(store.clone())).clock(clock.clone()).events(collected.sink());
    Scene { clock, collected, store, service: set(with).build().unwrap(), _guard: guard }
}

pub(crate) fn scene(open: Open) -> Scene<SharedStore> {
    scene_with(open, |store| store, |builder| builder)
}

pub(crate) fn faulty(open: Open) -> Scene<Arc<Faulty>> {
    scene_with(open, |store| Arc::new(Faulty::new(store)), |builder| builder)
}

pub(crate) fn remote(open: Open) -> Scene<Arc<Remote>> {
    scene_with(open, |store| Arc::new(Remote::new(store)), |builder| builder)
}

impl<S: TokenStore> Scene<S> {
    pub(crate) async fn issue(&self) -> (TokenId, String) {
        let request = IssueRequest::new("connector", "backup");
        let issued = self.service.owner("acme").issue(request).await.unwrap();
        (issued.record.id(), text(&issued))
    }

    pub(crate) async fn use_it(&self, token: &str) -> DateTime<Utc> {
        self.service.verify(token, &any()).await.unwrap();
        self.clock.now()
    }

    pub(crate) async fn shown(&self, id: TokenId) -> LastUsed {
        let got = self.service.owner("acme").get(id).await.unwrap().last_used;
        let page = self.service.owner("acme").list(ListRequest::new().limit(1_000)).await.unwrap();
        let listed = page.items.iter().find(|stored| stored.record.id() == id).unwrap();
        assert_eq!(listed.last_used, got);
        got
    }

    pub(crate) async fn stored(&self, id: TokenId) -> LastUsed {
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

    pub(crate) async fn flush(&self) -> usize {
        self.service.flush_last_used().await.unwrap().tokens
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        let mut events = self.collected.take(&self.service);
        events.retain(|event| {
            matches!(event, Event::LastUsedNotFlushed { .. } | Event::LastUsedStalled { .. })
        });
        events
    }
}
