//! What takes more than one handle on a store that works: a second, a reopened, an unavailable one.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use super::probe::{Probe, Refusal, every_record, refused, same_record, same_stored};
use super::races::compete;
use super::sample::{NOW, Sample, at, gallery, labelled, metadata, now, nth, revoked};
use super::turns::{join, poll_and_drop, within};
use super::verdict::{Unkept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{
    Change, ChangeStream, RecordRef, StoreError, StoredRecord, TokenStore, Version,
};
use crate::token::TokenId;

/// How long a change may take to be told. Far beyond what is useful; it only bounds the test.
const LONGEST: Duration = Duration::from_secs(5);

pub(super) async fn handles_agree(first: Probe<'_>, second: Probe<'_>) -> Verdict {
    for (n, [writer, reader]) in (100..).zip([[first, second], [second, first]]) {
        // Asked before, so that a kept answer would come to light.
        ensure!(reader.find(nth(n)).await?.is_none(), "a fresh store has a record");
        let record = labelled(n, "inserted through the other handle")?;
        let version = writer.insert(&record).await?;
        reader.holds(&record, version, "after an insert through the other handle").await?;
        refused(
            "an insert under an id taken through the other handle",
            reader.store.insert(&record).await,
            Refusal::Exists,
        )?;
        let replaced = labelled(n, "replaced through the other handle")?;
        let present = writer.replace(&replaced, version).await?;
        let when = "after a replacement through the other handle";
        reader.holds(&replaced, present, when).await?;
        let stale = reader.store.replace(&record, version).await;
        refused(
            "a replacement with a version stale by the other handle",
            stale,
            Refusal::Conflict,
        )?;
        lent_is(reader, nth(n), Some(&replaced), when)?;
        writer.remove(nth(n), present).await?;
        reader.lacks(nth(n), "after a removal through the other handle").await?;
        lent_is(reader, nth(n), None, "after a removal through the other handle")?;
    }
    compete([first, second]).await
}

fn lent_is(probe: Probe<'_>, id: TokenId, expected: Option<&Record>, when: &str) -> Verdict {
    let mut right = true;
    probe.store.find_now(id, &mut |found: Option<RecordRef<'_>>| {
        right = found.map(|found| found.record) == expected;
    });
    ensure!(right, "{when}, find_now still lent what was there before");
    Ok(())
}

/// What a store held before it was closed.
pub(super) struct Before {
    there: Vec<StoredRecord>,
    removed: TokenId,
    replaced: (Record, Version),
}

pub(super) async fn before_reopening(probe: Probe<'_>) -> Result<Before, Unkept> {
    for (n, (_, record)) in (0..).zip(gallery()?) {
        let version = probe.insert(&record).await?;
        if n % 3 == 1 {
            probe.replace(&revoked(&record, Some("ops"), Some("leaked")), version).await?;
        }
        if n % 2 == 1 {
            probe.touch(&[(record.id(), at(NOW + n))]).await?;
        }
    }
    let removed = labelled(0, "removed")?;
    let version = probe.insert(&removed).await?;
    probe.remove(removed.id(), version).await?;
    let first = labelled(1, "replaced")?;
    let stale = probe.insert(&first).await?;
    probe.replace(&labelled(1, "the replacement")?, stale).await?;
    let newer = super::sample::newer(&labelled(2, "newer")?)?;
    probe.insert(&newer).await?;
    let mut there = Vec::new();
    for stored in probe.walk(&every_record(), now()).await? {
        there.push(probe.present(stored.record.id(), "before closing").await?);
    }
    Ok(Before { there, removed: removed.id(), replaced: (first, stale) })
}

