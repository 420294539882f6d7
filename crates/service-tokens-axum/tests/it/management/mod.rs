//! The management API.

mod access;
mod bodies;
mod endpoints;
mod lists;
mod openapi;
#[cfg(feature = "standards")]
mod other_owners;
mod refusals;
mod retries;
mod secrets_as_names;
mod times;
mod type_limits;
