//! A store over a journal that several processes share and compact, with flaws that show only after many
//! writes or after a write that the disk refuses.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::conformance::{Promise, StoreFactory};
use service_tokens::store::{BoxError, LastUsed, StoreError, Version};
use service_tokens::{ListRequest, Page, Record, StoredRecord, TokenId, TokenStore};

use super::harness::{Answer, expect_broken};
use super::rows::{Rows, expect_kept, flawed};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Journal {
    Correct,
    CompactionIsNoticedByLength,
    CompactionIsNotNoticed,
    CompactionForgetsVersions,
    CompactionForgetsLastUse,
    CompactionRevives,
    TornWriteStays,
    FullDiskIsFull,
    EachHundredthWriteIsLost,
    CacheEvictsUses,
}

use Journal::*;

#[derive(Clone)]
enum Frame {
    Put(Box<Record>, u64),
    Remove(TokenId),
    Use(TokenId, i64),
    Versions(u64),
    /// The start of a write that the disk refused.
    Torn,
}

/// The file. A compaction puts another one in its place.
#[derive(Default)]
pub(crate) struct File {
    generation: u64,
    frames: Vec<Frame>,
}

/// a handle has read of the file.
#[derive(Default)]
struct Read {
    generation: u64,
    frames: usize,
    since_compaction: usize,
    rows: Rows,
    versions: u64,
    appended: usize,
}

pub(crate) struct Handle {
    file: Arc<Mutex<File>>,
    read: Mutex<Read>,
    refuses: AtomicBool,
    flaw: Journal,
}

/// The number of obsolete frames that leads to a compaction.
const THRESHOLD: usize = 64;

impl Read {
    fn apply(&mut self, frame: &Frame, flaw: Journal) {
        self.since_compaction += 1;
        match frame {
            Frame::Put(record, version) => {
                self.versions = self.versions.max(*version);
                self.rows.put(record, *version);
                if flaw == CacheEvictsUses && self.since_compaction.is_multiple_of(61) {
                    self.rows.0.values_mut().for_each(|row| row.last_used = None);
                }
            }
            Frame::Remove(id) => drop(self.rows.0.remove(id)),
            Frame::Use(id, used) => self.rows.touch(*id, *used),
            Frame::Versions(versions) => self.versions = self.versions.max(*versions),
            Frame::Torn => {}
        }
    }
}

impl Handle {
    fn open(file: &Arc<Mutex<File>>, flaw: Journal) -> Self {
        let read = Mutex::new(Read { generation: u64::MAX, ..Read::default() });
        Self { file: file.clone(), read, refuses: AtomicBool::new(false), flaw }
    }

    /// Reads what other handles have written, and runs.
    fn with<T>(&self, run: impl FnOnce(&mut File, &mut Read) -> T) -> T {
        let (mut file, mut read) = (self.file.lock().unwrap(), self.read.lock().unwrap());
        let is_new = read.generation == u64::MAX;
        let is_known = match self.flaw {
            CompactionIsNoticedByLength => file.frames.len() >= read.frames,
            CompactionIsNotNoticed => true,
            _ => read.generation == file.generation,
        };
        if is_new || !is_known {
            *read = Read { generation: file.generation, ..Read::default() };
        }
        while let Some(frame) = file.frames.get(read.frames) {
            if matches!(frame, Frame::Torn) {
                break;
            }
            let frame = frame.clone();
            read.apply(&frame, self.flaw);
            read.frames += 1;
        }
        run(&mut file, &mut read)
    }

    fn append(&self, file: &mut File, read: &mut Read, frames: Vec<Frame>) -> Answer<()> {
        if self.refuses.swap(false, Ordering::SeqCst) {
            if self.flaw == TornWriteStays {
                file.frames.push(Frame::Torn);
            }
            return Err(match self.flaw {
                FullDiskIsFull => StoreError::full("no space left on the device"),
                _ => StoreError::unavailable("no space left on the device"),
            });
        }
        let mut writes = frames.len();
        for frame in frames {
            read.apply(&frame, self.flaw);
            file.frames.push(frame);
            read.appended += 1;
            if self.flaw == EachHundredthWriteIsLost && read.appended.is_multiple_of(100) {
                file.frames.pop();
                writes -= 1;
            }
        }
        read.frames = match self.flaw {
            TornWriteStays => file.frames.len(),
            _ => read.frames + writes,
        };
        let is_due = read.since_compaction > THRESHOLD + 2 * read.rows.0.len();
        // A compaction would write what was lost.
        if is_due && self.flaw != EachHundredthWriteIsLost {
            self.compact(file, read);
        }
        Ok(())
    }

