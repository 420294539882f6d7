//! The operations of a factory on one store, without the types of the factory. Only this file is compiled
//! for each factory, and every check once.

use std::sync::Arc;

use async_trait::async_trait;

use super::factory::{StoreFactory, ThreadJob};
use super::threads;
use super::verdict::{NotKept, broken};
use crate::store::{BoxError, TokenStore};
use crate::token::TokenId;

/// A store under test and the means to interfere with it. See [`StoreFactory`].
#[async_trait]
pub(super) trait Lab: Send {
    /// Returns the store. All clones must be dropped before it is reopened.
    fn store(&self) -> Result<Arc<dyn TokenStore>, NotKept>;

    async fn reopen(&mut self) -> Option<Result<(), BoxError>>;

    async fn second(&mut self) -> Option<Result<Box<dyn TokenStore>, BoxError>>;

    async fn make_unavailable(&mut self) -> bool;

    async fn make_available(&mut self) -> bool;

    async fn lose_next_answer(&mut self) -> bool;

    async fn refuse_next_call(&mut self) -> bool;

    async fn plant_bytes(&mut self, id: TokenId, bytes: &[u8]) -> bool;

    async fn clean_up(self: Box<Self>);
}

/// A factory that creates labs.
#[async_trait]
pub(super) trait Place: Sync {
    async fn fresh(&self) -> Result<Box<dyn Lab + '_>, NotKept>;

    /// Starts a thread for a job. Returns whether it did.
    fn spawn(&self, job: ThreadJob) -> bool;
}

/// A [`Place`] of this factory.
pub(super) struct At<'f, F: ?Sized>(pub(super) &'f F);

#[async_trait]
impl<F: StoreFactory + ?Sized> Place for At<'_, F> {
    async fn fresh(&self) -> Result<Box<dyn Lab + '_>, NotKept> {
        match self.0.fresh().await {
            Ok((store, guard)) => {
                Ok(Box::new(Bench { factory: self.0, store: Some(Arc::new(store)), guard }))
            }
            Err(error) => broken(format!("the factory could not create a store: {error}")),
        }
    }

    fn spawn(&self, job: ThreadJob) -> bool {
        if self.0.runtime_free() { threads::spawn(job) } else { self.0.spawn_on_thread(job) }
    }
}

/// A store, its guard and its factory.
struct Bench<'f, F: StoreFactory + ?Sized> {
    factory: &'f F,
    store: Option<Arc<F::Store>>,
    guard: F::Guard,
}

/// Calls an operation of the factory with the store and the guard.
macro_rules! on_store {
    ($self:ident.$operation:ident($($argument:expr),*), $without:expr) => {
        match &$self.store {
            Some(store) => $self.factory.$operation(store, &mut $self.guard, $($argument),*).await,
            None => $without,
        }
    };
}

#[async_trait]
impl<F: StoreFactory + ?Sized> Lab for Bench<'_, F> {
    fn store(&self) -> Result<Arc<dyn TokenStore>, NotKept> {
        match &self.store {
            Some(store) => Ok(store.clone()),
            None => broken("the store was closed and did not open again"),
        }
    }

    async fn reopen(&mut self) -> Option<Result<(), BoxError>> {
        let store = Arc::into_inner(self.store.take()?)?;
        match self.factory.reopen(store, &mut self.guard).await? {
            Ok(store) => {
                self.store = Some(Arc::new(store));
                Some(Ok(()))
            }
            Err(error) => Some(Err(error)),
        }
    }

    async fn second(&mut self) -> Option<Result<Box<dyn TokenStore>, BoxError>> {
        let second = on_store!(self.second(), None)?;
        Some(second.map(|second| Box::new(second) as Box<dyn TokenStore>))
    }

    async fn make_unavailable(&mut self) -> bool {
        on_store!(self.make_unavailable(), false)
    }

    async fn make_available(&mut self) -> bool {
        on_store!(self.make_available(), false)
    }

    async fn lose_next_answer(&mut self) -> bool {
        on_store!(self.lose_next_answer(), false)
    }

    async fn refuse_next_call(&mut self) -> bool {
        on_store!(self.refuse_next_call(), false)
    }

    async fn plant_bytes(&mut self, id: TokenId, bytes: &[u8]) -> bool {
        on_store!(self.plant_bytes(id, bytes), false)
    }

    async fn clean_up(self: Box<Self>) {
        drop(self.store);
        self.factory.clean_up(self.guard).await;
    }
}
