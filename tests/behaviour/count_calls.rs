//! The calls of the store in counts and in the limit of live tokens.

use std::sync::Arc;

use futures_lite::future::poll_once;
use service_tokens::record::SuspensionMatch;
use service_tokens::store::{Order, States};
use service_tokens::{
    Filter, IssueRequest, ListRequest, ManageError, Policy, ResumeRequest, RevokeRequest, State,
    SuspendRequest, TokenStore,
};

use super::harness::{
    DAY, Fate, HOUR, Harness, Method, Networked, Stores, backup, issue_many, text,
};

behaviours! {
    count_ships_no_records,
    count_by_last_use_reads_pages,
    count_over_unavailable_store_fails,
    bulk_count_ships_only_what_it_decides,
    store_counts_as_its_lists,
    issue_below_limit_ships_no_records,
    issue_beside_others_decides_by_list,
    undecided_number_leads_to_list,
}

/// Returns the numbers of the calls of `count` and `list` since the last time.
fn counts_and_lists(harness: &Harness<Arc<Networked>>) -> (usize, usize) {
    let network = harness.network();
    let calls = (network.calls(Method::Count).0, network.calls(Method::List).0);
    network.reset();
    calls
}

fn limited(stores: Stores, max: usize) -> Harness<Arc<Networked>> {
    let builder = Harness::builder(stores).over(|store| Arc::new(Networked::new(store)));
    builder.configure(|service| service.policy(Policy::new().max_active_per_owner(max))).build()
}

pub(crate) async fn count_ships_no_records(stores: Stores) {
    let harness = Harness::over_network(stores);
    for owner in ["acme", "acme", "globex"] {
        let _ = harness.issue_for(owner, backup()).await;
    }
    let _ = counts_and_lists(&harness);
    let filters = [Filter::new(), Filter::new().states(States::ALL).issued_to_contains("ack")];
    for filter in filters {
        for (owner, expected) in [(Some("acme"), 2), (Some("globex"), 1), (None, 3)] {
            let view = harness.service.owner_or_all(owner);
            assert_eq!(view.count(filter.clone()).await.unwrap(), expected);
            assert_eq!(counts_and_lists(&harness), (1, 0));
        }
    }
    let of_other = Filter::new().owner("globex");
    assert_eq!(harness.service.owner("acme").count(of_other).await.unwrap(), 0);
    assert_eq!(counts_and_lists(&harness), (0, 0));
}

/// This process may know later uses than the store, so the store cannot decide.
pub(crate) async fn count_by_last_use_reads_pages(stores: Stores) {
    let harness = Harness::over_network(stores);
    let used = harness.issue(backup()).await;
    let _ = harness.issue(backup()).await;
    harness.clock.advance(DAY);
    let since = harness.service.now();
    harness.use_token(&text(&used)).await;
    let _ = counts_and_lists(&harness);
    let filter = Filter::new().unused_since(since);
    let acme = harness.service.owner("acme");
    assert_eq!(acme.count(filter.clone()).await.unwrap(), 1);
    assert_eq!(acme.revoke_all(filter, RevokeRequest::new()).count().await.unwrap(), 1);
    assert_eq!(counts_and_lists(&harness), (0, 2));
}

pub(crate) async fn count_over_unavailable_store_fails(stores: Stores) {
    let harness = Harness::over_network(stores);
    harness.network().script(Method::Count, [Fate::Unavailable, Fate::Lost]);
    for _ in 0..2 {
        let failed = harness.service.owner("acme").count(Filter::new()).await;
        assert!(matches!(failed, Err(ManageError::Store(_))), "{failed:?}");
    }
}

pub(crate) async fn bulk_count_ships_only_what_it_decides(stores: Stores) {
    let harness = Harness::over_network(stores);
    let ids = issue_many(&harness.store, 5).await;
    let acme = harness.service.owner("acme");
    let _ = acme.revoke(ids[0], RevokeRequest::new()).await.unwrap();
    let _ = acme.suspend(ids[1], SuspendRequest::new()).await.unwrap();
    harness.clock.advance(2 * DAY);
    let _ = counts_and_lists(&harness);
    let revoke_all = || acme.revoke_all(Filter::new(), RevokeRequest::new());
    assert_eq!(revoke_all().count().await.unwrap(), 4);
    assert_eq!(counts_and_lists(&harness), (1, 0));
    let with_descendants = acme.revoke_with_descendants(ids[2], RevokeRequest::new());
    assert_eq!(with_descendants.count().await.unwrap(), 1);
    assert_eq!(counts_and_lists(&harness), (1, 0));
    assert_eq!(acme.purge(DAY).include_imported().count().await.unwrap(), 1);
    assert_eq!(counts_and_lists(&harness), (1, 0));
    // These operations leave out records that their filter selects.
    assert_eq!(acme.purge(DAY).count().await.unwrap(), 1);
    assert_eq!(acme.suspend_all(Filter::new(), SuspendRequest::new()).count().await.unwrap(), 3);
    let which = SuspensionMatch::ByAndReason { by: None, reason: None };
    let resume_all = acme.resume_all(Filter::new(), which, ResumeRequest::new());
    assert_eq!(resume_all.count().await.unwrap(), 1);
    assert_eq!(counts_and_lists(&harness), (0, 3));
}

