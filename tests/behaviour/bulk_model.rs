//! Random histories of single and bulk operations against a model: a bulk operation changes the tokens
//! that its filter selects, and no others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::harness::{DAY, HOUR, MICRO, SharedStore, Stores, any, builder, records, text};
use chrono::{DateTime, TimeDelta, Utc};
use futures_lite::future::block_on;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof};
use proptest::test_runner::TestRunner;
use service_tokens::clock::ManualClock;
use service_tokens::record::{Revocation, Suspension, SuspensionMatch};
use service_tokens::{
    Filter, IssueRequest, ManageError, Record, ResumeRequest, RevokeRequest, RotateRequest,
    SuspendRequest, TokenId, TokenService,
};

behaviours! {
    bulk_histories_agree_with_model,
    #[ignore = "campaign"]
    bulk_histories_agree_with_model_campaign,
}

const OWNERS: [&str; 2] = ["acme", "globex"];
const TYPES: [&str; 2] = ["connector", "developer"];
const LABELS: [&str; 2] = ["backup", "backup 2"];
const ACTORS: [Option<&str>; 2] = [None, Some("ops")];

/// A filter. A field that is `None` selects every token.
#[derive(Debug, Clone)]
struct Selection {
    view: Option<usize>,
    owner: Option<usize>,
    token_type: Option<usize>,
    label: Option<usize>,
    by_ops: bool,
    created_before: Option<TimeDelta>,
}

#[derive(Debug, Clone)]
enum Command {
    Issue {
        owner: usize,
        token_type: usize,
        label: usize,
        actor: usize,
        lifetime: Duration,
        later: bool,
    },
    Rotate(usize),
    Revoke(usize),
    RevokeAll {
        selection: Selection,
        polls: Option<usize>,
    },
    Suspend {
        token: usize,
        incident: usize,
        lasting: Option<Duration>,
    },
    Resume(usize),
    SuspendAll {
        selection: Selection,
        incident: usize,
        lasting: Option<Duration>,
        polls: Option<usize>,
    },
    /// Ends an incident by its reason, or the suspension of one token by its start.
    ResumeAll {
        selection: Selection,
        incident: usize,
        since_of: Option<usize>,
    },
    Purge {
        view: Option<usize>,
        retention: Duration,
    },
    PauseIssuing,
    ResumeIssuing,
    Pass(Duration),
}

fn spans() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(MICRO), Just(HOUR), Just(DAY), Just(3 * DAY)]
}

fn selections() -> impl Strategy<Value = Selection> {
    let one = || proptest::option::of(0..2usize);
    let ago = proptest::option::of(spans().prop_map(|span| TimeDelta::from_std(span).unwrap()));
    (one(), one(), one(), one(), proptest::bool::weighted(0.3), ago).prop_map(
        |(view, owner, token_type, label, by_ops, created_before)| Selection {
            view,
            owner,
            token_type,
            label,
            by_ops,
            created_before,
        },
    )
}

fn commands() -> impl Strategy<Value = Command> {
    let issue =
        (0..2usize, 0..2usize, 0..2usize, 0..2usize, spans(), proptest::bool::weighted(0.2));
    let issue = issue.prop_map(|(owner, token_type, label, actor, lifetime, later)| {
        Command::Issue { owner, token_type, label, actor, lifetime, later }
    });
    let polls = proptest::option::weighted(0.3, 1..4usize);
    let revoke_all = (selections(), polls)
        .prop_map(|(selection, polls)| Command::RevokeAll { selection, polls });
    let polls = || proptest::option::weighted(0.3, 1..4usize);
    let lasting = || proptest::option::of(spans());
    let suspend = (0..64usize, 0..2usize, lasting())
        .prop_map(|(token, incident, lasting)| Command::Suspend { token, incident, lasting });
    let suspend_all = (selections(), 0..2usize, lasting(), polls()).prop_map(
        |(selection, incident, lasting, polls)| Command::SuspendAll {
            selection,
            incident,
            lasting,
            polls,
        },
    );
    let resume_all = (selections(), 0..2usize, proptest::option::of(0..64usize)).prop_map(
        |(selection, incident, since_of)| Command::ResumeAll { selection, incident, since_of },
    );
    let purge = (proptest::option::of(0..2usize), prop_oneof![Just(DAY), Just(2 * DAY)])
        .prop_map(|(view, retention)| Command::Purge { view, retention });
    prop_oneof![
        12 => issue,
        2 => (0..64usize).prop_map(Command::Rotate),
        2 => (0..64usize).prop_map(Command::Revoke),
        3 => revoke_all,
        3 => suspend,
        1 => (0..64usize).prop_map(Command::Resume),
        3 => suspend_all,
        3 => resume_all,
        3 => purge,
        1 => Just(Command::PauseIssuing),
        2 => Just(Command::ResumeIssuing),
        6 => spans().prop_map(Command::Pass),
    ]
}

