//! Look-ups of several threads that are dropped, stop, fail or overlap with a change.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use super::super::{Answered, Gatherer};
use super::check_sizes;
use super::network::{Network, id};
use crate::clock::ManualClock;
use crate::store::StoreError;
use crate::sync::atomic::{AtomicBool, Ordering};

type Manual = Pin<Box<dyn Future<Output = Result<Answered, StoreError>> + Send>>;

fn gatherer(network: &Arc<Network>) -> Arc<Gatherer> {
    Gatherer::new(network.clone(), Arc::new(ManualClock::default()), network.gathering())
}

/// Starts a look-up on a thread of its own that ends with the record.
fn find(gatherer: &Arc<Gatherer>, number: usize) -> thread::JoinHandle<()> {
    let gatherer = gatherer.clone();
    thread::spawn(move || {
        let (found, _) = block_on(gatherer.find(id(number))).unwrap();
        assert_eq!(found.unwrap().record.id(), id(number));
    })
}

/// Returns a look-up that the model polls itself.
fn manual(gatherer: &Arc<Gatherer>, number: usize) -> Manual {
    let gatherer = gatherer.clone();
    Box::pin(async move { gatherer.find(id(number)).await })
}

/// Starts a thread that polls a look-up up to twice and returns it.
fn polled(gatherer: &Arc<Gatherer>, number: usize) -> thread::JoinHandle<Option<Manual>> {
    let mut look_up = manual(gatherer, number);
    thread::spawn(move || {
        for _ in 0..thread_rng().gen_range(0..3) {
            if look_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                return None;
            }
        }
        Some(look_up)
    })
}

/// Checks that all places are free in the end.
fn expect_free_places(gatherer: &Arc<Gatherer>, network: &Network) {
    assert_eq!(network.in_flight(), 0);
    let both = [find(gatherer, 0), find(gatherer, 1), find(gatherer, 2)];
    for thread in both {
        thread.join().unwrap();
    }
}

#[test]
fn each_look_up_gets_its_record() {
    check_sizes(|network| {
        let gatherer = gatherer(&network);
        let threads = [0, 1, 0, 2].map(|number| find(&gatherer, number));
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(network.in_flight(), 0);
    });
}

#[test]
fn dropped_look_ups_lose_no_place() {
    check_sizes(|network| {
        let gatherer = gatherer(&network);
        let threads = [find(&gatherer, 0), find(&gatherer, 2)];
        let dropped = [polled(&gatherer, 0), polled(&gatherer, 1)];
        for dropped in dropped {
            drop(dropped.join().unwrap());
        }
        for thread in threads {
            thread.join().unwrap();
        }
        expect_free_places(&gatherer, &network);
    });
}

/// A task that drives a call is cancelled, while others wait for the call or for its place.
#[test]
fn cancelled_driver_hands_over() {
    check_sizes(|network| {
        let gatherer = gatherer(&network);
        let driver = manual(&gatherer, 0);
        let driver = shuttle::future::spawn(driver);
        let threads = [find(&gatherer, 0), find(&gatherer, 1)];
        driver.abort();
        for thread in threads {
            thread.join().unwrap();
        }
        let _ = block_on(driver);
        expect_free_places(&gatherer, &network);
    });
}

/// The look-ups that stopped are dropped only after the others have ended.
#[test]
fn stopped_look_ups_do_not_block_others() {
    check_sizes(|network| {
        let gatherer = gatherer(&network);
        let stopped = [polled(&gatherer, 0), polled(&gatherer, 1)];
        let threads = [find(&gatherer, 0), find(&gatherer, 2)];
        for thread in threads {
            thread.join().unwrap();
        }
        drop(stopped.map(|stopped| stopped.join().unwrap()));
        expect_free_places(&gatherer, &network);
    });
}

/// The look-up in front has sent a call and stops. All that wait for the next call stop as well, except the
/// last one.
#[test]
fn stopped_queue_does_not_block_others() {
    check_sizes(|network| {
        let gatherer = gatherer(&network);
        let mut stopped: Vec<_> = (0..3).map(|number| manual(&gatherer, number)).collect();
        for look_up in &mut stopped {
            let _ = look_up.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        find(&gatherer, 2).join().unwrap();
        drop(stopped);
        expect_free_places(&gatherer, &network);
    });
}

#[test]
fn look_up_after_change_reads_it() {
    check_sizes(|network| {
        let gatherer = gatherer(&network);
        let changed = Arc::new(AtomicBool::new(false));
        let threads = [0, 0, 1].map(|number| {
            let (gatherer, changed) = (gatherer.clone(), changed.clone());
            thread::spawn(move || {
                for _ in 0..2 {
                    let is_changed = changed.load(Ordering::SeqCst);
                    let (found, _) = block_on(gatherer.find(id(number))).unwrap();
                    let version = found.unwrap().version.0;
                    assert!(version == 2 || number != 0 || !is_changed, "an older record");
                }
            })
        });
        network.change(id(0), 2);
        changed.store(true, Ordering::SeqCst);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn one_error_leaves_the_others() {
    check_sizes(|network| {
        let mut failing = Network::with(Some(network.gathering()));
        failing.corrupt = Some(id(1));
        let network = Arc::new(failing);
        let gatherer = gatherer(&network);
        let threads = [0, 1, 1, 2].map(|number| {
            let gatherer = gatherer.clone();
            thread::spawn(move || (number, block_on(gatherer.find(id(number)))))
        });
        for thread in threads {
            match thread.join().unwrap() {
                (1, Err(StoreError::Corrupt { .. })) => {}
                (1, _) => panic!("no error"),
                (number, found) => assert_eq!(found.unwrap().0.unwrap().record.id(), id(number)),
            }
        }
    });
}

#[test]
fn panic_of_store_ends_one_call() {
    check_sizes(|network| {
        for panics in 0..2 {
            let mut failing = Network::with(Some(network.gathering()));
            failing.panics = Some(panics);
            let network = Arc::new(failing);
            let gatherer = gatherer(&network);
            let threads = [0, 1, 2].map(|number| {
                let gatherer = gatherer.clone();
                thread::spawn(move || block_on(gatherer.find_gathered(id(number))))
            });
            let mut failed = 0;
            for thread in threads {
                match thread.join().unwrap() {
                    Ok((found, _)) => assert!(found.is_some()),
                    Err(StoreError::Unavailable { .. }) => failed += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            assert!((1..=network.gathering().max_ids).contains(&failed), "{failed} errors");
            expect_free_places(&gatherer, &network);
        }
    });
}
