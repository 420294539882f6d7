//! Faults of the calls about many records.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::store::{LastUsed, StoreError, Version};
use service_tokens::{Filter, ListRequest, Record, StoredRecord, TokenId, TokenStore};

use super::harness::{Answer, Backend, Fault};

/// A small mistake in a statement about many rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ManyRows {
    /// `find_many` returns the rows in the order of their ids, as the database does.
    FoundInOrderOfIds,
    /// `find_many` returns nothing for an id without a row.
    MissingIsLeftOut,
    /// `find_many` looks up at most 100 ids.
    FindsAHundred,
    /// `versions` are those of the next row after an id without one.
    VersionsShift,
    /// `replace_many` compares no version.
    ReplacesAnyVersion,
    /// `replace_many` says that a conflict was a replacement.
    ConflictIsReplaced,
    /// `replace_many` stops at the first conflict.
    ConflictStopsTheRest,
    /// `remove_many` compares no version.
    RemovesAnyVersion,
    /// `remove_many` gives the first result for all rows.
    FirstResultForAll,
    /// `count` ignores the time.
    CountIgnoresTime,
    /// `count` counts one page.
    CountsOnePage,
}

use ManyRows::*;

impl ManyRows {
    async fn each(self, to: &Backend, writes: &[(Record, Version)]) -> Vec<Answer<Version>> {
        let mut results = Vec::new();
        for (record, expected) in writes {
            let result = match self {
                ReplacesAnyVersion => match to.find(record.id()).await {
                    Ok(Some(present)) => to.replace(record, present.version).await,
                    _ => Err(StoreError::Conflict),
                },
                _ => to.replace(record, *expected).await,
            };
            let conflict = matches!(result, Err(StoreError::Conflict));
            results.push(match self {
                ConflictIsReplaced if conflict => Ok(*expected),
                _ => result,
            });
            if self == ConflictStopsTheRest && conflict {
                break;
            }
        }
        results.resize_with(writes.len(), || Err(StoreError::Conflict));
        results
    }
}

#[async_trait]
impl Fault for ManyRows {
    async fn find_many(&self, to: &Backend, ids: &[TokenId]) -> Vec<Answer<Option<StoredRecord>>> {
        match self {
            FoundInOrderOfIds => {
                let sorted: BTreeMap<TokenId, ()> = ids.iter().map(|id| (*id, ())).collect();
                to.find_many(&sorted.into_keys().collect::<Vec<_>>()).await
            }
            MissingIsLeftOut => {
                let found = to.find_many(ids).await;
                found.into_iter().filter(|found| !matches!(found, Ok(None))).collect()
            }
            FindsAHundred => {
                let mut found = to.find_many(&ids[..ids.len().min(100)]).await;
                found.resize_with(ids.len(), || Ok(None));
                found
            }
            _ => to.find_many(ids).await,
        }
    }

    async fn versions(&self, to: &Backend, ids: &[TokenId]) -> Vec<Answer<Option<Version>>> {
        let mut versions = to.versions(ids).await;
        if *self == VersionsShift {
            versions.retain(|version| !matches!(version, Ok(None)));
            versions.resize_with(ids.len(), || Ok(None));
        }
        versions
    }

    async fn replace_many(
        &self,
        to: &Backend,
        writes: &[(Record, Version)],
    ) -> Vec<Answer<Version>> {
        self.each(to, writes).await
    }

    async fn remove_many(&self, to: &Backend, removals: &[(TokenId, Version)]) -> Vec<Answer<()>> {
        let mut results = Vec::new();
        for (id, expected) in removals {
            results.push(match (self, to.find(*id).await) {
                (RemovesAnyVersion, Ok(Some(present))) => to.remove(*id, present.version).await,
                _ => to.remove(*id, *expected).await,
            });
        }
        match self {
            FirstResultForAll => removals.iter().map(|_| Ok(())).collect(),
            _ => results,
        }
    }

    async fn count(&self, to: &Backend, filter: &Filter, now: DateTime<Utc>) -> Answer<u64> {
        match self {
            CountIgnoresTime => {
                to.count(filter, DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1)).await
            }
            CountsOnePage => {
                let request = ListRequest::from(filter.clone()).limit(1_000);
                let page = to.list(&request, now).await?;
                let selected =
                    |found: &&StoredRecord| filter.matches(&found.record, LastUsed::Never, now);
                Ok(page.items.iter().filter(selected).count() as u64)
            }
            _ => to.count(filter, now).await,
        }
    }
}
