//! Floods of events that a client can cause, before a slow sink and before one that hangs. All operations
//! of management arrive as events of their own, and none of them waits for the flood.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::behaviour::harness::{HOUR, any, builder, incident, records, text};
use futures_lite::future::{block_on, poll_once};
use service_tokens::leak::LeakAction;
use service_tokens::record::Rule;
use service_tokens::{
    Event, Filter, IssueRequest, LeakRequest, ManageError, MemoryStore, RevokeRequest,
    RotateRequest, TokenId, TokenService, TokenStore, VerifiedToken,
};

const SOON: Duration = Duration::from_secs(60);

/// The sink of a test: it can be slow, and it can hang until it is released.
#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<(Mutex<Seen>, Condvar)>);

#[derive(Default)]
struct Seen {
    events: Vec<Event>,
    hangs: bool,
    discards: bool,
}

impl Sink {
    fn receiver(&self, delay: Duration) -> impl Fn(&Event) + Send + Sync + 'static {
        let Self(shared) = self.clone();
        move |event| {
            let (seen, released) = &*shared;
            if seen.lock().unwrap().discards {
                return;
            }
            std::thread::sleep(delay);
            let seen = seen.lock().unwrap();
            released.wait_while(seen, |seen| seen.hangs).unwrap().events.push(event.clone());
        }
    }

    fn hang(&self, hangs: bool) {
        self.0.0.lock().unwrap().hangs = hangs;
        self.0.1.notify_all();
    }

    /// Drops all later events at once.
    pub(crate) fn discard(&self) {
        self.0.0.lock().unwrap().discards = true;
    }

    pub(crate) fn take<S>(&self, service: &TokenService<S>) -> Vec<Event> {
        self.hang(false);
        service.flush_events_blocking(SOON).unwrap();
        std::mem::take(&mut self.0.0.lock().unwrap().events)
    }
}

/// A service with an attacker's tokens.
pub(crate) struct Flooded {
    pub(crate) sink: Sink,
    pub(crate) service: TokenService<Arc<MemoryStore>>,
    /// The text of a token whose secret has ended.
    ended: String,
    /// A token with every right on the tokens of its owner.
    caller: VerifiedToken,
}

impl Flooded {
    pub(crate) fn new(delay: Duration) -> Self {
        let sink = Sink::default();
        let store = Arc::new(MemoryStore::new());
        let service = builder(store).events(sink.receiver(delay)).build().unwrap();
        let (ended, caller) = block_on(async {
            let globex = service.owner("globex");
            let old = globex.issue(IssueRequest::new("connector", "old")).await.unwrap();
            let _ = globex.rotate(old.record.id(), RotateRequest::at_once()).await.unwrap();
            let caller = globex.issue(IssueRequest::new("all", "console")).await.unwrap();
            (text(&old), service.verify(&text(&caller), &any()).await.unwrap())
        });
        let flooded = Self { sink, service, ended, caller };
        let _ = flooded.sink.take(&flooded.service);
        flooded
    }

    /// Causes one event of each of three kinds.
    pub(crate) fn annoy(&self) {
        block_on(async {
            assert!(self.service.verify(&self.ended, &any()).await.is_err());
            let caller = self.service.on_behalf_of(&self.caller);
            let _ = caller.get_self().await.unwrap();
            let refused = caller.issue(IssueRequest::new("connector", "")).await.unwrap_err();
            assert!(
                matches!(refused, ManageError::Invalid(invalid) if invalid.rule == Rule::Empty)
            );
        });
    }

    pub(crate) fn flood(&self) {
        (0..10_000).for_each(|_| self.annoy());
    }

    pub(crate) fn issue_for_acme(&self, many: usize) -> Vec<TokenId> {
        let issue = |_| {
            let request = IssueRequest::new("connector", "backup");
            block_on(self.service.owner("acme").issue(request)).unwrap().record.id()
        };
        let ids = (0..many).map(issue).collect();
        let _ = self.sink.take(&self.service);
        ids
    }
}

fn revoked(events: &[Event]) -> Vec<TokenId> {
    let id = |event: &Event| matches!(event, Event::Revoked { .. }).then(|| event.id().unwrap());
    events.iter().filter_map(id).collect()
}

/// Returns the number of events of a kind, including the summed ones.
fn count(events: &[Event], name: &str) -> u64 {
    let counted = |event: &Event| match event {
        Event::Repeated { kind, count, .. } if *kind == name => *count,
        event => u64::from(event.name() == name),
    };
    events.iter().map(counted).sum()
}

