//! What tokens do, and the comparison of each act with what its caller could reach before.

use super::moves::{End, GRANTS, What, amendment, suspension, with_end};
use super::oracle::{PLACES, REQUIRED, no_later, permitted, places, places_of};
use super::reach::{Ceiling, Reach, Times, before};
use super::simulation::{Simulation, TYPES};
use service_tokens::error::NotPermitted;
use service_tokens::network::Network;
use service_tokens::record::{Field, InvalidField, Rule};
use service_tokens::{
    EndOlderRequest, IssueRequest, Issued, ManageError, OnBehalf, Record, ReservedScope,
    RevokeRequest, ScopeSet, State, TokenId, TokenService, TokenStore,
};

/// An act by a text, and its outcome.
struct Act {
    needed: Option<ReservedScope>,
    target: Option<TokenId>,
    outcome: Result<Option<Issued>, ManageError>,
}

/// Checks that networks were refused only if they are not contained in these.
fn expect_wider(error: &ManageError, rule: Rule, asked: Option<&[Network]>, bound: &Record) {
    let refused = InvalidField { field: Field::Networks, rule };
    if matches!(error, ManageError::Invalid(invalid) if *invalid == refused) {
        let asked = places_of(asked.expect("networks were refused that nobody named"));
        assert_ne!(asked & !places(bound), 0, "contained networks were refused");
    }
}

/// Issues a token in a transaction of the embedder.
async fn issue_by_draft<S: TokenStore>(
    service: &TokenService<S>,
    on_behalf: OnBehalf<'_, S>,
    request: IssueRequest,
) -> Result<Issued, ManageError> {
    let mut draft = on_behalf.prepare_issue(request).await?;
    let _ = service.store().insert(draft.record()).await.unwrap();
    draft.confirm().await
}

impl Simulation {
    async fn act(&mut self, at: usize, what: &What) -> Act {
        let (verified, _) = self.texts[at].verified.clone().unwrap();
        let on_behalf = self.service.on_behalf_of(&verified);
        let caller = self.known[&verified.id()].clone();
        let (needed, target, outcome) = match what {
            What::Issue { token_type, scopes, networks, start, end } => {
                let mut request = IssueRequest::new(TYPES[*token_type], "below");
                if let Some((some, more)) = scopes {
                    let own = caller.scopes().iter().enumerate();
                    let own = own.filter(|(at, _)| some >> at & 1 == 1).map(|(_, scope)| scope);
                    let more = more.map(|grant| GRANTS[grant]);
                    request = request.scopes(ScopeSet::new(own.chain(more)).unwrap());
                }
                let asked = networks.as_ref().and_then(|networks| networks.within(&caller));
                if let Some(networks) = &asked {
                    request = request.networks(networks.clone());
                }
                if let Some(span) = start {
                    request = request.not_before(self.now() + *span);
                }
                let request = with_end(request, *end);
                let by_draft = self.texts.len().is_multiple_of(3);
                let issued = if by_draft {
                    issue_by_draft(&self.service, on_behalf, request).await
                } else {
                    on_behalf.issue(request).await
                };
                if by_draft && issued.is_ok() {
                    self.count("issued by a draft");
                }
                match &issued {
                    Ok(issued) => self.check_issued_networks(&caller, &issued.record, asked),
                    Err(error) => {
                        let rule = Rule::ExceedsCallerNetworks;
                        expect_wider(error, rule, asked.as_deref(), &caller);
                        if matches!(error, ManageError::Invalid(invalid) if invalid.rule == rule) {
                            self.count("networks refused");
                        }
                    }
                }
                (Some(ReservedScope::Issue), None, issued.map(Some))
            }
            What::Rotate { target, rotation } => {
                let target = self.recent_target(*target);
                let outcome = on_behalf.rotate(target, rotation.request()).await.map(Some);
                let itself = target == caller.id();
                let needed = if itself { ReservedScope::RotateSelf } else { ReservedScope::Rotate };
                (Some(needed), Some(target), outcome)
            }
            What::RotateSelf { rotation } => {
                let outcome = on_behalf.rotate_self(rotation.request()).await.map(Some);
                (Some(ReservedScope::RotateSelf), Some(caller.id()), outcome)
            }
            What::Amend { target, scopes, networks, end } => {
                let target = self.recent_target(*target);
                let known = &self.known[&target];
                let request = amendment(known, *scopes, networks.as_ref(), *end);
                let outcome = on_behalf.amend(target, request).await;
                if let Err(error) = &outcome {
                    let asked = networks.as_ref().and_then(|networks| networks.within(known));
                    expect_wider(error, Rule::Widens, asked.as_deref(), known);
                }
                (Some(ReservedScope::Amend), Some(target), outcome.map(|_| None))
            }
            What::EndOlder { target } => {
                let target = self.target(*target);
                let known = &self.known[&target];
                let overlap = known.overlap(self.now());
                let older = overlap.map_or(known.created_at(), |overlap| overlap.older_created_at);
                let outcome = on_behalf.end_older_secret(target, EndOlderRequest::new(older)).await;
                let itself = target == caller.id();
                let needed = if itself { ReservedScope::RotateSelf } else { ReservedScope::Rotate };
                (Some(needed), Some(target), outcome.map(|_| None))
            }
            What::Revoke { target } => {
                let target = self.target(*target);
                let itself = target == caller.id();
                let outcome = on_behalf.revoke(target, RevokeRequest::new()).await.map(|_| None);
                ((!itself).then_some(ReservedScope::Revoke), Some(target), outcome)
            }
            What::Suspend { target, lasting } => {
                let target = self.target(*target);
                let itself = target == caller.id();
                let outcome = on_behalf.suspend(target, suspension(*lasting)).await.map(|_| None);
                ((!itself).then_some(ReservedScope::Suspend), Some(target), outcome)
            }
        };
        Act { needed, target, outcome }
    }

