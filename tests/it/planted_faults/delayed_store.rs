//! The methods of the store whose calls are several steps.

use super::*;

#[async_trait]
impl TokenStore for Steps {
    async fn insert(&self, record: &Record) -> Answer<Version> {
        let _connection = self.connect().await;
        let (id, version) = (record.id(), self.version());
        self.forget_before(id);
        if self.is(InsertFollowsRead) {
            if self.read(id).await.is_some() {
                return Err(StoreError::Exists);
            }
            let record = record.clone();
            self.statement(move |rows| rows.put(&record, version)).await;
            return Ok(Version(version));
        }
        let record = record.clone();
        let run = move |rows: &mut Rows| {
            rows.may_insert(record.id())?;
            rows.put(&record, version);
            Ok::<(), StoreError>(())
        };
        if self.is(DroppedInsertLeavesTransaction) {
            self.transaction(run).await?;
        } else {
            self.statement(run).await?;
        }
        if !self.is(MissingIsCachedLate) {
            self.forget_after(id);
        }
        Ok(Version(version))
    }

    async fn find(&self, id: TokenId) -> Answer<Option<StoredRecord>> {
        let _connection = self.connect().await;
        if !self.caches() {
            return Ok(self.read(id).await);
        }
        if let Some(cached) = self.server.cache.lock().unwrap().get(&id) {
            return Ok(cached.clone());
        }
        let rows = self.read(id).await;
        let fills = match self.delay {
            MissingIsCachedLate => rows.is_none(),
            _ => rows.is_some(),
        };
        if fills {
            if self.is(CacheIsFilledLate) {
                yield_now().await;
                self.server.cache.lock().unwrap().insert(id, rows.clone());
            } else {
                // In one step with the read.
                let current = self.server.rows().find(id);
                self.server.cache.lock().unwrap().insert(id, current.clone());
                return Ok(current);
            }
        }
        Ok(rows)
    }

    async fn replace(&self, record: &Record, expected: Version) -> Answer<Version> {
        let _connection = self.connect().await;
        let (id, version) = (record.id(), self.version());
        self.forget_before(id);
        match self.delay {
            DroppedReplaceLeavesTransaction => {
                self.transaction(write(record, expected, version)).await?;
            }
            WatchFollowsRead => {
                let watched = self.watched(id, expected).await?;
                self.statement(write(record, watched, version)).await?;
            }
            ConflictIsRetried => {
                let read = self.read(id).await.filter(|stored| stored.version == expected);
                read.ok_or(StoreError::Conflict)?;
                if self.statement(write(record, expected, version)).await.is_err() {
                    let current = self.read(id).await.ok_or(StoreError::Conflict)?.version;
                    self.statement(write(record, current, version)).await?;
                }
            }
            ContentIsCompared => {
                let read = self.read(id).await.filter(|stored| stored.version == expected);
                let read = read.ok_or(StoreError::Conflict)?.record;
                let record = record.clone();
                let run = move |rows: &mut Rows| {
                    let current = rows.find(id).filter(|current| current.record == read);
                    let current = current.ok_or(StoreError::Conflict)?;
                    write(&record, current.version, version)(rows)
                };
                self.statement(run).await?;
            }
            VersionIsReadBack => {
                self.statement(write(record, expected, version)).await?;
                return Ok(self.read(id).await.map_or(Version(version), |stored| stored.version));
            }
            ReplaceWritesTheUse => {
                let read = self.read(id).await.ok_or(StoreError::Conflict)?;
                let used = match read.last_used {
                    LastUsed::At(used) => Some(used.timestamp_micros()),
                    _ => None,
                };
                let replaces = write(record, expected, version);
                let run = move |rows: &mut Rows| {
                    replaces(rows)?;
                    rows.0.entry(id).and_modify(|row| row.last_used = used);
                    Ok::<(), StoreError>(())
                };
                self.statement(run).await?;
            }
            _ => self.statement(write(record, expected, version)).await?,
        }
        self.forget_after(id);
        Ok(Version(version))
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Answer<()> {
        let _connection = self.connect().await;
        self.forget_before(id);
        let expected =
            if self.is(RemovalWatchesLate) { self.watched(id, expected).await? } else { expected };
        if self.is(RemovalIsByIdOnly) {
            self.read(id)
                .await
                .filter(|stored| stored.version == expected)
                .ok_or(StoreError::Conflict)?;
            let removed = self.statement(move |rows| rows.0.remove(&id)).await;
            return removed.map(drop).ok_or(StoreError::Conflict);
        }
        let run = move |rows: &mut Rows| {
            rows.may_remove(id, expected)?;
            rows.0.remove(&id);
            Ok::<(), StoreError>(())
        };
        self.statement(run).await?;
        if self.is(RemovalForgetsTheUseLate) {
            self.statement(move |rows| {
                rows.0.entry(id).and_modify(|row| row.last_used = None);
            })
            .await;
        }
        self.forget_after(id);
        Ok(())
    }

    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        let _connection = self.connect().await;
        let request = request.clone();
        Ok(self.statement(move |rows| rows.page(&request, now)).await)
    }

    fn tracks_last_used(&self) -> bool {
        true
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        let _connection = self.connect().await;
        for (id, used) in uses.iter().copied() {
            let used = used.timestamp_micros();
            let before = match self.delay {
                TouchWritesTheRecord | TouchWritesTheOlderUse => self.read(id).await,
                _ => None,
            };
            let delay = self.delay;
            let run = move |rows: &mut Rows| match (delay, &before) {
                (TouchWritesTheRecord, Some(before)) if rows.0.contains_key(&id) => {
                    rows.put(&before.record, before.version.0);
                    rows.touch(id, used);
                }
                (TouchWritesTheOlderUse, Some(before)) => {
                    let known = match before.last_used {
                        LastUsed::At(time) => time.timestamp_micros(),
                        _ => used,
                    };
                    rows.0.entry(id).and_modify(|row| row.last_used = Some(used.max(known)));
                }
                _ => rows.touch(id, used),
            };
            if self.is(DroppedTouchLeavesTransaction) {
                self.transaction(run).await;
            } else {
                self.statement(run).await;
            }
            self.forget(id);
        }
        Ok(())
    }
}
