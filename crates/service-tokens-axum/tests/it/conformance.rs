//! The store of the tests keeps every promise. It fails only where a test asks for it.

use service_tokens::conformance::fresh;
use service_tokens::conformance_tests;

use crate::harness::FaultyStore;

conformance_tests!(mod faulty, tokio::test, fresh(|| async { FaultyStore::new() }));
conformance_tests!(
    mod faulty_without_last_used,
    tokio::test,
    fresh(|| async { FaultyStore::without_last_used() })
);
