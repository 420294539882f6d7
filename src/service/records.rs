//! Reads and writes of records in the store.
//!
//! **Compare-and-swap.** A write reads the record with its version, computes the changed record, and
//! replaces it only if the version is still the same. After a conflict it starts again with the new
//! record.
//!
//! **Lost answers.** A store across a network can lose its answer to a write
//! ([`StoreError::Indeterminate`]). Then the write may have happened or not. The next attempt reads the
//! record again, which shows whether it happened. If that reading fails too, the result is
//! [`ManageError::Indeterminate`] with the error of the lost answer, because the write may have
//! happened. Later errors do not replace that error.
//!
//! **The cache.** Each write holds an [`InvalidateOnDrop`]. When it ends, with any answer or because its
//! future was dropped, the cached record is invalid.
//!
//! **Bulk operations.** A change of a listed record begins with that record, so it reads only after a conflict
//! or a lost answer. Its calls travel in a [`Batch`].

mod batch;
mod stops;

use std::sync::Arc;

use super::cache::Cache;
use super::gather::Gatherer;
use crate::clock::Clock;
use crate::digest::StoredDigest;
use crate::error::{ManageError, other_record};
use crate::record::Record;
use crate::store::{Gathering, StoreError, StoredRecord, TokenStore, Version};
use crate::token::TokenId;
pub(super) use batch::Batch;
use stops::{StopGuard, Stops};

/// How often a write is tried after conflicts or lost answers.
const ATTEMPTS: usize = 16;

/// How often a revocation, a suspension or the end of an older secret is tried after conflicts. There may be
/// many other writes, and an attacker may cause them to prevent it. The limit is for a store that answers
/// each write with a conflict.
pub(super) const PERSISTENT_ATTEMPTS: usize = 10_000;

/// How a write retries after conflicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// It fails after [`ATTEMPTS`] conflicts, and at once if the token is being revoked or suspended, or if a
    /// first use has met a conflict.
    YieldToStop,
    /// It fails only after [`PERSISTENT_ATTEMPTS`] conflicts.
    Persistent,
}

/// The token that a change concerns.
pub(super) enum Target<'b> {
    /// The change reads the record first, and makes its calls itself.
    Id(TokenId),
    /// The change begins with the record as it was listed, and its calls travel in the batch.
    Listed(Box<StoredRecord>, &'b Batch),
}

impl Target<'_> {
    pub(super) fn id(&self) -> TokenId {
        match self {
            Self::Id(id) => *id,
            Self::Listed(found, _) => found.record.id(),
        }
    }
}

impl From<TokenId> for Target<'_> {
    fn from(id: TokenId) -> Self {
        Self::Id(id)
    }
}

/// The store with everything that a write has to respect.
pub(super) struct Records<S> {
    /// Shared, because an in-flight read may be polled after the service's own future was dropped.
    pub(super) store: Arc<S>,
    /// Only for stores that do not answer at once, and only if the embedder asked for a cache.
    pub(super) cache: Option<Arc<Cache>>,
    /// Only for stores that ask for it. The look-ups of verifications go through it.
    pub(super) gatherer: Option<Arc<Gatherer>>,
    stops: Stops,
    /// The first uses that have met a conflict. They yield to stops, and other writes yield to them.
    first_uses: Stops,
}

impl<S: TokenStore> Records<S> {
    pub(super) fn new(
        store: S,
        cache: Option<Cache>,
        gathering: Option<(Gathering, Arc<dyn Clock>)>,
    ) -> Self {
        let store = Arc::new(store);
        let gatherer = gathering.map(|(sizes, clock)| Gatherer::new(store.clone(), clock, sizes));
        let (stops, first_uses) = (Stops::default(), Stops::default());
        Self { store, cache: cache.map(Arc::new), gatherer, stops, first_uses }
    }
}

