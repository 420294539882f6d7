//! Checks of a store that was made unavailable.

use std::time::{Duration, Instant};

use super::changes::ends;
use super::lab::Lab;
use super::probe::{Probe, every_record, same_record, untouched, with_sources};
use super::samples::{NOW, Sample, at, labelled, metadata, now, nth};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{LastUsed, RecordRef, StoreError, StoredRecord, TokenStore, Version};
use crate::token::TokenId;

/// A text that must not appear in an error.
pub(super) const MARK: &str = "x1f9-conformance-mark";

/// The records that an unavailable store is asked for. The first is never written again.
pub(super) struct Known {
    records: Vec<(Record, Version)>,
}

const RECORDS: u32 = 4;

/// The maximum duration of the calls on an unavailable store, each of which may run into a timeout.
const MAX_FAILING: Duration = Duration::from_secs(20);

pub(super) const UNABLE: &str =
    "the factory cannot make the store unavailable (`make_unavailable`)";

pub(super) fn marked(n: u32) -> Result<Record, NotKept> {
    Sample {
        owner: format!("owner {MARK}"),
        issued_by: Some(format!("actor {MARK}")),
        metadata: metadata([(MARK, MARK)]),
        ..Sample::nth(n).issued_to(format!("label {MARK}"))
    }
    .record()
}

fn changed(n: u32) -> Result<Record, NotKept> {
    Sample { owner: format!("owner {MARK}"), ..Sample::nth(n).issued_to(format!("new {MARK}")) }
        .record()
}

impl Known {
    pub(super) async fn insert(probe: Probe<'_>) -> Result<Self, NotKept> {
        let mut records = Vec::new();
        for n in 0..RECORDS {
            let record = marked(n)?;
            let version = probe.insert(&record).await?;
            records.push((record, version));
        }
        Ok(Self { records })
    }

    fn version(&self, n: u32) -> Version {
        self.records.get(n as usize).map_or(Version(0), |(_, version)| *version)
    }

    /// Checks that a find has the first record, which no call has changed.
    pub(super) async fn is_there(&self, probe: Probe<'_>) -> bool {
        let found = probe.store.find(nth(0)).await;
        matches!((found, self.records.first()), (Ok(Some(stored)), Some((record, _))) if stored.record == *record)
    }
}

/// What a store said about a write, and what is right to find afterwards.
pub(super) struct Attempt {
    what: &'static str,
    id: TokenId,
    before: Option<Record>,
    after: Option<Record>,
    /// The time of a touch.
    used: Option<i64>,
    answer: Result<(), StoreError>,
}

/// The calls on an unavailable store.
pub(super) struct Failing {
    pub(super) attempts: Vec<Attempt>,
    pub(super) errors: Vec<StoreError>,
}

/// Makes every call on a store that cannot answer. The writes are different in each round.
pub(super) async fn while_failing(
    store: &dyn TokenStore,
    known: &Known,
    round: u32,
) -> Result<Failing, NotKept> {
    let mut errors = Vec::new();
    match store.find(nth(0)).await {
        Ok(None) => return broken("an unavailable store answered that the record is missing"),
        Ok(Some(stored)) => {
            let what = "an unavailable store answered with a record";
            same_record(&marked(0)?, &stored.record, what)?;
        }
        Err(error) => errors.push(of_a_read("find", error)?),
    }
    match store.list(&every_record(), now()).await {
        Ok(page) => ensure!(
            page.next.is_some() || page.items.iter().any(|stored| stored.record.id() == nth(0)),
            "an unavailable store showed a list that lacks records"
        ),
        Err(error) => errors.push(of_a_read("list", error)?),
    }
    let expected = marked(0)?;
    let mut lent = true;
    let answered = store.find_now(nth(0), &mut |found: Option<RecordRef<'_>>| {
        lent = found.is_some_and(|found| *found.record == expected);
    });
    ensure!(!answered || lent, "an unavailable store lent no record, or a wrong one");
    let mut attempts = Vec::new();
    let mut attempt = |what, n, before, after, used, answer| {
        attempts.push(Attempt { what, id: nth(n), before, after, used, answer });
    };
    let new = marked(10 + round)?;
    let answer = store.insert(&new).await.map(drop);
    attempt("insert", 10 + round, None, Some(new), None, answer);
    if round == 0 {
        let after = changed(1)?;
        let answer = store.replace(&after, known.version(1)).await.map(drop);
        attempt("replace", 1, Some(marked(1)?), Some(after), None, answer);
        let answer = store.remove(nth(2), known.version(2)).await;
        attempt("remove", 2, Some(marked(2)?), None, None, answer);
    }
    let used = NOW + 100 + i64::from(round);
    let answer = store.touch(&[(nth(3), at(used))]).await;
    attempt("touch", 3, Some(marked(3)?), Some(marked(3)?), Some(used), answer);
    Ok(Failing { attempts, errors })
}

fn of_a_read(what: &str, error: StoreError) -> Result<StoreError, NotKept> {
    if matches!(error, StoreError::Unavailable { .. }) {
        return Ok(error);
    }
    let error = with_sources(&error);
    broken(format!("on an unavailable store {what} should have failed with `Unavailable`: {error}"))
}

