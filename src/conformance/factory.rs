//! Where the suite gets its stores from.

use async_trait::async_trait;

use crate::store::{BoxError, TokenStore};

/// Gives the suite its stores: a fresh one for each promise.
///
/// For a store that needs nothing to be tidied away, [`fresh`] makes one from a closure;
/// [`guarded`] does for one that does. Implement the trait to offer more: what a factory does not
/// offer is reported as *not checked*.
#[async_trait]
pub trait StoreFactory: Send + Sync {
    /// The store.
    type Store: TokenStore;

    /// Whatever must live as long as the store and tidies up when it is dropped, such as a
    /// temporary directory. `()` if there is nothing.
    type Guard: Send;

    /// An empty store that shares nothing with those given out before, and its guard.
    ///
    /// # Errors
    ///
    /// Any: the promise counts as broken then, since nobody has seen it kept.
    async fn fresh(&self) -> Result<(Self::Store, Self::Guard), BoxError>;

    /// Closes the store and opens it again on the same storage. The default offers nothing.
    ///
    /// Checks `survives_reopening`. To drop the store and open its files is right; to drop it as a
    /// crash would is better.
    async fn reopen(
        &self,
        store: Self::Store,
        guard: &mut Self::Guard,
    ) -> Option<Result<Self::Store, BoxError>> {
        let _ = (store, guard);
        None
    }

    /// Opens a second handle on the storage of a store that stays open: another connection, another
    /// process. The default offers nothing.
    ///
    /// Checks `handles_agree`. A store that only one process may open offers nothing here.
    async fn second(
        &self,
        store: &Self::Store,
        guard: &mut Self::Guard,
    ) -> Option<Result<Self::Store, BoxError>> {
        let _ = (store, guard);
        None
    }

    /// Takes the storage away under the store, so that it cannot answer: stops the server, closes the
    /// pool, removes the directory. Returns whether it did; the default does not.
    ///
    /// Checks `failures_are_errors` and `errors_leak_nothing`. A store that goes on answering
    /// rightly from memory keeps the first of them too, as long as something fails.
    async fn make_unavailable(&self, store: &Self::Store, guard: &mut Self::Guard) -> bool {
        let _ = (store, guard);
        false
    }

    /// Whether the store's futures may be polled on any thread, outside of every runtime. The default
    /// is no.
    ///
    /// Checks `threads_agree`. Right for a store that takes locks or does blocking I/O; wrong for one
    /// on a runtime's sockets or timers.
    fn runtime_free(&self) -> bool {
        false
    }

    /// Tidies up when the store is closed: for guards whose work needs to wait for something. The
    /// default drops the guard.
    async fn clean_up(&self, guard: Self::Guard) {
        drop(guard);
    }
}

/// A factory from a closure that makes an empty store.
///
/// ```
/// use service_tokens::conformance::{self, Promise};
/// use service_tokens::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let factory = conformance::fresh(|| async { MemoryStore::new() });
/// let outcome = conformance::check(&factory, Promise::InsertNeverOverwrites).await;
/// assert_eq!(outcome, conformance::Outcome::Kept);
/// # }
/// ```
pub fn fresh<F, Fut>(make: F) -> Fresh<F>
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output: TokenStore> + Send,
{
    Fresh { make, runtime_free: false }
}

/// A factory from a closure that makes an empty store and the guard that tidies up after it.
///
/// ```no_run
/// use service_tokens::conformance;
/// # use service_tokens::MemoryStore;
/// # struct MyStore;
/// # impl MyStore {
/// #     async fn open(_: &std::path::Path) -> std::io::Result<MemoryStore> { Ok(MemoryStore::new()) }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let factory = conformance::guarded(|| async {
///     let directory = tempfile::tempdir()?;
///     Ok((MyStore::open(directory.path()).await?, directory))
/// });
/// print!("{}", conformance::run(&factory).await);
/// # }
/// ```
pub fn guarded<F, Fut, S, G>(make: F) -> Guarded<F>
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<(S, G), BoxError>> + Send,
    S: TokenStore,
    G: Send,
{
    Guarded { make, runtime_free: false }
}

macro_rules! closure_factory {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<F> {
            make: F,
            runtime_free: bool,
        }

        impl<F> $name<F> {
            /// Says that the store needs no runtime: see [`StoreFactory::runtime_free`].
            #[must_use]
            pub fn runtime_free(mut self) -> Self {
                self.runtime_free = true;
                self
            }
        }

        impl<F> std::fmt::Debug for $name<F> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("runtime_free", &self.runtime_free)
                    .finish_non_exhaustive()
            }
        }
    };
}

closure_factory! {
    /// What [`fresh`] makes.
    Fresh
}

closure_factory! {
    /// What [`guarded`] makes.
    Guarded
}

#[async_trait]
impl<F, Fut, S> StoreFactory for Fresh<F>
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = S> + Send,
    S: TokenStore,
{
    type Store = S;
    type Guard = ();

    async fn fresh(&self) -> Result<(S, ()), BoxError> {
        Ok(((self.make)().await, ()))
    }

    fn runtime_free(&self) -> bool {
        self.runtime_free
    }
}

#[async_trait]
impl<F, Fut, S, G> StoreFactory for Guarded<F>
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<(S, G), BoxError>> + Send,
    S: TokenStore,
    G: Send,
{
    type Store = S;
    type Guard = G;

    async fn fresh(&self) -> Result<(S, G), BoxError> {
        (self.make)().await
    }

    fn runtime_free(&self) -> bool {
        self.runtime_free
    }
}
