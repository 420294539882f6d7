//! Checks of inserts, replacements and removals.

use super::probe::{
    Probe, Refusal, answered, every_record, refused, same, same_record, same_stored, tracked,
    untouched,
};
use super::samples::{DAY, NOW, Sample, at, labelled, newer, now, nth, revoked};
use super::verdict::Verdict;
use crate::store::{LastUsed, Version};

pub(super) async fn insert_never_overwrites(probe: Probe<'_>) -> Verdict {
    let first = labelled(0, "the first")?;
    let version = probe.insert(&first).await?;
    probe.touch(&[(first.id(), now())]).await?;
    let current = probe.stored(first.id(), "after an insert").await?;
    let others = [
        ("a second insert with another record under the id", labelled(0, "the second")?),
        ("a second insert of an equal record", first.clone()),
        (
            "a second insert with another owner's record under the id",
            Sample { owner: "globex".into(), ..Sample::nth(0) }.record()?,
        ),
        ("a second insert with a revoked record under the id", revoked(&first, None, None)),
    ];
    for (what, other) in others {
        refused(what, probe.store.insert(&other).await, Refusal::Exists)?;
        let after = probe.stored(first.id(), &format!("after {what}")).await?;
        same_stored(&current, &after, &format!("after {what}, find answered with"))?;
    }
    same(&version, &current.version, "after an insert find answered with")?;
    // The id also stays taken after the record was replaced.
    let version = probe.replace(&labelled(0, "the third")?, version).await?;
    let what = "an insert under the id of a replaced record";
    refused(what, probe.store.insert(&first).await, Refusal::Exists)?;
    probe.holds(&labelled(0, "the third")?, version, &format!("after {what}")).await
}

pub(super) async fn replace_requires_the_version(probe: Probe<'_>) -> Verdict {
    let records = [labelled(0, "zero")?, labelled(0, "one")?, labelled(0, "two")?];
    let mut versions = vec![probe.insert(&records[0]).await?];
    for round in 1..records.len() {
        versions.push(probe.replace(&records[round], versions[round - 1]).await?);
        let current = versions[round];
        let stale = versions[..round].iter().map(|version| ("an earlier version", *version));
        let strange =
            unrelated_versions(current).map(|version| ("a version that it never had", version));
        for (what, version) in stale.chain(strange).filter(|(_, version)| *version != current) {
            let what = format!("a replacement with {what} of the record");
            let slow = labelled(0, "the slow writer's")?;
            refused(&what, probe.store.replace(&slow, version).await, Refusal::Conflict)?;
            probe.holds(&records[round], current, &format!("after {what}")).await?;
        }
    }
    // The version of another record must not be accepted.
    let other = probe.insert(&labelled(1, "another")?).await?;
    let current = versions[records.len() - 1];
    if other != current {
        let what = "a replacement with the version of another record";
        let answer = probe.store.replace(&labelled(0, "the wrong one")?, other).await;
        refused(what, answer, Refusal::Conflict)?;
    }
    probe.holds(&records[records.len() - 1], current, "in the end").await
}

/// Returns versions that a store might treat as special.
fn unrelated_versions(current: Version) -> impl Iterator<Item = Version> {
    let Version(number) = current;
    [0, 1, u64::MAX, i64::MAX as u64, number.wrapping_add(1), number.wrapping_add(1 << 32)]
        .into_iter()
        .map(Version)
}

pub(super) async fn replace_creates_nothing(probe: Probe<'_>) -> Verdict {
    let missing = labelled(0, "missing")?;
    for version in [0, 1, 2, u64::MAX].map(Version) {
        let what = "a replacement under an id without a record";
        refused(what, probe.store.replace(&missing, version).await, Refusal::Conflict)?;
        probe.lacks(missing.id(), &format!("after {what}")).await?;
    }
    let version = probe.insert(&missing).await?;
    probe.remove(missing.id(), version).await?;
    let what = "a replacement of a removed record";
    refused(what, probe.store.replace(&missing, version).await, Refusal::Conflict)?;
    probe.lacks(missing.id(), &format!("after {what}")).await
}

pub(super) async fn replace_preserves_identity(probe: Probe<'_>) -> Verdict {
    let original = Sample::nth(0);
    let record = original.record()?;
    let version = probe.insert(&record).await?;
    let changed = [
        ("another owner", Sample { owner: "globex".into(), ..original.clone() }),
        ("an owner in another case", Sample { owner: "ACME".into(), ..original.clone() }),
        ("an owner with a space behind", Sample { owner: "acme ".into(), ..original.clone() }),
        (
            "another creation time",
            Sample { created_at: original.created_at - DAY, ..original.clone() },
        ),
        (
            "a creation time that is a microsecond later",
            Sample { created_at: original.created_at + 1, ..original.clone() },
        ),
    ];
    for (what, changed) in changed {
        let what = format!("a replacement with {what}");
        let answer = probe.store.replace(&changed.record()?, version).await;
        refused(&what, answer, Refusal::Conflict)?;
        probe.holds(&record, version, &format!("after {what}")).await?;
    }
    Ok(())
}

