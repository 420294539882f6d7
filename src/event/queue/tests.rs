//! The shares of the queue, its sums, and those who wait for it. Nothing here depends on time.

use std::cell::RefCell;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Wake;
use std::thread;

use futures_lite::future::{block_on, poll_once};

use super::super::Operation;
use super::*;
use crate::clock::from_micros;
use crate::digest::KeyId;
use crate::refusal::Refusal;
use crate::token::TokenId;

const CAPACITY: usize = 64;
const ID: TokenId = TokenId::from_bytes([7; 16]);
const CALLING: Option<TokenId> = Some(TokenId::from_bytes([8; 16]));

fn owner() -> String {
    "acme".to_owned()
}

fn refused(reason: Refusal) -> Event {
    Event::Refused { id: None, owner: None, reason }
}

fn revoked(on_behalf_of: Option<TokenId>) -> Event {
    Event::Revoked { id: ID, owner: owner(), by: None, reason: None, on_behalf_of }
}

fn rotated(on_behalf_of: Option<TokenId>) -> Event {
    let (older_ends_at, older_ends_on_first_use) = (None, false);
    let owner = owner();
    Event::Rotated { id: ID, owner, by: None, older_ends_at, older_ends_on_first_use, on_behalf_of }
}

/// One of each kind of event that a client can cause in any number.
fn open_events() -> Vec<Event> {
    let cause = || "no answer".to_owned();
    let operations = [Operation::Issue, Operation::Get, Operation::List, Operation::Revoke];
    let failed = operations.map(|operation| Event::Failed {
        operation,
        id: Some(ID),
        on_behalf_of: CALLING,
        cause: cause(),
    });
    let mut events = vec![
        refused(Refusal::UnknownId),
        Event::EndedSecretPresented { id: ID, owner: Some(owner()) },
        Event::MissingScope { id: ID, owner: Some(owner()), requirement: "x".to_owned() },
        Event::StoreFailed { id: Some(ID), cause: cause() },
        Event::OverlapNotEnded { id: ID, cause: cause() },
        Event::Read { id: ID, on_behalf_of: CALLING },
        Event::Listed { owner: Some(owner()), records: 1, on_behalf_of: CALLING },
        Event::AlreadyRevoked { id: ID, owner: owner(), on_behalf_of: CALLING },
    ];
    events.extend(failed);
    events
}

/// Pushes each event with its number as its time.
fn push(queue: &Queue, event: Event) {
    let number = queue.lock().next;
    queue.push(event, from_micros(number.try_into().unwrap()));
}

/// Delivers all events that are in the queue.
fn drained(queue: &Queue) -> Vec<Event> {
    let events = RefCell::new(Vec::new());
    queue.close();
    queue.drain(|event, _| events.borrow_mut().push(event.clone()));
    events.into_inner()
}

fn queue() -> Queue {
    Queue::new(CAPACITY)
}

/// A queue in which everything is full that cannot take room of the embedder.
fn flooded() -> Queue {
    let queue = queue();
    for event in open_events() {
        (0..1_000).for_each(|_| push(&queue, event.clone()));
    }
    for _ in 0..1_000 {
        push(&queue, revoked(CALLING));
        push(&queue, Event::OverlapEnded { id: ID, owner: owner() });
        // Without room these are no more than others.
        push(&queue, rotated(CALLING));
    }
    queue
}

fn lost(events: &[Event]) -> u64 {
    let lost = |event: &Event| if let Event::Lost { operations } = event { *operations } else { 0 };
    events.iter().map(lost).sum()
}

/// Returns the number of events of a kind, including the summed ones.
fn count(events: &[Event], name: &str) -> u64 {
    let counted = |event: &Event| match event {
        Event::Repeated { kind, count, .. } if *kind == name => *count,
        event => u64::from(event.name() == name),
    };
    events.iter().map(counted).sum()
}

#[test]
fn open_events_beyond_half_are_summed() {
    let queue = queue();
    for _ in 0..100 {
        push(&queue, Event::EndedSecretPresented { id: ID, owner: Some(owner()) });
    }
    push(&queue, refused(Refusal::UnknownId));
    push(&queue, Event::EndedSecretPresented { id: ID, owner: Some(owner()) });
    let events = drained(&queue);
    let (single, sums) = events.split_at(CAPACITY / 2);
    assert!(single.iter().all(|event| event.name() == "ended_secret_presented"));
    let sum = |kind, reason, count, [first, last]: [i64; 2], id: Option<TokenId>| Event::Repeated {
        kind,
        operation: None,
        reason,
        count,
        first: from_micros(first),
        last: from_micros(last),
        id,
        owner: id.map(|_| owner()),
        on_behalf_of: None,
    };
    assert_eq!(
        sums,
        [
            sum("ended_secret_presented", None, 69, [32, 101], Some(ID)),
            sum("refused", Some(Refusal::UnknownId), 1, [100, 100], None),
        ]
    );
}

