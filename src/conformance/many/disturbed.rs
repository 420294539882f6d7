//! Checks of calls about several rows that are dropped, lost or refused, and of a store that is
//! unavailable or closed.

use super::each;
use crate::conformance::failures::UNABLE;
use crate::conformance::in_time::in_time;
use crate::conformance::lab::Lab;
use crate::conformance::lost::usable;
use crate::conformance::outage::answers;
use crate::conformance::polling::{Boxed, poll_times};
use crate::conformance::probe::{Probe, answered, everything, same, same_record, with_sources};
use crate::conformance::samples::{labelled, now, nth};
use crate::conformance::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{StoreError, StoredRecord, Version};
use crate::token::TokenId;

/// The number of rows of a call.
const ROWS: u32 = 5;

/// The rows of a call, and the records before and after it.
pub(in crate::conformance) struct Batch {
    first: u32,
    before: Vec<(Record, Version)>,
    /// The replacements, or `None` for a removal.
    after: Option<Vec<Record>>,
}

/// The result of a row: the version of a replacement, or `None` of a removal.
pub(in crate::conformance) type Outcome = Result<Option<Version>, StoreError>;

impl Batch {
    pub(in crate::conformance) async fn insert(
        probe: Probe<'_>,
        first: u32,
        rows: u32,
        removes: bool,
    ) -> Result<Self, NotKept> {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for n in first..first + rows {
            let record = labelled(n, "before the call")?;
            let version = probe.insert(&record).await?;
            before.push((record, version));
            after.push(labelled(n, "after the call")?);
        }
        Ok(Self { first, before, after: Some(after).filter(|_| !removes) })
    }

    fn name(&self) -> &'static str {
        if self.after.is_some() { "replace_many" } else { "remove_many" }
    }

    fn ids(&self) -> Vec<TokenId> {
        self.before.iter().map(|(record, _)| record.id()).collect()
    }

    /// Writes the rows in one call.
    pub(in crate::conformance) async fn write(&self, probe: Probe<'_>) -> Vec<Outcome> {
        match &self.after {
            Some(after) => {
                let versions = self.before.iter().map(|(_, version)| *version);
                let writes: Vec<_> = after.iter().cloned().zip(versions).collect();
                let results = probe.store.replace_many(&writes).await;
                results.into_iter().map(|result| result.map(Some)).collect()
            }
            None => {
                let removals: Vec<_> =
                    self.before.iter().map(|(record, version)| (record.id(), *version)).collect();
                let results = probe.store.remove_many(&removals).await;
                results.into_iter().map(|result| result.map(|()| None)).collect()
            }
        }
    }

    /// Returns whether a row was written completely, or an error if it was written in part.
    fn is_written(
        &self,
        place: usize,
        found: Option<&StoredRecord>,
        when: &str,
    ) -> Result<bool, NotKept> {
        let Some((before, version)) = self.before.get(place) else { return Ok(false) };
        let after = self.after.as_ref().and_then(|after| after.get(place));
        match (found, after) {
            (Some(found), _) if found.version == *version => {
                same_record(
                    before,
                    &found.record,
                    &format!("{when}, find answered with a record"),
                )?;
                Ok(false)
            }
            (Some(found), Some(after)) => {
                same_record(after, &found.record, &format!("{when}, find answered with a record"))?;
                Ok(true)
            }
            (None, None) => Ok(true),
            (Some(_), None) => {
                broken(format!("{when}, a row that was to be removed has another version"))
            }
            (None, Some(_)) => broken(format!("{when}, a row that was to be replaced is missing")),
        }
    }

    /// Compares each result with the row that a later read returns. Returns the number of results that say
    /// neither that the row was written nor that it was not.
    pub(in crate::conformance) async fn is_true(
        &self,
        probe: Probe<'_>,
        results: Vec<Outcome>,
        when: &str,
    ) -> Result<usize, NotKept> {
        let name = self.name();
        let mut unknown = 0;
        for (place, result) in each(name, self.before.len(), results)?.into_iter().enumerate() {
            let found = probe.find(nth(self.first + place as u32)).await?;
            let written = self.is_written(place, found.as_ref(), when)?;
            match result {
                Ok(version) => {
                    ensure!(written, "{when}, a row of {name} was acknowledged and not written");
                    let found = found.map(|stored| stored.version);
                    same(&version, &found, &format!("{when}, find answered for a row with"))?;
                }
                Err(StoreError::Indeterminate { .. }) => unknown += 1,
                Err(
                    error @ (StoreError::Unavailable { .. }
                    | StoreError::Full { .. }
                    | StoreError::ReadOnly),
                ) => ensure!(
                    !written,
                    "{when}, a row of {name} was written although the store answered: {}",
                    with_sources(&error)
                ),
                Err(error) => {
                    return broken(format!(
                        "{when}, a row of {name} failed with: {}",
                        with_sources(&error)
                    ));
                }
            }
        }
        Ok(unknown)
    }
}

