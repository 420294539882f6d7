//! Replay of the journal, which builds the table from the frames of a file.
//!
//! Design. One thread reads the frames, checks them and decodes the records. The calling thread
//! applies the decoded entries to the table. The two are connected by a bounded channel of messages
//! with several hundred entries each. Each thread does about half of the work. The table is
//! reserved for the estimated number of records, and its sorted index is built once at the end
//! ([`Loader`]).

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, scope};

use super::format::{Body, Header, put_len};
use super::frame_reader::{FrameReader, Unreadable};
use crate::record::Record;
use crate::store::Version;
use crate::stores::table::{Loader, Row, Table};
use crate::token::TokenId;

/// The number of bytes of the file between two progress reports.
const REPORT_EVERY: u64 = 4 << 20;

/// The number of bytes of the file for which one record is reserved in the table. The smallest
/// records take about this much.
const BYTES_PER_RECORD: u64 = 200;

/// The maximum number of reserved records. A long file may contain few records.
const MAX_RESERVED_RECORDS: u64 = 1_000_000;

/// The number of entries in one message from the reading to the applying thread.
const ENTRIES_PER_MESSAGE: usize = 512;

/// The maximum number of messages that wait between the two threads.
const MAX_WAITING_MESSAGES: usize = 8;

/// The content of a file.
pub(super) struct Replayed {
    pub(super) table: Table,
    pub(super) last_version: u64,
    /// The size of the frames that a compaction would copy, in bytes.
    pub(super) current_bytes: u64,
}

/// An entry of the journal with its record decoded.
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one")]
enum Entry {
    Put(Row),
    Remove(TokenId, u64),
    Touch(TokenId, i64),
}

/// Applies all frames up to the end, or up to an unfinished frame.
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
        current_bytes: 0,
    };
    // Created after the first frames were checked, so that a damaged file reserves no memory.
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
        current_bytes: replay.current_bytes,
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
            // A replacement is written as two equal frames. This is the second one.
            Body::Put { id, version, last_used: None, .. } if last_put == Some((id, version)) => {}
            Body::Put { id, version, last_used, record } => {
                last_put = Some((id, version));
                let encoded_len = record.len();
                let record = Record::from_bytes(record)
                    .map_err(|_| damaged("a frame does not contain a record"))?;
                if record.id() != id {
                    return Err(damaged("a frame contains a record with another id"));
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
            // Sending fails only if the applying thread has panicked, and then that panic is
            // propagated.
            let _ = batches.send((offset, full));
        }
    }
    let _ = batches.send((frames.offset(), entries));
    Ok(())
}

struct Replay {
    rows: Loader,
    last_version: u64,
    current_bytes: u64,
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
                    self.current_bytes -= put_len(removed as usize);
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
        // Nearly every put is the first of its id.
        let Some(row) = self.rows.put_new(row) else {
            self.current_bytes += put_len(len);
            return;
        };
        let replaced = self.rows.visit(row.record.id(), |current| {
            let Some(current) = current else { return Ok(None) };
            if current.version >= row.version {
                current.touch(row.used_at());
                return Err(());
            }
            row.touch(current.used_at());
            Ok(Some(current.encoded_len))
        });
        let Ok(replaced) = replaced else { return };
        self.current_bytes += put_len(len);
        self.current_bytes -= replaced.map_or(0, |len| put_len(len as usize));
        self.rows.put(row);
    }
}
