//! Checks that reads return the written data.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::polling::{Boxed, join};
use super::probe::{Probe, answered, every_record, everything, quote, same_record, same_stored};
use super::samples::{
    LONGEST, NOW, Sample, TEXTS, at, id, labelled, large_records, long_texts, metadata, moved, now,
    nth, revoked, varied_records,
};
use super::verdict::{Verdict, broken, ensure};
use crate::concurrency::yield_once::yield_once;
use crate::record::Record;
use crate::store::{ListRequest, RecordRef, StoredRecord, Version};
use crate::token::TokenId;

pub(super) async fn read_your_writes(probe: Probe<'_>) -> Verdict {
    for n in 0..8 {
        let mut record = labelled(n, "inserted")?;
        let mut version = probe.insert(&record).await?;
        seen(probe, &record, version, "after an insert").await?;
        for change in 0..4 {
            record = labelled(n, &format!("replaced {change} times"))?;
            version = probe.replace(&record, version).await?;
            seen(probe, &record, version, "after a replacement").await?;
        }
        if n % 2 == 0 {
            probe.remove(nth(n), version).await?;
            probe.lacks(nth(n), "after a removal").await?;
        }
    }
    // The same with concurrent writers, each of which must see its own writes.
    let writers = (10..16).map(|n| -> Boxed<'_, Verdict> {
        Box::pin(async move {
            let mut version = probe.insert(&labelled(n, "inserted")?).await?;
            for change in 0..4 {
                let record = labelled(n, &format!("replaced {change} times"))?;
                version = probe.replace(&record, version).await?;
                probe.holds(&record, version, "after a replacement among others").await?;
            }
            probe.remove(nth(n), version).await?;
            probe.lacks(nth(n), "after a removal among others").await
        })
    });
    join(writers.collect()).await.into_iter().collect::<Verdict>()?;
    reads_are_whole(probe).await
}

