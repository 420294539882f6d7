//! From the frames of a file to the table.

use super::format::{Act, Header, put_len};
use super::frames::{Frames, Unreadable};
use crate::record::Record;
use crate::store::Version;
use crate::stores::table::{Loader, Row, Table};

/// Bytes of the file between two reports of progress.
const REPORT_EVERY: u64 = 4 << 20;

/// Bytes of the file for which room for one record is made beforehand. Many records take fewer and
/// few more, so that the table grows once or not at all and never far beyond what it needs.
const BYTES_PER_RECORD: u64 = 384;

/// What a file holds.
pub(super) struct Replayed {
    pub(super) table: Table,
    pub(super) last_version: u64,
    /// Bytes that a compaction would keep.
    pub(super) live: u64,
}

/// Applies all frames up to the end or to an unfinished one.
pub(super) fn replay(
    frames: &mut Frames,
    header: &Header,
    end: u64,
    mut progress: impl FnMut(u64),
) -> Result<Replayed, Unreadable> {
    let room = usize::try_from(end / BYTES_PER_RECORD).unwrap_or(0);
    let mut rows = Loader::with_capacity(room);
    let (mut last_version, mut live, mut report_at) = (header.last_version, 0, 0);
    while let Some(frame) = frames.next()? {
        let offset = frame.offset;
        let damaged = |what| Unreadable::Damaged { offset, what };
        match Act::read(frame.body).map_err(damaged)? {
            Act::Put { id, version, last_used, record: bytes } => {
                last_version = last_version.max(version);
                let rows = rows.rows(id);
                let present = rows.get_mut(&id);
                if let Some(present) = present
                    && present.version.0 >= version
                {
                    present.last_used = present.last_used.max(last_used);
                    continue;
                }
                let record =
                    Record::from_bytes(bytes).map_err(|_| damaged("a frame holds no record"))?;
                if record.id() != id {
                    return Err(damaged("a frame holds a record with another id"));
                }
                live += put_len(bytes.len());
                let mut row = Row {
                    last_used,
                    encoded_len: bytes.len() as u32,
                    ..Row::new(record, Version(version))
                };
                if let Some(present) = rows.get_mut(&id) {
                    live -= put_len(present.encoded_len as usize);
                    row.last_used = row.last_used.max(present.last_used);
                    *present = row;
                } else {
                    rows.insert(id, row);
                }
            }
            Act::Remove { id, version } => {
                last_version = last_version.max(version);
                let rows = rows.rows(id);
                if rows.get(&id).is_some_and(|row| row.version.0 < version)
                    && let Some(row) = rows.remove(&id)
                {
                    live -= put_len(row.encoded_len as usize);
                }
            }
            Act::Touch(uses) => {
                for (id, used) in uses {
                    if let Some(row) = rows.rows(id).get_mut(&id) {
                        row.last_used = row.last_used.max(Some(used));
                    }
                }
            }
        }
        if offset >= report_at {
            progress(offset);
            report_at = offset + REPORT_EVERY;
        }
    }
    progress(frames.offset());
    Ok(Replayed { table: rows.into_table(), last_version, live })
}
