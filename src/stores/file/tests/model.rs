//! A model of the contents of a store, and random writes.

use std::collections::BTreeMap;

use super::*;
use crate::record::{NewSuspension, State};
use crate::store::{Filter, LastUsed, ListRequest, States, StoreError, TokenStore};

/// The records by id, each with its last use.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Model(pub(super) BTreeMap<TokenId, (Record, Option<i64>)>);

#[derive(Clone, Debug)]
pub(super) enum Step {
    Insert(Record),
    Replace(Record),
    Remove(TokenId),
    Touch(TokenId, i64),
    Compact,
}

impl Model {
    pub(super) fn apply(&mut self, step: &Step) {
        match step {
            Step::Insert(record) => {
                assert!(self.0.insert(record.id(), (record.clone(), None)).is_none());
            }
            Step::Replace(record) => self.0.get_mut(&record.id()).unwrap().0 = record.clone(),
            Step::Remove(id) => drop(self.0.remove(id).unwrap()),
            Step::Touch(id, used) => {
                let last_used = &mut self.0.get_mut(id).unwrap().1;
                *last_used = (*last_used).max(Some(*used));
            }
            Step::Compact => {}
        }
    }

    pub(super) fn with(&self, step: &Step) -> Self {
        let mut model = self.clone();
        model.apply(step);
        model
    }

    /// Returns the contents of a store.
    pub(super) fn of(store: &FileStore) -> Self {
        let mut model = Self::default();
        let mut query = ListRequest::from(Filter::new().states(States::ALL)).limit(7);
        loop {
            let page = block_on(store.list(&query, now())).unwrap();
            for stored in page.items {
                let used = match stored.last_used {
                    LastUsed::At(used) => Some(used.timestamp_micros()),
                    LastUsed::Never => None,
                    LastUsed::NotTracked => panic!("it tracks"),
                };
                let found = block_on(store.find(stored.record.id())).unwrap().unwrap();
                assert_eq!(found.record, stored.record);
                assert!(model.0.insert(stored.record.id(), (stored.record, used)).is_none());
            }
            match page.next {
                None => return model,
                Some(next) => query = query.after(next),
            }
        }
    }

    /// Returns the part whose ids are in this range.
    pub(super) fn between(&self, from: u64, to: u64) -> Self {
        Self(self.0.range(id(from)..id(to)).map(|(id, row)| (*id, row.clone())).collect())
    }
}

/// Numbers that look random and are the same in every run.
#[derive(Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) * end) >> 31
    }
}

/// Random writes that a model allows, on ids from a first one.
#[derive(Clone)]
pub(super) struct Steps {
    random: Random,
    next_id: u64,
    compacts: bool,
}

impl Steps {
    pub(super) fn new(seed: u64, first_id: u64, compacts: bool) -> Self {
        Self {
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1),
            next_id: first_id,
            compacts,
        }
    }

    pub(super) fn next(&mut self, model: &Model) -> Step {
        let random = &mut self.random;
        let kind = random.below(12);
        let chosen = match model.0.len() as u64 {
            0 => None,
            rows => model.0.values().nth(random.below(rows) as usize),
        };
        match (kind, chosen) {
            (0..4, _) | (_, None) => {
                self.next_id += 1;
                let n = self.next_id - 1;
                Step::Insert(if n.is_multiple_of(2) { record(n) } else { restricted(n) })
            }
            (4..6, Some((record, _))) if record.state(now()) == State::Active => {
                Step::Replace(rotated(record, random.below(1 << 30)))
            }
            (4..7, Some((record, _))) if record.revocation().is_none() => {
                Step::Replace(suspended_or_resumed(record, random.below(4)))
            }
            (4..9, Some((record, _))) => match record.revoke(now(), Some("admin"), None).unwrap() {
                Some(revoked) => Step::Replace(revoked),
                None => Step::Remove(record.id()),
            },
            (9, Some(_)) if self.compacts => Step::Compact,
            (_, Some((record, used))) => {
                Step::Touch(record.id(), used.unwrap_or(0) + 1 + random.below(1_000) as i64)
            }
        }
    }
}

/// Returns the resumed record if it is suspended, and otherwise the suspended one.
fn suspended_or_resumed(record: &Record, days: u64) -> Record {
    if let Some((resumed, _)) = record.resume(now(), |_| true).unwrap() {
        return resumed;
    }
    let until = (days > 0).then(|| now() + Duration::days(days.cast_signed()));
    let (by, reason) = (Some("admin"), Some("odd"));
    let suspension = NewSuspension { since: now(), until, by, reason, displaces: true };
    record.suspend(now(), suspension).unwrap().unwrap().0
}

pub(super) async fn perform(store: &FileStore, step: &Step) -> Result<(), StoreError> {
    let version = async |id| store.find(id).await.unwrap().unwrap().version;
    match step {
        Step::Insert(record) => store.insert(record).await.map(drop),
        Step::Replace(record) => store.replace(record, version(record.id()).await).await.map(drop),
        Step::Remove(id) => store.remove(*id, version(*id).await).await,
        Step::Touch(id, used) => store.touch(&[(*id, from_micros(*used))]).await,
        Step::Compact => store.compact().await.map(drop),
    }
}
