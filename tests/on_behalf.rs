//! What a token may do with other tokens: by which scope, for whom, and as what it is at that moment.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use service_tokens::error::NotPermitted;
use service_tokens::event::Operation;
use service_tokens::{
    Event, Filter, IssueRequest, ListRequest, ManageError, Refusal, Requirement, ReservedScope,
    RevokeRequest, RotateRequest, TokenId, TokenService, VerifiedToken,
};
use support::acting::{
    MANAGER, builder, files, not_active, not_permitted, request, scene, token_type,
};
use support::{HOUR, MINUTE, Open, Remote, SharedStore, any, over_stores, text};

over_stores! {
    each_act_needs_its_scope_before_an_id_is_looked_at,
    the_record_is_read_again_for_each_act,
    a_kept_record_does_not_count,
    an_older_secret_acts_as_long_as_it_lives,
    a_token_that_was_verified_elsewhere_is_none_here,
    another_owner_does_not_exist,
    it_revokes_what_may_do_more,
    its_own_id_is_itself,
    a_service_that_issues_nothing_issues_nothing_on_behalf,
    events_say_who_asked,
    acts_can_be_sent_to_other_threads,
}

/// Every act on another token, as its name and what became of it.
async fn all_acts(
    service: &TokenService<SharedStore>,
    token: &VerifiedToken,
    id: TokenId,
) -> Vec<(ReservedScope, Result<(), ManageError>)> {
    let acts = service.on_behalf_of(token);
    vec![
        (ReservedScope::Issue, acts.issue(request(&["x"])).await.map(drop)),
        (ReservedScope::Read, acts.get(id).await.map(drop)),
        (ReservedScope::Read, acts.list(ListRequest::new()).await.map(drop)),
        (ReservedScope::Rotate, acts.rotate(id, RotateRequest::at_once()).await.map(drop)),
        (ReservedScope::Revoke, acts.revoke(id, RevokeRequest::new()).await.map(drop)),
    ]
}

async fn each_act_needs_its_scope_before_an_id_is_looked_at(open: Open) {
    let scene = scene(open);
    let known = scene.issue(request(&["x"])).await.record.id();
    let foreign = IssueRequest::new("files", "f");
    let foreign = scene.service.owner("globex").issue(foreign).await.unwrap().record.id();
    let unknown = TokenId::from_bytes([7; 16]);
    for scope in ReservedScope::ALL {
        let token = scene.acting(&["x", "*", scope.as_str()]).await;
        for id in [known, foreign, unknown] {
            for (needed, outcome) in all_acts(&scene.service, &token, id).await {
                if needed == scope {
                    assert!(!matches!(outcome, Err(ManageError::NotPermitted(_))), "{outcome:?}");
                } else {
                    assert_eq!(not_permitted(outcome), NotPermitted::MissingScope(needed));
                }
            }
        }
    }
    let fresh = scene.issue(request(&["x"])).await.record.id();
    let token = scene.acting(&["x", "service-tokens:*"]).await;
    for (_, outcome) in all_acts(&scene.service, &token, fresh).await {
        outcome.unwrap();
    }
}

