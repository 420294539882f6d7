//! Views of one owner, and threads that revoke and rotate at the same time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::harness::{SharedStore, Stores, any, builder, records, requirement, text};
use futures_lite::future::block_on;
use service_tokens::store::States;
use service_tokens::{
    Filter, IssueRequest, ListRequest, ManageError, Refusal, Requirement, RevokeRequest,
    RotateRequest, ScopeSet, State, TokenId, TokenService, TokenStore, TokenType, VerifyError,
};

behaviours! {
    view_hides_tokens_of_other_owners,
    view_lists_its_owner_only,
    view_filters_excess_store_answers,
    verify_requires_one_all_or_any_scopes,
    changed_type_narrows_and_never_widens,
    wildcard_scope_excludes_management,
    revoke_is_seen_by_every_thread,
    concurrent_revokes_have_one_first,
    concurrent_rotations_give_valid_secrets,
}

fn request() -> IssueRequest {
    IssueRequest::new("connector", "backup")
}

pub(crate) async fn view_hides_tokens_of_other_owners(stores: Stores) {
    let opened = stores.open();
    let service = builder(opened.store).build().unwrap();
    let issued = service.owner("acme").issue(request()).await.unwrap();
    let (id, unknown) = (issued.record.id(), TokenId::from_bytes([7; 16]));
    for owner in ["globex", "", "acm", "acmee", "Acme", "acme "] {
        let foreign = service.owner(owner);
        let message = |error: ManageError| {
            assert!(matches!(error, ManageError::NotFound { .. }), "{error:?}");
            // The error must be the same, word for word, as for an id that never existed.
            let text = format!("{error} {error:?}");
            text.replace(&id.to_string(), "ID").replace(&unknown.to_string(), "ID")
        };
        let rotation = RotateRequest::at_once;
        let pairs = [
            [foreign.get(id).await.map(drop), foreign.get(unknown).await.map(drop)],
            [
                foreign.rotate(id, rotation()).await.map(drop),
                foreign.rotate(unknown, rotation()).await.map(drop),
            ],
            [
                foreign.revoke(id, RevokeRequest::new()).await.map(drop),
                foreign.revoke(unknown, RevokeRequest::new()).await.map(drop),
            ],
        ];
        for pair in pairs {
            let [of_foreign, of_unknown] = pair.map(|outcome| message(outcome.unwrap_err()));
            assert_eq!(of_foreign, of_unknown);
        }
    }
    service.verify(&text(&issued), &any()).await.unwrap();
    // The same for a revoked token and an expired one, so the state is not revealed.
    service.owner("acme").revoke(id, RevokeRequest::new()).await.unwrap();
    for outcome in [
        service.owner("globex").rotate(id, RotateRequest::at_once()).await.map(drop),
        service.owner("globex").revoke(id, RevokeRequest::new()).await.map(drop),
    ] {
        assert!(matches!(outcome, Err(ManageError::NotFound { .. })));
    }
    assert!(service.all_owners().get(id).await.is_ok());
}

pub(crate) async fn view_lists_its_owner_only(stores: Stores) {
    let opened = stores.open();
    let service = builder(opened.store).build().unwrap();
    for _ in 0..3 {
        let _ = service.owner("acme").issue(request()).await.unwrap();
        let _ = service.owner("globex").issue(request()).await.unwrap();
    }
    let owners = async |page: Result<service_tokens::Page, ManageError>| -> Vec<String> {
        page.unwrap().items.iter().map(|stored| stored.record.owner().to_owned()).collect()
    };
    let acme = service.owner("acme");
    assert_eq!(owners(acme.list(ListRequest::new()).await).await, ["acme"; 3]);
    assert_eq!(
        owners(acme.list(ListRequest::from(Filter::new().owner("acme"))).await).await,
        ["acme"; 3]
    );
    // A full page without a cursor to hidden records. Records of other owners take no room on the page.
    let page = acme.list(ListRequest::new().limit(3)).await.unwrap();
    assert_eq!((page.items.len(), page.next), (3, None));
    let foreign = acme.list(ListRequest::from(Filter::new().owner("globex"))).await.unwrap();
    assert_eq!((foreign.items.len(), foreign.next), (0, None));
    // A cursor with the id of another owner's record returns none of that owner's records.
    let globex = service.owner("globex").list(ListRequest::new()).await.unwrap();
    for stored in globex.items {
        let behind = ListRequest::new().after(stored.record.id());
        assert!(owners(acme.list(behind).await).await.iter().all(|owner| owner == "acme"));
    }
    assert_eq!(owners(service.all_owners().list(ListRequest::new()).await).await.len(), 6);
    let all = service.all_owners().list(ListRequest::from(Filter::new().owner("globex"))).await;
    assert_eq!(owners(all).await, ["globex"; 3]);
}

/// A store with a broken filter.
struct BrokenFilter(SharedStore);