impl Attempt {
    /// Checks that the error is one that a write on an unavailable store can have.
    fn has_right_kind(&self) -> Verdict {
        match &self.answer {
            Ok(())
            | Err(StoreError::Unavailable { .. })
            | Err(StoreError::Indeterminate { .. })
            | Err(StoreError::Full { .. })
            | Err(StoreError::ReadOnly) => Ok(()),
            Err(error) => broken(format!(
                "on an unavailable store {} returned: {}",
                self.what,
                with_sources(error)
            )),
        }
    }

    /// Compares the answer with the record that a later read returned.
    fn is_true(&self, found: Option<&StoredRecord>, tracked: bool, when: &str) -> Verdict {
        let what = self.what;
        let record = found.map(|stored| &stored.record);
        let (before, after) = (record == self.before.as_ref(), record == self.after.as_ref());
        match (&self.answer, self.used) {
            (Ok(()), Some(used)) if tracked => {
                let kept = found.is_some_and(
                    |stored| matches!(stored.last_used, LastUsed::At(time) if time >= at(used)),
                );
                ensure!(
                    kept,
                    "{when}, a {what} that the unavailable store acknowledged did not happen"
                );
            }
            (Ok(()), _) => {
                ensure!(
                    after,
                    "{when}, {what} was acknowledged by the unavailable store and did not happen"
                );
            }
            (Err(StoreError::Indeterminate { .. }), _) => {
                ensure!(before || after, "{when}, {what} with a lost answer happened in part");
            }
            (Err(error), _) => {
                ensure!(before, "{when}, {what} has happened although the store answered: {error}");
            }
        }
        Ok(())
    }
}

/// Checks what the store said about writes. Returns whether all could be read.
pub(super) async fn are_true(
    probe: Probe<'_>,
    attempts: &[Attempt],
    when: &str,
) -> Result<bool, NotKept> {
    let tracked = untouched(probe.store) == LastUsed::Never;
    let mut read = true;
    for attempt in attempts {
        match probe.store.find(attempt.id).await {
            Ok(found) => attempt.is_true(found.as_ref(), tracked, when)?,
            Err(_) => read = false,
        }
    }
    Ok(read)
}

/// Makes calls on an unavailable store, and checks the kinds of its errors.
pub(super) async fn attempts(
    probe: Probe<'_>,
    known: &Known,
    rounds: u32,
) -> Result<Failing, NotKept> {
    let mut all = Failing { attempts: Vec::new(), errors: Vec::new() };
    let started = Instant::now();
    for round in 0..rounds {
        if round > 0 && started.elapsed() > MAX_FAILING {
            break;
        }
        let Failing { attempts, errors } = while_failing(probe.store, known, round).await?;
        all.attempts.extend(attempts);
        all.errors.extend(errors);
    }
    all.attempts.iter().try_for_each(Attempt::has_right_kind)?;
    if all.errors.is_empty() && all.attempts.iter().all(|attempt| attempt.answer.is_ok()) {
        return Err(NotKept::NotChecked("the store was made unavailable, but no call failed"));
    }
    Ok(all)
}

pub(super) async fn failures_are_errors(lab: &mut dyn Lab) -> Verdict {
    let store = lab.store()?;
    let probe = Probe { store: &*store };
    let known = Known::insert(probe).await?;
    probe.insert(&labelled(9, "another")?).await?;
    let tracked = untouched(probe.store) == LastUsed::Never;
    let mut feed = store.changes().await.ok().flatten();
    if !lab.make_unavailable().await {
        return Err(NotKept::NotChecked(UNABLE));
    }
    let Failing { attempts, .. } = attempts(probe, &known, 3).await?;
    if let Some(feed) = &mut feed {
        ends(&mut **feed).await?;
    }
    let mut read = are_true(probe, &attempts, "on an unavailable store").await?;
    // The storage is read in every other way that there is. It counts only if it has the record that was
    // not written, because an opening may create an empty storage.
    if lab.make_available().await && known.is_there(probe).await {
        read |= are_true(probe, &attempts, "after the store was unavailable").await?;
    }
    if let Some(Ok(second)) = lab.second().await {
        let probe = Probe { store: &*second };
        if known.is_there(probe).await {
            read |= are_true(probe, &attempts, "through a second handle").await?;
        }
    }
    drop(feed);
    drop(store);
    if let Some(Ok(())) = lab.reopen().await {
        let reopened = lab.store()?;
        let probe = Probe { store: &*reopened };
        if known.is_there(probe).await {
            read |= are_true(probe, &attempts, "after reopening").await?;
        }
    }
    // A touch has no effect on a store that does not track last use.
    let acknowledged = attempts
        .iter()
        .find(|attempt| attempt.answer.is_ok() && (tracked || attempt.used.is_none()));
    match acknowledged {
        Some(attempt) if !read => broken(format!(
            "an unavailable store acknowledged a call of {}, and no read shows its effect",
            attempt.what
        )),
        _ => Ok(()),
    }
}

impl Failing {
    /// Returns all errors of the calls.
    pub(super) fn into_errors(self) -> Vec<StoreError> {
        let Self { attempts, mut errors } = self;
        errors.extend(attempts.into_iter().filter_map(|attempt| attempt.answer.err()));
        errors
    }
}
