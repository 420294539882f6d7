//! Limits of token types: lifetimes, "never", retired types and removed types.

use std::time::Duration;

use super::harness::{
    DAY, HOUR, Harness, MICRO, SharedStore, Stores, backup, builder, delta, expect_invalid,
    expect_not_active, newer, plant, records, text, token_type,
};
use service_tokens::clock::Clock;
use service_tokens::policy::InvalidPolicy;
use service_tokens::record::{Field, RotateDenied, Rule};
use service_tokens::{
    BuildError, IssueRequest, Issued, ManageError, Policy, Refusal, RotateRequest, State,
    TokenService, TokenStore, TokenType,
};

behaviours! {
    issue_uses_default_lifetime_of_type,
    issue_beyond_type_maximum_is_refused,
    issue_never_needs_permission_of_type,
    type_maximum_is_default_if_policy_is_longer,
    type_maximum_may_exceed_policy,
    rotate_uses_limits_of_type,
    rotate_without_end_keeps_the_present_one,
    impossible_type_limits_do_not_build,
    retired_type_issues_nothing,
    retired_type_tokens_live_on,
    rotate_of_unknown_type_is_refused,
    rotate_of_unknown_type_reports_state_first,
    calling_token_cannot_rotate_unknown_type,
    refusal_of_record_agrees_with_verify,
}

/// A service with the type `visitor`, which has these limits, under this policy.
fn limited(stores: Stores, policy: Policy, limit: impl FnOnce(TokenType) -> TokenType) -> Harness {
    let visitor = limit(token_type("visitor", &["files:read"]));
    Harness::builder(stores).configure(|service| service.policy(policy).token_type(visitor)).build()
}

fn visitor() -> IssueRequest {
    IssueRequest::new("visitor", "a laptop")
}

async fn lifetime(harness: &Harness, request: IssueRequest) -> Option<Duration> {
    let record = harness.issue(request).await.record;
    record.expires_at().map(|end| (end - record.created_at()).to_std().unwrap())
}

pub(crate) async fn issue_uses_default_lifetime_of_type(stores: Stores) {
    let harness = limited(stores, Policy::new(), |visitor| visitor.default_lifetime(HOUR));
    assert_eq!(lifetime(&harness, visitor()).await, Some(HOUR));
    // The maximum is that of the policy, and other types have the default of the policy.
    assert_eq!(lifetime(&harness, visitor().expires_in(366 * DAY)).await, Some(366 * DAY));
    assert_eq!(lifetime(&harness, backup()).await, Some(90 * DAY));

    let forever =
        limited(stores, Policy::new(), |visitor| visitor.default_lifetime(None).allow_never(true));
    assert_eq!(lifetime(&forever, visitor()).await, None);
    assert_eq!(lifetime(&forever, backup()).await, Some(90 * DAY));
}

pub(crate) async fn issue_beyond_type_maximum_is_refused(stores: Stores) {
    let harness = limited(stores, Policy::new(), |visitor| visitor.max_lifetime(DAY));
    let now = harness.clock.now();
    for within in [MICRO, DAY - MICRO, DAY] {
        assert_eq!(lifetime(&harness, visitor().expires_in(within)).await, Some(within));
        let at = visitor().expires_at(now + delta(within));
        assert_eq!(lifetime(&harness, at).await, Some(within));
    }
    let acme = harness.service.owner("acme");
    let rule = Rule::TooLate { latest: now + delta(DAY) };
    let over = visitor().expires_in(DAY + MICRO);
    expect_invalid(acme.issue(over).await, Field::ExpiresAt, rule);
    let over = visitor().expires_at(now + delta(DAY + MICRO));
    expect_invalid(acme.issue(over).await, Field::ExpiresAt, rule);
    assert!(acme.issue(backup().expires_in(DAY + MICRO)).await.is_ok());
}

async fn never(harness: &Harness) -> Result<Issued, ManageError> {
    harness.service.owner("acme").issue(visitor().never_expires()).await
}

