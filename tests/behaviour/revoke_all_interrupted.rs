//! Revoking by filter while the store fails, other processes write, or the future is dropped.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::harness::{
    Collected, Fault, Faulty, Stores, any, backup, builder, count_live, incident, issue_many,
    records, text,
};
use futures_lite::future::{block_on, poll_once};
use service_tokens::bulk::BulkProgress;
use service_tokens::clock::ManualClock;
use service_tokens::store::StoreError;
use service_tokens::{
    Event, Filter, IssueRequest, ListRequest, ManageError, RevokeRequest, TokenId, TokenService,
    TokenStore,
};

behaviours! {
    failed_revoke_all_reports_progress,
    revoke_all_resolves_lost_answers,
    revoke_all_finds_tokens_issued_meanwhile,
    revoke_all_accepts_changes_by_others,
    revoke_all_unused_spares_newly_used,
    dropped_revoke_all_leaves_whole_records,
    revoke_all_during_issue_and_verify,
    revoke_all_with_slow_sink_keeps_events,
}

pub(crate) async fn failed_revoke_all_reports_progress(stores: Stores) {
    let opened = stores.open();
    let faulty = Arc::new(Faulty::new(opened.store.clone()));
    let collected = Collected::default();
    let service = builder(faulty.clone()).events(collected.sink()).build().unwrap();
    let many = 150;
    let _ = issue_many(&opened.store, many).await;
    let mut done = 0;
    let mut failures = 0;
    // The store fails later in each round: at the first list, in the middle of the revocations, at a later
    // list.
    for calls in [0, 1, 2, 77, 74, 10_000] {
        faulty.arm(&vec![Fault::None; calls], Fault::Unavailable);
        let outcome = service.owner("acme").revoke_all(Filter::new(), incident()).run().await;
        let so_far = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                failures += 1;
                let cause = &error.cause;
                assert!(matches!(cause, ManageError::Store(StoreError::Unavailable { .. })));
                error.so_far
            }
        };
        done += so_far.done;
        // Revocations in progress finish, and no further one starts.
        assert!(calls == 10_000 || faulty.calls().len() <= calls + 64, "{}", faulty.calls().len());
        assert_eq!(count_live(&opened.store).await as u64, many as u64 - done);
        let events = collected.take(&service);
        let revoked = |event: &&Event| matches!(event, Event::Revoked { .. });
        assert_eq!(events.iter().filter(revoked).count() as u64, so_far.done);
        let Some(Event::RevokedAll { revoked, stopped, .. }) = events.last() else {
            panic!("{:?}", events.last())
        };
        assert_eq!((*revoked, stopped.is_some()), (so_far.done, calls < 10_000));
    }
    assert_eq!((done, failures), (many as u64, 5));
}

pub(crate) async fn revoke_all_resolves_lost_answers(stores: Stores) {
    let opened = stores.open();
    let faulty = Arc::new(Faulty::new(opened.store.clone()));
    let service = builder(faulty.clone()).build().unwrap();
    let ids = issue_many(&opened.store, 20).await;
    let script: Vec<Fault> = (0..400)
        .map(|n| match n % 7 {
            3 => Fault::DoneAndLost,
            5 => Fault::LostBefore,
            _ => Fault::None,
        })
        .collect();
    // A list or a look-up with a lost answer is a failure. The revoked tokens stay revoked.
    let mut done = 0;
    for round in 0.. {
        assert!(round < 200);
        faulty.arm(&script[round..], Fault::None);
        match service.owner("acme").revoke_all(Filter::new(), incident()).run().await {
            Ok(outcome) if outcome.failed == 0 => {
                done += outcome.done;
                break;
            }
            Ok(outcome) => done += outcome.done,
            Err(error) => done += error.so_far.done,
        }
    }
    assert_eq!(count_live(&opened.store).await, 0);
    assert!(done <= ids.len() as u64);
}

pub(crate) async fn revoke_all_finds_tokens_issued_meanwhile(stores: Stores) {
    let opened = stores.open();
    let store = opened.store.clone();
    let later = builder(store.clone()).build().unwrap();
    let older_ids: Vec<TokenId> = (0..3).map(|_| later.new_id().unwrap()).collect();
    let _ = issue_many(&opened.store, 3).await;
    let next = Arc::new(AtomicUsize::new(0));
    let faulty = Arc::new(Faulty::with_rival(opened.store.clone(), move |_| {
        let id = older_ids[next.fetch_add(1, Ordering::SeqCst)];
        let store = store.clone();
        Box::pin(async move {
            let service = builder(store).build().unwrap();
            let request = IssueRequest::new("connector", "backup").id(id);
            let _ = service.owner("acme").issue(request).await.unwrap();
        })
    }));
    let service = builder(faulty.clone()).build().unwrap();
    // Calls: list, then replace for each token. A rival issues in the first pass, and in the two passes that
    // follow because of that.
    let script: Vec<Fault> = [2, 5, 7].iter().fold(vec![Fault::None; 40], |mut script, at| {
        script[*at] = Fault::Rival(0);
        script
    });
    faulty.arm(&script, Fault::None);
    let outcome = service.owner("acme").revoke_all(Filter::new(), incident()).run().await.unwrap();
    assert_eq!((outcome.done, outcome.passes), (6, 5));
    assert_eq!(count_live(&opened.store).await, 0);
}

