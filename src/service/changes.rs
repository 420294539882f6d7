//! What is changed in the store, until it is known whether the change is in.

use super::TokenService;
use super::kept::Kept;
use crate::digest::StoredDigest;
use crate::error::{ManageError, other_record};
use crate::record::Record;
use crate::store::{StoreError, StoredRecord, TokenStore, Version};
use crate::token::TokenId;

/// How often an act is tried when answers are lost, or others change the same token.
pub(super) const ATTEMPTS: usize = 16;

/// How often a revocation is tried when others change the same token: they may be many, and may be
/// doing it to hold the revocation off. There is an end for stores that never do anything else.
const PERSISTENT_ATTEMPTS: usize = 10_000;

/// How an act takes it when others change the same token meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Persistence {
    /// It gives up after some attempts, and before a revocation at once.
    StepsAside,
    /// It goes on for as long as it can matter.
    Persists,
}

impl<S: TokenStore> TokenService<S> {
    /// Inserts until it is known whether the record is in. A record under its id that holds its
    /// digest is this one: nobody else knows the secret.
    pub(super) async fn insert(
        &self,
        record: Record,
        digest: &StoredDigest,
    ) -> Result<Record, ManageError> {
        let id = record.id();
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            let inserted = {
                let _fence = self.fence(id);
                self.store.insert(&record).await
            };
            match inserted {
                Ok(_) => return Ok(record),
                Err(StoreError::Exists) if lost.is_none() => {
                    return Err(ManageError::Exists { id });
                }
                Err(StoreError::Exists) => {}
                Err(error @ StoreError::Indeterminate { .. }) => lost = Some(error),
                Err(error) => return Err(unresolved(id, lost, error)),
            }
            match self.find(id).await {
                Ok(Some(stored)) if stored.record.holds(digest) => return Ok(stored.record),
                Ok(Some(_)) => return Err(ManageError::Exists { id }),
                // Not in: inserting the same record again cannot make a second token.
                Ok(None) => {}
                Err(error) => return Err(unresolved(id, lost, error)),
            }
        }
        Err(exhausted(id, lost))
    }

    pub(super) async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        found(&*self.store, id).await
    }

    /// Changes a record by compare-and-swap until it is known whether the change is in. `act` gives
    /// the changed record, or `None` if nothing is to do (any more); it is asked again with the
    /// present record after a conflict and after a lost answer, and told whether there was one of those.
    pub(super) async fn change(
        &self,
        persistence: Persistence,
        owner: Option<&str>,
        id: TokenId,
        mut act: impl FnMut(&Record, bool) -> Result<Option<Record>, ManageError> + Send,
    ) -> Result<Record, ManageError> {
        let mut lost = None;
        let (mut conflicts, mut losses) = (0, 0);
        let most = match persistence {
            Persistence::StepsAside => ATTEMPTS,
            Persistence::Persists => PERSISTENT_ATTEMPTS,
        };
        while conflicts < most && losses < ATTEMPTS {
            let step = async {
                let present = owned(self.find(id).await?, owner, id)?;
                let changed = act(&present.record, lost.is_some())?;
                let gives_way = persistence == Persistence::StepsAside && self.revoking.has(id);
                if changed.is_some() && gives_way {
                    return Err(ManageError::Contended { id });
                }
                Ok::<_, ManageError>((present, changed))
            };
            let (present, changed) = match step.await {
                Ok((present, None)) => return Ok(present.record),
                Ok((present, Some(changed))) => (present, changed),
                Err(error) => return Err(unresolved(id, lost, error)),
            };
            match self.replace(&changed, present.version).await {
                Ok(_) => return Ok(changed),
                Err(StoreError::Conflict) => conflicts += 1,
                Err(error @ StoreError::Indeterminate { .. }) => {
                    losses += 1;
                    lost = Some(error);
                }
                Err(error) => return Err(unresolved(id, lost, error)),
            }
        }
        Err(exhausted(id, lost))
    }

    pub(super) async fn replace(
        &self,
        record: &Record,
        expected: Version,
    ) -> Result<Version, StoreError> {
        let _fence = self.fence(record.id());
        self.store.replace(record, expected).await
    }

    pub(super) async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        let _fence = self.fence(id);
        self.store.remove(id, expected).await
    }

    pub(super) fn fence(&self, id: TokenId) -> Option<Fence<'_>> {
        self.kept.as_deref().map(|kept| Fence { kept, id })
    }
}

/// Around a change: when it ends, whatever the answer and also if the caller gives up waiting, what is
/// kept of the record no longer counts.
pub(super) struct Fence<'k> {
    kept: &'k Kept,
    id: TokenId,
}

impl Drop for Fence<'_> {
    fn drop(&mut self) {
        self.kept.forget(self.id);
    }
}

/// The record, if it is there and, for a bound view, the owner's: another's does not exist.
pub(super) fn owned(
    found: Option<StoredRecord>,
    owner: Option<&str>,
    id: TokenId,
) -> Result<StoredRecord, ManageError> {
    found
        .filter(|stored| owner.is_none_or(|owner| stored.record.owner() == owner))
        .ok_or(ManageError::NotFound { id })
}

/// The record under an id; never another's.
pub(super) async fn found<S: TokenStore + ?Sized>(
    store: &S,
    id: TokenId,
) -> Result<Option<StoredRecord>, StoreError> {
    match store.find(id).await? {
        Some(stored) if stored.record.id() != id => Err(other_record()),
        found => Ok(found),
    }
}

/// A failure after an answer was lost leaves open whether that change is in, or was until others
/// changed the record again.
pub(super) fn unresolved(
    id: TokenId,
    lost: Option<StoreError>,
    error: impl Into<ManageError>,
) -> ManageError {
    match lost {
        Some(source) => ManageError::Indeterminate { id, source },
        None => error.into(),
    }
}

pub(super) fn exhausted(id: TokenId, lost: Option<StoreError>) -> ManageError {
    match lost {
        Some(source) => ManageError::Indeterminate { id, source },
        None => ManageError::Contended { id },
    }
}
