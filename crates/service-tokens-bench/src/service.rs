//! The service under measurement: built as its users build it, nothing switched off.

use std::hint::black_box;

use service_tokens::{
    IssueRequest, Issued, ManageError, Requirement, TokenId, TokenService, TokenServiceBuilder,
    TokenStore, TokenType, VerifiedToken,
};

use crate::poll::{all, ready};
use crate::tokens::{Picks, Tokens};

/// What is asked for in every verification.
pub const NEED: &str = "files:upload";

/// Owners that a million tokens are spread over.
pub const OWNERS: usize = 10_000;

/// The label of every token, of 24 characters.
pub const LABEL: &str = "nightly backup to vault1";

/// How many tokens are issued at once where only the result counts.
const AT_ONCE: usize = 1_000;

/// An owner's name, of 16 characters.
pub fn owner(n: usize) -> String {
    format!("owner-{:010}", n % OWNERS)
}

/// A service that holds tokens, and their texts in random order.
#[derive(Debug)]
pub struct Filled<S> {
    /// The service.
    pub service: TokenService<S>,
    /// All texts.
    pub tokens: Tokens,
    /// All ids, in the order of the texts.
    pub ids: Vec<TokenId>,
}

/// A service over a store: no policy, clock, key or sink but the defaults.
pub fn service<S: TokenStore>(store: S) -> TokenService<S> {
    builder(store).build().expect("a service")
}

fn builder<S: TokenStore>(store: S) -> TokenServiceBuilder<S> {
    let connector = TokenType::new("connector", [NEED]).expect("a type");
    TokenService::builder(store, "acme_live").token_type(connector)
}

/// As [`Filled::new`], with a service that `with` has changed something about.
pub fn filled_with<S: TokenStore>(
    store: S,
    size: usize,
    with: impl FnOnce(TokenServiceBuilder<S>) -> TokenServiceBuilder<S>,
) -> Filled<S> {
    Filled::of(with(builder(store)).build().expect("a service"), size)
}

/// A token that is to be issued.
pub fn request() -> IssueRequest {
    IssueRequest::new("connector", LABEL)
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
    service.owner(&owner(n)).issue(request()).await
}

impl<S: TokenStore> Filled<S> {
    /// Issues so many tokens.
    pub fn new(store: S, size: usize) -> Self {
        Self::of(service(store), size)
    }

    fn of(service: TokenService<S>, size: usize) -> Self {
        let mut issued: Vec<(String, TokenId)> = Vec::with_capacity(size);
        for start in (0..size).step_by(AT_ONCE) {
            let acts = (start..size.min(start + AT_ONCE)).map(|n| issue(&service, n));
            issued.extend(all(acts).into_iter().map(|outcome| {
                let issued = outcome.expect("an issued token");
                (issued.token.expose_secret().to_owned(), issued.record.id())
            }));
        }
        Picks::new(1).shuffle(&mut issued);
        let tokens = Tokens::new(issued.iter().map(|(text, _)| text));
        // As a service that has run for a while: every token was used, and that is flushed.
        for (text, _) in &issued {
            ready(service.verify(text, &requirement())).expect("a verified token");
        }
        flush(&service);
        Self { service, tokens, ids: issued.into_iter().map(|(_, id)| id).collect() }
    }

    /// Verifies so many tokens at each call, going on where the last one stopped.
    pub fn verifying(&self, start: usize) -> impl FnMut(usize) + '_ {
        verifying(&self.service, &self.tokens, start)
    }

    /// As [`verifying`](Self::verifying), with tokens that have a typing error.
    pub fn refusing<'s>(&'s self, mistyped: &'s Tokens) -> impl FnMut(usize) + 's {
        let requirement = requirement();
        let mut walk = mistyped.from(0);
        move |times| {
            for _ in 0..times {
                assert!(black_box(ready(self.service.verify(walk.step(), &requirement))).is_err());
            }
        }
    }
}

/// Verifies so many tokens at each call.
pub fn verifying<'s, S: TokenStore>(
    service: &'s TokenService<S>,
    tokens: &'s Tokens,
    start: usize,
) -> impl FnMut(usize) + 's {
    let requirement = requirement();
    let mut walk = tokens.from(start);
    move |times| {
        for _ in 0..times {
            let verified =
                ready(service.verify(walk.step(), &requirement)).expect("a verified token");
            read(&verified);
        }
    }
}

/// What every verification asks for.
pub fn requirement() -> Requirement {
    Requirement::scope(NEED).expect("a scope")
}

/// Reads every field, as a handler and its audit log between them do.
#[inline]
fn read(verified: &VerifiedToken) {
    black_box(verified.id());
    black_box(verified.owner());
    black_box(verified.token_type());
    black_box(verified.scopes());
    black_box(verified.created_at());
    black_box(verified.not_before());
    black_box(verified.expires_at());
    black_box(verified.staleness());
}

/// What an embedder calls about once a second beside its requests.
// The one place to call `service.flush_last_used()` from, which benchmarks then pay for too.
pub fn flush<S: TokenStore>(service: &TokenService<S>) {
    ready(service.flush_last_used()).expect("a flush");
}
