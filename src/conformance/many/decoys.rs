//! The rows around the row of a check, and the facts by which their results are judged.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::conformance::samples::{Sample, nth};
use crate::record::Record;
use crate::store::{StoreError, Version};
use crate::token::TokenId;

/// The facts that the stores over one storage have learned from acknowledged calls.
#[derive(Default)]
pub(in crate::conformance) struct Notes {
    fault: Mutex<Option<String>>,
    rows: Mutex<Rows>,
}

#[derive(Default)]
struct Rows {
    /// The ids whose insert was acknowledged, and for which no removal was sent since then.
    present: HashSet<TokenId>,
    /// The versions that an acknowledged write has ended.
    ended: HashMap<TokenId, Vec<Version>>,
    /// The records that were inserted last.
    latest: Vec<Record>,
}

/// The number of records that can be decoys.
const LATEST: usize = 3;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Notes {
    /// Returns the first wrong answer that the checks themselves do not see.
    pub(in crate::conformance) fn fault(&self) -> Option<String> {
        lock(&self.fault).clone()
    }

    pub(super) fn report(&self, fault: String) {
        lock(&self.fault).get_or_insert(fault);
    }

    pub(super) fn inserted(&self, record: &Record) {
        let mut rows = lock(&self.rows);
        rows.present.insert(record.id());
        rows.latest.retain(|latest| latest.id() != record.id());
        if rows.latest.len() == LATEST {
            rows.latest.remove(0);
        }
        rows.latest.push(record.clone());
    }

    pub(super) fn removing(&self, id: TokenId) {
        lock(&self.rows).present.remove(&id);
    }

    pub(super) fn ended(&self, id: TokenId, version: Version) {
        lock(&self.rows).ended.entry(id).or_default().push(version);
    }

    pub(super) fn is_present(&self, id: TokenId) -> bool {
        lock(&self.rows).present.contains(&id)
    }

    pub(super) fn versions_ended(&self, id: TokenId) -> Vec<Version> {
        lock(&self.rows).ended.get(&id).cloned().unwrap_or_default()
    }

    /// Returns a record of another id that was inserted recently.
    pub(super) fn another(&self, id: TokenId, turn: usize) -> Option<Record> {
        let rows = lock(&self.rows);
        let mut others = rows.latest.iter().filter(|record| record.id() != id);
        others
            .nth(turn % 2)
            .or_else(|| rows.latest.iter().find(|record| record.id() != id))
            .cloned()
    }
}

/// A row that surrounds the row of the check.
#[derive(Clone)]
pub(super) enum Decoy {
    /// An id that no check uses.
    Missing(TokenId),
    /// A record, which a write names with a wrong version.
    Present(Box<Record>),
}

impl Decoy {
    pub(super) fn id(&self) -> TokenId {
        match self {
            Self::Missing(id) => *id,
            Self::Present(record) => record.id(),
        }
    }
}

/// The first number of the ids that have no record.
const MISSING: u32 = 3_000_000_000;

/// A part of the versions of decoys. A right version is equal by chance only.
const WRONG: u64 = 0x5bad_5bad_5bad_0000;

/// Returns an id without a record.
pub(super) fn missing(n: usize) -> Decoy {
    Decoy::Missing(nth(MISSING + n as u32 % 100_000))
}

/// Returns the version of a decoy.
pub(super) fn wrong(turn: usize) -> Version {
    Version(WRONG + turn as u64 % 0xffff)
}

pub(super) fn decoy_record(decoy: &Decoy) -> Option<Record> {
    match decoy {
        Decoy::Missing(id) => Sample::of(*id).issued_to("without a record").record().ok(),
        Decoy::Present(record) => Some((**record).clone()),
    }
}

/// Returns the fault of a write that must not happen. It can also fail as every other row does.
pub(super) fn wrong_write<T>(decoy: &Decoy, result: &Result<T, StoreError>) -> Option<String> {
    let of = match decoy {
        Decoy::Missing(_) => "a row without a record",
        Decoy::Present(_) => "a row with a wrong version",
    };
    match (result, decoy) {
        (Ok(_), _) => Some(format!("acknowledged {of}")),
        (
            Err(
                StoreError::Conflict
                | StoreError::Unavailable { .. }
                | StoreError::Indeterminate { .. }
                | StoreError::Full { .. }
                | StoreError::ReadOnly,
            ),
            _,
        )
        | (_, Decoy::Present(_)) => None,
        (Err(error), Decoy::Missing(_)) => Some(format!("answered for {of}: {error}")),
    }
}
