//! A service that keeps records in front of a store far away, and another process beside it.

use std::sync::Arc;
use std::time::Duration;

use service_tokens::clock::ManualClock;
use service_tokens::{
    IssueRequest, Issued, Refusal, RevokeRequest, RotateRequest, TokenId, TokenService,
    VerifiedToken, VerifyError,
};

use super::{MINUTE, Open, Remote, SharedStore, any, builder, text};

pub(crate) const LONGEST: Duration = MINUTE;

pub(crate) struct Scene {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) remote: Arc<Remote>,
    /// Keeps records.
    pub(crate) service: TokenService<Arc<Remote>>,
    /// Another process over the same records, which keeps none.
    pub(crate) elsewhere: TokenService<SharedStore>,
    _guard: Box<dyn std::any::Any>,
}

pub(crate) fn scene_with(open: Open, longest: Duration, most: usize) -> Scene {
    let opened = open();
    let clock = Arc::new(ManualClock::default());
    let remote = Arc::new(Remote::new(opened.store.clone()));
    let service = builder(remote.clone()).clock(clock.clone()).cache_records(longest, most);
    let service = service.build().unwrap();
    let elsewhere = builder(opened.store).clock(clock.clone()).build().unwrap();
    Scene { clock, remote, service, elsewhere, _guard: opened.guard }
}

pub(crate) fn scene(open: Open) -> Scene {
    scene_with(open, LONGEST, 1_000)
}

pub(crate) type Verified = Result<VerifiedToken, VerifyError>;

impl Scene {
    pub(crate) async fn issue(&self) -> Issued {
        let request = IssueRequest::new("connector", "backup");
        self.elsewhere.owner("acme").issue(request).await.unwrap()
    }

    pub(crate) async fn verify(&self, token: &str) -> Verified {
        self.service.verify(token, &any()).await
    }

    #[track_caller]
    pub(crate) fn asked(&self, times: usize) {
        assert_eq!(self.remote.finds(), times, "questions to the store");
    }

    pub(crate) async fn revoke_elsewhere(&self, id: TokenId) {
        let words = RevokeRequest::new();
        self.elsewhere.all_owners().revoke(id, words).await.unwrap();
    }

    pub(crate) async fn rotate_elsewhere(&self, id: TokenId) -> String {
        let rotation = RotateRequest::at_once();
        text(&self.elsewhere.all_owners().rotate(id, rotation).await.unwrap())
    }
}

pub(crate) fn refusal(outcome: Verified) -> Option<Refusal> {
    outcome.unwrap_err().refusal()
}
