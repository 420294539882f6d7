//! Service tokens.

mod check;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod digest;
mod record;
mod scope;
mod secret;
mod store;
mod stores;
mod token;

pub use check::{Denied, VerifiedToken, check};
pub use clock::{Clock, ClockJump, ManualClock, SystemClock};
pub use digest::{Digests, InvalidKey, KeyId, KeyRing, StoredDigest};
pub use record::{
    CorruptRecord, Field, InvalidField, Matched, Mismatch, OlderEnds, Overlap, RECORD_FORMAT,
    RECORD_MAX_BYTES, Record, Replaces, Revocation, RotateDenied, Rule, State,
};
pub use scope::{
    InvalidScope, Need, SCOPE_MAX_LEN, SCOPE_SET_MAX, Scope, ScopeSet, Scopes, TYPE_NAME_MAX_LEN,
    TokenType, TokenTypes,
};
pub use secret::{OsRandom, RandomError, RandomSource};
pub use store::{
    BoxError, Change, ChangeStream, Direction, Found, LastUsed, PAGE_MAX, Page, Query, States,
    StoreError, Stored, TokenStore, Version,
};
#[cfg(feature = "memory")]
pub use stores::MemoryStore;
#[cfg(feature = "file")]
pub use stores::{
    Compacted, CutOff, FileStore, FileStoreOptions, OpenError, Opening, OpeningProgress,
};
pub use token::{
    InvalidPrefix, InvalidTokenId, MalformedToken, PREFIX_MAX_LEN, ParsedToken, Prefix,
    TOKEN_MAX_LEN, Token, TokenId, parse, scanner_regex,
};
