//! Every order of the steps around a draft of a token, compared with an oracle.
//!
//! A step happens before or after any other one: the commit, confirmations, the drop of the draft, pauses, and the
//! acts of operators on the new token and on its issuing token. The oracle says which result each confirmation
//! has and which events follow. Independent of it, a returned token must be one that its issuer could have
//! issued at that moment.

use service_tokens::store::States;
use service_tokens::{
    AmendRequest, Filter, IssueDraft, IssueRequest, ManageError, Record, RevokeRequest,
    RotateRequest, State, SuspendRequest, TokenId, TokenStore, VerifiedToken,
};

use super::harness::{
    HOUR, Harness, Stores, any, revoke_with_descendants, scope_set, scoped_request, text,
};

behaviours! {
    orders_of_draft_agree_with_oracle,
    orders_of_draft_by_token_agree_with_oracle,
    #[ignore = "campaign"]
    orders_of_draft_campaign,
    #[ignore = "campaign"]
    orders_of_draft_by_token_campaign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Commit,
    Confirm,
    Drop,
    /// The process ends, so the draft is never dropped.
    Forget,
    Pause,
    Resume,
    /// An operator revokes all tokens of the program that prepared the draft.
    RevokeAll,
    Rotate,
    Remove,
    Expire,
    /// An operator stops or narrows the issuing token.
    RevokeFamily,
    SuspendFamily,
    Narrow,
    RemoveIssuer,
}

use Step::{
    Commit, Confirm, Drop, Expire, Forget, Narrow, Pause, Remove, RemoveIssuer, Resume, RevokeAll,
    RevokeFamily, Rotate, SuspendFamily,
};

const BY_EMBEDDER: [Step; 11] =
    [Commit, Confirm, Confirm, Drop, Forget, Pause, Resume, RevokeAll, Rotate, Remove, Expire];

const BY_TOKEN: [Step; 11] = [
    Commit,
    Confirm,
    Confirm,
    Drop,
    Forget,
    Pause,
    Resume,
    RevokeFamily,
    SuspendFamily,
    Narrow,
    RemoveIssuer,
];

/// What the store has under the id of the draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Nothing,
    Live,
    Rotated,
    Suspended,
    Revoked,
}

/// What the oracle expects of a confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Token,
    NotStored,
    Paused,
    Ended,
    Changed,
    Overtaken,
    DraftEnded,
}

/// The oracle.
#[derive(Debug)]
struct Oracle {
    stored: Stored,
    open: bool,
    paused: bool,
    /// Whether issuing was paused since the preparation.
    paused_since: bool,
    issuer: bool,
    expired: bool,
    events: Vec<&'static str>,
}

impl Oracle {
    fn new() -> Self {
        let (stored, events) = (Stored::Nothing, vec!["prepared"]);
        let (open, issuer) = (true, true);
        Self { stored, open, paused: false, paused_since: false, issuer, expired: false, events }
    }

    fn is_live(&self) -> bool {
        !self.expired && !matches!(self.stored, Stored::Nothing | Stored::Revoked)
    }

    /// Returns the result of a confirmation of a draft that was not dropped.
    fn confirm(&mut self) -> Outcome {
        let outcome = match self.stored {
            _ if !self.open => Outcome::DraftEnded,
            Stored::Nothing if self.paused_since => Outcome::Paused,
            Stored::Nothing => Outcome::NotStored,
            Stored::Revoked => Outcome::Ended,
            _ if self.expired => Outcome::Ended,
            Stored::Rotated => Outcome::Changed,
            Stored::Live | Stored::Suspended if self.paused_since => Outcome::Paused,
            Stored::Live | Stored::Suspended if !self.issuer => Outcome::Overtaken,
            Stored::Live | Stored::Suspended => Outcome::Token,
        };
        self.open &= self.stored == Stored::Nothing;
        if self.is_live() && matches!(outcome, Outcome::Paused | Outcome::Overtaken) {
            self.stored = Stored::Revoked;
        }
        self.events.push(if outcome == Outcome::Token { "issued" } else { "failed" });
        outcome
    }

    fn drop(&mut self) {
        if self.open {
            self.events.push("not_confirmed");
        }
        self.open = false;
    }

    fn revoke_all(&mut self) {
        if self.is_live() {
            self.stored = Stored::Revoked;
        }
    }
}

/// Returns all orders of `length` of these steps. Equal ones are not distinguished.
fn orders(steps: &[Step], length: usize) -> Vec<Vec<Step>> {
    if length == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        if steps[..at].contains(step) {
            continue;
        }
        let mut others = steps.to_vec();
        others.remove(at);
        for mut rest in orders(&others, length - 1) {
            rest.insert(0, *step);
            all.push(rest);
        }
    }
    all
}

pub(crate) async fn orders_of_draft_agree_with_oracle(stores: Stores) {
    run_all(stores, &BY_EMBEDDER, 4).await;
}

