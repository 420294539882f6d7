//! The tokens that are being stopped at the moment. A stop is a revocation or a suspension.
//!
//! A client with a valid token could rotate it so fast that the compare-and-swap of a stop never
//! succeeds. So other writes of this service end before a token that is being stopped.
//!
//! They do not wait for the stop to end, because its future may not be polled any more. And a stop
//! registers only after it has found a record that it may change. Otherwise a caller could prevent the
//! rotation of other owners' tokens by trying to revoke them.
//!
//! Two stops do not yield to each other. Each has so many attempts that both succeed, and a suspension
//! that yielded to a revocation which is not polled any more would leave the token accepted.
//!
//! A first use that ends an older secret is registered in the same way, in a table of its own, because it
//! yields to stops itself. It registers only after a conflict, so that it does not refuse the write of an
//! operator that comes at the same moment.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::token::TokenId;

/// The number of stops in progress of each token.
#[derive(Default)]
pub(super) struct Stops(Mutex<HashMap<TokenId, usize>>);

impl Stops {
    fn lock(&self) -> MutexGuard<'_, HashMap<TokenId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a stop until the returned guard is dropped.
    pub(super) fn begin(&self, id: TokenId) -> StopGuard<'_> {
        *self.lock().entry(id).or_default() += 1;
        StopGuard { stops: self, id }
    }

    pub(super) fn contains(&self, id: TokenId) -> bool {
        self.lock().contains_key(&id)
    }
}

impl fmt::Debug for Stops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stops").field("tokens", &self.lock().len()).finish()
    }
}

/// A revocation, a suspension or a first use in progress.
pub(in super::super) struct StopGuard<'s> {
    stops: &'s Stops,
    id: TokenId,
}

impl Drop for StopGuard<'_> {
    fn drop(&mut self) {
        let mut stops = self.stops.lock();
        if let Some(count) = stops.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                stops.remove(&self.id);
            }
        }
    }
}
