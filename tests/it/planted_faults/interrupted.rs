//! Stores that make several requests for one call, and forget that the storage can fail between two of them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_lite::future::yield_now;
use service_tokens::store::{Order, StoreError, Version};
use service_tokens::{Filter, ListRequest, Page, Record, TokenStore};

use super::harness::{Answer, Backend, Fault};

/// The number of records of one request.
const FETCHED: usize = 100;

/// If a later request of a page fails, the records of the earlier ones are the last page.
pub(crate) struct PageEndsAtFailure;

#[async_trait]
impl Fault for PageEndsAtFailure {
    async fn list(&self, to: &Backend, query: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        let mut items = Vec::new();
        let mut request = query.clone();
        loop {
            request.limit = FETCHED.min(query.limit - items.len());
            let page = match to.list(&request, now).await {
                Ok(page) => page,
                Err(error) if items.is_empty() => return Err(error),
                Err(_) => return Ok(Page::new(items, None)),
            };
            items.extend(page.items);
            match page.next {
                Some(next) if items.len() < query.limit => request = request.after(next),
                next => return Ok(Page::new(items, next)),
            }
            yield_now().await;
        }
    }
}

/// If a later request of a count fails, the number of the earlier ones is the count.
pub(crate) struct CountEndsAtFailure;

#[async_trait]
impl Fault for CountEndsAtFailure {
    async fn count(&self, to: &Backend, filter: &Filter, now: DateTime<Utc>) -> Answer<u64> {
        let filtered = ListRequest::from(filter.clone()).order(Order::OldestFirst);
        let (mut count, mut request) = (0, filtered.limit(FETCHED));
        loop {
            match to.list(&request, now).await {
                Err(error) if count == 0 => return Err(error),
                Err(_) => return Ok(count),
                Ok(page) => {
                    count += page.items.len() as u64;
                    let Some(next) = page.next else { return Ok(count) };
                    request = request.after(next);
                }
            }
            yield_now().await;
        }
    }
}

/// The rows of a call are written one after the other, and the error of one is the error of all.
pub(crate) struct OneErrorIsThatOfAll;

#[async_trait]
impl Fault for OneErrorIsThatOfAll {
    async fn replace_many(
        &self,
        to: &Backend,
        writes: &[(Record, Version)],
    ) -> Vec<Answer<Version>> {
        let mut results = Vec::new();
        for (record, expected) in writes {
            match to.replace(record, *expected).await {
                Err(StoreError::Unavailable { .. }) => {
                    let error = || Err(StoreError::unavailable("the storage is gone"));
                    return writes.iter().map(|_| error()).collect();
                }
                result => results.push(result),
            }
            yield_now().await;
        }
        results
    }
}

/// A replacement is read back, and the failure of that read is reported as the failure of the write.
pub(crate) struct ReadBackFails;

#[async_trait]
impl Fault for ReadBackFails {
    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        let version = to.replace(record, expected).await?;
        yield_now().await;
        to.find(record.id()).await?;
        Ok(version)
    }
}