pub(crate) async fn orders_of_draft_by_token_agree_with_oracle(stores: Stores) {
    run_all(stores, &BY_TOKEN, 4).await;
}

pub(crate) async fn orders_of_draft_campaign(stores: Stores) {
    run_all(stores, &BY_EMBEDDER, campaign_steps()).await;
}

pub(crate) async fn orders_of_draft_by_token_campaign(stores: Stores) {
    run_all(stores, &BY_TOKEN, campaign_steps()).await;
}

/// Returns the number of steps in the orders of a campaign. There are 35,280 orders of 5 steps, and 196,560 of 6.
pub(crate) fn campaign_steps() -> usize {
    std::env::var("SERVICE_TOKENS_ORDER_STEPS").map_or(5, |steps| steps.parse().unwrap())
}

async fn run_all(stores: Stores, steps: &[Step], length: usize) {
    let on_behalf = steps.contains(&Narrow);
    let orders = orders(steps, length);
    assert!(orders.len() > 1_000);
    // A search for descendants reads every record of a store, so each store serves only some orders.
    for some in orders.chunks(100) {
        let (harness, mut forgotten) = (Harness::new(stores), Vec::new());
        for (at, order) in some.iter().enumerate() {
            let draft = run(&harness, &format!("owner {at}"), on_behalf, order).await;
            forgotten.extend(draft);
        }
    }
}

/// One order.
struct Run<'h> {
    harness: &'h Harness,
    owner: &'h str,
    issuer: Option<VerifiedToken>,
    id: TokenId,
    draft: Option<IssueDraft>,
    forgotten: Option<IssueDraft>,
    /// The record in the transaction, which can commit after the draft was dropped.
    inserted: Record,
    oracle: Oracle,
    returned: Option<String>,
}

/// Returns the draft that was forgotten, so that it is dropped after the last check.
async fn run(
    harness: &Harness,
    owner: &str,
    on_behalf: bool,
    order: &[Step],
) -> Option<IssueDraft> {
    let elsewhere = harness.elsewhere();
    let request = || IssueRequest::new("all", "a program").scopes(scope_set(&["x"]));
    let (issuer, draft) = if on_behalf {
        let scopes = ["x", "service-tokens:issue"];
        let issuer = elsewhere.owner(owner).issue(scoped_request(&scopes)).await.unwrap();
        let issuer = elsewhere.verify(&text(&issuer), &any()).await.unwrap();
        let draft = harness.service.on_behalf_of(&issuer).prepare_issue(request()).await.unwrap();
        (Some(issuer), draft)
    } else {
        let request = request().expires_in(HOUR).issued_by("deployment");
        (None, harness.service.owner(owner).prepare_issue(request).await.unwrap())
    };
    let (id, oracle) = (draft.record().id(), Oracle::new());
    let inserted = draft.record().clone();
    let (draft, forgotten, returned) = (Some(draft), None, None);
    let mut run = Run { harness, owner, issuer, id, draft, forgotten, inserted, oracle, returned };
    for step in order {
        run.step(*step, order).await;
    }
    run.step(Drop, order).await;
    run.step(Resume, order).await;
    run.check_end(order).await
}

