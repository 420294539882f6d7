//! Checks of a call that waits while others on the same id run to their end.
//!
//! The first call is polled k times, for k = 0, 1, 2 … until it ends by itself. Then the other calls run to
//! their end, and then the first one. So each gap between two steps of the first call has other calls in
//! it once. The answers and the final state must be those of some order of the calls, one after the other.
//!
//! A store may hold a lock or its only connection while a call waits. Then the other calls have to wait for
//! the first one. After [`PATIENCE`] all of them are polled in turn.

mod order;

use std::collections::BTreeSet;
use std::time::Duration;

use super::in_time::in_time;
use super::lab::Lab;
use super::other_handle::OtherHandle;
use super::polling::{Boxed, join, poll_times, within};
use super::probe::Probe;
use super::samples::nth;
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::store::Version;
use order::{Call, Calls, Made, explains, inserted, make};

/// The maximum number of points of waiting at which a call is delayed.
const MAX_POLLS: usize = 12;

/// The duration after which the other calls have to wait for the first one.
const PATIENCE: Duration = Duration::from_millis(50);

/// The same after [`MANY`] calls had to wait, because the store then holds a lock in any case.
const LESS_PATIENCE: Duration = Duration::from_millis(4);

const MANY: usize = 40;

/// A call that is delayed, and the calls that run to their end meanwhile.
#[derive(Clone, Copy)]
struct Scenario {
    /// Whether the record exists before.
    exists: bool,
    first: Call,
    then: Calls,
}

const READS: [Call; 4] = [Call::Find, Call::FindMany, Call::Versions, Call::List];

/// Reads after an acknowledged write. They must not join a read that was sent before it.
const READ_AFTER_REPLACE: Calls =
    &[Call::Replace("b"), Call::Find, Call::FindMany, Call::Versions, Call::List];

/// The same after a removal, in another order, because the first read may end what the later ones would join.
const READ_AFTER_REMOVE: Calls =
    &[Call::Remove, Call::List, Call::Versions, Call::FindMany, Call::Find];

/// Returns every scenario. The ones of several calls after another are not made across handles.
fn scenarios() -> Vec<Scenario> {
    let writes = [
        Call::Replace("a"),
        Call::ReplaceMany("a"),
        Call::Remove,
        Call::RemoveMany,
        Call::Touch(9),
    ];
    let on_a_record: [Calls; 12] = [
        READ_AFTER_REPLACE,
        READ_AFTER_REMOVE,
        &[Call::Replace("b")],
        &[Call::Remove],
        &[Call::Touch(12)],
        &[Call::Remove, Call::Insert("b")],
        &[Call::Replace("b"), Call::ReplaceLatest("start")],
        &[Call::ReplaceMany("b"), Call::Touch(12)],
        &[Call::Find, Call::ReplaceLatest("b")],
        &[Call::Insert("b"), Call::Touch(12)],
        &[Call::Find],
        &[Call::FindMany],
    ];
    let on_none: [Calls; 6] = [
        &[Call::Insert("b")],
        &[Call::Insert("b"), Call::ReplaceLatest("c")],
        &[Call::Insert("b"), Call::RemoveLatest],
        &[Call::Insert("b"), Call::Touch(12)],
        &[Call::Find],
        &[Call::FindMany],
    ];
    let inserts = [Call::Insert("a"), Call::Touch(9)];
    let mut all = Vec::new();
    let mut add = |exists, first: &[Call], then: &[Calls]| {
        for first in first {
            for then in then {
                let only_reads = READS.contains(first) && then.iter().all(|c| READS.contains(c));
                if !only_reads {
                    all.push(Scenario { exists, first: *first, then });
                }
            }
        }
    };
    add(true, &READS, &on_a_record);
    add(true, &writes, &on_a_record);
    add(false, &READS, &on_none);
    add(false, &inserts, &on_none);
    all
}

pub(super) async fn delayed_calls_agree(lab: &mut dyn Lab) -> Verdict {
    let store = lab.store()?;
    let other = OtherHandle::open(lab).await?;
    let probe = Probe { store: &*store };
    let mut delays = Delays { n: 0, waits: 0 };
    for scenario in scenarios() {
        delays.all(scenario, Handles::one(probe)).await?;
        let Some(second) = other.second() else { continue };
        if scenario.then.len() == 1 || matches!(scenario.first, Call::Find) {
            delays.all(scenario, Handles { first: probe, writer: second, reader: second }).await?;
        }
        if READS.contains(&scenario.first) && scenario.then.iter().any(|c| READS.contains(c)) {
            delays.all(scenario, Handles { first: probe, writer: second, reader: probe }).await?;
        }
    }
    other.finish(lab, store, "after delayed calls").await
}

