//! Acts that become durable together: decided on, framed, and answered after the sync.

use hashbrown::HashMap;

use super::format::{Framer, USES_MAX, put_len};
use super::journal::Failure;
use super::queue::{ActPromise, Operation};
use crate::record::Record;
use crate::store::{StoreError, Version};
use crate::stores::table::{Row, Table};
use crate::token::TokenId;

/// Bytes of frames beyond which a batch takes no more acts: what waits behind it is not kept longer.
const FRAMES_MAX: usize = 4 << 20;

/// A change of the table that is made after the sync.
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one")]
enum Change {
    Put(Row),
    Delete(TokenId),
    Touch(Vec<(TokenId, i64)>),
}

struct Answer {
    promise: ActPromise,
    answer: Result<Version, StoreError>,
    /// Whether it is only right if the batch succeeds.
    rests_on_batch: bool,
}

/// Acts on their way to the file.
pub(super) struct Batch {
    frames: Vec<u8>,
    framer: Framer,
    changes: Vec<Change>,
    /// Where the latest change of an id is among the changes.
    latest: HashMap<TokenId, usize>,
    answers: Vec<Answer>,
    live: i64,
}

impl Batch {
    pub(super) fn new(framer: Framer) -> Self {
        Self {
            frames: Vec::new(),
            framer,
            changes: Vec::new(),
            latest: HashMap::new(),
            answers: Vec::new(),
            live: 0,
        }
    }

    /// Goes on behind these frames of the file.
    pub(super) fn restart(&mut self, framer: Framer) {
        self.framer = framer;
        self.frames.clear();
        self.changes.clear();
        self.latest.clear();
        self.answers.clear();
        self.live = 0;
    }

    pub(super) fn is_full(&self) -> bool {
        self.frames.len() >= FRAMES_MAX
    }

    /// Whether nobody waits for it.
    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// The frames to append, and the writer of those behind them.
    pub(super) fn frames(&self) -> (&[u8], Framer) {
        (&self.frames, self.framer)
    }

    /// By how many bytes the file's live part changes.
    pub(super) fn live(&self) -> i64 {
        self.live
    }

    /// Decides on an act as if all before it had succeeded.
    pub(super) fn add(
        &mut self,
        act: Operation,
        promise: ActPromise,
        table: &Table,
        last_version: &mut u64,
    ) {
        let (rests_on_batch, answer) = match act {
            Operation::Insert { record, bytes } => {
                (self.knows(record.id()), self.insert(table, last_version, record, &bytes))
            }
            Operation::Replace { record, bytes, expected } => {
                let rests = self.knows(record.id());
                (rests, self.replace(table, last_version, record, &bytes, expected))
            }
            Operation::Remove { id, expected } => {
                (self.knows(id), self.remove(table, last_version, id, expected))
            }
            Operation::Touch { uses } => (false, self.touch(table, uses)),
        };
        let rests_on_batch = rests_on_batch || answer.is_ok();
        self.answers.push(Answer { promise, answer, rests_on_batch });
    }

    fn knows(&self, id: TokenId) -> bool {
        self.latest.contains_key(&id)
    }

    /// Lends the row that an id has behind the acts so far.
    fn present<T>(&self, table: &Table, id: TokenId, visit: impl FnOnce(Option<&Row>) -> T) -> T {
        match self.latest.get(&id).and_then(|&index| self.changes.get(index)) {
            None => table.visit(id, visit),
            Some(Change::Put(row)) => visit(Some(row)),
            Some(_) => visit(None),
        }
    }

    fn change(&mut self, id: TokenId, change: Change) {
        self.latest.insert(id, self.changes.len());
        self.changes.push(change);
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
        let version = next(last_version);
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
        let version = next(last_version);
        // Twice, so that the loss of the last frame does not undo a revocation.
        for _ in 0..2 {
            self.framer.put(&mut self.frames, id, version.0, None, bytes);
        }
        self.live -= put_len(replaced as usize) as i64;
        self.put(record, version, bytes.len());
        Ok(version)
    }

    fn put(&mut self, record: Record, version: Version, encoded_len: usize) {
        let row = Row::encoded(record, version, encoded_len);
        self.live += put_len(encoded_len) as i64;
        self.change(row.record.id(), Change::Put(row));
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
        let version = next(last_version);
        for _ in 0..2 {
            self.framer.remove(&mut self.frames, id, version.0);
        }
        self.live -= put_len(removed as usize) as i64;
        self.change(id, Change::Delete(id));
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
        for uses in uses.chunks(USES_MAX) {
            self.framer.touch(&mut self.frames, uses);
        }
        if !uses.is_empty() {
            self.changes.push(Change::Touch(uses));
        }
        Ok(Version(0))
    }

    /// Makes the changes, now durable.
    pub(super) fn apply(&mut self, table: &Table) {
        for change in self.changes.drain(..) {
            match change {
                Change::Put(row) => table.put(row),
                Change::Delete(id) => table.delete(id),
                Change::Touch(uses) => table.touch(uses),
            }
        }
    }

    /// Answers everybody.
    pub(super) fn answer(&mut self, outcome: &Result<(), Failure>) {
        for Answer { promise, answer, rests_on_batch } in self.answers.drain(..) {
            promise.keep(match outcome {
                Err(failure) if rests_on_batch => Err(failure.to_error()),
                _ => answer,
            });
        }
    }
}

fn next(last_version: &mut u64) -> Version {
    *last_version += 1;
    Version(*last_version)
}
