//! Limits of a token that issues or rotates: its own scopes and lifetime. Its id is added to the issuers.

use super::harness::{
    DAY, HOUR, Harness, MANAGER, MICRO, Stores, any, builder, delta, expect_invalid,
    expect_not_permitted, files_request, records, scope_set, scoped_request, text, token_type,
};
use service_tokens::clock::Clock;
use service_tokens::error::NotPermitted;
use service_tokens::record::{Field, Rule};
use service_tokens::{
    Filter, IssueRequest, ListRequest, ManageError, Policy, RotateRequest, TokenId, VerifiedToken,
};

behaviours! {
    issue_beyond_caller_scopes_is_refused,
    issue_beyond_caller_end_is_refused,
    issued_token_names_its_issuers,
    issue_beyond_max_issuers_is_refused,
    rotate_stronger_token_is_refused,
    rotate_beyond_caller_end_is_refused,
    rotated_token_names_the_caller,
}

pub(crate) async fn issue_beyond_caller_scopes_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let token = harness.caller(&["files:*", "queue:push", "service-tokens:issue"]).await;
    let on_behalf = harness.service.on_behalf_of(&token);
    let allowed: [&[&str]; 4] = [
        &["files:upload"],
        &["files:*", "queue:push"],
        &["files:archive:*"],
        &["service-tokens:issue", "queue:push"],
    ];
    for scopes in allowed {
        let issued = on_behalf.issue(scoped_request(scopes)).await.unwrap();
        assert_eq!(issued.record.scopes(), scope_set(scopes).as_scopes());
        assert!(harness.service.verify(&text(&issued), &any()).await.is_ok());
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
    let before = records(&*harness.store).await;
    for scopes in beyond {
        expect_invalid(
            on_behalf.issue(scoped_request(scopes)).await,
            Field::Scopes,
            Rule::ExceedsCallerScopes,
        );
    }
    // A request without scopes means all scopes of the type.
    expect_invalid(
        on_behalf.issue(IssueRequest::new("all", "b")).await,
        Field::Scopes,
        Rule::ExceedsCallerScopes,
    );
    // Scopes beyond the type are refused, even if the caller has them.
    let beyond_type = files_request().scopes(scope_set(&["files:delete"]));
    expect_invalid(on_behalf.issue(beyond_type).await, Field::Scopes, Rule::NotContained);
    assert_eq!(records(&*harness.store).await, before);
    let whole = on_behalf.issue(files_request()).await.unwrap();
    assert_eq!(whole.record.scopes(), scope_set(&["files:read", "files:upload"]).as_scopes());

    // The present scopes of the caller are the limit: its type is narrower in this process.
    let narrow = builder(harness.store.clone()).clock(harness.clock.clone());
    let narrow = narrow.token_type(token_type("other", &["queue:push"])).build().unwrap();
    let token = harness.caller(&["files:read", "service-tokens:issue"]).await;
    let on_behalf = narrow.on_behalf_of(&token);
    expect_invalid(
        on_behalf.issue(files_request()).await,
        Field::Scopes,
        Rule::ExceedsCallerScopes,
    );
    expect_invalid(
        on_behalf.issue(IssueRequest::new("other", "b")).await,
        Field::Scopes,
        Rule::ExceedsCallerScopes,
    );
    let _ = on_behalf.issue(files_request().scopes(scope_set(&["files:read"]))).await.unwrap();
}

pub(crate) async fn issue_beyond_caller_end_is_refused(stores: Stores) {
    for outliving in [false, true] {
        let policy = Policy::new().allow_never(true).allow_outliving_issuer(outliving);
        let harness = Harness::with_policy(stores, policy);
        let token = scoped_request(&MANAGER).expires_in(DAY);
        let token = harness.verified(&harness.issue(token).await).await;
        let latest = token.expires_at().unwrap();
        let on_behalf = harness.service.on_behalf_of(&token);
        harness.advance(HOUR);

        let end = |outcome: Result<service_tokens::Issued, ManageError>| {
            outcome.unwrap().record.expires_at()
        };
        let ninety_days = harness.clock.now() + delta(90 * DAY);
        let default = if outliving { ninety_days } else { latest };
        assert_eq!(end(on_behalf.issue(files_request()).await), Some(default));
        assert_eq!(
            end(on_behalf.issue(files_request().expires_in(HOUR)).await),
            Some(harness.clock.now() + delta(HOUR))
        );
        assert_eq!(end(on_behalf.issue(files_request().expires_at(latest)).await), Some(latest));
        for later in [
            files_request().expires_at(latest + delta(MICRO)),
            files_request().expires_in(DAY),
            files_request().never_expires(),
        ] {
            let outcome = on_behalf.issue(later).await;
            if outliving {
                assert!(end(outcome).is_none_or(|end| end > latest));
            } else {
                expect_invalid(outcome, Field::ExpiresAt, Rule::OutlivesCaller { latest });
            }
        }
    }
    // A caller without an end sets no limit. The policy still does.
    let harness = Harness::with_policy(stores, Policy::new().allow_never(true));
    let token =
        harness.verified(&harness.issue(scoped_request(&MANAGER).never_expires()).await).await;
    let on_behalf = harness.service.on_behalf_of(&token);
    assert_eq!(
        on_behalf.issue(files_request().never_expires()).await.unwrap().record.expires_at(),
        None
    );
    let latest = harness.clock.now() + delta(366 * DAY);
    let beyond = on_behalf.issue(files_request().expires_in(367 * DAY)).await;
    expect_invalid(beyond, Field::ExpiresAt, Rule::TooLate { latest });
    // A default without an end is limited by the caller's end, too.
    let policy = Policy::new().allow_never(true).default_lifetime(None);
    let harness = Harness::with_policy(stores, policy);
    let token =
        harness.verified(&harness.issue(scoped_request(&MANAGER).expires_in(DAY)).await).await;
    let issued = harness.service.on_behalf_of(&token).issue(files_request()).await.unwrap();
    assert_eq!(issued.record.expires_at(), token.expires_at());
}