    fn compact(&self, file: &mut File, read: &mut Read) {
        let mut frames = Vec::new();
        if self.flaw != CompactionForgetsVersions {
            frames.push(Frame::Versions(read.versions));
        }
        for row in read.rows.0.values() {
            frames.push(Frame::Put(Box::new(row.record.clone()), row.version));
            if let Some(used) = row.last_used.filter(|_| self.flaw != CompactionForgetsLastUse) {
                frames.push(Frame::Use(row.record.id(), used));
            }
        }
        if self.flaw == CompactionRevives {
            let removed = file.frames.iter().rev().find_map(|frame| match frame {
                Frame::Remove(id) => Some(*id),
                _ => None,
            });
            let last = file.frames.iter().rev().find(
                |frame| matches!(frame, Frame::Put(record, _) if Some(record.id()) == removed),
            );
            let there = removed.is_some_and(|id| read.rows.0.contains_key(&id));
            frames.extend(last.filter(|_| !there).cloned());
        }
        file.generation += 1;
        file.frames = frames;
        read.generation = file.generation;
        read.frames = file.frames.len();
        read.since_compaction = 0;
    }
}

#[async_trait]
impl TokenStore for Handle {
    async fn insert(&self, record: &Record) -> Answer<Version> {
        self.with(|file, read| {
            read.rows.may_insert(record.id())?;
            let version = read.versions + 1;
            self.append(file, read, vec![Frame::Put(Box::new(record.clone()), version)])?;
            Ok(Version(version))
        })
    }

    async fn find(&self, id: TokenId) -> Answer<Option<StoredRecord>> {
        Ok(self.with(|_, read| read.rows.find(id)))
    }

    async fn replace(&self, record: &Record, expected: Version) -> Answer<Version> {
        self.with(|file, read| {
            read.rows.may_replace(record, expected)?;
            let version = read.versions + 1;
            self.append(file, read, vec![Frame::Put(Box::new(record.clone()), version)])?;
            Ok(Version(version))
        })
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Answer<()> {
        self.with(|file, read| {
            read.rows.may_remove(id, expected)?;
            self.append(file, read, vec![Frame::Remove(id)])
        })
    }

    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        Ok(self.with(|_, read| read.rows.page(request, now)))
    }

    fn tracks_last_used(&self) -> bool {
        true
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        self.with(|file, read| {
            let known = uses.iter().filter(|(id, used)| {
                let found = read.rows.find(*id);
                found.is_some_and(|found| found.last_used != LastUsed::At(*used))
            });
            let frames = known.map(|(id, used)| Frame::Use(*id, used.timestamp_micros()));
            let frames = frames.collect();
            self.append(file, read, frames)
        })
    }
}

/// Gives handles on a journal.
#[derive(Clone, Copy)]
pub(crate) struct Journals(pub(crate) Journal);

type Shared = Arc<Mutex<File>>;

#[async_trait]
impl StoreFactory for Journals {
    type Store = Handle;
    type Guard = Shared;

    async fn fresh(&self) -> Result<(Handle, Shared), BoxError> {
        let file = Shared::default();
        Ok((Handle::open(&file, self.0), file))
    }

    async fn reopen(&self, _: Handle, file: &mut Shared) -> Option<Result<Handle, BoxError>> {
        Some(Ok(Handle::open(file, self.0)))
    }

    async fn second(&self, _: &Handle, file: &mut Shared) -> Option<Result<Handle, BoxError>> {
        Some(Ok(Handle::open(file, self.0)))
    }

    async fn refuse_next_call(&self, store: &Handle, _: &mut Shared) -> bool {
        store.refuses.store(true, Ordering::SeqCst);
        true
    }

    fn runtime_free(&self) -> bool {
        true
    }
}

#[test]
fn correct_journal_breaks_no_promise() {
    expect_kept(&Journals(Correct));
}

#[test]
#[ignore = "campaign: cargo xtask campaigns"]
fn full_journal_breaks_no_promise_campaign() {
    expect_kept(&Journals(FullDiskIsFull));
}

flawed! { Journals:
    compaction_is_noticed_by_length: CompactionIsNoticedByLength => LongHistoryIsKept;
    compaction_is_not_noticed: CompactionIsNotNoticed => LongHistoryIsKept;
    compaction_forgets_versions: CompactionForgetsVersions => LongHistoryIsKept;
    compaction_forgets_last_use: CompactionForgetsLastUse => LongHistoryIsKept;
    compaction_revives: CompactionRevives => LongHistoryIsKept;
    each_hundredth_write_is_lost: EachHundredthWriteIsLost => LongHistoryIsKept;
    cache_evicts_uses: CacheEvictsUses => LongHistoryIsKept;
    torn_write_stays: TornWriteStays => RefusedCallsAreUnavailable;
}