fn expect_all(events: &[Event], flooded: &Flooded, ids: &[TokenId]) {
    let (mut revoked, mut ids) = (revoked(events), ids.to_vec());
    revoked.sort_unstable();
    ids.sort_unstable();
    assert!(revoked == ids, "{} of {} revocations", revoked.len(), ids.len());
    for kind in ["ended_secret_presented", "read", "failed"] {
        assert_eq!(count(events, kind), 10_000, "{kind}");
        let sum = |event: &&Event| matches!(event, Event::Repeated { kind: of, .. } if *of == kind);
        let sum = events.iter().find(sum).expect("the flood is larger than its share");
        // All events of the kind are about the same token or the same caller.
        let Event::Repeated { id, owner, on_behalf_of, first, last, .. } = sum else {
            unreachable!()
        };
        let caller = Some(flooded.caller.id());
        match kind {
            "ended_secret_presented" => {
                assert!(id.is_some() && owner.as_deref() == Some("globex"));
            }
            _ => assert_eq!(*on_behalf_of, caller),
        }
        assert!(first < last);
    }
    assert_eq!(count(events, "lost"), 0);
}

#[test]
fn revocations_arrive_before_a_slow_sink() {
    let flooded = Flooded::new(Duration::from_micros(100));
    let ids = flooded.issue_for_acme(30);
    for (turn, id) in ids.iter().enumerate() {
        (0..10_000 / 30 + usize::from(turn < 10)).for_each(|_| flooded.annoy());
        block_on(flooded.service.owner("acme").revoke(*id, RevokeRequest::new())).unwrap();
    }
    expect_all(&flooded.sink.take(&flooded.service), &flooded, &ids);
}

#[test]
fn revocations_arrive_before_a_hanging_sink() {
    let flooded = Flooded::new(Duration::ZERO);
    let ids = flooded.issue_for_acme(30);
    flooded.sink.hang(true);
    flooded.flood();
    for id in &ids {
        block_on(flooded.service.owner("acme").revoke(*id, RevokeRequest::new())).unwrap();
    }
    expect_all(&flooded.sink.take(&flooded.service), &flooded, &ids);
}

/// A holder of a token can report its text again and again. Each report can act on the token, and its
/// descendants, and must not use the reserve of the operators.
#[test]
fn reports_of_one_token_use_no_reserve() {
    let flooded = Flooded::new(Duration::ZERO);
    let ids = flooded.issue_for_acme(30);
    let globex = flooded.service.owner("globex");
    let (found, below) = block_on(async {
        let found = globex.issue(IssueRequest::new("all", "leaked")).await.unwrap();
        let verified = flooded.service.verify(&text(&found), &any()).await.unwrap();
        let below = IssueRequest::new("connector", "below");
        let below = flooded.service.on_behalf_of(&verified).issue(below).await.unwrap();
        (found, below)
    });
    flooded.sink.hang(true);
    let (text, request) = (text(&found), LeakRequest::new);
    for _ in 0..20_000 {
        let report = flooded.service.report_leak(&text, LeakAction::Suspend, request());
        block_on(report).unwrap();
    }
    for id in &ids {
        block_on(flooded.service.owner("acme").revoke(*id, RevokeRequest::new())).unwrap();
    }
    let events = flooded.sink.take(&flooded.service);
    assert_eq!(revoked(&events), ids);
    assert_eq!(count(&events, "lost"), 0);
    assert_eq!((count(&events, "suspended"), count(&events, "suspended_all")), (2, 1));
    assert_eq!(count(&events, "leak_reported"), 20_000);
    assert_eq!(below.record.issuers(), [found.record.id()]);
}