pub(crate) async fn issue_never_needs_permission_of_type(stores: Stores) {
    let strict = Policy::new;
    let lenient = || Policy::new().allow_never(true);
    let allowed = limited(stores, strict(), |visitor| visitor.allow_never(true));
    assert!(allowed.service.owner("acme").issue(backup().never_expires()).await.is_err());
    assert!(never(&allowed).await.is_ok());
    assert!(never(&limited(stores, lenient(), |visitor| visitor)).await.is_ok());
    // A maximum of the type would have no effect if a request could ask for "never".
    let both = |visitor: TokenType| visitor.max_lifetime(DAY).allow_never(true);
    assert!(never(&limited(stores, lenient(), both)).await.is_ok());
    let unlimited = |visitor: TokenType| visitor.max_lifetime(None);
    assert!(never(&limited(stores, lenient(), unlimited)).await.is_ok());
    for refused in [
        limited(stores, strict(), |visitor| visitor),
        limited(stores, lenient(), |visitor| visitor.allow_never(false)),
        limited(stores, lenient(), |visitor| visitor.max_lifetime(DAY)),
        limited(stores, strict(), |visitor| visitor.max_lifetime(DAY)),
    ] {
        expect_invalid(never(&refused).await, Field::ExpiresAt, Rule::Required);
    }
}

pub(crate) async fn type_maximum_is_default_if_policy_is_longer(stores: Stores) {
    let default = 90 * DAY;
    for (max, expected) in [
        (default - MICRO, default - MICRO),
        (default, default),
        (default + MICRO, default),
        (MICRO, MICRO),
    ] {
        let harness = limited(stores, Policy::new(), |visitor| visitor.max_lifetime(max));
        assert_eq!(lifetime(&harness, visitor()).await, Some(expected));
    }
    // "Never" is longer than any maximum.
    let never = || Policy::new().default_lifetime(None).allow_never(true);
    let harness = limited(stores, never(), |visitor| visitor.max_lifetime(DAY));
    assert_eq!(lifetime(&harness, visitor()).await, Some(DAY));
    assert_eq!(lifetime(&harness, backup()).await, None);
    let harness = limited(stores, never(), |visitor| visitor.allow_never(false));
    assert_eq!(lifetime(&harness, visitor()).await, Some(366 * DAY));
}

pub(crate) async fn type_maximum_may_exceed_policy(stores: Stores) {
    let policy = Policy::new().default_lifetime(HOUR).max_lifetime(DAY);
    let harness = limited(stores, policy, |visitor| visitor.max_lifetime(2 * DAY));
    assert_eq!(lifetime(&harness, visitor()).await, Some(HOUR));
    assert_eq!(lifetime(&harness, visitor().expires_in(2 * DAY)).await, Some(2 * DAY));
    let acme = harness.service.owner("acme");
    assert!(acme.issue(visitor().expires_in(2 * DAY + MICRO)).await.is_err());
    assert!(acme.issue(backup().expires_in(DAY + MICRO)).await.is_err());
    let policy = Policy::new().default_lifetime(HOUR).max_lifetime(DAY);
    let unlimited = limited(stores, policy, |visitor| visitor.max_lifetime(None));
    assert_eq!(lifetime(&unlimited, visitor().expires_in(999 * DAY)).await, Some(999 * DAY));
}

pub(crate) async fn rotate_uses_limits_of_type(stores: Stores) {
    let harness = limited(stores, Policy::new(), |visitor| visitor.max_lifetime(DAY));
    let id = harness.issue(visitor().expires_in(HOUR)).await.record.id();
    harness.clock.advance(HOUR / 2);
    let now = harness.clock.now();
    let acme = harness.service.owner("acme");
    let rotate = |lifetime| acme.rotate(id, RotateRequest::at_once().expires_in(lifetime));
    for within in [DAY - MICRO, DAY] {
        let rotated = rotate(within).await.unwrap().record;
        assert_eq!(rotated.expires_at(), Some(now + delta(within)));
    }
    let rule = Rule::TooLate { latest: now + delta(DAY) };
    expect_invalid(rotate(DAY + MICRO).await, Field::ExpiresAt, rule);
    let never = acme.rotate(id, RotateRequest::at_once().never_expires()).await;
    expect_invalid(never, Field::ExpiresAt, Rule::Required);
    let other = harness.issue(backup()).await.record.id();
    let longer = RotateRequest::at_once().expires_in(DAY + MICRO);
    assert!(acme.rotate(other, longer).await.is_ok());
}

