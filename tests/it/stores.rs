//! The stores over which the behaviour tests run.

use std::sync::Arc;

use service_tokens::MemoryStore;

use crate::behaviour::harness::{Factory, Opened};

/// The store in memory. It retains nothing.
pub(crate) struct Memory;

impl Factory for Memory {
    fn open(&self) -> Opened {
        Opened { store: Arc::new(MemoryStore::new()), guard: Box::new(()) }
    }
}

/// The store in a file, in a folder that is removed with the guard.
///
/// The folder is on a file system in memory where there is one, because these tests sync often and do
/// not test the disk.
#[cfg(feature = "file")]
pub(crate) struct File;

#[cfg(feature = "file")]
impl File {
    fn open_in(folder: tempfile::TempDir) -> Opened {
        let path = folder.path().join("tokens.journal");
        let store = service_tokens::FileStore::open(path).unwrap();
        Opened { store: Arc::new(store), guard: Box::new(folder) }
    }
}

#[cfg(feature = "file")]
impl Factory for File {
    fn open(&self) -> Opened {
        Self::open_in(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn reopen(&self, opened: Opened) -> Option<Opened> {
        let Opened { store, guard } = opened;
        assert_eq!(Arc::strong_count(&store), 1, "a service still holds the store");
        drop(store);
        Some(Self::open_in(*guard.downcast().unwrap()))
    }
}
