//! Amending a token.

use super::harness::{
    DAY, HOUR, Harness, MICRO, Stores, any, backup, delta, expect_invalid, expect_not_active,
    expect_not_permitted, newer, plant, requirement, scope_set, scoped_request, text, token_type,
};
use service_tokens::error::NotPermitted;
use service_tokens::network::{MAX_NETWORKS, Network};
use service_tokens::record::{Field, Rule};
use service_tokens::store::{StoreError, Version};
use service_tokens::{
    AmendRequest, Event, ManageError, Policy, Refusal, RequestContext, ReservedScope,
    RotateRequest, State, SuspendRequest,
};

behaviours! {
    amend_changes_named_fields_only,
    amend_nothing_writes_nothing,
    amend_narrows_scopes_at_once,
    amend_narrows_networks_at_once,
    amend_never_widens,
    amend_limits_texts_and_metadata,
    amend_extends_within_max_lifetime,
    amend_extends_within_limits_of_type,
    amend_shortens_under_any_policy,
    amend_to_never_needs_policy,
    amend_end_must_be_ahead,
    amend_of_ended_token_is_refused,
    amend_of_suspended_or_pending_token_works,
    amend_with_stale_version_is_refused,
    amend_of_newer_record_is_refused,
    amend_on_behalf_needs_containment,
    amend_on_behalf_never_extends,
    amend_of_itself_needs_its_scope,
}

fn network(text: &str) -> Network {
    text.parse().unwrap()
}

fn from(address: [u8; 4]) -> RequestContext {
    RequestContext::new().client_address(std::net::IpAddr::from(address))
}

pub(crate) async fn amend_changes_named_fields_only(stores: Stores) {
    let harness = Harness::new(stores);
    let request = backup().metadata("a", "1").metadata("b", "2").issued_by("alice");
    let issued = harness.issue(request).await;
    let id = issued.record.id();
    harness.advance(HOUR);
    let _ = harness.events();
    let end = harness.service.now() + delta(DAY);
    let request = AmendRequest::new()
        .issued_to("restore")
        .metadata("b", "3")
        .metadata("c", "4")
        .remove_metadata("a")
        .remove_metadata("z")
        .expires_at(end)
        .by("bob");
    let amended = harness.service.owner("acme").amend(id, request).await.unwrap();
    let events = harness.events();
    let fields = [Field::IssuedTo, Field::Metadata, Field::ExpiresAt];
    assert_eq!(amended.fields, fields);
    let [Event::Amended { id: of, owner, fields: told, by, on_behalf_of: None, .. }] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((*of, &**owner, &told[..], by.as_deref()), (id, "acme", &fields[..], Some("bob")));
    let stored = harness.service.owner("acme").get(id).await.unwrap();
    assert_eq!((&stored.record, stored.version), (&amended.record, amended.version));
    let record = amended.record;
    assert_eq!(record.issued_to(), "restore");
    assert!(record.metadata().eq([("b", "3"), ("c", "4")]));
    assert_eq!((record.expires_at(), record.end_set_at()), (Some(end), harness.service.now()));
    // The rest is as before, and so are the secrets.
    let before = &issued.record;
    assert_eq!(record.scopes(), before.scopes());
    assert_eq!(record.created_at(), before.created_at());
    assert_eq!(record.secret_created_at(), before.secret_created_at());
    assert_eq!(record.issued_by(), Some("alice"));
    let verified = harness.verified(&issued).await;
    assert_eq!((verified.issued_to(), verified.metadata_value("b")), ("restore", Some("3")));
    assert_eq!(verified.expires_at(), Some(end));
}

pub(crate) async fn amend_nothing_writes_nothing(stores: Stores) {
    let harness = Harness::new(stores);
    let request = backup().metadata("a", "1").networks([network("10.0.0.0/8")]);
    let record = harness.issue(request).await.record;
    let acme = harness.service.owner("acme");
    let before = acme.get(record.id()).await.unwrap();
    harness.advance(HOUR);
    let _ = harness.events();
    let same = AmendRequest::new()
        .issued_to("backup")
        .metadata("a", "1")
        .remove_metadata("b")
        .expires_at(record.expires_at().unwrap())
        .scopes(record.scopes().to_set())
        .networks([network("10.0.0.0/8")]);
    for request in [AmendRequest::new(), same.clone(), same.if_version(before.version)] {
        let amended = acme.amend(record.id(), request).await.unwrap();
        assert_eq!(amended.fields, []);
        assert_eq!((amended.record, amended.version), (record.clone(), before.version));
    }
    let events = harness.events();
    assert_eq!(events.len(), 3);
    for event in events {
        assert!(matches!(&event, Event::Amended { fields, .. } if fields.is_empty()), "{event:?}");
    }
}

