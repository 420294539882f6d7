//! Operations of a token on other tokens: by scope, owner and state.

use std::sync::Arc;

use super::harness::{
    HOUR, Harness, MANAGER, MINUTE, Remote, SharedStore, Stores, any, builder, expect_not_active,
    expect_not_permitted, files_request, records, scoped_request, text, token_type,
};
use service_tokens::error::NotPermitted;
use service_tokens::event::Operation;
use service_tokens::{
    Event, Filter, IssueRequest, ListRequest, ManageError, Refusal, Requirement, ReservedScope,
    RevokeRequest, RotateRequest, TokenId, TokenService, VerifiedToken,
};

behaviours! {
    operation_without_scope_reveals_no_id,
    caller_record_is_read_for_each_operation,
    caller_is_judged_without_cache,
    older_secret_acts_until_it_ends,
    caller_of_another_store_is_refused,
    caller_cannot_see_other_owners,
    caller_may_revoke_stronger_tokens,
    caller_id_is_treated_as_self,
    issue_on_behalf_while_paused_is_refused,
    events_name_the_calling_token,
    on_behalf_futures_are_send,
}

/// Runs every operation on another token, and returns the required scopes and the outcomes.
async fn all_operations(
    service: &TokenService<SharedStore>,
    token: &VerifiedToken,
    id: TokenId,
) -> Vec<(ReservedScope, Result<(), ManageError>)> {
    let on_behalf = service.on_behalf_of(token);
    vec![
        (ReservedScope::Issue, on_behalf.issue(scoped_request(&["x"])).await.map(drop)),
        (ReservedScope::Read, on_behalf.get(id).await.map(drop)),
        (ReservedScope::Read, on_behalf.list(ListRequest::new()).await.map(drop)),
        (ReservedScope::Read, on_behalf.count(Filter::new()).await.map(drop)),
        (ReservedScope::Rotate, on_behalf.rotate(id, RotateRequest::at_once()).await.map(drop)),
        (ReservedScope::Revoke, on_behalf.revoke(id, RevokeRequest::new()).await.map(drop)),
    ]
}

pub(crate) async fn operation_without_scope_reveals_no_id(stores: Stores) {
    let harness = Harness::new(stores);
    let known = harness.issue(scoped_request(&["x"])).await.record.id();
    let foreign = IssueRequest::new("files", "f");
    let foreign = harness.issue_for("globex", foreign).await.record.id();
    let unknown = TokenId::from_bytes([7; 16]);
    for scope in ReservedScope::ALL {
        let token = harness.caller(&["x", "*", scope.as_str()]).await;
        for id in [known, foreign, unknown] {
            for (needed, outcome) in all_operations(&harness.service, &token, id).await {
                if needed == scope {
                    assert!(!matches!(outcome, Err(ManageError::NotPermitted(_))), "{outcome:?}");
                } else {
                    assert_eq!(expect_not_permitted(outcome), NotPermitted::MissingScope(needed));
                }
            }
        }
    }
    let fresh = harness.issue(scoped_request(&["x"])).await.record.id();
    let token = harness.caller(&["x", "service-tokens:*"]).await;
    for (_, outcome) in all_operations(&harness.service, &token, fresh).await {
        outcome.unwrap();
    }
}

