//! The package over real sockets: the layers, and the router of each feature.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

#[path = "../harness/mod.rs"]
mod harness;

#[cfg(feature = "management")]
mod api;
mod bearer;
mod bearer_failures;
mod bearer_requirements;
mod conformance;
mod grpc;
#[cfg(feature = "management")]
mod management;
#[cfg(all(feature = "standards", feature = "management", feature = "page"))]
mod mounting;
mod old_keys;
#[cfg(feature = "page")]
mod page;
#[cfg(feature = "standards")]
mod proxies;
#[cfg(feature = "standards")]
mod standards;
#[cfg(all(feature = "standards", feature = "management"))]
mod suspended;
