//! Of two callers that suspend or resume a token at once, one did it, also if its answer was lost.

use std::sync::Arc;

use super::harness::{DAY, Fault, Faulty, Harness, Op, Stores, backup, builder, records, text};
use service_tokens::{Refusal, ResumeRequest, SuspendRequest};

behaviours! {
    suspend_after_same_suspension_is_already,
    resume_after_same_resumption_ends_none,
    suspend_self_after_lost_answer_succeeds,
}

fn incident() -> SuspendRequest {
    SuspendRequest::new().by("alice").reason("INC-42").lasting(DAY)
}

const SUSPEND: u8 = 0;
const RESUME: u8 = 1;

/// A service whose rival suspends or resumes every token at the same time and with the same request.
fn contested(stores: Stores) -> Harness<Arc<Faulty>> {
    let builder = Harness::builder(stores).faulty_with_rival(|store, clock, what| {
        Box::pin(async move {
            let service = builder(store.clone()).clock(clock).build().unwrap();
            let id = records(&*store).await[0].id();
            let tokens = service.all_owners();
            if what == SUSPEND {
                assert!(!tokens.suspend(id, incident()).await.unwrap().already_suspended);
            } else {
                let resumed = tokens.resume(id, ResumeRequest::new()).await.unwrap();
                assert_eq!(resumed.ended.len(), 1);
            }
        })
    });
    builder.build()
}

pub(crate) async fn suspend_after_same_suspension_is_already(stores: Stores) {
    let harness = contested(stores);
    let issued = harness.issue(backup()).await;
    harness.faulty().arm(&[Fault::None, Fault::Rival(SUSPEND)], Fault::None);
    let view = harness.service.owner("acme");
    let suspended = view.suspend(issued.record.id(), incident()).await.unwrap();
    assert!(suspended.already_suspended);
    assert_eq!(suspended.record.suspensions().len(), 1);
    assert_eq!(harness.refusal(&text(&issued)).await, Some(Refusal::Suspended));
}

pub(crate) async fn resume_after_same_resumption_ends_none(stores: Stores) {
    let harness = contested(stores);
    let issued = harness.issue(backup()).await;
    let view = harness.service.owner("acme");
    view.suspend(issued.record.id(), incident()).await.unwrap();
    harness.faulty().arm(&[Fault::None, Fault::Rival(RESUME)], Fault::None);
    let resumed = view.resume(issued.record.id(), ResumeRequest::new()).await.unwrap();
    assert_eq!(resumed.ended, []);
    assert_eq!(harness.refusal(&text(&issued)).await, None);
}

/// The token that suspends itself is refused when the lost write is looked up, because it is suspended.
pub(crate) async fn suspend_self_after_lost_answer_succeeds(stores: Stores) {
    let mut lost = 0;
    for before in 0..4 {
        let harness = contested(stores);
        let token = harness.caller(&["files:read"]).await;
        let script = [&[Fault::None; 4][..before], &[Fault::DoneAndLost]].concat();
        harness.faulty().arm(&script, Fault::None);
        let suspended = harness.service.on_behalf_of(&token).suspend_self(incident()).await;
        if harness.faulty().calls().contains(&(Op::Replace, Fault::DoneAndLost)) {
            assert!(!suspended.unwrap().already_suspended);
            lost += 1;
        }
    }
    assert_eq!(lost, 1);
}
