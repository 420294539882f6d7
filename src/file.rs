//! The store in one file ([`FileStore`]), its options and its reports.
//!
//! A journal on disk holds the records. Every record is also in memory, so a read does not access the
//! disk. The manual compares this store with others in [choosing a store](crate::manual::choosing_a_store).

pub use crate::stores::{
    Compacted, FileAccess, FileStore, FileStoreOptions, OpenError, OpenProgress, OpenReport,
    OpenWarning, TruncatedTail,
};
