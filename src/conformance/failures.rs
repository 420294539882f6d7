//! Checks of a store that was made unavailable.

use std::error::Error;
use std::fmt::Write as _;

use super::probe::{Probe, every_record, same_record};
use super::samples::{Sample, labelled, metadata, now};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{RecordRef, StoreError, TokenStore, Version};

/// The record that the answers of an unavailable store are compared with.
pub(super) struct Known {
    record: Record,
    version: Version,
}

/// A text that must not appear in an error.
const MARK: &str = "x1f9-conformance-mark";

pub(super) async fn before_failing(probe: Probe<'_>) -> Result<Known, NotKept> {
    let record = marked(0)?;
    let version = probe.insert(&record).await?;
    probe.insert(&labelled(1, "another")?).await?;
    Ok(Known { record, version })
}

fn marked(n: u32) -> Result<Record, NotKept> {
    Sample {
        owner: format!("owner {MARK}"),
        issued_by: Some(format!("actor {MARK}")),
        metadata: metadata([(MARK, MARK)]),
        ..Sample::nth(n).issued_to(format!("label {MARK}"))
    }
    .record()
}

/// Makes every call once on a store that cannot answer. Returns the errors, and a verdict on the
/// answers that were not errors.
pub(super) async fn while_failing(
    store: &dyn TokenStore,
    known: &Known,
) -> Result<(Vec<StoreError>, Verdict), NotKept> {
    let mut errors = Vec::new();
    let mut wrong = Ok(());
    let mut note = |what: &str, faults: Verdict, error: Option<StoreError>| {
        if let Some(error) = error {
            let mistaken = matches!(error, StoreError::Exists | StoreError::Conflict);
            if mistaken && wrong.is_ok() {
                wrong = broken(format!("on an unavailable store {what} returned: {error}"));
            }
            errors.push(error);
        } else if wrong.is_ok() {
            wrong = faults;
        }
    };
    let id = known.record.id();
    match store.find(id).await {
        Ok(None) => {
            note("find", broken("an unavailable store answered that the record is missing"), None)
        }
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
    let missing = "an unavailable store acknowledged a write that it did not store";
    match inserted {
        // A store that is available enough to do the write does not break the promise.
        Ok(_) => {
            let lost = matches!(store.find(new.id()).await, Ok(None));
            note("insert", if lost { broken(missing) } else { Ok(()) }, None);
        }
        Err(error) => note("insert", Ok(()), Some(error)),
    }
    note("replace", Ok(()), store.replace(&known.record, known.version).await.err());
    note("touch", Ok(()), store.touch(&[(id, now())]).await.err());
    let current = match store.find(id).await {
        Ok(Some(stored)) => stored.version,
        _ => known.version,
    };
    note("remove", Ok(()), store.remove(id, current).await.err());
    Ok((errors, wrong))
}

pub(super) fn failed_as_errors(errors: &[StoreError], wrong: Verdict) -> Verdict {
    wrong?;
    if errors.is_empty() {
        return Err(NotKept::NotChecked("the store was made unavailable, but no call failed"));
    }
    Ok(())
}

/// Checks that neither the errors nor their sources contain data of the record.
pub(super) fn leaked_nothing(errors: &[StoreError], known: &Known) -> Verdict {
    if errors.is_empty() {
        return Err(NotKept::NotChecked("the store was made unavailable, but no call failed"));
    }
    // Longer than an id, because an error may contain the id.
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
