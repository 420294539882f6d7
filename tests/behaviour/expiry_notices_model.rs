//! Random histories of issues, rotations, amendments, suspensions, revocations, restarts and scans against
//! a model: each notice is emitted exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::harness::{
    Collected, DAY, Fault, Faulty, HOUR, MICRO, MINUTE, SharedStore, Stores, builder, delta,
};
use chrono::{DateTime, Utc};
use futures_lite::future::block_on;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof};
use proptest::test_runner::TestRunner;
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::{
    AmendRequest, Event, IssueRequest, MemoryStore, Record, ResumeRequest, RevokeRequest,
    RotateRequest, SuspendRequest, TokenId, TokenService, TokenStore,
};

behaviours! {
    expiry_histories_agree_with_model,
    #[ignore = "campaign"]
    expiry_histories_agree_with_model_campaign,
}

const DISTANCES: [Duration; 3] = [DAY, Duration::from_secs(120), Duration::from_secs(7 * 86_400)];

#[derive(Debug, Clone)]
enum Command {
    Issue {
        lifetime: Duration,
        /// The time from the moment in the record until the record is visible.
        late: Duration,
    },
    Rotate {
        nth: usize,
        lifetime: Option<Duration>,
        late: Duration,
    },
    Amend {
        nth: usize,
        lifetime: Option<Duration>,
        late: Duration,
    },
    /// Suspends a token, or resumes a suspended one.
    Suspend(usize),
    Revoke(usize),
    Scan {
        fails: bool,
    },
    Restart,
    Pass(Duration),
}

fn lifetimes() -> impl Strategy<Value = Duration> {
    let edges = [2 * MINUTE, HOUR, DAY, 7 * DAY, 9 * DAY];
    (0..edges.len(), 0..3u32).prop_map(move |(edge, micros)| edges[edge] - MICRO + micros * MICRO)
}

fn delays() -> impl Strategy<Value = Duration> {
    prop_oneof![
        3 => Just(Duration::ZERO),
        1 => Just(MICRO),
        1 => (1..60u64).prop_map(Duration::from_secs),
        1 => Just(MINUTE - MICRO),
        1 => Just(MINUTE),
    ]
}

fn spans() -> impl Strategy<Value = Duration> {
    let spans =
        [MICRO, MINUTE / 2, MINUTE - MICRO, MINUTE, MINUTE + MICRO, HOUR, DAY, 2 * DAY, 6 * DAY];
    (0..spans.len()).prop_map(move |nth| spans[nth])
}

fn commands() -> impl Strategy<Value = Command> {
    let lifetime = || proptest::option::weighted(0.8, lifetimes());
    prop_oneof![
        4 => (lifetimes(), delays()).prop_map(|(lifetime, late)| Command::Issue { lifetime, late }),
        2 => (0..64usize, lifetime(), delays())
            .prop_map(|(nth, lifetime, late)| Command::Rotate { nth, lifetime, late }),
        3 => (0..64usize, lifetime(), delays())
            .prop_map(|(nth, lifetime, late)| Command::Amend { nth, lifetime, late }),
        2 => (0..64usize).prop_map(Command::Suspend),
        1 => (0..64usize).prop_map(Command::Revoke),
        8 => proptest::bool::weighted(0.1).prop_map(|fails| Command::Scan { fails }),
        1 => Just(Command::Restart),
        8 => spans().prop_map(Command::Pass),
    ]
}

/// The present end of a token, and the time at which it was set.
type End = (DateTime<Utc>, DateTime<Utc>);

#[derive(Debug, Clone)]
struct Token {
    end: End,
    suspended: bool,
    revoked: bool,
}

impl Token {
    fn is_live(&self, now: DateTime<Utc>) -> bool {
        !self.revoked && now < self.end.0
    }

    /// Returns the end after a change that may set one. An end that is set again stays the same end.
    fn changed(&self, now: DateTime<Utc>, lifetime: Option<Duration>) -> End {
        match lifetime {
            Some(lifetime) if now + lifetime != self.end.0 => (now + lifetime, now),
            _ => self.end,
        }
    }
}

/// A write that becomes visible later than the time in it.
struct Late {
    visible_at: DateTime<Utc>,
    record: Record,
    end: End,
}

