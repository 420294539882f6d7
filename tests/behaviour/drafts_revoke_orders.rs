//! Every order of the steps around two drafts of the same revocation, compared with an oracle.

use service_tokens::store::Version;
use service_tokens::{
    Event, ManageError, RevokeDraft, RevokeRequest, RotateRequest, SuspendRequest, TokenStore,
};

use super::drafts_orders::campaign_steps;
use super::drafts_revoke::commit;
use super::harness::{Harness, Stores, any, backup, incident, text};

behaviours! {
    orders_of_revocation_agree_with_oracle,
    #[ignore = "campaign"]
    orders_of_revocation_campaign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Commit(usize),
    Confirm(usize),
    Drop(usize),
    RevokeElsewhere,
    Rotate,
    Suspend,
    Remove,
}

use Step::{Commit, Confirm, Drop, Remove, RevokeElsewhere, Rotate, Suspend};

const STEPS: [Step; 11] = [
    Commit(0),
    Commit(1),
    Confirm(0),
    Confirm(0),
    Confirm(1),
    Drop(0),
    RevokeElsewhere,
    Rotate,
    Suspend,
    Remove,
    Drop(1),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    /// The record that both drafts replace.
    AsPrepared,
    Changed,
    RevokedBy(usize),
    RevokedElsewhere,
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Revoked,
    AlreadyRevoked,
    NotStored,
    Changed,
    Gone,
    DraftEnded,
}

/// The oracle.
#[derive(Debug)]
struct Oracle {
    stored: Stored,
    open: [bool; 2],
    events: Vec<&'static str>,
}

impl Oracle {
    fn confirm(&mut self, which: usize) -> Outcome {
        let outcome = match self.stored {
            _ if !self.open[which] => Outcome::DraftEnded,
            Stored::AsPrepared => Outcome::NotStored,
            Stored::Changed => Outcome::Changed,
            Stored::RevokedBy(by) if by == which => Outcome::Revoked,
            Stored::RevokedBy(_) | Stored::RevokedElsewhere => Outcome::AlreadyRevoked,
            Stored::Gone => Outcome::Gone,
        };
        self.open[which] &= outcome == Outcome::NotStored;
        self.events.push(match outcome {
            Outcome::Revoked => "revoked",
            Outcome::AlreadyRevoked => "already_revoked",
            _ => "failed",
        });
        outcome
    }

    fn is_live(&self) -> bool {
        matches!(self.stored, Stored::AsPrepared | Stored::Changed)
    }
}

fn orders(steps: &[Step], length: usize, visit: &mut impl FnMut(&[Step])) {
    fn extend(steps: &[Step], left: usize, order: &mut Vec<Step>, visit: &mut impl FnMut(&[Step])) {
        if left == 0 {
            return visit(order);
        }
        for (at, step) in steps.iter().enumerate() {
            if steps[..at].contains(step) {
                continue;
            }
            let mut others = steps.to_vec();
            others.remove(at);
            order.push(*step);
            extend(&others, left - 1, order, visit);
            order.pop();
        }
    }
    extend(steps, length, &mut Vec::new(), visit);
}

pub(crate) async fn orders_of_revocation_agree_with_oracle(stores: Stores) {
    run_all(stores, 4).await;
}

pub(crate) async fn orders_of_revocation_campaign(stores: Stores) {
    run_all(stores, campaign_steps()).await;
}

async fn run_all(stores: Stores, length: usize) {
    let harness = Harness::new(stores);
    let mut all = Vec::new();
    orders(&STEPS, length, &mut |order| all.push(order.to_vec()));
    assert!(all.len() > 1_000);
    for order in &all {
        run(&harness, order).await;
    }
}

