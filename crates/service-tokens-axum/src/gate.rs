//! What a layer leaves in a request for those below it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use http::{Extensions, HeaderMap};
use service_tokens::{Need, VerifiedToken, VerifyError};

use crate::at_once::at_once;
use crate::realm::Realm;
use crate::rejected::Rejected;
use crate::rejection::Rejection;

/// A layer's service, whatever its store.
#[async_trait]
pub(crate) trait Permits: Send + Sync {
    async fn permit(&self, token: &VerifiedToken, need: &Need) -> Result<(), VerifyError>;

    fn realm(&self) -> &Realm;
}

/// That there is a layer above, and whom it let through.
#[derive(Clone)]
pub(crate) struct Gate {
    layer: Arc<dyn Permits>,
    /// `None` if there was no token, and the layer said that this is fine.
    entry: Option<Arc<Entry>>,
}

struct Entry {
    token: VerifiedToken,
    /// Whether anybody has asked what it may do: then its use has been noted or refused.
    asked: AtomicBool,
}

impl Gate {
    /// Of a request without a token.
    pub(crate) fn anonymous(layer: Arc<dyn Permits>) -> Self {
        Self { layer, entry: None }
    }

    /// Of a request with this token. `used` if that has been noted as a use.
    pub(crate) fn passed(layer: Arc<dyn Permits>, token: VerifiedToken, used: bool) -> Self {
        let entry = Entry { token, asked: AtomicBool::new(used) };
        Self { layer, entry: Some(Arc::new(entry)) }
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

    /// Whether the request came without a token.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.entry.is_none()
    }

    /// The token, if there is one and it may do this. Its use is noted then.
    pub(crate) async fn permit(&self, need: &Need) -> Result<&VerifiedToken, Rejection> {
        let Some(entry) = &self.entry else { return Err(Rejection::NoCredentials) };
        entry.asked.store(true, Ordering::Relaxed);
        self.layer.permit(&entry.token, need).await?;
        Ok(&entry.token)
    }

    /// As an answer of the layer above.
    pub(crate) fn reject(&self, rejection: Rejection, headers: &HeaderMap) -> Rejected {
        Rejected::new(rejection, self.layer.realm(), headers)
    }

    fn is_asked(&self) -> bool {
        self.entry.as_deref().is_none_or(|entry| entry.asked.load(Ordering::Relaxed))
    }
}

/// Sees to it that the use of a token is noted of which nobody below has asked what it may do. Any
/// active token may do that.
pub(crate) struct Unasked(pub(crate) Gate);

impl Unasked {
    /// To be called when the request has been answered.
    pub(crate) async fn settle(self) {
        if !self.0.is_asked() {
            let _ = self.0.permit(&Need::authenticated()).await;
        }
    }
}

impl Drop for Unasked {
    /// The request was given up, or its handler panicked. What must not be waited for is done: the use
    /// is noted, and the store has been asked to end an overlap.
    fn drop(&mut self) {
        if self.0.is_asked() {
            return;
        }
        let need = Need::authenticated();
        let mut permitting = Box::pin(self.0.permit(&need));
        // A store that panics here must not abort the process.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(at_once(&mut permitting))));
    }
}