impl<S> Records<S> {
    /// Invalidates a cached record.
    pub(super) fn invalidate(&self, id: TokenId) {
        if let Some(cache) = &self.cache {
            cache.invalidate(id);
        }
    }

    /// Registers a revocation or a suspension of the token until the returned guard is dropped.
    pub(super) fn begin_stop(&self, id: TokenId) -> StopGuard<'_> {
        self.stops.begin(id)
    }

    /// Returns whether the token is being revoked or suspended at the moment.
    pub(super) fn is_being_stopped(&self, id: TokenId) -> bool {
        self.stops.contains(id)
    }

    /// Registers a first use that has met a conflict, until the returned guard is dropped.
    pub(super) fn begin_first_use(&self, id: TokenId) -> StopGuard<'_> {
        self.first_uses.begin(id)
    }

    fn invalidate_on_drop(&self, id: TokenId) -> Option<InvalidateOnDrop<'_>> {
        self.cache.as_deref().map(|cache| InvalidateOnDrop { cache, id })
    }
}

impl<S: TokenStore> Records<S> {
    /// Returns the record with this id from the store, never from the cache.
    pub(super) async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        find_in(&*self.store, id).await
    }

    /// Inserts a record. After a lost answer, a record with this id and this digest is the inserted one,
    /// because only this call knows the secret.
    pub(super) async fn insert(
        &self,
        record: Record,
        digest: &StoredDigest,
    ) -> Result<Record, ManageError> {
        let id = record.id();
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            let inserted = {
                let _invalidate = self.invalidate_on_drop(id);
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
                // The record is missing. Inserting it again cannot create a second token.
                Ok(None) => {}
                Err(error) => return Err(unresolved(id, lost, error)),
            }
        }
        Err(exhausted(id, lost))
    }

    /// Changes a record by compare-and-swap, and returns the record after the change.
    ///
    /// `change` gets the present record, and whether an answer was lost before. It returns the changed
    /// record, or `None` if the present record needs no change. It is called again after each conflict
    /// and each lost answer.
    pub(super) async fn change<'b>(
        &self,
        retry: Retry,
        owner: Option<&str>,
        target: impl Into<Target<'b>>,
        mut change: impl FnMut(&Record, bool) -> Result<Option<Record>, ManageError> + Send,
    ) -> Result<Record, ManageError> {
        let target = target.into();
        let change = |present: &StoredRecord, lost| change(&present.record, lost);
        self.change_version(retry, owner, target, change).await.map(|(record, _)| record)
    }

    /// Changes a record as [`change`](Self::change) does, and returns the version as well.
    pub(super) async fn change_version<'b>(
        &self,
        retry: Retry,
        owner: Option<&str>,
        target: impl Into<Target<'b>>,
        mut change: impl FnMut(&StoredRecord, bool) -> Result<Option<Record>, ManageError> + Send,
    ) -> Result<(Record, Version), ManageError> {
        let target = target.into();
        let id = target.id();
        let (mut listed, batch) = match target {
            Target::Id(_) => (None, None),
            Target::Listed(found, batch) => (Some(found), Some(batch)),
        };
        let mut lost = None;
        let (mut conflicts, mut losses) = (0, 0);
        let max_conflicts = match retry {
            Retry::YieldToStop => ATTEMPTS,
            Retry::Persistent => PERSISTENT_ATTEMPTS,
        };
        while conflicts < max_conflicts && losses < ATTEMPTS {
            let step = async {
                let present = match listed.take() {
                    Some(listed) => Some(*listed),
                    None => self.find_through(batch, id).await?,
                };
                let present = owned(present, owner, id)?;
                let changed = change(&present, lost.is_some())?;
                let yields = retry == Retry::YieldToStop
                    && (self.is_being_stopped(id) || self.first_uses.contains(id));
                if changed.is_some() && yields {
                    return Err(ManageError::Contended { id });
                }
                Ok::<_, ManageError>((present, changed))
            };
            let (version, changed) = match step.await {
                Ok((present, None)) => return Ok((present.record, present.version)),
                Ok((present, Some(changed))) => (present.version, changed),
                Err(error) => return Err(unresolved(id, lost, error)),
            };
            let (changed, replaced) = match batch {
                Some(batch) => batch.replace(changed, version).await,
                None => {
                    let replaced = self.replace(&changed, version).await;
                    (changed, replaced)
                }
            };
            match replaced {
                Ok(version) => return Ok((changed, version)),
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

    /// Replaces a record once, without a retry.
    pub(super) async fn replace(
        &self,
        record: &Record,
        expected: Version,
    ) -> Result<Version, StoreError> {
        let _invalidate = self.invalidate_on_drop(record.id());
        self.store.replace(record, expected).await
    }

    async fn find_through(
        &self,
        batch: Option<&Batch>,
        id: TokenId,
    ) -> Result<Option<StoredRecord>, StoreError> {
        match batch {
            Some(batch) => batch.find(id).await,
            None => self.find(id).await,
        }
    }

    /// Removes a listed record, as long as `selects` accepts it after each conflict. Returns whether this call
    /// removed it.
    pub(super) async fn remove(
        &self,
        mut found: StoredRecord,
        batch: &Batch,
        selects: impl Fn(&StoredRecord) -> bool + Send,
    ) -> Result<bool, ManageError> {
        let id = found.record.id();
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            // A newer program may retain it for a reason that this program cannot read.
            if found.record.is_newer() {
                return Err(StoreError::NewerFormat.into());
            }
            match batch.remove(id, found.version).await {
                Ok(()) => return Ok(true),
                Err(StoreError::Conflict) => {}
                Err(error @ StoreError::Indeterminate { .. }) => lost = Some(error),
                Err(error) => return Err(unresolved(id, lost, error)),
            }
            match batch.find(id).await {
                // After a lost answer, most likely this call removed it.
                Ok(None) => return Ok(lost.is_some()),
                Ok(Some(present)) => found = present,
                Err(error) => return Err(unresolved(id, lost, error)),
            }
            if !selects(&found) {
                return Ok(false);
            }
        }
        Err(exhausted(id, lost))
    }
}

/// Invalidates the cached record when a write ends, with any answer or because its future is dropped.
struct InvalidateOnDrop<'c> {
    cache: &'c Cache,
    id: TokenId,
}

