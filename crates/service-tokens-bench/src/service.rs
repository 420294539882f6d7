//! The service under measurement. It is built as users build it, with all features switched on.

use std::hint::black_box;

use service_tokens::{
    IssueRequest, Issued, ManageError, RequestContext, Requirement, TokenId, TokenService,
    TokenServiceBuilder, TokenStore, TokenType, VerifiedToken,
};

use crate::poll::{all, ready};
use crate::tokens::{Random, Tokens};

/// The scope that every verification requires.
pub const SCOPE: &str = "files:upload";

/// The number of owners of a million tokens.
pub const OWNERS: usize = 10_000;

/// The label of every token. It has 24 characters.
pub const LABEL: &str = "nightly backup to vault1";

/// The number of concurrent issues while a service is filled.
const BATCH: usize = 1_000;

/// Returns the name of an owner. It has 16 characters.
pub fn owner(n: usize) -> String {
    format!("owner-{:010}", n % OWNERS)
}

/// A service with tokens, and their texts in random order.
#[derive(Debug)]
pub struct Filled<S> {
    /// The service.
    pub service: TokenService<S>,
    /// The texts of all tokens.
    pub tokens: Tokens,
    /// The ids of all tokens, in the order of the texts.
    pub ids: Vec<TokenId>,
}

/// Builds a service over a store, with the default policy, clock, keys and event sink.
pub fn service<S: TokenStore>(store: S) -> TokenService<S> {
    builder(store).build().expect("a service")
}

fn builder<S: TokenStore>(store: S) -> TokenServiceBuilder<S> {
    let connector = TokenType::new("connector", [SCOPE]).expect("a type");
    TokenService::builder(store, "acme_live").token_type(connector)
}

/// Works like [`Filled::new`], but `with` changes the builder of the service first.
pub fn filled_with<S: TokenStore>(
    store: S,
    size: usize,
    with: impl FnOnce(TokenServiceBuilder<S>) -> TokenServiceBuilder<S>,
) -> Filled<S> {
    Filled::of(with(builder(store)).build().expect("a service"), size)
}

/// Works like [`filled_with`], but `add` creates the token of each number and returns its text and id, and the
/// tokens are used in this context.
pub fn filled_by<S: TokenStore>(
    store: S,
    size: usize,
    with: impl FnOnce(TokenServiceBuilder<S>) -> TokenServiceBuilder<S>,
    context: RequestContext,
    add: impl AsyncFn(&TokenService<S>, usize) -> (String, TokenId),
) -> Filled<S> {
    let service = with(builder(store)).build().expect("a service");
    let added = (0..size).map(|n| ready(add(&service, n))).collect();
    Filled::of_texts(service, added, context)
}

/// Issues the token of this number.
///
/// # Errors
///
/// Those of the service.
pub async fn issue<S: TokenStore>(
    service: &TokenService<S>,
    n: usize,
) -> Result<Issued, ManageError> {
    service.owner(&owner(n)).issue(IssueRequest::new("connector", LABEL)).await
}

impl<S: TokenStore> Filled<S> {
    /// Creates a service and issues `size` tokens.
    pub fn new(store: S, size: usize) -> Self {
        Self::of(service(store), size)
    }

    fn of(service: TokenService<S>, size: usize) -> Self {
        let mut issued: Vec<(String, TokenId)> = Vec::with_capacity(size);
        for start in (0..size).step_by(BATCH) {
            let issues = (start..size.min(start + BATCH)).map(|n| issue(&service, n));
            issued.extend(all(issues).into_iter().map(|outcome| {
                let issued = outcome.expect("an issued token");
                (issued.token.expose_secret().to_owned(), issued.record.id())
            }));
        }
        Self::of_texts(service, issued, RequestContext::new())
    }

    fn of_texts(
        service: TokenService<S>,
        mut issued: Vec<(String, TokenId)>,
        context: RequestContext,
    ) -> Self {
        Random::new(1).shuffle(&mut issued);
        let tokens = Tokens::new(issued.iter().map(|(text, _)| text));
        // In a service that has run for a while, every token was used and the uses are flushed.
        for (text, _) in &issued {
            ready(service.in_context(context).verify(text, &requirement()))
                .expect("a verified token");
        }
        flush(&service);
        Self { service, tokens, ids: issued.into_iter().map(|(_, id)| id).collect() }
    }

    /// Returns a function that verifies this number of tokens at each call. Each call continues where the
    /// last one stopped.
    pub fn verifying(&self, start: usize) -> impl FnMut(usize) + '_ {
        verifying(&self.service, &self.tokens, start)
    }

    /// Returns a function like [`verifying`](Self::verifying) for tokens that have a typing error.
    pub fn refusing<'s>(&'s self, mistyped: &'s Tokens) -> impl FnMut(usize) + 's {
        let requirement = requirement();
        let mut texts = mistyped.from(0);
        move |times| {
            for _ in 0..times {
                assert!(
                    black_box(ready(self.service.verify(texts.next_text(), &requirement))).is_err()
                );
            }
        }
    }
}

/// Returns a function that verifies this number of tokens at each call.
pub fn verifying<'s, S: TokenStore>(
    service: &'s TokenService<S>,
    tokens: &'s Tokens,
    start: usize,
) -> impl FnMut(usize) + 's {
    let requirement = requirement();
    let mut texts = tokens.from(start);
    move |times| {
        for _ in 0..times {
            let verified =
                ready(service.verify(texts.next_text(), &requirement)).expect("a verified token");
            read(&verified);
        }
    }
}

/// Returns the requirement of every verification.
pub fn requirement() -> Requirement {
    Requirement::scope(SCOPE).expect("a scope")
}

/// Reads every field, as a handler and its audit log do together.
#[inline]
pub(crate) fn read(verified: &VerifiedToken) {
    black_box(verified.id());
    black_box(verified.owner());
    black_box(verified.token_type());
    black_box(verified.scopes());
    black_box(verified.created_at());
    black_box(verified.not_before());
    black_box(verified.expires_at());
    black_box(verified.staleness());
}

/// Flushes last uses. A program that embeds the service does this about once a second, so the benchmarks
/// include it.
pub fn flush<S: TokenStore>(service: &TokenService<S>) {
    ready(service.flush_last_used()).expect("a flush");
}
