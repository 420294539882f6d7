//! The limit of live tokens of an owner under simultaneous issues, dropped futures and lost answers.

use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_lite::future::{block_on, poll_once};
use service_tokens::import::{Characters, ImportDigest, ImportForm};
use service_tokens::store::{StoreError, Version};
use service_tokens::{
    Event, ImportRequest, IssueRequest, Issued, ListRequest, ManageError, Page, Policy, Record,
    StoredRecord, TokenId, TokenStore,
};

use super::harness::{
    Fault, Harness, MANAGER, MINUTE, SharedStore, Stores, backup, files_request, records,
};

behaviours! {
    simultaneous_issues_stop_at_owner_limit,
    racing_threads_stop_at_owner_limit,
    issue_dropped_before_insert_frees_place,
    issue_dropped_in_insert_holds_place,
    issue_dropped_after_insert_counts_once,
    import_dropped_in_insert_holds_place,
    issue_in_progress_counts_once,
    revoked_token_in_progress_holds_its_place,
    failed_issue_frees_place,
    lost_answer_of_issue_counts_once,
}

type Issuing<'a> = Pin<Box<dyn Future<Output = Result<Issued, ManageError>> + 'a>>;

fn limit(max: usize) -> Policy {
    Policy::new().max_active_per_owner(max)
}

#[track_caller]
fn refused(outcome: &Result<Issued, ManageError>, max: usize) {
    assert!(
        matches!(outcome, Err(ManageError::TooManyActive { max: of }) if *of == max),
        "{outcome:?}"
    );
}

/// Splits outcomes into the number of issued tokens and that of refusals.
fn count(outcomes: &[Result<Issued, ManageError>], max: usize) -> (usize, usize) {
    let (issued, others): (Vec<_>, Vec<_>) = outcomes.iter().partition(|outcome| outcome.is_ok());
    others.iter().for_each(|outcome| refused(outcome, max));
    (issued.len(), others.len())
}

/// Polls each future in turn until all have ended.
async fn drive(futures: Vec<Issuing<'_>>) -> Vec<Result<Issued, ManageError>> {
    let mut waiting = futures;
    let mut outcomes = Vec::new();
    while !waiting.is_empty() {
        let mut rest = Vec::new();
        for mut future in waiting {
            match poll_once(&mut future).await {
                Some(outcome) => outcomes.push(outcome),
                None => rest.push(future),
            }
        }
        waiting = rest;
    }
    outcomes
}

/// All 64 issues have read a list without tokens before the first one inserts.
pub(crate) async fn simultaneous_issues_stop_at_owner_limit(stores: Stores) {
    let harness = Harness::builder(stores).remote().configure(|service| service.policy(limit(6)));
    let harness = harness.build();
    let manager = harness.caller(&MANAGER).await;
    harness.remote().hold(true);
    let mut issuing: Vec<Issuing<'_>> = Vec::new();
    for _ in 0..32 {
        issuing.push(Box::pin(harness.service.on_behalf_of(&manager).issue(files_request())));
    }
    // The first answer is about the calling token.
    for answers in [0, 32] {
        harness.remote().release(answers);
        for future in &mut issuing {
            assert!(poll_once(future).await.is_none());
        }
    }
    for _ in 0..32 {
        let mut future: Issuing<'_> = Box::pin(harness.service.owner("acme").issue(backup()));
        assert!(poll_once(&mut future).await.is_none());
        issuing.push(future);
    }
    harness.remote().hold(false);
    harness.remote().release(64);
    let outcomes = drive(issuing).await;
    assert_eq!(count(&outcomes, 6), (5, 59));
    assert_eq!(records(&*harness.store).await.len(), 6);
    // The limit is exact afterwards.
    refused(&harness.service.owner("acme").issue(backup()).await, 6);
    harness.revoke(manager.id()).await;
    let _ = harness.issue(backup()).await;
    refused(&harness.service.owner("acme").issue(backup()).await, 6);
}

