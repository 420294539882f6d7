//! Issuing is stopped at run time while everything else goes on.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};

use futures_lite::future::{block_on, poll_once};
use service_tokens::clock::ManualClock;
use service_tokens::record::{Field, Rule};
use service_tokens::{Event, Filter, IssueRequest, ListRequest, ManageError, RotateRequest};
use support::many::{request, words};
use support::{
    Collected, DAY, Fault, Faulty, Open, Remote, acting, any, builder, over_stores, records, text,
};
use tokio::sync::Semaphore;

over_stores! {
    everything_else_goes_on,
    it_waits_for_what_is_under_way,
    it_waits_for_the_second_reading_of_an_acting_token,
    an_issue_that_is_dropped_is_waited_for_no_more,
    resuming_lets_those_go_who_wait,
    a_stop_that_is_dropped_stops_all_the_same,
    a_broken_reason_stops_nothing,
    a_failing_issue_is_over,
    changes_are_events,
    after_a_stop_no_thread_makes_a_token,
}

async fn everything_else_goes_on(open: Open) {
    let opened = open();
    let clock = Arc::new(ManualClock::default());
    let service = builder(opened.store.clone()).clock(clock.clone()).build().unwrap();
    let first = service.owner("acme").issue(request()).await.unwrap();
    let second = service.owner("acme").issue(request()).await.unwrap();
    assert_eq!(service.issuing_paused(), None);
    service.pause_issuing("INC-42").await.unwrap();
    assert_eq!(service.issuing_paused().as_deref(), Some("INC-42"));

    let unknown = service.new_id().unwrap();
    for request in [request(), request().id(unknown), request().owner_of_nothing()] {
        match service.owner("acme").issue(request).await {
            Err(ManageError::IssuingPaused { reason }) => assert_eq!(reason, "INC-42"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(records(&*opened.store).await.len(), 2);
    let view = service.owner("acme");
    service.verify(&text(&first), &any()).await.unwrap();
    let _ = view.get(first.record.id()).await.unwrap();
    assert_eq!(view.list(ListRequest::new()).await.unwrap().items.len(), 2);
    let _ = view.rotate(first.record.id(), RotateRequest::at_once()).await.unwrap();
    let _ = view.revoke(first.record.id(), words()).await.unwrap();
    assert_eq!(view.revoke_all(Filter::new(), words()).run().await.unwrap().done, 1);
    assert!(service.verify(&text(&second), &any()).await.is_err());
    clock.advance(2 * DAY);
    assert_eq!(view.purge(DAY).run().await.unwrap().done, 2);

    // Another reason, then on.
    service.pause_issuing("INC-43").await.unwrap();
    assert_eq!(service.issuing_paused().as_deref(), Some("INC-43"));
    assert_eq!(service.resume_issuing(), service_tokens::Resumed::WasPaused);
    assert_eq!(service.resume_issuing(), service_tokens::Resumed::WasNotPaused);
    assert_eq!(service.issuing_paused(), None);
    let _ = service.owner("acme").issue(request()).await.unwrap();
}

trait OfNothing {
    fn owner_of_nothing(self) -> Self;
}

impl OfNothing for IssueRequest {
    /// What would be refused by itself is told the same.
    fn owner_of_nothing(self) -> Self {
        IssueRequest::new("no such type", "")
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A store whose inserts wait for a permit.
fn held(open: Open) -> (Arc<Faulty>, Arc<Semaphore>, support::Opened) {
    let opened = open();
    let permits = Arc::new(Semaphore::new(0));
    let waits = permits.clone();
    let faulty = Faulty::with_rival(opened.store.clone(), move |_| {
        let waits = waits.clone();
        Box::pin(async move { waits.acquire().await.unwrap().forget() })
    });
    faulty.arm(&[], Fault::Rival(0));
    (Arc::new(faulty), permits, opened)
}

async fn it_waits_for_what_is_under_way(open: Open) {
    let (faulty, permits, opened) = held(open);
    let service = builder(faulty.clone()).build().unwrap();
    let mut issues = [
        Box::pin(service.owner("acme").issue(request())),
        Box::pin(service.owner("acme").issue(request())),
    ];
    for issue in &mut issues {
        assert!(poll_once(issue).await.is_none());
    }
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    let mut stop = Box::pin(service.pause_issuing("INC-42"));
    let mut poll = |context: &mut Context<'_>| stop.as_mut().poll(context);
    assert!(poll(&mut context).is_pending());
    assert!(matches!(
        service.owner("acme").issue(request()).await,
        Err(ManageError::IssuingPaused { .. })
    ));
    permits.add_permits(2);
    let [first, second] = issues;
    let first = first.await.unwrap();
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    assert!(poll(&mut context).is_pending(), "one is still under way");
    let _ = second.await.unwrap();
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert!(matches!(poll(&mut context), Poll::Ready(Ok(()))));
    assert_eq!(records(&*opened.store).await.len(), 2);
    faulty.disarm();
    service.verify(&text(&first), &any()).await.unwrap();
}

async fn it_waits_for_the_second_reading_of_an_acting_token(open: Open) {
    let opened = open();
    let remote = Arc::new(Remote::new(opened.store.clone()));
    let service = acting::builder(remote.clone(), Arc::default()).build().unwrap();
    let manager = service.owner("acme").issue(acting::request(&acting::MANAGER)).await.unwrap();
    let token = service.verify(&text(&manager), &any()).await.unwrap();
    remote.finds();
    remote.hold(true);
    remote.release(1);
    let mut act = Box::pin(service.on_behalf_of(&token).issue(acting::files()));
    let mut readings = 0;
    while readings < 2 {
        assert!(poll_once(&mut act).await.is_none());
        readings += remote.finds();
    }
    assert_eq!(records(&*opened.store).await.len(), 2);
    let mut stop = Box::pin(service.pause_issuing("INC-42"));
    assert!(poll_once(&mut stop).await.is_none(), "a token is handed out after that");
    remote.release(1);
    let _ = act.await.unwrap();
    stop.await.unwrap();
}

async fn an_issue_that_is_dropped_is_waited_for_no_more(open: Open) {
    let (faulty, _permits, opened) = held(open);
    let service = builder(faulty).build().unwrap();
    let mut issue = Box::pin(service.owner("acme").issue(request()));
    assert!(poll_once(&mut issue).await.is_none());
    let mut stop = Box::pin(service.pause_issuing("INC-42"));
    assert!(poll_once(&mut stop).await.is_none());
    drop(issue);
    stop.await.unwrap();
    assert!(records(&*opened.store).await.is_empty());
}

async fn resuming_lets_those_go_who_wait(open: Open) {
    let (faulty, permits, _opened) = held(open);
    let service = builder(faulty).build().unwrap();
    let mut issue = Box::pin(service.owner("acme").issue(request()));
    assert!(poll_once(&mut issue).await.is_none());
    let mut stop = Box::pin(service.pause_issuing("INC-42"));
    assert!(poll_once(&mut stop).await.is_none());
    service.resume_issuing();
    stop.await.unwrap();
    permits.add_permits(1);
    let _ = issue.await.unwrap();
}

async fn a_stop_that_is_dropped_stops_all_the_same(open: Open) {
    let (faulty, permits, _opened) = held(open);
    let service = builder(faulty).build().unwrap();
    let mut issue = Box::pin(service.owner("acme").issue(request()));
    assert!(poll_once(&mut issue).await.is_none());
    let mut stop = Box::pin(service.pause_issuing("INC-42"));
    assert!(poll_once(&mut stop).await.is_none());
    drop(stop);
    assert!(service.owner("acme").issue(request()).await.is_err());
    permits.add_permits(1);
    let _ = issue.await.unwrap();
    assert!(service.owner("acme").issue(request()).await.is_err());
}

async fn a_broken_reason_stops_nothing(open: Open) {
    let opened = open();
    let service = builder(opened.store).build().unwrap();
    let longest = Rule::TooLong { max: 1_000 };
    for (reason, rule) in [(String::new(), Rule::Empty), ("x".repeat(1_001), longest)] {
        match service.pause_issuing(reason).await {
            Err(ManageError::Invalid(invalid)) => {
                assert_eq!((invalid.field, invalid.rule), (Field::Reason, rule));
            }
            other => panic!("{other:?}"),
        }
        let _ = service.owner("acme").issue(request()).await.unwrap();
    }
    service.pause_issuing("x".repeat(1_000)).await.unwrap();
}

async fn a_failing_issue_is_over(open: Open) {
    let opened = open();
    let faulty = Arc::new(Faulty::new(opened.store));
    let service = builder(faulty.clone()).build().unwrap();
    faulty.arm(&[], Fault::Unavailable);
    assert!(service.owner("acme").issue(request()).await.is_err());
    assert!(service.owner("").issue(IssueRequest::new("connector", "x")).await.is_err());
    service.pause_issuing("INC-42").await.unwrap();
}

async fn changes_are_events(open: Open) {
    let opened = open();
    let collected = Collected::default();
    let service = builder(opened.store).events(collected.sink()).build().unwrap();
    service.pause_issuing("INC-42").await.unwrap();
    let events = collected.take(&service);
    let [Event::IssuingPaused { reason, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(reason, "INC-42");
    assert!(service.owner("acme").issue(request()).await.is_err());
    let events = collected.take(&service);
    let [Event::Failed { cause, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(cause, "issuing is paused: INC-42");
    assert_eq!(service.resume_issuing(), service_tokens::Resumed::WasPaused);
    assert_eq!(collected.take(&service), [Event::IssuingResumed]);
    assert_eq!(service.resume_issuing(), service_tokens::Resumed::WasNotPaused);
    assert_eq!(collected.take(&service), []);
}

async fn after_a_stop_no_thread_makes_a_token(open: Open) {
    let opened = open();
    let service = builder(opened.store.clone()).build().unwrap();
    for _ in 0..20 {
        let threads = 4;
        let start = Barrier::new(threads + 1);
        let issued = std::thread::scope(|scope| {
            let issuers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        let mut issued = 0;
                        loop {
                            match block_on(service.owner("acme").issue(request())) {
                                Ok(_) => issued += 1,
                                Err(ManageError::IssuingPaused { .. }) => return issued,
                                Err(other) => panic!("{other:?}"),
                            }
                        }
                    })
                })
                .collect();
            start.wait();
            while block_on(records(&*opened.store)).is_empty() {}
            block_on(service.pause_issuing("INC-42")).unwrap();
            let at_once = block_on(records(&*opened.store)).len();
            let issued: usize = issuers.into_iter().map(|issuer| issuer.join().unwrap()).sum();
            assert_eq!(at_once, issued, "a token appeared after the stop");
            issued
        });
        assert!(issued > 0);
        for record in records(&*opened.store).await {
            let version = opened.store.find(record.id()).await.unwrap().unwrap().version;
            opened.store.remove(record.id(), version).await.unwrap();
        }
        service.resume_issuing();
    }
}
