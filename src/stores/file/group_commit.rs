//! Writes that share one sync.
//!
//! Design. A [`Batch`] collects the writes that were waiting in the queue. Each write is checked
//! against the table plus the earlier writes of the same batch, and its frames are appended to a
//! buffer. The writer then appends the buffer to the file and syncs it once. Only after the sync
//! does the batch update the table and send the answers. If the append fails, every answer that
//! depends on the batch becomes the error of the append.

use hashbrown::HashMap;

use super::failure::{Failure, versions_exhausted};
use super::format::{
    Framer, MAX_APPEND, MAX_CHANGE_LEN, MAX_USES_PER_FRAME, MAX_VERSION, put_len, touch_len,
};
use super::queue::{MAX_USES_PER_REQUEST, Write, WriteReply};
use crate::record::Record;
use crate::store::{StoreError, Version};
use crate::stores::table::{Row, Table};
use crate::token::TokenId;

/// The maximum size of the frames in a batch, in bytes. A full batch is committed at once, so that
/// the writes behind it do not wait longer.
const MAX_BATCH_BYTES: usize = 4 << 20;
const _: () = assert!(MAX_BATCH_BYTES + MAX_CHANGE_LEN <= MAX_APPEND as usize);
const _: () = assert!(MAX_BATCH_BYTES + touch_len(MAX_USES_PER_REQUEST) <= MAX_APPEND as usize);

/// An update of the table that is made after the sync.
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one")]
enum TableUpdate {
    Put(Row),
    Delete(TokenId),
    Touch(Vec<(TokenId, i64)>),
}

struct Answer {
    reply: WriteReply,
    answer: Result<Version, StoreError>,
    /// Whether the answer is valid only if the batch is committed.
    depends_on_batch: bool,
}

/// Writes that are committed together.
pub(super) struct Batch {
    frames: Vec<u8>,
    framer: Framer,
    updates: Vec<TableUpdate>,
    /// The index of the latest update of each id in `updates`.
    latest: HashMap<TokenId, usize>,
    answers: Vec<Answer>,
    current_delta: i64,
}

impl Batch {
    pub(super) fn new(framer: Framer) -> Self {
        Self {
            frames: Vec::new(),
            framer,
            updates: Vec::new(),
            latest: HashMap::new(),
            answers: Vec::new(),
            current_delta: 0,
        }
    }

    /// Empties the batch. Its next frames follow those that `framer` has written.
    pub(super) fn restart(&mut self, framer: Framer) {
        self.framer = framer;
        self.frames.clear();
        self.updates.clear();
        self.latest.clear();
        self.answers.clear();
        self.current_delta = 0;
    }

    pub(super) fn is_full(&self) -> bool {
        self.frames.len() >= MAX_BATCH_BYTES
    }

    /// Returns whether no answer is pending.
    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Returns the frames to append, and the framer for the frames after them.
    pub(super) fn frames(&self) -> (&[u8], Framer) {
        (&self.frames, self.framer)
    }

    /// Returns the change in the size of the live frames, in bytes.
    pub(super) fn current_delta(&self) -> i64 {
        self.current_delta
    }

    /// Decides on a write under the assumption that all earlier ones succeed.
    pub(super) fn add(
        &mut self,
        write: Write,
        reply: WriteReply,
        table: &Table,
        last_version: &mut u64,
    ) {
        let (depends_on_batch, answer) = match write {
            Write::Insert { record, bytes } => {
                (self.has_update(record.id()), self.insert(table, last_version, record, &bytes))
            }
            Write::Replace { record, bytes, expected } => {
                let depends = self.has_update(record.id());
                (depends, self.replace(table, last_version, record, &bytes, expected))
            }
            Write::Remove { id, expected } => {
                (self.has_update(id), self.remove(table, last_version, id, expected))
            }
            Write::Touch { uses } => (false, self.touch(table, uses)),
        };
        let depends_on_batch = depends_on_batch || answer.is_ok();
        self.answers.push(Answer { reply, answer, depends_on_batch });
    }

    fn has_update(&self, id: TokenId) -> bool {
        self.latest.contains_key(&id)
    }