#[derive(Debug, Clone)]
struct Token {
    text: String,
    owner: usize,
    token_type: usize,
    label: usize,
    actor: usize,
    created: DateTime<Utc>,
    start: Option<DateTime<Utc>>,
    end: DateTime<Utc>,
    revoked: Option<DateTime<Utc>>,
    pauses: Vec<Pause>,
}

/// A suspension of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pause {
    since: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
    incident: usize,
}

impl Pause {
    fn is_running(&self, now: DateTime<Utc>) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Token {
    fn is_suspended(&self, now: DateTime<Utc>) -> bool {
        self.pauses.iter().any(|pause| pause.is_running(now))
    }

    fn is_active(&self, now: DateTime<Utc>) -> bool {
        let started = self.start.is_none_or(|start| start <= now);
        self.is_live(now) && started && !self.is_suspended(now)
    }

    /// Suspends the token, unless the same incident suspends it for as long. Returns whether it changed.
    fn suspend(&mut self, new: Pause) -> bool {
        let present = self.pauses.iter().find(|pause| pause.incident == new.incident);
        let lengthens = match present.map(|pause| pause.until) {
            None => true,
            Some(None) => false,
            Some(Some(present)) => new.until.is_none_or(|until| until > present),
        };
        if lengthens {
            self.pauses.retain(|pause| pause.incident != new.incident);
            self.pauses.push(new);
            self.pauses.sort_by_key(|pause| (pause.since, pause.incident));
        }
        lengthens
    }

    /// Ends the suspensions that are selected, also those that have passed. Returns whether there was one.
    fn resume(&mut self, selects: impl Fn(&Pause) -> bool) -> bool {
        let before = self.pauses.len();
        self.pauses.retain(|pause| !selects(pause));
        self.pauses.len() < before
    }

    fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.revoked.is_none() && now < self.end
    }

    fn ended_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (!self.is_live(now)).then(|| self.revoked.map_or(self.end, |revoked| revoked.min(self.end)))
    }

    fn selected(&self, selection: &Selection, now: DateTime<Utc>) -> bool {
        self.is_live(now)
            && selection.view.is_none_or(|view| view == self.owner)
            && selection.owner.is_none_or(|owner| owner == self.owner)
            && selection.token_type.is_none_or(|of| of == self.token_type)
            && selection.label.is_none_or(|label| label == self.label)
            && (!selection.by_ops || self.actor == 1)
            && selection.created_before.is_none_or(|ago| self.created < now - ago)
    }
}

fn filter(selection: &Selection, now: DateTime<Utc>) -> Filter {
    let mut filter = Filter::new();
    if let Some(owner) = selection.owner {
        filter = filter.owner(OWNERS[owner]);
    }
    if let Some(of) = selection.token_type {
        filter = filter.token_type(TYPES[of]);
    }
    if let Some(label) = selection.label {
        filter = filter.issued_to(LABELS[label]);
    }
    if selection.by_ops {
        filter = filter.issued_by("ops");
    }
    if let Some(ago) = selection.created_before {
        filter = filter.created_before(now - ago);
    }
    filter
}

const INCIDENTS: [&str; 2] = ["INC-1", "INC-2"];

fn request(incident: usize, lasting: Option<Duration>) -> SuspendRequest {
    let request = SuspendRequest::new().by("ops").reason(INCIDENTS[incident]);
    lasting.map_or(request.clone(), |lasting| request.lasting(lasting))
}

