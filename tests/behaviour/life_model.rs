//! Random histories of tokens against a model: the service agrees with it at every step, and accepts no
//! token again that has ended.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::harness::{
    DAY, HOUR, MICRO, MINUTE, Remote, SharedStore, Stores, any, builder, requirement, text,
};
use chrono::{DateTime, TimeDelta, Utc};
use futures_lite::future::block_on;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof};
use proptest::test_runner::TestRunner;
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::error::RevokePresentedError;
use service_tokens::record::{ReplacedSecret, SuspensionMatch};
use service_tokens::store::{Order, States};
use service_tokens::{
    AmendRequest, EndOlderRequest, Filter, IssueRequest, ListRequest, ManageError, Refusal,
    ResumeRequest, RevokeRequest, RotateRequest, ScopeSet, State, SuspendRequest, TokenId,
    TokenService, Tokens, VerifyError,
};

behaviours! {
    histories_agree_with_model,
    cached_histories_agree_with_model,
    #[ignore = "campaign"]
    histories_agree_with_model_campaign,
    #[ignore = "campaign"]
    cached_histories_agree_with_model_campaign,
}

const OWNERS: [&str; 3] = ["acme", "globex", "acme "];
const INCIDENTS: [&str; 3] = ["INC-1", "INC-2", "unpaid"];

/// The view of an operation.
#[derive(Debug, Clone, Copy)]
enum View {
    Owner(usize),
    Every,
}

#[derive(Debug, Clone)]
enum Command {
    Issue {
        owner: usize,
        narrow: bool,
        start: Option<Duration>,
        lifetime: Option<Duration>,
    },
    Rotate {
        token: usize,
        view: View,
        overlap: Duration,
        replaces: Option<ReplacedSecret>,
        lifetime: Option<Duration>,
    },
    Revoke {
        token: usize,
        view: View,
    },
    Amend {
        token: usize,
        lifetime: Duration,
    },
    EndOlder {
        token: usize,
    },
    /// Presents one of the token's secrets to revoke it.
    Present {
        token: usize,
        secret: usize,
    },
    Suspend {
        token: usize,
        view: View,
        incident: usize,
        lasting: Option<Duration>,
    },
    /// Ends one incident, or all.
    Resume {
        token: usize,
        view: View,
        incident: Option<usize>,
    },
    /// An operator trusts the clock again.
    Acknowledge,
    Pass(Duration),
    /// The wall clock is set back or ahead. The service's time does not run backwards.
    Set(TimeDelta),
}

fn spans() -> impl Strategy<Value = Duration> {
    let units = prop_oneof![Just(MICRO), Just(MINUTE), Just(HOUR), Just(DAY)];
    (units, 1..4u32).prop_map(|(unit, times)| unit * times)
}

fn views() -> impl Strategy<Value = View> {
    prop_oneof![3 => Just(View::Every), 2 => (0..OWNERS.len()).prop_map(View::Owner)]
}

fn replaces() -> impl Strategy<Value = Option<ReplacedSecret>> {
    prop_oneof![Just(None), Just(Some(ReplacedSecret::Newest)), Just(Some(ReplacedSecret::Oldest))]
}

