//! What a layer leaves in a request for those below it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Extensions, HeaderMap};
use service_tokens::{Requirement, VerifiedToken};

use crate::realm::Realm;
use crate::rejected::Rejected;
use crate::rejection::Rejection;

/// What must be waited for after an answer.
pub(crate) type Noting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A layer's service, whatever its store.
pub(crate) trait Above: Send + Sync {
    /// Tells the event of a need that is not met.
    fn tell_missing(&self, token: &VerifiedToken, requirement: &Requirement);

    /// Notes the use of the gate's token, as far as that need not wait for the store; the rest is
    /// returned.
    fn note(self: Arc<Self>, gate: Gate) -> Option<Noting>;

    fn realm(&self) -> &Realm;
}

/// That there is a layer above, and whom it let through.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Passed>);

struct Passed {
    layer: Arc<dyn Above>,
    /// `None` if there was none, and the layer said that this is fine.
    token: Option<VerifiedToken>,
    /// Whether a need was not met: then the request is no use of the token.
    refused: AtomicBool,
}

impl Gate {
    pub(crate) fn new(layer: Arc<dyn Above>, token: Option<VerifiedToken>) -> Self {
        Self(Arc::new(Passed { layer, token, refused: AtomicBool::new(false) }))
    }

    /// The gate that a request came through last. Without one nothing may pass, and the operator is
    /// told.
    pub(crate) fn above<'e>(
        extensions: &'e Extensions,
        headers: &HeaderMap,
        asking: &'static str,
    ) -> Result<&'e Self, Rejected> {
        extensions.get::<Self>().ok_or_else(|| {
            tracing::error!(
                target: "service_tokens",
                asking,
                "there is no BearerLayer above: the request is refused"
            );
            Rejected::new(Rejection::NoLayer, &Realm::default(), headers)
        })
    }

    /// The token, if the request came with one.
    pub(crate) fn token(&self) -> Option<&VerifiedToken> {
        self.0.token.as_ref()
    }

    /// Whether there is a token that may do this.
    pub(crate) fn check(&self, requirement: &Requirement) -> Result<(), Rejection> {
        let token = self.token().ok_or(Rejection::NoCredentials)?;
        if token.permits(requirement) {
            return Ok(());
        }
        self.0.refused.store(true, Ordering::Relaxed);
        self.0.layer.tell_missing(token, requirement);
        Err(Rejection::InsufficientScope(Box::new(requirement.clone())))
    }

    /// As an answer of the layer above.
    pub(crate) fn reject(&self, rejection: Rejection, headers: &HeaderMap) -> Rejected {
        Rejected::new(rejection, self.0.layer.realm(), headers)
    }

    /// Notes the use of the token, unless a need refused it.
    fn note(self) -> Option<Noting> {
        if self.0.refused.load(Ordering::Relaxed) {
            return None;
        }
        let layer = self.0.layer.clone();
        layer.note(self)
    }
}

/// Sees to it that the use of a token is noted, once and whatever becomes of the request.
pub(crate) struct Using(Option<Gate>);

impl Using {
    pub(crate) fn of(gate: Gate) -> Self {
        Self(Some(gate))
    }

    /// To be called when the request has been answered. What is returned must be waited for.
    pub(crate) fn end(mut self) -> Option<Noting> {
        self.0.take()?.note()
    }
}

impl Drop for Using {
    /// The request was given up, or its handler panicked. What must not be waited for is done: the use
    /// is noted, and the store has been asked to end an overlap.
    fn drop(&mut self) {
        let Some(gate) = self.0.take() else { return };
        // A store that panics here must not abort the process.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(gate.note())));
    }
}
