//! Replay of the journal, which builds the table from the frames of a file.
//!
//! Design. All cores share the work, because most of it is to check and to decode the records. Each thread
//! runs the same loop ([`Replaying::work`]). It takes the next [`Block`] of the file, checks and decodes its
//! frames, and puts the entries into a queue. Only the reading, which also finds the boundaries of the frames,
//! and the applying are done by one thread at a time. If no other thread is applying, a thread that has added
//! to the queue applies the batches that are next in the file. So the table and the reported damage are those
//! of a replay on one thread, and no thread waits for another one unless the queue is full.
//!
//! The table is reserved for the estimated number of records. Its sorted index is built once at the end from
//! the ids that were inserted ([`Loader`]).

mod apply;
mod entries;
mod queue;

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, available_parallelism, panicking, scope};

use super::block::Block;
use super::format::Header;
use super::frame_reader::{FrameReader, Unreadable};
use crate::stores::table::{Loader, Owners, Table};
use apply::{Target, Totals};
use entries::{LastPut, decode};
use queue::{Batch, Queue};

/// The number of bytes of the file between two progress reports.
const REPORT_EVERY: u64 = 4 << 20;

/// The number of bytes of the file for which one record is reserved in the table. The smallest
/// records take about this much.
const BYTES_PER_RECORD: u64 = 200;

/// The maximum number of reserved records. A long file may contain few records.
const MAX_RESERVED_RECORDS: u64 = 1_000_000;

/// The number of bytes of the file for which it is worth to start another thread.
const BYTES_PER_THREAD: u64 = 1 << 20;

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
        queue: Queue::default(),
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
        let mut owners = vec![replaying.work(0, report)];
        for thread in others {
            owners.push(thread.join().map_err(|_| io::Error::other("a reading thread panicked"))?);
        }
        Ok::<_, io::Error>(owners)
    })?;
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
    queue: Queue,
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
        let _stop = StopOnPanic(&self.queue);
        let (mut block, mut owners) = (Block::default(), Owners::default());
        while let Some((number, last_put)) = self.next_block(&mut block) {
            let mut entries = self.queue.spare();
            let outcome = last_put.and_then(|put| decode(&block, put, &mut owners, &mut entries));
            let batch = Batch { entries, outcome, thread, end: block.end() };
            let apply = |batch| locked(&self.target).apply(batch);
            match self.queue.add(number, batch, apply) {
                Some(applied_to) => progress(applied_to),
                None => break,
            }
        }
        owners
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

/// Lets all threads end when one has panicked, because they may wait for its batch.
struct StopOnPanic<'q>(&'q Queue);

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