/// Compares a store's own count, and its calls about many rows, with its pages and its single calls.
pub(crate) async fn store_counts_as_its_lists(stores: Stores) {
    let harness = Harness::new(stores);
    let ids = issue_many(&harness.store, 2_100).await;
    let acme = harness.service.owner("acme");
    for id in ids.iter().step_by(7) {
        let _ = acme.revoke(*id, RevokeRequest::new()).await.unwrap();
    }
    for id in ids.iter().step_by(5) {
        let _ = acme.suspend(*id, SuspendRequest::new().lasting(HOUR)).await;
    }
    let _ = harness.issue_for("globex", IssueRequest::new("connector", "restore")).await;
    let now = harness.service.now();
    harness.store.touch(&[(ids[1], now), (ids[2], now)]).await.unwrap();
    let filters = [
        Filter::new().states(States::ALL),
        Filter::new(),
        Filter::new().owner("acme").states(State::Suspended),
        Filter::new().owner("globex"),
        Filter::new().owner("nobody").states(States::ALL),
        Filter::new().issued_to("restore"),
        Filter::new().unused_since(now),
        Filter::new().states(States::ENDED).ended_before(now),
    ];
    for at in [now, now + chrono::TimeDelta::hours(2), now + chrono::TimeDelta::days(36_500)] {
        for filter in &filters {
            let mut request = ListRequest::from(filter.clone()).order(Order::NewestFirst).limit(99);
            let mut listed = 0;
            loop {
                let page = harness.store.list(&request, at).await.unwrap();
                listed += page.items.len() as u64;
                let Some(next) = page.next else { break };
                request = request.after(next);
            }
            assert_eq!(
                harness.store.count(filter, at).await.unwrap(),
                listed,
                "{filter:?} at {at}"
            );
        }
    }
    let mut asked = ids[..50].to_vec();
    asked.push(service_tokens::TokenId::from_bytes([7; 16]));
    let found = harness.store.find_many(&asked).await;
    let versions = harness.store.versions(&asked).await;
    assert_eq!((found.len(), versions.len()), (51, 51));
    for ((id, found), version) in asked.iter().zip(found).zip(versions) {
        let single = harness.store.find(*id).await.unwrap();
        assert_eq!(version.unwrap(), single.as_ref().map(|stored| stored.version));
        assert_eq!(found.unwrap(), single);
    }
}

pub(crate) async fn issue_below_limit_ships_no_records(stores: Stores) {
    let harness = limited(stores, 3);
    for _ in 0..3 {
        let _ = harness.issue(backup()).await;
        assert_eq!(counts_and_lists(&harness), (1, 0));
    }
    let refused = harness.service.owner("acme").issue(backup()).await;
    assert!(matches!(refused, Err(ManageError::TooManyActive { max: 3 })), "{refused:?}");
    assert_eq!(counts_and_lists(&harness), (1, 0));
}

/// An issue that begins while another one of the owner is in progress needs the ids.
pub(crate) async fn issue_beside_others_decides_by_list(stores: Stores) {
    let harness = limited(stores, 2);
    harness.network().script(Method::Count, [Fate::Held]);
    let mut first = Box::pin(harness.service.owner("acme").issue(backup()));
    assert!(poll_once(&mut first).await.is_none());
    let _ = harness.issue(backup()).await;
    assert_eq!(harness.network().calls(Method::List).0, 1);
    // Another owner has its own count.
    let _ = harness.issue_for("globex", backup()).await;
    assert_eq!(harness.network().calls(Method::Count).0, 2);
    // The number of the first is from before the second. The place of the second is added to it.
    harness.network().release(0);
    let _ = first.await.unwrap();
    assert_eq!(harness.network().calls(Method::List).0, 1);
    let refused = harness.service.owner("acme").issue(backup()).await;
    assert!(matches!(refused, Err(ManageError::TooManyActive { max: 2 })), "{refused:?}");
}

/// The number of the store may contain a token whose place is held. Then the ids decide.
pub(crate) async fn undecided_number_leads_to_list(stores: Stores) {
    for (max, issued) in [(2, true), (1, false)] {
        let harness = limited(stores, max);
        // The answers of both wait. The first is counted after the second was stored.
        harness.network().script(Method::Count, [Fate::Late(1)]);
        let mut first = Box::pin(harness.service.owner("acme").issue(backup()));
        assert!(poll_once(&mut first).await.is_none());
        let _ = harness.issue(backup()).await;
        let outcome = first.await;
        assert_eq!(outcome.is_ok(), issued, "{outcome:?}");
        // Of the second, and of the first after its number.
        let lists = harness.network().calls(Method::List).0;
        assert_eq!(
            (harness.network().calls(Method::Count).0, lists),
            (1, if issued { 2 } else { 1 })
        );
        let refused = harness.service.owner("acme").issue(backup()).await;
        assert!(matches!(refused, Err(ManageError::TooManyActive { .. })), "{refused:?}");
    }
}
