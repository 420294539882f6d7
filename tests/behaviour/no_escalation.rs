//! Random operations by tokens on tokens: no result may do more than its caller, act for another owner, or
//! outlive its caller.

mod moves;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::harness::{DAY, SharedStore, Stores, any, text};
use futures_lite::future::block_on;
use moves::{Command, GRANTS, Grants, Start, What, commands, names, starts, with_end};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use service_tokens::clock::ManualClock;
use service_tokens::record::Suspension;
use service_tokens::{
    AmendRequest, EndOlderRequest, IssueRequest, Issued, ManageError, OwnerStatus, Policy, Record,
    Requirement, ReservedScope, ResumeRequest, RevokeRequest, ScopeSet, State, SuspendRequest,
    TokenId, TokenService, TokenType, VerifiedToken,
};

behaviours! {
    random_operations_never_escalate,
    #[ignore = "campaign"]
    random_operations_never_escalate_campaign,
}

/// The scopes that are required. No grant names `z`.
const REQUIRED: [&str; 19] = [
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
    "service-tokens:amend",
    "service-tokens:suspend",
    "service-tokens:z",
];

const TYPES: [&str; 3] = ["broad", "narrow", "mixed"];
const OWNERS: [&str; 2] = ["acme", "globex"];

/// Returns whether a grant permits a scope, without the code of the crate. It compares segments, and
/// only a grant that names the reserved resource permits it.
fn permits(grant: &str, requirement: &str) -> bool {
    let (grant, requirement): (Vec<&str>, Vec<&str>) =
        (grant.split(':').collect(), requirement.split(':').collect());
    match grant.split_last() {
        Some((&"*", [])) => requirement[0] != "service-tokens",
        Some((&"*", start)) => requirement.len() > start.len() && requirement.starts_with(start),
        _ => grant == requirement,
    }
}

/// One bit for each requirement.
fn permitted<'g>(grants: impl Iterator<Item = &'g str>) -> u32 {
    let grants: Vec<&str> = grants.collect();
    let met = |requirement: &&str| grants.iter().any(|grant| permits(grant, requirement));
    REQUIRED
        .iter()
        .enumerate()
        .filter(|(_, requirement)| met(requirement))
        .fold(0, |bits, (bit, _)| bits | 1 << bit)
}

struct Obtained {
    token: String,
    verified: Option<VerifiedToken>,
}

struct Simulation {
    policy: Policy,
    clock: Arc<ManualClock>,
    store: SharedStore,
    service: TokenService<SharedStore>,
    types: [Grants; 3],
    /// Whether the owner of the token under test is closed.
    closed: Arc<AtomicBool>,
    /// Every record in the store.
    ids: Vec<TokenId>,
    first: Record,
    obtained: Vec<Obtained>,
    /// The operations that succeeded, and the length of the chains. Without successful operations the test
    /// would prove nothing.
    counts: BTreeMap<&'static str, usize>,
    _guard: Box<dyn std::any::Any>,
}

fn service(
    store: &SharedStore,
    clock: &Arc<ManualClock>,
    types: &[Grants; 3],
    policy: &Policy,
    closed: &Arc<AtomicBool>,
) -> TokenService<SharedStore> {
    let mut builder = TokenService::builder(store.clone(), "acme_live").clock(clock.clone());
    for (name, grants) in TYPES.iter().zip(types) {
        builder = builder.token_type(TokenType::new(name, names(grants)).unwrap());
    }
    let closed = closed.clone();
    let gate = move |owner: &str| match owner == OWNERS[0] && closed.load(Ordering::SeqCst) {
        true => OwnerStatus::Closed,
        false => OwnerStatus::Open,
    };
    builder.policy(policy.clone()).owner_gate(gate).build().unwrap()
}

fn suspension(lasting: Option<std::time::Duration>) -> SuspendRequest {
    lasting.map_or_else(SuspendRequest::new, |lasting| SuspendRequest::new().lasting(lasting))
}

