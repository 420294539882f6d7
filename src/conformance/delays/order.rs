//! The calls of a scenario, their answers, and the search for an order that explains them.

use crate::conformance::probe::{Probe, every_record, everything, untouched, with_sources};
use crate::conformance::samples::{NOW, Sample, at, now, nth};
use crate::conformance::verdict::{NotKept, broken};
use crate::record::Record;
use crate::store::{LastUsed, ListRequest, StoreError, StoredRecord, Version};

/// A call on one id. The text is the label of the record that it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Insert(&'static str),
    Find,
    FindMany,
    Versions,
    List,
    /// Expects the version of before all calls.
    Replace(&'static str),
    ReplaceMany(&'static str),
    /// Expects the latest version that the calls before it returned.
    ReplaceLatest(&'static str),
    Remove,
    RemoveMany,
    RemoveLatest,
    /// A use this many microseconds after that of before all calls.
    Touch(i64),
}

pub(super) type Calls = &'static [Call];

/// A call that was made.
#[derive(Debug, Clone)]
pub(super) struct Made {
    call: Call,
    record: Record,
    expected: Version,
    tracked: bool,
    answer: Answer,
}

#[derive(Debug, Clone)]
enum Answer {
    /// The version that an insert or a replacement returned.
    Wrote(Version),
    Done,
    Refused,
    Read(Option<Box<StoredRecord>>),
    ReadVersion(Option<Version>),
    /// Nothing happened.
    Unavailable,
    /// The write may have happened.
    Indeterminate,
}

fn record(n: u32, label: &str) -> Result<Record, NotKept> {
    Sample { owner: format!("delayed {n}"), ..Sample::nth(n) }.issued_to(label).record()
}

/// Inserts the record of a scenario and touches it.
pub(super) async fn inserted(probe: Probe<'_>, n: u32) -> Result<StoredRecord, NotKept> {
    let record = record(n, "start")?;
    let version = probe.insert(&record).await?;
    probe.touch(&[(nth(n), now())]).await?;
    let last_used = match untouched(probe.store) {
        LastUsed::NotTracked => LastUsed::NotTracked,
        _ => LastUsed::At(now()),
    };
    Ok(StoredRecord::new(record, version, last_used))
}

/// Makes calls one after the other, the writes and the reads each through a handle.
pub(super) async fn make(
    [writer, reader]: [Probe<'_>; 2],
    n: u32,
    calls: &[Call],
    start: Version,
) -> Result<Vec<Made>, NotKept> {
    let mut made: Vec<Made> = Vec::new();
    for call in calls {
        let latest = made.iter().rev().find_map(Made::returned);
        let expected = match call {
            // The calls before it returned no version that it could expect.
            Call::ReplaceLatest(_) | Call::RemoveLatest => match latest {
                Some(latest) => latest,
                None => continue,
            },
            _ => start,
        };
        let label = match call {
            Call::Insert(label)
            | Call::Replace(label)
            | Call::ReplaceMany(label)
            | Call::ReplaceLatest(label) => label,
            _ => "start",
        };
        let record = record(n, label)?;
        let probe = if call.writes() { writer } else { reader };
        let answer = answer(probe, *call, &record, expected).await?;
        let tracked = probe.store.tracks_last_used();
        made.push(Made { call: *call, record, expected, tracked, answer });
    }
    Ok(made)
}

async fn answer(
    probe: Probe<'_>,
    call: Call,
    record: &Record,
    expected: Version,
) -> Result<Answer, NotKept> {
    let (store, id) = (probe.store, record.id());
    let answer = match call {
        Call::Insert(_) => store.insert(record).await.map(Answer::Wrote),
        Call::Find => store.find(id).await.map(read),
        Call::FindMany => only(call, store.find_many(&[id]).await)?.map(read),
        Call::Versions => only(call, store.versions(&[id]).await)?.map(Answer::ReadVersion),
        Call::List => {
            let request = ListRequest::from(everything().owner(record.owner()));
            let request = ListRequest { order: every_record().order, ..request };
            probe.scan(&request, now()).await.map(|listed| Ok(read(listed.into_iter().next())))?
        }
        Call::Replace(_) | Call::ReplaceLatest(_) => {
            store.replace(record, expected).await.map(Answer::Wrote)
        }
        Call::ReplaceMany(_) => {
            let writes = [(record.clone(), expected)];
            only(call, store.replace_many(&writes).await)?.map(Answer::Wrote)
        }
        Call::Remove | Call::RemoveLatest => {
            store.remove(id, expected).await.map(|()| Answer::Done)
        }
        Call::RemoveMany => {
            only(call, store.remove_many(&[(id, expected)]).await)?.map(|()| Answer::Done)
        }
        Call::Touch(used) => store.touch(&[(id, at(NOW + used))]).await.map(|()| Answer::Done),
    };
    let inserts = matches!(call, Call::Insert(_));
    match answer {
        Ok(answer) => Ok(answer),
        Err(StoreError::Exists) if inserts => Ok(Answer::Refused),
        Err(StoreError::Conflict) if call.expects() => Ok(Answer::Refused),
        // A store may give up a call that waits for a lock.
        Err(StoreError::Unavailable { .. }) => Ok(Answer::Unavailable),
        Err(StoreError::Indeterminate { .. }) if call.writes() => Ok(Answer::Indeterminate),
        Err(error) => {
            broken(format!("{call:?}, of two calls that overlap, failed: {}", with_sources(&error)))
        }
    }
}

fn read(found: Option<StoredRecord>) -> Answer {
    Answer::Read(found.map(Box::new))
}

fn only<T>(call: Call, results: Vec<T>) -> Result<T, NotKept> {
    let number = results.len();
    match results.into_iter().next() {
        Some(result) if number == 1 => Ok(result),
        _ => broken(format!("{call:?} of one row returned {number} results")),
    }
}

impl Call {
    fn expects(self) -> bool {
        use Call::*;
        matches!(
            self,
            Replace(_) | ReplaceMany(_) | ReplaceLatest(_) | Remove | RemoveMany | RemoveLatest
        )
    }

    fn writes(self) -> bool {
        self.expects() || matches!(self, Self::Insert(_) | Self::Touch(_))
    }
}

type State = Option<StoredRecord>;

impl Made {
    /// Returns the version that a write returned.
    pub(super) fn drew(&self) -> Option<Version> {
        match self.answer {
            Answer::Wrote(version) => Some(version),
            _ => None,
        }
    }

    /// Returns the version that a write or a read returned.
    fn returned(&self) -> Option<Version> {
        match &self.answer {
            Answer::Read(Some(stored)) => Some(stored.version),
            Answer::ReadVersion(version) => *version,
            _ => self.drew(),
        }
    }

    pub(super) fn said(&self) -> String {
        let answer = match &self.answer {
            Answer::Wrote(_) | Answer::Done => "succeeded".into(),
            Answer::Refused if matches!(self.call, Call::Insert(_)) => {
                "failed with `Exists`".into()
            }
            Answer::Refused => "failed with `Conflict`".into(),
            Answer::Read(None) | Answer::ReadVersion(None) => "had no record".into(),
            Answer::Read(Some(stored)) => format!("had {:?}", stored.record.issued_to()),
            Answer::ReadVersion(Some(version)) => format!("had {version:?}"),
            Answer::Unavailable => "was unavailable".into(),
            Answer::Indeterminate => "lost its answer".into(),
        };
        format!("{:?} {answer}", self.call)
    }

    /// Returns the states that the call leaves if it has this answer in this state, and none if it cannot.
    fn leaves(&self, state: &State) -> Vec<State> {
        let same = || vec![state.clone()];
        let only_if = |possible: bool| if possible { same() } else { Vec::new() };
        match &self.answer {
            Answer::Unavailable => same(),
            Answer::Indeterminate => [same(), self.effect(state, None)].concat(),
            // A read of the record and one of its last use may be two steps.
            Answer::Read(read) => only_if(match (read, state) {
                (Some(read), Some(state)) => {
                    read.version == state.version && read.record == state.record
                }
                (read, state) => read.is_none() && state.is_none(),
            }),
            Answer::ReadVersion(read) => {
                only_if(*read == state.as_ref().map(|stored| stored.version))
            }
            Answer::Refused => only_if(self.effect(state, None).is_empty()),
            Answer::Wrote(version) => self.effect(state, Some(*version)),
            Answer::Done => self.effect(state, None),
        }
    }

    /// Returns the state after a write with success, and none if the write cannot succeed.
    fn effect(&self, state: &State, version: Option<Version>) -> Vec<State> {
        let version = version.unwrap_or(Version(0));
        let current = state.as_ref().filter(|stored| stored.version == self.expected);
        match self.call {
            Call::Insert(_) => match state {
                Some(_) => Vec::new(),
                None => {
                    let used = if self.tracked { LastUsed::Never } else { LastUsed::NotTracked };
                    vec![Some(StoredRecord::new(self.record.clone(), version, used))]
                }
            },
            Call::Replace(_) | Call::ReplaceMany(_) | Call::ReplaceLatest(_) => {
                let replaced = |stored: &StoredRecord| {
                    Some(StoredRecord::new(self.record.clone(), version, stored.last_used))
                };
                current.map(replaced).into_iter().collect()
            }
            Call::Remove | Call::RemoveMany | Call::RemoveLatest => {
                current.map(|_| None).into_iter().collect()
            }
            Call::Touch(used) => {
                let used = at(NOW + used);
                let mut state = state.clone();
                if let Some(stored) = &mut state {
                    stored.last_used = match stored.last_used {
                        LastUsed::NotTracked => LastUsed::NotTracked,
                        LastUsed::At(time) => LastUsed::At(time.max(used)),
                        _ => LastUsed::At(used),
                    };
                }
                vec![state]
            }
            Call::Find | Call::FindMany | Call::Versions | Call::List => vec![state.clone()],
        }
    }
}

/// Returns whether an order of the calls of two callers explains their answers and the final state.
pub(super) fn explains(start: &State, one: &[Made], other: &[Made], last: &State) -> bool {
    if one.is_empty() && other.is_empty() {
        return matches(start, last);
    }
    let next_of = |mine: &[Made], rest: &[Made]| match mine.split_first() {
        Some((made, later)) => {
            made.leaves(start).iter().any(|state| explains(state, later, rest, last))
        }
        None => false,
    };
    next_of(one, other) || next_of(other, one)
}

/// Compares the expected state with the one that was read. The version of a write without an answer is not known.
fn matches(expected: &State, last: &State) -> bool {
    match (expected, last) {
        (Some(expected), Some(last)) => {
            (expected.version == last.version || expected.version == Version(0))
                && expected.record == last.record
                && expected.last_used == last.last_used
        }
        (expected, last) => expected.is_none() && last.is_none(),
    }
}
