//! Bearer tokens for axum, tower and tonic services, on the public API of [`service_tokens`].

mod credentials;
#[cfg(feature = "management")]
mod management;
#[cfg(feature = "page")]
pub mod page;
#[cfg(any(feature = "standards", feature = "management"))]
mod problem;
mod rejection;
#[cfg(feature = "standards")]
mod standards;

pub use rejection::Rejection;
