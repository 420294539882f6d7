//! How the behaviour tests open stores.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;

use service_tokens::TokenStore;

pub(crate) type SharedStore = Arc<dyn TokenStore>;

/// An open store, and a guard that must live as long as the store, such as its directory.
pub(crate) struct Opened {
    pub(crate) store: SharedStore,
    pub(crate) guard: Box<dyn Any>,
}

/// Opens the stores of one kind. To fail on demand, a test puts [`Faulty`](super::Faulty) in front.
pub(crate) trait Factory: Sync {
    /// Opens a fresh, empty store.
    fn open(&self) -> Opened;

    /// Closes a store and opens it again with its contents. `None` if this kind retains no contents.
    ///
    /// The store is the last handle: the test has dropped its services.
    fn reopen(&self, opened: Opened) -> Option<Opened> {
        drop(opened);
        None
    }

    /// Runs a test to its end. A store that needs a runtime enters it here.
    fn run(&self, test: Pin<Box<dyn Future<Output = ()> + '_>>) {
        futures_lite::future::block_on(test);
    }
}

/// The factory that a behaviour test gets.
pub(crate) type Stores = &'static dyn Factory;
