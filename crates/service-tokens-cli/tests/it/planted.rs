//! Records of a newer program.

use service_tokens::{
    IssueRequest, MemoryStore, Record, TokenId, TokenService, TokenStore, TokenType,
};

/// The length of the checksum at the end of an encoding.
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

/// Returns the record as a newer program would write it.
pub(crate) fn newer(record: &Record) -> Record {
    let newer = with_field(record, Some(record.format() + 1), 0xff, b"new");
    assert!(newer.is_newer());
    newer
}

/// Stores a changed record and returns its id and its token.
pub(crate) async fn plant(
    store: &dyn TokenStore,
    request: IssueRequest,
    change: impl FnOnce(&Record) -> Record,
) -> (TokenId, String) {
    let elsewhere = TokenService::builder(MemoryStore::new(), "acme_live")
        .token_type(TokenType::new("connector", ["files:read", "files:upload"]).unwrap())
        .token_type(TokenType::new("developer", ["*"]).unwrap())
        .build()
        .unwrap();
    let issued = elsewhere.owner("acme").issue(request).await.unwrap();
    store.insert(&change(&issued.record)).await.unwrap();
    (issued.record.id(), issued.token.expose_secret().to_owned())
}