pub(crate) async fn revoke_all_accepts_changes_by_others(stores: Stores) {
    let opened = stores.open();
    let ids = issue_many(&opened.store, 4).await;
    let store = opened.store.clone();
    let faulty = Arc::new(Faulty::with_rival(opened.store.clone(), move |_| {
        let (store, ids) = (store.clone(), ids.clone());
        Box::pin(async move {
            let service = builder(store.clone()).build().unwrap();
            for id in &ids[..2] {
                let _ = service.all_owners().revoke(*id, RevokeRequest::new()).await.unwrap();
            }
            let version = store.find(ids[1]).await.unwrap().unwrap().version;
            store.remove(ids[1], version).await.unwrap();
        })
    }));
    let service = builder(faulty.clone()).build().unwrap();
    // Directly after the list a rival revokes the first two tokens and removes the second. Before the first
    // write it would race with the other writes of the page.
    faulty.arm(&[Fault::RivalAfter(0)], Fault::None);
    let outcome = service.owner("acme").revoke_all(Filter::new(), incident()).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed, outcome.passes), (2, 0, 2));
    assert_eq!(count_live(&opened.store).await, 0);
}

pub(crate) async fn revoke_all_unused_spares_newly_used(stores: Stores) {
    for flushes in [false, true] {
        let opened = stores.open();
        let clock = Arc::new(ManualClock::default());
        let service: Arc<OnceLock<TokenService<Arc<Faulty>>>> = Arc::default();
        let last = Arc::new(OnceLock::<String>::new());
        let (user, used) = (service.clone(), last.clone());
        let faulty = Arc::new(Faulty::with_rival(opened.store.clone(), move |_| {
            let (user, used) = (user.clone(), used.clone());
            Box::pin(async move {
                let service = user.get().unwrap();
                service.verify(used.get().unwrap(), &any()).await.unwrap();
                if flushes {
                    assert_eq!(service.flush_last_used().await.unwrap().tokens, 1);
                }
            })
        }));
        let built = builder(faulty.clone()).clock(clock.clone()).build().unwrap();
        let service = service.get_or_init(|| built);
        // More tokens than are revoked at a time, so the last ones have to wait.
        for n in 0..70 {
            let token = text(&service.owner("acme").issue(backup()).await.unwrap());
            clock.advance(Duration::from_millis(2));
            if n == 69 {
                last.set(token).unwrap();
            }
        }
        let since = service.now();
        clock.advance(Duration::from_secs(3_600));
        faulty.arm(&[Fault::None, Fault::Rival(0)], Fault::None);
        let which = Filter::new().unused_since(since);
        let outcome = service.owner("acme").revoke_all(which, incident()).run().await.unwrap();
        assert_eq!((outcome.done, outcome.failed, outcome.passes), (69, 0, 2));
        service.verify(last.get().unwrap(), &any()).await.unwrap();
    }
}

pub(crate) async fn dropped_revoke_all_leaves_whole_records(stores: Stores) {
    let opened = stores.open();
    let collected = Collected::default();
    let service = builder(opened.store.clone()).events(collected.sink()).build().unwrap();
    let many = 2_500;
    let _ = issue_many(&opened.store, many).await;
    let mut given_up = 0;
    for polls in [1, 1, 2, 3, 5, 8, 13, 21] {
        let progress = Mutex::new(None);
        let run = service
            .owner("acme")
            .revoke_all(Filter::new(), incident())
            .on_progress(|latest| *progress.lock().unwrap() = Some(latest.clone()))
            .run();
        let mut run = Box::pin(run);
        let mut over = false;
        for _ in 0..polls {
            over = over || poll_once(&mut run).await.is_some();
        }
        if over {
            break;
        }
        drop(run);
        let events = collected.take(&service);
        let Some(Event::RevokedAll { revoked, stopped: Some(why), .. }) = events.last() else {
            panic!("{:?}", events.last())
        };
        assert!(why.contains("gave up"), "{why}");
        let reported =
            progress.lock().unwrap().as_ref().map_or(0, |progress: &BulkProgress| progress.done);
        assert!(*revoked >= reported);
        given_up += 1;
        // Each record can be read. It is revoked with its reason or not revoked.
        for record in records(&*opened.store).await {
            let words = record.revocation().map(|r| (r.by.as_deref(), r.reason.as_deref()));
            assert!(matches!(words, None | Some((Some("alice"), Some("INC-42")))));
        }
    }
    assert!(given_up >= 2, "{given_up}");
    let outcome = service.owner("acme").revoke_all(Filter::new(), incident()).run().await.unwrap();
    assert_eq!(outcome.failed, 0);
    assert_eq!(count_live(&opened.store).await, 0);
}

