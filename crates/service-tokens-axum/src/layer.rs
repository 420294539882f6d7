//! The layer that lets requests with an active token through.

use std::fmt;
use std::future::ready;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::response::IntoResponse;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use service_tokens::{Need, TokenService, TokenStore, VerifiedToken, VerifyError};
use tower_layer::Layer;
use tower_service::Service;

use crate::at_once::at_once;
use crate::credentials::{NoBearer, Presented};
use crate::gate::{Gate, Permits, Unasked};
use crate::realm::{InvalidRealm, Realm};
use crate::rejected::Rejected;
use crate::rejection::Rejection;

/// Lets requests through that come with an active token of a [`TokenService`], and refuses all others.
///
/// ```
/// # use std::sync::Arc;
/// use axum::{Router, routing::{get, post}};
/// use service_tokens::{Need, TokenService};
/// # use service_tokens::{InvalidScope, MemoryStore, TokenType};
/// use service_tokens_axum::{Bearer, BearerLayer, RequireLayer};
///
/// # fn service() -> Result<TokenService<MemoryStore>, Box<dyn std::error::Error>> {
/// # Ok(TokenService::builder(MemoryStore::new(), "acme_live")
/// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?) }
/// async fn whoami(Bearer(token): Bearer) -> String {
///     token.owner().to_owned()
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tokens = Arc::new(service()?);
/// let upload = post(|| async { "stored" }).layer(RequireLayer::scope("files:upload")?);
/// let app: Router = Router::new()
///     .route("/upload", upload)
///     .route("/whoami", get(whoami))
///     .layer(BearerLayer::new(tokens));
/// # Ok(()) }
/// ```
///
/// # What it reads
///
/// Exactly one `Authorization: Bearer <token>` header; the scheme in any case (RFC 6750 §2.1). Never a
/// query parameter, a cookie or a form. The answers to everything else are those of [`Rejection`].
///
/// # What it leaves
///
/// The [`VerifiedToken`] is in the request's extensions, and what another layer left there is not. The
/// `Authorization` header is marked as sensitive, so that whoever logs it further in writes
/// `Sensitive`.
///
/// # What a request needs
///
/// With [`need`](Self::need) the layer itself checks what the token may do. Without, any active token
/// is let through, and a [`RequireLayer`](crate::RequireLayer) on the route or router below it says what
/// is needed.
///
/// A use of the token is noted, and an overlap ended by it, as soon as the first need is met: the
/// layer's, that of a `RequireLayer`, or that of the [`Bearer`](crate::Bearer) extractor, which any
/// active token meets. Where nobody asks, it is noted when the request has been answered or given up,
/// or its handler has panicked. A need that is not met is no use.
///
/// # Where it fits
///
/// Any router, route or service of axum, a `tower::ServiceBuilder`, and `tonic`'s
/// `Server::builder().layer(..)`. A gRPC call that is refused gets the same HTTP status with
/// `grpc-status`: `UNAUTHENTICATED` (16) with 400 and 401, `PERMISSION_DENIED` (7) with 403,
/// `UNAVAILABLE` (14) with 503 and `INTERNAL` (13) with 500. The store may be any, also
/// `Arc<dyn TokenStore>`.
///
/// In axum a `.layer(..)` wraps the routes that were added before it, and
/// [`Router::layer`](axum::Router::layer) the answer to unknown paths too. What writes requests to a log
/// belongs below this layer, which hides the token from it. CORS belongs above it: a browser's preflight
/// request comes without a token.
pub struct BearerLayer<S> {
    settings: Settings<S>,
}

struct Settings<S> {
    service: Arc<TokenService<S>>,
    need: Option<Need>,
    optional: bool,
    strict: bool,
    realm: Realm,
}

impl<S: TokenStore> BearerLayer<S> {
    /// Every request needs an active token of this service.
    pub fn new(service: Arc<TokenService<S>>) -> Self {
        let realm = Realm::default();
        Self { settings: Settings { service, need: None, optional: false, strict: false, realm } }
    }

    /// Every token must be permitted this. Refused otherwise: 403 `insufficient_scope`.
    pub fn need(mut self, need: Need) -> Self {
        self.settings.need = Some(need);
        self
    }

    /// Lets requests without any `Authorization` header through, without a token. One that is
    /// malformed, of another scheme or with a bad token is refused as ever.
    pub fn optional(mut self) -> Self {
        self.settings.optional = true;
        self
    }

    /// Asks the store in any case, as [`TokenService::verify_strict`] does.
    pub fn strict(mut self) -> Self {
        self.settings.strict = true;
        self
    }

    /// What challenges name as the realm, instead of `service-tokens`.
    ///
    /// # Errors
    ///
    /// [`InvalidRealm`]
    pub fn realm(mut self, realm: &str) -> Result<Self, InvalidRealm> {
        self.settings.realm = Realm::new(realm)?;
        Ok(self)
    }
}

