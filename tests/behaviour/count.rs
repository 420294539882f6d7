//! Counting: as lists, for one owner and for all, by the embedder and by a token.

use std::sync::Arc;

use futures_lite::future::poll_once;
use service_tokens::error::NotPermitted;
use service_tokens::event::Operation;
use service_tokens::record::Field;
use service_tokens::store::{MAX_PAGE_LEN, States};
use service_tokens::{
    Event, Filter, IssueRequest, ListRequest, ManageError, Policy, ReservedScope, TokenService,
    TokenStore,
};

use super::harness::{
    DAY, Fault, HOUR, Harness, MANAGER, MINUTE, Stores, backup, builder, expect_not_permitted,
    issue_many, scoped_request, text,
};

behaviours! {
    count_agrees_with_lists,
    count_sees_uses_that_wait,
    count_of_many_pages_yields,
    count_emits_one_event,
    count_on_behalf_sees_its_owner_only,
    count_on_behalf_without_scope_is_refused,
    count_over_failing_store_fails,
}

/// Counts the records that a list returns on all its pages.
async fn listed<S: TokenStore>(
    service: &TokenService<S>,
    owner: Option<&str>,
    filter: &Filter,
) -> u64 {
    let mut request = ListRequest::from(filter.clone()).limit(2);
    let mut records = 0;
    loop {
        let page = service.owner_or_all(owner).list(request.clone()).await.unwrap();
        records += page.items.len() as u64;
        match page.next {
            Some(next) => request = request.after(next),
            None => return records,
        }
    }
}

pub(crate) async fn count_agrees_with_lists(stores: Stores) {
    let harness = Harness::new(stores);
    let manager = harness.issue(scoped_request(&MANAGER)).await.record.id();
    for owner in ["acme", "globex"] {
        for (n, label) in ["backup", "back", "restore"].into_iter().enumerate() {
            let issued = harness.issue_for(owner, IssueRequest::new("connector", label)).await;
            if n == 1 {
                harness.revoke(issued.record.id()).await;
            }
            harness.advance(MINUTE);
        }
    }
    let later = harness.service.now() + chrono::TimeDelta::minutes(5);
    let _ = harness.issue(backup().not_before(later).expires_in(HOUR)).await;
    let now = harness.service.now();
    let filters = [
        (Filter::new(), [4, 2, 6]),
        (Filter::new().states(States::ALL), [5, 3, 8]),
        (Filter::new().states(States::ENDED), [1, 1, 2]),
        (Filter::new().token_type("connector"), [3, 2, 5]),
        (Filter::new().issued_to("backup"), [2, 1, 3]),
        (Filter::new().issued_to_contains("store"), [1, 1, 2]),
        (Filter::new().issuer(manager), [0, 0, 0]),
        (Filter::new().expires_before(now + chrono::TimeDelta::hours(2)), [1, 0, 1]),
        (Filter::new().created_before(now), [3, 2, 5]),
        (Filter::new().unused_since(now), [3, 2, 5]),
        (Filter::new().owner("globex"), [0, 2, 2]),
    ];
    for (filter, expected) in filters {
        for (owner, expected) in [Some("acme"), Some("globex"), None].into_iter().zip(expected) {
            let count = harness.service.owner_or_all(owner).count(filter.clone()).await.unwrap();
            assert_eq!(count, expected, "{owner:?} {filter:?}");
            assert_eq!(listed(&harness.service, owner, &filter).await, expected, "{filter:?}");
        }
    }
}

pub(crate) async fn count_sees_uses_that_wait(stores: Stores) {
    let harness = Harness::new(stores);
    let used = harness.issue(backup()).await;
    let _ = harness.issue(backup()).await;
    harness.advance(DAY);
    let since = harness.service.now();
    let unused = || harness.service.owner("acme").count(Filter::new().unused_since(since));
    assert_eq!(unused().await.unwrap(), 2);
    harness.use_token(&text(&used)).await;
    assert_eq!(unused().await.unwrap(), 1);
    harness.flush().await;
    assert_eq!(unused().await.unwrap(), 1);
    // A service that records no uses does not guess.
    let blind = builder(harness.store.clone()).disable_last_used().build().unwrap();
    let refused = blind.owner("acme").count(Filter::new().unused_since(since)).await;
    assert!(matches!(refused, Err(ManageError::Store(_))), "{refused:?}");
}