/// Two threads revoke, while others issue and verify tokens that stay and issue tokens that are selected.
pub(crate) async fn revoke_all_during_issue_and_verify(stores: Stores) {
    let opened = stores.open();
    let service = Arc::new(builder(opened.store.clone()).build().unwrap());
    let ids = issue_many(&opened.store, 1_500).await;
    let stop = AtomicBool::new(false);
    let (staying, gone) = std::thread::scope(|scope| {
        let staying = scope.spawn(|| {
            let mut tokens = Vec::new();
            loop {
                let request = IssueRequest::new("connector", "stays");
                tokens.push(text(&block_on(service.owner("acme").issue(request)).unwrap()));
                assert!(block_on(service.verify(&tokens[tokens.len() / 2], &any())).is_ok());
                if stop.load(Ordering::SeqCst) {
                    break;
                }
            }
            tokens
        });
        let gone = scope.spawn(|| {
            let mut tokens = Vec::new();
            for _ in 0..500 {
                tokens.push(text(&block_on(service.owner("acme").issue(backup())).unwrap()));
            }
            tokens
        });
        let revoke = || {
            let which = Filter::new().issued_to("backup");
            let run = service.owner("acme").revoke_all(which, incident()).run();
            block_on(run).unwrap()
        };
        let both = [scope.spawn(revoke), scope.spawn(revoke)];
        let mut done: u64 = both.map(|run| run.join().unwrap().done).iter().sum();
        let gone = gone.join().unwrap();
        done += revoke().done;
        // Stops the other thread before the assertions. Otherwise a failure would leave it running.
        stop.store(true, Ordering::SeqCst);
        assert_eq!(done, (ids.len() + gone.len()) as u64, "each counts once");
        (staying.join().unwrap(), gone)
    });
    for token in gone {
        assert!(service.verify(&token, &any()).await.is_err());
    }
    assert!(!staying.is_empty());
    for token in &staying {
        service.verify(token, &any()).await.unwrap();
    }
    assert_eq!(count_live(&opened.store).await, staying.len());
}

pub(crate) async fn revoke_all_with_slow_sink_keeps_events(stores: Stores) {
    let opened = stores.open();
    // More tokens than the queue has places.
    let many = 9_000;
    let _ = issue_many(&opened.store, many).await;
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = {
        let seen = seen.clone();
        move |event: &Event| {
            // Blocks until the test releases it.
            let _ = released.lock().unwrap().recv();
            seen.lock().unwrap().push(event.clone());
        }
    };
    let service = builder(opened.store.clone()).events(sink).build().unwrap();
    let done = AtomicUsize::new(0);
    let (ended, end) = channel::<()>();
    std::thread::scope(|scope| {
        let done = &done;
        let service = &service;
        let run = scope.spawn(move || {
            let run = service.all_owners().revoke_all(Filter::new(), incident());
            let run = run.on_progress(|p| done.store(p.done as usize, Ordering::SeqCst)).run();
            let outcome = block_on(run).unwrap();
            let _ = ended.send(());
            outcome
        });
        // The revocation fills the room in the queue and then waits.
        while done.load(Ordering::SeqCst) < 2_000 {
            std::thread::yield_now();
        }
        for _ in 0..200 {
            // Events of single operations still have room, and are not lost.
            let _ = block_on(service.all_owners().list(ListRequest::new().limit(1))).unwrap();
        }
        assert!(
            end.recv_timeout(Duration::from_millis(300)).is_err(),
            "no operation waited for the sink"
        );
        drop(release);
        assert_eq!(run.join().unwrap().done, many as u64);
    });
    assert!(service.flush_events_blocking(Duration::from_secs(60)).is_ok());
    let seen = seen.lock().unwrap();
    let count = |wanted: fn(&Event) -> bool| seen.iter().filter(|event| wanted(event)).count();
    assert_eq!(count(|event| matches!(event, Event::Lost { .. })), 0);
    assert_eq!(count(|event| matches!(event, Event::Revoked { .. })), many);
    assert_eq!(count(|event| matches!(event, Event::Listed { .. })), 200);
    assert!(matches!(seen.last(), Some(Event::RevokedAll { revoked: 9_000, .. })));
}
