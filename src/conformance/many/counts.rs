//! Checks of counts, against the records that were written.

use std::sync::Arc;

use super::each;
use crate::conformance::lab::Lab;
use crate::conformance::polling::{Boxed, join};
use crate::conformance::probe::{Probe, answered, everything, untouched};
use crate::conformance::samples::{DAY, NOW, Sample, at, labelled, now, nth, revoked, suspended};
use crate::conformance::threads::{Spawn, Threads};
use crate::conformance::verdict::{NotKept, Verdict, ensure};
use crate::record::{Record, State};
use crate::store::{Filter, ListRequest, States, TokenStore, Version};

/// Texts that a store may put between an owner and a type when it makes one key of them.
const SEPARATORS: [&str; 14] =
    [":", "::", "/", "|", "#", "\0", "-", "_", ".", ",", ";", " ", "\u{1f}", ""];

type Row = (Record, Version);

/// Creates a record that has this state now.
fn in_state(sample: Sample, state: State) -> Result<Record, NotKept> {
    let sample = match state {
        State::Pending => Sample { not_before: Some(NOW + DAY), ..sample },
        State::Expired => Sample { expires_at: Some(NOW - DAY), ..sample },
        _ => sample,
    };
    let record = sample.record()?;
    match state {
        State::Suspended => suspended(&record, Some(NOW + 3 * DAY)),
        State::Revoked => Ok(revoked(&record, Some("ops"), None)),
        _ => Ok(record),
    }
}

/// Creates records of every state in different numbers, and of owners and types whose texts are similar
/// when they are put together.
fn mixture() -> Result<Vec<Record>, NotKept> {
    let mut samples = Vec::new();
    for (place, state) in State::ALL.into_iter().enumerate() {
        for _ in 0..=place + 1 {
            samples.push(("acme".to_owned(), "connector", state));
        }
        samples.push(("acme".to_owned(), "developer", state));
        samples.push(("globex".to_owned(), "connector", state));
    }
    for token_type in ["b", "c", "b_c", "b.c", "b-c", "bc"] {
        samples.push(("acme".to_owned(), token_type, State::Active));
    }
    for separator in SEPARATORS.into_iter().skip(1).step_by(2) {
        samples.push((format!("acme{separator}b"), "c", State::Active));
        samples.push((format!("acme{separator}"), "b", State::Revoked));
    }
    let numbered = (0..).zip(samples);
    numbered
        .map(|(n, (owner, token_type, state))| {
            in_state(Sample { owner, token_type, ..Sample::nth(n) }, state)
        })
        .collect()
}

/// Returns each state, each pair of states, and the usual sets.
fn states() -> Vec<States> {
    let mut sets = vec![States::LIVE, States::ENDED, States::ALL];
    for (place, first) in State::ALL.into_iter().enumerate() {
        sets.push(first.into());
        let others = State::ALL.into_iter().skip(place + 1);
        sets.extend(others.map(|second| States::from([first, second])));
    }
    sets
}

/// Compares counts with the records that are there.
async fn exact(probe: Probe<'_>, rows: &[Row], when: &str) -> Verdict {
    let all = everything;
    let mut filters = vec![Filter::new(), all(), all().owner("acm"), all().owner("acme ")];
    for states in states() {
        filters.push(all().states(states));
        filters.push(all().owner("acme").states(states));
        filters.push(all().owner("acme").token_type("connector").states(states));
    }
    for separator in SEPARATORS {
        let (owner, token_type) = (format!("acme{separator}b"), format!("b{separator}c"));
        filters.push(all().owner(&owner));
        filters.push(all().owner(&owner).token_type("c"));
        filters.push(all().owner("acme").token_type(&token_type));
        filters.push(all().owner(format!("acme{separator}")));
        filters.push(all().owner(format!("acme{separator}")).token_type("b"));
        filters.push(all().owner(format!("acme{separator}connector")));
    }
    for filter in filters {
        is_exact(probe, rows, &filter, NOW, when).await?;
    }
    for moment in [NOW + 2 * DAY, NOW + 4 * DAY, NOW - 2 * DAY] {
        for state in State::ALL {
            is_exact(probe, rows, &all().owner("acme").states(state), moment, when).await?;
        }
    }
    Ok(())
}