pub(crate) async fn amend_narrows_scopes_at_once(stores: Stores) {
    let harness = Harness::cached(stores, DAY, 10);
    let issued = harness.issue(backup()).await;
    let upload = requirement("files:upload");
    assert!(harness.service.verify(&text(&issued), &upload).await.is_ok());
    let narrow = AmendRequest::new().scopes(scope_set(&["files:read"]));
    let amended = harness.service.owner("acme").amend(issued.record.id(), narrow).await.unwrap();
    assert_eq!(amended.fields, [Field::Scopes]);
    assert!(harness.service.verify(&text(&issued), &upload).await.is_err());
    assert!(harness.service.verify(&text(&issued), &requirement("files:read")).await.is_ok());
}

pub(crate) async fn amend_narrows_networks_at_once(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(backup()).await;
    let (id, acme) = (issued.record.id(), harness.service.owner("acme"));
    let verify = async |address| {
        harness.service.in_context(from(address)).verify(&text(&issued), &any()).await.is_ok()
    };
    assert!(harness.accepts(&text(&issued)).await);
    let amended = acme.amend(id, AmendRequest::new().networks([network("10.0.0.0/8")])).await;
    assert_eq!(amended.unwrap().fields, [Field::Networks]);
    assert_eq!(harness.refusal(&text(&issued)).await, Some(Refusal::OutsideNetworks));
    assert!(verify([10, 1, 0, 1]).await && !verify([11, 1, 0, 1]).await);
    let halves = [network("10.1.0.0/17"), network("10.1.128.0/17")];
    acme.amend(id, AmendRequest::new().networks(halves)).await.unwrap();
    assert!(verify([10, 1, 255, 1]).await && !verify([10, 2, 0, 1]).await);
    // The halves contain the whole.
    acme.amend(id, AmendRequest::new().networks([network("10.1.0.0/16")])).await.unwrap();
}

pub(crate) async fn amend_never_widens(stores: Stores) {
    let harness = Harness::new(stores);
    let request = scoped_request(&["files:read", "x:*"]).networks([network("10.0.0.0/8")]);
    let record = harness.issue(request).await.record;
    let acme = harness.service.owner("acme");
    for scopes in [&["files:*"][..], &["files:read", "x:*", "y"], &["*"], &["x"], &["files:read:a"]]
    {
        let wider = AmendRequest::new().scopes(scope_set(scopes));
        expect_invalid(acme.amend(record.id(), wider).await, Field::Scopes, Rule::Widens);
    }
    let none = AmendRequest::new().scopes(scope_set(&[]));
    expect_invalid(acme.amend(record.id(), none).await, Field::Scopes, Rule::NoEntries);
    for networks in [&["0.0.0.0/0"][..], &["10.0.0.0/7"], &["10.0.0.0/8", "11.0.0.0/32"], &["::/0"]]
    {
        let wider = AmendRequest::new().networks(networks.iter().map(|text| network(text)));
        expect_invalid(acme.amend(record.id(), wider).await, Field::Networks, Rule::Widens);
    }
    let none = AmendRequest::new().networks([]);
    expect_invalid(acme.amend(record.id(), none).await, Field::Networks, Rule::NoEntries);
    let many = |many| {
        let each = |at: u8| Network::new(std::net::IpAddr::from([10, at, 0, 0]), 24).unwrap();
        AmendRequest::new().networks((0..many).map(each))
    };
    let max = u8::try_from(MAX_NETWORKS).unwrap();
    let outcome = acme.amend(record.id(), many(max + 1)).await;
    expect_invalid(outcome, Field::Networks, Rule::TooMany { max: MAX_NETWORKS });
    assert_eq!(harness.record(record.id()).await, record);
    assert_eq!(acme.amend(record.id(), many(max)).await.unwrap().record.networks().count(), 32);
    let foreign = harness.service.owner("globex").amend(record.id(), AmendRequest::new()).await;
    assert!(matches!(foreign, Err(ManageError::NotFound { .. })), "{foreign:?}");
}

