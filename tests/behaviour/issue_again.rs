//! A repeated request with a chosen id reports that the token exists, and only to its owner.

use std::sync::Arc;
use std::time::Duration;

use super::harness::{
    Fault, Faulty, HOUR, Harness, MANAGER, MINUTE, Stores, any, builder, files_request, records,
    scoped_request, text,
};
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::store::StoreError;
use service_tokens::{
    IssueRequest, ManageError, Policy, RevokeRequest, TokenId, TokenService, TokenStore,
};

behaviours! {
    issue_again_reports_exists_before_refusals,
    issue_again_on_behalf_reports_exists,
    issue_again_hides_other_owners,
    issue_with_unused_old_id_is_refused,
    issue_again_without_store_is_unavailable,
}

const SECOND: Duration = Duration::from_secs(1);

#[track_caller]
fn exists(outcome: Result<service_tokens::Issued, ManageError>, id: TokenId) {
    assert!(matches!(outcome, Err(ManageError::Exists { id: of }) if of == id), "{outcome:?}");
}

fn request(id: TokenId) -> IssueRequest {
    IssueRequest::new("connector", "backup").id(id)
}

/// Each reason refuses the second request, which repeats the first.
pub(crate) async fn issue_again_reports_exists_before_refusals(stores: Stores) {
    for reason in ["end", "hour", "stop", "last place", "type", "text", "revoked"] {
        let opened = stores.open();
        let clock = Arc::new(ManualClock::default());
        let process = || builder(opened.store.clone()).clock(clock.clone());
        let mut service = process().build().unwrap();
        let id = service.new_id().unwrap();
        let mut request = request(id);
        if reason == "end" {
            request = request.expires_at(clock.now() + chrono::TimeDelta::seconds(2));
        }
        let _ = service.owner("acme").issue(request.clone()).await.unwrap();
        match reason {
            "end" => clock.advance(2 * SECOND),
            "hour" => clock.advance(HOUR + SECOND),
            "stop" => service.pause_issuing("INC-42").await.unwrap(),
            "last place" => {
                let policy = Policy::new().max_active_per_owner(1);
                service = process().policy(policy).build().unwrap();
            }
            "type" => {
                let bare = TokenService::builder(opened.store.clone(), "acme_live");
                service = bare.clock(clock.clone()).build().unwrap();
            }
            "text" => {
                service = process().policy(Policy::new().max_text_len(1)).build().unwrap();
            }
            _ => {
                let _ = service.owner("acme").revoke(id, RevokeRequest::new()).await.unwrap();
                service.pause_issuing("INC-42").await.unwrap();
            }
        }
        exists(service.owner("acme").issue(request).await, id);
        assert_eq!(records(&*opened.store).await.len(), 1, "{reason}");
    }
}

pub(crate) async fn issue_again_on_behalf_reports_exists(stores: Stores) {
    let harness = Harness::new(stores);
    let manager = scoped_request(&MANAGER).expires_in(MINUTE);
    let manager = harness.issue(manager).await;
    let token = harness.verified(&manager).await;
    let id = harness.service.new_id().unwrap();
    let below = || files_request().expires_in(59 * SECOND).id(id);
    let issued = harness.service.on_behalf_of(&token).issue(below()).await.unwrap();
    // Issued now, it would end after its caller.
    harness.clock.advance(Duration::from_millis(1_500));
    exists(harness.service.on_behalf_of(&token).issue(below()).await, id);
    harness.service.verify(&text(&issued), &any()).await.unwrap();
    harness.service.pause_issuing("INC-42").await.unwrap();
    exists(harness.service.on_behalf_of(&token).issue(below()).await, id);
    // A caller that is no longer accepted does not learn that the token exists.
    harness.clock.advance(MINUTE);
    let refused = harness.service.on_behalf_of(&token).issue(below()).await;
    assert!(matches!(refused, Err(ManageError::NotPermitted(_))), "{refused:?}");
}

pub(crate) async fn issue_again_hides_other_owners(stores: Stores) {
    let harness = Harness::new(stores);
    let id = harness.service.new_id().unwrap();
    let globex = IssueRequest::new("files", "theirs").id(id);
    let _ = harness.service.owner("globex").issue(globex).await.unwrap();
    let token = harness.caller(&MANAGER).await;
    harness.service.pause_issuing("INC-42").await.unwrap();
    let stopped = |outcome| matches!(outcome, Err(ManageError::IssuingPaused { .. }));
    assert!(stopped(harness.service.owner("acme").issue(files_request().id(id)).await));
    assert!(stopped(harness.service.on_behalf_of(&token).issue(files_request().id(id)).await));
}

pub(crate) async fn issue_with_unused_old_id_is_refused(stores: Stores) {
    let opened = stores.open();
    let clock = Arc::new(ManualClock::default());
    let service = builder(opened.store.clone()).clock(clock.clone()).build().unwrap();
    let id = service.new_id().unwrap();
    clock.advance(HOUR + SECOND);
    let refused = service.owner("acme").issue(request(id)).await;
    assert!(matches!(refused, Err(ManageError::Invalid(_))), "{refused:?}");
    assert!(records(&*opened.store).await.is_empty());
}

pub(crate) async fn issue_again_without_store_is_unavailable(stores: Stores) {
    let opened = stores.open();
    let store: Arc<dyn TokenStore> = opened.store.clone();
    let faulty = Arc::new(Faulty::new(store));
    let service = builder(faulty.clone()).build().unwrap();
    let id = service.new_id().unwrap();
    service.pause_issuing("INC-42").await.unwrap();
    faulty.arm(&[], Fault::Unavailable);
    let unknown = service.owner("acme").issue(request(id)).await;
    let Err(ManageError::Store(StoreError::Unavailable { .. })) = unknown else {
        panic!("{unknown:?}")
    };
}