async fn is_exact(
    probe: Probe<'_>,
    rows: &[Row],
    filter: &Filter,
    moment: i64,
    when: &str,
) -> Verdict {
    let count = answered("count", probe.store.count(filter, at(moment)).await)?;
    let used = untouched(probe.store);
    let matching = rows.iter().filter(|(record, _)| filter.matches(record, used, at(moment)));
    let expected = matching.count() as u64;
    ensure!(
        count == expected,
        "{when}, count answered {count} for {expected} records of {filter:?}"
    );
    Ok(())
}

/// Returns the record in the state that follows its own.
fn changed(record: &Record) -> Result<Record, NotKept> {
    Ok(match record.state(now()) {
        State::Active | State::Expired => match suspended(record, None) {
            Ok(suspended) if record.owner() == "acme" => suspended,
            _ => revoked(record, None, None),
        },
        State::Pending | State::Suspended => revoked(record, Some("ops"), None),
        _ => {
            let sample = Sample::of(record.id());
            Sample {
                owner: record.owner().to_owned(),
                created_at: record.created_at().timestamp_micros(),
                token_type: "connector",
                expires_at: None,
                ..sample
            }
            .record()?
        }
    })
}

/// Changes every other row, half of them with single calls and half with one call.
async fn replace_some(writer: Probe<'_>, rows: &mut [Row], from: usize) -> Verdict {
    let mut writes = Vec::new();
    for (place, row) in rows.iter_mut().enumerate().skip(from).step_by(2) {
        let new = changed(&row.0)?;
        if place % 4 < 2 {
            row.1 = writer.replace(&new, row.1).await?;
            row.0 = new;
        } else {
            writes.push((place, (new, row.1)));
        }
    }
    let (places, writes): (Vec<usize>, Vec<Row>) = writes.into_iter().unzip();
    let results = each("replace_many", writes.len(), writer.store.replace_many(&writes).await)?;
    for ((place, (new, _)), result) in places.into_iter().zip(writes).zip(results) {
        let version = answered("a row of replace_many", result)?;
        if let Some(row) = rows.get_mut(place) {
            *row = (new, version);
        }
    }
    Ok(())
}

/// Removes every fifth row, half of them with single calls and half with one call.
async fn remove_some(writer: Probe<'_>, rows: &mut Vec<Row>, from: usize) -> Verdict {
    let mut removals = Vec::new();
    for (place, (record, version)) in rows.iter().enumerate().skip(from).step_by(5) {
        if place % 2 == 0 {
            writer.remove(record.id(), *version).await?;
        } else {
            removals.push((record.id(), *version));
        }
    }
    let results = each("remove_many", removals.len(), writer.store.remove_many(&removals).await)?;
    for result in results {
        answered("a row of remove_many", result)?;
    }
    let mut place = 0;
    rows.retain(|_| {
        let removed = place >= from && (place - from).is_multiple_of(5);
        place += 1;
        !removed
    });
    Ok(())
}