pub(super) async fn after_reopening(probe: Probe<'_>, before: &Before) -> Verdict {
    for stored in &before.there {
        let id = stored.record.id();
        let after = probe.present(id, "after the store was closed and opened again").await?;
        // Whether a version stays the same is the store's affair; what was replaced stays replaced.
        let after = StoredRecord { version: stored.version, ..after };
        same_stored(
            stored,
            &after,
            "after the store was closed and opened again, find answered with",
        )?;
    }
    let listed = probe.walk(&every_record(), now()).await?.len();
    let expected = before.there.len();
    ensure!(
        listed == expected,
        "list showed {listed} records after reopening and {expected} before"
    );
    probe.lacks(before.removed, "after a removal and reopening").await?;
    let (record, stale) = &before.replaced;
    let answer = probe.store.replace(record, *stale).await;
    refused(
        "after reopening, a replacement with a version from before another one",
        answer,
        Refusal::Conflict,
    )?;
    // It must go on being a store: the next reopening sees this change as well.
    let present = probe.present(record.id(), "after reopening").await?;
    let version = probe.replace(&present.record, present.version).await?;
    probe.holds(&present.record, version, "after reopening and a replacement").await
}

pub(super) async fn changes_are_told(probe: Probe<'_>) -> Verdict {
    let stream = probe.store.changes().await;
    let Some(mut stream) = super::probe::answered("opening the stream of changes", stream)? else {
        return Err(Unkept::NotChecked("the store has no stream of changes"));
    };
    let record = labelled(0, "inserted")?;
    // Dropping the future that waits loses nothing.
    poll_and_drop(stream.next(), 1).await;
    let version = told(probe, &mut *stream, "an insert", Some(&record), async {
        probe.insert(&record).await
    })
    .await?;
    let replaced = revoked(&record, None, None);
    poll_and_drop(stream.next(), 1).await;
    let version = told(probe, &mut *stream, "a replacement", Some(&replaced), async {
        probe.replace(&replaced, version).await
    })
    .await?;
    told(probe, &mut *stream, "a removal", None, async { probe.remove(nth(0), version).await })
        .await?;
    // What happens while nobody waits is told later, however much it is.
    let mut waiting = Vec::new();
    for n in 1..40 {
        probe.insert(&labelled(n, "inserted while nobody waits")?).await?;
        waiting.push(nth(n));
    }
    while !waiting.is_empty() {
        match next(&mut *stream, "inserts while nobody waited").await? {
            Change::Record(id) => waiting.retain(|waiting| *waiting != id),
            Change::Missed => waiting.clear(),
        }
    }
    Ok(())
}

async fn next(stream: &mut dyn ChangeStream, what: &str) -> Result<Change, Unkept> {
    match within(LONGEST, stream.next()).await {
        Some(Ok(change)) => Ok(change),
        Some(Err(error)) => broken(format!("the stream of changes broke: {error}")),
        None => broken(format!("the stream of changes did not tell {what} within {LONGEST:?}")),
    }
}

/// That a change to the first record is told, and can be read when it is.
async fn told<T: Send>(
    probe: Probe<'_>,
    stream: &mut dyn ChangeStream,
    what: &str,
    expected: Option<&Record>,
    change: impl Future<Output = Result<T, Unkept>> + Send,
) -> Result<T, Unkept> {
    let mut changed = None;
    let listening = async {
        // Of an earlier change the stream may tell again.
        for _ in 0..100 {
            let change = next(stream, what).await?;
            let found = probe.find(nth(0)).await?;
            if found.as_ref().map(|stored| &stored.record) == expected {
                return Ok(());
            }
            if change == Change::Missed {
                return broken(format!("the stream told {what} before it could be read"));
            }
        }
        broken(format!("the stream told {what} and it could not be read"))
    };
    join(vec![
        Box::pin(async {
            changed = Some(change.await?);
            Ok(())
        }),
        Box::pin(listening),
    ])
    .await
    .into_iter()
    .collect::<Verdict>()?;
    match changed {
        Some(changed) => Ok(changed),
        None => broken(format!("{what} gave no answer")),
    }
}

/// The record that the answers of an unavailable store are held against.
pub(super) struct Known {
    record: Record,
    version: Version,
}

/// A text that no error may repeat.
const MARK: &str = "x1f9-conformance-mark";

pub(super) async fn before_failing(probe: Probe<'_>) -> Result<Known, Unkept> {
    let record = marked(0)?;
    let version = probe.insert(&record).await?;
    probe.insert(&labelled(1, "another")?).await?;
    Ok(Known { record, version })
}

