//! The methods of the store with flaws.

use super::*;

fn spin() {
    thread::sleep(Duration::from_micros(20));
}

#[async_trait]
impl TokenStore for TableStore {
    async fn insert(&self, record: &Record) -> Answer<Version> {
        let id = record.id();
        if let Err(error) = self.connect() {
            if self.is(FailedWriteHappens) && self.table.get(id).is_none() {
                self.table.put(id, Row::new(record, self.version()));
            }
            let says_yes = self.is(InsertSaysYesWhileDown) || self.is(RefusalIsSuccess);
            return if says_yes { Ok(Version(1)) } else { Err(self.outage(Some(record), error)) };
        }
        self.wait().await;
        if self.table.rows().contains_key(&id) {
            return Err(self.conflict(StoreError::Exists));
        }
        let mut row = Row::new(record, self.version());
        let version = Version(row.version);
        match self.flaw {
            LargeRecordIsLost if row.bytes.len() > 60_000 => return Ok(version),
            LargeRecordIsCut => row.bytes.truncate(65_535),
            InsertIsWrittenLater => {
                *self.last_write.lock().unwrap() = Some((id, Some(row)));
                return Ok(version);
            }
            DroppedInsertIsNotListed => {
                self.table.rows().insert(id, row);
                yield_now().await;
                self.table.listed.lock().unwrap().insert(id);
                self.report(id);
                return self.done(version);
            }
            OwnerIsIndexedForEver => {
                // The index of a removed row is found again.
                let mut removed = self.buffered.lock().unwrap();
                row.indexed = removed.remove(&id).map_or(row.indexed, |removed| removed.indexed);
            }
            _ => {}
        }
        {
            let mut rows = self.table.rows();
            if rows.contains_key(&id) {
                return Err(StoreError::Exists);
            }
            rows.insert(id, row);
        }
        self.table.listed.lock().unwrap().insert(id);
        self.report(id);
        self.done(version)
    }

    async fn find(&self, id: TokenId) -> Answer<Option<StoredRecord>> {
        if let Err(error) = self.connect() {
            return Err(if self.is(FailedReadIsCorrupt) {
                StoreError::corrupt(as_source(error))
            } else {
                error
            });
        }
        self.wait().await;
        let Some(mut row) = self.table.get(id) else { return Ok(None) };
        if self.is(FindReadsTwoTimes) {
            spin();
            row.version = self.table.get(id).map_or(row.version, |later| later.version);
        }
        match row.read() {
            Ok(stored) if stored.record.id() == id || self.is(OtherIdIsNotNoticed) => {
                Ok(Some(stored))
            }
            _ if self.is(DamageIsMissing) => Ok(None),
            _ if self.is(DamageIsUnavailable) => Err(StoreError::unavailable("the row is damaged")),
            Ok(_) => Err(StoreError::corrupt("another id's record")),
            Err(error) => Err(error),
        }
    }

