//! Policies: valid and invalid ones, and their reports.

use std::time::Duration;

use futures_lite::future::block_on;

use crate::behaviour::harness::{DAY, HOUR, MICRO, builder};
use service_tokens::policy::InvalidPolicy;
use service_tokens::{BuildError, IssueRequest, MemoryStore, Policy};

#[test]
fn policy_reports_its_limits() {
    let policy = Policy::new()
        .default_lifetime(None)
        .max_lifetime(3 * DAY)
        .allow_never(true)
        .allow_outliving_issuer(true)
        .max_overlap(DAY)
        .max_active_per_owner(7)
        .max_text_len(20)
        .max_reason_len(1_000)
        .max_metadata_entries(3)
        .max_metadata_bytes(100);
    assert_eq!((policy.default_lifetime, policy.max_lifetime), (None, Some(3 * DAY)));
    assert!(policy.allow_never && policy.allow_outliving_issuer);
    assert_eq!((policy.max_overlap, policy.max_active_per_owner), (DAY, Some(7)));
    assert_eq!((policy.max_text_len, policy.max_reason_len), (20, 1_000));
    assert_eq!((policy.max_metadata_entries, policy.max_metadata_bytes), (3, 100));
    let defaults = Policy::new();
    assert_eq!(defaults.default_lifetime, Some(90 * DAY));
    assert!(!defaults.allow_never && !defaults.allow_outliving_issuer);
}

#[test]
fn impossible_policy_does_not_build() {
    let invalid = |policy: Policy| match builder(MemoryStore::new()).policy(policy).build() {
        Err(BuildError::Policy(invalid)) => invalid,
        other => panic!("{other:?}"),
    };
    let policy = Policy::new();
    assert_eq!(invalid(policy.clone().default_lifetime(None)), InvalidPolicy::DefaultNever);
    assert_eq!(invalid(policy.clone().default_lifetime(Duration::ZERO)), InvalidPolicy::NoLifetime);
    assert_eq!(invalid(policy.clone().max_lifetime(Duration::ZERO)), InvalidPolicy::NoMaxLifetime);
    for bytes in [0, 1_025, usize::MAX] {
        let text = invalid(policy.clone().max_text_len(bytes));
        assert_eq!(text, InvalidPolicy::MaxTextLen { max: 1_024 });
        let reason = invalid(policy.clone().max_reason_len(bytes));
        assert_eq!(reason, InvalidPolicy::MaxReasonLen { max: 1_024 });
    }
    let entries = invalid(policy.clone().max_metadata_entries(65));
    assert_eq!(entries, InvalidPolicy::MaxMetadataEntries { max: 64 });
    let bytes = invalid(policy.clone().max_metadata_bytes(8_193));
    assert_eq!(bytes, InvalidPolicy::MaxMetadataBytes { max: 8_192 });
    // A record has no time between two microseconds, so such a token would end at its creation.
    let nano = Duration::from_nanos(999);
    assert_eq!(invalid(policy.clone().default_lifetime(nano)), InvalidPolicy::NoLifetime);
    assert_eq!(invalid(policy.clone().max_lifetime(nano)), InvalidPolicy::NoMaxLifetime);
    let millennium = 1_000 * 366 * DAY;
    for beyond in [millennium + MICRO, Duration::MAX] {
        let never_ends = policy.clone().default_lifetime(beyond).max_lifetime(None);
        assert_eq!(invalid(never_ends), InvalidPolicy::DefaultOutOfRange);
    }
    for possible in [
        policy.clone().default_lifetime(MICRO).max_lifetime(MICRO),
        policy.clone().default_lifetime(millennium).max_lifetime(None),
        policy.clone().max_lifetime(Duration::MAX),
        policy.clone().max_text_len(1).max_reason_len(1).max_metadata_entries(0),
    ] {
        let service = builder(MemoryStore::new()).policy(possible.clone()).build().unwrap();
        let issued = block_on(service.owner("a").issue(IssueRequest::new("connector", "b")));
        assert!(issued.is_ok(), "{possible:?}");
    }
    let over = policy.clone().default_lifetime(DAY + MICRO).max_lifetime(DAY);
    assert_eq!(invalid(over), InvalidPolicy::DefaultTooLong);
    let equal = policy.default_lifetime(DAY).max_lifetime(DAY);
    assert!(builder(MemoryStore::new()).policy(equal).build().is_ok());
}

#[test]
fn impossible_setting_does_not_build() {
    let build = || builder(MemoryStore::new());
    let cache = build().cache_records(HOUR, 0).build();
    assert!(matches!(cache, Err(BuildError::NoCachedRecords)));
    let coarse = build().last_used_resolution(DAY + MICRO).build();
    assert!(matches!(coarse, Err(BuildError::LastUsedResolution { max: DAY })));
    assert!(build().cache_records(Duration::ZERO, 1).build().is_ok());
    assert!(build().last_used_resolution(Duration::ZERO).build().is_ok());
    assert!(build().last_used_resolution(DAY).build().is_ok());
}
