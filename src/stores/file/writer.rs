//! The writer thread.
//!
//! Design. The thread owns the journal, so no lock protects it. It takes all requests that are
//! waiting, decides on them in order, appends their frames in one write, syncs the file once, and
//! then answers all of them (group commit). While it syncs, new requests gather in the queue and
//! form the next batch, so throughput grows with the number of callers and a single caller waits
//! for one sync. After each round the thread starts a compaction if one is due ([`is_due`]). It
//! also makes the hand-over of a prepared compaction, because only it may replace the journal.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle, panicking};
use std::{io, mem};

use super::compaction::{CompactionJob, CompactionResult, NotCompacted, is_due};
use super::disk::Directory;
use super::failure::{Failure, closed};
use super::format::HEADER_LEN;
use super::group_commit::Batch;
use super::journal::Journal;
use super::lock::Locks;
use super::pace::SystemTimer;
use super::queue::{CompactReply, Queue, Request};
use crate::stores::table::Table;

/// The state that callers and the writer share.
pub(super) struct Shared {
    pub(super) table: Table,
    pub(super) queue: Queue,
    /// Held as long as the table answers calls, also after the writer has ended.
    pub(super) locks: Arc<Locks>,
}

/// The state that only the writer thread uses.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) journal: Journal,
    /// The highest version assigned so far.
    pub(super) last_version: u64,
    /// The size of the frames that a compaction would copy, in bytes.
    pub(super) current_bytes: u64,
    /// The number of obsolete bytes above which the file is compacted.
    pub(super) compact_above: u64,
    /// The path at which a compaction writes the new file.
    pub(super) new_path: PathBuf,
    pub(super) directory: Arc<dyn Directory>,
    /// The durable length of the journal, read by the compaction thread.
    pub(super) durable_len: Arc<AtomicU64>,
    /// The compaction that is running, if any.
    pub(super) running: Option<RunningCompaction>,
    /// Requests that arrived while a compaction was running. The next one answers them.
    pub(super) waiting_replies: Vec<CompactReply>,
    /// The length of the file at which a failed compaction is repeated.
    pub(super) retry_at: u64,
    /// Whether the last commit failed. A failure is logged only once.
    pub(super) failing: bool,
}

pub(super) struct RunningCompaction {
    thread: JoinHandle<()>,
    cancelled: Arc<AtomicBool>,
    replies: Vec<CompactReply>,
}

/// Marks the writer as ended when it is dropped, also by a panic.
struct EndGuard(Arc<Shared>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.queue.end();
    }
}

impl Writer {
    /// Starts the writer thread.
    pub(super) fn start(self) -> io::Result<JoinHandle<()>> {
        Builder::new().name("service-tokens-journal".to_owned()).spawn(move || {
            let end = EndGuard(self.shared.clone());
            self.run();
            // Released after the file was closed. After a panic the locks stay until the store is
            // closed or dropped, because reads continue.
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
                    Request::Compact(reply) if self.running.is_some() => {
                        self.waiting_replies.push(reply);
                    }
                    Request::Compact(reply) => self.start_compaction(vec![reply]),
                    Request::CompactionDone(outcome) => {
                        self.commit(&mut batch);
                        self.finish_compaction(outcome);
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
            self.current_bytes = self.current_bytes.saturating_add_signed(batch.current_delta());
            self.durable_len.store(self.journal.len(), Ordering::Release);
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
            tracing::error!(%path, %failure, "writes fail; verification continues");
        }
        self.failing = outcome.is_err();
    }

    fn obsolete(&self) -> u64 {
        self.journal.len().saturating_sub(HEADER_LEN as u64).saturating_sub(self.current_bytes)
    }

    fn compact_if_due(&mut self) {
        let due = is_due(self.obsolete(), self.current_bytes, self.compact_above);
        if due && self.journal.len() >= self.retry_at && self.running.is_none() {
            self.start_compaction(Vec::new());
        }
    }

    fn start_compaction(&mut self, replies: Vec<CompactReply>) {
        let access = match self.journal.access() {
            Ok(access) => access,
            Err(failure) => {
                return self.compaction_failed(&NotCompacted::Failed(failure), replies);
            }
        };
        let cancelled = Arc::new(AtomicBool::new(false));
        let job = CompactionJob {
            path: self.journal.path().to_owned(),
            new_path: self.new_path.clone(),
            directory: self.directory.clone(),
            header: self.journal.header(),
            access,
            durable_len: self.durable_len.clone(),
            cancelled: cancelled.clone(),
            timer: Arc::new(SystemTimer),
        };
        let shared = self.shared.clone();
        let builder = Builder::new().name("service-tokens-compaction".to_owned());
        let deliver = move |outcome| {
            // If the result comes back, dropping it removes the new file.
            drop(shared.queue.push_outcome(outcome));
        };
        match builder.spawn(move || job.run(deliver)) {
            Ok(thread) => self.running = Some(RunningCompaction { thread, cancelled, replies }),
            Err(error) => {
                let failure = Failure::new("no thread could be started", error);
                self.compaction_failed(&NotCompacted::Failed(failure), replies);
            }
        }
    }

    /// Completes a compaction by switching to the new file, or stays in the old one.
    fn finish_compaction(&mut self, outcome: CompactionResult) {
        let replies = self.running.take().map(|done| done.replies).unwrap_or_default();
        let handed_over = outcome.and_then(|prepared| {
            self.journal.repair().map_err(NotCompacted::Failed)?;
            prepared.hand_over(&mut self.journal, self.last_version)
        });
        match handed_over {
            Err(why) => self.compaction_failed(&why, replies),
            Ok(compacted) => {
                self.durable_len.store(self.journal.len(), Ordering::Release);
                self.retry_at = 0;
                let settled = self.journal.repair();
                self.log_failure(&settled);
                replies.into_iter().for_each(|reply| reply.send(Ok(compacted)));
            }
        }
        if !self.waiting_replies.is_empty() {
            let replies = mem::take(&mut self.waiting_replies);
            self.start_compaction(replies);
        }
    }

    fn compaction_failed(&mut self, why: &NotCompacted, replies: Vec<CompactReply>) {
        let path = self.journal.path().display();
        tracing::warn!(%path, %why, "the journal was not compacted; the old file stays in use");
        let len = self.journal.len();
        self.retry_at = len.saturating_add(self.compact_above.max(len / 4));
        replies.into_iter().for_each(|reply| reply.send(Err(why.to_error())));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Stopped first, so that a compaction that is about to hand over is not waited for.
        self.shared.queue.stop();
        if let Some(RunningCompaction { thread, cancelled, replies }) = self.running.take() {
            cancelled.store(true, Ordering::Relaxed);
            // An error means that the thread has panicked, and then no cleanup is left to do.
            let _ = thread.join();
            // If this thread panics, the callers get no answer, from which they see that the writer has ended.
            if !panicking() {
                replies.into_iter().for_each(|reply| reply.send(Err(closed())));
            }
        }
    }
}