pub(super) async fn replace_preserves_last_use(probe: Probe<'_>) -> Verdict {
    let untouched = untouched(probe.store);
    let version = probe.insert(&labelled(0, "before")?).await?;
    let version = probe.replace(&labelled(0, "between")?, version).await?;
    let stored = probe.stored(nth(0), "after a replacement").await?;
    same(
        &untouched,
        &stored.last_used,
        "a replaced record that was never used shows the last use",
    )?;
    tracked(probe)?;
    probe.touch(&[(nth(0), at(NOW - 1))]).await?;
    probe.replace(&labelled(0, "after")?, version).await?;
    let stored = probe.stored(nth(0), "after a replacement").await?;
    same(&LastUsed::At(at(NOW - 1)), &stored.last_used, "a replaced record shows the last use")
}

pub(super) async fn remove_requires_the_version(probe: Probe<'_>) -> Verdict {
    for version in [0, 1, u64::MAX].map(Version) {
        let what = "a removal under an id without a record";
        refused(what, probe.store.remove(nth(7), version).await, Refusal::Conflict)?;
    }
    let first = probe.insert(&labelled(0, "first")?).await?;
    let bystander = labelled(1, "bystander")?;
    let unmoved = probe.insert(&bystander).await?;
    let record = labelled(0, "second")?;
    let current = probe.replace(&record, first).await?;
    for version in unrelated_versions(current).chain([first]).filter(|version| *version != current)
    {
        let what = "a removal with a version that is not the current one";
        refused(what, probe.store.remove(nth(0), version).await, Refusal::Conflict)?;
        probe.holds(&record, current, &format!("after {what}")).await?;
    }
    probe.remove(nth(0), current).await?;
    probe.lacks(nth(0), "after a removal").await?;
    probe.holds(&bystander, unmoved, "after the removal of another record").await
}

pub(super) async fn removed_record_is_gone(probe: Probe<'_>) -> Verdict {
    let record = labelled(0, "to be removed")?;
    let first = probe.insert(&record).await?;
    let version = probe.replace(&record, first).await?;
    probe.touch(&[(nth(0), now())]).await?;
    probe.remove(nth(0), version).await?;
    for (what, step) in [("a removal", 0), ("a touch", 1), ("a replacement", 2), ("a removal", 3)] {
        match step {
            1 => probe.touch(&[(nth(0), at(NOW + 1))]).await?,
            2 => {
                let answer = probe.store.replace(&record, version).await;
                refused("a replacement of a removed record", answer, Refusal::Conflict)?;
            }
            3 => {
                let answer = probe.store.remove(nth(0), version).await;
                refused("a second removal", answer, Refusal::Conflict)?;
            }
            _ => {}
        }
        probe.lacks(nth(0), &format!("after a removal and {what}")).await?;
    }
    let second = labelled(0, "the second of its id")?;
    let version =
        answered("an insert under a removed record's id", probe.store.insert(&second).await)?;
    probe.holds(&second, version, "after an insert under a removed record's id").await?;
    let stored = probe.stored(nth(0), "after an insert under a removed record's id").await?;
    let what = "a record inserted under a removed record's id shows the last use";
    same(&untouched(probe.store), &stored.last_used, what)
}

pub(super) async fn newer_record_is_protected(probe: Probe<'_>) -> Verdict {
    let readable = Sample::nth(0).record()?;
    let newer = newer(&readable)?;
    let version = probe.insert(&newer).await?;
    probe.holds(&newer, version, "after the insert of a record in a newer format").await?;
    for listed in probe.scan(&every_record(), now()).await? {
        same_record(&newer, &listed.record, "list showed a record in a newer format")?;
    }
    let relabelled = labelled(0, "written by an older program")?;
    let attempts = [
        ("this format", relabelled.clone()),
        ("this format, revoked", revoked(&relabelled, None, None)),
        ("the newer format", super::samples::newer(&relabelled)?),
    ];
    for (what, replacement) in attempts {
        let what = format!("the replacement of a record in a newer format by one in {what}");
        let answer = probe.store.replace(&replacement, version).await;
        refused(&what, answer, Refusal::NewerFormat)?;
        probe.holds(&newer, version, &format!("after {what}")).await?;
    }
    probe.touch(&[(nth(0), now())]).await?;
    probe.holds(&newer, version, "after a touch of a record in a newer format").await?;
    probe.remove(nth(0), version).await?;
    probe.lacks(nth(0), "after the removal of a record in a newer format").await
}
