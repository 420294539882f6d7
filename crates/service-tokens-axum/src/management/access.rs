//! Who asks. The only way to the service.

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

/// The service, closed: handlers cannot reach it but through a [`Caller`].
pub(super) struct Closed<S>(Arc<TokenService<S>>);

impl<S> Closed<S> {
    pub(super) fn new(service: Arc<TokenService<S>>) -> Self {
        Self(service)
    }
}

impl<S> Clone for Closed<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// What an endpoint needs of its caller.
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
    /// Any active token, for what it does with itself.
    Active => Requirement::any_token();
    Read => ReservedScope::Read.requirement();
    Issue => ReservedScope::Issue.requirement();
    Rotate => ReservedScope::Rotate.requirement();
    RotateSelf => ReservedScope::RotateSelf.requirement();
    Revoke => ReservedScope::Revoke.requirement();
    /// For forms in which somebody issues, or filters a list.
    ReadOrIssue => Requirement::any_of([ReservedScope::Read, ReservedScope::Issue])
        // Closed if this could fail: nobody reads the types then.
        .unwrap_or_else(|_| ReservedScope::Issue.requirement());
}

/// A request whose token was verified strictly and may do `A`. Its extraction looks at nothing else of
/// the request, and comes first in every handler.
pub(super) struct Caller<A, S> {
    service: Arc<TokenService<S>>,
    token: VerifiedToken,
    access: PhantomData<A>,
}

impl<A: Access, S: TokenStore + 'static> FromRequestParts<Closed<S>> for Caller<A, S> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, closed: &Closed<S>) -> Result<Self, Failure> {
        // Whatever logs the request further in does not show it.
        if let Entry::Occupied(mut values) = parts.headers.entry(AUTHORIZATION) {
            values.iter_mut().for_each(|value| value.set_sensitive(true));
        }
        let text = bearer(&parts.headers).map_err(Rejection::from)?;
        let service = Arc::clone(&closed.0);
        let token =
            service.verify_uncached(text, &A::requirement()).await.map_err(Rejection::from)?;
        Ok(Self { service, token, access: PhantomData })
    }
}

impl<A, S: TokenStore> Caller<A, S> {
    /// The verified token.
    pub(super) fn token(&self) -> &VerifiedToken {
        &self.token
    }

    /// What it may do; each act decides anew whether it may.
    pub(super) fn acts(&self) -> OnBehalf<'_, S> {
        self.service.on_behalf_of(&self.token)
    }

    /// The service, for what concerns no token.
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
        let issued = service.issue(IssueRequest::new("acme", "manager", "x")).await.unwrap();
        let good = format!("Bearer {}", issued.token.expose_secret());
        let closed = Closed::new(Arc::new(service));
        for (values, accepted) in
            [(&[&*good][..], true), (&[&good, &good], false), (&["Bearer x"], false)]
        {
            let mut request = http::Request::new(());
            for value in values {
                request.headers_mut().append(AUTHORIZATION, value.parse().unwrap());
            }
            let (mut parts, ()) = request.into_parts();
            let caller = Caller::<Read, _>::from_request_parts(&mut parts, &closed).await;
            assert_eq!(caller.is_ok(), accepted);
            assert_eq!(parts.headers.len(), values.len());
            assert!(parts.headers.values().all(http::HeaderValue::is_sensitive));
        }
    }
}