pub(crate) async fn amend_limits_texts_and_metadata(stores: Stores) {
    let policy = Policy::new().max_text_len(10).max_metadata_entries(2).max_metadata_bytes(6);
    let harness = Harness::with_policy(stores, policy);
    let record = harness.issue(backup().metadata("a", "1").metadata("b", "2")).await.record;
    let acme = harness.service.owner("acme");
    for (text, rule) in [("", Rule::Empty), ("x23456789 x", Rule::TooLong { max: 10 })] {
        let label = acme.amend(record.id(), AmendRequest::new().issued_to(text)).await;
        expect_invalid(label, Field::IssuedTo, rule);
    }
    // The id of a token always fits.
    let by = acme.amend(record.id(), AmendRequest::new().by("x".repeat(23))).await;
    expect_invalid(by, Field::AmendedBy, Rule::TooLong { max: 22 });
    let third = AmendRequest::new().metadata("c", "");
    expect_invalid(
        acme.amend(record.id(), third.clone()).await,
        Field::Metadata,
        Rule::TooMany { max: 2 },
    );
    // The limits hold for the entries after the change.
    let exchanged = third.remove_metadata("a");
    assert!(acme.amend(record.id(), exchanged).await.is_ok());
    let six = AmendRequest::new().metadata("b", "2345");
    assert!(acme.amend(record.id(), six).await.is_ok());
    let seven = acme.amend(record.id(), AmendRequest::new().metadata("b", "23456")).await;
    expect_invalid(seven, Field::Metadata, Rule::TooLong { max: 6 });
    let blank = AmendRequest::new().remove_metadata("b").metadata("", "x");
    assert!(matches!(acme.amend(record.id(), blank).await, Err(ManageError::Invalid(_))));
    // Metadata beyond a stricter policy does not prevent other amendments.
    let label = AmendRequest::new().issued_to("restore");
    assert!(acme.amend(record.id(), label.by("x".repeat(22))).await.is_ok());
}

pub(crate) async fn amend_extends_within_max_lifetime(stores: Stores) {
    let policy = Policy::new().default_lifetime(DAY).max_lifetime(10 * DAY);
    let harness = Harness::with_policy(stores, policy);
    let record = harness.issue(backup()).await.record;
    let (id, acme) = (record.id(), harness.service.owner("acme"));
    harness.advance(HOUR);
    let latest = record.created_at() + delta(10 * DAY);
    let later = AmendRequest::new().expires_at(latest + delta(MICRO));
    expect_invalid(acme.amend(id, later).await, Field::ExpiresAt, Rule::TooLate { latest });
    // Counted from the secret, and not from now.
    let later = AmendRequest::new().expires_in(10 * DAY);
    expect_invalid(acme.amend(id, later).await, Field::ExpiresAt, Rule::TooLate { latest });
    for end in [latest - delta(MICRO), latest] {
        let amended = acme.amend(id, AmendRequest::new().expires_at(end)).await.unwrap();
        assert_eq!(amended.record.expires_at(), Some(end));
    }
    let _ = acme.rotate(id, RotateRequest::at_once()).await.unwrap();
    let latest = latest + delta(HOUR);
    let later = AmendRequest::new().expires_at(latest + delta(MICRO));
    expect_invalid(acme.amend(id, later).await, Field::ExpiresAt, Rule::TooLate { latest });
    let amended = acme.amend(id, AmendRequest::new().expires_in(10 * DAY)).await.unwrap();
    assert_eq!(amended.record.expires_at(), Some(latest));
}

/// A type can have a maximum of its own, and a service that does not know the type extends nothing.
pub(crate) async fn amend_extends_within_limits_of_type(stores: Stores) {
    let harness = Harness::new(stores);
    let record = harness.issue(backup().expires_in(HOUR)).await.record;
    let short = token_type("connector", &["files:upload"]).max_lifetime(DAY);
    let limited = harness.with_types([short]);
    let latest = record.created_at() + delta(DAY);
    let later = AmendRequest::new().expires_at(latest + delta(MICRO));
    let outcome = limited.owner("acme").amend(record.id(), later).await;
    expect_invalid(outcome, Field::ExpiresAt, Rule::TooLate { latest });
    let unknown = harness.with_types([token_type("other", &["x"])]);
    let acme = unknown.owner("acme");
    let outcome = acme.amend(record.id(), AmendRequest::new().expires_at(latest)).await;
    expect_invalid(outcome, Field::Type, Rule::Unknown);
    assert!(acme.amend(record.id(), AmendRequest::new().expires_in(MICRO)).await.is_ok());
    let record = harness.issue(backup().expires_in(HOUR)).await.record;
    let latest = record.created_at() + delta(DAY);
    let outcome = limited.owner("acme").amend(record.id(), AmendRequest::new().expires_at(latest));
    assert_eq!(outcome.await.unwrap().record.expires_at(), Some(latest));
}

