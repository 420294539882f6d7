//! Tokens that are restricted to networks: issued, verified, inherited, and rotated on behalf of others.

use std::net::IpAddr;

use service_tokens::error::NotPermitted;
use service_tokens::network::Network;
use service_tokens::record::{Field, Rule};
use service_tokens::store::TokenStore;
use service_tokens::{
    IssueRequest, Issued, Refusal, RequestContext, RotateRequest, TokenService, TokenType,
    VerifiedToken, VerifyError,
};

use super::harness::{
    HOUR, Harness, MANAGER, MAX_AGE, Stores, any, backup, expect_invalid, expect_not_permitted,
    refusal_of, requirement, scoped_request, text,
};

behaviours! {
    verify_outside_networks_is_refused,
    verify_without_address_is_refused,
    missing_scope_comes_before_networks,
    authenticate_in_context_checks_networks,
    cached_record_retains_its_networks,
    issue_with_wrong_networks_is_refused,
    type_can_require_networks,
    issued_token_inherits_networks,
    issue_beyond_caller_networks_is_refused,
    rotate_beyond_caller_networks_is_refused,
    caller_decides_with_its_address,
    still_active_decides_with_its_address,
    metadata_and_networks_are_in_the_verified_token,
}

fn networks(texts: &[&str]) -> Vec<Network> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn from(address: &str) -> RequestContext {
    RequestContext::new().client_address(address.parse::<IpAddr>().unwrap())
}

async fn verify_from<S: TokenStore>(
    service: &TokenService<S>,
    issued: &Issued,
    address: &str,
) -> Result<VerifiedToken, VerifyError> {
    service.in_context(from(address)).verify(&text(issued), &any()).await
}

async fn issue_within(harness: &Harness, request: IssueRequest, texts: &[&str]) -> Issued {
    harness.service.owner("acme").issue(request.networks(networks(texts))).await.unwrap()
}

pub(crate) async fn verify_outside_networks_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = issue_within(&harness, backup(), &["10.0.0.0/8", "2001:db8::/32"]).await;
    let inside =
        ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3", "2001:db8::", "2001:db8:ffff::1"];
    for address in inside {
        let verified = verify_from(&harness.service, &issued, address).await.unwrap();
        assert_eq!(verified.client_address(), Some(address.parse().unwrap()));
    }
    for address in ["9.255.255.255", "11.0.0.0", "::ffff:11.0.0.1", "2001:db9::", "::a00:1", "::"] {
        let refused = verify_from(&harness.service, &issued, address).await;
        assert_eq!(refusal_of(refused), Some(Refusal::OutsideNetworks), "{address}");
    }
    // A token without networks is accepted from everywhere.
    let anywhere = harness.service.owner("acme").issue(backup()).await.unwrap();
    for address in ["11.0.0.0", "2001:db9::"] {
        assert!(verify_from(&harness.service, &anywhere, address).await.is_ok());
    }
}

pub(crate) async fn verify_without_address_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = issue_within(&harness, backup(), &["0.0.0.0/0", "::/0"]).await;
    let text = text(&issued);
    let without = harness.service.in_context(RequestContext::new());
    for refused in [
        harness.service.verify(&text, &any()).await,
        harness.service.verify_uncached(&text, &any()).await,
        harness.service.authenticate(&text).await,
        harness.service.authenticate_uncached(&text).await,
        without.verify(&text, &any()).await,
        without.authenticate(&text).await,
    ] {
        assert_eq!(refusal_of(refused), Some(Refusal::OutsideNetworks));
    }
    assert!(verify_from(&harness.service, &issued, "192.0.2.1").await.is_ok());
}

pub(crate) async fn missing_scope_comes_before_networks(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = issue_within(&harness, backup(), &["10.0.0.0/8"]).await;
    let outside = harness.service.in_context(from("11.0.0.1"));
    let refused = outside.verify(&text(&issued), &requirement("files:delete")).await;
    assert_eq!(refusal_of(refused), Some(Refusal::MissingScope));
    let refused = outside.verify(&text(&issued), &requirement("files:read")).await;
    assert!(matches!(refused, Err(VerifyError::Refused(Refusal::OutsideNetworks))));
}

