//! The limits that a service sets for its tokens.
//!
//! [`Policy`] has the limits, and [`TokenServiceBuilder::policy`](crate::TokenServiceBuilder::policy)
//! takes it. Building a service with an impossible policy is an [`InvalidPolicy`].

pub use crate::service::{InvalidPolicy, Policy};