pub(crate) async fn amend_shortens_under_any_policy(stores: Stores) {
    let harness = Harness::with_policy(stores, Policy::new().allow_never(true).max_lifetime(None));
    let long = harness.issue(backup().expires_in(900 * DAY)).await.record;
    let never = harness.issue(backup().never_expires()).await.record;
    // The service of the default policy allows 366 days, which are over for both secrets.
    harness.advance(400 * DAY);
    let acme = harness.elsewhere().owner("acme");
    for id in [long.id(), never.id()] {
        let end = harness.service.now() + delta(400 * DAY);
        let amended = acme.amend(id, AmendRequest::new().expires_at(end)).await.unwrap();
        assert_eq!(amended.record.expires_at(), Some(end));
        let later = acme.amend(id, AmendRequest::new().expires_at(end + delta(MICRO))).await;
        let latest = long.created_at() + delta(366 * DAY);
        expect_invalid(later, Field::ExpiresAt, Rule::TooLate { latest });
        assert!(
            acme.amend(id, AmendRequest::new().expires_at(end)).await.unwrap().fields.is_empty()
        );
    }
}

pub(crate) async fn amend_to_never_needs_policy(stores: Stores) {
    let harness = Harness::with_policy(stores, Policy::new().allow_never(true));
    let id = harness.issue(backup()).await.record.id();
    let never = || AmendRequest::new().never_expires();
    let refused = harness.elsewhere().owner("acme").amend(id, never()).await;
    expect_invalid(refused, Field::ExpiresAt, Rule::Required);
    let amended = harness.service.owner("acme").amend(id, never()).await.unwrap();
    assert_eq!(amended.record.expires_at(), None);
    // It has no end already, so there is no change to refuse.
    let same = harness.elsewhere().owner("acme").amend(id, never()).await.unwrap();
    assert!(same.fields.is_empty());
}

pub(crate) async fn amend_end_must_be_ahead(stores: Stores) {
    let harness = Harness::new(stores);
    let acme = harness.service.owner("acme");
    let id = harness.issue(backup()).await.record.id();
    harness.advance(HOUR);
    let now = harness.service.now();
    for end in [now - delta(MICRO), now] {
        let refused = acme.amend(id, AmendRequest::new().expires_at(end)).await;
        expect_invalid(refused, Field::ExpiresAt, Rule::NotAfterNow);
    }
    let ahead = AmendRequest::new().expires_at(now + delta(MICRO));
    assert!(acme.amend(id, ahead).await.is_ok());
    harness.advance(MICRO);
    assert_eq!(harness.state(id).await, State::Expired);

    let start = harness.service.now() + delta(HOUR);
    let id = harness.issue(backup().not_before(start)).await.record.id();
    for end in [start - delta(MICRO), start] {
        let refused = acme.amend(id, AmendRequest::new().expires_at(end)).await;
        expect_invalid(refused, Field::ExpiresAt, Rule::NotAfterNotBefore);
    }
    let ahead = AmendRequest::new().expires_at(start + delta(MICRO));
    assert!(acme.amend(id, ahead).await.is_ok());
    let far = chrono::DateTime::<chrono::Utc>::MAX_UTC;
    let refused = acme.amend(id, AmendRequest::new().expires_at(far)).await;
    assert!(matches!(refused, Err(ManageError::Invalid(_))), "{refused:?}");
}

pub(crate) async fn amend_of_ended_token_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let acme = harness.service.owner("acme");
    let request = || AmendRequest::new().issued_to("x").expires_in(DAY);
    for (after, ended) in [(HOUR - MICRO, false), (HOUR, true), (HOUR + MICRO, true)] {
        let record = harness.issue(backup().expires_in(HOUR)).await.record;
        harness.advance(after);
        let outcome = acme.amend(record.id(), request()).await;
        if !ended {
            assert!(outcome.is_ok());
            continue;
        }
        let expired = matches!(outcome, Err(ManageError::Ended { id, state: State::Expired }) if id == record.id());
        assert!(expired, "{after:?} {outcome:?}");
        assert_eq!(harness.record(record.id()).await, record);
    }
    let record = harness.issue(backup()).await.record;
    harness.revoke(record.id()).await;
    let before = harness.record(record.id()).await;
    let outcome = acme.amend(record.id(), request()).await;
    assert!(
        matches!(outcome, Err(ManageError::Ended { state: State::Revoked, .. })),
        "{outcome:?}"
    );
    assert_eq!(harness.record(record.id()).await, before);
}