/// A stricter limit applies to new ends only.
pub(crate) async fn rotate_without_end_keeps_the_present_one(stores: Stores) {
    let harness = limited(stores, Policy::new().allow_never(true), |visitor| visitor);
    let never = harness.issue(visitor().never_expires()).await.record;
    let late = harness.issue(visitor().expires_in(300 * DAY)).await.record;
    let stricter = harness.with_types([token_type("visitor", &["files:read"]).max_lifetime(DAY)]);
    let acme = stricter.owner("acme");
    for record in [&never, &late] {
        let rotated = acme.rotate(record.id(), RotateRequest::at_once()).await.unwrap().record;
        assert_eq!(rotated.expires_at(), record.expires_at());
    }
    // Naming the present end is a request for it, so the limits apply.
    let same = RotateRequest::at_once().never_expires();
    expect_invalid(acme.rotate(never.id(), same).await, Field::ExpiresAt, Rule::Required);
    let same = RotateRequest::at_once().expires_at(late.expires_at().unwrap());
    let rule = Rule::TooLate { latest: stricter.now() + delta(DAY) };
    expect_invalid(acme.rotate(late.id(), same).await, Field::ExpiresAt, rule);
}

pub(crate) async fn impossible_type_limits_do_not_build(stores: Stores) {
    let store = stores.open().store;
    let build = |policy: Policy, limit: fn(TokenType) -> TokenType| {
        let visitor = limit(token_type("visitor", &["files:read"]));
        builder(store.clone()).policy(policy).token_type(visitor).build()
    };
    let strict = Policy::new;
    const NANOS: Duration = Duration::from_nanos(999);
    type Limit = fn(TokenType) -> TokenType;
    let possible: [(Policy, Limit); 7] = [
        (strict(), |visitor| visitor.default_lifetime(MICRO).max_lifetime(MICRO)),
        (strict(), |visitor| visitor.default_lifetime(DAY).max_lifetime(DAY)),
        (strict(), |visitor| visitor.default_lifetime(366 * DAY)),
        (strict(), |visitor| visitor.default_lifetime(None).allow_never(true)),
        (strict().allow_never(true), |visitor| visitor.default_lifetime(None)),
        (strict(), |visitor| visitor.default_lifetime(1_000 * 366 * DAY).max_lifetime(None)),
        (strict(), |visitor| visitor.retired(true).require_networks(true)),
    ];
    for (index, (policy, limit)) in possible.into_iter().enumerate() {
        assert!(build(policy, limit).is_ok(), "{index}");
    }
    let impossible: [(Policy, Limit, InvalidPolicy); 11] = [
        (strict(), |visitor| visitor.max_lifetime(Duration::ZERO), InvalidPolicy::NoMaxLifetime),
        (strict(), |visitor| visitor.max_lifetime(NANOS), InvalidPolicy::NoMaxLifetime),
        (strict(), |visitor| visitor.default_lifetime(Duration::ZERO), InvalidPolicy::NoLifetime),
        (strict(), |visitor| visitor.default_lifetime(NANOS), InvalidPolicy::NoLifetime),
        (
            strict(),
            |visitor| visitor.default_lifetime(DAY + MICRO).max_lifetime(DAY),
            InvalidPolicy::DefaultTooLong,
        ),
        // The default of the type exceeds the maximum of the policy.
        (
            strict(),
            |visitor| visitor.default_lifetime(366 * DAY + MICRO),
            InvalidPolicy::DefaultTooLong,
        ),
        (strict(), |visitor| visitor.default_lifetime(None), InvalidPolicy::DefaultNever),
        (
            strict().allow_never(true),
            |visitor| visitor.default_lifetime(None).allow_never(false),
            InvalidPolicy::DefaultNever,
        ),
        (
            strict().allow_never(true),
            |visitor| visitor.default_lifetime(None).max_lifetime(DAY),
            InvalidPolicy::DefaultNever,
        ),
        // The default of the policy is "never", and no maximum could replace it.
        (
            strict().allow_never(true).default_lifetime(None).max_lifetime(None),
            |visitor| visitor.allow_never(false),
            InvalidPolicy::DefaultNever,
        ),
        (
            strict(),
            |visitor| visitor.default_lifetime(1_000 * 366 * DAY + MICRO).max_lifetime(None),
            InvalidPolicy::DefaultOutOfRange,
        ),
    ];
    for (index, (policy, limit, expected)) in impossible.into_iter().enumerate() {
        match build(policy, limit) {
            Err(BuildError::TypeLimits { name, source }) => {
                assert_eq!((&*name, source), ("visitor", expected), "{index}");
            }
            other => panic!("{index}: {other:?}"),
        }
    }
}

