//! Where a page of a list starts, bound to that list.
//!
//! A cursor is the last id of a page and a digest over that and everything that makes the list what it
//! is, each 22 characters. The digest has no key, so that any node reads it, also after a restart. It
//! is no secret and protects none: whoever makes one up gets pages of their own list, which they can
//! list anyway. It is there so that a cursor cannot be used by mistake with another list.

use service_tokens::store::Order;
use service_tokens::{ListRequest, State, TokenId};
use sha2::{Digest, Sha256};

/// The characters of a token id.
const ID_LEN: usize = 22;

/// The cursor behind `last` in this owner's list.
pub(super) fn write(owner: &str, request: &ListRequest, last: TokenId) -> String {
    format!("{last}{}", digest(owner, request, last))
}

/// The id that the cursor names, if it is one of this list.
pub(super) fn read(owner: &str, request: &ListRequest, cursor: &str) -> Option<TokenId> {
    let last = cursor.get(..ID_LEN)?.parse().ok()?;
    // Each id has one spelling, and so has each cursor.
    (write(owner, request, last) == cursor).then_some(last)
}

/// The first half of a SHA-256, spelled as an id. The page size is no part: it may change.
fn digest(owner: &str, request: &ListRequest, last: TokenId) -> TokenId {
    let mut hash = Sha256::new();
    // An empty filter is refused, and so is as good as none. Lengths keep one part from the next.
    let mut part = |bytes: &[u8]| {
        hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(bytes);
    };
    part(b"service-tokens-axum cursor 1");
    part(owner.as_bytes());
    for text in [
        &request.filter.token_type,
        &request.filter.issued_to,
        &request.filter.issued_to_contains,
        &request.filter.issued_by,
    ] {
        part(text.as_deref().unwrap_or_default().as_bytes());
    }
    part(request.filter.issuer.map(TokenId::to_bytes).as_ref().map_or(&[], |id| &id[..]));
    for time in [
        request.filter.expires_before,
        request.filter.created_before,
        request.filter.unused_since,
        request.filter.ended_before,
    ] {
        part(time.map(super::token::time).unwrap_or_default().as_bytes());
    }
    part(
        &[State::Pending, State::Active, State::Expired, State::Revoked]
            .map(|state| u8::from(request.filter.states.contains(state))),
    );
    part(match request.order {
        Order::NewestFirst => b"newest",
        Order::OldestFirst => b"oldest",
    });
    part(&last.to_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&hash.finalize()[..16]);
    TokenId::from_bytes(half)
}
