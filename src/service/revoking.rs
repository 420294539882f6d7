//! The tokens that are being revoked at this moment.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::token::TokenId;

/// Before these ids this service's rotations and first uses step aside: else whoever holds a token
/// could rotate it so fast that its revocation never finds it at rest.
///
/// Nobody waits for a revocation: its future may be one that is not polled. And none is in here before
/// it has found a record that it may revoke, or others' tokens could be kept from rotating by it.
#[derive(Default)]
pub(super) struct Revoking(Mutex<HashMap<TokenId, usize>>);

impl Revoking {
    fn lock(&self) -> MutexGuard<'_, HashMap<TokenId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, until what this gives is dropped.
    pub(super) fn begin(&self, id: TokenId) -> BeingRevoked<'_> {
        *self.lock().entry(id).or_default() += 1;
        BeingRevoked { revoking: self, id }
    }

    pub(super) fn has(&self, id: TokenId) -> bool {
        self.lock().contains_key(&id)
    }
}

impl fmt::Debug for Revoking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revoking").field("tokens", &self.lock().len()).finish()
    }
}

/// A revocation that is under way.
pub(super) struct BeingRevoked<'r> {
    revoking: &'r Revoking,
    id: TokenId,
}

impl Drop for BeingRevoked<'_> {
    fn drop(&mut self) {
        let mut revoking = self.revoking.lock();
        if let Some(times) = revoking.get_mut(&self.id) {
            *times -= 1;
            if *times == 0 {
                revoking.remove(&self.id);
            }
        }
    }
}