fn pause(suspension: &Suspension) -> Pause {
    let incident = INCIDENTS.iter().position(|text| suspension.reason.as_deref() == Some(text));
    Pause { since: suspension.since, until: suspension.until, incident: incident.unwrap() }
}

/// Returns the suspensions in the order of the model, by start and incident.
fn pauses(record: &Record) -> Vec<Pause> {
    record.suspensions().iter().map(pause).collect()
}

/// Returns whether both have the same incidents with the same ends.
fn same_but_start(one: &[Pause], other: &[Pause]) -> bool {
    let ends = |pauses: &[Pause]| {
        pauses.iter().map(|pause| (pause.incident, pause.until)).collect::<BTreeMap<_, _>>()
    };
    one.len() == other.len() && ends(one) == ends(other)
}

struct Simulation {
    clock: Arc<ManualClock>,
    store: SharedStore,
    service: TokenService<SharedStore>,
    tokens: BTreeMap<TokenId, Token>,
    gone: Vec<String>,
    paused: bool,
}

impl Simulation {
    fn nth(&self, n: usize) -> Option<TokenId> {
        (!self.tokens.is_empty()).then(|| *self.tokens.keys().nth(n % self.tokens.len()).unwrap())
    }

    fn view(
        &self,
        view: Option<usize>,
    ) -> service_tokens::Tokens<'_, SharedStore, service_tokens::AllOwners> {
        self.service.owner_or_all(view.map(|owner| OWNERS[owner]))
    }

    async fn apply(&mut self, command: Command) {
        let now = self.service.now();
        match command {
            Command::Pass(span) => self.clock.advance(span),
            Command::PauseIssuing => {
                self.service.pause_issuing("INC-42").await.unwrap();
                self.paused = true;
            }
            Command::ResumeIssuing => {
                let was_paused =
                    self.service.resume_issuing() == service_tokens::ResumedIssuing::WasPaused;
                assert_eq!(was_paused, self.paused);
                self.paused = false;
            }
            Command::Issue { owner, token_type, label, actor, lifetime, later } => {
                let mut request = IssueRequest::new(TYPES[token_type], LABELS[label]);
                request = request.expires_in(lifetime);
                if let Some(by) = ACTORS[actor] {
                    request = request.issued_by(by);
                }
                let start = (later && lifetime > HOUR).then(|| now + TimeDelta::hours(1));
                if let Some(start) = start {
                    request = request.not_before(start);
                }
                match self.service.owner(OWNERS[owner]).issue(request).await {
                    Ok(issued) => {
                        assert!(!self.paused);
                        let token = Token {
                            text: text(&issued),
                            owner,
                            token_type,
                            label,
                            actor,
                            created: now,
                            start,
                            end: now + lifetime,
                            revoked: None,
                            pauses: Vec::new(),
                        };
                        self.tokens.insert(issued.record.id(), token);
                    }
                    Err(ManageError::IssuingPaused { .. }) => assert!(self.paused),
                    Err(other) => panic!("{other:?}"),
                }
            }
            Command::Rotate(n) => {
                let Some(id) = self.nth(n) else { return };
                let outcome = self.service.all_owners().rotate(id, RotateRequest::at_once()).await;
                let token = self.tokens.get_mut(&id).unwrap();
                assert_eq!(outcome.is_ok(), token.is_active(now));
                if let Ok(issued) = outcome {
                    token.text = text(&issued);
                }
            }
            Command::Revoke(n) => {
                let Some(id) = self.nth(n) else { return };
                let words = RevokeRequest::new().by("single");
                let revoked = self.service.all_owners().revoke(id, words).await.unwrap();
                let token = self.tokens.get_mut(&id).unwrap();
                assert_eq!(revoked.already_revoked, token.revoked.is_some());
                token.revoked = token.revoked.or(Some(now));
            }
            Command::Suspend { token, incident, lasting } => {
                let Some(id) = self.nth(token) else { return };
                let request = request(incident, lasting);
                let outcome = self.service.all_owners().suspend(id, request).await;
                let token = self.tokens.get_mut(&id).unwrap();
                let until = lasting.map(|lasting| now + lasting);
                match outcome {
                    Ok(suspended) => {
                        assert!(token.is_live(now));
                        let changed = token.suspend(Pause { since: now, until, incident });
                        assert_eq!(suspended.already_suspended, !changed);
                    }
                    Err(ManageError::Ended { .. }) => assert!(!token.is_live(now)),
                    Err(other) => panic!("{other:?}"),
                }
            }
            Command::Resume(n) => {
                let Some(id) = self.nth(n) else { return };
                let outcome = self.service.all_owners().resume(id, ResumeRequest::new()).await;
                let token = self.tokens.get_mut(&id).unwrap();
                match outcome {
                    Ok(resumed) => {
                        assert_eq!(!resumed.ended.is_empty(), token.resume(|_| true));
                    }
                    Err(ManageError::Ended { .. }) => assert!(!token.is_live(now)),
                    Err(other) => panic!("{other:?}"),
                }
            }
            Command::SuspendAll { selection, incident, lasting, polls } => {
                let until = lasting.map(|lasting| now + lasting);
                let pause = Pause { since: now, until, incident };
                self.suspend_all(&selection, pause, polls).await;
            }
            Command::ResumeAll { selection, incident, since_of } => {
                self.resume_all(&selection, incident, since_of, now).await;
            }
            Command::RevokeAll { selection, polls } => {
                self.revoke_all(&selection, polls, now).await
            }
            Command::Purge { view, retention } => {
                let goes = |token: &Token| {
                    view.is_none_or(|view| view == token.owner)
                        && token.ended_at(now).is_some_and(|ended_at| ended_at < now - retention)
                };
                let expected = self.tokens.values().filter(|token| goes(token)).count() as u64;
                let view = self.view(view);
                assert_eq!(view.purge(retention).count().await.unwrap(), expected);
                assert_eq!(view.purge(retention).run().await.unwrap().done, expected);
                let (gone, left) = std::mem::take(&mut self.tokens)
                    .into_iter()
                    .partition::<BTreeMap<_, _>, _>(|(_, token)| goes(token));
                self.tokens = left;
                self.gone.extend(gone.into_values().map(|token| token.text));
            }
        }
    }

    async fn revoke_all(
        &mut self,
        selection: &Selection,
        polls: Option<usize>,
        now: DateTime<Utc>,
    ) {
        let view = self.view(selection.view);
        let words = || RevokeRequest::new().by("bulk");
        let expected =
            self.tokens.values().filter(|token| token.selected(selection, now)).count() as u64;
        let run = || view.revoke_all(filter(selection, now), words());
        assert_eq!(run().count().await.unwrap(), expected);
        let mut done = 0;
        if let Some(polls) = polls {
            // The future is dropped after some polls. Only selected tokens may be revoked.
            let mut dropped = Box::pin(run().run());
            for _ in 0..polls {
                if let Some(outcome) = futures_lite::future::poll_once(&mut dropped).await {
                    done = outcome.unwrap().done;
                    break;
                }
            }
            drop(dropped);
            let by_bulk = |revocation: &Revocation| revocation.by.as_deref() == Some("bulk");
            for record in records(&*self.store).await {
                let token = &self.tokens[&record.id()];
                if record.revocation().is_some_and(by_bulk) {
                    assert!(token.revoked.is_some() || token.selected(selection, now));
                }
            }
        }
        done += run().run().await.unwrap().done;
        assert!(if polls.is_some() { done <= expected } else { done == expected });
        for token in self.tokens.values_mut() {
            if token.selected(selection, now) {
                token.revoked = Some(now);
            }
        }
    }

    async fn suspend_all(&mut self, selection: &Selection, new: Pause, polls: Option<usize>) {
        let view = self.view(selection.view);
        let now = new.since;
        let request = request(new.incident, None);
        let request = new.until.map_or(request.clone(), |until| request.until(until));
        let run = || view.suspend_all(filter(selection, now), request.clone());
        let mut tokens = self.tokens.clone();
        let selected = tokens.values_mut().filter(|token| token.selected(selection, now));
        let expected = selected.map(|token| u64::from(token.suspend(new))).sum::<u64>();
        assert_eq!(run().count().await.unwrap(), expected);
        let (mut done, mut starts) = (0, Vec::new());
        if let Some(polls) = polls {
            // The future is dropped after some polls. Another run continues with the rest.
            let first = run();
            starts.push(first.since());
            let mut dropped = Box::pin(first.run());
            for _ in 0..polls {
                if let Some(outcome) = futures_lite::future::poll_once(&mut dropped).await {
                    done = outcome.unwrap().done;
                    break;
                }
            }
            drop(dropped);
            for record in records(&*self.store).await {
                let pauses = pauses(&record);
                let (before, after) = (&self.tokens[&record.id()], &tokens[&record.id()]);
                assert!(pauses == before.pauses || same_but_start(&pauses, &after.pauses));
            }
        }
        let last = run();
        starts.push(last.since());
        let outcome = last.run().await.unwrap();
        assert!(outcome.passes <= 2, "{outcome:?}");
        done += outcome.done;
        assert!(if polls.is_some() { done <= expected } else { done == expected });
        // Time stands still, but the starts of bulk suspensions differ. The model takes them from the records.
        for record in records(&*self.store).await {
            let (pauses, token) = (pauses(&record), tokens.get_mut(&record.id()).unwrap());
            assert!(same_but_start(&pauses, &token.pauses));
            for pause in &pauses {
                let before = self.tokens[&record.id()].pauses.contains(pause);
                assert!(before || pause.incident == new.incident && starts.contains(&pause.since));
            }
            token.pauses = pauses;
        }
        self.tokens = tokens;
    }

    async fn resume_all(
        &mut self,
        selection: &Selection,
        incident: usize,
        since_of: Option<usize>,
        now: DateTime<Utc>,
    ) {
        let since = since_of
            .and_then(|n| self.nth(n))
            .and_then(|id| self.tokens[&id].pauses.last().map(|pause| pause.since));
        let which = since.map_or_else(
            || SuspensionMatch::ByAndReason {
                by: Some("ops".into()),
                reason: Some(INCIDENTS[incident].into()),
            },
            SuspensionMatch::Since,
        );
        let selects = |pause: &Pause| match since {
            Some(since) => pause.since == since,
            None => pause.incident == incident,
        };
        let mut tokens = self.tokens.clone();
        let selected = tokens
            .values_mut()
            .filter(|token| token.selected(selection, now) && token.is_suspended(now));
        let expected = selected.map(|token| u64::from(token.resume(selects))).sum::<u64>();
        let view = self.view(selection.view);
        let run = || view.resume_all(filter(selection, now), which.clone(), ResumeRequest::new());
        assert_eq!(run().count().await.unwrap(), expected);
        assert_eq!(run().run().await.unwrap().done, expected);
        self.tokens = tokens;
    }

    async fn check(&self) {
        let now = self.service.now();
        let records = records(&*self.store).await;
        let ids: Vec<TokenId> = records.iter().map(|record| record.id()).collect();
        assert_eq!(ids, self.tokens.keys().copied().collect::<Vec<_>>());
        for record in records {
            let token = &self.tokens[&record.id()];
            assert_eq!(record.revocation().map(|revocation| revocation.at), token.revoked);
            assert_eq!(pauses(&record), token.pauses);
            let accepted = self.service.verify(&token.text, &any()).await.is_ok();
            assert_eq!(accepted, token.is_active(now));
        }
        for gone in &self.gone {
            assert!(self.service.verify(gone, &any()).await.is_err());
        }
        assert_eq!(self.service.issuing_paused().is_some(), self.paused);
    }
}

pub(crate) async fn bulk_histories_agree_with_model(stores: Stores) {
    run(stores, 60);
}

pub(crate) async fn bulk_histories_agree_with_model_campaign(stores: Stores) {
    run(stores, 120);
}

fn run(stores: Stores, cases: u32) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let histories = proptest::collection::vec(commands(), 1..60);
    let outcome = TestRunner::new(config).run(&histories, |history| {
        let opened = stores.open();
        let clock = Arc::new(ManualClock::default());
        let service = builder(opened.store.clone()).clock(clock.clone()).build().unwrap();
        let (tokens, gone) = (BTreeMap::new(), Vec::new());
        let mut simulation =
            Simulation { clock, store: opened.store, service, tokens, gone, paused: false };
        for command in history {
            block_on(simulation.apply(command));
            block_on(simulation.check());
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