pub(crate) async fn racing_threads_stop_at_owner_limit(stores: Stores) {
    for turn in 0..5 {
        let harness = Harness::with_policy(stores, limit(5));
        let barrier = Barrier::new(64);
        let outcomes: Vec<_> = std::thread::scope(|threads| {
            let issue = || {
                barrier.wait();
                block_on(harness.service.owner("acme").issue(backup()))
            };
            let all: Vec<_> = (0..64).map(|_| threads.spawn(issue)).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(count(&outcomes, 5), (5, 59), "turn {turn}");
        // Another owner has its own limit.
        let _ = harness.issue_for("globex", backup()).await;
    }
}

pub(crate) async fn issue_dropped_before_insert_frees_place(stores: Stores) {
    let harness = Harness::builder(stores).remote().configure(|service| service.policy(limit(1)));
    let harness = harness.build();
    harness.remote().hold(true);
    for _ in 0..10 {
        let mut issuing: Issuing<'_> = Box::pin(harness.service.owner("acme").issue(backup()));
        assert!(poll_once(&mut issuing).await.is_none());
    }
    harness.remote().hold(false);
    let _ = harness.issue(backup()).await;
    refused(&harness.service.owner("acme").issue(backup()).await, 1);
}

/// A store whose insert waits for ever, before or after the record is stored.
struct Stuck {
    inner: SharedStore,
    mode: AtomicU8,
    /// The record of the latest insert that waits before it is stored.
    late: Mutex<Option<Record>>,
}

const NEVER: u8 = 0;
const BEFORE: u8 = 1;
const AFTER: u8 = 2;

impl Stuck {
    fn set(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
    }

    /// Stores the record of the insert that waits, or whose future was dropped.
    async fn land(&self) {
        let late = self.late.lock().unwrap().take().unwrap();
        self.inner.insert(&late).await.unwrap();
    }
}

#[async_trait]
impl TokenStore for Stuck {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        let mode = self.mode.load(Ordering::SeqCst);
        if mode == BEFORE {
            *self.late.lock().unwrap() = Some(record.clone());
            return pending().await;
        }
        let version = self.inner.insert(record).await?;
        if mode == AFTER { pending().await } else { Ok(version) }
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        self.inner.find(id).await
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        self.inner.replace(record, expected).await
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.inner.remove(id, expected).await
    }

    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        self.inner.list(request, now).await
    }
}

fn stuck(stores: Stores, max: usize) -> Harness<Arc<Stuck>> {
    let wrap =
        |inner| Arc::new(Stuck { inner, mode: AtomicU8::new(NEVER), late: Mutex::default() });
    Harness::builder(stores).over(wrap).configure(|service| service.policy(limit(max))).build()
}