/// Each token is reported once and revoked with its descendants. A holder of many tokens can cause as many
/// revocations.
#[test]
fn reports_of_many_tokens_use_no_reserve() {
    let flooded = Flooded::new(Duration::ZERO);
    let ids = flooded.issue_for_acme(30);
    let leaked: Vec<String> = (0..6_000)
        .map(|n| {
            let owner = format!("attacker {n}");
            let issued = flooded.service.owner(&owner).issue(IssueRequest::new("all", "x"));
            text(&block_on(issued).unwrap())
        })
        .collect();
    let _ = flooded.sink.take(&flooded.service);
    flooded.sink.hang(true);
    for token in &leaked {
        let report = flooded.service.report_leak(token, LeakAction::Revoke, LeakRequest::new());
        block_on(report).unwrap();
    }
    for id in &ids {
        block_on(flooded.service.owner("acme").revoke(*id, RevokeRequest::new())).unwrap();
    }
    let events = flooded.sink.take(&flooded.service);
    let own = |event: &&Event| event.owner() == Some("acme");
    let arrived: Vec<Event> = events.iter().filter(own).cloned().collect();
    assert_eq!(revoked(&arrived), ids);
    assert_eq!(count(&events, "lost"), 0);
    assert_eq!(count(&events, "revoked"), 6_030);
}

/// It does not wait once, because the sink hangs from the first to the last revocation.
#[test]
fn revoke_2000_tokens_in_a_flood_never_waits() {
    let flooded = Flooded::new(Duration::ZERO);
    let ids = flooded.issue_for_acme(2_000);
    flooded.sink.hang(true);
    flooded.flood();
    let acts = issue_until_pending(&flooded);
    let run = flooded.service.owner("acme").revoke_all(Filter::new(), incident()).run();
    assert_eq!(block_on(run).unwrap().done, 2_000);
    let events = flooded.sink.take(&flooded.service);
    expect_all(&events, &flooded, &ids);
    assert_eq!(count(&events, "revoked_all"), 1);
    assert_eq!(count(&events, "issued"), acts);
}

/// A larger one waits for its own events, and these are delivered before those of the flood.
#[test]
fn revoke_all_overtakes_a_flood() {
    let flooded = Flooded::new(Duration::from_micros(100));
    let many = 4_000;
    let ids = flooded.issue_for_acme(many);
    flooded.sink.hang(true);
    flooded.flood();
    let view = flooded.service.owner("acme");
    let mut run = Box::pin(view.revoke_all(Filter::new(), incident()).run());
    // It fills its share of the queue, and then it waits.
    while block_on(count_live(&flooded)) > many - 2_048 {
        assert!(block_on(poll_once(&mut run)).is_none(), "the sink hangs");
    }
    flooded.sink.hang(false);
    assert_eq!(block_on(run).unwrap().done, many as u64);
    let events = flooded.sink.take(&flooded.service);
    expect_all(&events, &flooded, &ids);
    // Until it has got its room, almost all events are its own.
    let own = |event: &Event| matches!(event, Event::Revoked { .. });
    let nth = events.iter().enumerate().filter(|(_, event)| own(event)).nth(many - 2_048);
    let of_flood = nth.unwrap().0 - (many - 2_048);
    assert!(of_flood < 1_000, "{of_flood} events of the flood were delivered first");
}

async fn count_live(flooded: &Flooded) -> usize {
    let live =
        |record: &service_tokens::Record| record.owner() == "acme" && record.revocation().is_none();
    records(flooded.service.store()).await.iter().filter(|record| live(record)).count()
}

/// Issues on behalf of the token until its share is full, and returns the number of tokens.
fn issue_until_pending(flooded: &Flooded) -> u64 {
    let request = || IssueRequest::new("connector", "more");
    let caller = flooded.service.on_behalf_of(&flooded.caller);
    let mut issued = 0;
    while let Some(outcome) = block_on(poll_once(caller.issue(request()))) {
        let _ = outcome.unwrap();
        issued += 1;
    }
    issued
}

#[test]
fn token_waits_for_room_before_it_acts() {
    let flooded = Flooded::new(Duration::ZERO);
    flooded.sink.hang(true);
    flooded.flood();
    let issued = issue_until_pending(&flooded);
    assert!(issued >= 500, "{issued}");
    let before = block_on(records(flooded.service.store()));
    let caller = flooded.service.on_behalf_of(&flooded.caller);
    let id = before[0].id();
    let mut issue = Box::pin(caller.issue(IssueRequest::new("connector", "waiting")));
    let mut rotate = Box::pin(caller.rotate(id, RotateRequest::with_overlap(HOUR)));
    assert!(block_on(poll_once(&mut issue)).is_none());
    assert!(block_on(poll_once(&mut rotate)).is_none());
    assert!(block_on(poll_once(caller.rotate_self(RotateRequest::at_once()))).is_none());
    assert_eq!(block_on(records(flooded.service.store())), before, "nothing was written");
    // It does not hold up a pause of issuing, and a token that revokes does not wait.
    block_on(flooded.service.pause_issuing("INC-42")).unwrap();
    let revoked = before.iter().rev().take(3).map(|record| record.id()).collect::<Vec<_>>();
    for id in &revoked {
        let _ = block_on(caller.revoke(*id, RevokeRequest::new())).unwrap();
    }
    let _ = flooded.service.resume_issuing();
    // A waiting operation that is dropped did nothing, so it is not an event.
    drop(issue);
    flooded.sink.hang(false);
    let _ = block_on(rotate).unwrap();
    let events = flooded.sink.take(&flooded.service);
    expect_all(&events, &flooded, &revoked);
    assert_eq!(count(&events, "issued"), issued);
    assert_eq!(count(&events, "rotated"), 1);
}

