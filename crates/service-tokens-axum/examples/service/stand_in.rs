//! Temporary: until the package has it.
pub(crate) mod page {
    pub(crate) fn router() -> axum::Router {
        axum::Router::new()
    }
}