pub(crate) async fn caller_record_is_read_for_each_operation(stores: Stores) {
    let scopes = ["x", "service-tokens:*"];
    let endings: [(&str, Refusal); 5] = [
        ("revoked", Refusal::Revoked),
        ("expired", Refusal::Expired),
        ("its secret ended", Refusal::SecretEnded),
        ("its secret ended, and others since", Refusal::SecretEnded),
        ("removed", Refusal::UnknownId),
    ];
    for (ending, refusal) in endings {
        let harness = Harness::new(stores);
        let issued = harness.issue(scoped_request(&scopes).expires_in(HOUR)).await;
        let target = harness.issue(scoped_request(&["x"])).await.record.id();
        let (id, token) = (issued.record.id(), harness.verified(&issued).await);
        let everyone = harness.service.all_owners();
        match ending {
            "revoked" => harness.revoke(id).await,
            "expired" => harness.advance(HOUR),
            "removed" => {
                let version = harness.store.find(id).await.unwrap().unwrap().version;
                harness.store.remove(id, version).await.unwrap();
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
        let before = records(&*harness.store).await;
        for (_, outcome) in all_operations(&harness.service, &token, target).await {
            assert_eq!(expect_not_active(outcome), refusal, "{ending}");
        }
        for (_, outcome) in all_operations(&harness.service, &token, id).await {
            assert_eq!(expect_not_active(outcome), refusal, "{ending}, about itself");
        }
        assert_eq!(records(&*harness.store).await, before, "{ending}");
    }

    // The same records in a service with a narrower type, or without the type.
    let harness = Harness::new(stores);
    let token = harness.caller(&scopes).await;
    let target = harness.issue(scoped_request(&["x"])).await.record.id();
    let narrowed = harness.with_types([token_type("all", &["x", "service-tokens:read"])]);
    for (needed, outcome) in all_operations(&narrowed, &token, target).await {
        if needed == ReservedScope::Read {
            outcome.unwrap();
        } else {
            assert_eq!(expect_not_permitted(outcome), NotPermitted::MissingScope(needed));
        }
    }
    for (_, outcome) in all_operations(&harness.with_types([]), &token, target).await {
        assert_eq!(expect_not_active(outcome), Refusal::UnknownType);
    }
}

pub(crate) async fn caller_is_judged_without_cache(stores: Stores) {
    let harness = Harness::new(stores);
    let remote = Arc::new(Remote::new(harness.store.clone()));
    let cached = builder(remote.clone()).clock(harness.clock.clone()).cache_records(HOUR, 100);
    let cached = cached.build().unwrap();
    let issued = harness.issue(scoped_request(&["service-tokens:read"])).await;
    let verify = || async { cached.verify(&text(&issued), &any()).await };
    let token = verify().await.unwrap();
    remote.finds();
    let read = cached.on_behalf_of(&token).list(ListRequest::new()).await.unwrap();
    assert_eq!((remote.finds(), read.items.len()), (1, 1));
    // Another process revokes it. The cached record accepts it, and the store does not.
    harness.revoke(issued.record.id()).await;
    let token = verify().await.unwrap();
    let outcome = cached.on_behalf_of(&token).list(ListRequest::new()).await;
    assert_eq!(expect_not_active(outcome), Refusal::Revoked);
    // The operation replaced the cached record.
    assert_eq!(verify().await.unwrap_err().refusal(), Some(Refusal::Revoked));
}

pub(crate) async fn older_secret_acts_until_it_ends(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(scoped_request(&["service-tokens:read"])).await;
    let older = harness.verified(&issued).await;
    let overlap = RotateRequest::with_overlap(MINUTE);
    let rotated = harness.service.owner("acme").rotate(issued.record.id(), overlap).await.unwrap();
    let newer = harness.verified(&rotated).await;
    let list = async |token: &VerifiedToken| {
        harness.service.on_behalf_of(token).list(ListRequest::new()).await.map(drop)
    };
    list(&older).await.unwrap();
    list(&newer).await.unwrap();
    harness.advance(MINUTE);
    assert_eq!(expect_not_active(list(&older).await), Refusal::SecretEnded);
    list(&newer).await.unwrap();
}

pub(crate) async fn caller_of_another_store_is_refused(stores: Stores) {
    let (here, there) = (Harness::new(stores), Harness::new(stores));
    let issued = there.issue(scoped_request(&["service-tokens:*"])).await;
    let token = there.verified(&issued).await;
    let on_behalf = here.service.on_behalf_of(&token);
    assert_eq!(expect_not_active(on_behalf.list(ListRequest::new()).await), Refusal::UnknownId);
    // The same id for another token: of another owner, or of another time.
    let id = issued.record.id();
    let _ = here.issue_for("globex", IssueRequest::new("all", "g").id(id)).await;
    assert_eq!(expect_not_active(on_behalf.list(ListRequest::new()).await), Refusal::UnknownId);
    assert_eq!(expect_not_active(on_behalf.get(id).await), Refusal::UnknownId);
    assert_eq!(
        expect_not_active(on_behalf.revoke_self(RevokeRequest::new()).await),
        Refusal::UnknownId
    );
    let later = Harness::new(stores);
    later.advance(MINUTE);
    let _ = later.issue(scoped_request(&["service-tokens:*"]).id(id)).await;
    let on_behalf = later.service.on_behalf_of(&token);
    assert_eq!(expect_not_active(on_behalf.list(ListRequest::new()).await), Refusal::UnknownId);
    assert_eq!(
        expect_not_active(on_behalf.revoke_self(RevokeRequest::new()).await),
        Refusal::UnknownId
    );
}

pub(crate) async fn caller_cannot_see_other_owners(stores: Stores) {
    let harness = Harness::new(stores);
    let token = harness.caller(&["*", "service-tokens:*"]).await;
    let on_behalf = harness.service.on_behalf_of(&token);
    let foreign = harness.issue_for("globex", IssueRequest::new("files", "f")).await;
    let (id, unknown) = (foreign.record.id(), TokenId::from_bytes([7; 16]));
    let not_found = |outcome: Result<(), ManageError>| {
        let error = outcome.unwrap_err();
        assert!(matches!(error, ManageError::NotFound { .. }), "{error:?}");
        let text = format!("{error} {error:?}");
        text.replace(&id.to_string(), "ID").replace(&unknown.to_string(), "ID")
    };
    for revoked_before in [false, true] {
        assert_eq!(
            not_found(on_behalf.get(id).await.map(drop)),
            not_found(on_behalf.get(unknown).await.map(drop))
        );
        assert_eq!(
            not_found(on_behalf.rotate(id, RotateRequest::at_once()).await.map(drop)),
            not_found(on_behalf.rotate(unknown, RotateRequest::at_once()).await.map(drop))
        );
        assert_eq!(
            not_found(on_behalf.revoke(id, RevokeRequest::new()).await.map(drop)),
            not_found(on_behalf.revoke(unknown, RevokeRequest::new()).await.map(drop))
        );
        for query in [
            ListRequest::from(Filter::new().owner("globex")),
            ListRequest::from(Filter::new().owner("globex")).after(unknown),
        ] {
            let page = on_behalf.list(query).await.unwrap();
            assert_eq!((page.items.len(), page.next), (0, None));
        }
        let all = on_behalf
            .list(ListRequest::from(Filter::new().states(service_tokens::store::States::ALL)))
            .await
            .unwrap();
        assert!(all.items.iter().all(|stored| stored.record.owner() == "acme"));
        if !revoked_before {
            harness.service.verify(&text(&foreign), &any()).await.unwrap();
            harness.revoke(id).await;
        }
    }
    let issued = on_behalf.issue(IssueRequest::new("files", "f")).await.unwrap();
    assert_eq!(issued.record.owner(), "acme");
}

pub(crate) async fn caller_may_revoke_stronger_tokens(stores: Stores) {
    let harness = Harness::new(stores);
    let token = harness.caller(&["service-tokens:revoke"]).await;
    let on_behalf = harness.service.on_behalf_of(&token);
    let stronger = harness.issue(scoped_request(&["*", "service-tokens:*"])).await;
    let words = || RevokeRequest::new().by("cleaner").reason("left");
    let revoked = on_behalf.revoke(stronger.record.id(), words()).await.unwrap();
    assert!(!revoked.already_revoked);
    assert_eq!(revoked.record.revocation().unwrap().by.as_deref(), Some("cleaner"));
    assert!(on_behalf.revoke(stronger.record.id(), words()).await.unwrap().already_revoked);
    assert!(harness.service.verify(&text(&stronger), &any()).await.is_err());
}

pub(crate) async fn caller_id_is_treated_as_self(stores: Stores) {
    let harness = Harness::new(stores);
    // Without any scope.
    let plain = harness.caller(&["x"]).await;
    let on_behalf = harness.service.on_behalf_of(&plain);
    assert_eq!(on_behalf.get(plain.id()).await.unwrap().record.id(), plain.id());
    let missing = NotPermitted::MissingScope(ReservedScope::RotateSelf);
    let rotation = RotateRequest::at_once;
    assert_eq!(expect_not_permitted(on_behalf.rotate(plain.id(), rotation()).await), missing);
    assert!(!on_behalf.revoke(plain.id(), RevokeRequest::new()).await.unwrap().already_revoked);
    // The scope for other tokens does not permit rotating itself.
    let manager = harness.caller(&MANAGER).await;
    let on_behalf = harness.service.on_behalf_of(&manager);
    assert_eq!(expect_not_permitted(on_behalf.rotate(manager.id(), rotation()).await), missing);
    let own = harness.caller(&["service-tokens:rotate-self"]).await;
    let on_behalf = harness.service.on_behalf_of(&own);
    let rotated = on_behalf.rotate(own.id(), rotation()).await.unwrap();
    assert!(rotated.record.issuers().is_empty());
    assert_eq!(harness.verified(&rotated).await.id(), own.id());
}

pub(crate) async fn issue_on_behalf_while_paused_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let token = harness.caller(&MANAGER).await;
    harness.service.pause_issuing("INC-42").await.unwrap();
    let outcome = harness.service.on_behalf_of(&token).issue(files_request()).await;
    assert!(matches!(outcome, Err(ManageError::IssuingPaused { .. })), "{outcome:?}");
    assert_eq!(records(&*harness.store).await.len(), 1);
    harness.service.resume_issuing();
    let _ = harness.service.on_behalf_of(&token).issue(files_request()).await.unwrap();
}

pub(crate) async fn events_name_the_calling_token(stores: Stores) {
    let harness = Harness::new(stores);
    let token = harness.caller(&["x", "service-tokens:*"]).await;
    let target = harness.issue(scoped_request(&["x"])).await.record.id();
    let _ = harness.collected.take(&harness.service);
    for (_, outcome) in all_operations(&harness.service, &token, target).await {
        outcome.unwrap();
    }
    let on_behalf = harness.service.on_behalf_of(&token);
    let _ = on_behalf.revoke(target, RevokeRequest::new()).await.unwrap();
    let _ = on_behalf.get_self().await.unwrap();
    let _ = on_behalf.rotate_self(RotateRequest::with_overlap(HOUR)).await.unwrap();
    let _ = on_behalf.revoke_self(RevokeRequest::new()).await.unwrap();
    let asked: Vec<(&str, Option<TokenId>)> = harness
        .collected
        .take(&harness.service)
        .iter()
        .map(|event| match event {
            Event::Issued { on_behalf_of, .. } => ("issued", *on_behalf_of),
            Event::Read { on_behalf_of, .. } => ("read", *on_behalf_of),
            Event::Listed { on_behalf_of, .. } => ("listed", *on_behalf_of),
            Event::Counted { on_behalf_of, .. } => ("counted", *on_behalf_of),
            Event::Rotated { on_behalf_of, .. } => ("rotated", *on_behalf_of),
            Event::Revoked { on_behalf_of, .. } => ("revoked", *on_behalf_of),
            Event::AlreadyRevoked { on_behalf_of, .. } => ("already", *on_behalf_of),
            other => panic!("{other:?}"),
        })
        .collect();
    let names = [
        "issued", "read", "listed", "counted", "rotated", "revoked", "already", "read", "rotated",
        "revoked",
    ];
    assert_eq!(asked, names.map(|name| (name, Some(token.id()))));

    // The caller has ended, and each operation is one event that reports it.
    for (_, outcome) in all_operations(&harness.service, &token, target).await {
        assert_eq!(expect_not_active(outcome), Refusal::Revoked);
    }
    let failed: Vec<(Operation, Option<TokenId>, Option<TokenId>)> = harness
        .collected
        .take(&harness.service)
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
        (Operation::Count, None, who),
        (Operation::Rotate, about, who),
        (Operation::Revoke, about, who),
    ];
    assert_eq!(failed, expected);
}

pub(crate) async fn on_behalf_futures_are_send(stores: Stores) {
    fn sent<T: Send>(_: &T) {}
    let harness = Harness::new(stores);
    let token = harness.caller(&["x"]).await;
    let on_behalf = harness.service.on_behalf_of(&token);
    sent(&on_behalf);
    sent(&on_behalf.issue(files_request()));
    sent(&on_behalf.get(token.id()));
    sent(&on_behalf.list(ListRequest::new()));
    sent(&on_behalf.rotate(token.id(), RotateRequest::at_once()));
    sent(&on_behalf.revoke(token.id(), RevokeRequest::new()));
    sent(&on_behalf.get_self());
    sent(&on_behalf.rotate_self(RotateRequest::at_once()));
    sent(&on_behalf.revoke_self(RevokeRequest::new()));
    assert!(harness.service.verify("x", &Requirement::any_token()).await.is_err());
}