/// Preparing and confirming an issue wait for room, and drafts of revocations do not.
#[test]
fn drafts_of_token_wait_for_room() {
    let flooded = Flooded::new(Duration::ZERO);
    let request = || IssueRequest::new("connector", "drafted");
    let caller = flooded.service.on_behalf_of(&flooded.caller);
    let mut draft = block_on(caller.prepare_issue(request())).unwrap();
    let id = draft.record().id();
    block_on(flooded.service.store().insert(draft.record())).unwrap();
    flooded.sink.hang(true);
    flooded.flood();
    let issued = issue_until_pending(&flooded);
    assert!(block_on(poll_once(caller.prepare_issue(request()))).is_none());
    assert!(block_on(poll_once(draft.confirm())).is_none());
    let embedder = flooded.service.owner("globex");
    drop(block_on(poll_once(embedder.prepare_issue(request()))).unwrap().unwrap());
    let mut revocation = block_on(caller.prepare_revoke(id, RevokeRequest::new())).unwrap();
    assert!(block_on(poll_once(revocation.confirm())).unwrap().is_err());
    flooded.sink.hang(false);
    let _ = block_on(draft.confirm()).unwrap();
    let events = flooded.sink.take(&flooded.service);
    assert_eq!(count(&events, "issued"), issued + 1);
    // That of the token, that of the embedder, and that of the revocation.
    assert_eq!([count(&events, "prepared"), count(&events, "not_confirmed")], [3, 1]);
    assert_eq!(count(&events, "lost"), 0);
}

/// An operation that may have happened is an event of its own, although its token failed.
#[test]
fn act_that_was_dropped_arrives_in_a_flood() {
    use crate::behaviour::harness::Remote;
    let sink = Sink::default();
    let store = Arc::new(Remote::new(Arc::new(MemoryStore::new())));
    let service = builder(store.clone()).events(sink.receiver(Duration::ZERO)).build().unwrap();
    let caller = block_on(service.owner("acme").issue(IssueRequest::new("all", "console")));
    let verified = block_on(service.verify(&text(&caller.unwrap()), &any())).unwrap();
    let _ = sink.take(&service);
    sink.hang(true);
    (0..10_000).for_each(|_| assert!(block_on(service.verify("nonsense", &any())).is_err()));
    store.hold(true);
    let issue = service.on_behalf_of(&verified).issue(IssueRequest::new("connector", "new"));
    assert!(block_on(poll_once(issue)).is_none());
    let events = sink.take(&service);
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Failed { .. })).count(), 1);
}

/// The sink needs a task of the same runtime, which has one thread.
#[tokio::test]
async fn flush_events_lets_the_runtime_continue() {
    let (events, mut received) = tokio::sync::mpsc::channel::<Event>(1);
    let service = builder(MemoryStore::new())
        .events(move |event: &Event| events.blocking_send(event.clone()).unwrap())
        .build()
        .unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let task = {
        let done = done.clone();
        tokio::spawn(async move {
            let mut count = 0;
            while received.recv().await.is_some() {
                count += 1;
                done.store(count >= 50, Ordering::SeqCst);
            }
            count
        })
    };
    for _ in 0..50 {
        assert!(service.verify("nonsense", &any()).await.is_err());
    }
    let timeout = Duration::from_millis(20);
    assert!(service.flush_events_blocking(timeout).is_err(), "it stops the task");
    tokio::time::timeout(SOON, service.flush_events()).await.unwrap();
    drop(service);
    assert_eq!(task.await.unwrap(), 50);
    assert!(done.load(Ordering::SeqCst));
}
