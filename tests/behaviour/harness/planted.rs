//! Records that no call makes: those of a newer program, and those issued below a token.

use service_tokens::{IssueRequest, MemoryStore, Record, TokenId, TokenStore};

use super::{builder, text};

/// The checksum's length, at the end of an encoding.
const CHECKSUM: usize = 4;

fn with_field(record: &Record, format: Option<u8>, tag: u8, content: &[u8]) -> Record {
    let mut bytes = record.to_bytes();
    bytes.truncate(bytes.len() - CHECKSUM);
    bytes[0] = format.unwrap_or(bytes[0]);
    bytes.push(tag);
    bytes.push(u8::try_from(content.len()).ok().filter(|length| *length < 0x80).unwrap());
    bytes.extend_from_slice(content);
    let checksum = crc32fast::hash(&bytes).to_be_bytes();
    bytes.extend_from_slice(&checksum);
    Record::from_bytes(&bytes).unwrap()
}

/// The record as a newer program would have written it.
pub(crate) fn newer(record: &Record) -> Record {
    let newer = with_field(record, Some(record.format() + 1), 0xff, b"new");
    assert!(newer.is_newer());
    newer
}

/// The record as one that these issued, nearest first; it has no metadata.
pub(crate) fn below(record: &Record, issuers: &[TokenId]) -> Record {
    let content: Vec<u8> = issuers.iter().flat_map(|id| id.to_bytes()).collect();
    let below = with_field(record, None, 16, &content);
    assert_eq!(below.issuers(), issuers);
    below
}

/// Puts a changed record into a store; its id and its token, which works if the record does.
pub(crate) async fn plant(
    store: &dyn TokenStore,
    request: IssueRequest,
    change: impl FnOnce(&Record) -> Record,
) -> (TokenId, String) {
    plant_of("acme", store, request, change).await
}

/// Puts a changed record of this owner into a store, as [`plant`] does.
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