fn commands() -> impl Strategy<Value = Command> {
    let maybe = || proptest::option::of(spans());
    let issue = (0..OWNERS.len(), proptest::bool::ANY, maybe(), maybe()).prop_map(
        |(owner, narrow, start, lifetime)| Command::Issue { owner, narrow, start, lifetime },
    );
    let overlaps = prop_oneof![1 => Just(Duration::ZERO), 2 => spans()];
    let rotate = (0..64usize, views(), overlaps, replaces(), maybe()).prop_map(
        |(token, view, overlap, replaces, lifetime)| Command::Rotate {
            token,
            view,
            overlap,
            replaces,
            lifetime,
        },
    );
    let revoke = (0..64usize, views()).prop_map(|(token, view)| Command::Revoke { token, view });
    let set = (spans(), proptest::bool::ANY).prop_map(|(span, back)| {
        let span = TimeDelta::from_std(span).unwrap();
        Command::Set(if back { -span } else { span })
    });
    let amend =
        (0..64usize, spans()).prop_map(|(token, lifetime)| Command::Amend { token, lifetime });
    let end_older = (0..64usize).prop_map(|token| Command::EndOlder { token });
    let present =
        (0..64usize, 0..64usize).prop_map(|(token, secret)| Command::Present { token, secret });
    let suspend =
        (0..64usize, views(), 0..3usize, maybe()).prop_map(|(token, view, incident, lasting)| {
            Command::Suspend { token, view, incident, lasting }
        });
    let resume = (0..64usize, views(), proptest::option::of(0..3usize))
        .prop_map(|(token, view, incident)| Command::Resume { token, view, incident });
    prop_oneof![
        4 => issue,
        6 => rotate,
        1 => revoke,
        1 => amend,
        2 => end_older,
        1 => present,
        2 => suspend,
        1 => resume,
        1 => Just(Command::Acknowledge),
        5 => spans().prop_map(Command::Pass),
        1 => set,
    ]
}

/// A secret with its end. The newest one has no end of its own.
struct ModelSecret {
    token: String,
    ends: Option<DateTime<Utc>>,
}

/// The time of the service, the earlier of that and the clock, and the time by which suspensions pass.
#[derive(Debug, Clone, Copy)]
struct Times {
    now: DateTime<Utc>,
    earlier: DateTime<Utc>,
    passed: DateTime<Utc>,
}

struct ModelToken {
    id: TokenId,
    owner: usize,
    narrow: bool,
    start: Option<DateTime<Utc>>,
    end: DateTime<Utc>,
    revoked: bool,
    /// The ends of the suspensions by incident.
    suspended: BTreeMap<usize, Option<DateTime<Utc>>>,
    secrets: Vec<ModelSecret>,
}

impl ModelToken {
    fn is_suspended(&self, passed: DateTime<Utc>) -> bool {
        self.suspended.values().any(|until| until.is_none_or(|until| passed < until))
    }

    fn state(&self, Times { now, passed, .. }: Times) -> State {
        if self.revoked {
            State::Revoked
        } else if self.end <= now {
            State::Expired
        } else if self.is_suspended(passed) {
            State::Suspended
        } else if self.start.is_some_and(|start| now < start) {
            State::Pending
        } else {
            State::Active
        }
    }

    fn seen_by(&self, view: View) -> bool {
        match view {
            View::Every => true,
            View::Owner(owner) => owner == self.owner,
        }
    }

