//! The one thread that writes: gathers what waits, appends it, syncs once, answers.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::{io, mem};

use super::compaction::{CompactionJob, CompactionResult, NotCompacted, is_due};
use super::disk::Directory;
use super::failure::Failure;
use super::format::HEADER_LEN;
use super::group_commit::Batch;
use super::journal::Journal;
use super::lock::Locks;
use super::queue::{CompactReply, Queue, Request};
use crate::stores::table::Table;

/// What callers and writer share.
pub(super) struct Shared {
    pub(super) table: Table,
    pub(super) queue: Queue,
    /// Held as long as anything is answered from the table, also if the writer has ended.
    pub(super) locks: Arc<Locks>,
}

/// Everything the writer's thread has to itself.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) journal: Journal,
    /// The highest version given so far.
    pub(super) last_version: u64,
    /// Bytes of the file that a compaction would keep.
    pub(super) live: u64,
    /// Dead bytes from which on the file is compacted.
    pub(super) compact_above: u64,
    /// Where compaction writes the new file.
    pub(super) compacting: PathBuf,
    pub(super) directory: Arc<dyn Directory>,
    /// The journal's length, for compaction.
    pub(super) durable: Arc<AtomicU64>,
    pub(super) compaction: Option<RunningCompaction>,
    /// Those who asked while a compaction was under way: theirs is the next.
    pub(super) next_compaction: Vec<CompactReply>,
    /// After a failed compaction, the length of the file at which it is tried again.
    pub(super) retry_at: u64,
    /// Whether the last commit failed, so that a failure is told once.
    pub(super) failing: bool,
}

pub(super) struct RunningCompaction {
    thread: JoinHandle<()>,
    cancelled: Arc<AtomicBool>,
    replies: Vec<CompactReply>,
}

/// Tells everybody that the writer has ended, even if it panicked.
struct EndGuard(Arc<Shared>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.queue.end();
    }
}

impl Writer {
    /// Starts the writer on its thread.
    pub(super) fn start(self) -> io::Result<JoinHandle<()>> {
        Builder::new().name("service-tokens-journal".to_owned()).spawn(move || {
            let end = EndGuard(self.shared.clone());
            self.run();
            // Behind the file's closing. After a panic they stay, because reading goes on.
            end.0.locks.release();
        })
    }

    fn run(mut self) {
        let mut batch = Batch::new(self.journal.framer());
        let mut requests = Vec::new();
        while let Some(taken) = self.shared.queue.take(mem::take(&mut requests)) {
            requests = taken;
            for request in requests.drain(..) {
                match request {
                    Request::Write(write, reply) => {
                        batch.add(write, reply, &self.shared.table, &mut self.last_version);
                        if batch.is_full() {
                            self.commit(&mut batch);
                        }
                    }
                    Request::Compact(reply) if self.compaction.is_some() => {
                        self.next_compaction.push(reply);
                    }
                    Request::Compact(reply) => self.compact(vec![reply]),
                    Request::Compaction(outcome) => {
                        self.commit(&mut batch);
                        self.compacted(outcome);
                        batch.restart(self.journal.framer());
                    }
                }
            }
            self.commit(&mut batch);
            self.compact_if_due();
        }
    }

    fn commit(&mut self, batch: &mut Batch) {
        if batch.is_empty() {
            return;
        }
        let (frames, framer) = batch.frames();
        let outcome = if frames.is_empty() { Ok(()) } else { self.journal.append(frames, framer) };
        if outcome.is_ok() {
            batch.apply(&self.shared.table);
            self.live = self.live.saturating_add_signed(batch.live_delta());
            self.durable.store(self.journal.len(), Ordering::Release);
        }
        self.log_failure(&outcome);
        batch.answer(&outcome);
        batch.restart(self.journal.framer());
    }

    fn log_failure(&mut self, outcome: &Result<(), Failure>) {
        if let Err(failure) = outcome
            && !self.failing
        {
            let path = self.journal.path().display();
            tracing::error!(%path, %failure, "changes cannot be written; verification goes on");
        }
        self.failing = outcome.is_err();
    }

    fn obsolete(&self) -> u64 {
        self.journal.len().saturating_sub(HEADER_LEN as u64).saturating_sub(self.live)
    }

    fn compact_if_due(&mut self) {
        let due = is_due(self.obsolete(), self.live, self.compact_above);
        if due && self.journal.len() >= self.retry_at && self.compaction.is_none() {
            self.compact(Vec::new());
        }
    }

    fn compact(&mut self, replies: Vec<CompactReply>) {
        let cancelled = Arc::new(AtomicBool::new(false));
        let job = CompactionJob {
            path: self.journal.path().to_owned(),
            new_path: self.compacting.clone(),
            directory: self.directory.clone(),
            header: self.journal.header(),
            durable: self.durable.clone(),
            cancelled: cancelled.clone(),
        };
        let shared = self.shared.clone();
        let builder = Builder::new().name("service-tokens-compaction".to_owned());
        let deliver = move |outcome| {
            // One that comes back is dropped, and what it wrote is removed.
            drop(shared.queue.push_outcome(outcome));
        };
        match builder.spawn(move || job.run(deliver)) {
            Ok(thread) => self.compaction = Some(RunningCompaction { thread, cancelled, replies }),
            Err(error) => {
                let failure = Failure::new("no thread could be started", error);
                self.not_compacted(&NotCompacted::Failed(failure), replies);
            }
        }
    }

    /// Ends a compaction: moves to the new file, or stays with the old.
    fn compacted(&mut self, outcome: CompactionResult) {
        let replies = self.compaction.take().map(|done| done.replies).unwrap_or_default();
        let handed_over = outcome.and_then(|prepared| {
            self.journal.repair().map_err(NotCompacted::Failed)?;
            prepared.hand_over(&mut self.journal, self.last_version)
        });
        match handed_over {
            Err(why) => self.not_compacted(&why, replies),
            Ok(compacted) => {
                self.durable.store(self.journal.len(), Ordering::Release);
                self.retry_at = 0;
                let settled = self.journal.repair();
                self.log_failure(&settled);
                replies.into_iter().for_each(|reply| reply.send(Ok(compacted)));
            }
        }
        if !self.next_compaction.is_empty() {
            let replies = mem::take(&mut self.next_compaction);
            self.compact(replies);
        }
    }

    fn not_compacted(&mut self, why: &NotCompacted, replies: Vec<CompactReply>) {
        let path = self.journal.path().display();
        tracing::warn!(%path, %why, "the journal was not compacted; the old file stays in use");
        let len = self.journal.len();
        self.retry_at = len.saturating_add(self.compact_above.max(len / 4));
        replies.into_iter().for_each(|reply| reply.send(Err(why.to_error())));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A compaction that waits to hand over must not be waited for.
        self.shared.queue.stop();
        if let Some(RunningCompaction { thread, cancelled, replies }) = self.compaction.take() {
            cancelled.store(true, Ordering::Relaxed);
            // It only panics if it already has, and then there is nothing left to do for it.
            let _ = thread.join();
            let closing = NotCompacted::Cancelled;
            replies.into_iter().for_each(|reply| reply.send(Err(closing.to_error())));
        }
    }
}