    /// Checks one operation by a text.
    pub(crate) async fn operate(&mut self, at: usize, what: What) {
        let (verified, place) = self.texts[at].verified.clone().unwrap();
        let caller = self.known[&verified.id()].clone();
        let effective = self.effective(&caller);
        let reach = self.reach_of(at);
        let state = caller.state(self.now());
        let closed = self.is_closed(caller.owner());
        let within = places(&caller) >> place & 1 == 1;
        let accepted = reach.times & 1 == 1 && within;
        let Act { needed, target, outcome } = self.act(at, &what).await;
        let present = target.map(|target| self.known[&target].clone());
        if state == State::Active && reach.times & 1 == 0 && !closed {
            self.count("ended secrets");
        }
        if state == State::Suspended {
            self.count("suspended callers");
        }
        if state == State::Active && closed {
            self.count("closed callers");
        }
        if reach.times & 1 == 1 && !within {
            self.count("callers outside by now");
        }
        if outcome.is_ok() {
            let from = PLACES[place];
            assert!(accepted, "a text acted from {from:?} that is not accepted: {state} {reach:?}");
            if let Some(needed) = needed {
                let bit = REQUIRED.iter().position(|scope| *scope == needed.as_str()).unwrap();
                assert!(effective >> bit & 1 == 1, "without {needed}");
            }
            if let Some(present) = &present {
                assert_eq!(present.owner(), caller.owner());
            }
        }
        self.check_secrets(at, &what, target, outcome.as_ref().map(drop));
        let rotated = matches!(outcome, Ok(Some(_))).then_some(target).flatten();
        if let Ok(Some(issued)) = &outcome {
            self.check_obtained(at, &caller, present.as_ref(), issued).await;
        }
        for id in [Some(caller.id()), target].into_iter().flatten() {
            let rotated = rotated == Some(id);
            let rotated = rotated.then(|| (self.newest[&id], self.lifetime_below(&caller)));
            self.expect_no_more(id, rotated).await;
        }
        if matches!(outcome, Ok(Some(_))) {
            self.check_text(self.texts.len() - 1);
        }
        if let (Ok(None), Some(present)) = (&outcome, &present) {
            let other = present.id() != caller.id();
            self.check_changed(&what, present, other.then_some((&caller, effective))).await;
        }
    }

