//! The stores that other tests and the examples use keep every promise. They fail only where a test asks for it.

use std::sync::Arc;

use service_tokens::conformance::fresh;
use service_tokens::store::Gathering;
use service_tokens::{MemoryStore, conformance_tests};

use crate::behaviour::harness::{Faulty, Gathers, Networked, Remote, SharedStore};
use crate::behaviour::last_used::Forgetful;

#[path = "../../examples/own_transaction.rs"]
#[allow(dead_code, reason = "the tests use its store")]
mod own_transaction;

fn memory() -> SharedStore {
    Arc::new(MemoryStore::new())
}

macro_rules! kept {
    ($($name:ident: $store:expr,)+) => {
        $(conformance_tests!(mod $name, tokio::test, fresh(|| async { $store }).runtime_free());)+
    };
}

kept! {
    remote: Remote::new(memory()),
    faulty: Faulty::new(memory()),
    networked: Networked::new(memory()),
    networked_gathers: Networked::new(memory()).gathering(Gathering::new(64, 2)),
    gathers: Gathers::new(memory(), Some(Gathering::new(64, 2))),
    gathers_nothing: Gathers::new(memory(), None),
    forgetful: Forgetful(memory()),
    in_transactions: Arc::<own_transaction::Database>::default(),
}