    /// Passes `visit` the row that an id has after the writes in the batch.
    fn current<T>(&self, table: &Table, id: TokenId, visit: impl FnOnce(Option<&Row>) -> T) -> T {
        match self.latest.get(&id).and_then(|&index| self.updates.get(index)) {
            None => table.visit(id, visit),
            Some(TableUpdate::Put(row)) => visit(Some(row)),
            Some(_) => visit(None),
        }
    }

    fn update(&mut self, id: TokenId, update: TableUpdate) {
        self.latest.insert(id, self.updates.len());
        self.updates.push(update);
    }

    fn insert(
        &mut self,
        table: &Table,
        last_version: &mut u64,
        record: Record,
        bytes: &[u8],
    ) -> Result<Version, StoreError> {
        let id = record.id();
        if self.current(table, id, |row| row.is_some()) {
            return Err(StoreError::Exists);
        }
        let version = next_version(last_version)?;
        self.framer.put(&mut self.frames, id, version.0, None, bytes);
        self.put(record, version, bytes.len());
        Ok(version)
    }

    fn replace(
        &mut self,
        table: &Table,
        last_version: &mut u64,
        record: Record,
        bytes: &[u8],
        expected: Version,
    ) -> Result<Version, StoreError> {
        let id = record.id();
        let replaced = self.current(table, id, |row| {
            let row = row.filter(|row| row.version == expected).ok_or(StoreError::Conflict)?;
            StoreError::check_replacement(&row.record, &record)?;
            Ok::<_, StoreError>(row.encoded_len)
        })?;
        let version = next_version(last_version)?;
        // Written twice, so that losing the last frame does not undo a revocation.
        for _ in 0..2 {
            self.framer.put(&mut self.frames, id, version.0, None, bytes);
        }
        self.current_delta -= put_len(replaced as usize) as i64;
        self.put(record, version, bytes.len());
        Ok(version)
    }

    fn put(&mut self, record: Record, version: Version, encoded_len: usize) {
        let row = Row::encoded(record, version, encoded_len);
        self.current_delta += put_len(encoded_len) as i64;
        self.update(row.record.id(), TableUpdate::Put(row));
    }

    fn remove(
        &mut self,
        table: &Table,
        last_version: &mut u64,
        id: TokenId,
        expected: Version,
    ) -> Result<Version, StoreError> {
        let removed = self.current(table, id, |row| {
            row.filter(|row| row.version == expected).map(|row| row.encoded_len)
        });
        let removed = removed.ok_or(StoreError::Conflict)?;
        let version = next_version(last_version)?;
        for _ in 0..2 {
            self.framer.remove(&mut self.frames, id, version.0);
        }
        self.current_delta -= put_len(removed as usize) as i64;
        self.update(id, TableUpdate::Delete(id));
        Ok(version)
    }

    fn touch(
        &mut self,
        table: &Table,
        mut uses: Vec<(TokenId, i64)>,
    ) -> Result<Version, StoreError> {
        uses.retain(|&(id, used)| {
            self.current(table, id, |row| row.is_some_and(|row| row.used_at() < Some(used)))
        });
        for uses in uses.chunks(MAX_USES_PER_FRAME) {
            self.framer.touch(&mut self.frames, uses);
        }
        if !uses.is_empty() {
            self.updates.push(TableUpdate::Touch(uses));
        }
        Ok(Version(0))
    }

    /// Updates the table. Called when the frames are durable.
    pub(super) fn apply(&mut self, table: &Table) {
        for update in self.updates.drain(..) {
            match update {
                TableUpdate::Put(row) => table.put(row),
                TableUpdate::Delete(id) => table.delete(id),
                TableUpdate::Touch(uses) => table.touch(uses),
            }
        }
    }

    /// Sends all answers.
    pub(super) fn answer(&mut self, outcome: &Result<(), Failure>) {
        for Answer { reply, answer, depends_on_batch } in self.answers.drain(..) {
            reply.send(match outcome {
                Err(failure) if depends_on_batch => Err(failure.to_error()),
                _ => answer,
            });
        }
    }
}

fn next_version(last_version: &mut u64) -> Result<Version, StoreError> {
    if *last_version >= MAX_VERSION {
        return Err(versions_exhausted());
    }
    *last_version += 1;
    Ok(Version(*last_version))
}
