//! Bearer tokens for axum, tower and tonic services, on the public API of [`service_tokens`].

mod credentials;
#[cfg(feature = "management")]
pub mod management;
#[cfg(feature = "page")]
pub mod page;
mod problem;
mod realm;
mod rejection;
#[cfg(feature = "standards")]
mod standards;

pub use realm::InvalidRealm;
pub use rejection::Rejection;
