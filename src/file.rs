//! The store in one file: [`FileStore`], its options, and what it reports.
//!
//! A journal on disk holds the records, and every record is in memory too, so a read needs no disk. The
//! manual compares it with other stores in [choosing a store](crate::manual::choosing_a_store).

pub use crate::stores::{
    Compacted, FileStore, FileStoreOptions, OpenError, OpenProgress, OpenReport, TruncatedTail,
};