impl Run<'_> {
    async fn record(&self) -> Option<Record> {
        self.harness.store.find(self.id).await.unwrap().map(|stored| stored.record)
    }

    async fn step(&mut self, step: Step, order: &[Step]) {
        let (service, elsewhere) = (&self.harness.service, self.harness.elsewhere());
        let owner = elsewhere.owner(self.owner);
        let issuer = self.issuer.as_ref().map(VerifiedToken::id);
        let oracle = &mut self.oracle;
        match step {
            Commit => {
                let _ = self.harness.store.insert(&self.inserted).await.unwrap();
                oracle.stored = Stored::Live;
            }
            Confirm => self.confirm(order).await,
            Drop => {
                if self.draft.take().is_some() {
                    oracle.drop();
                }
            }
            Forget => {
                // The oracle expects no event.
                self.forgotten = self.draft.take();
                oracle.open = false;
            }
            Pause => {
                service.pause_issuing("INC-42").await.unwrap();
                oracle.events.push("issuing_paused");
                (oracle.paused, oracle.paused_since) = (true, true);
            }
            Resume => {
                let _ = service.resume_issuing();
                if oracle.paused {
                    oracle.events.push("issuing_resumed");
                }
                oracle.paused = false;
            }
            RevokeAll => {
                let all = Filter::new().issued_by("deployment");
                let run = owner.revoke_all(all, RevokeRequest::new()).run().await.unwrap();
                assert_eq!(run.done, u64::from(oracle.is_live()), "{order:?}");
                oracle.revoke_all();
            }
            Rotate => {
                let rotated = owner.rotate(self.id, RotateRequest::at_once()).await;
                let rotates = oracle.is_live() && oracle.stored != Stored::Suspended;
                assert_eq!(rotated.is_ok(), rotates, "{order:?}");
                if rotates {
                    oracle.stored = Stored::Rotated;
                }
            }
            Remove => {
                if let Some(stored) = self.harness.store.find(self.id).await.unwrap() {
                    self.harness.store.remove(self.id, stored.version).await.unwrap();
                }
                oracle.stored = Stored::Nothing;
            }
            Expire => {
                self.harness.advance(HOUR);
                oracle.expired = true;
            }
            RevokeFamily => {
                // A removed issuing token has descendants still.
                revoke_with_descendants_if_found(self.harness, issuer.unwrap()).await;
                oracle.issuer = false;
                if self.harness.store.find(issuer.unwrap()).await.unwrap().is_some() {
                    oracle.revoke_all();
                }
            }
            SuspendFamily => {
                let request = SuspendRequest::new();
                let run = owner.suspend_with_descendants(issuer.unwrap(), request).run().await;
                let found = run.is_ok();
                oracle.issuer = false;
                if found && oracle.stored == Stored::Live {
                    oracle.stored = Stored::Suspended;
                }
            }
            Narrow => {
                let scopes = scope_set(&["service-tokens:issue"]);
                let request = AmendRequest::new().scopes(scopes);
                let _ = owner.amend(issuer.unwrap(), request).await;
                oracle.issuer = false;
            }
            RemoveIssuer => {
                let id = issuer.unwrap();
                let stored = self.harness.store.find(id).await.unwrap().unwrap();
                self.harness.store.remove(id, stored.version).await.unwrap();
                oracle.issuer = false;
            }
        }
    }

    async fn confirm(&mut self, order: &[Step]) {
        let Some(draft) = &mut self.draft else { return };
        let before = self.harness.store.find(self.id).await.unwrap();
        let found = match draft.confirm().await {
            Ok(issued) => {
                // Independent of the oracle: the token can be used, it is returned for the first time, and no pause of
                // issuing began since its preparation.
                let before = before.unwrap().record;
                assert_eq!(before, issued.record, "{order:?}");
                assert!(before.revocation().is_none() && self.returned.is_none(), "{order:?}");
                assert!(!self.oracle.paused_since, "{order:?}");
                if let Some(issuer) = &self.issuer {
                    let active = self.harness.elsewhere().still_active(issuer).await;
                    assert!(active.is_ok(), "{order:?}");
                }
                self.returned = Some(text(&issued));
                Outcome::Token
            }
            Err(ManageError::NotStored { .. }) => Outcome::NotStored,
            Err(ManageError::PausedSincePrepared { .. }) => Outcome::Paused,
            Err(ManageError::Ended { .. }) => Outcome::Ended,
            Err(ManageError::VersionChanged { .. }) => Outcome::Changed,
            Err(ManageError::Overtaken { .. }) => Outcome::Overtaken,
            Err(ManageError::DraftEnded { .. }) => Outcome::DraftEnded,
            Err(error) => panic!("{order:?}: {error:?}"),
        };
        assert_eq!(found, self.oracle.confirm(), "{order:?} {:?}", self.oracle);
        assert_eq!(draft.can_confirm(), self.oracle.open, "{order:?}");
    }

    /// Checks the record, the events, and that at most one live token is left, which an event names.
    async fn check_end(self, order: &[Step]) -> Option<IssueDraft> {
        let context = format!("{order:?} {:?}", self.oracle);
        let now = self.harness.service.now();
        let state = self.record().await.map(|record| record.state(now));
        let expected = match self.oracle.stored {
            Stored::Nothing => None,
            Stored::Revoked => Some(State::Revoked),
            _ if self.oracle.expired => Some(State::Expired),
            Stored::Suspended => Some(State::Suspended),
            Stored::Live | Stored::Rotated => Some(State::Active),
        };
        assert_eq!(state, expected, "{context}");
        if let Some(token) = &self.returned {
            let accepted = self.harness.elsewhere().verify(token, &any()).await.is_ok();
            let live = self.oracle.stored == Stored::Live && !self.oracle.expired;
            assert_eq!(accepted, live, "{context}");
        }
        let events = self.harness.events();
        let names: Vec<&str> = events.iter().map(service_tokens::Event::name).collect();
        assert_eq!(names, self.oracle.events, "{context}");
        assert_eq!(events[0].id(), Some(self.id), "{context}");
        let view = self.harness.elsewhere().owner(self.owner);
        let live = Filter::new().states(States::LIVE);
        let page = view.list(service_tokens::ListRequest::from(live)).await.unwrap();
        let issuer = self.issuer.as_ref().map(VerifiedToken::id);
        let mut live = page.items.iter().map(|stored| stored.record.id());
        assert!(live.all(|id| id == self.id || Some(id) == issuer), "{context}");
        self.forgotten
    }
}

async fn revoke_with_descendants_if_found(harness: &Harness, id: TokenId) {
    if harness.store.find(id).await.unwrap().is_some() {
        revoke_with_descendants(harness.elsewhere(), id).await;
    }
}