/// Returns an amendment with some of the present scopes and perhaps one more.
fn amendment(
    before: &Record,
    scopes: Option<(u64, Option<usize>)>,
    end: moves::End,
) -> AmendRequest {
    let mut request = AmendRequest::new().issued_to("amended");
    if let Some((some, more)) = scopes {
        let kept = before.scopes().iter().enumerate();
        let kept = kept.filter(|(at, _)| some >> at & 1 == 1).map(|(_, scope)| scope);
        let more = more.map(|grant| GRANTS[grant]);
        request = request.scopes(ScopeSet::new(kept.chain(more)).unwrap());
    }
    match end {
        moves::End::Unsaid => request,
        moves::End::In(lifetime) => request.expires_in(lifetime),
        moves::End::Never => request.never_expires(),
    }
}

/// Returns whether one end is not later than another.
fn no_later(end: &Record, than: &Record) -> bool {
    match (end.expires_at(), than.expires_at()) {
        (_, None) => true,
        (Some(end), Some(than)) => end <= than,
        (None, Some(_)) => false,
    }
}

impl Simulation {
    async fn new(stores: Stores, start: &Start) -> Self {
        let opened = stores.open();
        let clock = Arc::new(ManualClock::default());
        let everything = (0..GRANTS.len()).collect::<Grants>();
        let types = [everything.clone(), vec![2, 5, 9], vec![2, 5, 9, 10, 11, 14]];
        let policy = Policy::new().allow_never(true).default_lifetime(DAY);
        let policy = policy.allow_outliving_issuer(start.outliving);
        let closed = Arc::default();
        let service = service(&opened.store, &clock, &types, &policy, &closed);
        let mut issued = Vec::new();
        for (owner, grants, end) in &start.tokens {
            let scopes = ScopeSet::new(names(grants)).unwrap();
            let request = IssueRequest::new("broad", "a token").scopes(scopes);
            issued
                .push(service.owner(OWNERS[*owner]).issue(with_end(request, *end)).await.unwrap());
        }
        let obtained = vec![Obtained { token: text(&issued[0]), verified: None }];
        let first = issued[0].record.clone();
        let ids = issued.iter().map(|issued| issued.record.id()).collect();
        let (store, counts) = (opened.store, BTreeMap::new());
        let _guard = opened.guard;
        Self { policy, clock, store, service, types, closed, ids, first, obtained, counts, _guard }
    }

    /// Returns the token to rotate: any token, or one of the latest, which more often have an issuer that the
    /// caller does not have.
    fn to_rotate(&self, target: usize) -> TokenId {
        let all = self.ids.len();
        match target % 3 {
            0 => self.ids[target % all],
            _ => self.ids[all - 1 - target % all.min(10)],
        }
    }

    async fn record(&self, id: TokenId) -> Record {
        self.store.find(id).await.unwrap().unwrap().record
    }

    /// Returns the requirements that a token meets now: both its own scopes and its type's must permit
    /// them.
    fn effective(&self, record: &Record) -> u32 {
        let at = TYPES.iter().position(|name| *name == record.token_type()).unwrap();
        permitted(record.scopes().iter()) & permitted(names(&self.types[at]))
    }