fn marked(n: u32) -> Result<Record, Unkept> {
    Sample {
        owner: format!("owner {MARK}"),
        issued_by: Some(format!("actor {MARK}")),
        metadata: metadata([(MARK, MARK)]),
        ..Sample::nth(n).issued_to(format!("label {MARK}"))
    }
    .record()
}

/// Every call once, on a store that cannot answer: the errors, and what was wrong with an answer.
pub(super) async fn while_failing(
    store: &dyn TokenStore,
    known: &Known,
) -> Result<(Vec<StoreError>, Verdict), Unkept> {
    let mut errors = Vec::new();
    let mut wrong = Ok(());
    let mut note = |what: &str, faults: Verdict, error: Option<StoreError>| {
        if let Some(error) = error {
            let mistaken = matches!(error, StoreError::Exists | StoreError::Conflict);
            if mistaken && wrong.is_ok() {
                wrong = broken(format!("on an unavailable store {what} said: {error}"));
            }
            errors.push(error);
        } else if wrong.is_ok() {
            wrong = faults;
        }
    };
    let id = known.record.id();
    match store.find(id).await {
        Ok(None) => note("find", broken("an unavailable store said that there is no record"), None),
        Ok(Some(stored)) => {
            let what = "an unavailable store answered with a record";
            note("find", same_record(&known.record, &stored.record, what), None);
        }
        Err(error) => note("find", Ok(()), Some(error)),
    }
    match store.list(&every_record(), now()).await {
        Ok(page) if page.next.is_none() && page.items.len() < 2 => {
            note("list", broken("an unavailable store showed a list that lacks records"), None);
        }
        Ok(_) => note("list", Ok(()), None),
        Err(error) => note("list", Ok(()), Some(error)),
    }
    let mut lent = true;
    let answered = store.find_now(id, &mut |found: Option<RecordRef<'_>>| {
        lent = found.is_some_and(|found| *found.record == known.record);
    });
    if answered && !lent {
        note("find_now", broken("an unavailable store lent no record, or a wrong one"), None);
    }
    let new = marked(2)?;
    let inserted = store.insert(&new).await;
    let missing = "an unavailable store acknowledged a write and does not have it";
    match inserted {
        // As long as it is available enough to do what it says, that is no failure.
        Ok(_) => {
            let lost = matches!(store.find(new.id()).await, Ok(None));
            note("insert", if lost { broken(missing) } else { Ok(()) }, None);
        }
        Err(error) => note("insert", Ok(()), Some(error)),
    }
    note("replace", Ok(()), store.replace(&known.record, known.version).await.err());
    note("touch", Ok(()), store.touch(&[(id, now())]).await.err());
    let present = match store.find(id).await {
        Ok(Some(stored)) => stored.version,
        _ => known.version,
    };
    note("remove", Ok(()), store.remove(id, present).await.err());
    Ok((errors, wrong))
}

pub(super) fn failed_as_errors(errors: &[StoreError], wrong: Verdict) -> Verdict {
    wrong?;
    if errors.is_empty() {
        return Err(Unkept::NotChecked("the store was made unavailable, and yet no call failed"));
    }
    Ok(())
}

/// That neither an error nor its sources show what a record holds.
pub(super) fn leaked_nothing(errors: &[StoreError], known: &Known) -> Verdict {
    if errors.is_empty() {
        return Err(Unkept::NotChecked("the store was made unavailable, and yet no call failed"));
    }
    // More than an id's bytes: that may be named.
    let bytes = known.record.to_bytes();
    let listed: Vec<String> = bytes.windows(17).map(|part| format!("{part:?}")).collect();
    let listed = listed.iter().map(|part| part.trim_matches(['[', ']']));
    let hex: Vec<String> = bytes.windows(17).map(hex).collect();
    for error in errors {
        let mut text = format!("{error} {error:?}");
        let mut source = error.source();
        while let Some(error) = source {
            let _ = write!(text, " {error} {error:?}");
            source = error.source();
        }
        ensure!(!text.contains(MARK), "an error repeats a text of the record");
        let lower = text.to_ascii_lowercase();
        let repeats = listed.clone().any(|part| text.contains(part))
            || hex.iter().any(|part| lower.contains(part));
        ensure!(!repeats, "an error repeats the bytes of the record");
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
