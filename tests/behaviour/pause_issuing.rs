//! Pausing issuing: it waits for pending issues, and stops later ones only.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};

use super::harness::{
    Collected, DAY, Fault, Faulty, MANAGER, Opened, Remote, Stores, any, backup, builder,
    files_request, incident, records, scoped_request, text,
};
use futures_lite::future::{block_on, poll_once};
use service_tokens::clock::ManualClock;
use service_tokens::record::{Field, Rule};
use service_tokens::{Event, Filter, IssueRequest, ListRequest, ManageError, RotateRequest};
use tokio::sync::Semaphore;

behaviours! {
    pause_issuing_leaves_other_operations,
    pause_issuing_waits_for_pending_issues,
    pause_issuing_waits_for_caller_reread,
    pause_issuing_ignores_dropped_issue,
    resume_issuing_releases_pause_waiters,
    dropped_pause_still_pauses,
    pause_issuing_with_invalid_reason_is_refused,
    pause_issuing_ignores_failed_issue,
    pause_and_resume_are_events,
    pause_issuing_stops_all_threads,
}

pub(crate) async fn pause_issuing_leaves_other_operations(stores: Stores) {
    let opened = stores.open();
    let clock = Arc::new(ManualClock::default());
    let service = builder(opened.store.clone()).clock(clock.clone()).build().unwrap();
    let first = service.owner("acme").issue(backup()).await.unwrap();
    let second = service.owner("acme").issue(backup()).await.unwrap();
    assert_eq!(service.issuing_paused(), None);
    service.pause_issuing("INC-42").await.unwrap();
    assert_eq!(service.issuing_paused().as_deref(), Some("INC-42"));

    let unknown = service.new_id().unwrap();
    // The pause is reported even for a request that is invalid in every field.
    let invalid = IssueRequest::new("no such type", "");
    for (owner, request) in [("acme", backup()), ("acme", backup().id(unknown)), ("", invalid)] {
        match service.owner(owner).issue(request).await {
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
    let _ = view.revoke(first.record.id(), incident()).await.unwrap();
    assert_eq!(view.revoke_all(Filter::new(), incident()).run().await.unwrap().done, 1);
    assert!(service.verify(&text(&second), &any()).await.is_err());
    clock.advance(2 * DAY);
    assert_eq!(view.purge(DAY).run().await.unwrap().done, 2);

    // Pauses with another reason, then resumes.
    service.pause_issuing("INC-43").await.unwrap();
    assert_eq!(service.issuing_paused().as_deref(), Some("INC-43"));
    assert_eq!(service.resume_issuing(), service_tokens::ResumedIssuing::WasPaused);
    assert_eq!(service.resume_issuing(), service_tokens::ResumedIssuing::WasNotPaused);
    assert_eq!(service.issuing_paused(), None);
    let _ = service.owner("acme").issue(backup()).await.unwrap();
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
fn held(stores: Stores) -> (Arc<Faulty>, Arc<Semaphore>, Opened) {
    let opened = stores.open();
    let permits = Arc::new(Semaphore::new(0));
    let waits = permits.clone();
    let faulty = Faulty::with_rival(opened.store.clone(), move |_| {
        let waits = waits.clone();
        Box::pin(async move { waits.acquire().await.unwrap().forget() })
    });
    faulty.arm(&[], Fault::Rival(0));
    (Arc::new(faulty), permits, opened)
}

pub(crate) async fn pause_issuing_waits_for_pending_issues(stores: Stores) {
    let (faulty, permits, opened) = held(stores);
    let service = builder(faulty.clone()).build().unwrap();
    let mut issues = [
        Box::pin(service.owner("acme").issue(backup())),
        Box::pin(service.owner("acme").issue(backup())),
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
        service.owner("acme").issue(backup()).await,
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

pub(crate) async fn pause_issuing_waits_for_caller_reread(stores: Stores) {
    let opened = stores.open();
    let remote = Arc::new(Remote::new(opened.store.clone()));
    let service = builder(remote.clone()).clock(Arc::<ManualClock>::default()).build().unwrap();
    let manager = service.owner("acme").issue(scoped_request(&MANAGER)).await.unwrap();
    let token = service.verify(&text(&manager), &any()).await.unwrap();
    remote.finds();
    remote.hold(true);
    remote.release(1);
    let mut issue = Box::pin(service.on_behalf_of(&token).issue(files_request()));
    let mut readings = 0;
    while readings < 2 {
        assert!(poll_once(&mut issue).await.is_none());
        readings += remote.finds();
    }
    assert_eq!(records(&*opened.store).await.len(), 2);
    let mut stop = Box::pin(service.pause_issuing("INC-42"));
    assert!(poll_once(&mut stop).await.is_none(), "a token is handed out after that");
    remote.release(1);
    let _ = issue.await.unwrap();
    stop.await.unwrap();
}

pub(crate) async fn pause_issuing_ignores_dropped_issue(stores: Stores) {
    let (faulty, _permits, opened) = held(stores);
    let service = builder(faulty).build().unwrap();
    let mut issue = Box::pin(service.owner("acme").issue(backup()));
    assert!(poll_once(&mut issue).await.is_none());
    let mut stop = Box::pin(service.pause_issuing("INC-42"));
    assert!(poll_once(&mut stop).await.is_none());
    drop(issue);
    stop.await.unwrap();
    assert!(records(&*opened.store).await.is_empty());
}

pub(crate) async fn resume_issuing_releases_pause_waiters(stores: Stores) {
    let (faulty, permits, _opened) = held(stores);
    let service = builder(faulty).build().unwrap();
    let mut issue = Box::pin(service.owner("acme").issue(backup()));
    assert!(poll_once(&mut issue).await.is_none());
    let mut stop = Box::pin(service.pause_issuing("INC-42"));
    assert!(poll_once(&mut stop).await.is_none());
    service.resume_issuing();
    stop.await.unwrap();
    permits.add_permits(1);
    let _ = issue.await.unwrap();
}

pub(crate) async fn dropped_pause_still_pauses(stores: Stores) {
    let (faulty, permits, _opened) = held(stores);
    let service = builder(faulty).build().unwrap();
    let mut issue = Box::pin(service.owner("acme").issue(backup()));
    assert!(poll_once(&mut issue).await.is_none());
    let mut stop = Box::pin(service.pause_issuing("INC-42"));
    assert!(poll_once(&mut stop).await.is_none());
    drop(stop);
    assert!(service.owner("acme").issue(backup()).await.is_err());
    permits.add_permits(1);
    let _ = issue.await.unwrap();
    assert!(service.owner("acme").issue(backup()).await.is_err());
}

pub(crate) async fn pause_issuing_with_invalid_reason_is_refused(stores: Stores) {
    let opened = stores.open();
    let service = builder(opened.store).build().unwrap();
    let longest = Rule::TooLong { max: 1_000 };
    for (reason, rule) in [(String::new(), Rule::Empty), ("x".repeat(1_001), longest)] {
        match service.pause_issuing(reason).await {
            Err(ManageError::Invalid(invalid)) => {
                assert_eq!((invalid.field, invalid.rule), (Field::Reason, rule));
            }
            other => panic!("{other:?}"),
        }
        let _ = service.owner("acme").issue(backup()).await.unwrap();
    }
    service.pause_issuing("x".repeat(1_000)).await.unwrap();
}

pub(crate) async fn pause_issuing_ignores_failed_issue(stores: Stores) {
    let opened = stores.open();
    let faulty = Arc::new(Faulty::new(opened.store));
    let service = builder(faulty.clone()).build().unwrap();
    faulty.arm(&[], Fault::Unavailable);
    assert!(service.owner("acme").issue(backup()).await.is_err());
    assert!(service.owner("").issue(IssueRequest::new("connector", "x")).await.is_err());
    service.pause_issuing("INC-42").await.unwrap();
}

pub(crate) async fn pause_and_resume_are_events(stores: Stores) {
    let opened = stores.open();
    let collected = Collected::default();
    let service = builder(opened.store).events(collected.sink()).build().unwrap();
    service.pause_issuing("INC-42").await.unwrap();
    let events = collected.take(&service);
    let [Event::IssuingPaused { reason, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(reason, "INC-42");
    assert!(service.owner("acme").issue(backup()).await.is_err());
    let events = collected.take(&service);
    let [Event::Failed { cause, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(cause, "issuing is paused: INC-42");
    assert_eq!(service.resume_issuing(), service_tokens::ResumedIssuing::WasPaused);
    assert_eq!(collected.take(&service), [Event::IssuingResumed]);
    assert_eq!(service.resume_issuing(), service_tokens::ResumedIssuing::WasNotPaused);
    assert_eq!(collected.take(&service), []);
}

pub(crate) async fn pause_issuing_stops_all_threads(stores: Stores) {
    let opened = stores.open();
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
                            match block_on(service.owner("acme").issue(backup())) {
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
