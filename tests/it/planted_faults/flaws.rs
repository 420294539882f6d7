//! The flaws of [`TableStore`], and the store itself.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_lite::future::yield_now;
use service_tokens::record::RECORD_FORMAT;
use service_tokens::store::{BoxError, Change, ChangeStream, Order, States, StoreError, Version};
use service_tokens::{Filter, ListRequest, Page, Record, StoredRecord, TokenId, TokenStore};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::harness::Answer;
use super::table::{Row, TableStore};

/// The number of connections of a handle that loses them.
pub(crate) const POOL: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    Correct,
    TouchWritesTheRowBack,
    TouchWritesTheRowBackOnThreads,
    TouchRestoresARemovedRow,
    TouchIsWrittenLater,
    ReplaceWritesLastUseBack,
    VersionsRestartAtOpening,
    VersionsFromTheLatestRow,
    VersionsOfEightBits,
    VersionsOfSixteenBits,
    VersionsComparedBy32Bits,
    RemoveHoldsNoLock,
    RemovalsLockEachOther,
    ReplacementsLockEachOther,
    HandlesLockThemselves,
    ReplaceDeletesAndInserts,
    FindReadsTwoTimes,
    InsertIsWrittenLater,
    ReplaceIsWrittenLater,
    RemoveIsWrittenLater,
    InsertSaysYesWhileDown,
    ReplaceSaysYesWhileDown,
    RemoveSaysYesWhileDown,
    TouchSaysYesWhileDown,
    PageEndsAt(usize),
    ScanEndsAt(usize),
    TouchEndsAt(usize),
    PageEndsAtOneMegabyte,
    LabelIsIndexedOnce,
    TypeIsIndexedOnce,
    EndIsIndexedOnce,
    IssuersAreIndexedOnce,
    StateIsIndexedOnce,
    OwnerIsIndexedForEver,
    TimesAreCutToMilliseconds,
    NowIsRoundedUp,
    EndsAreInclusive,
    DistantTimesAreIgnored,
    DroppedInsertIsNotListed,
    DroppedRemovalIsNotListed,
    DroppedReplaceIsIndexed,
    DroppedCallsLoseConnections,
    ConflictsLoseConnections,
    FailuresLoseConnections,
    FeedHasOwnChangesOnly,
    FeedReportsBeforeTheWrite,
    FeedLosesReadyChanges,
    FeedEndsAsMissed,
    FeedIsSilentAfterOutage,
    FeedHoldsSixtyFour,
    FeedHasOneReader,
    FeedReportsOtherIds,
    DamageIsMissing,
    DamageIsNotListed,
    DamageIsUnavailable,
    OtherIdIsNotNoticed,
    LostAnswerIsUnavailable,
    LostAnswerIsSuccess,
    LostAnswerIsRepeated,
    RefusalIsIndeterminate,
    RefusalIsSuccess,
    FailedWriteHappens,
    FailedReadIsCorrupt,
    ErrorHasBase64,
    ErrorHasEscapes,
    ErrorHasALongList,
    LargeRecordIsLost,
    LargeRecordIsCut,
    LostRowIsUnavailable,
    LostRowIsAConflict,
    RefusedRowIsIndeterminate,
    RefusedRowIsMissing,
    DamageFailsTheOtherRows,
    DamagedRowIsMissing,
    RowsAreIndexedOnce,
    RowsLoseConnections,
}

use Flaw::*;

impl TableStore {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn version(&self) -> u64 {
        match self.flaw {
            VersionsRestartAtOpening | VersionsFromTheLatestRow => {
                self.own_versions.fetch_add(1, Ordering::SeqCst) + 1
            }
            _ => {
                let next = self.table.versions.fetch_add(1, Ordering::SeqCst) + 1;
                match self.flaw {
                    VersionsOfEightBits => next & 0xff,
                    VersionsOfSixteenBits => next & 0xffff,
                    _ => next,
                }
            }
        }
    }

    fn is_version(&self, row: &Row, expected: Version) -> bool {
        if self.is(VersionsComparedBy32Bits) {
            return row.version as u32 == expected.0 as u32;
        }
        row.version == expected.0
    }