    async fn apply(&mut self, command: Command) {
        match command {
            Command::Pass(span) => self.clock.advance(span),
            Command::Present { token } => {
                let last = self.obtained.len() - 1;
                let text = &self.obtained[last - token % (last + 1).min(4)].token;
                let ended = self.service.authenticate(text).await.is_err();
                if let Ok(revoked) = self.service.revoke_presented(text, RevokeRequest::new()).await
                {
                    assert!(revoked.record.revocation().is_some());
                    assert!(self.service.authenticate(text).await.is_err());
                    *self.counts.entry("presented").or_default() += usize::from(!ended);
                }
            }
            Command::Retype(types) => {
                self.service =
                    service(&self.store, &self.clock, &types, &self.policy, &self.closed);
                self.types = types;
            }
            Command::Close(closed) => self.closed.store(closed, Ordering::SeqCst),
            Command::Suspend { target, lasting } => {
                let target = self.ids[target % self.ids.len()];
                let _ = self.service.all_owners().suspend(target, suspension(lasting)).await;
            }
            Command::Resume { target } => {
                let target = self.ids[target % self.ids.len()];
                let _ = self.service.all_owners().resume(target, ResumeRequest::new()).await;
            }
            Command::Operation { token, fresh, what } => {
                let last = self.obtained.len() - 1;
                let at = last - token % (last + 1).min(4);
                let obtained = &mut self.obtained[at];
                if fresh || obtained.verified.is_none() {
                    obtained.verified = self.service.verify(&obtained.token, &any()).await.ok();
                }
                if let Some(verified) = obtained.verified.clone() {
                    // This must not be a use, because the first use would end an overlap.
                    let accepted = self.service.authenticate(&obtained.token).await.is_ok();
                    self.operate(&verified, what, accepted).await;
                }
            }
        }
    }

