//! From the frames of a file to the table.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, scope};

use super::format::{Body, Header, put_len};
use super::frame_reader::{FrameReader, Unreadable};
use crate::record::Record;
use crate::store::Version;
use crate::stores::table::{Loader, Row, Table};
use crate::token::TokenId;

/// Bytes of the file between two reports of progress.
const REPORT_EVERY: u64 = 4 << 20;

/// Bytes of the file for which room for one record is made beforehand: about what the smallest take.
const BYTES_PER_RECORD: u64 = 200;

/// The most records for which it is: a file may be long and say nothing.
const MAX_RESERVED_RECORDS: u64 = 1_000_000;

/// Entries in one message from the reading thread to the applying thread.
const ENTRIES_PER_MESSAGE: usize = 512;

/// Messages that may wait between the two threads.
const MAX_WAITING_MESSAGES: usize = 8;

/// What a file holds.
pub(super) struct Replayed {
    pub(super) table: Table,
    pub(super) last_version: u64,
    /// Bytes that a compaction would keep.
    pub(super) live: u64,
}

/// An entry whose record is decoded.
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one")]
enum Entry {
    Put(Row),
    Remove(TokenId, u64),
    Touch(TokenId, i64),
}

/// Applies all frames up to the end or to an unfinished one.
///
/// Reading, checking and decoding are half of the work and have a thread of their own.
pub(super) fn replay(
    frames: &mut FrameReader,
    header: &Header,
    end: u64,
    mut progress: impl FnMut(u64),
) -> Result<Replayed, Unreadable> {
    let (batches, received) = sync_channel::<(u64, Vec<Entry>)>(MAX_WAITING_MESSAGES);
    let new = |room| Replay {
        rows: Loader::with_capacity(room),
        last_version: header.last_version,
        live: 0,
    };
    // Made when the first frames have checked.
    let mut replay = None;
    scope(|scope| {
        let reader = Builder::new()
            .name("service-tokens-reader".to_owned())
            .spawn_scoped(scope, move || decode_all(frames, &batches))?;
        let mut report_at = 0;
        for (offset, entries) in received {
            let room = (end / BYTES_PER_RECORD).min(MAX_RESERVED_RECORDS) as usize;
            let replay = replay.get_or_insert_with(|| new(room));
            entries.into_iter().for_each(|entry| replay.apply(entry));
            if offset >= report_at {
                progress(offset);
                report_at = offset + REPORT_EVERY;
            }
        }
        reader.join().map_err(|_| std::io::Error::other("the reading thread panicked"))?
    })?;
    progress(end);
    let replay = replay.unwrap_or_else(|| new(0));
    Ok(Replayed {
        table: replay.rows.into_table(),
        last_version: replay.last_version,
        live: replay.live,
    })
}

fn decode_all(
    frames: &mut FrameReader,
    batches: &SyncSender<(u64, Vec<Entry>)>,
) -> Result<(), Unreadable> {
    let mut entries = Vec::with_capacity(ENTRIES_PER_MESSAGE);
    let mut last_put = None;
    while let Some(frame) = frames.next()? {
        let offset = frame.offset;
        let damaged = |what| Unreadable::Damaged { offset, what };
        match Body::read(frame.body).map_err(damaged)? {
            // The second of a pair says what the first said.
            Body::Put { id, version, last_used: None, .. } if last_put == Some((id, version)) => {}
            Body::Put { id, version, last_used, record } => {
                last_put = Some((id, version));
                let encoded_len = record.len();
                let record =
                    Record::from_bytes(record).map_err(|_| damaged("a frame holds no record"))?;
                if record.id() != id {
                    return Err(damaged("a frame holds a record with another id"));
                }
                let row = Row::encoded(record, Version(version), encoded_len);
                row.touch(last_used);
                entries.push(Entry::Put(row));
            }
            Body::Remove { id, version } => {
                last_put = None;
                entries.push(Entry::Remove(id, version));
            }
            Body::Touch(uses) => entries.extend(uses.map(|(id, used)| Entry::Touch(id, used))),
        }
        if entries.len() >= ENTRIES_PER_MESSAGE {
            let full = std::mem::replace(&mut entries, Vec::with_capacity(ENTRIES_PER_MESSAGE));
            // Nobody receives only if that thread panics, and then the panic goes on.
            let _ = batches.send((offset, full));
        }
    }
    let _ = batches.send((frames.offset(), entries));
    Ok(())
}

struct Replay {
    rows: Loader,
    last_version: u64,
    live: u64,
}

impl Replay {
    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Put(row) => self.put(row),
            Entry::Remove(id, version) => {
                self.last_version = self.last_version.max(version);
                let older = |row: &Row| (row.version.0 < version).then_some(row.encoded_len);
                if let Some(removed) = self.rows.visit(id, |row| row.and_then(older)) {
                    self.rows.delete(id);
                    self.live -= put_len(removed as usize);
                }
            }
            Entry::Touch(id, used) => {
                self.rows.visit(id, |row| {
                    if let Some(row) = row {
                        row.touch(Some(used));
                    }
                });
            }
        }
    }

    fn put(&mut self, row: Row) {
        self.last_version = self.last_version.max(row.version.0);
        let len = row.encoded_len as usize;
        // Nearly all are the first of their id.
        let Some(row) = self.rows.put_new(row) else {
            self.live += put_len(len);
            return;
        };
        let replaced = self.rows.visit(row.record.id(), |present| {
            let Some(present) = present else { return Ok(None) };
            if present.version >= row.version {
                present.touch(row.used_at());
                return Err(());
            }
            row.touch(present.used_at());
            Ok(Some(present.encoded_len))
        });
        let Ok(replaced) = replaced else { return };
        self.live += put_len(len);
        self.live -= replaced.map_or(0, |len| put_len(len as usize));
        self.rows.put(row);
    }
}
