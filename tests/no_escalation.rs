//! Whatever a token does, and with whatever it obtains by that, in whatever order: nothing that comes out
//! of it may do more than it, for another owner, or for longer.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::block_on;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use service_tokens::{
    IssueRequest, Issued, ManageError, ManualClock, Need, Policy, Record, Replaces, ReservedScope,
    RevokeRequest, RotateRequest, ScopeSet, State, TokenId, TokenService, TokenType, VerifiedToken,
};
use support::{DAY, HOUR, Open, SharedStore, any, over_stores, text};

over_stores! {
    no_sequence_of_acts_yields_more_than_it_began_with,
}

/// What scopes are made of.
const GRANTS: [&str; 14] = [
    "*",
    "a",
    "a:*",
    "a:x",
    "a:x:*",
    "b:x",
    "b:*",
    "service-tokens:*",
    "service-tokens:read",
    "service-tokens:issue",
    "service-tokens:rotate",
    "service-tokens:rotate-self",
    "service-tokens:revoke",
    "service-tokens:introspect",
];

/// Everything that can be asked for. `z` stands for what no grant names.
const NEEDS: [&str; 17] = [
    "a",
    "a:x",
    "a:z",
    "a:x:z",
    "a:x:z:z",
    "b",
    "b:x",
    "b:z",
    "z",
    "service-tokens",
    "service-tokens:read",
    "service-tokens:issue",
    "service-tokens:rotate",
    "service-tokens:rotate-self",
    "service-tokens:revoke",
    "service-tokens:introspect",
    "service-tokens:z",
];

const TYPES: [&str; 3] = ["broad", "narrow", "mixed"];
const OWNERS: [&str; 2] = ["acme", "globex"];

type Grants = Vec<usize>;

#[derive(Debug, Clone)]
enum What {
    /// With all of the type's scopes, or with some of the acting token's own and perhaps one more.
    Issue {
        owner: usize,
        token_type: usize,
        scopes: Option<(u64, Option<usize>)>,
        end: End,
    },
    Rotate {
        target: usize,
        overlap: bool,
        replaces: Option<Replaces>,
        end: End,
    },
    RotateSelf {
        overlap: bool,
        replaces: Option<Replaces>,
        end: End,
    },
    Revoke {
        target: usize,
    },
}

#[derive(Debug, Clone, Copy)]
enum End {
    Unsaid,
    In(Duration),
    Never,
}

#[derive(Debug, Clone)]
enum Step {
    /// One of the latest tokens that were obtained acts: by a verification of now, or by its last one.
    Act {
        token: usize,
        fresh: bool,
        what: What,
    },
    Pass(Duration),
    /// From now on the types have these scopes.
    Retype([Grants; 3]),
}

#[derive(Debug, Clone)]
struct Start {
    /// The first is the token it is about; the others are somebody's.
    tokens: Vec<(usize, Grants, End)>,
}

fn grants() -> impl Strategy<Value = Grants> {
    proptest::collection::vec(0..GRANTS.len(), 1..7)
}

/// Grants with which something can be done.
fn busy_grants() -> impl Strategy<Value = Grants> {
    grants().prop_map(|grants| [&grants[..], &[9, 10, 11]].concat())
}

fn ends() -> impl Strategy<Value = End> {
    prop_oneof![
        5 => Just(End::Unsaid),
        3 => (1..72u32).prop_map(|hours| End::In(hours * HOUR)),
        1 => Just(End::Never),
    ]
}

fn replaces() -> impl Strategy<Value = Option<Replaces>> {
    prop_oneof![Just(None), Just(Some(Replaces::Newest)), Just(Some(Replaces::Oldest))]
}