pub(crate) async fn count_of_many_pages_yields(stores: Stores) {
    let harness = Harness::with_policy(stores, Policy::new());
    let many = 2 * MAX_PAGE_LEN + 1;
    issue_many(&harness.store, many).await;
    let mut counting = Box::pin(harness.service.owner("acme").count(Filter::new()));
    let mut polls = 0;
    let count = loop {
        match poll_once(&mut counting).await {
            Some(count) => break count.unwrap(),
            None => polls += 1,
        }
    };
    assert_eq!(count, many as u64);
    assert!(polls >= 2, "{polls}");
}

pub(crate) async fn count_emits_one_event(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let _ = harness.issue(backup()).await;
    let _ = harness.events();
    for owner in [Some("acme"), None] {
        harness.service.owner_or_all(owner).count(Filter::new()).await.unwrap();
        let events = harness.events();
        let [Event::Counted { owner: of, records: 1, on_behalf_of: None, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(of.as_deref(), owner);
    }
    harness.faulty().arm(&[], Fault::Unavailable);
    let failed = harness.service.all_owners().count(Filter::new()).await;
    assert!(matches!(failed, Err(ManageError::Store(_))), "{failed:?}");
    let events = harness.events();
    let [Event::Failed { operation: Operation::Count, id: None, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    // A count that the caller gives up. It has not read the second page.
    harness.faulty().disarm();
    issue_many(&harness.store, MAX_PAGE_LEN).await;
    let mut counting = Box::pin(harness.service.all_owners().count(Filter::new()));
    assert!(poll_once(&mut counting).await.is_none());
    drop(counting);
    let events = harness.events();
    let [Event::Failed { operation: Operation::Count, .. }] = &events[..] else {
        panic!("{events:?}")
    };
}

pub(crate) async fn count_on_behalf_sees_its_owner_only(stores: Stores) {
    let harness = Harness::new(stores);
    let token = harness.caller(&["service-tokens:read"]).await;
    for owner in ["acme", "globex", "acme "] {
        let _ = harness.issue_for(owner, backup()).await;
    }
    let caller = harness.service.on_behalf_of(&token);
    let _ = harness.events();
    assert_eq!(caller.count(Filter::new()).await.unwrap(), 2);
    let events = harness.events();
    let [Event::Counted { owner, records: 2, on_behalf_of, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((owner.as_deref(), *on_behalf_of), (Some("acme"), Some(token.id())));
    assert_eq!(caller.count(Filter::new().owner("globex")).await.unwrap(), 0);
    assert_eq!(caller.count(Filter::new().owner("acme")).await.unwrap(), 2);
}

pub(crate) async fn count_on_behalf_without_scope_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    for scope in ReservedScope::ALL {
        let token = harness.caller(&["*", scope.as_str()]).await;
        let _ = harness.events();
        let outcome = harness.service.on_behalf_of(&token).count(Filter::new()).await;
        if scope == ReservedScope::Read {
            outcome.unwrap();
            continue;
        }
        let missing = NotPermitted::MissingScope(ReservedScope::Read);
        assert_eq!(expect_not_permitted(outcome), missing);
        let events = harness.events();
        let [Event::Failed { operation: Operation::Count, on_behalf_of, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(*on_behalf_of, Some(token.id()));
    }
    // A revoked token counts nothing.
    let token = harness.caller(&["service-tokens:read"]).await;
    harness.revoke(token.id()).await;
    expect_not_permitted(harness.service.on_behalf_of(&token).count(Filter::new()).await);
}

pub(crate) async fn count_over_failing_store_fails(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    issue_many(&harness.store, MAX_PAGE_LEN + 1).await;
    // The first page succeeds, the second does not. The number of the first must not be returned.
    harness.faulty().arm(&[Fault::None], Fault::Unavailable);
    let failed = harness.service.owner("acme").count(Filter::new()).await;
    assert!(matches!(failed, Err(ManageError::Store(_))), "{failed:?}");
    harness.faulty().disarm();
    let long = "x".repeat(1_025);
    let invalid = harness.service.owner("acme").count(Filter::new().issued_to(long)).await;
    let Err(ManageError::Invalid(invalid)) = invalid else { panic!("{invalid:?}") };
    assert_eq!(invalid.field, Field::IssuedTo);
    let service = Arc::new(harness.service);
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let count = is_send(service.all_owners().count(Filter::new())).await.unwrap();
    assert_eq!(count, MAX_PAGE_LEN as u64 + 1);
}
