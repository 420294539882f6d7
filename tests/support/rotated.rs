//! A token that was rotated until first use, and who is accepted.

use std::sync::Arc;

use service_tokens::clock::{Clock, ManualClock};
use service_tokens::{
    Event, IssueRequest, Refusal, RotateRequest, TokenId, TokenService, TokenStore, VerifyError,
};

use super::{Collected, HOUR, Open, Opened, Remote, SharedStore, any, builder, text};

/// A service and what is to be seen of it.
pub(crate) struct Scene<S> {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) collected: Collected,
    pub(crate) service: TokenService<S>,
    pub(crate) _guard: Box<dyn std::any::Any>,
}

pub(crate) fn scene_over<S: TokenStore>(store: S, guard: Box<dyn std::any::Any>) -> Scene<S> {
    let clock = Arc::new(ManualClock::default());
    let collected = Collected::default();
    let service = builder(store).clock(clock.clone()).events(collected.sink()).build().unwrap();
    Scene { clock, collected, service, _guard: guard }
}

pub(crate) fn scene(open: Open) -> Scene<SharedStore> {
    let Opened { store, guard } = open();
    scene_over(store, guard)
}

pub(crate) fn remote(open: Open) -> (Arc<Remote>, Scene<Arc<Remote>>) {
    let Opened { store, guard } = open();
    let remote = Arc::new(Remote::new(store));
    (remote.clone(), scene_over(remote, guard))
}

impl<S: TokenStore> Scene<S> {
    pub(crate) async fn issue(&self) -> (TokenId, String) {
        let request = IssueRequest::new("connector", "backup");
        let issued = self.service.owner("acme").issue(request).await.unwrap();
        (issued.record.id(), text(&issued))
    }

    pub(crate) async fn rotate(&self, id: TokenId, request: RotateRequest) -> String {
        text(&self.service.owner("acme").rotate(id, request).await.unwrap())
    }

    /// A token with an overlap until first use: its id, its older and its new text.
    pub(crate) async fn rotated(&self) -> (TokenId, String, String) {
        let (id, older) = self.issue().await;
        let newer = self.rotate(id, RotateRequest::until_first_use(HOUR)).await;
        self.events();
        (id, older, newer)
    }

    pub(crate) async fn accepts(&self, token: &str) -> bool {
        match self.service.verify(token, &any()).await {
            Ok(_) => true,
            Err(VerifyError::Refused(Refusal::SecretEnded | Refusal::Revoked)) => false,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// The events that were no refusals, since the last call.
    pub(crate) fn events(&self) -> Vec<Event> {
        let mut events = self.collected.take(&self.service);
        let refused =
            |e: &Event| matches!(e, Event::Refused { .. } | Event::EndedSecretPresented { .. });
        events.retain(|event| !refused(event));
        events
    }

    #[track_caller]
    pub(crate) fn overlap_ended(&self, id: TokenId) {
        let events = self.events();
        let [Event::OverlapEnded { id: of, owner, .. }] = &events[..] else { panic!("{events:?}") };
        assert_eq!((*of, &**owner), (id, "acme"));
    }

    pub(crate) async fn overlap_runs(&self, id: TokenId) -> bool {
        let record = self.service.all_owners().get(id).await.unwrap().record;
        record.overlap(self.clock.now()).is_some()
    }
}
