//! Records that no call creates: those of a newer program, those with other issuers, and those with an
//! unknown digest.

use service_tokens::{IssueRequest, MemoryStore, Record, TokenId, TokenStore};

use super::{builder, text};

/// The length of the checksum at the end of an encoding.
const CHECKSUM: usize = 4;

fn with_field(record: &Record, format: Option<u8>, tag: u8, content: &[u8]) -> Record {
    let mut bytes = record.to_bytes();
    bytes.truncate(bytes.len() - CHECKSUM);
    bytes[0] = format.unwrap_or(bytes[0]);
    bytes.push(tag);
    bytes.push(u8::try_from(content.len()).ok().filter(|length| *length < 0x80).unwrap());
    bytes.extend_from_slice(content);
    sealed(bytes)
}

/// Appends the checksum.
fn sealed(mut bytes: Vec<u8>) -> Record {
    let checksum = crc32fast::hash(&bytes).to_be_bytes();
    bytes.extend_from_slice(&checksum);
    Record::from_bytes(&bytes).unwrap()
}

/// Returns the record with a digest of this scheme. The record is one of plain digests.
pub(crate) fn of_scheme(record: &Record, scheme: u8) -> Record {
    let mut bytes = record.to_bytes();
    bytes.truncate(bytes.len() - CHECKSUM);
    // The tag of the newest secret, the length of a digest and a time, scheme 1, and no key.
    let digest = [9, 37 + 8, 1, 0, 0, 0, 0];
    let place = bytes.windows(digest.len()).position(|window| window == digest).unwrap();
    bytes[place + 2] = scheme;
    sealed(bytes)
}

/// Returns the record as that of another owner, whose name has as many bytes.
pub(crate) fn of_owner(record: &Record, owner: &str) -> Record {
    let mut bytes = record.to_bytes();
    bytes.truncate(bytes.len() - CHECKSUM);
    let present = record.owner().as_bytes();
    let place = bytes.windows(present.len()).position(|window| window == present).unwrap();
    bytes[place..place + owner.len()].copy_from_slice(owner.as_bytes());
    let changed = sealed(bytes);
    assert_eq!((changed.owner(), changed.id()), (owner, record.id()));
    changed
}

/// Returns the record as a newer program would write it.
pub(crate) fn newer(record: &Record) -> Record {
    let newer = with_field(record, Some(record.format() + 1), 0xff, b"new");
    assert!(newer.is_newer());
    newer
}

/// Returns the record with these issuers, nearest first. It has no metadata.
pub(crate) fn below(record: &Record, issuers: &[TokenId]) -> Record {
    let content: Vec<u8> = issuers.iter().flat_map(|id| id.to_bytes()).collect();
    let below = with_field(record, None, 16, &content);
    assert_eq!(below.issuers(), issuers);
    below
}

/// Stores a changed record and returns its id and its token. The token is valid if the record is.
pub(crate) async fn plant(
    store: &dyn TokenStore,
    request: IssueRequest,
    change: impl FnOnce(&Record) -> Record,
) -> (TokenId, String) {
    plant_of("acme", store, request, change).await
}

/// Stores a changed record of this owner, as [`plant`] does.
pub(crate) async fn plant_of(
    owner: &str,
    store: &dyn TokenStore,
    request: IssueRequest,
    change: impl FnOnce(&Record) -> Record,
) -> (TokenId, String) {
    let elsewhere = builder(MemoryStore::new()).build().unwrap();
    let issued = elsewhere.owner(owner).issue(request).await.unwrap();
    store.insert(&change(&issued.record)).await.unwrap();
    (issued.record.id(), text(&issued))
}