#[test]
fn sum_over_several_tokens_names_none() {
    let queue = Queue::new(0);
    let other = TokenId::from_bytes([9; 16]);
    push(&queue, Event::Read { id: ID, on_behalf_of: CALLING });
    push(&queue, Event::Read { id: other, on_behalf_of: CALLING });
    let failed = |on_behalf_of, operation| Event::Failed {
        operation,
        id: None,
        on_behalf_of,
        cause: String::new(),
    };
    push(&queue, failed(CALLING, Operation::Issue));
    push(&queue, failed(Some(other), Operation::Issue));
    push(&queue, failed(Some(other), Operation::Rotate));
    let sums: Vec<_> = drained(&queue)
        .into_iter()
        .map(|event| match event {
            Event::Repeated { kind, operation, count, id, on_behalf_of, .. } => {
                (kind, operation, count, id, on_behalf_of)
            }
            event => panic!("{event:?}"),
        })
        .collect();
    assert_eq!(
        sums,
        [
            ("read", None, 2, None, CALLING),
            ("failed", Some(Operation::Issue), 2, None, None),
            ("failed", Some(Operation::Rotate), 1, None, Some(other)),
        ]
    );
}

#[test]
fn sums_of_any_number_of_reasons_are_bounded() {
    let queue = Queue::new(0);
    for number in 0..10_000_u32 {
        push(&queue, refused(Refusal::MissingKey(KeyId(number.to_be_bytes()))));
    }
    (0..=255).for_each(|scheme| push(&queue, refused(Refusal::UnknownScheme(scheme))));
    open_events().into_iter().for_each(|event| push(&queue, event));
    let events = drained(&queue);
    assert!(events.len() < 80, "{}", events.len());
    assert_eq!(count(&events, "refused"), 10_257);
}

#[test]
fn flood_takes_no_room_of_the_embedder() {
    let queue = flooded();
    let reserve = CAPACITY * 5 / 16;
    (0..reserve).for_each(|_| push(&queue, revoked(None)));
    let events = drained(&queue);
    assert_eq!(lost(&events), 0);
    let whole = events.iter().filter(|event| **event == revoked(None)).count();
    assert_eq!(whole, reserve, "each is an event of its own");
    // Of the others none is lost either.
    assert_eq!(count(&events, "revoked"), 1_000 + reserve as u64);
    for event in open_events().iter().filter(|event| event.name() != "failed") {
        assert_eq!(count(&events, event.name()), 1_000, "{event:?}");
    }
    assert_eq!(count(&events, "failed"), 4_000);
    assert_eq!(count(&events, "overlap_ended"), 1_000);
    assert_eq!(count(&events, "rotated"), 1_000);
}

#[test]
fn embedder_fills_the_queue_and_loses_the_rest() {
    let queue = queue();
    (0..CAPACITY + 5).for_each(|_| push(&queue, revoked(None)));
    push(&queue, refused(Refusal::UnknownId));
    let events = drained(&queue);
    assert_eq!((lost(&events), count(&events, "revoked")), (5, CAPACITY as u64));
    assert_eq!(count(&events, "refused"), 1);
}

#[test]
fn flood_does_not_delay_a_bulk_operation() {
    let queue = flooded();
    let share = CAPACITY / 4;
    for _ in 0..share {
        let room = block_on(poll_once(queue.room(Purpose::Bulk))).expect("there is room");
        push(&queue, revoked(None));
        drop(room);
    }
    // It waits for its own events only, and leaves room for single operations.
    assert!(block_on(poll_once(queue.room(Purpose::Bulk))).is_none());
    (0..CAPACITY / 16).for_each(|_| push(&queue, rotated(None)));
    assert_eq!(lost(&drained(&queue)), 0);
}

#[test]
fn taken_rooms_of_a_bulk_operation_count() {
    let queue = queue();
    let rooms: Vec<_> = (0..CAPACITY / 4)
        .map(|_| block_on(poll_once(queue.room(Purpose::Bulk))).expect("there is room"))
        .collect();
    assert!(block_on(poll_once(queue.room(Purpose::Bulk))).is_none());
    drop(rooms);
    assert!(block_on(poll_once(queue.room(Purpose::Bulk))).is_some());
}

/// While a bulk operation waits, a flood does not use the time of the sink.
#[test]
fn waiting_bulk_operation_overtakes_a_flood() {
    let queue = flooded();
    (0..CAPACITY / 4).for_each(|_| push(&queue, revoked(None)));
    let first = |queue: &Queue| queue.lock().pop().unwrap().1.0;
    assert_eq!(first(&queue), refused(Refusal::UnknownId));
    {
        let mut room = pin!(queue.room(Purpose::Bulk));
        assert!(block_on(poll_once(&mut room)).is_none());
        assert_eq!(first(&queue), revoked(None));
        assert!(block_on(poll_once(&mut room)).is_some());
    }
    assert_eq!(first(&queue), refused(Refusal::UnknownId));
}