/// A service over the records of the harness in which the connector is retired.
fn retired(harness: &Harness) -> TokenService<SharedStore> {
    harness.with_types([
        token_type("connector", &["files:read", "files:upload"]).retired(true),
        token_type("all", &["*", "service-tokens:*"]),
    ])
}

pub(crate) async fn retired_type_issues_nothing(stores: Stores) {
    let harness = Harness::new(stores);
    let service = retired(&harness);
    let acme = service.owner("acme");
    expect_invalid(acme.issue(backup()).await, Field::Type, Rule::Retired);
    let caller = harness.caller(&["*", "service-tokens:*"]).await;
    let outcome = service.on_behalf_of(&caller).issue(backup()).await;
    expect_invalid(outcome, Field::Type, Rule::Retired);
    assert_eq!(records(service.store()).await.len(), 1);

    // A repeated request learns that its token exists.
    let id = harness.service.new_id().unwrap();
    let _ = harness.issue(backup().id(id)).await;
    let repeated = acme.issue(backup().id(id)).await;
    assert!(matches!(repeated, Err(ManageError::Exists { id: of }) if of == id), "{repeated:?}");
}

pub(crate) async fn retired_type_tokens_live_on(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(backup()).await;
    let (id, any) = (issued.record.id(), super::harness::any());
    let service = retired(&harness);
    assert_eq!(service.refusal_of(&issued.record), None);
    assert!(service.verify(&text(&issued), &any).await.is_ok());
    let rotation = RotateRequest::at_once().expires_in(DAY);
    let rotated = service.owner("acme").rotate(id, rotation).await.unwrap();
    assert!(service.verify(&text(&rotated), &any).await.is_ok());
    let caller = harness.caller(&["*", "service-tokens:*"]).await;
    let rotated = service.on_behalf_of(&caller).rotate(id, RotateRequest::at_once()).await.unwrap();
    assert!(service.verify(&text(&rotated), &any).await.is_ok());
}

/// A service over the records of the harness that does not know the connector.
fn without_connector(harness: &Harness) -> TokenService<SharedStore> {
    harness.with_types([token_type("all", &["*", "service-tokens:*"])])
}

pub(crate) async fn rotate_of_unknown_type_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(backup()).await;
    let id = issued.record.id();
    let service = without_connector(&harness);
    let requests = [
        RotateRequest::at_once(),
        RotateRequest::with_overlap(HOUR),
        RotateRequest::at_once().expires_in(HOUR),
        RotateRequest::at_once().never_expires(),
    ];
    for request in requests {
        for view in [service.owner_or_all(Some("acme")), service.all_owners()] {
            let outcome = view.rotate(id, request.clone()).await;
            expect_invalid(outcome, Field::Type, Rule::Unknown);
        }
    }
    // The old secret works again as soon as the type is known again.
    assert_eq!(records(&*harness.store).await, std::slice::from_ref(&issued.record));
    assert_eq!(harness.refusal(&text(&issued)).await, None);
    assert!(harness.service.owner("acme").rotate(id, RotateRequest::at_once()).await.is_ok());
}

