//! Verifications through the cache, with and without gathering.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use super::network::{Network, issued};
use super::{SIZES, check};
use crate::clock::{Clock, ManualClock};
use crate::record::Record;
use crate::scope::{Requirement, TokenType};
use crate::service::{RevokeRequest, TokenService};
use crate::store::Gathering;
use crate::stores::MemoryStore;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

const MAX_AGE: Duration = Duration::from_secs(10);

type Service = Arc<TokenService<Arc<Network>>>;

/// Runs a model without gathering, and with each of the sizes.
fn check_services(
    model: impl Fn(Service, Arc<Network>, Arc<ManualClock>) + Copy + Send + Sync + 'static,
) {
    let sizes = SIZES.map(|(max_ids, max_calls)| Some(Gathering::new(max_ids, max_calls)));
    for gathering in [None].into_iter().chain(sizes) {
        check(move || {
            let mut network = Network::with(gathering);
            network.is_limited = false;
            let network = Arc::new(network);
            // The records are issued at the present time.
            let clock = Arc::new(ManualClock::new(issued()[0].1.created_at()));
            let service = TokenService::builder(network.clone(), "acme_live")
                .token_type(TokenType::new("connector", ["files:upload"]).unwrap())
                .clock(clock.clone())
                .cache_records(MAX_AGE, 16)
                .build()
                .unwrap();
            model(Arc::new(service), network, clock);
        });
    }
}

/// Verifies the token with this number.
fn accepts(service: &Service, number: usize) -> bool {
    block_on(service.verify(&issued()[number].0, &Requirement::any_token())).is_ok()
}

/// Returns the first record as another process has revoked it.
fn revoked() -> Record {
    static REVOKED: std::sync::OnceLock<Record> = std::sync::OnceLock::new();
    REVOKED
        .get_or_init(|| {
            let record = &issued()[0].1;
            let store = MemoryStore::new();
            futures_lite::future::block_on(crate::store::TokenStore::insert(&store, record))
                .unwrap();
            let service = TokenService::builder(store, "acme_live").build().unwrap();
            let all = service.all_owners();
            let revoking = all.revoke(record.id(), RevokeRequest::new());
            futures_lite::future::block_on(revoking).unwrap().record
        })
        .clone()
}

/// Starts threads that verify the first token twice. None is accepted that begins while `is_over` is set.
fn verifying<const N: usize>(
    service: &Service,
    is_over: &Arc<AtomicBool>,
) -> [thread::JoinHandle<()>; N] {
    std::array::from_fn(|_| {
        let (service, is_over) = (service.clone(), is_over.clone());
        thread::spawn(move || {
            for _ in 0..2 {
                let before = is_over.load(Ordering::SeqCst);
                let accepted = accepts(&service, 0);
                assert!(!(before && accepted), "accepted after the revocation");
            }
        })
    })
}

#[test]
fn revoked_token_is_not_accepted() {
    check_services(|service, _, _| {
        let is_revoked = Arc::new(AtomicBool::new(false));
        let threads: [_; 2] = verifying(&service, &is_revoked);
        block_on(service.all_owners().revoke(issued()[0].1.id(), RevokeRequest::new())).unwrap();
        is_revoked.store(true, Ordering::SeqCst);
        assert!(!accepts(&service, 0));
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(!accepts(&service, 0));
    });
}

/// Another process has revoked the token, and this one checks its cached records.
#[test]
fn checked_record_is_not_accepted() {
    check_services(|service, network, _| {
        let is_checked = Arc::new(AtomicBool::new(false));
        let threads: [_; 2] = verifying(&service, &is_checked);
        network.put(revoked(), 2);
        block_on(service.check_cached_records()).unwrap();
        is_checked.store(true, Ordering::SeqCst);
        assert!(!accepts(&service, 0));
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(!accepts(&service, 0));
    });
}

/// Another process has revoked the token. The record is used all the time, and ends with its age.
#[test]
fn used_record_is_not_accepted_too_long() {
    check_services(|service, network, clock| {
        assert!(accepts(&service, 0));
        let revoked_at = Arc::new(Mutex::new(None));
        let threads: [_; 2] = std::array::from_fn(|_| {
            let (service, clock, revoked_at) = (service.clone(), clock.clone(), revoked_at.clone());
            thread::spawn(move || {
                for _ in 0..3 {
                    let began = clock.monotonic();
                    let revoked_at: Option<Duration> = *revoked_at.lock().unwrap();
                    let accepted = accepts(&service, 0);
                    let is_over = revoked_at.is_some_and(|revoked| began > revoked + MAX_AGE);
                    assert!(!(is_over && accepted), "accepted after the age");
                }
            })
        });
        network.put(revoked(), 2);
        *revoked_at.lock().unwrap() = Some(clock.monotonic());
        for _ in 0..3 {
            clock.advance(Duration::from_secs(6));
            thread::yield_now();
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(!accepts(&service, 0));
    });
}

/// Verifications that stop or are dropped do not block those that wait for the same read.
#[test]
fn stopped_verifications_do_not_block_others() {
    check_services(|service, network, _| {
        let stopped = [0, 1].map(|number| {
            let service = service.clone();
            let mut verification = Box::pin(async move {
                let any = Requirement::any_token();
                service.verify(&issued()[number].0, &any).await.is_ok()
            });
            thread::spawn(move || {
                for _ in 0..thread_rng().gen_range(0..3) {
                    let mut context = Context::from_waker(Waker::noop());
                    if verification.as_mut().poll(&mut context).is_ready() {
                        return None;
                    }
                }
                thread_rng().gen_bool(0.5).then_some(verification)
            })
        });
        let threads = [0, 2].map(|number| {
            let service = service.clone();
            thread::spawn(move || assert!(accepts(&service, number)))
        });
        for thread in threads {
            thread.join().unwrap();
        }
        drop(stopped.map(|stopped| stopped.join().unwrap()));
        assert_eq!(network.in_flight(), 0);
        assert!(accepts(&service, 1));
    });
}