async fn the_record_is_read_again_for_each_act(open: Open) {
    let scopes = ["x", "service-tokens:*"];
    let deaths: [(&str, Refusal); 5] = [
        ("revoked", Refusal::Revoked),
        ("expired", Refusal::Expired),
        ("its secret ended", Refusal::SecretEnded),
        ("its secret ended, and others since", Refusal::SecretEnded),
        ("removed", Refusal::UnknownId),
    ];
    for (death, refusal) in deaths {
        let scene = scene(open);
        let issued = scene.issue(request(&scopes).expires_in(HOUR)).await;
        let target = scene.issue(request(&["x"])).await.record.id();
        let (id, token) = (issued.record.id(), scene.verified(&issued).await);
        let everyone = scene.service.all_owners();
        match death {
            "revoked" => scene.revoke(id).await,
            "expired" => scene.advance(HOUR),
            "removed" => {
                let version = scene.store.find(id).await.unwrap().unwrap().version;
                scene.store.remove(id, version).await.unwrap();
            }
            "its secret ended" => {
                let _ = everyone.rotate(id, RotateRequest::at_once()).await.unwrap();
            }
            _ => {
                for _ in 0..3 {
                    let _ = everyone.rotate(id, RotateRequest::at_once()).await.unwrap();
                }
            }
        }
        let before = support::records(&*scene.store).await;
        for (_, outcome) in all_acts(&scene.service, &token, target).await {
            assert_eq!(not_active(outcome), refusal, "{death}");
        }
        for (_, outcome) in all_acts(&scene.service, &token, id).await {
            assert_eq!(not_active(outcome), refusal, "{death}, about itself");
        }
        assert_eq!(support::records(&*scene.store).await, before, "{death}");
    }

    // Narrowed, or its type unknown: the same records behind a service with other types.
    let scene = scene(open);
    let token = scene.acting(&scopes).await;
    let target = scene.issue(request(&["x"])).await.record.id();
    let narrowed = scene.elsewhere([token_type("all", &["x", "service-tokens:read"])]);
    for (needed, outcome) in all_acts(&narrowed, &token, target).await {
        if needed == ReservedScope::Read {
            outcome.unwrap();
        } else {
            assert_eq!(not_permitted(outcome), NotPermitted::MissingScope(needed));
        }
    }
    for (_, outcome) in all_acts(&scene.elsewhere([]), &token, target).await {
        assert_eq!(not_active(outcome), Refusal::UnknownType);
    }
}

async fn a_kept_record_does_not_count(open: Open) {
    let scene = scene(open);
    let remote = Arc::new(Remote::new(scene.store.clone()));
    let keeping = builder(remote.clone(), scene.clock.clone()).cache_records(HOUR, 100);
    let keeping = keeping.build().unwrap();
    let issued = scene.issue(request(&["service-tokens:read"])).await;
    let verify = || async { keeping.verify(&text(&issued), &any()).await };
    let token = verify().await.unwrap();
    remote.finds();
    let read = keeping.on_behalf_of(&token).list(ListRequest::new()).await.unwrap();
    assert_eq!((remote.finds(), read.items.len()), (1, 1));
    // Revoked in another process: the kept record says yes, and the store no.
    scene.revoke(issued.record.id()).await;
    let token = verify().await.unwrap();
    let outcome = keeping.on_behalf_of(&token).list(ListRequest::new()).await;
    assert_eq!(not_active(outcome), Refusal::Revoked);
    // What was learnt by the way is not forgotten.
    assert_eq!(verify().await.unwrap_err().refusal(), Some(Refusal::Revoked));
}

async fn an_older_secret_acts_as_long_as_it_lives(open: Open) {
    let scene = scene(open);
    let issued = scene.issue(request(&["service-tokens:read"])).await;
    let older = scene.verified(&issued).await;
    let overlap = RotateRequest::with_overlap(MINUTE);
    let rotated = scene.service.owner("acme").rotate(issued.record.id(), overlap).await.unwrap();
    let newer = scene.verified(&rotated).await;
    let list = async |token: &VerifiedToken| {
        scene.service.on_behalf_of(token).list(ListRequest::new()).await.map(drop)
    };
    list(&older).await.unwrap();
    list(&newer).await.unwrap();
    scene.advance(MINUTE);
    assert_eq!(not_active(list(&older).await), Refusal::SecretEnded);
    list(&newer).await.unwrap();
}

async fn a_token_that_was_verified_elsewhere_is_none_here(open: Open) {
    let (here, there) = (scene(open), scene(open));
    let issued = there.issue(request(&["service-tokens:*"])).await;
    let token = there.verified(&issued).await;
    let acts = here.service.on_behalf_of(&token);
    assert_eq!(not_active(acts.list(ListRequest::new()).await), Refusal::UnknownId);
    // The same id, another token: of another owner, or of another time.
    let id = issued.record.id();
    let _ = here.service.owner("globex").issue(IssueRequest::new("all", "g").id(id)).await;
    assert_eq!(not_active(acts.list(ListRequest::new()).await), Refusal::UnknownId);
    assert_eq!(not_active(acts.get(id).await), Refusal::UnknownId);
    assert_eq!(not_active(acts.revoke_self(RevokeRequest::new()).await), Refusal::UnknownId);
    let later = scene(open);
    later.advance(MINUTE);
    let _ = later.issue(request(&["service-tokens:*"]).id(id)).await;
    let acts = later.service.on_behalf_of(&token);
    assert_eq!(not_active(acts.list(ListRequest::new()).await), Refusal::UnknownId);
    assert_eq!(not_active(acts.revoke_self(RevokeRequest::new()).await), Refusal::UnknownId);
}

