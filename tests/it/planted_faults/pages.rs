//! Stores whose pages are read ahead, and whose columns hold less than a record.

use std::sync::Mutex;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::store::{Order, Version};
use service_tokens::{Filter, ListRequest, Page, Record, TokenId, TokenStore};

use super::harness::{Answer, Backend, Fault};

/// The second page is read together with the first one, and only the handle's own writes discard it.
#[derive(Default)]
pub(crate) struct PageIsReadAhead {
    ahead: Mutex<Option<(ListRequest, Page)>>,
}

#[async_trait]
impl Fault for PageIsReadAhead {
    async fn list(&self, to: &Backend, query: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        let ahead = self.ahead.lock().unwrap().take();
        if let Some((_, page)) = ahead.filter(|(request, _)| request == query) {
            return Ok(page);
        }
        let page = to.list(query, now).await?;
        if let Some(next) = page.next {
            let request = query.clone().after(next);
            let second = to.list(&request, now).await?;
            *self.ahead.lock().unwrap() = Some((request, second));
        }
        Ok(page)
    }

    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        *self.ahead.lock().unwrap() = None;
        to.insert(record).await
    }

    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        *self.ahead.lock().unwrap() = None;
        to.replace(record, expected).await
    }

    async fn remove(&self, to: &Backend, id: TokenId, expected: Version) -> Answer<()> {
        *self.ahead.lock().unwrap() = None;
        to.remove(id, expected).await
    }
}

/// The column of the issuers has room for seven ids.
pub(crate) struct SevenIssuers;

#[async_trait]
impl Fault for SevenIssuers {
    async fn list(&self, to: &Backend, query: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        let mut page = to.list(query, now).await?;
        if let Some(issuer) = query.filter.issuer {
            page.items.retain(|s| s.record.issuers().iter().take(7).any(|of| *of == issuer));
        }
        Ok(page)
    }
}

/// A count compares labels without case. A list uses that column only to preselect.
pub(crate) struct CountHasNoCase;

#[async_trait]
impl Fault for CountHasNoCase {
    async fn count(&self, to: &Backend, filter: &Filter, now: DateTime<Utc>) -> Answer<u64> {
        let mut others = filter.clone();
        let part = others.issued_to_contains.take().unwrap_or_default().to_lowercase();
        let mut request = ListRequest::from(others).order(Order::OldestFirst).limit(1_000);
        let mut count = 0;
        loop {
            let page = to.list(&request, now).await?;
            let has = |label: &str| label.to_lowercase().contains(&part);
            count += page.items.iter().filter(|s| has(s.record.issued_to())).count() as u64;
            let Some(next) = page.next else { return Ok(count) };
            request = request.after(next);
        }
    }
}

/// Last use is a floating-point number of seconds.
pub(crate) struct LastUseIsAFloat;

#[async_trait]
impl Fault for LastUseIsAFloat {
    async fn touch(&self, to: &Backend, uses: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        let rounded = |time: DateTime<Utc>| {
            let seconds = time.timestamp_micros() as f64 / 1e6;
            DateTime::from_timestamp_micros((seconds * 1e6) as i64).unwrap()
        };
        let uses: Vec<_> = uses.iter().map(|(id, used)| (*id, rounded(*used))).collect();
        to.touch(&uses).await
    }
}