    async fn replace(&self, record: &Record, expected: Version) -> Answer<Version> {
        let id = record.id();
        if let Err(error) = self.connect() {
            let says_yes = self.is(ReplaceSaysYesWhileDown);
            return if says_yes { Ok(Version(1)) } else { Err(self.outage(Some(record), error)) };
        }
        self.wait().await;
        let present = self.table.get(id);
        self.may_replace(present.as_ref(), record, expected)?;
        let mut row = Row::new(record, self.version());
        let version = Version(row.version);
        row.last_used = present.as_ref().and_then(|present| present.last_used);
        if matches!(
            self.flaw,
            LabelIsIndexedOnce
                | TypeIsIndexedOnce
                | EndIsIndexedOnce
                | IssuersAreIndexedOnce
                | StateIsIndexedOnce
                | OwnerIsIndexedForEver
        ) {
            row.indexed = present.map_or(row.indexed, |present| present.indexed);
        }
        match self.flaw {
            ReplaceWritesLastUseBack => yield_now().await,
            ReplaceIsWrittenLater => {
                *self.last_write.lock().unwrap() = Some((id, Some(row)));
                return Ok(version);
            }
            ReplaceDeletesAndInserts => {
                self.table.rows().remove(&id);
                spin();
                self.table.put(id, row);
                return self.done(version);
            }
            FeedReportsBeforeTheWrite => {
                self.report(id);
                spin();
            }
            DroppedReplaceIsIndexed => {
                if let Some(present) = self.table.rows().get_mut(&id) {
                    present.indexed = record.clone();
                }
                yield_now().await;
            }
            _ => {}
        }
        if matches!(self.flaw, ReplacementsLockEachOther | HandlesLockThemselves) {
            let _lock = self.own_lock.lock().unwrap();
            let present = self.table.get(id);
            self.may_replace(present.as_ref(), record, expected)?;
            spin();
            self.table.put(id, row);
        } else {
            let mut rows = self.table.rows();
            let present = rows.get_mut(&id);
            self.may_replace(present.as_deref(), record, expected)?;
            if let Some(present) = present {
                if !self.is(ReplaceWritesLastUseBack) {
                    row.last_used = present.last_used;
                }
                *present = row;
            }
        }
        if !self.is(FeedReportsBeforeTheWrite) {
            self.report(id);
        }
        self.done(version)
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Answer<()> {
        if let Err(error) = self.connect() {
            return if self.is(RemoveSaysYesWhileDown) { Ok(()) } else { Err(error) };
        }
        self.wait().await;
        if self.is(DroppedRemovalIsNotListed)
            && self.table.get(id).is_some_and(|row| row.version == expected.0)
        {
            self.table.listed.lock().unwrap().remove(&id);
            yield_now().await;
        }
        if matches!(self.flaw, RemovalsLockEachOther | HandlesLockThemselves) {
            let _lock = self.own_lock.lock().unwrap();
            let present = self.table.get(id);
            if present.is_none_or(|row| !self.is_version(&row, expected)) {
                return Err(StoreError::Conflict);
            }
            spin();
            self.table.delete(id);
            self.report(id);
            return Ok(());
        }
        let removed = {
            let mut rows = self.table.rows();
            let present = rows.get(&id).filter(|row| self.is_version(row, expected)).cloned();
            let present = present.ok_or_else(|| self.conflict(StoreError::Conflict))?;
            match self.flaw {
                RemoveIsWrittenLater => {
                    *self.last_write.lock().unwrap() = Some((id, None));
                    return Ok(());
                }
                RemoveHoldsNoLock => {
                    drop(rows);
                    spin();
                    self.table.rows().remove(&id);
                }
                _ => drop(rows.remove(&id)),
            }
            present
        };
        if self.is(OwnerIsIndexedForEver) {
            self.buffered.lock().unwrap().insert(id, removed);
        }
        self.table.listed.lock().unwrap().remove(&id);
        self.report(id);
        self.done(())
    }

    async fn find_many(&self, ids: &[TokenId]) -> Vec<Answer<Option<StoredRecord>>> {
        self.rows_found(ids).await
    }

    async fn replace_many(&self, writes: &[(Record, Version)]) -> Vec<Answer<Version>> {
        self.rows_replaced(writes).await
    }

    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        self.connect()?;
        self.wait().await;
        let mut items = self.selected(request, now)?;
        let limit = match self.flaw {
            PageEndsAt(max) => request.limit.min(max),
            _ => request.limit,
        };
        let mut more = items.len() > limit;
        items.truncate(limit);
        match self.flaw {
            PageEndsAt(max) if limit == max => more = false,
            PageEndsAtOneMegabyte => {
                let mut size = 0;
                items.retain(|stored| {
                    size += stored.record.to_bytes().len();
                    size <= 1_000_000
                });
            }
            _ => {}
        }
        let next = items.last().filter(|_| more).map(|stored| stored.record.id());
        Ok(Page::new(items, next))
    }

    fn tracks_last_used(&self) -> bool {
        true
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        if let Err(error) = self.connect() {
            return if self.is(TouchSaysYesWhileDown) { Ok(()) } else { Err(error) };
        }
        self.wait().await;
        if self.is(TouchIsWrittenLater) {
            for (id, row) in self.buffered.lock().unwrap().drain() {
                if self.table.get(id).is_some_and(|present| present.version != row.version) {
                    self.table.put(id, row);
                }
            }
        }
        let max = if let TouchEndsAt(max) = self.flaw { max } else { usize::MAX };
        for (id, used) in uses.iter().take(max) {
            let used = Some(used.timestamp_micros());
            match self.flaw {
                TouchWritesTheRowBack
                | TouchWritesTheRowBackOnThreads
                | TouchRestoresARemovedRow => {
                    let Some(mut row) = self.table.get(*id) else { continue };
                    row.last_used = row.last_used.max(used);
                    if self.is(TouchWritesTheRowBackOnThreads) {
                        spin()
                    } else {
                        yield_now().await
                    }
                    let there = self.table.get(*id).is_some();
                    if there || !self.is(TouchWritesTheRowBack) {
                        self.table.put(*id, row);
                    }
                }
                _ => {
                    let mut rows = self.table.rows();
                    let Some(row) = rows.get_mut(id) else { continue };
                    row.last_used = row.last_used.max(used);
                    if self.is(TouchIsWrittenLater) {
                        self.buffered.lock().unwrap().insert(*id, row.clone());
                    }
                }
            }
        }
        self.done(())
    }

    async fn changes(&self) -> Answer<Option<Box<dyn ChangeStream>>> {
        self.connect()?;
        let (feed, changes) = unbounded_channel();
        self.table.feeds.lock().unwrap().push((self.handle, feed));
        Ok(Some(Box::new(Feed { changes, flaw: self.flaw })))
    }
}

struct Feed {
    changes: UnboundedReceiver<Option<TokenId>>,
    flaw: Flaw,
}

#[async_trait]
impl ChangeStream for Feed {
    async fn next(&mut self) -> Answer<Change> {
        if self.flaw == FeedHoldsSixtyFour {
            while self.changes.len() > 64 {
                let _ = self.changes.try_recv();
            }
        }
        let Some(change) = self.changes.recv().await else {
            return match self.flaw {
                FeedEndsAsMissed => Ok(Change::Missed),
                FeedIsSilentAfterOutage => std::future::pending().await,
                _ => Err(StoreError::unavailable("the stream ended")),
            };
        };
        if self.flaw == FeedLosesReadyChanges {
            yield_now().await;
        }
        Ok(change.map_or(Change::Missed, Change::Record))
    }
}

fn as_source(error: StoreError) -> BoxError {
    Box::new(error)
}
