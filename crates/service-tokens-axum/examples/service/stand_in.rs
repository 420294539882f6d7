//! Temporary: until the package has these.
pub(crate) mod management {
    pub(crate) fn router<S>(_: std::sync::Arc<S>) -> axum::Router {
        axum::Router::new()
    }
}
pub(crate) mod page {
    pub(crate) fn router() -> axum::Router {
        axum::Router::new()
    }
}