pub(crate) async fn amend_of_suspended_or_pending_token_works(stores: Stores) {
    let harness = Harness::new(stores);
    let acme = harness.service.owner("acme");
    let suspended = harness.issue(backup()).await.record.id();
    acme.suspend(suspended, SuspendRequest::new().by("alice").reason("INC-42")).await.unwrap();
    let start = harness.service.now() + delta(HOUR);
    let pending = harness.issue(backup().not_before(start)).await.record.id();
    for (id, state) in [(suspended, State::Suspended), (pending, State::Pending)] {
        let before = harness.record(id).await;
        let amended = acme.amend(id, AmendRequest::new().issued_to("restore")).await.unwrap();
        assert_eq!(amended.record.state(harness.service.now()), state);
        assert_eq!(amended.record.suspensions(), before.suspensions());
        assert_eq!(amended.record.not_before(), before.not_before());
    }
}

pub(crate) async fn amend_with_stale_version_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let acme = harness.service.owner("acme");
    let id = harness.issue(backup()).await.record.id();
    let first = acme.get(id).await.unwrap().version;
    let label = |text: &str| AmendRequest::new().issued_to(text);
    let second = acme.amend(id, label("one").if_version(first)).await.unwrap().version;
    assert_ne!(first, second);
    for stale in [first, Version(second.0.wrapping_add(1))] {
        // Also if the record already has the value.
        for text in ["one", "two"] {
            let outcome = acme.amend(id, label(text).if_version(stale)).await;
            let changed =
                matches!(outcome, Err(ManageError::VersionChanged { id: of }) if of == id);
            assert!(changed, "{outcome:?}");
        }
    }
    assert_eq!(harness.record(id).await.issued_to(), "one");
    assert!(acme.amend(id, label("two").if_version(second)).await.is_ok());
}

pub(crate) async fn amend_of_newer_record_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, _) = plant(&*harness.store, backup(), newer).await;
    let before = harness.store.find(id).await.unwrap();
    let outcome = harness.service.owner("acme").amend(id, AmendRequest::new().issued_to("x")).await;
    assert!(matches!(outcome, Err(ManageError::Store(StoreError::NewerFormat))), "{outcome:?}");
    assert_eq!(harness.store.find(id).await.unwrap(), before);
}

pub(crate) async fn amend_on_behalf_needs_containment(stores: Stores) {
    let harness = Harness::new(stores);
    let record = harness.issue(scoped_request(&["files:read", "x"])).await.record;
    let label = || AmendRequest::new().issued_to("restore");
    for scopes in [&["*"][..], &["*", "service-tokens:rotate", "service-tokens:issue"]] {
        let caller = harness.caller(scopes).await;
        let outcome = harness.service.on_behalf_of(&caller).amend(record.id(), label()).await;
        let missing = NotPermitted::MissingScope(ReservedScope::Amend);
        assert_eq!(expect_not_permitted(outcome), missing);
    }
    let narrow = harness.caller(&["files:*", "service-tokens:amend"]).await;
    let outcome = harness.service.on_behalf_of(&narrow).amend(record.id(), label()).await;
    assert_eq!(expect_not_permitted(outcome), NotPermitted::ExceedsCaller);

    let placed = scoped_request(&["*", "service-tokens:*"]).networks([network("10.0.0.0/8")]);
    let placed = harness.issue(placed).await;
    let context = from([10, 0, 0, 1]);
    let placed = harness.service.in_context(context).verify(&text(&placed), &any()).await.unwrap();
    let outcome = harness.service.on_behalf_of(&placed).amend(record.id(), label()).await;
    assert_eq!(expect_not_permitted(outcome), NotPermitted::ExceedsCaller);
    let below =
        harness.issue(scoped_request(&["x"]).networks([network("10.9.0.0/16")])).await.record;
    assert!(harness.service.on_behalf_of(&placed).amend(below.id(), label()).await.is_ok());

    let foreign = harness.issue_for("globex", scoped_request(&["*", "service-tokens:*"])).await;
    let foreign = harness.verified(&foreign).await;
    let outcome = harness.service.on_behalf_of(&foreign).amend(record.id(), label()).await;
    assert!(matches!(outcome, Err(ManageError::NotFound { .. })), "{outcome:?}");
    assert_eq!(harness.record(record.id()).await, record);

    let caller = harness.caller(&["files:*", "x", "service-tokens:amend"]).await;
    let _ = harness.events();
    let on_behalf = harness.service.on_behalf_of(&caller);
    let request = label().scopes(scope_set(&["x"]));
    assert_eq!(on_behalf.amend(record.id(), request).await.unwrap().fields.len(), 2);
    let events = harness.events();
    let by_caller = matches!(
        &events[..], [Event::Amended { on_behalf_of: Some(by), .. }] if *by == caller.id()
    );
    assert!(by_caller, "{events:?}");
    harness.revoke(caller.id()).await;
    let outcome = on_behalf.amend(record.id(), AmendRequest::new()).await;
    assert_eq!(expect_not_active(outcome), Refusal::Revoked);
}

