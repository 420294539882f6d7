//! The extractor that authenticates the calling token. Handlers reach the service only through it.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header::{AUTHORIZATION, Entry};
use http::request::Parts;
use service_tokens::{
    OnBehalf, Requirement, ReservedScope, TokenService, TokenStore, VerifiedToken,
};

use super::failure::Failure;
use crate::credentials::bearer;
use crate::rejection::Rejection;

/// The state of the router. Its service is private, so handlers reach the service only through a
/// [`Caller`].
pub(super) struct ApiState<S>(Arc<TokenService<S>>);

impl<S> ApiState<S> {
    pub(super) fn new(service: Arc<TokenService<S>>) -> Self {
        Self(service)
    }
}

impl<S> Clone for ApiState<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The requirement that an endpoint has for its caller.
pub(super) trait Access: Send {
    fn requirement() -> Requirement;
}

macro_rules! access {
    ($($(#[$doc:meta])* $name:ident => $requirement:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl Access for $name {
            fn requirement() -> Requirement {
                $requirement
            }
        }
    )*};
}

access! {
    /// Any active token, for the endpoints below `/tokens/self`.
    Active => Requirement::any_token();
    Read => ReservedScope::Read.requirement();
    Issue => ReservedScope::Issue.requirement();
    Rotate => ReservedScope::Rotate.requirement();
    RotateSelf => ReservedScope::RotateSelf.requirement();
    Revoke => ReservedScope::Revoke.requirement();
    /// Either scope, because both an issue form and a list filter need the token types.
    ReadOrIssue => Requirement::any_of([ReservedScope::Read, ReservedScope::Issue])
        // The scopes are valid, so this cannot fail. The fallback is the stricter requirement.
        .unwrap_or_else(|_| ReservedScope::Issue.requirement());
}

/// A verified calling token that meets the requirement `A`.
///
/// The token is verified uncached. Every handler extracts the caller first, so a request without access
/// is refused before any other part of it is read.
pub(super) struct Caller<A, S> {
    service: Arc<TokenService<S>>,
    token: VerifiedToken,
    access: PhantomData<A>,
}

impl<A: Access, S: TokenStore + 'static> FromRequestParts<ApiState<S>> for Caller<A, S> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState<S>) -> Result<Self, Failure> {
        // Loggers further down must not write the token.
        if let Entry::Occupied(mut values) = parts.headers.entry(AUTHORIZATION) {
            values.iter_mut().for_each(|value| value.set_sensitive(true));
        }
        let text = bearer(&parts.headers).map_err(Rejection::from)?;
        let service = Arc::clone(&state.0);
        let token =
            service.verify_uncached(text, &A::requirement()).await.map_err(Rejection::from)?;
        Ok(Self { service, token, access: PhantomData })
    }
}

impl<A, S: TokenStore> Caller<A, S> {
    /// Returns the verified token.
    pub(super) fn token(&self) -> &VerifiedToken {
        &self.token
    }

    /// Returns the operations on behalf of the token. Each operation checks again whether it is allowed.
    pub(super) fn operations(&self) -> OnBehalf<'_, S> {
        self.service.on_behalf_of(&self.token)
    }

    /// Returns the service, for data that is not about a token.
    pub(super) fn service(&self) -> &TokenService<S> {
        &self.service
    }
}

#[cfg(test)]
mod tests {
    use service_tokens::{IssueRequest, MemoryStore, TokenType};

    use super::*;

    #[tokio::test]
    async fn extract_caller_marks_credentials_sensitive() {
        let service = TokenService::builder(MemoryStore::new(), "acme_test")
            .token_type(TokenType::new("manager", ["service-tokens:*"]).unwrap())
            .build()
            .unwrap();
        let issued = service.owner("acme").issue(IssueRequest::new("manager", "x")).await.unwrap();
        let good = format!("Bearer {}", issued.token.expose_secret());
        let state = ApiState::new(Arc::new(service));
        for (values, accepted) in
            [(&[&*good][..], true), (&[&good, &good], false), (&["Bearer x"], false)]
        {
            let mut request = http::Request::new(());
            for value in values {
                request.headers_mut().append(AUTHORIZATION, value.parse().unwrap());
            }
            let (mut parts, ()) = request.into_parts();
            let caller = Caller::<Read, _>::from_request_parts(&mut parts, &state).await;
            assert_eq!(caller.is_ok(), accepted);
            assert_eq!(parts.headers.len(), values.len());
            assert!(parts.headers.values().all(http::HeaderValue::is_sensitive));
        }
    }
}
