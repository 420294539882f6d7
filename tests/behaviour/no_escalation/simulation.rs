//! Tokens, their holders, and what the embedder does.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::harness::{DAY, SharedStore, Stores, any, text};
use super::moves::{
    Command, GRANTS, Grants, Rotation, Start, amendment, names, networks, suspension, with_end,
};
use super::oracle::{
    EVERYWHERE, PLACES, Scopes, context, no_later, permitted, places, places_in, requirements,
};
use super::reach::{Ceiling, Reach, reach};
use chrono::{DateTime, Utc};
use service_tokens::clock::ManualClock;
use service_tokens::steps::{AccessRules, TokenTypes};
use service_tokens::{
    IssueRequest, Issued, OwnerStatus, Policy, Record, ResumeRequest, RevokeRequest, ScopeSet,
    TokenId, TokenService, TokenType, VerifiedToken,
};

pub(crate) const TYPES: [&str; 3] = ["broad", "narrow", "mixed"];
pub(crate) const OWNERS: [&str; 2] = ["acme", "globex"];

/// A text of a token that a holder knows.
pub(crate) struct Text {
    pub(crate) token: String,
    pub(crate) id: TokenId,
    pub(crate) holder: usize,
    pub(crate) ceiling: Ceiling,
    /// The text with which the token made this one itself.
    pub(crate) made_with: Option<usize>,
    /// The last verification, and the place of its request.
    pub(crate) verified: Option<(VerifiedToken, usize)>,
    /// The reach in an epoch, with the present record.
    reach: Cell<Option<(usize, Reach)>>,
}

pub(crate) struct Simulation {
    pub(crate) policy: Policy,
    pub(crate) clock: Arc<ManualClock>,
    store: SharedStore,
    pub(crate) service: TokenService<SharedStore>,
    /// The rules of the service.
    pub(crate) rules: AccessRules,
    types: [Grants; 3],
    pub(crate) required: [bool; 3],
    /// Whether the owner of the first token is closed.
    pub(crate) closed: Arc<AtomicBool>,
    /// The ids of all records in the store.
    pub(crate) ids: Vec<TokenId>,
    /// Every record as it was when it changed last.
    pub(crate) known: BTreeMap<TokenId, Record>,
    pub(crate) texts: Vec<Text>,
    /// The newest text of each token.
    pub(crate) newest: BTreeMap<TokenId, usize>,
    /// The token with which each holder began. The first holder is the one under test.
    roots: Vec<TokenId>,
    /// The operations that succeeded, and the length of the chains. Without successful operations the test
    /// would prove nothing.
    pub(crate) counts: BTreeMap<&'static str, usize>,
    commands: usize,
    /// It changes with the time and the rules.
    epoch: usize,
    _guard: Box<dyn Any>,
}

fn types(grants: &[Grants; 3], required: [bool; 3]) -> impl Iterator<Item = TokenType> {
    let types = TYPES.iter().zip(grants).zip(required);
    types.map(|((name, grants), required)| {
        TokenType::new(name, names(grants)).unwrap().require_networks(required)
    })
}

impl Simulation {
    pub(crate) async fn new(stores: Stores, start: &Start) -> Self {
        let opened = stores.open();
        let clock = Arc::new(ManualClock::default());
        let everything = (0..GRANTS.len()).collect::<Grants>();
        let grants = [everything, vec![2, 5, 9], vec![2, 5, 9, 10, 11, 14]];
        let policy = Policy::new().allow_never(true).default_lifetime(DAY);
        let policy = policy.allow_outliving_issuer(start.outliving);
        let builder = TokenService::builder(opened.store.clone(), "acme_live");
        let mut simulation = Self {
            policy,
            clock,
            service: builder.build().unwrap(),
            rules: AccessRules::default(),
            store: opened.store,
            types: Default::default(),
            required: [false; 3],
            closed: Arc::default(),
            ids: Vec::new(),
            known: BTreeMap::new(),
            texts: Vec::new(),
            newest: BTreeMap::new(),
            roots: Vec::new(),
            counts: BTreeMap::new(),
            commands: 0,
            epoch: 0,
            _guard: opened.guard,
        };
        simulation.retype(grants, [false; 3]);
        for (owner, grants, of, end) in &start.tokens {
            let scopes = ScopeSet::new(names(grants)).unwrap();
            let mut request = IssueRequest::new("broad", "a token").scopes(scopes);
            if !of.is_empty() {
                request = request.networks(networks(of));
            }
            let owner = simulation.service.owner(OWNERS[*owner]);
            let issued = owner.issue(with_end(request, *end)).await.unwrap();
            let expected = if of.is_empty() { EVERYWHERE } else { places_in(of) };
            assert_eq!(places(&issued.record), expected, "{of:?}");
            simulation.give_to_new_holder(&issued);
        }
        simulation
    }

