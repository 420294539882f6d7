//! The limit of live tokens of an owner after the clock ran ahead.

use std::time::Duration;

use chrono::TimeDelta;
use service_tokens::import::ImportDigest;
use service_tokens::{ImportRequest, ManageError, Policy};

use super::harness::{HOUR, Harness, Stores, backup, records};
use super::import::old_keys;

behaviours! {
    owner_limit_after_corrected_jump_counts_live,
    owner_limit_after_small_error_counts_live,
    owner_limit_during_jump_counts_expired,
    owner_limit_does_not_count_expired,
}

/// A service that allows two live tokens, and an owner that has two which end after this time.
async fn full(stores: Stores, lifetime: Duration) -> Harness {
    let policy = Policy::new().max_active_per_owner(2);
    let harness = Harness::builder(stores)
        .configure(|service| service.policy(policy).import_form(old_keys()))
        .build();
    for _ in 0..2 {
        let _ = harness.issue(backup().expires_in(lifetime)).await;
    }
    harness
}

/// Checks that neither an issue nor an import gets a third token.
async fn expect_full(harness: &Harness) {
    let acme = harness.service.owner("acme");
    let issued = acme.issue(backup()).await;
    assert!(matches!(issued, Err(ManageError::TooManyActive { max: 2 })), "{issued:?}");
    let import = ImportRequest::of_digest(ImportDigest::sha256([7; 32]), "connector", "backup");
    let imported = acme.import(import).await;
    assert!(matches!(imported, Err(ManageError::TooManyActive { max: 2 })), "{imported:?}");
    assert_eq!(records(&*harness.store).await.len(), 2);
}

fn run_ahead(harness: &Harness, by: TimeDelta) {
    let right = harness.service.now();
    harness.clock.set(right + by);
    let _ = harness.service.now();
    harness.clock.set(right);
}

pub(crate) async fn owner_limit_after_corrected_jump_counts_live(stores: Stores) {
    let harness = full(stores, HOUR).await;
    run_ahead(&harness, TimeDelta::hours(2));
    expect_full(&harness).await;
    // The service's time stays ahead after the acknowledgement, and the tokens are live elsewhere.
    assert!(harness.service.acknowledge_clock_jump().is_some());
    expect_full(&harness).await;
}

pub(crate) async fn owner_limit_after_small_error_counts_live(stores: Stores) {
    let harness = full(stores, Duration::from_secs(20)).await;
    run_ahead(&harness, TimeDelta::seconds(40));
    assert!(!harness.service.has_clock_jumped());
    expect_full(&harness).await;
}

/// The clock may be wrong, so an operator decides.
pub(crate) async fn owner_limit_during_jump_counts_expired(stores: Stores) {
    let harness = full(stores, HOUR).await;
    harness.clock.set(harness.service.now() + TimeDelta::hours(2));
    expect_full(&harness).await;
    assert!(harness.service.acknowledge_clock_jump().is_some());
    let _ = harness.issue(backup()).await;
}

pub(crate) async fn owner_limit_does_not_count_expired(stores: Stores) {
    let harness = full(stores, HOUR).await;
    harness.advance(HOUR - Duration::from_micros(1));
    expect_full(&harness).await;
    harness.advance(Duration::from_micros(1));
    let _ = harness.issue(backup()).await;
}