#[async_trait::async_trait]
impl TokenStore for BrokenFilter {
    async fn insert(
        &self,
        record: &service_tokens::Record,
    ) -> Result<service_tokens::store::Version, service_tokens::store::StoreError> {
        self.0.insert(record).await
    }

    async fn find(
        &self,
        id: TokenId,
    ) -> Result<Option<service_tokens::StoredRecord>, service_tokens::store::StoreError> {
        // Every record in the answer belongs to globex.
        let mut all = records(&*self.0).await.into_iter();
        let globex = all.find(|record| record.owner() == "globex");
        self.0.find(globex.map_or(id, |record| record.id())).await
    }

    async fn replace(
        &self,
        record: &service_tokens::Record,
        expected: service_tokens::store::Version,
    ) -> Result<service_tokens::store::Version, service_tokens::store::StoreError> {
        self.0.replace(record, expected).await
    }

    async fn remove(
        &self,
        id: TokenId,
        expected: service_tokens::store::Version,
    ) -> Result<(), service_tokens::store::StoreError> {
        self.0.remove(id, expected).await
    }

    async fn list(
        &self,
        _: &ListRequest,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Result<service_tokens::Page, service_tokens::store::StoreError> {
        self.0.list(&ListRequest::from(Filter::new().states(States::ALL)), now).await
    }
}

pub(crate) async fn view_filters_excess_store_answers(stores: Stores) {
    let opened = stores.open();
    let service = builder(BrokenFilter(opened.store)).build().unwrap();
    let first = service.owner("globex").issue(request()).await.unwrap();
    let second = service.owner("acme").issue(request()).await.unwrap();
    let page = service.owner("acme").list(ListRequest::new()).await.unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!(page.items[0].record.owner(), "acme");
    // A record with another id is treated as an error of the store, and its secret is not compared.
    for view in [Some("acme"), Some("globex"), None].map(|owner| service.owner_or_all(owner)) {
        let id = second.record.id();
        let got = view.get(id).await;
        assert!(matches!(got, Err(ManageError::Store(_))), "{got:?}");
        assert!(view.rotate(id, RotateRequest::at_once()).await.is_err());
        assert!(view.revoke(id, RevokeRequest::new()).await.is_err());
    }
    let outcome = service.verify(&text(&second), &any()).await;
    assert!(matches!(outcome, Err(VerifyError::Unavailable(_))), "{outcome:?}");
    service.verify(&text(&first), &any()).await.unwrap();
}

pub(crate) async fn verify_requires_one_all_or_any_scopes(stores: Stores) {
    let opened = stores.open();
    let service = builder(opened.store).build().unwrap();
    let scopes = ScopeSet::new(["files:*", "queue:push"]).unwrap();
    let request = IssueRequest::new("developer", "b").scopes(scopes);
    let token = text(&service.owner("acme").issue(request).await.unwrap());
    let all = |scopes: &[&str]| Requirement::all_of(scopes).unwrap();
    let any_of = |scopes: &[&str]| Requirement::any_of(scopes).unwrap();
    let permitted = [
        any(),
        requirement("files:read"),
        requirement("files:archive:read"),
        all(&["files:read", "queue:push"]),
        any_of(&["queue:pop", "queue:push"]),
        any_of(&["files:x"]),
    ];
    for requirement in permitted {
        let verified = service.verify(&token, &requirement).await.unwrap();
        assert!(verified.permits(&requirement));
    }
    let missing = [
        requirement("files"),
        requirement("queue:pop"),
        requirement("queue"),
        requirement("filesx:read"),
        requirement("Files:read"),
        all(&["files:read", "queue:pop"]),
        any_of(&["queue:pop", "queue"]),
    ];
    for requirement in missing {
        let outcome = service.verify(&token, &requirement).await;
        let Err(VerifyError::MissingScope(missing)) = outcome else {
            panic!("{requirement}: {outcome:?}")
        };
        assert_eq!(missing.requirement, requirement);
        assert!(!service.verify(&token, &any()).await.unwrap().permits(&requirement));
    }
}

pub(crate) async fn changed_type_narrows_and_never_widens(stores: Stores) {
    let opened = stores.open();
    let with = |scopes: &[&str]| {
        let changing = TokenType::new("changing", scopes).unwrap();
        TokenService::builder(opened.store.clone(), "acme_live")
            .token_type(changing)
            .build()
            .unwrap()
    };
    let request = IssueRequest::new("changing", "b");
    let token =
        text(&with(&["a:read", "a:write", "b:*"]).owner("acme").issue(request).await.unwrap());
    let narrower = with(&["a:read", "b:x"]);
    assert_eq!(narrower.verify(&token, &any()).await.unwrap().scopes().as_str(), "a:read b:x");
    assert!(narrower.verify(&token, &requirement("a:write")).await.is_err());
    assert!(narrower.verify(&token, &requirement("b:y")).await.is_err());
    // "Any" requires one scope that both permit, not a different scope on each side.
    let either = Requirement::any_of(["a:write", "c"]).unwrap();
    let outcome = with(&["a:read", "c"]).verify(&token, &either).await;
    assert!(matches!(outcome, Err(VerifyError::MissingScope(_))), "{outcome:?}");
    let wider = with(&["*"]);
    let scopes = wider.verify(&token, &any()).await.unwrap();
    assert_eq!(scopes.scopes().as_str(), "a:read a:write b:*");
    assert!(wider.verify(&token, &requirement("c")).await.is_err());
    let none: &[&str] = &[];
    assert!(with(none).verify(&token, &requirement("a:read")).await.is_err());
}

pub(crate) async fn wildcard_scope_excludes_management(stores: Stores) {
    let opened = stores.open();
    let service = builder(opened.store).build().unwrap();
    let request = IssueRequest::new("developer", "b");
    let token = text(&service.owner("acme").issue(request).await.unwrap());
    service.verify(&token, &requirement("anything:at:all")).await.unwrap();
    for reserved in ["service-tokens", "service-tokens:issue", "service-tokens:a:b"] {
        let outcome = service.verify(&token, &requirement(reserved)).await;
        assert!(matches!(outcome, Err(VerifyError::MissingScope(_))), "{reserved}");
    }
    service.verify(&token, &requirement("service-tokensx:issue")).await.unwrap();
}

pub(crate) async fn revoke_is_seen_by_every_thread(stores: Stores) {
    for _ in 0..20 {
        let opened = stores.open();
        let service = &builder(opened.store).build().unwrap();
        let issued = service.owner("acme").issue(request()).await.unwrap();
        let (id, token) = (issued.record.id(), &text(&issued));
        let (revoked, accepted) = (&AtomicBool::new(false), &AtomicUsize::new(0));
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(move || {
                    let mut after = 0;
                    while after < 50 {
                        let before = revoked.load(Ordering::SeqCst);
                        match block_on(service.verify(token, &any())) {
                            Ok(_) => {
                                assert!(!before, "accepted after the revocation had returned");
                                accepted.fetch_add(1, Ordering::SeqCst);
                            }
                            Err(error) => assert_eq!(error.refusal(), Some(Refusal::Revoked)),
                        }
                        after += usize::from(before);
                    }
                });
            }
            threads.spawn(move || {
                // Waits until the other threads are running.
                while accepted.load(Ordering::SeqCst) < 20 {
                    std::thread::yield_now();
                }
                block_on(service.owner("acme").revoke(id, RevokeRequest::new())).unwrap();
                revoked.store(true, Ordering::SeqCst);
            });
        });
    }
}