fn steps() -> impl Strategy<Value = Step> {
    let some = prop_oneof![2 => Just(u64::MAX), 1 => proptest::num::u64::ANY];
    let more = proptest::option::weighted(0.3, 0..GRANTS.len());
    let scopes = proptest::option::weighted(0.8, (some, more));
    let types = prop_oneof![3 => Just(0usize), 1 => Just(1), 1 => Just(2)];
    let overlap = || proptest::bool::weighted(0.3);
    let what = prop_oneof![
        6 => (0..10usize, types, scopes, ends()).prop_map(|(owner, token_type, scopes, end)| {
            What::Issue { owner: usize::from(owner == 0), token_type, scopes, end }
        }),
        5 => (0..1_000usize, overlap(), replaces(), ends()).prop_map(|(target, overlap, replaces, end)| {
            What::Rotate { target, overlap, replaces, end }
        }),
        2 => (overlap(), replaces(), ends()).prop_map(|(overlap, replaces, end)| {
            What::RotateSelf { overlap, replaces, end }
        }),
        1 => (0..1_000usize).prop_map(|target| What::Revoke { target }),
    ];
    prop_oneof![
        12 => (0..1_000usize, proptest::bool::weighted(0.7), what)
            .prop_map(|(token, fresh, what)| Step::Act { token, fresh, what }),
        1 => (1..12u32).prop_map(|hours| Step::Pass(hours * HOUR)),
        1 => (busy_grants(), proptest::bool::ANY, grants(), busy_grants()).prop_map(
            |(broad, wide, narrow, mixed)| {
                let broad = if wide { (0..GRANTS.len()).collect() } else { broad };
                Step::Retype([broad, narrow, mixed])
            }
        ),
    ]
}

fn starts() -> impl Strategy<Value = Start> {
    let first = (Just(0), busy_grants(), (24..72u32).prop_map(|hours| End::In(hours * HOUR)));
    let others = proptest::collection::vec((0..2usize, grants(), ends()), 1..6);
    (first, others).prop_map(|(first, others)| Start { tokens: [&[first][..], &others].concat() })
}

fn names(grants: &Grants) -> impl Iterator<Item = &'static str> {
    grants.iter().map(|grant| GRANTS[*grant])
}

/// What a grant permits, said without the crate: segments, and the reserved resource by name only.
fn permits(grant: &str, need: &str) -> bool {
    let (grant, need): (Vec<&str>, Vec<&str>) =
        (grant.split(':').collect(), need.split(':').collect());
    match grant.split_last() {
        Some((&"*", [])) => need[0] != "service-tokens",
        Some((&"*", start)) => need.len() > start.len() && need.starts_with(start),
        _ => grant == need,
    }
}

/// One bit for each need.
fn permitted<'g>(grants: impl Iterator<Item = &'g str>) -> u32 {
    let grants: Vec<&str> = grants.collect();
    let met = |need: &&str| grants.iter().any(|grant| permits(grant, need));
    NEEDS.iter().enumerate().filter(|(_, need)| met(need)).fold(0, |bits, (bit, _)| bits | 1 << bit)
}

struct Obtained {
    token: String,
    verified: Option<VerifiedToken>,
}

struct World {
    clock: Arc<ManualClock>,
    store: SharedStore,
    service: TokenService<SharedStore>,
    types: [Grants; 3],
    /// Every record there is.
    ids: Vec<TokenId>,
    first: Record,
    obtained: Vec<Obtained>,
    /// What succeeded, and how deep the chains went: a test in which nothing happens says nothing.
    tally: BTreeMap<&'static str, usize>,
    _guard: Box<dyn std::any::Any>,
}

fn service(
    store: &SharedStore,
    clock: &Arc<ManualClock>,
    types: &[Grants; 3],
) -> TokenService<SharedStore> {
    let policy = Policy::new().allow_never(true).default_lifetime(DAY);
    let mut builder = TokenService::builder(store.clone(), "acme_live").clock(clock.clone());
    for (name, grants) in TYPES.iter().zip(types) {
        builder = builder.token_type(TokenType::new(name, names(grants)).unwrap());
    }
    builder.policy(policy).build().unwrap()
}

fn with_end(request: IssueRequest, end: End) -> IssueRequest {
    match end {
        End::Unsaid => request,
        End::In(lifetime) => request.expires_in(lifetime),
        End::Never => request.never_expires(),
    }
}