pub(crate) async fn issued_token_names_its_issuers(stores: Stores) {
    let harness = Harness::new(stores);
    let mut token = harness.caller(&MANAGER).await;
    let mut line = vec![token.id()];
    for _ in 0..3 {
        let child = scoped_request(&MANAGER).issued_by("alice");
        let child = harness.service.on_behalf_of(&token).issue(child).await.unwrap();
        assert_eq!(child.record.issuers(), line);
        assert_eq!((child.record.owner(), child.record.issued_by()), ("acme", Some("alice")));
        token = harness.verified(&child).await;
        line.insert(0, token.id());
    }
    for id in &line[1..] {
        let below = harness
            .service
            .owner("acme")
            .list(ListRequest::from(Filter::new().issuer(*id)))
            .await
            .unwrap();
        let expected = line.iter().position(|of| of == id).unwrap();
        assert_eq!(below.items.len(), expected);
    }
}

pub(crate) async fn issue_beyond_max_issuers_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let mut token = harness.caller(&MANAGER).await;
    for deep in 1..=16 {
        let child =
            harness.service.on_behalf_of(&token).issue(scoped_request(&MANAGER)).await.unwrap();
        assert_eq!(child.record.issuers().len(), deep);
        if deep == 16 {
            // The token that issued the last one may still rotate another token, which then has 16 issuers.
            let other = harness.issue(files_request().expires_in(HOUR)).await.record.id();
            let on_behalf = harness.service.on_behalf_of(&token);
            let rotated = on_behalf.rotate(other, RotateRequest::at_once()).await.unwrap();
            assert_eq!(rotated.record.issuers().len(), 16);
        }
        token = harness.verified(&child).await;
    }
    let before = records(&*harness.store).await;
    let deeper = harness.service.on_behalf_of(&token).issue(files_request()).await;
    expect_invalid(deeper, Field::Issuers, Rule::TooMany { max: 16 });
    // It does not obtain the secret of another token either.
    let other = harness.issue(files_request().expires_in(HOUR)).await.record.id();
    let rotated =
        harness.service.on_behalf_of(&token).rotate(other, RotateRequest::at_once()).await;
    expect_invalid(rotated, Field::Issuers, Rule::TooMany { max: 16 });
    assert_eq!(records(&*harness.store).await.len(), before.len() + 1);
    assert!(harness.record(other).await.issuers().is_empty());
}