#[test]
fn act_waits_until_its_share_has_room() {
    let queue = queue();
    let share = CAPACITY / 16;
    let take = || block_on(poll_once(queue.room(Purpose::Act)));
    let mut rooms: Vec<_> = (0..share).map(|_| take().expect("there is room")).collect();
    assert!(take().is_none());
    // The event takes the room of its operation.
    rooms.pop().unwrap().push(rotated(CALLING), from_micros(0));
    assert!(take().is_none());
    // An operation that fails returns its room.
    drop(rooms.pop());
    assert!(take().is_some());
    let _ = queue.lock().take_batch();
    assert!(take().is_some());
    drop(rooms);
    assert_eq!(queue.lock().taken_acts, 0);
}

/// The embedder can fill the share of acts, but no act is lost then.
#[test]
fn act_waits_while_the_embedder_fills_the_queue() {
    let queue = queue();
    let room = block_on(queue.room(Purpose::Act));
    (0..CAPACITY).for_each(|_| push(&queue, revoked(None)));
    assert!(block_on(poll_once(queue.room(Purpose::Act))).is_none());
    room.push(rotated(CALLING), from_micros(0));
    let events = drained(&queue);
    assert_eq!((lost(&events), count(&events, "rotated")), (1, 1));
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn room_goes_to_the_first_that_waits() {
    let queue = queue();
    let mut rooms: Vec<_> =
        (0..CAPACITY / 16).map(|_| block_on(queue.room(Purpose::Act))).collect();
    let counts = [(); 3].map(|()| Arc::new(Count::default()));
    let woken = || counts.each_ref().map(|count| count.0.load(Ordering::SeqCst));
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(queue.room(Purpose::Act))).collect();
    for (future, count) in waiting.iter_mut().zip(&counts) {
        let waker = count.clone().into();
        assert!(future.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    }
    drop(rooms.pop());
    assert_eq!(woken(), [1, 0, 0]);
    // A later one does not get the room of the one that was woken.
    assert!(block_on(poll_once(queue.room(Purpose::Act))).is_none());
    assert!(block_on(poll_once(&mut waiting[1])).is_none());
    // If that one gives up, the next one is woken.
    drop(waiting.remove(0));
    let woken_second = block_on(poll_once(&mut waiting[0])).expect("it is the first now");
    assert!(block_on(poll_once(&mut waiting[1])).is_none());
    drop(woken_second);
    drop(waiting);
    assert!(queue.lock().waiting_acts.is_empty());
    assert_eq!(queue.lock().taken_acts, CAPACITY / 16 - 1);
}

#[test]
fn events_of_all_classes_arrive_in_order() {
    let queue = queue();
    for number in 0..4 {
        push(&queue, revoked(None));
        push(&queue, refused(Refusal::UnknownScheme(number)));
        push(&queue, revoked(CALLING));
        block_on(queue.room(Purpose::Act)).push(rotated(CALLING), from_micros(0));
    }
    let names: Vec<_> = drained(&queue).iter().map(Event::name).collect();
    assert_eq!(names, ["revoked", "refused", "revoked", "rotated"].repeat(4));
}

/// A flood that never ends cannot hold back its sums.
#[test]
fn sum_arrives_during_a_flood() {
    let queue = queue();
    let event = || refused(Refusal::UnknownId);
    (0..CAPACITY).for_each(|_| push(&queue, event()));
    let mut until_sum = 0;
    while queue.lock().pop().unwrap().1.0.name() != "repeated" {
        (0..10).for_each(|_| push(&queue, event()));
        until_sum += 1;
        assert!(until_sum < CAPACITY, "no sum");
    }
    assert_eq!(until_sum, CAPACITY / 2);
}

#[test]
fn flush_ends_when_earlier_events_are_delivered() {
    let queue = Arc::new(queue());
    assert!(block_on(poll_once(queue.flush())).is_some());
    (0..CAPACITY).for_each(|_| push(&queue, refused(Refusal::UnknownId)));
    let flush = queue.flush();
    push(&queue, revoked(None));
    let (go, wait) = mpsc::channel::<()>();
    let draining = queue.clone();
    let thread = thread::spawn(move || {
        let delivered = AtomicUsize::new(0);
        draining.drain(|_, _| {
            delivered.fetch_add(1, Ordering::SeqCst);
            let _ = wait.recv();
        });
        delivered.into_inner()
    });
    let mut flush = pin!(flush);
    assert!(block_on(poll_once(&mut flush)).is_none());
    // A flush that was given up leaves nothing behind.
    assert!(!queue.flush_blocking(std::time::Duration::from_millis(1)));
    assert!(block_on(poll_once(queue.flush())).is_none());
    assert_eq!(queue.lock().flushes.waiting.len(), 1);
    drop(go);
    block_on(flush);
    assert!(queue.flush_blocking(std::time::Duration::MAX));
    queue.close();
    // Half of the queue, one sum and one revocation.
    assert_eq!(thread.join().unwrap(), CAPACITY / 2 + 2);
}