    fn gate(&self) -> impl Fn(&str) -> OwnerStatus + Send + Sync + 'static {
        let closed = self.closed.clone();
        move |owner| match owner == OWNERS[0] && closed.load(Ordering::SeqCst) {
            true => OwnerStatus::Closed,
            false => OwnerStatus::Open,
        }
    }

    /// Changes the types, and starts the service again.
    fn retype(&mut self, grants: [Grants; 3], required: [bool; 3]) {
        let builder = TokenService::builder(self.store.clone(), "acme_live");
        let builder = types(&grants, required)
            .fold(builder.clock(self.clock.clone()), |builder, of| builder.token_type(of));
        let builder =
            builder.policy(self.policy.clone()).owner_gate(self.gate()).disable_last_used();
        self.service = builder.build().unwrap();
        let types = TokenTypes::new(types(&grants, required));
        self.rules = AccessRules::new(types).owner_gate(self.gate());
        (self.types, self.required) = (grants, required);
    }

    pub(crate) fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.service.now()
    }

    pub(crate) fn is_closed(&self, owner: &str) -> bool {
        owner == OWNERS[0] && self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn target(&self, target: usize) -> TokenId {
        self.ids[target % self.ids.len()]
    }

    /// Returns any token, or one of the latest, or one of the latest that another holder obtained. These more
    /// often have an issuer that the caller does not have.
    pub(crate) fn recent_target(&self, target: usize) -> TokenId {
        let all = self.ids.len();
        let of_others = |id: &&TokenId| {
            let issuers = self.known[*id].issuers();
            !issuers.is_empty() && !issuers.contains(&self.roots[0])
        };
        match target % 4 {
            0 => self.ids[target % all],
            1 | 2 => *self.ids.iter().rev().find(of_others).unwrap_or(&self.ids[target % all]),
            _ => self.ids[all - 1 - target % all.min(10)],
        }
    }

    pub(crate) async fn record(&self, id: TokenId) -> Record {
        self.store.find(id).await.unwrap().unwrap().record
    }

    /// Returns the scopes that a token meets now: both its own scopes and its type's must permit them.
    pub(crate) fn effective(&self, record: &Record) -> Scopes {
        let at = TYPES.iter().position(|name| *name == record.token_type()).unwrap();
        permitted(record.scopes().iter()) & permitted(names(&self.types[at]))
    }

    /// Returns the most that a token itself permits.
    pub(crate) fn ceiling_of(record: &Record) -> Ceiling {
        let (places, scopes) = (places(record), permitted(record.scopes().iter()));
        Ceiling { places, scopes, end: record.expires_at() }
    }

    /// Notes a new secret of a token.
    pub(crate) fn add_text(
        &mut self,
        issued: &Issued,
        holder: usize,
        ceiling: Ceiling,
        made_with: Option<usize>,
    ) {
        let (token, id) = (text(issued), issued.record.id());
        if !self.ids.contains(&id) {
            self.ids.push(id);
        }
        // The texts of a rotated token are compared with the record before.
        self.known.entry(id).or_insert_with(|| issued.record.clone());
        self.newest.insert(id, self.texts.len());
        self.texts.push(Text {
            token,
            id,
            holder,
            ceiling,
            made_with,
            verified: None,
            reach: Cell::default(),
        });
    }

    fn give_to_new_holder(&mut self, issued: &Issued) {
        self.roots.push(issued.record.id());
        self.add_text(issued, self.roots.len() - 1, Self::ceiling_of(&issued.record), None);
    }

    /// Returns one of the latest texts of the first holder, or sometimes any text. Most are accepted now.
    fn acting(&self, token: usize) -> usize {
        if token.is_multiple_of(4) {
            return token / 4 % self.texts.len();
        }
        let own = self.texts.iter().enumerate().rev().filter(|(_, text)| text.holder == 0);
        let own: Vec<usize> = own.map(|(at, _)| at).take(6).collect();
        let accepted = own.iter().filter(|at| self.reach_of(**at).times & 1 == 1).take(4);
        match accepted.copied().collect::<Vec<usize>>() {
            accepted if token % 4 > 1 && !accepted.is_empty() => accepted[token % accepted.len()],
            _ => own[token % own.len().min(4)],
        }
    }

    /// Returns a place that the networks of the record contain.
    fn place_within(&self, id: TokenId, place: usize) -> usize {
        let places = places(&self.known[&id]);
        let within: Vec<usize> = (0..PLACES.len()).filter(|at| places >> at & 1 == 1).collect();
        within[place % within.len()]
    }

    pub(crate) async fn apply(&mut self, command: Command) {
        self.commands += 1;
        match command {
            Command::Pass(span) => self.clock.advance(span),
            Command::Present { token } => self.present(token).await,
            Command::Retype(types, required) => self.retype(types, required),
            Command::Close(closed) => self.closed.store(closed, Ordering::SeqCst),
            Command::Suspend { target, lasting } => {
                let target = self.target(target);
                let _ = self.service.all_owners().suspend(target, suspension(lasting)).await;
                self.note_change(target).await;
            }
            Command::Resume { target } => {
                let target = self.target(target);
                let _ = self.service.all_owners().resume(target, ResumeRequest::new()).await;
                self.note_change(target).await;
            }
            Command::Rotate { target, rotation } => self.rotate(target, rotation).await,
            Command::Amend { target, networks, end } => {
                let target = match target % 2 {
                    0 => self.texts[self.acting(target / 2)].id,
                    _ => self.target(target),
                };
                let request = amendment(&self.known[&target], None, networks.as_ref(), end);
                if let Ok(amended) = self.service.all_owners().amend(target, request).await {
                    self.extend(&amended.record);
                    self.note_change(target).await;
                }
            }
            Command::Operation { token, fresh, stray, place, what } => {
                let at = self.acting(token);
                let id = self.texts[at].id;
                if fresh || self.texts[at].verified.is_none() {
                    let place =
                        if stray { place % PLACES.len() } else { self.place_within(id, place) };
                    self.verify(at, place).await;
                }
                if self.texts[at].verified.is_some() {
                    self.operate(at, what).await;
                }
                if self.commands.is_multiple_of(16) {
                    self.expect_no_other_change().await;
                }
                return;
            }
        }
        self.epoch += 1;
        // What the embedder did, or the time, may not lift a text above its ceiling.
        self.check_text(self.commands % self.texts.len());
    }

    /// Verifies a text. Such a use is an act of its holder, because it may end an overlap.
    async fn verify(&mut self, at: usize, place: usize) {
        let in_context = self.service.in_context(context(place));
        let verified = in_context.verify(&self.texts[at].token, &any()).await.ok();
        let id = self.texts[at].id;
        let expected = self.reach_of(at);
        let accepted = expected.times & 1 == 1 && expected.places >> place & 1 == 1;
        assert_eq!(verified.is_some(), accepted, "from {:?}", PLACES[place]);
        if !accepted && expected.times & 1 == 1 {
            self.count("refused places");
        }
        if accepted && PLACES[place].is_some_and(|address| address.starts_with("::ffff:")) {
            self.count("mapped callers");
        }
        self.texts[at].verified = verified.map(|verified| (verified, place));
        self.expect_no_more(id, None).await;
    }

    async fn present(&mut self, token: usize) {
        let at = self.acting(token);
        let (text, id) = (self.texts[at].token.clone(), self.texts[at].id);
        let was_live = self.reach_of(at).times & 1 == 1;
        if let Ok(revoked) = self.service.revoke_presented(&text, RevokeRequest::new()).await {
            assert!(revoked.record.revocation().is_some());
            assert!(self.service.authenticate(&text).await.is_err());
            *self.counts.entry("presented").or_default() += usize::from(was_live);
        }
        self.expect_no_more(id, None).await;
    }

    async fn rotate(&mut self, target: usize, rotation: Rotation) {
        let target = self.target(target);
        let rotated = self.service.all_owners().rotate(target, rotation.request()).await;
        if let Ok(rotated) = rotated {
            self.extend(&rotated.record);
            self.give_to_new_holder(&rotated);
            self.note_change(target).await;
            self.count("rotated by the embedder");
        }
    }

    /// Notes what the embedder did with a token.
    async fn note_change(&mut self, id: TokenId) {
        self.known.insert(id, self.record(id).await);
        self.texts.iter().filter(|text| text.id == id).for_each(|text| text.reach.set(None));
    }

    /// Lifts the ends of the texts of a token that lives longer now.
    pub(crate) fn extend(&mut self, record: &Record) {
        for text in self.texts.iter_mut().filter(|text| text.id == record.id()) {
            if no_later(text.ceiling.end, record.expires_at()) {
                text.ceiling.end = record.expires_at();
            }
        }
    }

    /// Compares a text with its ceiling, and with what its token permits.
    pub(crate) fn check_text(&self, at: usize) {
        let text = &self.texts[at];
        let record = &self.known[&text.id];
        let reach = self.reach_of(at);
        text.ceiling.expect_above(reach, self.now());
        if reach.times != 0 {
            assert_eq!(reach.places, places(record));
            assert_eq!(reach.scopes, self.effective(record));
        }
        let root = self.roots[text.holder];
        assert_eq!(record.owner(), self.known[&root].owner());
        assert!(
            record.id() == root || record.issuers().contains(&root),
            "no revocation with descendants would find it"
        );
    }

    /// Returns the reach of a text with the known record of its token.
    pub(crate) fn reach_of(&self, at: usize) -> Reach {
        match self.texts[at].reach.get() {
            Some((epoch, reach)) if epoch == self.epoch => reach,
            before => self.set_reach(at, before.map(|(_, reach)| reach)),
        }
    }

    /// Determines the reach of a text again, because its token has changed.
    pub(crate) fn renewed_reach_of(&self, at: usize) -> Reach {
        self.set_reach(at, None)
    }

    fn set_reach(&self, at: usize, same: Option<Reach>) -> Reach {
        let text = &self.texts[at];
        let reach = reach(&self.known[&text.id], &text.token, self.now(), &self.rules, same);
        text.reach.set(Some((self.epoch, reach)));
        reach
    }

    /// Checks that no record changed that no operation was about.
    pub(crate) async fn expect_no_other_change(&self) {
        for id in &self.ids {
            assert_eq!(self.record(*id).await, self.known[id]);
        }
    }

    /// Compares every text with its ceiling, and what the service answers with the steps.
    pub(crate) async fn check(&self) {
        self.expect_no_other_change().await;
        for (at, text) in self.texts.iter().enumerate() {
            self.check_text(at);
            let reach = self.reach_of(at);
            for nth in 0..2 {
                let place = (at * 7 + nth) % PLACES.len();
                let scope = (at + nth) % requirements().len();
                let asked = self.service.in_context(context(place));
                let verified = asked.verify(&text.token, &requirements()[scope]).await;
                let accepted = reach.times & 1 == 1
                    && reach.places >> place & 1 == 1
                    && reach.scopes >> scope & 1 == 1;
                if accepted {
                    assert!(verified.is_ok(), "{verified:?}");
                } else {
                    assert!(verified.is_err());
                }
            }
        }
    }
}