pub(crate) async fn authenticate_in_context_checks_networks(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = issue_within(&harness, backup(), &["10.0.0.0/8"]).await;
    let text = text(&issued);
    let (inside, outside) = (
        harness.service.in_context(from("10.0.0.1")),
        harness.service.in_context(from("11.0.0.1")),
    );
    assert!(inside.authenticate(&text).await.is_ok());
    assert!(inside.authenticate_uncached(&text).await.is_ok());
    assert!(inside.verify_uncached(&text, &any()).await.is_ok());
    assert_eq!(refusal_of(outside.authenticate(&text).await), Some(Refusal::OutsideNetworks));
    assert_eq!(
        refusal_of(outside.authenticate_uncached(&text).await),
        Some(Refusal::OutsideNetworks)
    );
    assert_eq!(
        refusal_of(outside.verify_uncached(&text, &any()).await),
        Some(Refusal::OutsideNetworks)
    );
}

pub(crate) async fn cached_record_retains_its_networks(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 10);
    let request = backup().networks(networks(&["10.0.0.0/8"]));
    let issued = harness.service.owner("acme").issue(request).await.unwrap();
    for _ in 0..2 {
        assert!(verify_from(&harness.service, &issued, "10.0.0.1").await.is_ok());
        let refused = verify_from(&harness.service, &issued, "11.0.0.1").await;
        assert_eq!(refusal_of(refused), Some(Refusal::OutsideNetworks));
        assert!(harness.service.verify(&text(&issued), &any()).await.is_err());
    }
}

pub(crate) async fn issue_with_wrong_networks_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let acme = harness.service.owner("acme");
    expect_invalid(acme.issue(backup().networks([])).await, Field::Networks, Rule::NoEntries);
    let many = |count: u8| (0..count).map(|i| Network::from(IpAddr::from([10, 0, 0, i])));
    expect_invalid(
        acme.issue(backup().networks(many(33))).await,
        Field::Networks,
        Rule::TooMany { max: 32 },
    );
    let issued = acme.issue(backup().networks(many(32))).await.unwrap();
    assert!(issued.record.networks().eq(many(32)));
    // Two spellings of one network count once.
    let doubled = networks(&["10.0.0.0/8", "::ffff:10.0.0.0/104"]);
    let issued = acme.issue(backup().networks(doubled)).await.unwrap();
    assert!(issued.record.networks().eq(networks(&["10.0.0.0/8"])));
}

pub(crate) async fn type_can_require_networks(stores: Stores) {
    let inside = TokenType::new("inside", ["files:upload"]).unwrap().require_networks(true);
    let harness = Harness::builder(stores).configure(|service| service.token_type(inside)).build();
    let acme = harness.service.owner("acme");
    let request = || IssueRequest::new("inside", "backup");
    expect_invalid(acme.issue(request()).await, Field::Networks, Rule::NetworksRequired);
    assert!(acme.issue(request().networks(networks(&["10.0.0.0/8"]))).await.is_ok());
    // A calling token's networks are inherited, so its request need not name any.
    let scopes = ["files:upload", "service-tokens:issue"];
    let anywhere = acme.issue(scoped_request(&scopes)).await.unwrap();
    let caller = harness.service.verify(&text(&anywhere), &any()).await.unwrap();
    let refused = harness.service.on_behalf_of(&caller).issue(request()).await;
    expect_invalid(refused, Field::Networks, Rule::NetworksRequired);
    let manager = issue_within(&harness, scoped_request(&scopes), &["10.0.0.0/8"]).await;
    let caller = verify_from(&harness.service, &manager, "10.0.0.1").await.unwrap();
    assert!(harness.service.on_behalf_of(&caller).issue(request()).await.is_ok());
}

pub(crate) async fn issued_token_inherits_networks(stores: Stores) {
    let harness = Harness::new(stores);
    let manager = issue_within(&harness, scoped_request(&MANAGER), &["10.0.0.0/8"]).await;
    let caller = verify_from(&harness.service, &manager, "10.0.0.1").await.unwrap();
    let on_behalf = harness.service.on_behalf_of(&caller);
    let inherited = on_behalf.issue(scoped_request(&["files:upload"])).await.unwrap();
    assert!(inherited.record.networks().eq(manager.record.networks()));
    let narrower = scoped_request(&["files:upload"]).networks(networks(&["10.1.0.0/16"]));
    let narrower = on_behalf.issue(narrower).await.unwrap();
    assert!(narrower.record.networks().eq(networks(&["10.1.0.0/16"])));
}

