//! One question to the store that several verifications wait for. Whoever is polled moves it on, so
//! that one that stopped being polled holds up nobody.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::record::Record;
use crate::store::StoreError;

/// An answer of the store, and the monotonic time before it was asked.
#[derive(Debug, Clone)]
pub(in super::super) struct Answer {
    pub(in super::super) record: Option<Arc<Record>>,
    pub(in super::super) asked_at: Duration,
}

impl Answer {
    /// Whether this is the very same answer.
    pub(super) fn is(&self, other: &Self) -> bool {
        let same = match (&self.record, &other.record) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        same && self.asked_at == other.asked_at
    }
}

/// The store's answer on its way.
pub(in super::super) type Question =
    Pin<Box<dyn Future<Output = Result<Option<Record>, StoreError>> + Send>>;

pub(super) struct Flight {
    asked_at: Duration,
    course: Mutex<Course>,
    bell: Arc<Bell>,
    /// Seats taken. Raised under the lock of the shard only.
    aboard: AtomicUsize,
}

enum Course {
    Aloft(Question),
    Landed(Result<Option<Arc<Record>>, Arc<str>>),
    /// Nobody waited any more.
    Lost,
}

/// Wakes all who wait.
#[derive(Default)]
struct Bell(Mutex<Vec<Waker>>);

impl Bell {
    fn add(&self, waker: &Waker) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Flight {
    pub(super) fn new(asked_at: Duration, question: Question) -> Arc<Self> {
        Arc::new(Self {
            asked_at,
            course: Mutex::new(Course::Aloft(question)),
            bell: Arc::default(),
            aboard: AtomicUsize::new(0),
        })
    }

    pub(super) fn asked_at(&self) -> Duration {
        self.asked_at
    }

    pub(super) fn board(&self) {
        self.aboard.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether nobody is aboard any more.
    pub(super) fn leave(&self) -> bool {
        self.aboard.fetch_sub(1, Ordering::AcqRel) == 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.aboard.load(Ordering::Acquire) == 0
    }

    /// Moves the question on. With the answer comes whether this call was the one that got it.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<(Result<Answer, StoreError>, bool)> {
        // A store that panicked while it was polled must not be polled again.
        let Ok(mut course) = self.course.lock() else {
            return Poll::Ready((Err(StoreError::unavailable("the store panicked")), false));
        };
        let outcome = match &mut *course {
            Course::Landed(Ok(record)) => {
                return Poll::Ready((Ok(self.answer(record.clone())), false));
            }
            Course::Landed(Err(cause)) => {
                return Poll::Ready((Err(StoreError::unavailable(cause.to_string())), false));
            }
            Course::Lost => {
                return Poll::Ready((Err(StoreError::unavailable("nobody waited")), false));
            }
            Course::Aloft(question) => {
                self.bell.add(context.waker());
                let waker = Waker::from(self.bell.clone());
                match question.as_mut().poll(&mut Context::from_waker(&waker)) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(outcome) => outcome,
                }
            }
        };
        let (shared, mine) = match outcome {
            Ok(record) => {
                let record = record.map(Arc::new);
                (Ok(record.clone()), Ok(self.answer(record)))
            }
            Err(error) => (Err(error.to_string().into()), Err(error)),
        };
        let question = std::mem::replace(&mut *course, Course::Landed(shared));
        drop(course);
        drop(question);
        Poll::Ready((mine, true))
    }

    /// Wakes all who wait.
    pub(super) fn ring(&self) {
        self.bell.clone().wake();
    }

    /// Gives the question up.
    pub(super) fn lose(&self) {
        let mut course = self.course.lock().unwrap_or_else(PoisonError::into_inner);
        let question = std::mem::replace(&mut *course, Course::Lost);
        drop(course);
        drop(question);
    }

    fn answer(&self, record: Option<Arc<Record>>) -> Answer {
        Answer { record, asked_at: self.asked_at }
    }
}
