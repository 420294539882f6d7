//! Acts that become durable together: decided on, framed, and answered after the sync.

use hashbrown::HashMap;

use super::failure::Failure;
use super::format::{Framer, MAX_USES_PER_FRAME, put_len};
use super::queue::{Write, WriteReply};
use crate::record::Record;
use crate::store::{StoreError, Version};
use crate::stores::table::{Row, Table};
use crate::token::TokenId;

/// Bytes of frames beyond which a batch takes no more acts: what waits behind it is not kept longer.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// A change of the table that is made after the sync.
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one")]
enum TableUpdate {
    Put(Row),
    Delete(TokenId),
    Touch(Vec<(TokenId, i64)>),
}

struct Answer {
    reply: WriteReply,
    answer: Result<Version, StoreError>,
    /// Whether it is only right if the batch succeeds.
    depends_on_batch: bool,
}

/// Acts on their way to the file.
pub(super) struct Batch {
    frames: Vec<u8>,
    framer: Framer,
    updates: Vec<TableUpdate>,
    /// Where the latest change of an id is among the updates.
    latest: HashMap<TokenId, usize>,
    answers: Vec<Answer>,
    live_delta: i64,
}

impl Batch {
    pub(super) fn new(framer: Framer) -> Self {
        Self {
            frames: Vec::new(),
            framer,
            updates: Vec::new(),
            latest: HashMap::new(),
            answers: Vec::new(),
            live_delta: 0,
        }
    }

    /// Goes on behind these frames of the file.
    pub(super) fn restart(&mut self, framer: Framer) {
        self.framer = framer;
        self.frames.clear();
        self.updates.clear();
        self.latest.clear();
        self.answers.clear();
        self.live_delta = 0;
    }

    pub(super) fn is_full(&self) -> bool {
        self.frames.len() >= MAX_BATCH_BYTES
    }

    /// Whether nobody waits for it.
    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// The frames to append, and the writer of those behind them.
    pub(super) fn frames(&self) -> (&[u8], Framer) {
        (&self.frames, self.framer)
    }

    /// By how many bytes the file's live part updates.
    pub(super) fn live_delta(&self) -> i64 {
        self.live_delta
    }

    /// Decides on an act as if all before it had succeeded.
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

    /// Lends the row that an id has behind the acts so far.
    fn present<T>(&self, table: &Table, id: TokenId, visit: impl FnOnce(Option<&Row>) -> T) -> T {
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
        if self.present(table, id, |row| row.is_some()) {
            return Err(StoreError::Exists);
        }
        let version = next_version(last_version);
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
        let replaced = self.present(table, id, |row| {
            let row = row.filter(|row| row.version == expected).ok_or(StoreError::Conflict)?;
            StoreError::check_replacement(&row.record, &record)?;
            Ok::<_, StoreError>(row.encoded_len)
        })?;
        let version = next_version(last_version);
        // Twice, so that the loss of the last frame does not undo a revocation.
        for _ in 0..2 {
            self.framer.put(&mut self.frames, id, version.0, None, bytes);
        }
        self.live_delta -= put_len(replaced as usize) as i64;
        self.put(record, version, bytes.len());
        Ok(version)
    }

    fn put(&mut self, record: Record, version: Version, encoded_len: usize) {
        let row = Row::encoded(record, version, encoded_len);
        self.live_delta += put_len(encoded_len) as i64;
        self.update(row.record.id(), TableUpdate::Put(row));
    }

    fn remove(
        &mut self,
        table: &Table,
        last_version: &mut u64,
        id: TokenId,
        expected: Version,
    ) -> Result<Version, StoreError> {
        let removed = self.present(table, id, |row| {
            row.filter(|row| row.version == expected).map(|row| row.encoded_len)
        });
        let removed = removed.ok_or(StoreError::Conflict)?;
        let version = next_version(last_version);
        for _ in 0..2 {
            self.framer.remove(&mut self.frames, id, version.0);
        }
        self.live_delta -= put_len(removed as usize) as i64;
        self.update(id, TableUpdate::Delete(id));
        Ok(version)
    }

    fn touch(
        &mut self,
        table: &Table,
        mut uses: Vec<(TokenId, i64)>,
    ) -> Result<Version, StoreError> {
        uses.retain(|&(id, used)| {
            self.present(table, id, |row| row.is_some_and(|row| row.used_at() < Some(used)))
        });
        for uses in uses.chunks(MAX_USES_PER_FRAME) {
            self.framer.touch(&mut self.frames, uses);
        }
        if !uses.is_empty() {
            self.updates.push(TableUpdate::Touch(uses));
        }
        Ok(Version(0))
    }

    /// Makes the updates, now durable.
    pub(super) fn apply(&mut self, table: &Table) {
        for update in self.updates.drain(..) {
            match update {
                TableUpdate::Put(row) => table.put(row),
                TableUpdate::Delete(id) => table.delete(id),
                TableUpdate::Touch(uses) => table.touch(uses),
            }
        }
    }

    /// Answers everybody.
    pub(super) fn answer(&mut self, outcome: &Result<(), Failure>) {
        for Answer { reply, answer, depends_on_batch } in self.answers.drain(..) {
            reply.send(match outcome {
                Err(failure) if depends_on_batch => Err(failure.to_error()),
                _ => answer,
            });
        }
    }
}

fn next_version(last_version: &mut u64) -> Version {
    *last_version += 1;
    Version(*last_version)
}