    /// Returns the refusals that are correct for a secret. An accepted secret has none.
    fn refusals(&self, secret: usize, times: Times) -> Vec<Refusal> {
        let now = times.now;
        let ended = |secret: &ModelSecret| secret.ends.filter(|end| *end <= now);
        if ended(&self.secrets[secret]).is_some() {
            let of_known = if self.revoked { Refusal::Revoked } else { Refusal::SecretEnded };
            // The secret that ended last is recognised. The record may forget earlier ones, and all but one
            // of those that ended in the same microsecond.
            let end = ended(&self.secrets[secret]);
            let others = self.secrets.iter().enumerate().filter(|(i, _)| *i != secret);
            let last = others.map(|(_, other)| ended(other)).all(|other| other < end);
            return if last { vec![of_known] } else { vec![of_known, Refusal::WrongSecret] };
        }
        match self.state(times) {
            State::Suspended if self.start.is_some_and(|start| now < start) => {
                vec![Refusal::NotYetActive]
            }
            State::Suspended => vec![Refusal::Suspended],
            State::Revoked => vec![Refusal::Revoked],
            State::Expired => vec![Refusal::Expired],
            State::Pending => vec![Refusal::NotYetActive],
            State::Active => vec![],
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Done,
    DoneBefore,
    NotFound,
    NotRotated,
    Ended,
    Invalid,
}

fn kind<T>(outcome: &Result<T, ManageError>) -> Kind {
    match outcome {
        Ok(_) => Kind::Done,
        Err(ManageError::NotFound { .. }) => Kind::NotFound,
        Err(ManageError::NotRotated(_)) => Kind::NotRotated,
        Err(ManageError::Ended { .. }) => Kind::Ended,
        Err(ManageError::Invalid(_)) => Kind::Invalid,
        Err(other) => panic!("{other:?}"),
    }
}

struct Simulation {
    clock: Arc<ManualClock>,
    service: TokenService<SharedStore>,
    now: DateTime<Utc>,
    /// The latest reading of the clock while no jump was in doubt.
    agreed: Cell<DateTime<Utc>>,
    tokens: Vec<ModelToken>,
    /// Every text that was refused permanently.
    ended: HashSet<String>,
}

impl Simulation {
    fn view(&self, view: View) -> Tokens<'_, SharedStore, service_tokens::AllOwners> {
        match view {
            View::Owner(owner) => self.service.owner_or_all(Some(OWNERS[owner])),
            View::Every => self.service.all_owners(),
        }
    }

    async fn apply(&mut self, command: Command) {
        match command {
            Command::Suspend { token, view, incident, lasting } => {
                if !self.tokens.is_empty() {
                    self.suspend(token % self.tokens.len(), view, incident, lasting).await;
                }
            }
            Command::Resume { token, view, incident } => {
                if !self.tokens.is_empty() {
                    self.resume(token % self.tokens.len(), view, incident).await;
                }
            }
            Command::Acknowledge => drop(self.service.acknowledge_clock_jump()),
            Command::Pass(span) => self.clock.advance(span),
            Command::Set(by) => self.clock.set(self.clock.now() + by),
            Command::Issue { owner, narrow, start, lifetime } => {
                self.issue(owner, narrow, start, lifetime).await;
            }
            Command::Rotate { token, view, overlap, replaces, lifetime } => {
                if !self.tokens.is_empty() {
                    let token = token % self.tokens.len();
                    self.rotate(token, view, overlap, replaces, lifetime).await;
                }
            }
            Command::Amend { .. } | Command::EndOlder { .. } | Command::Present { .. }
                if self.tokens.is_empty() => {}
            Command::Amend { token, lifetime } => {
                self.amend(token % self.tokens.len(), lifetime).await;
            }
            Command::EndOlder { token } => self.end_older(token % self.tokens.len()).await,
            Command::Present { token, secret } => {
                self.present(token % self.tokens.len(), secret).await;
            }
            Command::Revoke { token, view } => {
                if !self.tokens.is_empty() {
                    self.revoke(token % self.tokens.len(), view).await;
                }
            }
        }
        self.now = self.now.max(self.clock.now());
    }

    async fn issue(
        &mut self,
        owner: usize,
        narrow: bool,
        start: Option<Duration>,
        lifetime: Option<Duration>,
    ) {
        let start = start.map(|start| self.now + start);
        let end = self.now + lifetime.unwrap_or(90 * DAY);
        let mut request = IssueRequest::new("connector", "b");
        if narrow {
            request = request.scopes(ScopeSet::new(["files:read"]).unwrap());
        }
        if let Some(start) = start {
            request = request.not_before(start);
        }
        if let Some(lifetime) = lifetime {
            request = request.expires_in(lifetime);
        }
        let outcome = self.service.owner(OWNERS[owner]).issue(request).await;
        let possible = start.is_none_or(|start| start < end);
        assert_eq!(kind(&outcome), if possible { Kind::Done } else { Kind::Invalid });
        if let Ok(issued) = outcome {
            let secret = ModelSecret { token: text(&issued), ends: None };
            let id = issued.record.id();
            let secrets = vec![secret];
            let (revoked, suspended) = (false, BTreeMap::new());
            let token = ModelToken { id, owner, narrow, start, end, revoked, suspended, secrets };
            self.tokens.push(token);
        }
    }

    async fn rotate(
        &mut self,
        token: usize,
        view: View,
        overlap: Duration,
        replaces: Option<ReplacedSecret>,
        lifetime: Option<Duration>,
    ) {
        let times = self.times();
        let now = times.now;
        let mut request = RotateRequest::with_overlap(overlap);
        if let Some(which) = replaces {
            request = request.replacing(which);
        }
        if let Some(lifetime) = lifetime {
            request = request.expires_in(lifetime);
        }
        let outcome = self.view(view).rotate(self.tokens[token].id, request).await;

        let model = &mut self.tokens[token];
        let running = model.secrets.iter().position(|s| s.ends.is_some_and(|end| now < end));
        let end = lifetime.map(|lifetime| now + lifetime);
        let expected = if !model.seen_by(view) {
            Kind::NotFound
        } else if model.start.is_some_and(|start| end.is_some_and(|end| end <= start)) {
            Kind::Invalid
        } else if model.state(times) != State::Active || (running.is_some() && replaces.is_none()) {
            Kind::NotRotated
        } else {
            Kind::Done
        };
        assert_eq!(kind(&outcome), expected);
        let Ok(rotated) = outcome else { return };
        let lost = running.is_some() && replaces == Some(ReplacedSecret::Newest);
        let newest = model.secrets.len() - 1;
        model.secrets[newest].ends = Some(if lost { now } else { now + overlap });
        // A rotation without overlap means a leak, so no older secret is accepted.
        if let Some(older) = running.filter(|_| !lost || overlap.is_zero()) {
            model.secrets[older].ends = Some(now);
        }
        model.secrets.push(ModelSecret { token: text(&rotated), ends: None });
        model.end = end.unwrap_or(model.end);
        assert_eq!(rotated.record.id(), model.id);
        assert_eq!(rotated.record.expires_at(), Some(model.end));
    }

    async fn revoke(&mut self, token: usize, view: View) {
        let outcome = self.view(view).revoke(self.tokens[token].id, RevokeRequest::new()).await;
        let model = &mut self.tokens[token];
        let expected = match (model.seen_by(view), model.revoked) {
            (false, _) => Kind::NotFound,
            (true, false) => Kind::Done,
            (true, true) => Kind::DoneBefore,
        };
        let got = match &outcome {
            Ok(revoked) if revoked.already_revoked => Kind::DoneBefore,
            outcome => kind(outcome),
        };
        assert_eq!(got, expected);
        model.revoked |= outcome.is_ok();
    }

    async fn amend(&mut self, token: usize, lifetime: Duration) {
        let (times, model) = (self.times(), &mut self.tokens[token]);
        let end = times.now + lifetime;
        let request = AmendRequest::new().expires_in(lifetime);
        let outcome = self.service.all_owners().amend(model.id, request).await;
        let expected = match model.state(times) {
            State::Expired | State::Revoked => Kind::Ended,
            _ if model.start.is_some_and(|start| end <= start) => Kind::Invalid,
            _ => Kind::Done,
        };
        assert_eq!(kind(&outcome), expected);
        if outcome.is_ok() {
            model.end = end;
        }
    }

    async fn end_older(&mut self, token: usize) {
        let times = self.times();
        let (now, model) = (times.now, &mut self.tokens[token]);
        let all = self.service.all_owners();
        let record = all.get(model.id).await.unwrap().record;
        let Some(overlap) = record.overlap(now) else { return };
        let request = EndOlderRequest::new(overlap.older_created_at);
        let outcome = all.end_older_secret(model.id, request).await;
        if matches!(model.state(times), State::Expired | State::Revoked) {
            assert_eq!(kind(&outcome), Kind::NotRotated);
            return;
        }
        assert!(!outcome.unwrap().already_ended);
        let older = |secret: &&mut ModelSecret| secret.ends.is_some_and(|end| end > now);
        let ended: Vec<_> = model.secrets.iter_mut().filter(older).collect();
        assert_eq!(ended.len(), 1);
        for secret in ended {
            secret.ends = Some(now);
        }
    }

    async fn present(&mut self, token: usize, secret: usize) {
        let (now, model) = (self.now, &mut self.tokens[token]);
        let secret = &model.secrets[secret % model.secrets.len()];
        let ended = secret.ends.is_some_and(|end| end <= now);
        let outcome = self.service.revoke_presented(&secret.token, RevokeRequest::new()).await;
        match outcome {
            Ok(revoked) => assert!(!ended && revoked.already_revoked == model.revoked),
            Err(error) => {
                assert!(ended && matches!(error, RevokePresentedError::Refused(_)), "{error:?}");
            }
        }
        model.revoked |= !ended;
    }

    async fn suspend(
        &mut self,
        token: usize,
        view: View,
        incident: usize,
        lasting: Option<Duration>,
    ) {
        let Times { now, earlier, .. } = self.times();
        let until = lasting.map(|lasting| now + lasting);
        let request = SuspendRequest::new().reason(INCIDENTS[incident]);
        let request = until.map_or(request.clone(), |until| request.until(until));
        let outcome = self.view(view).suspend(self.tokens[token].id, request).await;
        let model = &mut self.tokens[token];
        let lengthens = match (model.suspended.get(&incident), until) {
            (None, _) | (Some(Some(_)), None) => true,
            (Some(None), _) => false,
            (Some(Some(present)), Some(until)) => until > *present,
        };
        let expected = if !model.seen_by(view) {
            Kind::NotFound
        } else if model.revoked || model.end <= earlier {
            Kind::Ended
        } else if lengthens {
            Kind::Done
        } else {
            Kind::DoneBefore
        };
        let got = match &outcome {
            Ok(suspended) if suspended.already_suspended => Kind::DoneBefore,
            outcome => kind(outcome),
        };
        assert_eq!(got, expected);
        if got == Kind::Done {
            model.suspended.insert(incident, until);
        }
    }

    async fn resume(&mut self, token: usize, view: View, incident: Option<usize>) {
        let times = self.times();
        let (id, request) = (self.tokens[token].id, ResumeRequest::new());
        let outcome = match incident {
            None => self.view(view).resume(id, request).await,
            Some(incident) => {
                let reason = Some(INCIDENTS[incident].to_owned());
                let which = SuspensionMatch::ByAndReason { by: None, reason };
                self.view(view).resume_only(id, which, request).await
            }
        };
        let model = &mut self.tokens[token];
        let selects = |of: &usize| incident.is_none_or(|incident| incident == *of);
        let expected = if !model.seen_by(view) {
            Kind::NotFound
        } else {
            match model.state(times) {
                State::Revoked | State::Expired => Kind::Ended,
                _ if model.suspended.keys().any(selects) => Kind::Done,
                _ => Kind::DoneBefore,
            }
        };
        let got = match &outcome {
            Ok(resumed) if resumed.ended.is_empty() => Kind::DoneBefore,
            outcome => kind(outcome),
        };
        assert_eq!(got, expected);
        if got == Kind::Done {
            model.suspended.retain(|of, _| !selects(of));
        }
    }

    /// Returns the present times. While a clock jump is not acknowledged, the earlier time is the earliest
    /// that a record can hold, and no suspension passes.
    fn times(&self) -> Times {
        let (now, reading) = (self.now.max(self.clock.now()), self.clock.now());
        if self.service.has_clock_jumped() {
            let passed = self.agreed.get().min(reading);
            return Times { now, earlier: DateTime::UNIX_EPOCH, passed };
        }
        self.agreed.set(reading);
        Times { now, earlier: now.min(reading), passed: now.min(reading) }
    }

    /// Compares every token that was ever issued, every state and every view.
    async fn compare(&mut self) {
        let times = self.times();
        for token in &self.tokens {
            for (i, secret) in token.secrets.iter().enumerate() {
                let refusals = token.refusals(i, times);
                let outcome = self.service.verify(&secret.token, &any()).await;
                let uncached = self.service.verify_uncached(&secret.token, &any()).await;
                assert_eq!(outcome.is_ok(), uncached.is_ok());
                match outcome {
                    Ok(verified) => {
                        assert!(refusals.is_empty(), "accepted, and not for {refusals:?}");
                        assert!(
                            !self.ended.contains(&secret.token),
                            "an ended secret was accepted"
                        );
                        assert_eq!(verified.owner(), OWNERS[token.owner]);
                    }
                    Err(error) => {
                        let refusal = error.refusal().unwrap();
                        assert!(refusals.contains(&refusal), "{refusal:?}, not of {refusals:?}");
                        if !matches!(refusal, Refusal::NotYetActive | Refusal::Suspended) {
                            self.ended.insert(secret.token.clone());
                        }
                    }
                }
                let uploads =
                    self.service.verify(&secret.token, &requirement("files:upload")).await;
                match uploads {
                    Ok(_) => assert!(refusals.is_empty() && !token.narrow),
                    Err(VerifyError::MissingScope(_)) => {
                        assert!(refusals.is_empty() && token.narrow);
                    }
                    Err(error) => assert!(refusals.contains(&error.refusal().unwrap())),
                }
            }
        }
        for view in [View::Every, View::Owner(0), View::Owner(1), View::Owner(2)] {
            let sets = State::ALL.map(States::from);
            for states in sets.into_iter().chain([States::LIVE, States::ENDED, States::ALL]) {
                self.compare_lists(view, states).await;
            }
            for token in &self.tokens {
                let got = self.view(view).get(token.id).await;
                assert_eq!(got.is_ok(), token.seen_by(view));
                if let Ok(stored) = got {
                    assert_eq!(stored.record.state(self.now), token.state(self.listed()));
                }
            }
        }
    }

    /// Returns the times of a list, which uses the service's time only.
    fn listed(&self) -> Times {
        Times { now: self.now, earlier: self.now, passed: self.now }
    }

    async fn compare_lists(&self, view: View, states: States) {
        let selected = |token: &&ModelToken| {
            token.seen_by(view) && states.contains(token.state(self.listed()))
        };
        let mut expected: Vec<_> = self.tokens.iter().filter(selected).map(|t| t.id).collect();
        expected.sort_unstable();
        for direction in [Order::OldestFirst, Order::NewestFirst] {
            let mut listed = Vec::new();
            let mut query =
                ListRequest::from(Filter::new().states(states)).order(direction).limit(3);
            loop {
                let page = self.view(view).list(query.clone()).await.unwrap();
                listed.extend(page.items.iter().map(|stored| stored.record.id()));
                match page.next {
                    Some(next) => query = query.after(next),
                    None => break,
                }
            }
            assert_eq!(listed, expected, "{view:?} {states:?} {direction:?}");
            expected.reverse();
        }
    }
}

fn run(cases: u32, make: impl Fn() -> (Simulation, Box<dyn std::any::Any>)) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let histories = proptest::collection::vec(commands(), 1..40);
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&histories, |history| {
        let (mut simulation, _guard) = make();
        for command in history {
            block_on(simulation.apply(command));
            block_on(simulation.compare());
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn simulation(stores: Stores, cached: bool) -> (Simulation, Box<dyn std::any::Any>) {
    let opened = stores.open();
    let clock = Arc::new(ManualClock::default());
    let store: SharedStore =
        if cached { Arc::new(Remote::new(opened.store)) } else { opened.store };
    let mut service = builder(store).clock(clock.clone());
    if cached {
        service = service.cache_records(HOUR, 10);
    }
    let (service, now) = (service.build().unwrap(), clock.now());
    let (agreed, tokens, ended) = (Cell::new(now), Vec::new(), HashSet::new());
    (Simulation { clock, service, now, agreed, tokens, ended }, opened.guard)
}

pub(crate) async fn histories_agree_with_model(stores: Stores) {
    run(60, || simulation(stores, false));
}

pub(crate) async fn histories_agree_with_model_campaign(stores: Stores) {
    run(150, || simulation(stores, false));
}

/// A caching service that is the only process on its store never decides by a stale record.
pub(crate) async fn cached_histories_agree_with_model(stores: Stores) {
    run(30, || simulation(stores, true));
}

pub(crate) async fn cached_histories_agree_with_model_campaign(stores: Stores) {
    run(60, || simulation(stores, true));
}
