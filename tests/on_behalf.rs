//! What a token may do with other tokens: by which scope, for whom, how much and for how long.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use service_tokens::{
    Act, Clock, Event, Field, IssueRequest, ManageError, Need, NotPermitted, Policy, Query,
    Refusal, ReservedScope, RevokeRequest, RotateRequest, Rule, TokenId, VerifiedToken,
};
use support::acting::{
    Scene, builder, not_active, not_permitted, request, scene, scene_with, set, token_type,
};
use support::scene::{delta, refused};
use support::{DAY, HOUR, MICRO, MINUTE, Open, Remote, any, over_stores, text};

over_stores! {
    each_act_needs_its_scope_before_an_id_is_looked_at,
    the_record_is_read_again_for_each_act,
    a_kept_record_does_not_count,
    an_older_secret_acts_as_long_as_it_lives,
    a_token_that_was_verified_elsewhere_is_none_here,
    what_it_issues_is_contained_in_its_scopes,
    what_it_issues_ends_with_it,
    what_it_issues_names_its_issuers,
    the_chain_of_issuers_has_an_end,
    another_owner_does_not_exist,
    it_rotates_what_may_do_no_more,
    what_it_rotates_ends_with_it,
    what_it_rotates_names_it,
    it_revokes_what_may_do_more,
    its_own_id_is_itself,
    events_say_who_asked,
    acts_can_be_sent_to_other_threads,
}

const MANAGER: [&str; 5] = [
    "files:*",
    "service-tokens:read",
    "service-tokens:issue",
    "service-tokens:rotate",
    "service-tokens:revoke",
];

fn files() -> IssueRequest {
    IssueRequest::new("acme", "files", "backup")
}

/// Every act on another token, as its name and what became of it.
async fn all_acts(
    scene: &Scene,
    token: &VerifiedToken,
    id: TokenId,
) -> Vec<(ReservedScope, Result<(), ManageError>)> {
    let acts = scene.service.on_behalf_of(token);
    vec![
        (ReservedScope::Issue, acts.issue(request(&["x"])).await.map(drop)),
        (ReservedScope::Read, acts.get(id).await.map(drop)),
        (ReservedScope::Read, acts.list(Query::new()).await.map(drop)),
        (ReservedScope::Rotate, acts.rotate(id, RotateRequest::at_once()).await.map(drop)),
        (ReservedScope::Revoke, acts.revoke(id, RevokeRequest::new()).await.map(drop)),
    ]
}