pub(in crate::conformance) async fn counts_follow_writes(
    lab: &mut dyn Lab,
    spawn: &Spawn<'_>,
) -> Verdict {
    let store = lab.store()?;
    let probe = Probe { store: &*store };
    let mut rows = Vec::new();
    for record in mixture()? {
        let version = probe.insert(&record).await?;
        rows.push((record, version));
    }
    exact(probe, &rows, "after inserts").await?;
    replace_some(probe, &mut rows, 0).await?;
    exact(probe, &rows, "after replacements").await?;
    remove_some(probe, &mut rows, 1).await?;
    exact(probe, &rows, "after removals").await?;
    if let Some(Ok(second)) = lab.second().await {
        let second = Probe { store: &*second };
        exact(second, &rows, "through another handle").await?;
        for [writer, reader] in [[probe, second], [second, probe]] {
            let when = "after replacements through another handle";
            replace_some(writer, &mut rows, 1).await?;
            exact(reader, &rows, when).await?;
            remove_some(writer, &mut rows, 2).await?;
            exact(reader, &rows, "after removals through another handle").await?;
        }
    }
    let stable = rows.len();
    let tasks = (0..6).map(|racer| -> Boxed<'_, _> { Box::pin(race(&*store, racer)) });
    let mut calls: Vec<Boxed<'_, Result<Vec<Row>, NotKept>>> = tasks.collect();
    // The counts of an owner whose records do not change are exact meanwhile.
    calls.push(Box::pin(async {
        for _ in 0..20 {
            for state in State::ALL {
                let filter = everything().owner("acme").states(state);
                is_exact(probe, &rows, &filter, NOW, "during writes of other owners").await?;
            }
        }
        Ok(Vec::new())
    }));
    let mut raced = Vec::new();
    for of_one in join(calls).await {
        raced.extend(of_one?);
    }
    rows.extend(raced);
    exact(probe, &rows, "after concurrent writes").await?;
    of_racers(probe, &rows, "after concurrent writes").await?;
    rows.truncate(stable);
    on_threads(&store, probe, rows, spawn).await
}

/// The owner of the records of racers.
const RACERS: &str = "racers";

/// Inserts records, changes their states and removes some, next to others who do the same.
async fn race(store: &dyn TokenStore, racer: u32) -> Result<Vec<Row>, NotKept> {
    let probe = Probe { store };
    let mut rows = Vec::new();
    for n in 0..12 {
        let sample = Sample { owner: RACERS.into(), ..Sample::nth(10_000 * (racer + 1) + n) };
        let record = sample.record()?;
        let version = probe.insert(&record).await?;
        rows.push((record, version));
    }
    replace_some(probe, &mut rows, 0).await?;
    replace_some(probe, &mut rows, 1).await?;
    replace_some(probe, &mut rows, 0).await?;
    remove_some(probe, &mut rows, 0).await?;
    Ok(rows)
}

async fn of_racers(probe: Probe<'_>, rows: &[Row], when: &str) -> Verdict {
    let of_racers = || everything().owner(RACERS);
    for filter in states().into_iter().map(|states| of_racers().states(states)) {
        is_exact(probe, rows, &filter, NOW, when).await?;
    }
    is_exact(probe, rows, &of_racers().token_type("connector"), NOW, when).await
}

/// Makes the race on threads, if the factory can start them.
async fn on_threads(
    store: &Arc<dyn TokenStore>,
    probe: Probe<'_>,
    mut rows: Vec<Row>,
    spawn: &Spawn<'_>,
) -> Verdict {
    let jobs = (0..4).map(|racer| -> Boxed<'static, Result<Vec<Row>, NotKept>> {
        let store = store.clone();
        Box::pin(async move { race(&*store, 100 + racer).await })
    });
    let before = everything().owner(RACERS);
    let listed = probe.scan(&ListRequest::from(before), now()).await?;
    rows.extend(listed.into_iter().map(|stored| (stored.record, stored.version)));
    match Threads::of(spawn).run(jobs.collect()).await {
        Err(NotKept::NotChecked(_)) => return Ok(()),
        raced => {
            for of_one in raced? {
                rows.extend(of_one?);
            }
        }
    }
    let another = labelled(900_000, "inserted afterwards")?;
    let version = probe.insert(&another).await?;
    rows.push((another, version));
    of_racers(probe, &rows, "after writes on threads").await?;
    probe.remove(nth(900_000), version).await
}
