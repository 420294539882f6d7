//! What a token issues or rotates: never more than itself, never for longer, and known to be its doing.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use service_tokens::clock::Clock;
use service_tokens::error::NotPermitted;
use service_tokens::record::{Field, Rule};
use service_tokens::{
    Filter, IssueRequest, ListRequest, ManageError, Policy, RotateRequest, TokenId, VerifiedToken,
};
use support::acting::{
    MANAGER, builder, files, not_permitted, request, scene, scene_with, set, token_type,
};
use support::scene::{delta, refused};
use support::{DAY, HOUR, MICRO, Open, any, over_stores, text};

over_stores! {
    what_it_issues_is_contained_in_its_scopes,
    what_it_issues_ends_with_it,
    what_it_issues_names_its_issuers,
    the_chain_of_issuers_has_an_end,
    it_rotates_what_may_do_no_more,
    what_it_rotates_ends_with_it,
    what_it_rotates_names_it,
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
        refused(acts.issue(request(scopes)).await, Field::Scopes, Rule::ExceedsCallerScopes);
    }
    // Without scopes in the request it is the whole type's that count.
    refused(
        acts.issue(IssueRequest::new("all", "b")).await,
        Field::Scopes,
        Rule::ExceedsCallerScopes,
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
    refused(acts.issue(files()).await, Field::Scopes, Rule::ExceedsCallerScopes);
    refused(
        acts.issue(IssueRequest::new("other", "b")).await,
        Field::Scopes,
        Rule::ExceedsCallerScopes,
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
                refused(outcome, Field::ExpiresAt, Rule::OutlivesCaller { latest });
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
        let below = scene
            .service
            .owner("acme")
            .list(ListRequest::from(Filter::new().issuer(*id)))
            .await
            .unwrap();
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
    refused(deeper, Field::Issuers, Rule::TooMany { max: 16 });
    // Nor does it come to know a secret of others.
    let other = scene.issue(files().expires_in(HOUR)).await.record.id();
    let rotated = scene.service.on_behalf_of(&token).rotate(other, RotateRequest::at_once()).await;
    refused(rotated, Field::Issuers, Rule::TooMany { max: 16 });
    assert_eq!(support::records(&*scene.store).await.len(), before.len() + 1);
    assert!(scene.record(other).await.issuers().is_empty());
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
        assert_eq!(not_permitted(outcome), NotPermitted::ExceedsCaller);
        assert_eq!(scene.record(target.record.id()).await, before);
        scene.service.verify(&text(&target), &any()).await.unwrap();
    }
    // A type that is narrow today may be wide again tomorrow: what counts is what was issued.
    let target = scene.issue(request(&["files:read", "x"]).expires_in(DAY)).await.record.id();
    let narrow = scene.elsewhere([token_type("all", &["files:*", "service-tokens:*"])]);
    let outcome = narrow.on_behalf_of(&token).rotate(target, at_once()).await;
    assert_eq!(not_permitted(outcome), NotPermitted::ExceedsCaller);
    // And of the acting one, what it may do now.
    let wide = scene.acting(&["files:*", "x", "service-tokens:rotate"]).await;
    let outcome = narrow.on_behalf_of(&wide).rotate(target, at_once()).await;
    assert_eq!(not_permitted(outcome), NotPermitted::ExceedsCaller);
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
                refused(outcome, Field::ExpiresAt, Rule::OutlivesCaller { latest });
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