pub(in crate::conformance) async fn dropped_rows_are_atomic(probe: Probe<'_>) -> Verdict {
    for polls in 0..10 {
        for removes in [false, true] {
            let first = 1_000 * polls + 100 * u32::from(removes);
            let batch = Batch::insert(probe, first, ROWS, removes).await?;
            let mut call: Boxed<'_, _> = Box::pin(batch.write(probe));
            let what = format!("{} that is dropped", batch.name());
            let ready = poll_times(call.as_mut(), polls as usize);
            let ready = in_time(Box::pin(ready), &what).await?;
            drop(call);
            for place in 0..batch.before.len() {
                settles(probe, &batch, place).await?;
            }
            // The rows were written again since then.
            if let Some(results) = ready {
                let written = results.iter().all(Result::is_ok);
                ensure!(written, "{what} failed for a row that no other call wrote");
            }
        }
    }
    Ok(())
}

/// Checks that a row is old or new, and that a single call can write it. A dropped call may still take
/// effect in between.
async fn settles(probe: Probe<'_>, batch: &Batch, place: usize) -> Verdict {
    let when = format!("after {} was dropped", batch.name());
    let id = nth(batch.first + place as u32);
    let record = labelled(batch.first + place as u32, "written afterwards")?;
    for _ in 0..3 {
        let found = probe.find(id).await?;
        batch.is_written(place, found.as_ref(), &when)?;
        let agreed = probe.agrees(id, &when).await;
        if probe.find(id).await? != found {
            continue;
        }
        agreed?;
        let Some(stored) = found else {
            return answered(&format!("{when}, an insert"), probe.store.insert(&record).await)
                .map(drop);
        };
        let call = probe.store.replace(&record, stored.version);
        match in_time(call, &format!("{when}, a replacement")).await? {
            Ok(version) => return probe.holds(&record, version, &when).await,
            Err(StoreError::Conflict) => {}
            Err(error) => {
                return broken(format!("{when}, a replacement: {}", with_sources(&error)));
            }
        }
    }
    broken(format!("{when}, no replacement with the current version succeeds"))
}

pub(in crate::conformance) async fn lost_rows_are_indeterminate(lab: &mut dyn Lab) -> Verdict {
    let store = lab.store()?;
    let probe = Probe { store: &*store };
    for (first, removes) in (0..).step_by(100).zip([false, true, false, true]) {
        let batch = Batch::insert(probe, first, ROWS, removes).await?;
        if !lab.lose_next_answer().await {
            return Err(NotKept::NotChecked(
                "the factory cannot lose an answer (`lose_next_answer`)",
            ));
        }
        let results = in_time(Box::pin(batch.write(probe)), batch.name()).await?;
        let when = format!("after an answer to {} was lost", batch.name());
        let unknown = batch.is_true(probe, results, &when).await?;
        ensure!(unknown > 0, "{when}, no row failed with `Indeterminate`");
        usable(probe, 5_000 + first).await?;
    }
    Ok(())
}

pub(in crate::conformance) async fn refused_rows_are_unavailable(lab: &mut dyn Lab) -> Verdict {
    let store = lab.store()?;
    let probe = Probe { store: &*store };
    for (first, removes) in (0..).step_by(100).zip([false, true, false, true]) {
        let batch = Batch::insert(probe, first, ROWS, removes).await?;
        let ids = batch.ids();
        if !lab.refuse_next_call().await {
            return Err(NotKept::NotChecked(
                "the factory cannot refuse a call (`refuse_next_call`)",
            ));
        }
        found_or_failed(probe, &batch.before, "in a call that was refused").await?;
        lab.refuse_next_call().await;
        versions_or_errors(probe, &ids, &batch.before, "in a call that was refused").await?;
        lab.refuse_next_call().await;
        let filter = everything().issued_to("before the call");
        let count = in_time(probe.store.count(&filter, now()), "count").await?;
        count_or_error(count, u64::from(ROWS), "in a call that was refused")?;
        lab.refuse_next_call().await;
        let results = in_time(Box::pin(batch.write(probe)), batch.name()).await?;
        let when = format!("after {} was refused before it was sent", batch.name());
        let unknown = batch.is_true(probe, results, &when).await?;
        ensure!(unknown == 0, "{when}, a row failed with `Indeterminate`");
        for id in ids {
            if let Some(stored) = probe.find(id).await? {
                probe.remove(id, stored.version).await?;
            }
        }
        usable(probe, 5_000 + first).await?;
    }
    Ok(())
}

