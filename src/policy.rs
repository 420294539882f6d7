//! The limits that a service sets for its tokens.
//!
//! [`Policy`] has the limits, and [`TokenServiceBuilder::policy`](crate::TokenServiceBuilder::policy)
//! sets it. [`TokenServiceBuilder::build`](crate::TokenServiceBuilder::build) refuses an impossible policy
//! with an [`InvalidPolicy`].

pub use crate::service::{InvalidPolicy, Policy};