/// The handles of the delayed call and of the writes and reads that run meanwhile.
#[derive(Clone, Copy)]
struct Handles<'p> {
    first: Probe<'p>,
    writer: Probe<'p>,
    reader: Probe<'p>,
}

impl<'p> Handles<'p> {
    fn one(probe: Probe<'p>) -> Self {
        Self { first: probe, writer: probe, reader: probe }
    }
}

struct Delays {
    /// The number of the next record.
    n: u32,
    /// The number of calls that had to wait for a delayed one.
    waits: usize,
}

type Answers = Result<Vec<Made>, NotKept>;

/// How the calls of a scenario were made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overlap {
    FirstEnded,
    FirstNotStarted,
    Overlapped,
}

impl Delays {
    /// Delays the first call at each point at which it waits.
    async fn all(&mut self, scenario: Scenario, handles: Handles<'_>) -> Verdict {
        for polls in 0..MAX_POLLS {
            if self.one(scenario, handles, polls).await? == Overlap::FirstEnded {
                break;
            }
        }
        Ok(())
    }

    async fn one(
        &mut self,
        scenario: Scenario,
        handles: Handles<'_>,
        polls: usize,
    ) -> Result<Overlap, NotKept> {
        self.n += 1;
        let n = self.n;
        let start = if scenario.exists { Some(inserted(handles.writer, n).await?) } else { None };
        let version = start.as_ref().map_or(Version(0), |stored| stored.version);
        let first = [scenario.first];
        let early: Boxed<'_, Answers> = Box::pin(make([handles.first; 2], n, &first, version));
        let then = make([handles.writer, handles.reader], n, scenario.then, version);
        let late: Boxed<'_, Answers> = Box::pin(then);
        let when = || {
            let then: Vec<String> = scenario.then.iter().map(|call| format!("{call:?}")).collect();
            format!(
                "with {:?} delayed after {polls} polls, and {}",
                scenario.first,
                then.join(", ")
            )
        };
        let calls = self.overlapping(early, late, polls);
        let what = format!("{}, the calls", when());
        let Some((first, then, overlap)) = in_time(calls, &what).await? else {
            return broken(format!("{what} gave no answer"));
        };
        let (first, then) = (first?, then?);
        distinct(&first, &then, version, when)?;
        for probe in [handles.first, handles.writer] {
            let last = probe.find(nth(n)).await?;
            let explained = match overlap {
                Overlap::FirstEnded => {
                    let both: Vec<Made> = first.iter().chain(&then).cloned().collect();
                    explains(&start, &both, &[], &last)
                }
                Overlap::FirstNotStarted => {
                    let both: Vec<Made> = then.iter().chain(&first).cloned().collect();
                    explains(&start, &both, &[], &last)
                }
                Overlap::Overlapped => explains(&start, &first, &then, &last),
            };
            let said =
                first.iter().chain(&then).map(Made::said).collect::<Vec<_>>().join(", then ");
            let found = last.as_ref().map_or("no record".into(), |stored| {
                format!("{:?} used {:?}", stored.record.issued_to(), stored.last_used)
            });
            ensure!(
                explained,
                "{}, no order of the calls explains that {said}, and that find has {found}",
                when()
            );
            probe.agrees(nth(n), &when()).await?;
        }
        Ok(overlap)
    }

    /// Polls the first future, runs the second one to its end, then the first.
    async fn overlapping<T>(
        &mut self,
        mut first: Boxed<'_, T>,
        mut second: Boxed<'_, T>,
        polls: usize,
    ) -> Option<(T, T, Overlap)> {
        if let Some(ready) = poll_times(first.as_mut(), polls).await {
            return Some((ready, second.await, Overlap::FirstEnded));
        }
        if polls == 0 {
            let second = second.await;
            return Some((first.await, second, Overlap::FirstNotStarted));
        }
        let patience = if self.waits < MANY { PATIENCE } else { LESS_PATIENCE };
        if let Some(ready) = within(patience, second.as_mut()).await {
            return Some((first.await, ready, Overlap::Overlapped));
        }
        self.waits += 1;
        let mut both = join(vec![first, second]).await.into_iter();
        Some((both.next()?, both.next()?, Overlap::Overlapped))
    }
}

/// Checks that no two writes returned one version.
fn distinct(first: &[Made], then: &[Made], start: Version, when: impl Fn() -> String) -> Verdict {
    let mut had = BTreeSet::from([start]);
    for version in first.iter().chain(then).filter_map(Made::drew) {
        ensure!(had.insert(version), "{}, {version:?} was returned twice", when());
    }
    Ok(())
}