async fn another_owner_does_not_exist(open: Open) {
    let scene = scene(open);
    let token = scene.acting(&["*", "service-tokens:*"]).await;
    let acts = scene.service.on_behalf_of(&token);
    let foreign =
        scene.service.owner("globex").issue(IssueRequest::new("files", "f")).await.unwrap();
    let (id, unknown) = (foreign.record.id(), TokenId::from_bytes([7; 16]));
    let told = |outcome: Result<(), ManageError>| {
        let error = outcome.unwrap_err();
        assert!(matches!(error, ManageError::NotFound { .. }), "{error:?}");
        let text = format!("{error} {error:?}");
        text.replace(&id.to_string(), "ID").replace(&unknown.to_string(), "ID")
    };
    for dead in [false, true] {
        assert_eq!(told(acts.get(id).await.map(drop)), told(acts.get(unknown).await.map(drop)));
        assert_eq!(
            told(acts.rotate(id, RotateRequest::at_once()).await.map(drop)),
            told(acts.rotate(unknown, RotateRequest::at_once()).await.map(drop))
        );
        assert_eq!(
            told(acts.revoke(id, RevokeRequest::new()).await.map(drop)),
            told(acts.revoke(unknown, RevokeRequest::new()).await.map(drop))
        );
        for query in [
            ListRequest::from(Filter::new().owner("globex")),
            ListRequest::from(Filter::new().owner("globex")).after(unknown),
        ] {
            let page = acts.list(query).await.unwrap();
            assert_eq!((page.items.len(), page.next), (0, None));
        }
        let all = acts
            .list(ListRequest::from(Filter::new().states(service_tokens::store::States::ALL)))
            .await
            .unwrap();
        assert!(all.items.iter().all(|stored| stored.record.owner() == "acme"));
        if !dead {
            scene.service.verify(&text(&foreign), &any()).await.unwrap();
            scene.revoke(id).await;
        }
    }
    let issued = acts.issue(IssueRequest::new("files", "f")).await.unwrap();
    assert_eq!(issued.record.owner(), "acme");
}

async fn it_revokes_what_may_do_more(open: Open) {
    let scene = scene(open);
    let token = scene.acting(&["service-tokens:revoke"]).await;
    let acts = scene.service.on_behalf_of(&token);
    let stronger = scene.issue(request(&["*", "service-tokens:*"])).await;
    let words = || RevokeRequest::new().by("cleaner").reason("left");
    let revoked = acts.revoke(stronger.record.id(), words()).await.unwrap();
    assert!(!revoked.already_revoked);
    assert_eq!(revoked.record.revocation().unwrap().by.as_deref(), Some("cleaner"));
    assert!(acts.revoke(stronger.record.id(), words()).await.unwrap().already_revoked);
    assert!(scene.service.verify(&text(&stronger), &any()).await.is_err());
}

async fn its_own_id_is_itself(open: Open) {
    let scene = scene(open);
    // Without any scope.
    let plain = scene.acting(&["x"]).await;
    let acts = scene.service.on_behalf_of(&plain);
    assert_eq!(acts.get(plain.id()).await.unwrap().record.id(), plain.id());
    let missing = NotPermitted::MissingScope(ReservedScope::RotateSelf);
    let rotation = RotateRequest::at_once;
    assert_eq!(not_permitted(acts.rotate(plain.id(), rotation()).await), missing);
    assert!(!acts.revoke(plain.id(), RevokeRequest::new()).await.unwrap().already_revoked);
    // To rotate others is not to rotate itself.
    let manager = scene.acting(&MANAGER).await;
    let acts = scene.service.on_behalf_of(&manager);
    assert_eq!(not_permitted(acts.rotate(manager.id(), rotation()).await), missing);
    let own = scene.acting(&["service-tokens:rotate-self"]).await;
    let acts = scene.service.on_behalf_of(&own);
    let rotated = acts.rotate(own.id(), rotation()).await.unwrap();
    assert!(rotated.record.issuers().is_empty());
    assert_eq!(scene.verified(&rotated).await.id(), own.id());
}