    /// Returns the horizons at which a token may live that this one obtains.
    fn lifetime_below(&self, caller: &Record) -> Times {
        let end = caller.expires_at().filter(|_| !self.policy.allow_outliving_issuer);
        before(end, self.now())
    }

    /// Compares the texts of a token with what they reached when it changed last. A rotation by another token
    /// may lengthen the life of a text that is still accepted, up to the end of that token. `rotated` has the
    /// new text and that end.
    pub(crate) async fn expect_no_more(&mut self, id: TokenId, rotated: Option<(usize, Times)>) {
        let after = self.record(id).await;
        if self.known[&id] == after {
            return;
        }
        let (new, longer) = rotated.map_or((None, 0), |(new, longer)| (Some(new), longer));
        let earlier = |at: &usize| self.texts[*at].id == id && Some(*at) != new;
        let texts: Vec<usize> = (0..self.texts.len()).filter(earlier).collect();
        let had: Vec<Reach> = texts.iter().map(|at| self.reach_of(*at)).collect();
        self.known.insert(id, after);
        for (at, had) in texts.into_iter().zip(had) {
            let has = self.renewed_reach_of(at);
            if had.times == 0 {
                assert_eq!(has.times, 0, "an act revived what ended: {had:?}, {has:?}");
                continue;
            }
            assert_eq!(has.times & !(had.times | longer), 0, "{had:?} became {has:?}");
            assert_eq!(has.places & !had.places, 0, "{had:?} became {has:?}");
            assert_eq!(has.scopes & !had.scopes, 0, "{had:?} became {has:?}");
            self.check_text(at);
        }
    }

    /// Checks which secret may replace or end another one of its token.
    fn check_secrets(
        &mut self,
        at: usize,
        what: &What,
        target: Option<TokenId>,
        outcome: Result<(), &ManageError>,
    ) {
        let id = self.texts[at].id;
        if target != Some(id) {
            return;
        }
        let newest = self.newest[&id];
        let made_newest = self.texts[newest].made_with == Some(at);
        match (what, outcome) {
            (What::Rotate { .. } | What::RotateSelf { .. }, Ok(())) => {
                assert!(newest == at || made_newest, "an older secret replaced a newer one");
                if newest != at {
                    self.count("repaired with the older");
                }
            }
            (What::EndOlder { .. }, Ok(())) => assert_eq!(newest, at, "an older secret ended one"),
            (
                What::Rotate { .. } | What::RotateSelf { .. } | What::EndOlder { .. },
                Err(ManageError::NotPermitted(NotPermitted::OlderSecret)),
            ) => {
                assert_ne!(newest, at);
                self.count("older secrets refused");
            }
            _ => {}
        }
    }

    fn check_issued_networks(
        &mut self,
        caller: &Record,
        got: &Record,
        asked: Option<Vec<Network>>,
    ) {
        let at = TYPES.iter().position(|name| *name == got.token_type()).unwrap();
        assert!(!self.required[at] || got.networks().count() > 0, "its type requires networks");
        match asked {
            None if caller.networks().count() > 0 => {
                assert!(got.networks().eq(caller.networks()));
                self.count("inherited networks");
            }
            None => assert_eq!(got.networks().count(), 0),
            Some(asked) => {
                assert_eq!(places(got), places_of(&asked));
                if places(got) != places(caller) {
                    self.count("issued with fewer places");
                }
            }
        }
    }