async fn run(harness: &Harness, order: &[Step]) {
    let issued = harness.elsewhere().owner("acme").issue(backup()).await.unwrap();
    let (id, owner) = (issued.record.id(), harness.elsewhere().owner("acme"));
    let prepare = || harness.service.owner("acme").prepare_revoke(id, incident());
    // Both have the same texts, and the clock stands still.
    let mut drafts: [Option<RevokeDraft>; 2] =
        [Some(prepare().await.unwrap()), Some(prepare().await.unwrap())];
    let expected: Version = drafts[0].as_ref().unwrap().expected();
    let (stored, open) = (Stored::AsPrepared, [true; 2]);
    let mut oracle = Oracle { stored, open, events: vec!["prepared"; 2] };
    for step in order.iter().copied().chain([Drop(0), Drop(1)]) {
        match step {
            Commit(which) => {
                let Some(draft) = &drafts[which] else { continue };
                let done = commit(&harness.store, draft).await;
                assert_eq!(done, oracle.stored == Stored::AsPrepared, "{order:?}");
                if done {
                    oracle.stored = Stored::RevokedBy(which);
                }
            }
            Confirm(which) => {
                let Some(draft) = &mut drafts[which] else { continue };
                let found = match draft.confirm().await {
                    Ok(revoked) if revoked.already_revoked => Outcome::AlreadyRevoked,
                    Ok(revoked) => {
                        assert_eq!(revoked.record, *draft.record(), "{order:?}");
                        Outcome::Revoked
                    }
                    Err(ManageError::NotStored { .. }) => Outcome::NotStored,
                    Err(ManageError::VersionChanged { .. }) => Outcome::Changed,
                    Err(ManageError::NotFound { .. }) => Outcome::Gone,
                    Err(ManageError::DraftEnded { .. }) => Outcome::DraftEnded,
                    Err(error) => panic!("{order:?}: {error:?}"),
                };
                assert_eq!(found, oracle.confirm(which), "{order:?} {oracle:?}");
                assert_eq!(draft.can_confirm(), oracle.open[which], "{order:?}");
                // Independent of the oracle: a reported revocation is in the store.
                if matches!(found, Outcome::Revoked | Outcome::AlreadyRevoked) {
                    let refused = harness.elsewhere().verify(&text(&issued), &any()).await;
                    assert!(refused.is_err(), "{order:?}");
                }
            }
            Drop(which) => {
                let was_open = drafts[which].take().is_some() && oracle.open[which];
                if was_open {
                    oracle.events.push("not_confirmed");
                }
            }
            RevokeElsewhere => {
                if oracle.stored == Stored::Gone {
                    continue;
                }
                owner.revoke(id, RevokeRequest::new().by("bob")).await.unwrap();
                if oracle.is_live() {
                    oracle.stored = Stored::RevokedElsewhere;
                }
            }
            Rotate | Suspend => {
                let changed = match step {
                    Rotate => owner.rotate(id, RotateRequest::at_once()).await.is_ok(),
                    _ => owner.suspend(id, SuspendRequest::new()).await.is_ok(),
                };
                if changed {
                    assert!(oracle.is_live(), "{order:?}");
                    oracle.stored = Stored::Changed;
                }
            }
            Remove => {
                if let Some(stored) = harness.store.find(id).await.unwrap() {
                    harness.store.remove(id, stored.version).await.unwrap();
                }
                oracle.stored = Stored::Gone;
            }
        }
    }
    let stored = harness.store.find(id).await.unwrap();
    let as_prepared = stored.as_ref().is_some_and(|stored| stored.version == expected);
    assert_eq!(as_prepared, oracle.stored == Stored::AsPrepared, "{order:?}");
    let revoked = stored.is_some_and(|stored| stored.record.revocation().is_some());
    let expected = matches!(oracle.stored, Stored::RevokedBy(_) | Stored::RevokedElsewhere);
    assert_eq!(revoked, expected, "{order:?}");
    let events = harness.events();
    let names: Vec<&str> = events.iter().map(Event::name).collect();
    assert_eq!(names, oracle.events, "{order:?}");
    assert!(events.iter().all(|event| event.id() == Some(id)), "{order:?}");
}
