//! Sums of events that did not fit their share of the queue.

use chrono::{DateTime, Utc};

use super::super::Event;
use super::super::class::Kind;
use crate::token::TokenId;

/// The largest number of kinds that are told apart by their reason. Beyond it events are summed by name and
/// operation, and the number of those is fixed. So the sums take a bounded amount of memory, although a
/// reason can contain the id of a key.
const MAX_REASONS: usize = 64;

/// One sum for each kind, in the order in which they began.
#[derive(Default)]
pub(super) struct Sums(Vec<Sum>);

struct Sum {
    kind: Kind,
    /// The number of the first event in the order of the queue.
    number: u64,
    count: u64,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    /// The token, its owner and the calling token, while all events of the sum have the same.
    id: Option<TokenId>,
    owner: Option<String>,
    on_behalf_of: Option<TokenId>,
}

impl Sums {
    pub(super) fn add(&mut self, number: u64, event: &Event, at: DateTime<Utc>) {
        let mut kind = event.kind();
        let mut place = self.0.iter().position(|sum| sum.kind == kind);
        if place.is_none() && kind.reason.is_some() && self.0.len() >= MAX_REASONS {
            kind.reason = None;
            place = self.0.iter().position(|sum| sum.kind == kind);
        }
        match place.and_then(|place| self.0.get_mut(place)) {
            Some(sum) => sum.add(event, at),
            None => self.0.push(Sum {
                kind,
                number,
                count: 1,
                first: at,
                last: at,
                id: event.id(),
                owner: event.owner().map(str::to_owned),
                on_behalf_of: event.calling_token(),
            }),
        }
    }

    /// Returns the number of the first event in the oldest sum.
    pub(super) fn first_number(&self) -> Option<u64> {
        self.0.first().map(|sum| sum.number)
    }

    /// Removes the oldest sum, and returns its event.
    pub(super) fn pop(&mut self) -> Option<(Event, DateTime<Utc>)> {
        if self.0.is_empty() {
            return None;
        }
        let Sum { kind, count, first, last, id, owner, on_behalf_of, .. } = self.0.remove(0);
        let Kind { name, operation, reason } = kind;
        let event = Event::Repeated {
            kind: name,
            operation,
            reason,
            count,
            first,
            last,
            id,
            owner,
            on_behalf_of,
        };
        Some((event, last))
    }
}

impl Sum {
    fn add(&mut self, event: &Event, at: DateTime<Utc>) {
        self.count += 1;
        // Threads may take the time in another order than their turns.
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        self.id = self.id.filter(|id| event.id() == Some(*id));
        self.on_behalf_of = self.on_behalf_of.filter(|id| event.calling_token() == Some(*id));
        if self.owner.as_deref() != event.owner() {
            self.owner = None;
        }
    }
}
