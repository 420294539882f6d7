//! Factories that create the stores for the suite.

use std::pin::Pin;

use async_trait::async_trait;

use crate::store::{BoxError, TokenStore};
use crate::token::TokenId;

/// A future that [`StoreFactory::spawn_on_thread`] runs to completion on a thread.
pub type ThreadJob = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A factory that gives the suite a new store for each promise.
///
/// Create stores whose thresholds are low. A store that compacts, flushes, rotates or evicts should do so
/// after fewer than 100 writes of some hundred bytes, because the suite makes a few hundred in a row and
/// looks for what these steps lose. The same holds for the rows of one request to the storage, for the rows
/// of a statement, and for what a server of its own does after a number of writes.
///
/// [`fresh`] creates one from a closure for a store that needs no cleanup, and [`guarded`] for a
/// store that does. Implement the trait to offer more operations. Promises that need an operation
/// without an implementation are reported as *not checked*.
#[async_trait]
pub trait StoreFactory: Send + Sync {
    /// The type of the store.
    type Store: TokenStore;

    /// A value that lives as long as the store and cleans up when it is dropped, such as a
    /// temporary directory. Use `()` if no cleanup is needed.
    type Guard: Send;

    /// Creates an empty store that shares no data with earlier ones, and its guard.
    ///
    /// # Errors
    ///
    /// On any error the promise counts as broken.
    async fn fresh(&self) -> Result<(Self::Store, Self::Guard), BoxError>;

    /// Closes the store and opens it again on the same storage. The default returns `None`.
    ///
    /// This is needed for `survives_reopening` and `many_survive_reopening`. Dropping the store and opening
    /// its files is sufficient. Dropping it as a crash would is better.
    async fn reopen(
        &self,
        store: Self::Store,
        guard: &mut Self::Guard,
    ) -> Option<Result<Self::Store, BoxError>> {
        let _ = (store, guard);
        None
    }

    /// Opens another handle on the storage while the store stays open, such as another connection or
    /// another process. The default returns `None`.
    ///
    /// This is needed for `handles_agree`, `many_agree_through_handles` and `changes_reach_every_handle`. The
    /// promises about calls that are delayed, dropped or refused, about outages and about a long history
    /// are checked through the second handle too. They call this up to twice for one store. The handle must
    /// share the storage with the store, and nothing else: no pool, no cache and no counter. Return `None`
    /// if the store can be opened by one process only.
    async fn second(
        &self,
        store: &Self::Store,
        guard: &mut Self::Guard,
    ) -> Option<Result<Self::Store, BoxError>> {
        let _ = (store, guard);
        None
    }

    /// Makes the storage unavailable, so that the store cannot answer. For example, it stops the
    /// server, closes the pool or removes the directory. Returns whether it did. The default returns
    /// `false`.
    ///
    /// This is needed for `failures_are_errors`, `failures_of_many_are_errors`, `interrupted_calls_are_true`,
    /// `errors_leak_nothing` and `errors_of_many_leak_nothing`. It is also called while a call of the store waits. A store that continues to answer correctly from memory also keeps the
    /// first of them, provided that at least one call fails.
    async fn make_unavailable(&self, store: &Self::Store, guard: &mut Self::Guard) -> bool {
        let _ = (store, guard);
        false
    }

    /// Ends the effect of [`make_unavailable`](Self::make_unavailable), so that the same store can answer
    /// again. For example, it starts the server. Returns whether it did. The default returns `false`.
    ///
    /// This is needed for `outages_end` and `interrupted_calls_are_true`. It also lets `failures_are_errors` check whether the writes
    /// happened that the store acknowledged or refused in the meantime.
    async fn make_available(&self, store: &Self::Store, guard: &mut Self::Guard) -> bool {
        let _ = (store, guard);
        false
    }

    /// Arranges that the next write of this store takes effect and that its answer does not arrive. The
    /// write can be of one record or of many (`replace_many`, `remove_many`).
    /// For example, a proxy in front of the database forwards the statement and then closes the
    /// connection. Returns whether it did. The default returns `false`.
    ///
    /// This is needed for `lost_answers_are_indeterminate` and `lost_rows_are_indeterminate`. If the store repeats the write, the answers
    /// of the repetitions may arrive.
    async fn lose_next_answer(&self, store: &Self::Store, guard: &mut Self::Guard) -> bool {
        let _ = (store, guard);
        false
    }

    /// Arranges that the next call of a method of this store is refused before it is sent. For example, the proxy
    /// refuses the next connection. Returns whether it did. The default returns `false`.
    ///
    /// This is needed for `refused_calls_are_unavailable` and `refused_rows_are_unavailable`. If the store
    /// repeats the call, the repetition may succeed. A store that reads from memory refuses its next write
    /// instead. In a store of files the disk refuses it, best after it has taken a part of the bytes, and
    /// then the error may also be [`Full`](crate::store::StoreError::Full).
    async fn refuse_next_call(&self, store: &Self::Store, guard: &mut Self::Guard) -> bool {
        let _ = (store, guard);
        false
    }

    /// Writes these bytes in place of the encoded record that is stored under this id, which exists. It
    /// goes past the store, for example by an SQL statement, and leaves all other columns as they are.
    /// Returns whether it did. The default returns `false`.
    ///
    /// This is needed for `damage_is_reported` and `damaged_rows_are_reported`. Return `false` if the store
    /// reads its storage only when it is opened. A store that takes records from a cache while their version
    /// is the same does not read these bytes. Remove the record from the cache here, or return `false`.
    async fn plant_bytes(
        &self,
        store: &Self::Store,
        guard: &mut Self::Guard,
        id: TokenId,
        bytes: &[u8],
    ) -> bool {
        let _ = (store, guard, id, bytes);
        false
    }

    /// Returns whether the store's futures can be polled on any thread, outside every runtime. The
    /// default returns `false`.
    ///
    /// This is needed for `threads_agree` and `many_agree_on_threads`. Return `true` for a store that takes locks or does
    /// blocking I/O. For a store that uses the sockets or timers of a runtime, return `false` and
    /// implement [`spawn_on_thread`](Self::spawn_on_thread).
    fn runtime_free(&self) -> bool {
        false
    }

    /// Starts a thread of the operating system that runs this future to completion, and returns `true`
    /// without waiting for it. The default returns `false`.
    ///
    /// This is needed for `threads_agree` if the store is not [`runtime_free`](Self::runtime_free). The
    /// futures of several calls must run at the same time. For a store on tokio:
    ///
    /// ```
    /// # use service_tokens::conformance::ThreadJob;
    /// fn spawn_on_thread(job: ThreadJob) -> bool {
    ///     let runtime = tokio::runtime::Handle::current();
    ///     std::thread::spawn(move || runtime.block_on(job));
    ///     true
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # assert!(spawn_on_thread(Box::pin(async {})));
    /// # }
    /// ```
    fn spawn_on_thread(&self, job: ThreadJob) -> bool {
        drop(job);
        false
    }

    /// Cleans up after the store was closed, for guards whose cleanup is asynchronous. The default
    /// drops the guard.
    async fn clean_up(&self, guard: Self::Guard) {
        drop(guard);
    }
}

/// Creates a factory from a closure that creates an empty store.
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

/// Creates a factory from a closure that creates an empty store and a guard that cleans up after
/// it.
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
            /// Declares that the store needs no runtime. See [`StoreFactory::runtime_free`].
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
    /// The factory returned by [`fresh`].
    Fresh
}

closure_factory! {
    /// The factory returned by [`guarded`].
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
