//! Places and counts, event by event.

use std::sync::Arc;

use super::*;
use crate::clock::ManualClock;

const OWNER: &str = "acme";

struct Limits {
    limits: OwnerLimits,
    manual: Arc<ManualClock>,
    clock: GuardedClock,
}

impl Limits {
    fn new() -> Self {
        let manual = Arc::new(ManualClock::default());
        let clock = GuardedClock::new(manual.clone());
        Self { limits: OwnerLimits::default(), manual, clock }
    }

    fn count(&self, live: &[u8]) -> Count<'_> {
        let mut count = self.limits.count(OWNER, &self.clock);
        count.live.extend(live.iter().map(|n| id(*n)));
        count
    }

    /// Issues a token after a list that contains these, up to the outcome of the insert.
    fn take(&self, live: &[u8], new: u8, max: usize) -> Option<Place<'_>> {
        self.count(live).take(id(new), max)
    }

    fn owners(&self) -> usize {
        self.limits.lock().owners.len()
    }
}

fn id(n: u8) -> TokenId {
    TokenId::from_bytes([n; 16])
}

fn stored(mut place: Place<'_>) {
    place.begin_insert();
    place.end_insert(&Ok(()));
}

fn failed(mut place: Place<'_>) {
    place.begin_insert();
    place.end_insert::<()>(&Err(ManageError::ClockJumped));
}

fn dropped(mut place: Place<'_>) {
    place.begin_insert();
}

#[test]
fn take_below_limit_holds_the_place() {
    let limits = Limits::new();
    let first = limits.take(&[1, 2], 3, 4).unwrap();
    let second = limits.take(&[1, 2], 4, 4).unwrap();
    assert!(limits.take(&[1, 2], 5, 4).is_none());
    drop(first);
    let third = limits.take(&[1, 2], 5, 4).unwrap();
    assert!(limits.take(&[1, 2], 6, 4).is_none());
    drop((second, third));
    assert_eq!(limits.owners(), 0);
}

#[test]
fn listed_token_of_held_place_counts_once() {
    let limits = Limits::new();
    let mut inserted = limits.take(&[], 1, 2).unwrap();
    inserted.begin_insert();
    let second = limits.take(&[1], 2, 2).unwrap();
    assert!(limits.take(&[1, 2], 3, 2).is_none());
    drop((inserted, second));
}

#[test]
fn count_that_missed_an_insert_sees_its_place() {
    let limits = Limits::new();
    // This list was read before the token was stored.
    let early = limits.count(&[]);
    stored(limits.take(&[], 1, 1).unwrap());
    assert!(early.take(id(2), 1).is_none());
    // A count that began later sees the token in its list, or sees that it was revoked.
    assert!(limits.take(&[1], 2, 1).is_none());
    assert!(limits.take(&[], 2, 1).is_some());
    assert_eq!(limits.owners(), 0);
}

#[test]
fn failed_insert_frees_its_place() {
    let limits = Limits::new();
    let early = limits.count(&[]);
    failed(limits.take(&[], 1, 1).unwrap());
    drop(early.take(id(2), 1).unwrap());
    drop(limits.take(&[], 3, 1).unwrap());
    assert_eq!(limits.owners(), 0);
}

#[test]
fn unknown_insert_holds_its_place_for_a_minute() {
    let limits = Limits::new();
    dropped(limits.take(&[], 1, 1).unwrap());
    assert!(limits.take(&[], 2, 1).is_none());
    // The same id is the repetition of the request.
    failed(limits.take(&[], 1, 1).unwrap());
    assert!(limits.take(&[], 2, 1).is_none());
    limits.manual.advance(UNKNOWN_FOR - Duration::from_micros(1));
    assert!(limits.take(&[], 2, 1).is_none());
    limits.manual.advance(Duration::from_micros(1));
    drop(limits.take(&[], 2, 1).unwrap());
    assert_eq!(limits.owners(), 0);
}

#[test]
fn unknown_insert_that_appears_counts_once() {
    let limits = Limits::new();
    dropped(limits.take(&[], 1, 2).unwrap());
    // This count has missed the token, and the next one sees it.
    let early = limits.count(&[]);
    stored(limits.take(&[1], 2, 2).unwrap());
    assert!(early.take(id(3), 2).is_none());
    // The token was revoked, and the place has been given up because the token was seen.
    drop(limits.take(&[2], 3, 2).unwrap());
    assert_eq!(limits.owners(), 0);
}

#[test]
fn equal_chosen_ids_hold_one_place() {
    let limits = Limits::new();
    let first = limits.take(&[], 1, 1).unwrap();
    let second = limits.take(&[], 1, 1).unwrap();
    drop(first);
    assert!(limits.take(&[], 2, 1).is_none());
    drop(second);
    assert!(limits.take(&[], 2, 1).is_some());
}

/// Other owners that never come back leave no entries behind.
#[test]
fn given_up_places_of_many_owners_are_removed() {
    let limits = Limits::new();
    for n in 0..1_000 {
        let owner = format!("owner {n}");
        let mut place = limits.limits.count(&owner, &limits.clock).take(id(1), 1).unwrap();
        place.begin_insert();
    }
    assert_eq!(limits.owners(), 1_000);
    limits.manual.advance(UNKNOWN_FOR);
    drop(limits.count(&[]));
    assert_eq!(limits.owners(), 0);
    assert!(limits.limits.lock().unknown.is_empty());
}

#[test]
fn counts_in_progress_retain_what_they_need() {
    let limits = Limits::new();
    let early = limits.count(&[]);
    for n in 0..100 {
        stored(limits.take(&[], n, 1_000).unwrap());
    }
    let places = || limits.limits.lock().owners.get(OWNER).map(|owner| owner.places.len());
    assert_eq!(places(), Some(100));
    let late = limits.count(&[]);
    drop(early);
    // The later count has all of them in its list.
    assert_eq!(places(), Some(0));
    drop(late);
    assert_eq!(places(), None);
}

/// The draft is stored and confirmed after a count has listed its page.
#[test]
fn settled_draft_counts_for_earlier_counts_only() {
    let limits = Limits::new();
    limits.take(&[], 1, 1).unwrap().leave_to_draft();
    assert!(limits.take(&[], 2, 1).is_none());
    let earlier = limits.count(&[]);
    limits.limits.settle(OWNER, id(1));
    assert!(earlier.take(id(2), 1).is_none());
    assert_eq!(limits.owners(), 0);
    // The token ended, so no later count lists it.
    assert!(limits.take(&[], 2, 1).is_some());
}

#[test]
fn place_of_draft_ends_after_a_minute() {
    let limits = Limits::new();
    limits.take(&[], 1, 1).unwrap().leave_to_draft();
    limits.manual.advance(UNKNOWN_FOR - Duration::from_micros(1));
    assert!(limits.take(&[], 2, 1).is_none());
    limits.manual.advance(Duration::from_micros(1));
    assert!(limits.take(&[], 2, 1).is_some());
    // A confirmation after the minute has no place to free.
    limits.limits.settle(OWNER, id(1));
    assert_eq!(limits.owners(), 0);
}