pub(crate) async fn rotate_stronger_token_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let token = harness.caller(&MANAGER).await;
    let on_behalf = harness.service.on_behalf_of(&token);
    let at_once = RotateRequest::at_once;
    for scopes in [&["files:read"][..], &["files:*", "service-tokens:read"], &MANAGER] {
        let target = harness.issue(scoped_request(scopes).expires_in(DAY)).await;
        let rotated = on_behalf.rotate(target.record.id(), at_once()).await.unwrap();
        assert_eq!(harness.verified(&rotated).await.id(), target.record.id());
        assert!(harness.service.verify(&text(&target), &any()).await.is_err());
    }
    for scopes in [&["*"][..], &["files"], &["files:read", "x"], &["service-tokens:rotate-self"]] {
        let target = harness.issue(scoped_request(scopes).expires_in(DAY)).await;
        let before = harness.record(target.record.id()).await;
        let outcome = on_behalf.rotate(target.record.id(), at_once()).await;
        assert_eq!(expect_not_permitted(outcome), NotPermitted::ExceedsCaller);
        assert_eq!(harness.record(target.record.id()).await, before);
        harness.service.verify(&text(&target), &any()).await.unwrap();
    }
    // A type that is narrow now may become wide again, so the scopes of the issue are compared.
    let target =
        harness.issue(scoped_request(&["files:read", "x"]).expires_in(DAY)).await.record.id();
    let narrow = harness.with_types([token_type("all", &["files:*", "service-tokens:*"])]);
    let outcome = narrow.on_behalf_of(&token).rotate(target, at_once()).await;
    assert_eq!(expect_not_permitted(outcome), NotPermitted::ExceedsCaller);
    // The caller's present scopes are the limit.
    let wide = harness.caller(&["files:*", "x", "service-tokens:rotate"]).await;
    let outcome = narrow.on_behalf_of(&wide).rotate(target, at_once()).await;
    assert_eq!(expect_not_permitted(outcome), NotPermitted::ExceedsCaller);
    let _ = harness.service.on_behalf_of(&wide).rotate(target, at_once()).await.unwrap();
    // Only active tokens can be rotated.
    harness.revoke(target).await;
    let outcome = harness.service.on_behalf_of(&wide).rotate(target, at_once()).await;
    assert!(matches!(outcome, Err(ManageError::NotRotated(_))), "{outcome:?}");
}

pub(crate) async fn rotate_beyond_caller_end_is_refused(stores: Stores) {
    for outliving in [false, true] {
        let policy = Policy::new().allow_never(true).allow_outliving_issuer(outliving);
        let harness = Harness::with_policy(stores, policy);
        let token =
            harness.verified(&harness.issue(scoped_request(&MANAGER).expires_in(DAY)).await).await;
        let latest = token.expires_at().unwrap();
        let on_behalf = harness.service.on_behalf_of(&token);
        let at_once = RotateRequest::at_once;
        let later = latest + delta(MICRO);
        let cases = [
            (files_request().expires_at(latest), at_once(), true),
            (files_request().expires_at(latest), at_once().expires_in(HOUR), true),
            (files_request().expires_at(latest), at_once().expires_at(later), false),
            (files_request().expires_at(latest), at_once().never_expires(), false),
            (files_request().expires_at(later), at_once(), false),
            (files_request().never_expires(), at_once(), false),
            (files_request().expires_at(later), at_once().expires_at(latest), true),
            (files_request().never_expires(), at_once().expires_at(latest), true),
        ];
        for (target, rotation, contained) in cases {
            let target = harness.issue(target).await.record;
            let outcome = on_behalf.rotate(target.id(), rotation).await;
            if contained || outliving {
                assert!(outcome.is_ok(), "{outcome:?}");
            } else {
                expect_invalid(outcome, Field::ExpiresAt, Rule::OutlivesCaller { latest });
                assert_eq!(harness.record(target.id()).await, target);
            }
        }
    }
}

pub(crate) async fn rotated_token_names_the_caller(stores: Stores) {
    let harness = Harness::new(stores);
    let root = harness.caller(&MANAGER).await;
    let child = harness.service.on_behalf_of(&root).issue(scoped_request(&MANAGER)).await.unwrap();
    let child = harness.verified(&child).await;
    let other = harness.caller(&MANAGER).await;
    let target =
        harness.service.on_behalf_of(&other).issue(scoped_request(&MANAGER)).await.unwrap();
    let id = target.record.id();
    let rotate = async |token: &VerifiedToken, id: TokenId| {
        let rotation = RotateRequest::at_once();
        harness.service.on_behalf_of(token).rotate(id, rotation).await.unwrap()
    };
    let rotated = rotate(&child, id).await;
    assert_eq!(rotated.record.issuers(), [child.id(), root.id(), other.id()]);
    assert_eq!(rotated.record, harness.record(id).await);
    // Each issuer occurs once, the nearest first.
    assert_eq!(rotate(&other, id).await.record.issuers(), [other.id(), child.id(), root.id()]);
    assert_eq!(rotate(&root, id).await.record.issuers(), [root.id(), other.id(), child.id()]);
    // A rotation by the embedder leaves the issuers unchanged.
    let plain = harness.service.owner("acme").rotate(id, RotateRequest::at_once()).await.unwrap();
    assert_eq!(plain.record.issuers(), [root.id(), other.id(), child.id()]);
    // A token never rotates one of its issuers, so no token becomes its own issuer.
    let target = harness.verified(&plain).await;
    for issuer in [root.id(), other.id(), child.id()] {
        let on_behalf = harness.service.on_behalf_of(&target);
        let refused = on_behalf.rotate(issuer, RotateRequest::at_once()).await;
        assert_eq!(expect_not_permitted(refused), NotPermitted::OwnIssuer);
    }
    let below = harness.service.on_behalf_of(&target).issue(files_request()).await.unwrap();
    assert_eq!(below.record.issuers(), [id, root.id(), other.id(), child.id()]);
}
