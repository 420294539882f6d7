//! Faults in storing and reporting last use.

use std::collections::HashMap;
use std::sync::Mutex;

use super::content::edited;
use super::harness::{Answer, Backend, Fault};
use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};
use service_tokens::store::{LastUsed, RecordRef, StoreError, Version};
use service_tokens::{ListRequest, Page, Record, StoredRecord, TokenId, TokenStore};

type Visit<'v> = &'v mut dyn FnMut(Option<RecordRef<'_>>);

pub(crate) struct TouchRewrites;

#[async_trait]
impl Fault for TouchRewrites {
    async fn touch(&self, to: &Backend, uses: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        for (id, _) in uses {
            if let Some(stored) = to.find(*id).await?.filter(|stored| !stored.record.is_newer()) {
                to.replace(&stored.record, stored.version).await?;
            }
        }
        to.touch(uses).await
    }
}

pub(crate) struct TouchCreates;

#[async_trait]
impl Fault for TouchCreates {
    async fn touch(&self, to: &Backend, uses: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        let rows = to.rows().await?;
        for (id, _) in uses {
            if let (None, Some(row)) = (to.find(*id).await?, rows.first()) {
                let renamed = edited(&row.record, |tag, content| {
                    Some(if tag == 1 { id.to_bytes().to_vec() } else { content.to_vec() })
                });
                to.insert(&renamed).await?;
            }
        }
        to.touch(uses).await
    }
}

/// Stores uses in a separate table, which accepts ids without a record.
#[derive(Default)]
pub(crate) struct TouchWaitsForItsRecord(Mutex<Vec<(TokenId, DateTime<Utc>)>>);

#[async_trait]
impl Fault for TouchWaitsForItsRecord {
    async fn touch(&self, to: &Backend, uses: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        for used in uses {
            if to.find(used.0).await?.is_none() {
                self.0.lock().unwrap().push(*used);
            }
        }
        to.touch(uses).await
    }

    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        let version = to.insert(record).await?;
        let waiting = self.0.lock().unwrap().clone();
        to.touch(&waiting).await?;
        Ok(version)
    }
}

pub(crate) struct TouchStopsAtAMissingRecord;

#[async_trait]
impl Fault for TouchStopsAtAMissingRecord {
    async fn touch(&self, to: &Backend, uses: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        for used in uses {
            if to.find(used.0).await?.is_none() {
                return Ok(());
            }
            to.touch(&[*used]).await?;
        }
        Ok(())
    }
}

/// The last write prevails instead of the latest time.
#[derive(Default)]
pub(crate) struct TouchGoesBack(Mutex<HashMap<TokenId, DateTime<Utc>>>);

impl TouchGoesBack {
    fn with_last_touch(&self, stored: StoredRecord) -> StoredRecord {
        let last = self.0.lock().unwrap().get(&stored.record.id()).copied();
        match (last, stored.last_used) {
            (Some(last), LastUsed::At(_)) => {
                StoredRecord::new(stored.record, stored.version, LastUsed::At(last))
            }
            _ => stored,
        }
    }
}

#[async_trait]
impl Fault for TouchGoesBack {
    async fn touch(&self, to: &Backend, uses: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        self.0.lock().unwrap().extend(uses.iter().copied());
        to.touch(uses).await
    }

    async fn find(&self, to: &Backend, id: TokenId) -> Answer<Option<StoredRecord>> {
        Ok(to.find(id).await?.map(|stored| self.with_last_touch(stored)))
    }

    async fn list(&self, to: &Backend, query: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        let page = to.list(query, now).await?;
        let items = page.items.into_iter().map(|stored| self.with_last_touch(stored)).collect();
        Ok(Page::new(items, page.next))
    }

    fn find_now(&self, _: &Backend, _: TokenId, _: Visit<'_>) -> bool {
        false
    }
}

pub(crate) struct TouchInSeconds;

#[async_trait]
impl Fault for TouchInSeconds {
    async fn touch(&self, to: &Backend, uses: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        let rounded: Vec<_> = uses.iter().map(|(id, time)| (*id, time.trunc_subsecs(0))).collect();
        to.touch(&rounded).await
    }
}

fn untracked(stored: StoredRecord, last_used: LastUsed) -> StoredRecord {
    StoredRecord::new(stored.record, stored.version, last_used)
}

/// A store that does not track last use, correct or with one of two faults.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Untracked {
    Correct,
    SaysNever,
    AnswersUnusedSince,
}

impl Untracked {
    fn last_used(self) -> LastUsed {
        if self == Self::SaysNever { LastUsed::Never } else { LastUsed::NotTracked }
    }
}

#[async_trait]
impl Fault for Untracked {
    fn tracks_last_used(&self) -> bool {
        false
    }

    async fn touch(&self, _: &Backend, _: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        Ok(())
    }

    async fn find(&self, to: &Backend, id: TokenId) -> Answer<Option<StoredRecord>> {
        Ok(to.find(id).await?.map(|stored| untracked(stored, self.last_used())))
    }

    async fn list(&self, to: &Backend, query: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        if query.filter.unused_since.is_some() && *self != Self::AnswersUnusedSince {
            return Err(StoreError::Unsupported { reason: "last use is not tracked" });
        }
        let page = to.list(query, now).await?;
        let items = page.items.into_iter().map(|row| untracked(row, self.last_used())).collect();
        Ok(Page::new(items, page.next))
    }

    fn find_now(&self, to: &Backend, id: TokenId, visit: Visit<'_>) -> bool {
        let last_used = self.last_used();
        to.find_now(id, &mut |found| {
            visit(found.map(|found| RecordRef::new(found.record, found.version, last_used)))
        })
    }
}

/// Omits never used tokens, because `NULL < ?` is not true in SQL.
pub(crate) struct UnusedSinceLosesTheNeverUsed;

#[async_trait]
impl Fault for UnusedSinceLosesTheNeverUsed {
    async fn list(&self, to: &Backend, query: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        let mut page = to.list(query, now).await?;
        if query.filter.unused_since.is_some() {
            page.items.retain(|stored| stored.last_used != LastUsed::Never);
        }
        Ok(page)
    }
}