pub(crate) async fn amend_on_behalf_never_extends(stores: Stores) {
    let policy = Policy::new().allow_never(true).allow_outliving_issuer(true);
    let harness = Harness::with_policy(stores, policy);
    let issued = harness.issue(scoped_request(&["x", "service-tokens:*"]).never_expires()).await;
    let caller = harness.verified(&issued).await;
    let on_behalf = harness.service.on_behalf_of(&caller);
    let record = harness.issue(scoped_request(&["x"]).expires_in(DAY)).await.record;
    let latest = record.expires_at().unwrap();
    let at = |end| AmendRequest::new().expires_at(end);
    for later in [
        at(latest + delta(MICRO)),
        AmendRequest::new().never_expires(),
        AmendRequest::new().expires_in(2 * DAY),
    ] {
        let outcome = on_behalf.amend(record.id(), later).await;
        expect_invalid(outcome, Field::ExpiresAt, Rule::LaterThanPresent { latest });
    }
    assert!(on_behalf.amend(record.id(), at(latest)).await.unwrap().fields.is_empty());
    let earlier = latest - delta(MICRO);
    assert_eq!(on_behalf.amend(record.id(), at(earlier)).await.unwrap().fields, [Field::ExpiresAt]);
    let outcome = on_behalf.amend(record.id(), at(latest)).await;
    expect_invalid(outcome, Field::ExpiresAt, Rule::LaterThanPresent { latest: earlier });

    // The same for its own end, of which it has none until it sets one.
    let own = harness.service.now() + delta(DAY);
    assert!(on_behalf.amend(caller.id(), at(own)).await.is_ok());
    for later in [at(own + delta(MICRO)), AmendRequest::new().never_expires()] {
        let outcome = on_behalf.amend(caller.id(), later).await;
        expect_invalid(outcome, Field::ExpiresAt, Rule::LaterThanPresent { latest: own });
    }
}

pub(crate) async fn amend_of_itself_needs_its_scope(stores: Stores) {
    let harness = Harness::new(stores);
    let plain = harness.caller(&["x", "service-tokens:rotate-self"]).await;
    let label = || AmendRequest::new().issued_to("restore");
    let outcome = harness.service.on_behalf_of(&plain).amend(plain.id(), label()).await;
    let missing = NotPermitted::MissingScope(ReservedScope::Amend);
    assert_eq!(expect_not_permitted(outcome), missing);

    let caller = harness.caller(&["x", "service-tokens:amend"]).await;
    let on_behalf = harness.service.on_behalf_of(&caller);
    assert!(on_behalf.amend(caller.id(), label()).await.is_ok());
    let wider = AmendRequest::new().scopes(scope_set(&["x", "service-tokens:*"]));
    expect_invalid(on_behalf.amend(caller.id(), wider).await, Field::Scopes, Rule::Widens);
    // It can give away its own permission, and then it is refused.
    let narrow = AmendRequest::new().scopes(scope_set(&["x"]));
    assert!(on_behalf.amend(caller.id(), narrow.clone()).await.is_ok());
    assert_eq!(expect_not_permitted(on_behalf.amend(caller.id(), narrow).await), missing);
}