pub(crate) async fn issue_beyond_caller_networks_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let halves = ["10.0.0.0/9", "10.128.0.0/9", "2001:db8::/32"];
    let manager = issue_within(&harness, scoped_request(&MANAGER), &halves).await;
    let caller = verify_from(&harness.service, &manager, "10.0.0.1").await.unwrap();
    let on_behalf = harness.service.on_behalf_of(&caller);
    let request = |texts: &[&str]| scoped_request(&["files:upload"]).networks(networks(texts));
    for within in [&["10.0.0.0/8"][..], &["10.0.0.0/9"], &["2001:db8:1::/48", "10.200.0.1"]] {
        assert!(on_behalf.issue(request(within)).await.is_ok(), "{within:?}");
    }
    for beyond in [&["10.0.0.0/7"][..], &["11.0.0.0/8"], &["10.0.0.0/9", "::/0"], &["0.0.0.0/0"]] {
        expect_invalid(
            on_behalf.issue(request(beyond)).await,
            Field::Networks,
            Rule::ExceedsCallerNetworks,
        );
    }
}

pub(crate) async fn rotate_beyond_caller_networks_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let manager = issue_within(&harness, scoped_request(&MANAGER), &["10.0.0.0/8"]).await;
    let caller = verify_from(&harness.service, &manager, "10.0.0.1").await.unwrap();
    let files = || scoped_request(&["files:upload"]);
    let anywhere = harness.service.owner("acme").issue(files()).await.unwrap();
    let beyond = issue_within(&harness, files(), &["10.0.0.0/8", "11.0.0.0/8"]).await;
    let within = issue_within(&harness, files(), &["10.2.0.0/16"]).await;
    let on_behalf = harness.service.on_behalf_of(&caller);
    for stronger in [&anywhere, &beyond] {
        let refused = on_behalf.rotate(stronger.record.id(), RotateRequest::at_once()).await;
        assert_eq!(expect_not_permitted(refused), NotPermitted::ExceedsCaller);
    }
    let rotated = on_behalf.rotate(within.record.id(), RotateRequest::at_once()).await.unwrap();
    assert!(rotated.record.networks().eq(within.record.networks()));
    // A caller without networks may rotate all of them.
    let manager = harness.service.owner("acme").issue(scoped_request(&MANAGER)).await.unwrap();
    let caller = harness.service.verify(&text(&manager), &any()).await.unwrap();
    for token in [anywhere, beyond, rotated] {
        let request = RotateRequest::at_once();
        assert!(
            harness.service.on_behalf_of(&caller).rotate(token.record.id(), request).await.is_ok()
        );
    }
}

pub(crate) async fn caller_decides_with_its_address(stores: Stores) {
    let harness = Harness::new(stores);
    let manager = issue_within(&harness, scoped_request(&MANAGER), &["10.0.0.0/8"]).await;
    let caller = verify_from(&harness.service, &manager, "10.0.0.1").await.unwrap();
    // The calls have no address of their own.
    let on_behalf = harness.service.on_behalf_of(&caller);
    assert!(on_behalf.get_self().await.is_ok());
    assert!(on_behalf.list(Default::default()).await.is_ok());
}

pub(crate) async fn still_active_decides_with_its_address(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = issue_within(&harness, backup(), &["10.0.0.0/8"]).await;
    let verified = verify_from(&harness.service, &issued, "10.0.0.1").await.unwrap();
    let again = harness.service.still_active(&verified).await.unwrap();
    assert_eq!(again.client_address(), verified.client_address());
    assert!(harness.service.still_active(&again).await.is_ok());
}

pub(crate) async fn metadata_and_networks_are_in_the_verified_token(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 10);
    let acme = harness.service.owner("acme");
    let request = backup()
        .metadata("project", "p-17")
        .metadata("empty", "")
        .metadata("雪", "a\0b")
        .networks(networks(&["10.0.0.0/8", "192.0.2.7"]))
        .expires_in(HOUR);
    let issued = acme.issue(request).await.unwrap();
    for _ in 0..2 {
        let verified = verify_from(&harness.service, &issued, "192.0.2.7").await.unwrap();
        let expected = [("empty", ""), ("project", "p-17"), ("雪", "a\0b")];
        assert!(verified.metadata().eq(expected), "{verified:?}");
        assert_eq!(verified.metadata_value("project"), Some("p-17"));
        assert_eq!(verified.metadata_value("Project"), None);
        assert!(verified.networks().eq(networks(&["10.0.0.0/8", "192.0.2.7"])));
        assert!(verified.clone().metadata().eq(expected));
    }
    let plain = acme.issue(backup()).await.unwrap();
    let verified = harness.service.verify(&text(&plain), &any()).await.unwrap();
    assert_eq!((verified.metadata().count(), verified.networks().count()), (0, 0));
}