/// Reads a record while it is replaced. No read misses it, goes back, or has the record of one write with
/// the version of another.
async fn reads_are_whole(probe: Probe<'_>) -> Verdict {
    let n = 100;
    let versions = Mutex::new(vec![probe.insert(&labelled(n, "0")?).await?]);
    let (written, seen) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let write = async {
        for count in 1..=40_usize {
            let last = lock(&versions).last().copied().unwrap_or(Version(0));
            let version = probe.replace(&labelled(n, &count.to_string())?, last).await;
            lock(&versions).push(version?);
        }
        Ok(())
    };
    let mut calls: Vec<Boxed<'_, Verdict>> = vec![Box::pin(async {
        let done = write.await;
        written.store(true, Ordering::SeqCst);
        done
    })];
    for _ in 0..3 {
        calls.push(Box::pin(async {
            let mut earlier = 0;
            for _ in 0..200 {
                let stored = probe.stored(nth(n), "during replacements").await?;
                let listed =
                    probe.scan(&ListRequest::from(everything().owner("acme")), now()).await?;
                let listed = listed.into_iter().find(|listed| listed.record.id() == nth(n));
                let Some(listed) = listed else {
                    return broken("during replacements, list did not show the replaced record");
                };
                for stored in [stored, listed] {
                    let count = stored.record.issued_to().parse().unwrap_or(usize::MAX);
                    ensure!(
                        count >= earlier,
                        "during replacements, a read returned count {count} after {earlier}"
                    );
                    earlier = count;
                    lock(&seen).push((count, stored.version));
                }
                if written.load(Ordering::SeqCst) {
                    break;
                }
                yield_once().await;
            }
            Ok(())
        }));
    }
    join(calls).await.into_iter().collect::<Verdict>()?;
    let versions = lock(&versions).clone();
    for (count, version) in lock(&seen).iter() {
        ensure!(
            versions.get(*count) == Some(version),
            "during replacements, a read returned the record of one write with the version of another"
        );
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn seen(probe: Probe<'_>, record: &Record, version: Version, when: &str) -> Verdict {
    probe.holds(record, version, when).await?;
    let listed = probe.scan(&every_record(), now()).await?;
    let Some(listed) = listed.iter().find(|stored| stored.record.id() == record.id()) else {
        return broken(format!("{when}, list did not show the record {}", record.id()));
    };
    same_record(record, &listed.record, &format!("{when}, list showed a record"))
}

pub(super) async fn record_is_preserved(probe: Probe<'_>) -> Verdict {
    let varied_records = varied_records()?;
    for (what, record) in &varied_records {
        let version = probe.insert(record).await?;
        probe.holds(record, version, &format!("after the insert of {what}")).await?;
    }
    for (what, record) in &varied_records {
        let stored = probe.stored(record.id(), "after other inserts").await?;
        let after = format!("after other inserts, find answered for {what} with a record");
        same_record(record, &stored.record, &after)?;
    }
    // Each record also takes the content of each other one, so that every field appears, changes and
    // disappears.
    let count = varied_records.len();
    for (n, (what, record)) in varied_records.iter().enumerate() {
        for step in 1..4 {
            let (other, content) = &varied_records[(n + step * 5) % count];
            let Some(content) = moved(content, record) else { continue };
            let stored = probe.stored(record.id(), "before a replacement").await?;
            let version = probe.replace(&content, stored.version).await?;
            let after = format!("after the content of {other} has replaced that of {what}");
            probe.holds(&content, version, &after).await?;
        }
    }
    for (what, record) in &large_records("large", 3)? {
        let version = probe.insert(record).await?;
        probe.found(record, version, &format!("after the insert of {what}")).await?;
    }
    for (what, record) in &large_records("large", 2)? {
        let stored = probe.stored(record.id(), "after other inserts").await?;
        let after = format!("after other inserts, find answered for {what} with a record");
        same_record(record, &stored.record, &after)?;
        let small = Sample { owner: "large".into(), ..Sample::of(record.id()) };
        let small =
            Sample { created_at: record.created_at().timestamp_micros(), ..small }.record()?;
        let version = probe.replace(&small, stored.version).await?;
        probe.holds(&small, version, &format!("after a small record has replaced {what}")).await?;
        let version = probe.replace(record, version).await?;
        probe.holds(record, version, &format!("after {what} has replaced a small one")).await?;
        probe.remove(record.id(), version).await?;
    }
    // Also through replacements that add fields and remove them again.
    for (what, record) in &varied_records {
        let stored = probe.stored(record.id(), "before a replacement").await?;
        let version = probe.replace(&revoked(record, Some("ops"), None), stored.version).await?;
        let version = probe.replace(record, version).await?;
        probe.holds(record, version, &format!("after replacements of {what}")).await?;
    }
    Ok(())
}

pub(super) async fn text_is_preserved(probe: Probe<'_>) -> Verdict {
    let long = long_texts();
    let texts = TEXTS.iter().copied().chain(long.iter().map(String::as_str));
    for (n, text) in (0..).zip(texts) {
        let sample = everywhere(n, text);
        let mut record = sample.record()?;
        let what =
            |step: &str| format!("after the {step} of a record with the text {}", quote(text));
        let version = probe.insert(&record).await?;
        probe.holds(&record, version, &what("insert")).await?;
        record = revoked(&record, Some(text), Some(text));
        let version = probe.replace(&record, version).await?;
        probe.holds(&record, version, &what("replacement")).await?;
    }
    Ok(())
}

/// Creates a sample with this text in every field that can hold it.
fn everywhere(n: u32, text: &str) -> Sample {
    // The longest texts occur once in the metadata, because its total length is limited.
    let metadata = if text.len() < LONGEST {
        metadata([(text, text), ("key", text)])
    } else {
        metadata([(text, "value")])
    };
    Sample {
        owner: text.into(),
        issued_to: text.into(),
        issued_by: Some(text.into()),
        metadata,
        ..Sample::nth(n)
    }
}

/// Returns ids that differ in one bit, in the case of one character, in the sign, or in one half
/// only.
fn similar_ids() -> Vec<TokenId> {
    let base: u128 = 0x0198_8000_0000_7abc_8def_0000_0000_0001;
    let mut ids: Vec<TokenId> = (0..128).map(|bit| id(base ^ (1 << bit))).collect();
    ids.extend([0, 1, u128::MAX, u128::MAX - 1, base, 1 << 127, (1 << 127) - 1].map(id));
    ids.extend([u128::from(u64::MAX), u128::from(u64::MAX) << 64, 1 << 63, 1 << 64].map(id));
    // In base62 these ids end in `A` and `a`, `B` and `b`, and so on.
    ids.extend((10..62).map(|last| id(62 * 0x1234_5678 + last)));
    ids.sort_unstable();
    ids.dedup();
    ids
}

pub(super) async fn ids_are_exact(probe: Probe<'_>) -> Verdict {
    let ids = similar_ids();
    let (there, missing): (Vec<_>, Vec<_>) = (0..).zip(ids).partition(|(n, _)| n % 2 == 0);
    for (n, id) in &there {
        probe.insert(&Sample::of(*id).issued_to(format!("number {n}")).record()?).await?;
    }
    for (n, id) in &there {
        let stored = probe.stored(*id, "among records with similar ids").await?;
        let seen = stored.record.id();
        ensure!(seen == *id, "find of the id {id} answered with the record of {seen}");
        let expected = Sample::of(*id).issued_to(format!("number {n}")).record()?;
        same_record(&expected, &stored.record, "among similar ids, find answered with a record")?;
    }
    for (_, id) in &missing {
        if let Some(stored) = probe.find(*id).await? {
            let seen = stored.record.id();
            return broken(format!(
                "find of the id {id}, which no record has, answered with the record of {seen}"
            ));
        }
    }
    for (n, id) in &missing {
        let record = Sample::of(*id).issued_to(format!("number {n}")).record()?;
        answered(
            "an insert among records with similar ids",
            probe.store.insert(&record).await.map(|_| ()),
        )?;
    }
    Ok(())
}

pub(super) async fn find_now_agrees(probe: Probe<'_>) -> Verdict {
    lent(probe, nth(0), "before the insert").await?;
    let record = Sample::nth(0).record()?;
    let mut version = probe.insert(&record).await?;
    lent(probe, nth(0), "after the insert").await?;
    lent(probe, nth(1), "for an id without a record").await?;
    for change in 0..3 {
        version = probe.replace(&labelled(0, &format!("change {change}"))?, version).await?;
        lent(probe, nth(0), "after a replacement").await?;
        probe.touch(&[(nth(0), at(NOW + change))]).await?;
        lent(probe, nth(0), "after a touch").await?;
    }
    version = probe.replace(&revoked(&record, None, Some("leaked")), version).await?;
    lent(probe, nth(0), "after the revocation").await?;
    probe.remove(nth(0), version).await?;
    lent(probe, nth(0), "after the removal").await?;
    for (what, record) in varied_records()? {
        probe.insert(&record).await?;
        lent(probe, record.id(), &format!("for {what}")).await?;
    }
    for id in similar_ids() {
        lent(probe, id, "for an id that is similar to others").await?;
    }
    Ok(())
}

/// Checks that `find_now` passes on the record that `find` returns.
async fn lent(probe: Probe<'_>, id: TokenId, when: &str) -> Verdict {
    let found = probe.find(id).await?;
    let mut calls = 0;
    let mut lent: Option<StoredRecord> = None;
    let answered = probe.store.find_now(id, &mut |found: Option<RecordRef<'_>>| {
        calls += 1;
        lent = found.map(|found| StoredRecord {
            record: found.record.clone(),
            version: found.version,
            last_used: found.last_used(),
        });
    });
    ensure!(
        calls == usize::from(answered),
        "{when}, find_now returned {answered} and called the visitor {calls} times"
    );
    if !answered {
        return Ok(());
    }
    match (found, lent) {
        (None, None) => Ok(()),
        (Some(found), Some(lent)) => same_stored(&found, &lent, &format!("{when}, find_now lent")),
        (Some(_), None) => broken(format!("{when}, find_now lent no record and find has one")),
        (None, Some(_)) => broken(format!("{when}, find_now lent a record and find has none")),
    }
}