/// Checks that `find_many` answers for each of these rows with the record or with `Unavailable`.
async fn found_or_failed(probe: Probe<'_>, rows: &[(Record, Version)], when: &str) -> Verdict {
    let ids: Vec<TokenId> = rows.iter().map(|(record, _)| record.id()).collect();
    let max_ids = probe.store.gathering().map_or(ids.len(), |gathering| gathering.max_ids.max(1));
    for (ids, rows) in ids.chunks(max_ids).zip(rows.chunks(max_ids)) {
        let results = in_time(probe.store.find_many(ids), "find_many").await?;
        for ((record, _), result) in rows.iter().zip(each("find_many", ids.len(), results)?) {
            match result {
                Ok(Some(found)) => {
                    let what = format!("{when}, find_many answered with a record");
                    same_record(record, &found.record, &what)?;
                }
                Ok(None) => {
                    return broken(format!("{when}, find_many answered that a record is missing"));
                }
                Err(StoreError::Unavailable { .. }) => {}
                Err(error) => {
                    return broken(format!(
                        "{when}, find_many should have failed with `Unavailable`: {}",
                        with_sources(&error)
                    ));
                }
            }
        }
    }
    Ok(())
}

/// Checks that `versions` answers for each of these rows with the version or with an error.
async fn versions_or_errors(
    probe: Probe<'_>,
    ids: &[TokenId],
    rows: &[(Record, Version)],
    when: &str,
) -> Verdict {
    let results = in_time(probe.store.versions(ids), "versions").await?;
    for ((_, version), result) in rows.iter().zip(each("versions", ids.len(), results)?) {
        match result {
            Ok(Some(seen)) => same(version, &seen, &format!("{when}, versions answered with"))?,
            Ok(None) => {
                return broken(format!("{when}, versions answered that a record is missing"));
            }
            Err(_) => {}
        }
    }
    Ok(())
}

fn count_or_error(count: Result<u64, StoreError>, expected: u64, when: &str) -> Verdict {
    match count {
        Ok(count) => same(&expected, &count, &format!("{when}, count answered")),
        Err(StoreError::Unavailable { .. }) => Ok(()),
        Err(error) => broken(format!("{when}, count failed with: {}", with_sources(&error))),
    }
}

pub(in crate::conformance) async fn failures_are_errors(lab: &mut dyn Lab) -> Verdict {
    let store = lab.store()?;
    let probe = Probe { store: &*store };
    let read = Batch::insert(probe, 0, ROWS, false).await?;
    let writes = [
        Batch::insert(probe, 100, ROWS, false).await?,
        Batch::insert(probe, 200, ROWS, true).await?,
    ];
    if !lab.make_unavailable().await {
        return Err(NotKept::NotChecked(UNABLE));
    }
    let when = "on an unavailable store";
    found_or_failed(probe, &read.before, when).await?;
    versions_or_errors(probe, &read.ids(), &read.before, when).await?;
    let everything = everything();
    let count = in_time(probe.store.count(&everything, now()), "count").await?;
    count_or_error(count, 3 * u64::from(ROWS), when)?;
    let mut results = Vec::new();
    for batch in &writes {
        results.push(in_time(Box::pin(batch.write(probe)), batch.name()).await?);
    }
    if !lab.make_available().await {
        return Ok(());
    }
    in_time(answers(probe), "after an outage, find").await??;
    for (batch, results) in writes.iter().zip(results) {
        batch.is_true(probe, results, "after the store was unavailable").await?;
    }
    found_or_failed(probe, &read.before, "after the store was unavailable").await
}

pub(in crate::conformance) async fn closing_hides_no_row(probe: Probe<'_>) -> Verdict {
    let read = Batch::insert(probe, 0, ROWS, false).await?;
    let writes = [
        Batch::insert(probe, 100, ROWS, false).await?,
        Batch::insert(probe, 200, ROWS, true).await?,
    ];
    answered("close", probe.store.close().await)?;
    let when = "after close";
    for _ in 0..2 {
        found_or_failed(probe, &read.before, when).await?;
        versions_or_errors(probe, &read.ids(), &read.before, when).await?;
        let count = probe.store.count(&everything(), now()).await;
        count_or_error(count, 3 * u64::from(ROWS), when)?;
        answered("closing again", probe.store.close().await)?;
    }
    for batch in writes {
        let name = batch.name();
        let results = each(name, batch.before.len(), batch.write(probe).await)?;
        for (place, result) in results.into_iter().enumerate() {
            match result {
                Err(error @ (StoreError::Conflict | StoreError::Exists)) => {
                    return broken(format!("{when}, a row of {name} returned: {error}"));
                }
                Err(_) => {}
                Ok(_) => {
                    let found = probe.store.find(nth(batch.first + place as u32)).await;
                    let written = match &found {
                        Ok(found) => batch.is_written(place, found.as_ref(), when)?,
                        Err(_) => false,
                    };
                    ensure!(written, "{when}, a row of {name} was acknowledged and not written");
                }
            }
        }
    }
    Ok(())
}
