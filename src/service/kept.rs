//! Records kept for a while in front of a store across a network.
//!
//! What is kept is the record, never the verdict. How old it is counts from before the store was
//! asked, and nothing prolongs that. A change takes the question that is under way from its place, and
//! only an answer whose question is still in its place is kept: none from before a change after it.

mod flight;

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::store::StoreError;
use crate::token::TokenId;
use flight::Flight;
pub(super) use flight::{Answer, Question};

/// How often the store is asked again for one id because a kept record led to a refusal.
const REREAD_EVERY: Duration = Duration::from_millis(100);

/// The most shards, and the fewest records that are worth one.
const SHARDS: usize = 64;
const WORTH_A_SHARD: usize = 16;

/// How to come by a record.
pub(super) enum Way {
    /// It is kept and fresh enough.
    Kept(Answer),
    /// The store is being asked for it, since now (`new`) or since somebody else came.
    Asked { seat: Seat, new: bool },
}

pub(super) struct Kept {
    longest: Duration,
    most_per_shard: usize,
    shards: Box<[Mutex<Shard>]>,
}

#[derive(Default)]
struct Shard {
    known: HashMap<TokenId, Known>,
    /// The questions under way: as many as there are requests that wait for them.
    flights: HashMap<TokenId, Arc<Flight>>,
}

struct Known {
    answer: Answer,
    reread_at: Option<Duration>,
}

impl Kept {
    pub(super) fn new(longest: Duration, most: usize) -> Self {
        let shards = (most / WORTH_A_SHARD).clamp(1, SHARDS);
        Self {
            longest,
            most_per_shard: most / shards,
            shards: (0..shards).map(|_| Mutex::default()).collect(),
        }
    }

    fn shard(&self, id: TokenId) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[usize::from(id.to_bytes()[15]) % self.shards.len()];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way to a record that is at most as old as allowed.
    pub(super) fn way(
        self: &Arc<Self>,
        id: TokenId,
        now: Duration,
        ask: impl FnOnce() -> Question,
    ) -> Way {
        let mut shard = self.shard(id);
        if let Some(known) = shard.known.get(&id)
            && self.fresh(known.answer.asked_at, now)
        {
            return Way::Kept(known.answer.clone());
        }
        match self.join(&shard, id, now) {
            Some(joined) => joined,
            None => self.take_off(&mut shard, id, now, ask),
        }
    }

    /// The way to a later answer than the one that led to a refusal, if there is one at this time:
    /// what others learnt meanwhile or are about to learn costs the store nothing.
    pub(super) fn reread(
        self: &Arc<Self>,
        id: TokenId,
        refused: &Answer,
        now: Duration,
        ask: impl FnOnce() -> Question,
    ) -> Option<Way> {
        let mut shard = self.shard(id);
        if let Some(known) = shard.known.get(&id)
            && !known.answer.is(refused)
            && known.answer.asked_at >= refused.asked_at
        {
            return Some(Way::Kept(known.answer.clone()));
        }
        if let Some(joined) = self.join(&shard, id, now) {
            return Some(joined);
        }
        if let Some(known) = shard.known.get_mut(&id) {
            if known.reread_at.is_some_and(|last| now.saturating_sub(last) < REREAD_EVERY) {
                return None;
            }
            known.reread_at = Some(now);
        }
        Some(self.take_off(&mut shard, id, now, ask))
    }

    /// Whether what was asked for then is still young enough.
    pub(super) fn fresh(&self, asked_at: Duration, now: Duration) -> bool {
        now.saturating_sub(asked_at) <= self.longest
    }

    /// A seat on the question under way, unless it was asked so long ago that its answer would be too
    /// old for whoever comes now.
    fn join(self: &Arc<Self>, shard: &Shard, id: TokenId, now: Duration) -> Option<Way> {
        let flight = shard.flights.get(&id).filter(|flight| self.fresh(flight.asked_at(), now))?;
        Some(Way::Asked { seat: self.seat(flight, id), new: false })
    }

    fn take_off(
        self: &Arc<Self>,
        shard: &mut Shard,
        id: TokenId,
        now: Duration,
        ask: impl FnOnce() -> Question,
    ) -> Way {
        let flight = Flight::new(now, ask());
        let seat = self.seat(&flight, id);
        shard.flights.insert(id, flight);
        Way::Asked { seat, new: true }
    }

    fn seat(self: &Arc<Self>, flight: &Arc<Flight>, id: TokenId) -> Seat {
        flight.board();
        Seat { kept: self.clone(), flight: flight.clone(), id }
    }

    /// Nobody waits for this flight, unless somebody has just come; whether so.
    fn abandon(&self, id: TokenId, flight: &Arc<Flight>) -> bool {
        let mut shard = self.shard(id);
        if !flight.is_empty() {
            return false;
        }
        if shard.flights.get(&id).is_some_and(|current| Arc::ptr_eq(current, flight)) {
            shard.flights.remove(&id);
        }
        true
    }

    /// A flight has landed: its answer is kept if its question is still in its place.
    fn land(&self, id: TokenId, flight: &Arc<Flight>, answer: Option<&Answer>) {
        let mut shard = self.shard(id);
        if shard.flights.get(&id).is_some_and(|current| Arc::ptr_eq(current, flight)) {
            shard.flights.remove(&id);
            if let Some(answer) = answer {
                shard.keep(id, answer, self.most_per_shard);
            }
        }
    }

    /// The record of an id has changed, or may have.
    pub(super) fn forget(&self, id: TokenId) {
        let mut shard = self.shard(id);
        shard.known.remove(&id);
        // Whoever comes from now on asks anew.
        shard.flights.remove(&id);
    }

    /// Any record may have changed.
    pub(super) fn forget_all(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.known.clear();
            shard.flights.clear();
        }
    }
}

impl Shard {
    fn keep(&mut self, id: TokenId, answer: &Answer, most: usize) {
        if let Some(known) = self.known.get_mut(&id) {
            known.answer = answer.clone();
            return;
        }
        if self.known.len() >= most {
            // Inventing ids must not drive records out.
            if answer.record.is_none() || most == 0 {
                return;
            }
            // The least useful of a few, whichever come first: good enough, and it costs the same at
            // any size.
            let worth = |known: &Known| (known.answer.record.is_some(), known.answer.asked_at);
            let least = self.known.iter().take(8).min_by_key(|(_, known)| worth(known));
            if let Some(least) = least.map(|(id, _)| *id) {
                self.known.remove(&least);
            }
        }
        self.known.insert(id, Known { answer: answer.clone(), reread_at: None });
    }
}

/// A place among those who wait for an answer. Taken while the shard of its id is locked.
pub(super) struct Seat {
    kept: Arc<Kept>,
    flight: Arc<Flight>,
    id: TokenId,
}

impl Future for Seat {
    type Output = Result<Answer, StoreError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready((outcome, first)) = self.flight.poll(context) else {
            return Poll::Pending;
        };
        if first {
            self.kept.land(self.id, &self.flight, outcome.as_ref().ok());
            self.flight.ring();
        }
        Poll::Ready(outcome)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.flight.leave() && self.kept.abandon(self.id, &self.flight) {
            self.flight.lose();
        }
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("longest", &self.longest).finish_non_exhaustive()
    }
}