/// Begins an issue and returns its future in the insert.
async fn begin(harness: &Harness<Arc<Stuck>>, mode: u8, request: IssueRequest) -> Issuing<'_> {
    harness.service.store().set(mode);
    let mut issuing: Issuing<'_> = Box::pin(harness.service.owner("acme").issue(request));
    // The insert of a store in a file does not end with the first poll.
    for _ in 0..200 {
        assert!(poll_once(&mut issuing).await.is_none());
        let stored = mode == BEFORE || !records(&*harness.store).await.is_empty();
        if stored {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    harness.service.store().set(NEVER);
    issuing
}

pub(crate) async fn issue_dropped_in_insert_holds_place(stores: Stores) {
    let harness = stuck(stores, 1);
    let id = harness.service.new_id().unwrap();
    for _ in 0..2 {
        drop(begin(&harness, BEFORE, backup().id(id)).await);
        refused(&harness.service.owner("acme").issue(backup()).await, 1);
        // The repetition of the request does not count its own place.
    }
    let issued = harness.issue(backup().id(id)).await;
    assert_eq!(issued.record.id(), id);
    refused(&harness.service.owner("acme").issue(backup()).await, 1);

    // The place of a token that does not appear is free after a minute.
    let harness = stuck(stores, 1);
    drop(begin(&harness, BEFORE, backup()).await);
    harness.advance(MINUTE - std::time::Duration::from_millis(1));
    refused(&harness.service.owner("acme").issue(backup()).await, 1);
    harness.advance(std::time::Duration::from_millis(1));
    let _ = harness.issue(backup()).await;
}

pub(crate) async fn issue_dropped_after_insert_counts_once(stores: Stores) {
    for mode in [BEFORE, AFTER] {
        let harness = stuck(stores, 2);
        drop(begin(&harness, mode, backup()).await);
        if mode == BEFORE {
            harness.service.store().land().await;
        }
        let _ = harness.issue(backup()).await;
        refused(&harness.service.owner("acme").issue(backup()).await, 2);
        assert_eq!(records(&*harness.store).await.len(), 2);
    }
}

pub(crate) async fn import_dropped_in_insert_holds_place(stores: Stores) {
    let form = || ImportForm::sha256("old keys").characters(Characters::LOWER_HEX).lengths([32]);
    let wrap =
        |inner| Arc::new(Stuck { inner, mode: AtomicU8::new(BEFORE), late: Mutex::default() });
    let harness = Harness::builder(stores)
        .over(wrap)
        .configure(|service| service.policy(limit(1)).import_form(form()))
        .build();
    let digest = ImportDigest::sha256([7; 32]);
    let request = || ImportRequest::of_digest(digest, "connector", "backup");
    let mut importing = Box::pin(harness.service.owner("acme").import(request()));
    while harness.service.store().late.lock().unwrap().is_none() {
        assert!(poll_once(&mut importing).await.is_none());
    }
    drop(importing);
    // The token may still appear, so the event of the dropped import names it.
    let events = harness.events();
    let [Event::Failed { id, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*id, Some(digest.token_id()));
    harness.service.store().set(NEVER);
    refused(&harness.service.owner("acme").issue(backup()).await, 1);
    harness.advance(MINUTE);
    let _ = harness.issue(backup()).await;
}

/// The token is in the store, and the issue that inserted it still holds its place.
pub(crate) async fn issue_in_progress_counts_once(stores: Stores) {
    let harness = stuck(stores, 2);
    let in_progress = begin(&harness, AFTER, backup()).await;
    let _ = harness.issue(backup()).await;
    refused(&harness.service.owner("acme").issue(backup()).await, 2);
    drop(in_progress);
    refused(&harness.service.owner("acme").issue(backup()).await, 2);
}

/// The issue has not returned, so for this service the token may still appear.
pub(crate) async fn revoked_token_in_progress_holds_its_place(stores: Stores) {
    let harness = stuck(stores, 1);
    let in_progress = begin(&harness, AFTER, backup()).await;
    let id = records(&*harness.store).await[0].id();
    harness.revoke(id).await;
    refused(&harness.service.owner("acme").issue(backup()).await, 1);
    drop(in_progress);
    harness.advance(MINUTE);
    let _ = harness.issue(backup()).await;
}

pub(crate) async fn failed_issue_frees_place(stores: Stores) {
    let harness = Harness::builder(stores).faulty().configure(|service| service.policy(limit(1)));
    let harness = harness.build();
    for script in [
        // The list fails, then the insert.
        &[Fault::Unavailable][..],
        &[Fault::None, Fault::Unavailable],
        &[Fault::None, Fault::ReadOnly],
        // The answer of the insert is lost, and reading again shows that it did not happen.
        &[Fault::None, Fault::LostBefore, Fault::None, Fault::Corrupt],
    ] {
        harness.faulty().arm(script, Fault::None);
        let failed = harness.service.owner("acme").issue(backup()).await;
        let unresolved = matches!(failed, Err(ManageError::Indeterminate { .. }));
        assert!(failed.is_err());
        if unresolved {
            harness.advance(MINUTE);
        }
    }
    harness.faulty().disarm();
    let _ = harness.issue(backup()).await;
    refused(&harness.service.owner("acme").issue(backup()).await, 1);
}

pub(crate) async fn lost_answer_of_issue_counts_once(stores: Stores) {
    // Reading again shows that the token was stored.
    let harness = Harness::builder(stores).faulty().configure(|service| service.policy(limit(2)));
    let harness = harness.build();
    harness.faulty().arm(&[Fault::None, Fault::DoneAndLost], Fault::None);
    let _ = harness.issue(backup()).await;
    let _ = harness.issue(backup()).await;
    refused(&harness.service.owner("acme").issue(backup()).await, 2);

    // Reading again fails, and the write lands later.
    let harness = Harness::builder(stores).faulty().configure(|service| service.policy(limit(2)));
    let harness = harness.build();
    let script = [Fault::None, Fault::Late, Fault::Unavailable];
    harness.faulty().arm(&script, Fault::None);
    let lost = harness.service.owner("acme").issue(backup()).await;
    assert!(matches!(lost, Err(ManageError::Indeterminate { .. })), "{lost:?}");
    // The double does the late write before the insert of the next token.
    let _ = harness.issue(backup()).await;
    assert_eq!(records(&*harness.store).await.len(), 2);
    refused(&harness.service.owner("acme").issue(backup()).await, 2);

    let harness = Harness::builder(stores).faulty().configure(|service| service.policy(limit(1)));
    let harness = harness.build();
    harness.faulty().arm(&script, Fault::None);
    let lost = harness.service.owner("acme").issue(backup()).await;
    assert!(matches!(lost, Err(ManageError::Indeterminate { .. })), "{lost:?}");
    refused(&harness.service.owner("acme").issue(backup()).await, 1);
    harness.faulty().settle().await;
    refused(&harness.service.owner("acme").issue(backup()).await, 1);
}
