//! The contract through `Arc` and `Box`.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    ChangeStream, Filter, Gathering, ListRequest, Page, RecordRef, StoreError, StoredRecord,
    TokenStore, Version,
};
use crate::record::Record;
use crate::token::TokenId;

macro_rules! forward {
    ($($pointer:tt)+) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: TokenStore + ?Sized> TokenStore for $($pointer)+<S> {
            async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
                (**self).insert(record).await
            }

            async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
                (**self).find(id).await
            }

            async fn replace(&self, record: &Record, v: Version) -> Result<Version, StoreError> {
                (**self).replace(record, v).await
            }

            async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
                (**self).remove(id, expected).await
            }

            async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
                (**self).list(request, now).await
            }

            fn gathering(&self) -> Option<Gathering> {
                (**self).gathering()
            }

            async fn find_many(
                &self,
                ids: &[TokenId],
            ) -> Vec<Result<Option<StoredRecord>, StoreError>> {
                (**self).find_many(ids).await
            }

            async fn versions(&self, ids: &[TokenId]) -> Vec<Result<Option<Version>, StoreError>> {
                (**self).versions(ids).await
            }

            async fn replace_many(
                &self,
                writes: &[(Record, Version)],
            ) -> Vec<Result<Version, StoreError>> {
                (**self).replace_many(writes).await
            }

            async fn remove_many(
                &self,
                removals: &[(TokenId, Version)],
            ) -> Vec<Result<(), StoreError>> {
                (**self).remove_many(removals).await
            }

            async fn count(&self, filter: &Filter, now: DateTime<Utc>) -> Result<u64, StoreError> {
                (**self).count(filter, now).await
            }

            fn tracks_last_used(&self) -> bool {
                (**self).tracks_last_used()
            }

            async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Result<(), StoreError> {
                (**self).touch(uses).await
            }

            async fn changes(&self) -> Result<Option<Box<dyn ChangeStream>>, StoreError> {
                (**self).changes().await
            }

            fn find_now(&self, id: TokenId, visit: &mut dyn FnMut(Option<RecordRef<'_>>)) -> bool {
                (**self).find_now(id, visit)
            }

            async fn close(&self) -> Result<(), StoreError> {
                (**self).close().await
            }
        }
    };
}

forward!(Arc);
forward!(Box);
