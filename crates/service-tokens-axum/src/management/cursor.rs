//! The cursor of a list, which is the position of a page and bound to that list.
//!
//! A cursor consists of the last id of a page and a digest, each 22 characters. The digest covers the id,
//! the owner, the filters and the order, so a cursor cannot be used with another list by mistake. It has no
//! key, so every node can check it, also after a restart. It protects no secret, because a forged cursor
//! only returns pages of the caller's own list.

use service_tokens::store::Order;
use service_tokens::{ListRequest, State, TokenId};
use sha2::{Digest, Sha256};

/// The number of characters of a token id.
const ID_LEN: usize = 22;

/// Creates the cursor after `last` in this owner's list.
pub(super) fn write(owner: &str, request: &ListRequest, last: TokenId) -> String {
    format!("{last}{}", digest(owner, request, last))
}

/// Returns the id in the cursor if the cursor belongs to this list.
pub(super) fn read(owner: &str, request: &ListRequest, cursor: &str) -> Option<TokenId> {
    let last = cursor.get(..ID_LEN)?.parse().ok()?;
    // Each id has one spelling, so comparing the texts is exact.
    (write(owner, request, last) == cursor).then_some(last)
}

/// Returns the first half of a SHA-256, written like an id. It does not cover the page size, which may
/// change between pages.
fn digest(owner: &str, request: &ListRequest, last: TokenId) -> TokenId {
    let mut hash = Sha256::new();
    // An empty filter is refused earlier, so an empty part means no filter. The length before each part
    // separates it from the next.
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
        part(time.map(super::token_json::time).unwrap_or_default().as_bytes());
    }
    part(&State::ALL.map(|state| u8::from(request.filter.states.contains(state))));
    part(match request.order {
        Order::NewestFirst => b"newest",
        Order::OldestFirst => b"oldest",
    });
    part(&last.to_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&hash.finalize()[..16]);
    TokenId::from_bytes(half)
}