async fn a_service_that_issues_nothing_issues_nothing_on_behalf(open: Open) {
    let scene = scene(open);
    let token = scene.acting(&MANAGER).await;
    scene.service.pause_issuing("INC-42").await.unwrap();
    let outcome = scene.service.on_behalf_of(&token).issue(files()).await;
    assert!(matches!(outcome, Err(ManageError::IssuingPaused { .. })), "{outcome:?}");
    assert_eq!(support::records(&*scene.store).await.len(), 1);
    scene.service.resume_issuing();
    let _ = scene.service.on_behalf_of(&token).issue(files()).await.unwrap();
}

async fn events_say_who_asked(open: Open) {
    let scene = scene(open);
    let token = scene.acting(&["x", "service-tokens:*"]).await;
    let target = scene.issue(request(&["x"])).await.record.id();
    let _ = scene.collected.take(&scene.service);
    for (_, outcome) in all_acts(&scene.service, &token, target).await {
        outcome.unwrap();
    }
    let acts = scene.service.on_behalf_of(&token);
    let _ = acts.revoke(target, RevokeRequest::new()).await.unwrap();
    let _ = acts.get_self().await.unwrap();
    let _ = acts.rotate_self(RotateRequest::with_overlap(HOUR)).await.unwrap();
    let _ = acts.revoke_self(RevokeRequest::new()).await.unwrap();
    let asked: Vec<(&str, Option<TokenId>)> = scene
        .collected
        .take(&scene.service)
        .iter()
        .map(|event| match event {
            Event::Issued { on_behalf_of, .. } => ("issued", *on_behalf_of),
            Event::Read { on_behalf_of, .. } => ("read", *on_behalf_of),
            Event::Listed { on_behalf_of, .. } => ("listed", *on_behalf_of),
            Event::Rotated { on_behalf_of, .. } => ("rotated", *on_behalf_of),
            Event::Revoked { on_behalf_of, .. } => ("revoked", *on_behalf_of),
            Event::AlreadyRevoked { on_behalf_of, .. } => ("already", *on_behalf_of),
            other => panic!("{other:?}"),
        })
        .collect();
    let names =
        ["issued", "read", "listed", "rotated", "revoked", "already", "read", "rotated", "revoked"];
    assert_eq!(asked, names.map(|name| (name, Some(token.id()))));

    // Now it is dead, and each act is one event that says so.
    for (_, outcome) in all_acts(&scene.service, &token, target).await {
        assert_eq!(not_active(outcome), Refusal::Revoked);
    }
    let failed: Vec<(Operation, Option<TokenId>, Option<TokenId>)> = scene
        .collected
        .take(&scene.service)
        .iter()
        .map(|event| match event {
            Event::Failed { operation, id, on_behalf_of, .. } => (*operation, *id, *on_behalf_of),
            other => panic!("{other:?}"),
        })
        .collect();
    let (who, about) = (Some(token.id()), Some(target));
    let expected = [
        (Operation::Issue, None, who),
        (Operation::Get, about, who),
        (Operation::List, None, who),
        (Operation::Rotate, about, who),
        (Operation::Revoke, about, who),
    ];
    assert_eq!(failed, expected);
}

async fn acts_can_be_sent_to_other_threads(open: Open) {
    fn sent<T: Send>(_: &T) {}
    let scene = scene(open);
    let token = scene.acting(&["x"]).await;
    let acts = scene.service.on_behalf_of(&token);
    sent(&acts);
    sent(&acts.issue(files()));
    sent(&acts.get(token.id()));
    sent(&acts.list(ListRequest::new()));
    sent(&acts.rotate(token.id(), RotateRequest::at_once()));
    sent(&acts.revoke(token.id(), RevokeRequest::new()));
    sent(&acts.get_self());
    sent(&acts.rotate_self(RotateRequest::at_once()));
    sent(&acts.revoke_self(RevokeRequest::new()));
    assert!(scene.service.verify("x", &Requirement::any_token()).await.is_err());
}
