//! The correct operations on rows, for stores that put flaws around them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use service_tokens::conformance::{StoreFactory, run};
use service_tokens::record::RECORD_FORMAT;
use service_tokens::store::{LastUsed, Order, StoreError, Version};
use service_tokens::{ListRequest, Page, Record, StoredRecord, TokenId};

use super::harness::Answer;

/// One campaign test for each flaw: its name, the flaw, and the promise that it breaks. `$factory` gives the stores.
macro_rules! flawed {
    ($factory:ident: $($name:ident: $flaw:expr => $promise:ident;)+) => {
        /// The promises that the flaws break.
        pub(crate) const BROKEN: &[Promise] = &[$(Promise::$promise),+];

        mod campaign {
            use super::*;

            $(
                #[test]
                #[ignore = "campaign: cargo xtask campaigns"]
                fn $name() {
                    expect_broken(&$factory($flaw), Promise::$promise);
                }
            )+
        }
    };
}
pub(crate) use flawed;

/// Checks that a correct store breaks no promise.
pub(crate) fn expect_kept(factory: &impl StoreFactory) {
    let report = futures_lite::future::block_on(run(factory));
    assert_eq!(report.broken().collect::<Vec<_>>(), []);
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) record: Record,
    pub(crate) version: u64,
    pub(crate) last_used: Option<i64>,
}

impl Row {
    pub(crate) fn stored(&self) -> StoredRecord {
        let used = self.last_used.and_then(DateTime::from_timestamp_micros);
        let last_used = used.map_or(LastUsed::Never, LastUsed::At);
        StoredRecord::new(self.record.clone(), Version(self.version), last_used)
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Rows(pub(crate) BTreeMap<TokenId, Row>);

impl Rows {
    pub(crate) fn find(&self, id: TokenId) -> Option<StoredRecord> {
        self.0.get(&id).map(Row::stored)
    }

    pub(crate) fn may_insert(&self, id: TokenId) -> Answer<()> {
        if self.0.contains_key(&id) { Err(StoreError::Exists) } else { Ok(()) }
    }

    pub(crate) fn may_replace(&self, record: &Record, expected: Version) -> Answer<()> {
        let row = self.0.get(&record.id()).filter(|row| row.version == expected.0);
        let row = row.ok_or(StoreError::Conflict)?;
        if row.record.format() > RECORD_FORMAT {
            return Err(StoreError::NewerFormat);
        }
        StoreError::check_replacement(&row.record, record)
    }

    pub(crate) fn may_remove(&self, id: TokenId, expected: Version) -> Answer<()> {
        let row = self.0.get(&id).filter(|row| row.version == expected.0);
        row.map(drop).ok_or(StoreError::Conflict)
    }

    /// Writes a record, and leaves the last use as it is.
    pub(crate) fn put(&mut self, record: &Record, version: u64) {
        let last_used = self.0.get(&record.id()).and_then(|row| row.last_used);
        self.0.insert(record.id(), Row { record: record.clone(), version, last_used });
    }

    pub(crate) fn touch(&mut self, id: TokenId, used: i64) {
        if let Some(row) = self.0.get_mut(&id) {
            row.last_used = row.last_used.max(Some(used));
        }
    }

    pub(crate) fn page(&self, request: &ListRequest, now: DateTime<Utc>) -> Page {
        let matching = self.0.values().map(Row::stored).filter(|stored| {
            request.is_past_cursor(stored.record.id())
                && request.filter.matches(&stored.record, stored.last_used, now)
        });
        let mut items: Vec<StoredRecord> = matching.collect();
        if request.order == Order::NewestFirst {
            items.reverse();
        }
        let more = items.len() > request.limit;
        items.truncate(request.limit);
        let next = items.last().filter(|_| more).map(|stored| stored.record.id());
        Page::new(items, next)
    }
}