fn rotation(overlap: bool, replaces: Option<Replaces>, end: End) -> RotateRequest {
    let request =
        if overlap { RotateRequest::with_overlap(HOUR) } else { RotateRequest::at_once() };
    let request = match replaces {
        Some(which) => request.replacing(which),
        None => request,
    };
    match end {
        End::Unsaid => request,
        End::In(lifetime) => request.expires_in(lifetime),
        End::Never => request.never_expires(),
    }
}

/// Whether one end comes no later than another.
fn no_later(end: &Record, than: &Record) -> bool {
    match (end.expires_at(), than.expires_at()) {
        (_, None) => true,
        (Some(end), Some(than)) => end <= than,
        (None, Some(_)) => false,
    }
}

impl World {
    async fn new(open: Open, start: &Start) -> Self {
        let opened = open();
        let clock = Arc::new(ManualClock::default());
        let everything = (0..GRANTS.len()).collect::<Grants>();
        let types = [everything.clone(), vec![2, 5, 9], vec![2, 5, 9, 10, 11]];
        let service = service(&opened.store, &clock, &types);
        let mut issued = Vec::new();
        for (owner, grants, end) in &start.tokens {
            let scopes = ScopeSet::new(names(grants)).unwrap();
            let request = IssueRequest::new(OWNERS[*owner], "broad", "somebody").scopes(scopes);
            issued.push(service.issue(with_end(request, *end)).await.unwrap());
        }
        let obtained = vec![Obtained { token: text(&issued[0]), verified: None }];
        let first = issued[0].record.clone();
        let ids = issued.iter().map(|issued| issued.record.id()).collect();
        let (store, tally) = (opened.store, BTreeMap::new());
        Self { clock, store, service, types, ids, first, obtained, tally, _guard: opened.guard }
    }

    async fn record(&self, id: TokenId) -> Record {
        self.store.find(id).await.unwrap().unwrap().record
    }