impl<S> Clone for BearerLayer<S> {
    fn clone(&self) -> Self {
        Self { settings: self.settings.clone() }
    }
}

impl<S> Clone for Settings<S> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            need: self.need.clone(),
            optional: self.optional,
            strict: self.strict,
            realm: self.realm.clone(),
        }
    }
}

impl<S> fmt::Debug for BearerLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerLayer")
            .field("need", &self.settings.need)
            .field("optional", &self.settings.optional)
            .field("strict", &self.settings.strict)
            .field("realm", &self.settings.realm)
            .finish_non_exhaustive()
    }
}

impl<I, S> Layer<I> for BearerLayer<S> {
    type Service = BearerService<I, S>;

    fn layer(&self, inner: I) -> Self::Service {
        BearerService { inner, settings: Arc::new(self.settings.clone()) }
    }
}

/// An answer that is on its way.
pub(crate) type Answering<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

/// A service below a [`BearerLayer`].
pub struct BearerService<I, S> {
    inner: I,
    settings: Arc<Settings<S>>,
}

impl<I: Clone, S> Clone for BearerService<I, S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), settings: self.settings.clone() }
    }
}

impl<I: fmt::Debug, S> fmt::Debug for BearerService<I, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<I, S, B, R> Service<Request<B>> for BearerService<I, S>
where
    I: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    I::Future: Send + 'static,
    I::Error: Send + 'static,
    S: TokenStore + 'static,
    B: Send + 'static,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = I::Error;
    type Future = Answering<I::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let presented = match Presented::of(request.headers()) {
            Ok(presented) => presented,
            Err(NoBearer::Absent) if self.settings.optional => {
                let unasked = self.settings.clone().let_through(&mut request, None);
                return Box::pin(answer(self.inner.call(request), unasked));
            }
            Err(no_bearer) => return self.settings.refuse(no_bearer.into(), &request),
        };
        let settings = self.settings.clone();
        let mut admitting = Box::pin(settings.clone().admit(presented));
        match at_once(&mut admitting) {
            Some(Ok(token)) => {
                let unasked = settings.let_through(&mut request, Some(token));
                return Box::pin(answer(self.inner.call(request), unasked));
            }
            Some(Err(rejection)) => return settings.refuse(rejection, &request),
            None => {}
        }
        // The one that is ready is called, and its clone waits for the next request.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            match admitting.await {
                Ok(token) => {
                    let unasked = settings.let_through(&mut request, Some(token));
                    answer(inner.call(request), unasked).await
                }
                Err(rejection) => settings.refuse(rejection, &request).await,
            }
        })
    }
}

/// The answer from further in.
async fn answer<R, E>(
    answering: impl Future<Output = Result<Response<R>, E>>,
    unasked: Unasked,
) -> Result<Response<Body>, E>
where
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let answer = answering.await.map(|response| response.map(Body::new));
    unasked.settle().await;
    answer
}

impl<S: TokenStore + 'static> Settings<S> {
    async fn admit(self: Arc<Self>, token: Presented) -> Result<VerifiedToken, Rejection> {
        Ok(match (&self.need, self.strict) {
            (None, false) => self.service.authenticate(&token).await?,
            (None, true) => self.service.authenticate_strict(&token).await?,
            (Some(need), false) => self.service.verify(&token, need).await?,
            (Some(need), true) => self.service.verify_strict(&token, need).await?,
        })
    }

    fn refuse<B, E>(&self, rejection: Rejection, request: &Request<B>) -> Answering<E>
    where
        E: Send + 'static,
    {
        let rejected = Rejected::new(rejection, &self.realm, request.headers());
        Box::pin(ready(Ok(rejected.into_response())))
    }

    /// Writes into the request what those further in are to find.
    fn let_through<B>(
        self: Arc<Self>,
        request: &mut Request<B>,
        admitted: Option<VerifiedToken>,
    ) -> Unasked {
        if let Some(authorization) = request.headers_mut().get_mut(AUTHORIZATION) {
            authorization.set_sensitive(true);
        }
        let used = self.need.is_some();
        let extensions = request.extensions_mut();
        let gate = match admitted {
            None => {
                extensions.remove::<VerifiedToken>();
                Gate::anonymous(self)
            }
            Some(token) => {
                extensions.insert(token.clone());
                Gate::passed(self, token, used)
            }
        };
        extensions.insert(gate.clone());
        Unasked(gate)
    }
}

#[async_trait]
impl<S: TokenStore + 'static> Permits for Settings<S> {
    async fn permit(&self, token: &VerifiedToken, need: &Need) -> Result<(), VerifyError> {
        self.service.permit(token, need).await
    }

    fn realm(&self) -> &Realm {
        &self.realm
    }
}
