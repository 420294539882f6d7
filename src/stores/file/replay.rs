//! Replay of the journal, which builds the table from the frames of a file.
//!
//! Design. All cores share the work, because most of it is to check and to decode the records. Each thread
//! runs the same loop ([`Replaying::work`]). It takes the next [`Block`] of the file, checks and decodes its
//! frames, and applies the entries when it is its turn ([`Turns`]). Only the reading, which also finds the
//! boundaries of the frames, and the applying are done by one thread at a time. The turns are in the order of the
//! file, so the table and the reported damage are those of a replay on one thread. Until its turn a thread
//! decodes the next blocks. A thread applies its own entries only, because they are still in the caches of its
//! core.
//!
//! The table is reserved for the estimated number of records. Its sorted index is built once at the end from
//! the ids that were inserted ([`Loader`]).

mod apply;
mod entries;
mod turns;

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, ScopedJoinHandle, available_parallelism, panicking, scope};

use super::block::Block;
use super::format::Header;
use super::frame_reader::{FrameReader, Unreadable};
use crate::stores::table::{Loader, Owners, Table};
use apply::{Batch, Target, Totals};
use entries::{LastPut, decode};
use turns::{Turn, Turns};

/// The number of bytes of the file between two progress reports.
const REPORT_EVERY: u64 = 4 << 20;

/// The number of bytes of the file for which one record is reserved in the table. The smallest
/// records take about this much.
const BYTES_PER_RECORD: u64 = 200;

/// The maximum number of reserved records. A long file may contain few records.
const MAX_RESERVED_RECORDS: u64 = 1_000_000;

/// The number of bytes of the file for which it is worth to start another thread.
const BYTES_PER_THREAD: u64 = 1 << 20;

/// The maximum number of batches that a thread has decoded before their turns. It bounds the memory, and it is
/// enough for a thread to go on while another one does not run.
const MAX_DECODED: usize = 4;

/// The maximum number of threads. With more of them most would wait for their turns.
const MAX_THREADS: usize = 8;

/// The content of a file.
pub(super) struct Replayed {
    pub(super) table: Table,
    pub(super) last_version: u64,
    /// The size of the frames that a compaction would copy, in bytes.
    pub(super) current_bytes: u64,
}

/// Applies all frames up to the end, or up to an unfinished frame.
pub(super) fn replay(
    frames: &mut FrameReader,
    header: &Header,
    end: u64,
    mut progress: impl FnMut(u64),
) -> Result<Replayed, Unreadable> {
    let threads = threads(end);
    let room = (end / BYTES_PER_RECORD).min(MAX_RESERVED_RECORDS) as usize;
    let replaying = Replaying {
        source: Mutex::new(Source { frames, blocks: 0, last_put: None, ended: false }),
        turns: Turns::default(),
        target: Mutex::new(Target::new(header, room, threads)),
    };
    let shared = &replaying;
    let mut report_at = 0;
    let report = |offset| {
        if offset >= report_at {
            progress(offset);
            report_at = offset + REPORT_EVERY;
        }
    };
    let owners = scope(|scope| {
        // If a thread cannot be started, the others do its work.
        let start = |thread| {
            let builder = Builder::new().name("service-tokens-reader".to_owned());
            builder.spawn_scoped(scope, move || shared.work(thread, |_| {})).ok()
        };
        let others: Vec<_> = (1..threads).map_while(start).collect();
        let own = replaying.work(0, report);
        // All are joined before an error is returned, because a scope panics if a thread that was not joined
        // has panicked.
        let joined: Vec<_> = others.into_iter().map(ScopedJoinHandle::join).collect();
        std::iter::once(Ok(own)).chain(joined).collect::<Result<Vec<_>, _>>()
    });
    let owners = owners.map_err(|_| io::Error::other("a reading thread panicked"))?;
    let target = replaying.target.into_inner().unwrap_or_else(PoisonError::into_inner);
    target.outcome?;
    progress(end);
    let Totals { last_version, current_bytes, changed } = target.totals;
    let loader = target.loader.unwrap_or_else(|| Loader::with_capacity(0));
    let table = loader.into_table(target.inserted, &owners, changed);
    Ok(Replayed { table, last_version, current_bytes })
}

/// Returns the number of threads for a file of this length.
fn threads(end: u64) -> usize {
    let cores = available_parallelism().map_or(1, |cores| cores.get());
    let useful = usize::try_from(1 + end / BYTES_PER_THREAD).unwrap_or(MAX_THREADS);
    cores.min(useful).min(MAX_THREADS)
}

/// The state that the threads share.
struct Replaying<'f> {
    source: Mutex<Source<'f>>,
    turns: Turns,
    /// Locked by the thread that applies.
    target: Mutex<Target>,
}

/// The file, from which the threads take blocks.
struct Source<'f> {
    frames: &'f mut FrameReader,
    /// The number of blocks that were taken.
    blocks: u64,
    last_put: LastPut,
    ended: bool,
}

impl Replaying<'_> {
    /// Replays blocks until no block is left, and returns the owners in its batches.
    fn work(&self, thread: usize, mut progress: impl FnMut(u64)) -> Owners {
        let _stop = StopOnPanic(&self.turns);
        let (mut block, mut owners) = (Block::default(), Owners::default());
        // Empty lists are used again, because the memory of new ones would have to be mapped.
        let (mut decoded, mut spare) = (VecDeque::new(), Vec::new());
        loop {
            let is_full = decoded.len() >= MAX_DECODED;
            let taken = if is_full { None } else { self.next_block(&mut block) };
            // A thread waits for its turn if it has nothing else to do.
            let mut waits = taken.is_none();
            if let Some((number, last_put)) = taken {
                let mut entries = spare.pop().unwrap_or_default();
                let outcome =
                    last_put.and_then(|put| decode(&block, put, &mut owners, &mut entries));
                decoded.push_back((number, Batch { entries, outcome, thread, end: block.end() }));
            } else if decoded.is_empty() {
                return owners;
            }
            while let Some(&(number, _)) = decoded.front() {
                let turn = if waits { self.turns.wait_for(number) } else { self.turns.of(number) };
                match turn {
                    Turn::Now => {}
                    Turn::Later => break,
                    Turn::Never => return owners,
                }
                let Some((_, batch)) = decoded.pop_front() else { break };
                let end = batch.end;
                let Some(emptied) = locked(&self.target).apply(batch) else {
                    self.turns.stop();
                    return owners;
                };
                self.turns.end();
                spare.push(emptied);
                progress(end);
                waits = false;
            }
        }
    }

    /// Takes the next block. Returns its number, and the put in the last frame before it. Damage before the
    /// next frame has a number too, because the frames before it are applied first.
    fn next_block(&self, block: &mut Block) -> Option<(u64, Result<LastPut, Unreadable>)> {
        let mut source = locked(&self.source);
        if source.ended {
            return None;
        }
        let number = source.blocks;
        source.blocks += 1;
        match source.frames.next_block(block) {
            Ok(true) => {
                let last_put = entries::last_put(block);
                Some((number, Ok(std::mem::replace(&mut source.last_put, last_put))))
            }
            Ok(false) => {
                source.ended = true;
                None
            }
            Err(unreadable) => {
                source.ended = true;
                Some((number, Err(unreadable)))
            }
        }
    }
}

/// Lets all threads end when one has panicked, because they may wait for the end of its turn.
struct StopOnPanic<'t>(&'t Turns);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if panicking() {
            self.0.stop();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic makes the whole replay fail, so the data behind the lock is not used.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