    /// What a token may do now: by what it was issued with, and by what its type has at present.
    fn effective(&self, record: &Record) -> u32 {
        let at = TYPES.iter().position(|name| *name == record.token_type()).unwrap();
        permitted(record.scopes().iter()) & permitted(names(&self.types[at]))
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Pass(span) => self.clock.advance(span),
            Step::Retype(types) => {
                self.service = service(&self.store, &self.clock, &types);
                self.types = types;
            }
            Step::Act { token, fresh, what } => {
                let last = self.obtained.len() - 1;
                let at = last - token % (last + 1).min(4);
                let obtained = &mut self.obtained[at];
                if fresh || obtained.verified.is_none() {
                    obtained.verified = self.service.verify(&obtained.token, &any()).await.ok();
                }
                if let Some(verified) = obtained.verified.clone() {
                    self.act(&verified, what).await;
                }
            }
        }
    }

    async fn act(&mut self, verified: &VerifiedToken, what: What) {
        let acting = self.record(verified.id()).await;
        let active = acting.state(self.service.now()) == State::Active;
        let effective = self.effective(&acting);
        let acts = self.service.on_behalf_of(verified);
        let (needed, target, outcome): (_, _, Result<Option<Issued>, ManageError>) = match what {
            What::Issue { owner, token_type, scopes, end } => {
                let request = IssueRequest::new(OWNERS[owner], TYPES[token_type], "below");
                let request = match scopes {
                    Some((some, more)) => {
                        let own = acting.scopes().iter().enumerate();
                        let own = own.filter(|(at, _)| some >> at & 1 == 1).map(|(_, scope)| scope);
                        let more = more.map(|grant| GRANTS[grant]);
                        request.scopes(ScopeSet::new(own.chain(more)).unwrap())
                    }
                    None => request,
                };
                let outcome = acts.issue(with_end(request, end)).await.map(Some);
                (Some(ReservedScope::Issue), None, outcome)
            }
            What::Rotate { target, overlap, replaces, end } => {
                let target = self.ids[target % self.ids.len()];
                let outcome = acts.rotate(target, rotation(overlap, replaces, end)).await.map(Some);
                let itself = target == acting.id();
                let needed = if itself { ReservedScope::RotateSelf } else { ReservedScope::Rotate };
                (Some(needed), Some(target), outcome)
            }
            What::RotateSelf { overlap, replaces, end } => {
                let outcome = acts.rotate_self(rotation(overlap, replaces, end)).await.map(Some);
                (Some(ReservedScope::RotateSelf), Some(acting.id()), outcome)
            }
            What::Revoke { target } => {
                let target = self.ids[target % self.ids.len()];
                let itself = target == acting.id();
                let outcome = acts.revoke(target, RevokeRequest::new()).await.map(|_| None);
                ((!itself).then_some(ReservedScope::Revoke), Some(target), outcome)
            }
        };
        let Ok(outcome) = outcome else { return };
        assert!(active, "a dead token acted");
        if let Some(needed) = needed {
            let at = NEEDS.iter().position(|need| *need == needed.as_str()).unwrap();
            assert!(effective >> at & 1 == 1, "without {needed}");
        }
        if let Some(target) = target {
            assert_eq!(self.record(target).await.owner(), acting.owner());
        }
        let Some(issued) = outcome else {
            *self.tally.entry("revoked").or_default() += 1;
            return;
        };
        let (got, itself) = (&issued.record, issued.record.id() == acting.id());
        assert_eq!(got, &self.record(got.id()).await);
        assert_eq!(got.owner(), acting.owner());
        assert!(no_later(got, &acting), "it ends later than what obtained it");
        if itself {
            assert_eq!(got.issuers(), acting.issuers());
            assert_eq!(got.scopes(), acting.scopes());
        } else {
            // Whatever its type may become, against what the acting token may do at this moment.
            let more = permitted(got.scopes().iter()) & !effective;
            assert_eq!(more, 0, "{} obtained {}", acting.scopes(), got.scopes());
            assert_eq!(got.issuers()[0], acting.id());
            assert!(
                acting.issuers().iter().all(|id| *id == got.id() || got.issuers().contains(id))
            );
        }
        let name = match target {
            None => "issued",
            Some(_) if itself => "rotated itself",
            Some(_) => "rotated",
        };
        *self.tally.entry(name).or_default() += 1;
        if got.issuers().len() > 2 {
            *self.tally.entry("deep").or_default() += 1;
        }
        if !self.ids.contains(&got.id()) {
            self.ids.push(got.id());
        }
        self.obtained.push(Obtained { token: text(&issued), verified: None });
    }

    /// Every token that was obtained, held against the one with which it began.
    async fn check(&self) {
        let first = permitted(self.first.scopes().iter());
        for obtained in &self.obtained {
            let Ok(verified) = self.service.verify(&obtained.token, &any()).await else { continue };
            let record = self.record(verified.id()).await;
            assert_eq!(verified.owner(), self.first.owner());
            assert!(no_later(&record, &self.first), "it outlives what it began with");
            let itself = record.id() == self.first.id();
            assert!(itself || record.issuers().contains(&self.first.id()), "nobody would find it");
            let effective = self.effective(&record);
            for (bit, need) in NEEDS.iter().enumerate() {
                let need = Need::scope(need).unwrap();
                let may = self.service.verify(&obtained.token, &need).await.is_ok();
                assert_eq!(may, effective >> bit & 1 == 1);
                assert!(!may || first >> bit & 1 == 1, "it may {need}");
            }
        }
    }
}

async fn no_sequence_of_acts_yields_more_than_it_began_with(open: Open) {
    let config =
        ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    let histories = (starts(), proptest::collection::vec(steps(), 1..60));
    let tally = RefCell::new(BTreeMap::new());
    let outcome = TestRunner::new(config).run(&histories, |(start, history)| {
        block_on(async {
            let mut world = World::new(open, &start).await;
            for step in history {
                world.step(step).await;
            }
            world.check().await;
            for (name, times) in world.tally {
                *tally.borrow_mut().entry(name).or_default() += times;
            }
        });
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let tally: BTreeMap<&str, usize> = tally.into_inner();
    for name in ["issued", "rotated", "rotated itself", "revoked", "deep"] {
        assert!(tally.get(name).is_some_and(|times| *times > 5), "too little happened: {tally:?}");
    }
}
