//! Writes of many records in one submission to the writer thread.
//!
//! The writer takes the whole submission at once, so its rows share a sync. Large records are submitted in
//! several parts, because the queue bounds the bytes that wait.

use super::FileStore;
use super::failure::writer_ended;
use super::queue::Write;
use super::reply::reply;
use crate::store::{StoreError, Version};

/// The size of the writes in one submission, in bytes. It is a fraction of the bytes that may wait, so that
/// other writes are not refused.
const MAX_SUBMITTED_BYTES: usize = 8 << 20;

impl FileStore {
    /// Makes these writes, of which some could not be encoded. After an error that every other write would
    /// get too, it submits no further part.
    pub(super) async fn write_many(
        &self,
        writes: impl ExactSizeIterator<Item = Result<Write, StoreError>> + Send,
    ) -> Vec<Result<Version, StoreError>> {
        let mut results = Vec::with_capacity(writes.len());
        let mut writes = writes.peekable();
        let mut stopped_by: Option<StoreError> = None;
        while writes.peek().is_some() {
            let (mut submitted, mut replies, mut bytes) = (Vec::new(), Vec::new(), 0);
            while bytes < MAX_SUBMITTED_BYTES
                && let Some(write) = writes.next()
            {
                replies.push(write.map(|write| {
                    bytes += write.weight();
                    let (sender, reply) = reply();
                    submitted.push((write, sender));
                    reply
                }));
            }
            let refused = match &stopped_by {
                Some(error) => Some(error.duplicate()),
                None if submitted.is_empty() => None,
                None => self.submit(submitted).err(),
            };
            for reply in replies {
                results.push(match (reply, &refused) {
                    (Err(error), _) => Err(error),
                    (Ok(_), Some(error)) => Err(error.duplicate()),
                    (Ok(reply), None) => reply.await.unwrap_or_else(|| Err(writer_ended())),
                });
            }
            if let Some(Err(error)) = results.last()
                && error.concerns_every_call()
            {
                stopped_by.get_or_insert_with(|| error.duplicate());
            }
        }
        results
    }
}