    /// Takes a connection for one call. Only some flaws do not give it back.
    fn connect(&self) -> Answer<()> {
        self.flush();
        let up = self.table.up();
        if up.is_err() && self.is(FailuresLoseConnections) {
            self.lose_connection()?;
        }
        match up {
            Err(_)
                if self.is(RefusalIsIndeterminate) && !self.table.down.load(Ordering::SeqCst) =>
            {
                Err(StoreError::indeterminate("connection refused"))
            }
            up => up,
        }?;
        if self.connections.load(Ordering::SeqCst) == 0 {
            return Err(StoreError::unavailable("no connection is free"));
        }
        Ok(())
    }

    fn lose_connection(&self) -> Answer<()> {
        let lost = |free: usize| free.checked_sub(1);
        let free = self.connections.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lost);
        free.map(drop).map_err(|_| StoreError::unavailable("no connection is free"))
    }

    /// Waits as a call over a network does. A future that is dropped here loses its connection.
    async fn wait(&self) {
        if self.is(DroppedCallsLoseConnections) {
            let _ = self.lose_connection();
            yield_now().await;
            self.connections.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn conflict(&self, error: StoreError) -> StoreError {
        if self.is(ConflictsLoseConnections) {
            let _ = self.lose_connection();
        }
        error
    }

    /// Writes what the previous call has left.
    fn flush(&self) {
        match self.last_write.lock().unwrap().take() {
            Some((id, Some(row))) => self.table.put(id, row),
            Some((id, None)) => self.table.delete(id),
            None => {}
        }
    }

    fn report(&self, id: TokenId) {
        let id = if self.is(FeedReportsOtherIds) { TokenId::from_bytes([9; 16]) } else { id };
        let feeds = self.table.feeds.lock().unwrap();
        for (place, (handle, feed)) in feeds.iter().enumerate() {
            let own = !self.is(FeedHasOwnChangesOnly) || *handle == self.handle;
            let only = !self.is(FeedHasOneReader) || place == 0;
            if own && only {
                let _ = feed.send(Some(id));
            }
        }
    }

    /// Returns the answer of a write that has happened.
    fn done<T>(&self, value: T) -> Answer<T> {
        match self.table.arrives() {
            Ok(()) => Ok(value),
            Err(_) if self.is(LostAnswerIsSuccess) => Ok(value),
            Err(_) if self.is(LostAnswerIsUnavailable) => {
                Err(StoreError::unavailable("connection reset"))
            }
            Err(_) if self.is(LostAnswerIsRepeated) => Err(StoreError::Conflict),
            Err(error) => Err(error),
        }
    }

    fn outage(&self, record: Option<&Record>, error: StoreError) -> StoreError {
        let Some(record) = record else { return error };
        let bytes = record.to_bytes();
        let text = match self.flaw {
            ErrorHasBase64 => base64(&bytes[bytes.len() / 2..]),
            ErrorHasEscapes => bytes[bytes.len() - 40..].escape_ascii().to_string(),
            ErrorHasALongList => format!("{:#?}", &bytes[bytes.len() - 40..]),
            _ => return error,
        };
        StoreError::unavailable(format!("failed statement: {text}"))
    }

    fn row_is_listed(&self, row: &Row, filter: &Filter) -> bool {
        let all = || Filter::new().states(States::ALL);
        let mut only = all();
        match self.flaw {
            LabelIsIndexedOnce | RowsAreIndexedOnce => {
                only.issued_to = filter.issued_to.clone();
                only.issued_to_contains = filter.issued_to_contains.clone();
            }
            TypeIsIndexedOnce => only.token_type = filter.token_type.clone(),
            EndIsIndexedOnce => only.expires_before = filter.expires_before,
            IssuersAreIndexedOnce => only.issuer = filter.issuer,
            _ => return true,
        }
        only.matches(&row.indexed, service_tokens::store::LastUsed::Never, DateTime::UNIX_EPOCH)
    }

    /// Returns the request as this store understands it.
    fn understood(&self, filter: &Filter, now: DateTime<Utc>) -> (Filter, DateTime<Utc>) {
        let mut filter = filter.clone();
        let mut now = now;
        let millis =
            |time: DateTime<Utc>| DateTime::from_timestamp_millis(time.timestamp_millis()).unwrap();
        let change = |filter: &mut Filter, change: &dyn Fn(DateTime<Utc>) -> DateTime<Utc>| {
            for time in [
                &mut filter.expires_before,
                &mut filter.created_before,
                &mut filter.ended_before,
                &mut filter.unused_since,
            ] {
                *time = time.map(change);
            }
        };
        match self.flaw {
            TimesAreCutToMilliseconds => change(&mut filter, &millis),
            NowIsRoundedUp => now = millis(now + chrono::TimeDelta::microseconds(999)),
            EndsAreInclusive => {
                filter.ended_before = filter.ended_before.map(|time| {
                    time.checked_add_signed(chrono::TimeDelta::microseconds(1)).unwrap_or(time)
                });
            }
            DistantTimesAreIgnored => change(&mut filter, &|time| {
                let nanos = time.timestamp_nanos_opt().unwrap_or(0);
                DateTime::from_timestamp_nanos(nanos)
            }),
            _ => {}
        }
        (filter, now)
    }

    fn selected(&self, request: &ListRequest, now: DateTime<Utc>) -> Answer<Vec<StoredRecord>> {
        let (filter, now) = self.understood(&request.filter, now);
        let listed = self.table.listed.lock().unwrap().clone();
        let rows = self.table.rows().clone();
        let mut scanned = 0;
        let mut selected = Vec::new();
        let mut ids: Vec<TokenId> =
            listed.into_iter().filter(|id| request.is_past_cursor(*id)).collect();
        if request.order == Order::NewestFirst {
            ids.reverse();
        }
        for id in ids {
            let Some(row) = rows.get(&id) else { continue };
            scanned += 1;
            if matches!(self.flaw, ScanEndsAt(max) if scanned > max) {
                break;
            }
            let stored = match row.read() {
                Ok(stored) if stored.record.id() == id || self.is(OtherIdIsNotNoticed) => stored,
                _ if self.is(DamageIsNotListed) => continue,
                Ok(_) => return Err(StoreError::corrupt("another id's record")),
                Err(error) => return Err(error),
            };
            let shown = self.row_is_listed(row, &filter)
                && match self.flaw {
                    StateIsIndexedOnce => {
                        let mut state = row.indexed.state(now);
                        if row.indexed.revocation().is_none()
                            && stored.record.revocation().is_some()
                        {
                            state = stored.record.state(now);
                        }
                        filter.states.contains(state)
                            && filter.clone().states(States::ALL).matches(
                                &stored.record,
                                stored.last_used,
                                now,
                            )
                    }
                    OwnerIsIndexedForEver => {
                        filter.owner.as_deref().is_none_or(|owner| row.indexed.owner() == owner)
                            && filter.matches(&stored.record, stored.last_used, now)
                    }
                    DroppedReplaceIsIndexed => {
                        let label = |filter: &Filter| filter.issued_to.clone();
                        label(&filter).is_none_or(|label| row.indexed.issued_to() == label)
                            && filter.token_type.as_deref().is_none_or(|_| {
                                row.indexed.issued_to() == stored.record.issued_to()
                            })
                            && filter.matches(&stored.record, stored.last_used, now)
                    }
                    _ => filter.matches(&stored.record, stored.last_used, now),
                };
            if shown {
                selected.push(stored);
            }
        }
        Ok(selected)
    }

    /// Checks whether a record may replace a row.
    fn may_replace(&self, row: Option<&Row>, record: &Record, expected: Version) -> Answer<()> {
        let row = row.filter(|row| self.is_version(row, expected));
        let row = row.ok_or_else(|| self.conflict(StoreError::Conflict))?;
        if row.bytes.first().is_some_and(|format| *format > RECORD_FORMAT) {
            return Err(self.conflict(StoreError::NewerFormat));
        }
        let stored = row.read()?.record;
        StoreError::check_replacement(&stored, record).map_err(|error| self.conflict(error))
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| -> String {
        let all = group.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        (0..=group.len())
            .map(|n| char::from(LETTERS[(all >> (18 - 6 * n) & 63) as usize]))
            .collect()
    };
    bytes.chunks(3).map(group).collect()
}

#[path = "flawed_rows.rs"]
mod rows;
#[path = "flawed_store.rs"]
mod store;
