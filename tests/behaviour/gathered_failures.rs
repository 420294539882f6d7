//! Gathered look-ups whose store fails, answers wrongly or never answers, and whose futures are dropped or not
//! polled any more.

use std::mem::discriminant;
use std::sync::Arc;

use futures_lite::future::poll_once;
use service_tokens::store::{Gathering, StoreError};
use service_tokens::{Refusal, VerifiedToken, VerifyError};

use super::gathered::{ids, issue, verification, waiting};
use super::harness::{Answer, Gathers, Harness, MAX_AGE, Stores, any, refusal_of, text};

behaviours! {
    failed_call_is_an_error_for_each,
    failed_row_is_an_error_of_its_id,
    wrong_number_of_results_is_corrupt,
    records_of_other_ids_are_corrupt,
    panic_of_store_is_unavailable,
    joined_cached_read_keeps_the_kind,
    dropped_look_up_leaves_the_queue,
    dropped_look_ups_cancel_their_call,
    dropped_lone_look_up_frees_its_place,
    unpolled_look_ups_do_not_block_others,
    unanswered_call_leaves_other_places,
}

const KINDS: [fn() -> StoreError; 5] = [
    || StoreError::unavailable("timeout"),
    || StoreError::corrupt("wrong checksum"),
    || StoreError::full("no space"),
    || StoreError::last_use_not_tracked(),
    || StoreError::NewerFormat,
];

#[track_caller]
fn cause(outcome: Result<VerifiedToken, VerifyError>) -> StoreError {
    match outcome {
        Err(VerifyError::Unavailable(cause)) => *cause,
        other => panic!("{other:?}"),
    }
}

/// Begins verifications, of which the first is in flight and the others are in the queue. The next call
/// answers like this, and the outcomes of the others are returned.
async fn outcomes(
    stores: Stores,
    number: usize,
    answer: Answer,
) -> Vec<Result<VerifiedToken, VerifyError>> {
    let harness = Harness::gathering(stores, 8, 1);
    harness.gathers().hold(true);
    let issued = issue(&harness, number + 1).await;
    let verifications = waiting(&harness, &issued).await;
    harness.gathers().answer(1, answer);
    harness.gathers().hold(false);
    harness.gathers().release(0);
    let mut outcomes = Vec::new();
    for verification in verifications {
        outcomes.push(verification.await);
    }
    outcomes.remove(0).unwrap();
    // The place is free again.
    verification(&harness, &issued[0]).await.unwrap();
    assert_eq!(harness.gathers().calls().len(), 3);
    outcomes
}

pub(crate) async fn failed_call_is_an_error_for_each(stores: Stores) {
    for kind in KINDS {
        for outcome in outcomes(stores, 3, Answer::Fail(kind)).await {
            let cause = cause(outcome);
            assert_eq!(discriminant(&cause), discriminant(&kind()), "{cause:?}");
        }
    }
}

pub(crate) async fn failed_row_is_an_error_of_its_id(stores: Stores) {
    for kind in KINDS {
        let mut outcomes = outcomes(stores, 3, Answer::FailOne(1, kind)).await;
        assert_eq!(discriminant(&cause(outcomes.remove(1))), discriminant(&kind()));
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }
}

/// An answer that is short must not look like a missing record.
pub(crate) async fn wrong_number_of_results_is_corrupt(stores: Stores) {
    for answer in [Answer::Fewer, Answer::More, Answer::Empty, Answer::Twice] {
        for outcome in outcomes(stores, 3, answer).await {
            let cause = cause(outcome);
            assert!(matches!(cause, StoreError::Corrupt { .. }), "{cause:?}");
        }
    }
}

pub(crate) async fn records_of_other_ids_are_corrupt(stores: Stores) {
    let mut outcomes = outcomes(stores, 3, Answer::Reversed).await;
    outcomes.remove(1).unwrap();
    for outcome in outcomes {
        let cause = cause(outcome);
        assert!(matches!(cause, StoreError::Corrupt { .. }), "{cause:?}");
    }
}

pub(crate) async fn panic_of_store_is_unavailable(stores: Stores) {
    for number in [1, 3] {
        for outcome in outcomes(stores, number, Answer::Panic).await {
            let cause = cause(outcome);
            assert!(matches!(cause, StoreError::Unavailable { .. }), "{cause:?}");
        }
    }
}

/// Several verifications wait for one cached read. Each gets an error of the same kind.
pub(crate) async fn joined_cached_read_keeps_the_kind(stores: Stores) {
    for sizes in [None, Some(Gathering::new(8, 1))] {
        for kind in KINDS {
            let harness = Harness::over_gathers(stores, sizes, |service| {
                service.cache_records(MAX_AGE, 1_000)
            });
            harness.gathers().hold(true);
            let token = text(&issue(&harness, 1).await[0]);
            let requirement = any();
            let mut verifications: Vec<_> =
                (0..3).map(|_| Box::pin(harness.service.verify(&token, &requirement))).collect();
            for verification in &mut verifications {
                assert!(poll_once(verification).await.is_none());
            }
            harness.gathers().answer(0, Answer::Fail(kind));
            harness.gathers().release(0);
            for verification in verifications {
                assert_eq!(discriminant(&cause(verification.await)), discriminant(&kind()));
            }
            assert_eq!(harness.gathers().calls().len(), 1);
        }
    }
}