async fn each_act_needs_its_scope_before_an_id_is_looked_at(open: Open) {
    let scene = scene(open);
    let known = scene.issue(request(&["x"])).await.record.id();
    let foreign = IssueRequest::new("globex", "files", "f");
    let foreign = scene.issue(foreign).await.record.id();
    let unknown = TokenId::from_bytes([7; 16]);
    for scope in ReservedScope::ALL {
        let token = scene.acting(&["x", "*", scope.as_str()]).await;
        for id in [known, foreign, unknown] {
            for (needed, outcome) in all_acts(&scene, &token, id).await {
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
    for (_, outcome) in all_acts(&scene, &token, fresh).await {
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
        let everyone = scene.service.every_owner();
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
        for (_, outcome) in all_acts(&scene, &token, target).await {
            assert_eq!(not_active(outcome), refusal, "{death}");
        }
        for (_, outcome) in all_acts(&scene, &token, id).await {
            assert_eq!(not_active(outcome), refusal, "{death}, about itself");
        }
        assert_eq!(support::records(&*scene.store).await, before, "{death}");
    }

    // Narrowed, or its type unknown: the same records behind a service with other types.
    let scene = scene(open);
    let token = scene.acting(&scopes).await;
    let target = scene.issue(request(&["x"])).await.record.id();
    let mut narrowed = support::acting::scene(open);
    let types = |scopes: &[&str]| {
        service_tokens::TokenService::builder(scene.store.clone(), "acme_live")
            .token_type(token_type("all", scopes))
            .clock(scene.clock.clone())
            .build()
            .unwrap()
    };
    narrowed.service = types(&["x", "service-tokens:read"]);
    for (needed, outcome) in all_acts(&narrowed, &token, target).await {
        if needed == ReservedScope::Read {
            outcome.unwrap();
        } else {
            assert_eq!(not_permitted(outcome), NotPermitted::MissingScope(needed));
        }
    }
    narrowed.service = service_tokens::TokenService::builder(scene.store.clone(), "acme_live")
        .clock(scene.clock.clone())
        .build()
        .unwrap();
    for (_, outcome) in all_acts(&narrowed, &token, target).await {
        assert_eq!(not_active(outcome), Refusal::UnknownType);
    }
}

async fn a_kept_record_does_not_count(open: Open) {
    let scene = scene(open);
    let remote = Arc::new(Remote::new(scene.store.clone()));
    let keeping = builder(remote.clone(), scene.clock.clone()).keep_records(HOUR, 100);
    let keeping = keeping.build().unwrap();
    let issued = scene.issue(request(&["service-tokens:read"])).await;
    let verify = || async { keeping.verify(&text(&issued), &any()).await };
    let token = verify().await.unwrap();
    remote.finds();
    let read = keeping.on_behalf_of(&token).list(Query::new()).await.unwrap();
    assert_eq!((remote.finds(), read.items.len()), (1, 1));
    // Revoked in another process: the kept record says yes, and the store no.
    scene.revoke(issued.record.id()).await;
    let token = verify().await.unwrap();
    let outcome = keeping.on_behalf_of(&token).list(Query::new()).await;
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
        scene.service.on_behalf_of(token).list(Query::new()).await.map(drop)
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
    assert_eq!(not_active(acts.list(Query::new()).await), Refusal::UnknownId);
    // The same id, another token: of another owner, or of another time.
    let id = issued.record.id();
    let _ = here.issue(IssueRequest::new("globex", "all", "g").id(id)).await;
    assert_eq!(not_active(acts.list(Query::new()).await), Refusal::UnknownId);
    assert_eq!(not_active(acts.get(id).await), Refusal::UnknownId);
    assert_eq!(not_active(acts.revoke_self(RevokeRequest::new()).await), Refusal::UnknownId);
    let later = scene(open);
    later.advance(MINUTE);
    let _ = later.issue(request(&["service-tokens:*"]).id(id)).await;
    let acts = later.service.on_behalf_of(&token);
    assert_eq!(not_active(acts.list(Query::new()).await), Refusal::UnknownId);
    assert_eq!(not_active(acts.revoke_self(RevokeRequest::new()).await), Refusal::UnknownId);
}

async fn what_it_issues_is_contained_in_its_scopes(open: Open) {
    let scene = scene(open);
    let token = scene.acting(&["files:*", "queue:push", "service-tokens:issue"]).await;
    let acts = scene.service.on_behalf_of(&token);
    let allowed: [&[&str]; 4] = [
        &["files:upload"],
        &["files:*", "queue:push"],
        &["files:archive:*"],
        &["service-tokens:issue", "queue:push"],
    ];
    for scopes in allowed {
        let issued = acts.issue(request(scopes)).await.unwrap();
        assert_eq!(issued.record.scopes(), set(scopes).as_scopes());
        assert!(scene.service.verify(&text(&issued), &any()).await.is_ok());
    }
    let beyond: [&[&str]; 7] = [
        &["files"],
        &["*"],
        &["queue:*"],
        &["files:upload", "queue:pop"],
        &["service-tokens:read"],
        &["service-tokens:*"],
        &["service-tokens:rotate-self"],
    ];
    let before = support::records(&*scene.store).await;
    for scopes in beyond {
        refused(acts.issue(request(scopes)).await, Field::Scopes, Rule::BeyondActing);
    }
    // Without scopes in the request it is the whole type's that count.
    refused(
        acts.issue(IssueRequest::new("acme", "all", "b")).await,
        Field::Scopes,
        Rule::BeyondActing,
    );
    // Nor may it be more than the type allows, whatever the acting token may.
    let beyond_type = files().scopes(set(&["files:delete"]));
    refused(acts.issue(beyond_type).await, Field::Scopes, Rule::NotContained);
    assert_eq!(support::records(&*scene.store).await, before);
    let whole = acts.issue(files()).await.unwrap();
    assert_eq!(whole.record.scopes(), set(&["files:read", "files:upload"]).as_scopes());

    // What counts is what it may do now: its type is narrower in this process.
    let narrow = builder(scene.store.clone(), scene.clock.clone());
    let narrow = narrow.token_type(token_type("other", &["queue:push"])).build().unwrap();
    let token = scene.acting(&["files:read", "service-tokens:issue"]).await;
    let acts = narrow.on_behalf_of(&token);
    refused(acts.issue(files()).await, Field::Scopes, Rule::BeyondActing);
    refused(
        acts.issue(IssueRequest::new("acme", "other", "b")).await,
        Field::Scopes,
        Rule::BeyondActing,
    );
    let _ = acts.issue(files().scopes(set(&["files:read"]))).await.unwrap();
}

async fn what_it_issues_ends_with_it(open: Open) {
    for outliving in [false, true] {
        let policy = Policy::new().allow_never(true).allow_outliving_issuer(outliving);
        let scene = scene_with(open, policy);
        let token = request(&MANAGER).expires_in(DAY);
        let token = scene.verified(&scene.issue(token).await).await;
        let latest = token.expires_at().unwrap();
        let acts = scene.service.on_behalf_of(&token);
        scene.advance(HOUR);

        let end = |outcome: Result<service_tokens::Issued, ManageError>| {
            outcome.unwrap().record.expires_at()
        };
        let ninety_days = scene.clock.now() + delta(90 * DAY);
        let default = if outliving { ninety_days } else { latest };
        assert_eq!(end(acts.issue(files()).await), Some(default));
        assert_eq!(
            end(acts.issue(files().expires_in(HOUR)).await),
            Some(scene.clock.now() + delta(HOUR))
        );
        assert_eq!(end(acts.issue(files().expires_at(latest)).await), Some(latest));
        for later in [
            files().expires_at(latest + delta(MICRO)),
            files().expires_in(DAY),
            files().never_expires(),
        ] {
            let outcome = acts.issue(later).await;
            if outliving {
                assert!(end(outcome).is_none_or(|end| end > latest));
            } else {
                refused(outcome, Field::ExpiresAt, Rule::OutlivesActing { latest });
            }
        }
    }
    // A token without an end bounds nothing, and the policy goes on counting.
    let scene = scene_with(open, Policy::new().allow_never(true));
    let token = scene.verified(&scene.issue(request(&MANAGER).never_expires()).await).await;
    let acts = scene.service.on_behalf_of(&token);
    assert_eq!(acts.issue(files().never_expires()).await.unwrap().record.expires_at(), None);
    let latest = scene.clock.now() + delta(366 * DAY);
    let beyond = acts.issue(files().expires_in(367 * DAY)).await;
    refused(beyond, Field::ExpiresAt, Rule::TooLate { latest });
    // A default of no end ends with it too.
    let policy = Policy::new().allow_never(true).default_lifetime(None);
    let scene = scene_with(open, policy);
    let token = scene.verified(&scene.issue(request(&MANAGER).expires_in(DAY)).await).await;
    let issued = scene.service.on_behalf_of(&token).issue(files()).await.unwrap();
    assert_eq!(issued.record.expires_at(), token.expires_at());
}

async fn what_it_issues_names_its_issuers(open: Open) {
    let scene = scene(open);
    let mut token = scene.acting(&MANAGER).await;
    let mut line = vec![token.id()];
    for _ in 0..3 {
        let child = request(&MANAGER).issued_by("alice");
        let child = scene.service.on_behalf_of(&token).issue(child).await.unwrap();
        assert_eq!(child.record.issuers(), line);
        assert_eq!((child.record.owner(), child.record.issued_by()), ("acme", Some("alice")));
        token = scene.verified(&child).await;
        line.insert(0, token.id());
    }
    for id in &line[1..] {
        let below = scene.service.owner("acme").list(Query::new().issuer(*id)).await.unwrap();
        let expected = line.iter().position(|of| of == id).unwrap();
        assert_eq!(below.items.len(), expected);
    }
}

async fn the_chain_of_issuers_has_an_end(open: Open) {
    let scene = scene(open);
    let mut token = scene.acting(&MANAGER).await;
    for deep in 1..=16 {
        let child = scene.service.on_behalf_of(&token).issue(request(&MANAGER)).await.unwrap();
        assert_eq!(child.record.issuers().len(), deep);
        token = scene.verified(&child).await;
    }
    let before = support::records(&*scene.store).await;
    let deeper = scene.service.on_behalf_of(&token).issue(files()).await;
    refused(deeper, Field::Issuers, Rule::TooMany { most: 16 });
    // Nor does it come to know a secret of others.
    let other = scene.issue(files().expires_in(HOUR)).await.record.id();
    let rotated = scene.service.on_behalf_of(&token).rotate(other, RotateRequest::at_once()).await;
    refused(rotated, Field::Issuers, Rule::TooMany { most: 16 });
    assert_eq!(support::records(&*scene.store).await.len(), before.len() + 1);
    assert!(scene.record(other).await.issuers().is_empty());
}

async fn another_owner_does_not_exist(open: Open) {
    let scene = scene(open);
    let token = scene.acting(&["*", "service-tokens:*"]).await;
    let acts = scene.service.on_behalf_of(&token);
    let foreign = scene.issue(IssueRequest::new("globex", "files", "f")).await;
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
        for query in [Query::new().owner("globex"), Query::new().owner("globex").after(unknown)] {
            let page = acts.list(query).await.unwrap();
            assert_eq!((page.items.len(), page.next), (0, None));
        }
        let all = acts.list(Query::new().states(service_tokens::States::ALL)).await.unwrap();
        assert!(all.items.iter().all(|stored| stored.record.owner() == "acme"));
        if !dead {
            scene.service.verify(&text(&foreign), &any()).await.unwrap();
            scene.revoke(id).await;
        }
    }
    for owner in ["globex", "Acme", "acme "] {
        let outcome = acts.issue(IssueRequest::new(owner, "files", "f")).await;
        refused(outcome, Field::Owner, Rule::NotActings);
    }
}

async fn it_rotates_what_may_do_no_more(open: Open) {
    let scene = scene(open);
    let token = scene.acting(&MANAGER).await;
    let acts = scene.service.on_behalf_of(&token);
    let at_once = RotateRequest::at_once;
    for scopes in [&["files:read"][..], &["files:*", "service-tokens:read"], &MANAGER] {
        let target = scene.issue(request(scopes).expires_in(DAY)).await;
        let rotated = acts.rotate(target.record.id(), at_once()).await.unwrap();
        assert_eq!(scene.verified(&rotated).await.id(), target.record.id());
        assert!(scene.service.verify(&text(&target), &any()).await.is_err());
    }
    for scopes in [&["*"][..], &["files"], &["files:read", "x"], &["service-tokens:rotate-self"]] {
        let target = scene.issue(request(scopes).expires_in(DAY)).await;
        let before = scene.record(target.record.id()).await;
        let outcome = acts.rotate(target.record.id(), at_once()).await;
        assert_eq!(not_permitted(outcome), NotPermitted::MayMore);
        assert_eq!(scene.record(target.record.id()).await, before);
        scene.service.verify(&text(&target), &any()).await.unwrap();
    }
    // A type that is narrow today may be wide again tomorrow: what counts is what was issued.
    let target = scene.issue(request(&["files:read", "x"]).expires_in(DAY)).await.record.id();
    let types = ["files:*", "service-tokens:*"];
    let narrow = service_tokens::TokenService::builder(scene.store.clone(), "acme_live")
        .token_type(token_type("all", &types))
        .clock(scene.clock.clone())
        .build()
        .unwrap();
    let outcome = narrow.on_behalf_of(&token).rotate(target, at_once()).await;
    assert_eq!(not_permitted(outcome), NotPermitted::MayMore);
    // And of the acting one, what it may do now.
    let wide = scene.acting(&["files:*", "x", "service-tokens:rotate"]).await;
    let outcome = narrow.on_behalf_of(&wide).rotate(target, at_once()).await;
    assert_eq!(not_permitted(outcome), NotPermitted::MayMore);
    let _ = scene.service.on_behalf_of(&wide).rotate(target, at_once()).await.unwrap();
    // Only active ones rotate, as ever.
    scene.revoke(target).await;
    let outcome = scene.service.on_behalf_of(&wide).rotate(target, at_once()).await;
    assert!(matches!(outcome, Err(ManageError::NotRotated(_))), "{outcome:?}");
}

async fn what_it_rotates_ends_with_it(open: Open) {
    for outliving in [false, true] {
        let policy = Policy::new().allow_never(true).allow_outliving_issuer(outliving);
        let scene = scene_with(open, policy);
        let token = scene.verified(&scene.issue(request(&MANAGER).expires_in(DAY)).await).await;
        let latest = token.expires_at().unwrap();
        let acts = scene.service.on_behalf_of(&token);
        let at_once = RotateRequest::at_once;
        let later = latest + delta(MICRO);
        let cases = [
            (files().expires_at(latest), at_once(), true),
            (files().expires_at(latest), at_once().expires_in(HOUR), true),
            (files().expires_at(latest), at_once().expires_at(later), false),
            (files().expires_at(latest), at_once().never_expires(), false),
            (files().expires_at(later), at_once(), false),
            (files().never_expires(), at_once(), false),
            (files().expires_at(later), at_once().expires_at(latest), true),
            (files().never_expires(), at_once().expires_at(latest), true),
        ];
        for (target, rotation, contained) in cases {
            let target = scene.issue(target).await.record;
            let outcome = acts.rotate(target.id(), rotation).await;
            if contained || outliving {
                assert!(outcome.is_ok(), "{outcome:?}");
            } else {
                refused(outcome, Field::ExpiresAt, Rule::OutlivesActing { latest });
                assert_eq!(scene.record(target.id()).await, target);
            }
        }
    }
}

async fn what_it_rotates_names_it(open: Open) {
    let scene = scene(open);
    let root = scene.acting(&MANAGER).await;
    let child = scene.service.on_behalf_of(&root).issue(request(&MANAGER)).await.unwrap();
    let child = scene.verified(&child).await;
    let other = scene.acting(&MANAGER).await;
    let target = scene.service.on_behalf_of(&other).issue(request(&MANAGER)).await.unwrap();
    let id = target.record.id();
    let rotate = async |token: &VerifiedToken, id: TokenId| {
        let rotation = RotateRequest::at_once();
        scene.service.on_behalf_of(token).rotate(id, rotation).await.unwrap()
    };
    let rotated = rotate(&child, id).await;
    assert_eq!(rotated.record.issuers(), [child.id(), root.id(), other.id()]);
    assert_eq!(rotated.record, scene.record(id).await);
    // Each once, the nearest first.
    assert_eq!(rotate(&other, id).await.record.issuers(), [other.id(), child.id(), root.id()]);
    assert_eq!(rotate(&root, id).await.record.issuers(), [root.id(), other.id(), child.id()]);
    // The embedder's own rotation adds nobody and takes away nobody.
    let plain = scene.service.owner("acme").rotate(id, RotateRequest::at_once()).await.unwrap();
    assert_eq!(plain.record.issuers(), [root.id(), other.id(), child.id()]);
    // A token that rotates one of its issuers: neither becomes its own.
    let target = scene.verified(&plain).await;
    let rotated = rotate(&target, root.id()).await;
    assert_eq!(rotated.record.issuers(), [id, other.id(), child.id()]);
    let root = scene.verified(&rotated).await;
    let rotated = rotate(&root, id).await;
    assert_eq!(rotated.record.issuers(), [root.id(), other.id(), child.id()]);
    let below = scene.service.on_behalf_of(&root).issue(files()).await.unwrap();
    assert_eq!(below.record.issuers(), [root.id(), id, other.id(), child.id()]);
}

async fn it_revokes_what_may_do_more(open: Open) {
    let scene = scene(open);
    let token = scene.acting(&["service-tokens:revoke"]).await;
    let acts = scene.service.on_behalf_of(&token);
    let stronger = scene.issue(request(&["*", "service-tokens:*"])).await;
    let words = || RevokeRequest::new().by("cleaner").reason("left");
    let revoked = acts.revoke(stronger.record.id(), words()).await.unwrap();
    assert!(!revoked.already);
    assert_eq!(revoked.record.revocation().unwrap().by.as_deref(), Some("cleaner"));
    assert!(acts.revoke(stronger.record.id(), words()).await.unwrap().already);
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
    assert!(!acts.revoke(plain.id(), RevokeRequest::new()).await.unwrap().already);
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

async fn events_say_who_asked(open: Open) {
    let scene = scene(open);
    let token = scene.acting(&["x", "service-tokens:*"]).await;
    let target = scene.issue(request(&["x"])).await.record.id();
    let _ = scene.collected.take(&scene.service);
    for (_, outcome) in all_acts(&scene, &token, target).await {
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
            Event::RevokedAlready { on_behalf_of, .. } => ("already", *on_behalf_of),
            other => panic!("{other:?}"),
        })
        .collect();
    let names =
        ["issued", "read", "listed", "rotated", "revoked", "already", "read", "rotated", "revoked"];
    assert_eq!(asked, names.map(|name| (name, Some(token.id()))));

    // Now it is dead, and each act is one event that says so.
    for (_, outcome) in all_acts(&scene, &token, target).await {
        assert_eq!(not_active(outcome), Refusal::Revoked);
    }
    let failed: Vec<(Act, Option<TokenId>, Option<TokenId>)> = scene
        .collected
        .take(&scene.service)
        .iter()
        .map(|event| match event {
            Event::Failed { act, id, on_behalf_of, .. } => (*act, *id, *on_behalf_of),
            other => panic!("{other:?}"),
        })
        .collect();
    let (who, about) = (Some(token.id()), Some(target));
    let expected = [
        (Act::Issue, None, who),
        (Act::Get, about, who),
        (Act::List, None, who),
        (Act::Rotate, about, who),
        (Act::Revoke, about, who),
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
    sent(&acts.list(Query::new()));
    sent(&acts.rotate(token.id(), RotateRequest::at_once()));
    sent(&acts.revoke(token.id(), RevokeRequest::new()));
    sent(&acts.get_self());
    sent(&acts.rotate_self(RotateRequest::at_once()));
    sent(&acts.revoke_self(RevokeRequest::new()));
    assert!(scene.service.verify("x", &Need::authenticated()).await.is_err());
}