pub(crate) async fn concurrent_revokes_have_one_first(stores: Stores) {
    for _ in 0..20 {
        let opened = stores.open();
        let service = &builder(opened.store).build().unwrap();
        let id = service.owner("acme").issue(request()).await.unwrap().record.id();
        let firsts = &std::sync::Mutex::new(Vec::new());
        std::thread::scope(|threads| {
            for who in 0..8 {
                threads.spawn(move || {
                    let words = RevokeRequest::new().by(format!("{who}"));
                    let view = service.owner("acme");
                    let revoked = block_on(view.revoke(id, words)).unwrap();
                    assert_eq!(revoked.record.state(service.now()), State::Revoked);
                    if !revoked.already_revoked {
                        firsts.lock().unwrap().push(format!("{who}"));
                    }
                });
            }
        });
        let firsts = firsts.lock().unwrap().clone();
        assert_eq!(firsts.len(), 1, "{firsts:?}");
        let record = service.all_owners().get(id).await.unwrap().record;
        assert_eq!(record.revocation().unwrap().by.as_deref(), Some(&*firsts[0]));
    }
}

pub(crate) async fn concurrent_rotations_give_valid_secrets(stores: Stores) {
    let opened = stores.open();
    let service = &builder(opened.store.clone()).build().unwrap();
    let issued = service.owner("acme").issue(request()).await.unwrap();
    let id = issued.record.id();
    let secrets = &std::sync::Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(move || {
                let view = service.owner("acme");
                match block_on(view.rotate(id, RotateRequest::at_once())) {
                    Ok(rotated) => secrets.lock().unwrap().push(text(&rotated)),
                    Err(ManageError::Contended { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            });
        }
    });
    let secrets = secrets.lock().unwrap().clone();
    let mut accepted = 0;
    for secret in &secrets {
        accepted += usize::from(service.verify(secret, &any()).await.is_ok());
    }
    assert_eq!(accepted, 1, "of {} secrets only the last one is accepted", secrets.len());
    assert!(service.verify(&text(&issued), &any()).await.is_err());
    assert_eq!(records(&*opened.store).await.len(), 1);
}