    /// Checks one operation. `accepted` is whether the verified secret is still accepted.
    async fn operate(&mut self, verified: &VerifiedToken, what: What, accepted: bool) {
        let caller = self.record(verified.id()).await;
        let active = caller.state(self.service.now()) == State::Active;
        let effective = self.effective(&caller);
        let on_behalf = self.service.on_behalf_of(verified);
        let before = match what {
            What::Rotate { target, .. } => Some(self.record(self.to_rotate(target)).await),
            What::Suspend { target, .. } => {
                Some(self.record(self.ids[target % self.ids.len()]).await)
            }
            _ => None,
        };
        let mut former = Vec::new();
        let (needed, target, outcome): (_, _, Result<Option<Issued>, ManageError>) = match what {
            What::Issue { token_type, scopes, start, end } => {
                let request = IssueRequest::new(TYPES[token_type], "below");
                let request = match scopes {
                    Some((some, more)) => {
                        let own = caller.scopes().iter().enumerate();
                        let own = own.filter(|(at, _)| some >> at & 1 == 1).map(|(_, scope)| scope);
                        let more = more.map(|grant| GRANTS[grant]);
                        request.scopes(ScopeSet::new(own.chain(more)).unwrap())
                    }
                    None => request,
                };
                let request = match start {
                    Some(span) => request.not_before(self.service.now() + span),
                    None => request,
                };
                let outcome = on_behalf.issue(with_end(request, end)).await.map(Some);
                (Some(ReservedScope::Issue), None, outcome)
            }
            What::Rotate { target, rotation } => {
                let target = self.to_rotate(target);
                former = self.record(target).await.issuers().to_vec();
                let outcome = on_behalf.rotate(target, rotation.request()).await.map(Some);
                let itself = target == caller.id();
                let needed = if itself { ReservedScope::RotateSelf } else { ReservedScope::Rotate };
                (Some(needed), Some(target), outcome)
            }
            What::RotateSelf { rotation } => {
                let outcome = on_behalf.rotate_self(rotation.request()).await.map(Some);
                (Some(ReservedScope::RotateSelf), Some(caller.id()), outcome)
            }
            What::Amend { target, scopes, end } => {
                let target = self.ids[target % self.ids.len()];
                let before = self.record(target).await;
                let outcome = on_behalf.amend(target, amendment(&before, scopes, end)).await;
                if outcome.is_ok() {
                    self.check_narrowed(&caller, effective, &before).await;
                    *self.counts.entry("amended").or_default() += 1;
                }
                (Some(ReservedScope::Amend), Some(target), outcome.map(|_| None))
            }
            What::EndOlder { target } => {
                let target = self.ids[target % self.ids.len()];
                let before = self.record(target).await;
                let overlap = before.overlap(self.service.now());
                let older = overlap.map_or(before.created_at(), |overlap| overlap.older_created_at);
                let outcome = on_behalf.end_older_secret(target, EndOlderRequest::new(older)).await;
                if outcome.is_ok() {
                    self.check_narrowed(&caller, effective, &before).await;
                    assert_eq!(self.record(target).await.overlap(self.service.now()), None);
                    *self.counts.entry("ended older").or_default() += 1;
                }
                let itself = target == caller.id();
                let needed = if itself { ReservedScope::RotateSelf } else { ReservedScope::Rotate };
                (Some(needed), Some(target), outcome.map(|_| None))
            }
            What::Revoke { target } => {
                let target = self.ids[target % self.ids.len()];
                let itself = target == caller.id();
                let outcome = on_behalf.revoke(target, RevokeRequest::new()).await.map(|_| None);
                ((!itself).then_some(ReservedScope::Revoke), Some(target), outcome)
            }
            What::Suspend { target, lasting } => {
                let target = self.ids[target % self.ids.len()];
                let itself = target == caller.id();
                let outcome = on_behalf.suspend(target, suspension(lasting)).await.map(|_| None);
                ((!itself).then_some(ReservedScope::Suspend), Some(target), outcome)
            }
        };
        let closed = caller.owner() == OWNERS[0] && self.closed.load(Ordering::SeqCst);
        if active && !accepted && !closed {
            *self.counts.entry("ended secrets").or_default() += 1;
        }
        if caller.state(self.service.now()) == State::Suspended {
            *self.counts.entry("suspended callers").or_default() += 1;
        }
        if active && closed {
            *self.counts.entry("closed callers").or_default() += 1;
        }
        // A token can only add or lengthen a suspension. It never resumes a token.
        if let Some(before) = before.as_ref() {
            let after = self.record(before.id()).await;
            for suspension in before.suspensions() {
                let lasts = |other: &Suspension| {
                    other.until.is_none_or(|until| suspension.until.is_some_and(|end| end <= until))
                };
                assert!(after.suspensions().iter().any(lasts), "a token resumed it");
            }
        }
        let Ok(outcome) = outcome else { return };
        assert!(active, "an ended or suspended token was accepted as the caller");
        assert!(!closed, "a token of a closed owner was accepted as the caller");
        assert!(accepted, "an ended secret acted");
        if let Some(needed) = needed {
            let at =
                REQUIRED.iter().position(|requirement| *requirement == needed.as_str()).unwrap();
            assert!(effective >> at & 1 == 1, "without {needed}");
        }
        if let Some(target) = target {
            assert_eq!(self.record(target).await.owner(), caller.owner());
        }
        let Some(issued) = outcome else {
            let name = if matches!(what, What::Suspend { .. }) { "suspended" } else { "revoked" };
            *self.counts.entry(name).or_default() += 1;
            return;
        };
        let (got, itself) = (&issued.record, issued.record.id() == caller.id());
        assert_eq!(got, &self.record(got.id()).await);
        assert_eq!(got.owner(), caller.owner());
        let outliving = self.policy.allow_outliving_issuer;
        assert!(
            no_later(got, &caller) || (outliving && !itself),
            "it ends later than what obtained it"
        );
        assert!(
            former.iter().all(|id| got.issuers().contains(id)),
            "no revocation with descendants would find it"
        );
        if itself {
            assert_eq!(got.issuers(), caller.issuers());
            assert_eq!(got.scopes(), caller.scopes());
        } else {
            // The scopes must be within the calling token's present ones, because types may change later.
            let more = permitted(got.scopes().iter()) & !effective;
            assert_eq!(more, 0, "{} obtained {}", caller.scopes(), got.scopes());
            assert_eq!(got.issuers()[0], caller.id());
            assert!(
                caller.issuers().iter().all(|id| *id == got.id() || got.issuers().contains(id))
            );
        }
        let name = match target {
            None => "issued",
            Some(_) if itself => "rotated itself",
            Some(_) => "rotated",
        };
        *self.counts.entry(name).or_default() += 1;
        if !no_later(got, &caller) {
            *self.counts.entry("outlives").or_default() += 1;
        }
        if got.not_before().is_some() {
            *self.counts.entry("pending").or_default() += 1;
        }
        if former.iter().any(|id| *id != caller.id() && !caller.issuers().contains(id)) {
            *self.counts.entry("issuers kept").or_default() += 1;
        }
        if got.overlap(self.service.now()).is_some_and(|overlap| overlap.ends_on_first_use) {
            *self.counts.entry("until first use").or_default() += 1;
        }
        if got.issuers().len() > 2 {
            *self.counts.entry("deep").or_default() += 1;
        }
        if !self.ids.contains(&got.id()) {
            self.ids.push(got.id());
        }
        self.obtained.push(Obtained { token: text(&issued), verified: None });
    }

