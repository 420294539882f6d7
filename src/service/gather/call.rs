//! A call of the store for one or more ids: its future, its waker, and one poll of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::Gatherer;
use crate::clock::Clock;
use crate::store::{StoreError, StoredRecord, TokenStore};
use crate::token::TokenId;

/// The result of a call, and the monotonic time at which it was sent.
pub(super) struct Answers {
    pub(super) found: Results,
    pub(super) sent_at: Duration,
}

/// The results of a call. A call for one id allocates no list, and moves the record once.
pub(super) enum Results {
    One(Result<Option<Arc<StoredRecord>>, StoreError>),
    Many(Vec<Result<Option<StoredRecord>, StoreError>>),
}

pub(super) type CallFuture = Pin<Box<dyn Future<Output = Answers> + Send>>;

/// The part of a gatherer that its calls own.
pub(super) struct Source {
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Source {
    /// Returns the future of a call for one id. The statement for one id is faster in most databases, so
    /// it is [`find`](TokenStore::find).
    ///
    /// The future notes the time when it is polled first, which is when the store sends the call.
    pub(super) fn call_one(self: &Arc<Self>, id: TokenId) -> CallFuture {
        let source = self.clone();
        Box::pin(async move {
            let sent_at = source.clock.monotonic();
            let found = source.store.find(id).await.map(|found| found.map(Arc::new));
            Answers { found: Results::One(found), sent_at }
        })
    }

    /// Returns the future of a call for several ids.
    pub(super) fn call_many(self: &Arc<Self>, ids: Vec<TokenId>) -> CallFuture {
        let source = self.clone();
        Box::pin(async move {
            let sent_at = source.clock.monotonic();
            Answers { found: Results::Many(source.store.find_many(&ids).await), sent_at }
        })
    }
}

/// The waker of the calls in one place. It wakes every look-up that depends on the call. If an earlier call
/// of that place is woken late, the present one is only polled once more.
pub(super) struct CallWaker {
    gatherer: Weak<Gatherer>,
    place: usize,
}

impl CallWaker {
    pub(super) fn waker(gatherer: Weak<Gatherer>, place: usize) -> Waker {
        Arc::new(Self { gatherer, place }).into()
    }
}

impl Wake for CallWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(gatherer) = self.gatherer.upgrade() {
            let mut later = Later::default();
            gatherer.state().woken(self.place, &mut later);
            later.wake();
        }
    }
}

/// One poll of a call. The future is moved out of the state, so that no lock is held while the store runs.
pub(super) struct Turn {
    pub(super) place: usize,
    pub(super) future: CallFuture,
    pub(super) waker: Waker,
}

/// The result of a poll.
pub(super) enum Polled {
    Pending(CallFuture),
    /// The call has ended, and its future is dropped.
    Answered(Answers),
    Panicked,
}

impl Turn {
    /// Polls the call. A panic of the store ends only this call, because the look-up that polls it may wait
    /// for another one.
    pub(super) fn poll(self) -> (usize, Waker, Polled) {
        let Self { place, mut future, waker } = self;
        let mut context = Context::from_waker(&waker);
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context)));
        let polled = match polled {
            Ok(Poll::Pending) => Polled::Pending(future),
            Ok(Poll::Ready(answers)) => {
                discard(future);
                Polled::Answered(answers)
            }
            Err(_panic) => {
                discard(future);
                Polled::Panicked
            }
        };
        (place, waker, polled)
    }
}

/// Drops a future of the store. A panic of its destructor must not keep the place of the call occupied.
pub(super) fn discard(future: CallFuture) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
}

/// Wakers and unread results that were taken out of the state, so that no lock is held while they are woken
/// and dropped. Few calls have more than one waker.
#[derive(Default)]
pub(super) struct Later {
    first: Option<Waker>,
    others: Vec<Waker>,
    unread: Vec<Result<Option<Arc<StoredRecord>>, StoreError>>,
    wrong: Vec<Results>,
}

impl Later {
    pub(super) fn push(&mut self, waker: Waker) {
        match self.first {
            None => self.first = Some(waker),
            Some(_) => self.others.push(waker),
        }
    }

    /// Adds a result that no look-up reads.
    pub(super) fn unread(&mut self, found: Result<Option<Arc<StoredRecord>>, StoreError>) {
        self.unread.push(found);
    }

    /// Adds results whose number is wrong.
    pub(super) fn wrong(&mut self, found: Option<Results>) {
        self.wrong.extend(found);
    }

    pub(super) fn wake(self) {
        if let Some(first) = self.first {
            first.wake();
        }
        self.others.into_iter().for_each(Waker::wake);
    }
}
