//! The stores that ship with the crate.

#[cfg(any(feature = "memory", feature = "file"))]
mod table;

#[cfg(feature = "file")]
mod file;
#[cfg(feature = "memory")]
mod memory;

#[cfg(feature = "file")]
pub use file::{
    Compacted, FileAccess, FileStore, FileStoreOptions, OpenError, OpenProgress, OpenReport,
    OpenWarning, TruncatedTail,
};
#[cfg(feature = "memory")]
pub use memory::MemoryStore;