impl Drop for InvalidateOnDrop<'_> {
    fn drop(&mut self) {
        self.cache.invalidate(self.id);
    }
}

/// Returns the record if it exists and belongs to the owner of the view. Another owner's record does not
/// exist in the view.
pub(super) fn owned(
    found: Option<StoredRecord>,
    owner: Option<&str>,
    id: TokenId,
) -> Result<StoredRecord, ManageError> {
    found
        .filter(|stored| owner.is_none_or(|owner| stored.record.owner() == owner))
        .ok_or(ManageError::NotFound { id })
}

/// Returns the record with this id. A store that answers with another record is an error.
pub(super) async fn find_in<S: TokenStore + ?Sized>(
    store: &S,
    id: TokenId,
) -> Result<Option<StoredRecord>, StoreError> {
    match store.find(id).await? {
        Some(stored) if stored.record.id() != id => Err(other_record()),
        found => Ok(found),
    }
}

/// Returns the error of a write that failed. After a lost answer it is unknown whether the write
/// happened, or happened and was overwritten.
fn unresolved(id: TokenId, lost: Option<StoreError>, error: impl Into<ManageError>) -> ManageError {
    match lost {
        Some(source) => ManageError::Indeterminate { id, source },
        None => error.into(),
    }
}

/// Returns the error of a write that had no attempt left.
fn exhausted(id: TokenId, lost: Option<StoreError>) -> ManageError {
    match lost {
        Some(source) => ManageError::Indeterminate { id, source },
        None => ManageError::Contended { id },
    }
}
