//! Builds the store of `examples/postgres_store`, and tests it against a server.
//!
//! The manual's page *Writing a store* shows the same files. They need a driver, so the crate itself does not
//! build them.

#![allow(missing_debug_implementations, reason = "the page shows the store without it")]

#[path = "../../../examples/postgres_store/feed.rs"]
pub mod feed;
#[path = "../../../examples/postgres_store/store.rs"]
pub mod store;