struct Simulation {
    clock: Arc<ManualClock>,
    collected: Collected,
    store: SharedStore,
    service: TokenService<Arc<Faulty>>,
    tokens: BTreeMap<TokenId, Token>,
    late: Vec<Late>,
    watermark: DateTime<Utc>,
    /// Every notice so far: the token, its end, and the distance.
    emitted: BTreeSet<(TokenId, End, Duration)>,
}

impl Simulation {
    fn new(stores: Stores) -> (Self, Box<dyn std::any::Any>) {
        let opened = stores.open();
        let (clock, collected) = (Arc::new(ManualClock::default()), Collected::default());
        let service = service(&opened.store, &clock, &collected);
        // A token that is issued at the time of the watermark would have no notice.
        let watermark = clock.now() - delta(MICRO);
        let simulation = Self {
            clock,
            collected,
            store: opened.store,
            service,
            tokens: BTreeMap::new(),
            late: Vec::new(),
            watermark,
            emitted: BTreeSet::new(),
        };
        (simulation, opened.guard)
    }

    /// Returns a token without a late write that this service could conflict with.
    fn nth(&self, nth: usize) -> Option<TokenId> {
        let id = *self.tokens.keys().nth(nth % self.tokens.len().max(1))?;
        self.late.iter().all(|late| late.record.id() != id).then_some(id)
    }

    async fn apply(&mut self, command: Command) {
        let now = self.clock.now();
        match command {
            Command::Pass(span) => self.pass(span).await,
            Command::Restart => {
                assert!(self.collected.take(&self.service).is_empty());
                self.service = service(&self.store, &self.clock, &self.collected);
            }
            Command::Issue { lifetime, late } => {
                let elsewhere = self.elsewhere();
                let request = IssueRequest::new("connector", "backup").expires_in(lifetime);
                let issued = elsewhere.owner("acme").issue(request).await.unwrap();
                self.write(issued.record, (now + lifetime, now), late).await;
            }
            Command::Rotate { nth, lifetime, late } => {
                let Some(id) = self.nth(nth) else { return };
                let token = &self.tokens[&id];
                if !token.is_live(now) || token.suspended {
                    return;
                }
                let mut request = RotateRequest::at_once();
                if let Some(lifetime) = lifetime {
                    request = request.expires_in(lifetime);
                }
                let end = token.changed(now, lifetime);
                let elsewhere = self.elsewhere_with(id).await;
                let rotated = elsewhere.owner("acme").rotate(id, request).await.unwrap();
                self.write(rotated.record, end, late).await;
            }
            Command::Amend { nth, lifetime, late } => {
                let Some(id) = self.nth(nth) else { return };
                let token = &self.tokens[&id];
                if !token.is_live(now) {
                    return;
                }
                let mut request = AmendRequest::new().metadata("turn", now.to_string());
                if let Some(lifetime) = lifetime {
                    request = request.expires_in(lifetime);
                }
                let end = token.changed(now, lifetime);
                let elsewhere = self.elsewhere_with(id).await;
                let amended = elsewhere.owner("acme").amend(id, request).await.unwrap();
                self.write(amended.record, end, late).await;
            }
            Command::Suspend(nth) => {
                let Some(id) = self.nth(nth) else { return };
                let view = self.service.owner("acme");
                let token = self.tokens.get_mut(&id).unwrap();
                if token.is_live(now) {
                    if token.suspended {
                        view.resume(id, ResumeRequest::new()).await.unwrap();
                    } else {
                        view.suspend(id, SuspendRequest::new()).await.unwrap();
                    }
                    token.suspended = !token.suspended;
                    self.collected.take(&self.service);
                }
            }
            Command::Revoke(nth) => {
                let Some(id) = self.nth(nth) else { return };
                self.service.owner("acme").revoke(id, RevokeRequest::new()).await.unwrap();
                self.collected.take(&self.service);
                self.tokens.get_mut(&id).unwrap().revoked = true;
            }
            Command::Scan { fails } => self.scan(fails).await,
        }
    }

    /// Returns another process with the same clock, whose writes this test makes visible.
    fn elsewhere(&self) -> TokenService<MemoryStore> {
        builder(MemoryStore::new()).clock(self.clock.clone()).build().unwrap()
    }

    /// Returns the same with the record of a token.
    async fn elsewhere_with(&self, id: TokenId) -> TokenService<MemoryStore> {
        let elsewhere = self.elsewhere();
        let record = self.store.find(id).await.unwrap().unwrap().record;
        elsewhere.store().insert(&record).await.unwrap();
        elsewhere
    }