pub(crate) async fn dropped_look_up_leaves_the_queue(stores: Stores) {
    let harness = Harness::gathering(stores, 2, 1);
    harness.gathers().hold(true);
    let issued = issue(&harness, 4).await;
    let mut verifications = waiting(&harness, &issued).await;
    verifications.push(verification(&harness, &issued[2]));
    assert!(poll_once(verifications.last_mut().unwrap()).await.is_none());
    // The id 1 has one look-up, and the id 2 has two.
    drop(verifications.remove(2));
    drop(verifications.remove(1));
    harness.gathers().hold(false);
    harness.gathers().release(0);
    for verification in verifications {
        verification.await.unwrap();
    }
    let id = ids(&issued);
    assert_eq!(harness.gathers().calls(), [vec![id[0]], vec![id[2], id[3]]]);
}

pub(crate) async fn dropped_look_ups_cancel_their_call(stores: Stores) {
    let harness = Harness::gathering(stores, 2, 1);
    harness.gathers().hold(true);
    let issued = issue(&harness, 5).await;
    let mut verifications = waiting(&harness, &issued).await;
    harness.gathers().release(0);
    poll_once(&mut verifications[0]).await.unwrap().unwrap();
    // The ids 1 and 2 are in flight. The call continues for the one that is left.
    drop(verifications.remove(1));
    assert_eq!(harness.gathers().in_flight(), 1);
    assert!(poll_once(&mut verifications[1]).await.is_none());
    assert_eq!(harness.gathers().calls().len(), 2);
    drop(verifications.remove(1));
    assert_eq!(harness.gathers().in_flight(), 0);
    harness.gathers().hold(false);
    verifications.pop().unwrap().await.unwrap();
    assert_eq!(harness.gathers().calls()[2], ids(&issued)[3..]);
    assert_eq!(harness.gathers().most_in_flight(), 1);
}

/// While nothing else is in flight, a look-up is not shared. It is dropped while others wait behind it.
pub(crate) async fn dropped_lone_look_up_frees_its_place(stores: Stores) {
    let harness = Harness::gathering(stores, 8, 2);
    harness.gathers().hold(true);
    let issued = issue(&harness, 4).await;
    let mut verifications = waiting(&harness, &issued).await;
    assert_eq!((harness.gathers().calls().len(), harness.gathers().in_flight()), (2, 2));
    drop(verifications.remove(0));
    assert_eq!(harness.gathers().in_flight(), 1);
    // Those in the queue are sent in its place.
    assert!(poll_once(&mut verifications[2]).await.is_none());
    assert_eq!(harness.gathers().calls()[2], ids(&issued)[2..]);
    for call in [1, 2] {
        harness.gathers().release(call);
    }
    for verification in verifications {
        verification.await.unwrap();
    }
    assert_eq!(harness.gathers().most_in_flight(), 2);
}

/// Look-ups that are neither polled nor dropped, as next to a `select!`. Each of the others can drive the calls
/// alone.
pub(crate) async fn unpolled_look_ups_do_not_block_others(stores: Stores) {
    for max_calls in [1, 2] {
        for max_ids in [1, 2] {
            for alive in 0..6 {
                let harness = Harness::gathering(stores, max_ids, max_calls);
                harness.gathers().hold(true);
                let issued = issue(&harness, 6).await;
                let mut verifications = waiting(&harness, &issued).await;
                harness.gathers().hold(false);
                for call in 0..harness.gathers().calls().len() {
                    harness.gathers().release(call);
                }
                // Only this one is polled.
                verifications.remove(alive).await.unwrap();
                assert!(harness.gathers().most_in_flight() <= max_calls);
                // A new one does not wait for them either.
                verification(&harness, &issued[0]).await.unwrap();
                for verification in verifications {
                    verification.await.unwrap();
                }
            }
        }
    }
}

/// One call never answers. The other place is still used.
pub(crate) async fn unanswered_call_leaves_other_places(stores: Stores) {
    let harness: Harness<Arc<Gathers>> = Harness::gathering(stores, 8, 2);
    harness.gathers().hold(true);
    let issued = issue(&harness, 6).await;
    let mut verifications = waiting(&harness, &issued).await;
    harness.gathers().hold(false);
    harness.revoke_elsewhere(issued[5].record.id()).await;
    harness.gathers().release(1);
    assert_eq!(refusal_of(verifications.pop().unwrap().await), Some(Refusal::Revoked));
    for mut verification in verifications.drain(1..) {
        poll_once(&mut verification).await.unwrap().unwrap();
    }
    assert!(poll_once(&mut verifications[0]).await.is_none());
    verification(&harness, &issued[1]).await.unwrap();
}
