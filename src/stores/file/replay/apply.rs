//! The effect of the entries on the table.

use super::super::format::{Header, put_len};
use super::super::frame_reader::Unreadable;
use super::entries::Entry;
use crate::stores::table::{Inserted, Loader, Loading, Row};
use crate::token::TokenId;

/// The entries of one block.
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// Whether all frames of the block could be read.
    pub(super) outcome: Result<(), Unreadable>,
    /// The thread that has decoded the block.
    pub(super) thread: usize,
    /// The offset after the block.
    pub(super) end: u64,
}

/// The table, and everything else that results from the entries.
pub(super) struct Target {
    /// Created after the first frames were checked, so that a damaged file reserves no memory.
    pub(super) loader: Option<Loader>,
    /// The number of records to reserve.
    room: usize,
    /// The rows that were the first with their ids, by the thread that has decoded them.
    pub(super) inserted: Vec<Inserted>,
    pub(super) totals: Totals,
    /// Whether all frames could be read.
    pub(super) outcome: Result<(), Unreadable>,
}

/// The result besides the rows.
pub(super) struct Totals {
    pub(super) last_version: u64,
    /// The size of the frames that a compaction would copy, in bytes.
    pub(super) current_bytes: u64,
    /// The ids that were removed or have moved to another owner.
    pub(super) changed: Vec<TokenId>,
}

impl Target {
    pub(super) fn new(header: &Header, room: usize, threads: usize) -> Self {
        let last_version = header.last_version;
        Self {
            loader: None,
            room,
            inserted: (0..threads).map(|_| Inserted::default()).collect(),
            totals: Totals { last_version, current_bytes: 0, changed: Vec::new() },
            outcome: Ok(()),
        }
    }

    /// Applies a batch and returns its emptied list. Returns `None` if a frame could not be read.
    pub(super) fn apply(&mut self, batch: Batch) -> Option<Vec<Entry>> {
        let Batch { mut entries, outcome, thread, .. } = batch;
        if outcome.is_err() {
            self.outcome = outcome;
            return None;
        }
        let room = self.room;
        let loader = self.loader.get_or_insert_with(|| Loader::with_capacity(room));
        let rows = loader.pin();
        let inserted = self.inserted.get_mut(thread)?;
        rows.prefetch(entries.iter().filter_map(Entry::put_id));
        for entry in entries.drain(..) {
            match entry {
                Entry::Put(row, owner) => {
                    let id = row.record.id();
                    if self.totals.put(&rows, row) {
                        inserted.add(id, owner);
                    }
                }
                Entry::Remove(id, version) => self.totals.remove(&rows, id, version),
                Entry::Touch(id, used) => {
                    if let Some(row) = rows.get(id) {
                        row.touch(Some(used));
                    }
                }
            }
        }
        Some(entries)
    }
}

impl Totals {
    fn remove(&mut self, rows: &Loading<'_>, id: TokenId, version: u64) {
        self.last_version = self.last_version.max(version);
        if let Some(row) = rows.get(id).filter(|row| row.version.0 < version) {
            self.current_bytes -= put_len(row.encoded_len as usize);
            self.changed.push(id);
            rows.delete(id);
        }
    }

    /// Applies a put. Returns whether its id had no row.
    fn put(&mut self, rows: &Loading<'_>, row: Row) -> bool {
        self.last_version = self.last_version.max(row.version.0);
        let len = row.encoded_len as usize;
        // Nearly every put is the first of its id.
        let Some(row) = rows.put_new(row) else {
            self.current_bytes += put_len(len);
            return true;
        };
        let id = row.record.id();
        if let Some(current) = rows.get(id) {
            if current.version >= row.version {
                current.touch(row.used_at());
                return false;
            }
            row.touch(current.used_at());
            self.current_bytes -= put_len(current.encoded_len as usize);
            if current.record.owner() != row.record.owner() {
                self.changed.push(id);
            }
        }
        self.current_bytes += put_len(len);
        rows.put(row);
        false
    }
}