    async fn write(&mut self, record: Record, end: End, late: Duration) {
        self.late.push(Late { visible_at: self.clock.now() + late, record, end });
        self.pass(Duration::ZERO).await;
    }

    /// Advances the clock. Each late write becomes visible at its time.
    async fn pass(&mut self, span: Duration) {
        let target = self.clock.now() + span;
        self.late.sort_by_key(|late| late.visible_at);
        while self.late.first().is_some_and(|late| late.visible_at <= target) {
            let Late { visible_at, record, end } = self.late.remove(0);
            self.clock.advance((visible_at - self.clock.now()).to_std().unwrap());
            match self.store.find(record.id()).await.unwrap() {
                None => self.store.insert(&record).await.unwrap(),
                Some(found) => self.store.replace(&record, found.version).await.unwrap(),
            };
            let suspended = !record.suspensions().is_empty();
            self.tokens.insert(record.id(), Token { end, suspended, revoked: false });
        }
        self.clock.advance((target - self.clock.now()).to_std().unwrap());
    }

    async fn scan(&mut self, fails: bool) {
        let to = self.clock.now() - MINUTE;
        let view = self.service.all_owners();
        let scan = DISTANCES
            .iter()
            .fold(view.expiry_notices(self.watermark), |scan, distance| scan.distance(*distance));
        if fails && to > self.watermark {
            self.service.store().arm(&[], Fault::Unavailable);
            scan.run().await.unwrap_err();
            self.service.store().disarm();
            let events = self.collected.take(&self.service);
            assert!(matches!(&events[..], [Event::Failed { .. }]), "{events:?}");
            return;
        }
        let mut due = BTreeSet::new();
        for (id, token) in self.tokens.iter().filter(|(_, token)| !token.revoked) {
            for distance in DISTANCES {
                let (end, set_at) = token.end;
                let at = (end - distance).max(set_at);
                if self.watermark < at && at <= to {
                    due.insert((*id, token.end, distance));
                }
            }
        }
        let done = scan.run().await.unwrap();
        assert_eq!(done.watermark, to.max(self.watermark));
        self.watermark = done.watermark;
        let events = self.collected.take(&self.service);
        assert_eq!(events.len() as u64, done.notices);
        let notices: BTreeSet<_> = events.iter().map(|event| self.notice(event)).collect();
        assert_eq!(notices.len(), events.len(), "a notice is twice in {events:?}");
        assert_eq!(notices, due);
        for notice in notices {
            assert!(self.emitted.insert(notice), "{notice:?} was emitted before");
        }
    }

    fn notice(&self, event: &Event) -> (TokenId, End, Duration) {
        let Event::ExpiresSoon { id, owner, token_type, issued_to, expires_at, distance, .. } =
            event
        else {
            panic!("{event:?}")
        };
        assert_eq!([&**owner, token_type, issued_to], ["acme", "connector", "backup"]);
        let end = self.tokens[id].end;
        assert_eq!(*expires_at, end.0);
        (*id, end, *distance)
    }

    /// Checks that no notice of a present end was missed.
    async fn finish(mut self) {
        self.pass(20 * DAY).await;
        self.scan(false).await;
        for (id, token) in self.tokens.iter().filter(|(_, token)| !token.revoked) {
            for distance in DISTANCES {
                assert!(self.emitted.contains(&(*id, token.end, distance)), "{id} {distance:?}");
            }
        }
    }
}

fn service(
    store: &SharedStore,
    clock: &Arc<ManualClock>,
    collected: &Collected,
) -> TokenService<Arc<Faulty>> {
    let faulty = Arc::new(Faulty::new(store.clone()));
    builder(faulty).clock(clock.clone()).events(collected.sink()).build().unwrap()
}

pub(crate) async fn expiry_histories_agree_with_model(stores: Stores) {
    run(stores, 60);
}

pub(crate) async fn expiry_histories_agree_with_model_campaign(stores: Stores) {
    run(stores, 1_000);
}

fn run(stores: Stores, cases: u32) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let histories = proptest::collection::vec(commands(), 1..80);
    let outcome = TestRunner::new(config).run(&histories, |history| {
        let (mut simulation, _guard) = Simulation::new(stores);
        block_on(async {
            for command in history {
                simulation.apply(command).await;
            }
            simulation.finish().await;
        });
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
