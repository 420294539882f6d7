//! The entries of the journal, with their records decoded.

use super::super::block::Block;
use super::super::format::Body;
use super::super::frame_reader::Unreadable;
use crate::record::Record;
use crate::store::Version;
use crate::stores::table::{OwnerNumber, Owners, Row};
use crate::token::TokenId;

/// An entry of the journal.
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one")]
pub(super) enum Entry {
    Put(Row, OwnerNumber),
    Remove(TokenId, u64),
    Touch(TokenId, i64),
}

impl Entry {
    /// Returns the id of a put.
    pub(super) fn put_id(&self) -> Option<TokenId> {
        match self {
            Self::Put(row, _) => Some(row.record.id()),
            _ => None,
        }
    }
}

/// The id and version of a put.
pub(super) type LastPut = Option<(TokenId, u64)>;

/// Returns the put in the last frame of a block.
pub(super) fn last_put(block: &Block) -> LastPut {
    match Body::read(block.last_body()?) {
        Ok(Body::Put { id, version, .. }) => Some((id, version)),
        _ => None,
    }
}

/// Checks and decodes the frames of a block. `last_put` is the put in the frame before it.
pub(super) fn decode(
    block: &Block,
    mut last_put: LastPut,
    owners: &mut Owners,
    entries: &mut Vec<Entry>,
) -> Result<(), Unreadable> {
    for frame in block.frames() {
        let frame = frame?;
        let offset = frame.offset;
        let damaged = |what| Unreadable::Damaged { offset, what };
        match Body::read(frame.body).map_err(damaged)? {
            // A replacement is written as two equal frames. This is the second one.
            Body::Put { id, version, last_used: None, .. } if last_put == Some((id, version)) => {}
            Body::Put { id, version, last_used, record } => {
                last_put = Some((id, version));
                let encoded_len = record.len();
                let record = Record::from_bytes(record)
                    .map_err(|_| damaged("a frame does not contain a record"))?;
                if record.id() != id {
                    return Err(damaged("a frame contains a record with another id"));
                }
                let row = Row::encoded(record, Version(version), encoded_len);
                row.touch(last_used);
                entries.push(Entry::Put(row, OwnerNumber::default()));
            }
            Body::Remove { id, version } => {
                last_put = None;
                entries.push(Entry::Remove(id, version));
            }
            Body::Touch(uses) => entries.extend(uses.map(|(id, used)| Entry::Touch(id, used))),
        }
    }
    // The rows are still in the processor's cache. In a short loop it waits for several owners at once.
    for entry in entries {
        if let Entry::Put(row, owner) = entry {
            *owner = owners.number_of(row.record.owner());
        }
    }
    Ok(())
}