/// Adding the type would not make these tokens rotatable.
pub(crate) async fn rotate_of_unknown_type_reports_state_first(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = [
        harness.issue(backup()).await,
        harness.issue(backup().expires_in(HOUR)).await,
        harness.issue(backup().not_before(harness.clock.now() + delta(DAY))).await,
    ];
    harness.revoke(issued[0].record.id()).await;
    harness.clock.advance(HOUR);
    let service = without_connector(&harness);
    for (issued, expected) in issued.iter().zip([State::Revoked, State::Expired, State::Pending]) {
        let outcome =
            service.all_owners().rotate(issued.record.id(), RotateRequest::at_once()).await;
        match outcome {
            Err(ManageError::NotRotated(RotateDenied::NotActive(state))) => {
                assert_eq!(state, expected);
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn calling_token_cannot_rotate_unknown_type(stores: Stores) {
    let harness = Harness::new(stores);
    let id = harness.issue(backup()).await.record.id();
    let caller = harness.caller(&["*", "service-tokens:*"]).await;
    let service = without_connector(&harness);
    let outcome = service.on_behalf_of(&caller).rotate(id, RotateRequest::at_once()).await;
    expect_invalid(outcome, Field::Type, Rule::Unknown);
    // A calling token of an unknown type is not accepted at all.
    let unaware = harness.with_types([token_type("connector", &["files:read"])]);
    let on_behalf = unaware.on_behalf_of(&caller);
    let outcome = on_behalf.rotate(id, RotateRequest::at_once()).await;
    assert_eq!(expect_not_active(outcome), Refusal::UnknownType);
    let outcome = on_behalf.rotate_self(RotateRequest::at_once()).await;
    assert_eq!(expect_not_active(outcome), Refusal::UnknownType);
}

pub(crate) async fn refusal_of_record_agrees_with_verify(stores: Stores) {
    let harness = Harness::new(stores);
    let start = harness.clock.now() + delta(HOUR);
    let mut tokens = Vec::new();
    for request in [backup(), backup().not_before(start), backup().expires_in(HOUR)] {
        let issued = harness.issue(request).await;
        tokens.push((issued.record.id(), text(&issued)));
    }
    let revoked = harness.issue_backup().await;
    harness.revoke(revoked.0).await;
    tokens.push(revoked);
    tokens.push(plant(&*harness.store, backup(), newer).await);

    let unaware = without_connector(&harness);
    let mut seen = Vec::new();
    for step in [HOUR - MICRO, MICRO, MICRO] {
        harness.clock.advance(step);
        for service in [&harness.service, &unaware] {
            for (id, token) in &tokens {
                let record = service.store().find(*id).await.unwrap().unwrap().record;
                let refusal = service.refusal_of(&record);
                let verified = service.verify(token, &super::harness::any()).await;
                assert_eq!(verified.err().and_then(|error| error.refusal()), refusal);
                seen.push(refusal);
            }
        }
    }
    use Refusal::{Expired, NewerRecord, NotYetActive, Revoked, UnknownType};
    let (revoked, newer, unknown) = (Some(Revoked), Some(NewerRecord), Some(UnknownType));
    let before = [
        [None, Some(NotYetActive), None, revoked, newer],
        [unknown, Some(NotYetActive), unknown, revoked, newer],
    ];
    let after = [
        [None, None, Some(Expired), revoked, newer],
        [unknown, unknown, Some(Expired), revoked, newer],
    ];
    assert_eq!(seen, [before, after, after].as_flattened().as_flattened());
}
