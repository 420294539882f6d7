//! A service over a manual clock, and what the tests of its limits ask of it.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::record::{Field, InvalidField, Rule};
use service_tokens::{
    IssueRequest, Issued, ManageError, Policy, Refusal, State, TokenId, TokenService,
};

use super::{Open, SharedStore, any, builder};

pub(crate) struct Scene {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) service: TokenService<SharedStore>,
    _guard: Box<dyn std::any::Any>,
}

pub(crate) fn scene_with(open: Open, policy: Policy) -> Scene {
    let opened = open();
    let clock = Arc::new(ManualClock::default());
    let service = builder(opened.store).policy(policy).clock(clock.clone()).build().unwrap();
    Scene { clock, service, _guard: opened.guard }
}

pub(crate) fn scene(open: Open) -> Scene {
    scene_with(open, Policy::new())
}

pub(crate) fn request() -> IssueRequest {
    IssueRequest::new("connector", "backup")
}

pub(crate) fn delta(by: Duration) -> TimeDelta {
    TimeDelta::from_std(by).unwrap()
}

/// That it was refused for this field and rule, and that the error names both.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(
    outcome: Result<T, ManageError>,
    field: Field,
    rule: Rule,
) {
    let Err(error) = outcome else { panic!("{outcome:?} for {field} {rule}") };
    assert_eq!(error.to_string(), format!("{field} {rule}"));
    let ManageError::Invalid(invalid) = error else { panic!("{error:?}") };
    assert_eq!(invalid, { InvalidField { field, rule } });
}

impl Scene {
    pub(crate) async fn refusal(&self, token: &str) -> Option<Refusal> {
        self.service.verify(token, &any()).await.err().map(|error| error.refusal().unwrap())
    }

    pub(crate) async fn issue(&self, request: IssueRequest) -> Issued {
        self.service.owner("acme").issue(request).await.unwrap()
    }

    pub(crate) async fn state(&self, id: TokenId) -> State {
        let stored = self.service.all_owners().get(id).await.unwrap();
        stored.record.state(self.clock.now())
    }
}
