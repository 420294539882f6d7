//! The stores that ship with the crate.

#[cfg(any(feature = "memory", feature = "file"))]
mod table;

#[cfg(feature = "file")]
mod file;
#[cfg(feature = "memory")]
mod memory;

#[cfg(feature = "file")]
pub use file::{
    Compacted, FileStore, FileStoreOptions, OpenError, OpenProgress, OpenReport, TruncatedTail,
};
#[cfg(feature = "memory")]
pub use memory::MemoryStore;
