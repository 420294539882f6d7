//! Bearer tokens for axum, tower and tonic services, on the public API of [`service_tokens`].

mod at_once;
mod credentials;
mod extract;
mod gate;
mod grpc;
mod layer;
#[cfg(feature = "management")]
mod management;
#[cfg(feature = "page")]
mod page;
mod problem;
mod realm;
mod rejected;
mod rejection;
mod require;
#[cfg(feature = "standards")]
mod standards;

pub use extract::Bearer;
pub use layer::{BearerLayer, BearerService};
pub use realm::InvalidRealm;
pub use rejected::Rejected;
pub use rejection::Rejection;
pub use require::{RequireLayer, RequireService};