    /// Checks a token that the caller changed without getting a secret of it.
    async fn check_narrowed(&self, caller: &Record, effective: u32, before: &Record) {
        let after = self.record(before.id()).await;
        let had = permitted(before.scopes().iter());
        assert_eq!(permitted(after.scopes().iter()) & !had, 0, "an amendment widened it");
        assert!(no_later(&after, before), "an amendment extended it");
        assert!(before.id() == caller.id() || had & !effective == 0, "it may do more");
        assert_eq!(after.issuers(), before.issuers());
        assert_eq!(after.secret_created_at(), before.secret_created_at());
        assert_eq!(after.revocation(), before.revocation());
    }

    /// Compares every obtained token with the first one.
    async fn check(&self) {
        let first = permitted(self.first.scopes().iter());
        let closed = self.closed.load(Ordering::SeqCst);
        for obtained in &self.obtained {
            assert!(!closed || self.service.verify(&obtained.token, &any()).await.is_err());
            let Ok(verified) = self.service.verify(&obtained.token, &any()).await else { continue };
            let record = self.record(verified.id()).await;
            assert_eq!(verified.owner(), self.first.owner());
            let outliving = self.policy.allow_outliving_issuer;
            assert!(outliving || no_later(&record, &self.first), "it outlives what it began with");
            let itself = record.id() == self.first.id();
            assert!(
                itself || record.issuers().contains(&self.first.id()),
                "no revocation with descendants would find it"
            );
            let effective = self.effective(&record);
            for (bit, requirement) in REQUIRED.iter().enumerate() {
                let requirement = Requirement::scope(requirement).unwrap();
                let may = self.service.verify(&obtained.token, &requirement).await.is_ok();
                assert_eq!(may, effective >> bit & 1 == 1);
                assert!(!may || first >> bit & 1 == 1, "it may {requirement}");
            }
        }
    }
}

pub(crate) async fn random_operations_never_escalate(stores: Stores) {
    run(stores, 300);
}

pub(crate) async fn random_operations_never_escalate_campaign(stores: Stores) {
    run(stores, 600);
}

fn run(stores: Stores, cases: u32) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let histories = (starts(), proptest::collection::vec(commands(), 1..160));
    let counts = RefCell::new(BTreeMap::new());
    let outcome = TestRunner::new(config).run(&histories, |(start, history)| {
        block_on(async {
            let mut simulation = Simulation::new(stores, &start).await;
            for command in history {
                simulation.apply(command).await;
            }
            simulation.check().await;
            for (name, times) in simulation.counts {
                *counts.borrow_mut().entry(name).or_default() += times;
            }
        });
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let counts: BTreeMap<&str, usize> = counts.into_inner();
    for name in [
        "issued",
        "rotated",
        "rotated itself",
        "revoked",
        "suspended",
        "suspended callers",
        "closed callers",
        "deep",
        "outlives",
        "pending",
        "issuers kept",
        "until first use",
        "ended secrets",
        "amended",
        "ended older",
        "presented",
    ] {
        assert!(
            counts.get(name).is_some_and(|times| times * 600 > 5 * cases as usize),
            "too little happened: {counts:?}"
        );
    }
}