    /// Checks a token that the caller got, which another one was before if it was rotated.
    async fn check_obtained(
        &mut self,
        at: usize,
        caller: &Record,
        present: Option<&Record>,
        issued: &Issued,
    ) {
        let got = &issued.record;
        let itself = got.id() == caller.id();
        assert_eq!(got, &self.record(got.id()).await);
        assert_eq!(got.owner(), caller.owner());
        let outliving = self.policy.allow_outliving_issuer && !itself;
        let shorter = no_later(got.expires_at(), caller.expires_at());
        assert!(shorter || outliving, "it ends later than what obtained it");
        let former = present.map_or(&[][..], Record::issuers);
        assert!(
            former.iter().all(|id| got.issuers().contains(id)),
            "no revocation with descendants would find it"
        );
        // Scopes and networks must be within the present ones of the caller, because types may change later.
        let mut ceiling = self.texts[at].ceiling;
        if outliving {
            ceiling.end = None;
        }
        if itself {
            assert_eq!(got.issuers(), caller.issuers());
            assert_eq!(got.scopes(), caller.scopes());
            assert!(got.networks().eq(caller.networks()));
            ceiling = ceiling.meet(Self::ceiling_of(caller));
        } else {
            let end = caller.expires_at().filter(|_| !outliving);
            let scopes = self.effective(caller);
            ceiling = ceiling.meet(Ceiling { places: places(caller), scopes, end });
            assert_eq!(got.issuers()[0], caller.id());
            assert!(
                caller.issuers().iter().all(|id| *id == got.id() || got.issuers().contains(id))
            );
            assert!(!caller.issuers().contains(&got.id()), "it rotated one of its issuers");
        }
        let own = Self::ceiling_of(got);
        assert_eq!(own.scopes & !ceiling.scopes, 0, "{} got {}", caller.scopes(), got.scopes());
        assert_eq!(own.places & !ceiling.places, 0, "it may be used from more places");
        if let Some(present) = present {
            assert_eq!((got.scopes(), places(got)), (present.scopes(), places(present)));
        }
        self.count_obtained(caller, present, got);
        let holder = self.texts[at].holder;
        self.add_text(issued, holder, ceiling, itself.then_some(at));
        if present.is_some() {
            self.extend(got);
        }
    }

    fn count_obtained(&mut self, caller: &Record, present: Option<&Record>, got: &Record) {
        let itself = got.id() == caller.id();
        self.count(match present {
            None => "issued",
            Some(_) if itself => "rotated itself",
            Some(_) => "rotated",
        });
        let restricted = caller.networks().count() > 0;
        if present.is_some() && !itself && restricted {
            self.count("rotated within networks");
        }
        if !no_later(got.expires_at(), caller.expires_at()) {
            self.count("outlives");
        }
        if got.not_before().is_some() {
            self.count("pending");
        }
        let former = present.map_or(&[][..], Record::issuers);
        if former.iter().any(|id| *id != caller.id() && !caller.issuers().contains(id)) {
            self.count("issuers kept");
        }
        if got.overlap(self.now()).is_some_and(|overlap| overlap.ends_on_first_use) {
            self.count("until first use");
        }
        if got.issuers().len() > 2 {
            self.count("deep");
        }
    }

    /// Checks a token that the caller changed without getting a secret of it.
    async fn check_changed(
        &mut self,
        what: &What,
        before: &Record,
        caller: Option<(&Record, u32)>,
    ) {
        let after = self.known[&before.id()].clone();
        let had = permitted(before.scopes().iter());
        assert_eq!(permitted(after.scopes().iter()) & !had, 0, "an act widened it");
        assert_eq!(places(&after) & !places(before), 0, "it may be used from more places");
        assert!(no_later(after.expires_at(), before.expires_at()), "an act extended it");
        assert_eq!(after.issuers(), before.issuers());
        assert_eq!(after.secret_created_at(), before.secret_created_at());
        let stops = matches!(what, What::Revoke { .. } | What::Suspend { .. });
        if let (Some((caller, effective)), false) = (caller, stops) {
            assert_eq!(had & !effective, 0, "the token may do more than its caller");
            assert_eq!(places(before) & !places(caller), 0, "it is accepted from more places");
        }
        if !matches!(what, What::Revoke { .. }) {
            assert_eq!(after.revocation(), before.revocation());
        }
        let name = match what {
            What::Amend { end, .. } => {
                if places(&after) != places(before) {
                    self.count("amended networks");
                }
                assert!(!matches!(end, End::Never) || after.expires_at().is_none());
                "amended"
            }
            What::EndOlder { .. } => {
                assert_eq!(after.overlap(self.now()), None);
                "ended older"
            }
            What::Suspend { .. } => "suspended",
            _ => "revoked",
        };
        self.count(name);
    }
}
