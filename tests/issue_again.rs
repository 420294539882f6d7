//! A request with an id of the caller's that is repeated: whatever has changed since, it says that the
//! token is there, and to its owner only.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use service_tokens::clock::{Clock, ManualClock};
use service_tokens::store::StoreError;
use service_tokens::{
    IssueRequest, ManageError, Policy, RevokeRequest, TokenId, TokenService, TokenStore,
};
use support::acting;
use support::{Fault, Faulty, HOUR, MINUTE, Open, any, builder, over_stores, records, text};

over_stores! {
    whatever_refuses_it_by_now_it_says_that_the_token_exists,
    on_behalf_of_a_token_too,
    another_owner_s_token_is_not_told_of,
    an_id_under_which_there_is_none_is_refused_as_before,
    a_store_that_cannot_tell_says_so,
}

const SECOND: Duration = Duration::from_secs(1);

#[track_caller]
fn exists(outcome: Result<service_tokens::Issued, ManageError>, id: TokenId) {
    assert!(matches!(outcome, Err(ManageError::Exists { id: of }) if of == id), "{outcome:?}");
}

fn request(id: TokenId) -> IssueRequest {
    IssueRequest::new("connector", "backup").id(id)
}

/// Each with the request that is made twice, and what refuses the second.
async fn whatever_refuses_it_by_now_it_says_that_the_token_exists(open: Open) {
    for reason in ["end", "hour", "stop", "last place", "type", "text", "revoked"] {
        let opened = open();
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

async fn on_behalf_of_a_token_too(open: Open) {
    let scene = acting::scene(open);
    let manager = acting::request(&acting::MANAGER).expires_in(MINUTE);
    let manager = scene.issue(manager).await;
    let token = scene.verified(&manager).await;
    let id = scene.service.new_id().unwrap();
    let below = || acting::files().expires_in(59 * SECOND).id(id);
    let issued = scene.service.on_behalf_of(&token).issue(below()).await.unwrap();
    // By now it would end after the token that asks for it.
    scene.clock.advance(Duration::from_millis(1_500));
    exists(scene.service.on_behalf_of(&token).issue(below()).await, id);
    scene.service.verify(&text(&issued), &any()).await.unwrap();
    scene.service.pause_issuing("INC-42").await.unwrap();
    exists(scene.service.on_behalf_of(&token).issue(below()).await, id);
    // Whoever is not accepted any more learns nothing.
    scene.clock.advance(MINUTE);
    let refused = scene.service.on_behalf_of(&token).issue(below()).await;
    assert!(matches!(refused, Err(ManageError::NotPermitted(_))), "{refused:?}");
}

async fn another_owner_s_token_is_not_told_of(open: Open) {
    let scene = acting::scene(open);
    let id = scene.service.new_id().unwrap();
    let globex = IssueRequest::new("files", "theirs").id(id);
    let _ = scene.service.owner("globex").issue(globex.clone()).await.unwrap();
    let token = scene.acting(&acting::MANAGER).await;
    scene.service.pause_issuing("INC-42").await.unwrap();
    let stopped = |outcome| matches!(outcome, Err(ManageError::IssuingPaused { .. }));
    assert!(stopped(scene.service.owner("acme").issue(acting::files().id(id)).await));
    assert!(stopped(scene.service.on_behalf_of(&token).issue(acting::files().id(id)).await));
    // Also where the request names that owner.
    assert!(stopped(scene.service.on_behalf_of(&token).issue(globex).await));
}

async fn an_id_under_which_there_is_none_is_refused_as_before(open: Open) {
    let opened = open();
    let clock = Arc::new(ManualClock::default());
    let service = builder(opened.store.clone()).clock(clock.clone()).build().unwrap();
    let id = service.new_id().unwrap();
    clock.advance(HOUR + SECOND);
    let refused = service.owner("acme").issue(request(id)).await;
    assert!(matches!(refused, Err(ManageError::Invalid(_))), "{refused:?}");
    assert!(records(&*opened.store).await.is_empty());
}

async fn a_store_that_cannot_tell_says_so(open: Open) {
    let opened = open();
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
