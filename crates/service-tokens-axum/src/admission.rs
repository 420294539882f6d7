//! The entry that a `BearerLayer` leaves in a request for the layers and extractors below it.
//!
//! A use of the token is recorded once, after the service below has answered. Until then any
//! `RequireLayer` below may reject the request, and a rejected request does not count as a use. So the
//! admission is shared. A `RequireLayer` marks it as rejected, and the [`UseGuard`] of the `BearerLayer`
//! reads that mark at the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Extensions, HeaderMap};
use service_tokens::{Requirement, VerifiedToken};

use crate::realm::Realm;
use crate::rejection::Rejection;
use crate::rejection_response::RejectionResponse;

/// The part of recording a use that waits for the store.
pub(crate) type PendingUse = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A `BearerLayer` without the type of its store.
pub(crate) trait AdmittingLayer: Send + Sync {
    /// Emits the event of a token that does not meet a requirement.
    fn report_missing_scope(&self, token: &VerifiedToken, requirement: &Requirement);

    /// Records the use of the admitted token as far as possible without waiting for the store. Returns
    /// the rest.
    fn record_use(self: Arc<Self>, admission: Admission) -> Option<PendingUse>;

    fn realm(&self) -> &Realm;
}

/// The proof that a `BearerLayer` let a request pass, with the request's token.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Shared>);

struct Shared {
    layer: Arc<dyn AdmittingLayer>,
    /// `None` if the layer is optional and the request has no token.
    token: Option<VerifiedToken>,
    /// Whether the token did not meet a requirement. Then the request does not count as a use.
    rejected: AtomicBool,
}

impl Admission {
    pub(crate) fn new(layer: Arc<dyn AdmittingLayer>, token: Option<VerifiedToken>) -> Self {
        Self(Arc::new(Shared { layer, token, rejected: AtomicBool::new(false) }))
    }

    /// Returns the admission by the nearest layer above. Without a layer the request is rejected, and an
    /// error is logged for the operator.
    pub(crate) fn find<'e>(
        extensions: &'e Extensions,
        headers: &HeaderMap,
        required_by: &'static str,
    ) -> Result<&'e Self, RejectionResponse> {
        extensions.get::<Self>().ok_or_else(|| {
            tracing::error!(
                target: "service_tokens",
                required_by,
                "there is no BearerLayer above, so the request is rejected"
            );
            RejectionResponse::new(Rejection::NoLayer, &Realm::default(), headers)
        })
    }

    /// Returns the token, if the request has one.
    pub(crate) fn token(&self) -> Option<&VerifiedToken> {
        self.0.token.as_ref()
    }

    /// Checks that the request has a token that meets the requirement.
    pub(crate) fn check(&self, requirement: &Requirement) -> Result<(), Rejection> {
        let token = self.token().ok_or(Rejection::NoCredentials)?;
        if token.permits(requirement) {
            return Ok(());
        }
        self.0.rejected.store(true, Ordering::Relaxed);
        self.0.layer.report_missing_scope(token, requirement);
        Err(Rejection::InsufficientScope(Box::new(requirement.clone())))
    }

    /// Creates the response to a request, with the realm of the layer above.
    pub(crate) fn reject(&self, rejection: Rejection, headers: &HeaderMap) -> RejectionResponse {
        RejectionResponse::new(rejection, self.0.layer.realm(), headers)
    }

    /// Records the use of the token, unless the token did not meet a requirement.
    fn record_use(self) -> Option<PendingUse> {
        if self.0.rejected.load(Ordering::Relaxed) {
            return None;
        }
        let layer = self.0.layer.clone();
        layer.record_use(self)
    }
}

/// A guard that records the use of a token exactly once, also if the request is dropped or panics.
pub(crate) struct UseGuard(Option<Admission>);

impl UseGuard {
    pub(crate) fn new(admission: Admission) -> Self {
        Self(Some(admission))
    }

    /// Records the use after the request has been answered. The caller must await the returned future.
    pub(crate) fn finish(mut self) -> Option<PendingUse> {
        self.0.take()?.record_use()
    }
}

impl Drop for UseGuard {
    /// Records the use of a request that was dropped or whose handler panicked. The use is noted, and an
    /// overlap that it ends is sent to the store, but the store's answer is not awaited.
    fn drop(&mut self) {
        let Some(admission) = self.0.take() else { return };
        // A store that panics during unwinding would abort the process.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(admission.record_use())));
    }
}
