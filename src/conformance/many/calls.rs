//! A store that makes the calls about many rows in place of the single ones, so that the checks of the
//! single calls also check the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::decoys::{Decoy, Notes, decoy_record, missing, wrong, wrong_write};
use crate::record::Record;
use crate::store::{
    ChangeStream, Filter, Gathering, ListRequest, MAX_PAGE_LEN, Page, RecordRef, StoreError,
    StoredRecord, TokenStore, Version,
};
use crate::token::TokenId;

/// The calls that are made about many rows. The others are made as single calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::conformance) struct Calls {
    find: bool,
    versions: bool,
    replace: bool,
    remove: bool,
}

const NONE: Calls = Calls { find: false, versions: false, replace: false, remove: false };

impl Calls {
    pub(in crate::conformance) const ALL: Self =
        Self { find: true, versions: true, replace: true, remove: true };

    /// Each call alone, with its name.
    pub(in crate::conformance) const ALONE: [(&'static str, Self); 4] = [
        ("find_many", Self { find: true, ..NONE }),
        ("versions", Self { versions: true, ..NONE }),
        ("replace_many", Self { replace: true, ..NONE }),
        ("remove_many", Self { remove: true, ..NONE }),
    ];
}

/// The read that comes first where both could notice a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::conformance) enum First {
    Find,
    Versions,
    InTurn,
}

/// How the calls are made.
#[derive(Debug, Clone, Copy)]
pub(in crate::conformance) struct Style {
    /// Puts rows around the row of the check that have no record or another version.
    pub(in crate::conformance) decoys: bool,
    pub(in crate::conformance) first: First,
    /// Makes half of the writes as single calls, so that both kinds race.
    pub(in crate::conformance) mixed: bool,
}

/// Decoys around each row, and both reads first in turn.
pub(in crate::conformance) const AMONG_OTHERS: Style =
    Style { decoys: true, first: First::InTurn, mixed: false };

/// A store that forwards to another one, and makes [`Calls`] about many rows.
pub(in crate::conformance) struct ManyCalls {
    pub(in crate::conformance) store: Arc<dyn TokenStore>,
    pub(in crate::conformance) calls: Calls,
    pub(in crate::conformance) style: Style,
    pub(in crate::conformance) notes: Arc<Notes>,
    turn: AtomicUsize,
}

impl ManyCalls {
    pub(in crate::conformance) fn over(
        store: Arc<dyn TokenStore>,
        calls: Calls,
        style: Style,
        notes: Arc<Notes>,
    ) -> Self {
        Self { store, calls, style, notes, turn: AtomicUsize::new(0) }
    }

