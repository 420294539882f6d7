//! The tokens that are being revoked at the moment.
//!
//! A client with a valid token could rotate it so fast that the compare-and-swap of a revocation never
//! succeeds. So other writes of this service stop before a token that is being revoked.
//!
//! They do not wait for the revocation to end, because its future may not be polled any more. And a
//! revocation registers only after it has found a record that it may revoke. Otherwise a caller could
//! prevent the rotation of other owners' tokens by trying to revoke them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::token::TokenId;

/// The number of revocations in progress of each token.
#[derive(Default)]
pub(super) struct Revocations(Mutex<HashMap<TokenId, usize>>);

impl Revocations {
    fn lock(&self) -> MutexGuard<'_, HashMap<TokenId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a revocation until the returned guard is dropped.
    pub(super) fn begin(&self, id: TokenId) -> RevocationGuard<'_> {
        *self.lock().entry(id).or_default() += 1;
        RevocationGuard { revocations: self, id }
    }

    pub(super) fn contains(&self, id: TokenId) -> bool {
        self.lock().contains_key(&id)
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").field("tokens", &self.lock().len()).finish()
    }
}

/// A revocation in progress.
pub(in super::super) struct RevocationGuard<'r> {
    revocations: &'r Revocations,
    id: TokenId,
}

impl Drop for RevocationGuard<'_> {
    fn drop(&mut self) {
        let mut revocations = self.revocations.lock();
        if let Some(count) = revocations.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                revocations.remove(&self.id);
            }
        }
    }
}