    fn turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::SeqCst)
    }

    /// Returns the rows of a call, of which `None` is the row of the check.
    fn rows(&self, id: TokenId, turn: usize, max: usize) -> Vec<Option<Decoy>> {
        let mut rows: Vec<Option<Decoy>> = Vec::new();
        if self.style.decoys {
            let another =
                self.notes.another(id, turn).map(|record| Decoy::Present(Box::new(record)));
            let decoys = [Some(missing(turn * 2)), another, Some(missing(turn * 2 + 1))];
            rows.extend(decoys.into_iter().flatten().take(max.saturating_sub(1)).map(Some));
        }
        rows.insert(turn % (rows.len() + 1), None);
        rows
    }

    /// Returns the result of the row of the check, and reports the wrong results of the others.
    fn result<T>(
        &self,
        call: &str,
        rows: &[Option<Decoy>],
        results: Vec<Result<T, StoreError>>,
        is_wrong: impl Fn(&Decoy, &Result<T, StoreError>) -> Option<String>,
    ) -> Result<T, StoreError> {
        let (expected, seen) = (rows.len(), results.len());
        let mut own = None;
        if seen == expected {
            for (row, result) in rows.iter().zip(results) {
                match row {
                    None => own = Some(result),
                    Some(decoy) => {
                        if let Some(fault) = is_wrong(decoy, &result) {
                            self.notes.report(format!("{call} {fault}"));
                        }
                    }
                }
            }
        }
        own.unwrap_or_else(|| {
            self.notes.report(format!("{call} returned {seen} results for {expected} rows"));
            Err(StoreError::unavailable("the number of results is wrong"))
        })
    }

    async fn found(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        if !self.calls.find {
            return self.store.find(id).await;
        }
        let max = self.store.gathering().map_or(MAX_PAGE_LEN, |gathering| gathering.max_ids);
        let rows = self.rows(id, self.turn(), max);
        let ids: Vec<TokenId> = rows.iter().map(|row| row.as_ref().map_or(id, Decoy::id)).collect();
        let present: Vec<bool> = ids.iter().map(|id| self.notes.is_present(*id)).collect();
        let results = self.store.find_many(&ids).await;
        self.result("find_many", &rows, results, |decoy, result| match result {
            Ok(Some(stored)) if stored.record.id() != decoy.id() => {
                Some("answered with the record of another row".into())
            }
            Ok(Some(_)) if matches!(decoy, Decoy::Missing(_)) => {
                Some("answered with a record for an id without one".into())
            }
            Ok(None) => self.was_lost(decoy.id(), &ids, &present),
            _ => None,
        })
    }

    /// Returns a fault if this id had a record before and after a call that found none.
    fn was_lost(&self, id: TokenId, ids: &[TokenId], present: &[bool]) -> Option<String> {
        let before = ids.iter().zip(present).any(|(of, present)| *of == id && *present);
        let lost = before && self.notes.is_present(id);
        lost.then(|| format!("answered that there is no record {id}, which was not removed"))
    }

    async fn version(&self, id: TokenId) -> Result<Option<Version>, StoreError> {
        let rows = self.rows(id, self.turn(), MAX_PAGE_LEN);
        let ids: Vec<TokenId> = rows.iter().map(|row| row.as_ref().map_or(id, Decoy::id)).collect();
        let present: Vec<bool> = ids.iter().map(|id| self.notes.is_present(*id)).collect();
        let ended = self.notes.versions_ended(id);
        let results = self.store.versions(&ids).await;
        let own = self.result("versions", &rows, results, |decoy, result| match (decoy, result) {
            (Decoy::Missing(_), Ok(Some(_))) => {
                Some("answered with a version for an id without a record".into())
            }
            (_, Ok(None)) => self.was_lost(decoy.id(), &ids, &present),
            _ => None,
        });
        let fault = match &own {
            Ok(Some(version)) if ended.contains(version) => Some(format!(
                "answered for {id} with a version that was replaced or removed before the call"
            )),
            Ok(None) => self.was_lost(id, &ids, &present),
            _ => None,
        };
        if let Some(fault) = fault {
            self.notes.report(format!("versions {fault}"));
        }
        own
    }

    /// Reads again after `find` and `versions` disagreed, because a write can have happened in between.
    /// A version never returns, so two equal answers leave no time for another one in between.
    async fn agree(
        &self,
        id: TokenId,
        version: Option<Version>,
    ) -> Result<Option<StoredRecord>, StoreError> {
        let of = |found: &Option<StoredRecord>| found.as_ref().map(|stored| stored.version);
        let found = self.found(id).await?;
        let again = self.version(id).await?;
        let last = self.found(id).await?;
        let between_versions = version.is_some() && version == again && of(&found) != version;
        let between_finds = of(&found).is_some() && of(&found) == of(&last) && again != of(&found);
        if between_versions || between_finds {
            let found = of(&found);
            self.notes.report(format!(
                "versions answered for {id} with {again:?}, and find with {found:?}"
            ));
        }
        Ok(last)
    }

    /// Returns whether a write is made as a single call. The turns follow the Thue-Morse sequence, because with every
    /// other turn the first call of each round of racers would be of one kind.
    fn is_single(&self, many: bool, turn: usize) -> bool {
        !many || self.style.mixed && turn.count_ones().is_multiple_of(2)
    }

    async fn replace_row(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        let turn = self.turn();
        if self.is_single(self.calls.replace, turn) {
            return self.store.replace(record, expected).await;
        }
        let mut rows = self.rows(record.id(), turn, MAX_PAGE_LEN);
        let mut writes = Vec::new();
        rows.retain(|row| {
            let write = match row {
                None => Some((record.clone(), expected)),
                Some(decoy) => decoy_record(decoy).map(|record| (record, wrong(turn))),
            };
            let made = write.is_some();
            writes.extend(write);
            made
        });
        let results = self.store.replace_many(&writes).await;
        self.result("replace_many", &rows, results, wrong_write)
    }

    async fn remove_row(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        let turn = self.turn();
        if self.is_single(self.calls.remove, turn) {
            return self.store.remove(id, expected).await;
        }
        let rows = self.rows(id, turn, MAX_PAGE_LEN);
        let removal = |row: &Option<Decoy>| {
            row.as_ref().map_or((id, expected), |decoy| (decoy.id(), wrong(turn)))
        };
        let removals: Vec<(TokenId, Version)> = rows.iter().map(removal).collect();
        let results = self.store.remove_many(&removals).await;
        self.result("remove_many", &rows, results, wrong_write)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for ManyCalls {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        let version = self.store.insert(record).await?;
        self.notes.inserted(record);
        Ok(version)
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        if !self.calls.versions {
            return self.found(id).await;
        }
        let versions_first = match self.style.first {
            First::Find => false,
            First::Versions => true,
            First::InTurn => self.turn().is_multiple_of(2),
        };
        let early = if versions_first { Some(self.version(id).await) } else { None };
        let found = self.found(id).await;
        let version = match early {
            Some(version) => version,
            None => self.version(id).await,
        };
        let found = found?;
        // The contract allows any error here.
        let version = version.map_err(StoreError::unavailable)?;
        if found.as_ref().map(|stored| stored.version) == version {
            return Ok(found);
        }
        self.agree(id, version).await
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        let version = self.replace_row(record, expected).await?;
        self.notes.ended(record.id(), expected);
        Ok(version)
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.notes.removing(id);
        self.remove_row(id, expected).await?;
        self.notes.ended(id, expected);
        Ok(())
    }

    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        self.store.list(request, now).await
    }

    fn gathering(&self) -> Option<Gathering> {
        self.store.gathering()
    }

    async fn find_many(&self, ids: &[TokenId]) -> Vec<Result<Option<StoredRecord>, StoreError>> {
        self.store.find_many(ids).await
    }

    async fn versions(&self, ids: &[TokenId]) -> Vec<Result<Option<Version>, StoreError>> {
        self.store.versions(ids).await
    }

    async fn replace_many(&self, writes: &[(Record, Version)]) -> Vec<Result<Version, StoreError>> {
        self.store.replace_many(writes).await
    }

    async fn remove_many(&self, removals: &[(TokenId, Version)]) -> Vec<Result<(), StoreError>> {
        self.store.remove_many(removals).await
    }

    async fn count(&self, filter: &Filter, now: DateTime<Utc>) -> Result<u64, StoreError> {
        self.store.count(filter, now).await
    }

    fn tracks_last_used(&self) -> bool {
        self.store.tracks_last_used()
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Result<(), StoreError> {
        self.store.touch(uses).await
    }

    async fn changes(&self) -> Result<Option<Box<dyn ChangeStream>>, StoreError> {
        self.store.changes().await
    }

    fn find_now(&self, id: TokenId, visit: &mut dyn FnMut(Option<RecordRef<'_>>)) -> bool {
        self.store.find_now(id, visit)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}
