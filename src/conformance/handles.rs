//! Checks with a second handle on the storage.

use std::collections::BTreeSet;

use super::lists::ORDERS;
use super::probe::{Probe, Refusal, everything, refused, same, same_ids, untouched};
use super::races::compete;
use super::samples::{DAY, NOW, Sample, at, labelled, now, nth, revoked};
use super::verdict::{Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{Filter, LastUsed, ListRequest, Order, RecordRef, States};
use crate::token::TokenId;

pub(super) async fn handles_agree(first: Probe<'_>, second: Probe<'_>) -> Verdict {
    for (n, [writer, reader]) in (100..).zip([[first, second], [second, first]]) {
        // Read before the insert, so that a stale cached answer is detected later.
        ensure!(reader.find(nth(n)).await?.is_none(), "a fresh store has a record");
        let record = labelled(n, "inserted through the other handle")?;
        let version = writer.insert(&record).await?;
        reader.found(&record, version, "after an insert through the other handle").await?;
        refused(
            "an insert under an id taken through the other handle",
            reader.store.insert(&record).await,
            Refusal::Exists,
        )?;
        let replaced = labelled(n, "replaced through the other handle")?;
        let current = writer.replace(&replaced, version).await?;
        let when = "after a replacement through the other handle";
        reader.found(&replaced, current, when).await?;
        let stale = reader.store.replace(&record, version).await;
        refused(
            "a replacement with a version stale by the other handle",
            stale,
            Refusal::Conflict,
        )?;
        lent_is(reader, nth(n), Some(&replaced), when)?;
        writer.remove(nth(n), current).await?;
        reader.lacks(nth(n), "after a removal through the other handle").await?;
        lent_is(reader, nth(n), None, "after a removal through the other handle")?;
    }
    for (n, [writer, reader]) in (200..).step_by(10).zip([[first, second], [second, first]]) {
        first_call_sees_writes(writer, reader, n).await?;
        lists_follow(writer, reader, n).await?;
        pages_follow(writer, reader, n).await?;
        touches_are_shared(writer, reader, n).await?;
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

/// Checks each call of the reader directly after a write of the other handle, because any earlier call
/// could refresh a cache.
async fn first_call_sees_writes(writer: Probe<'_>, reader: Probe<'_>, n: u32) -> Verdict {
    let [old, new] = [labelled(n, "the old one")?, labelled(n, "the new one")?];
    let id = nth(n);
    for call in 0..5 {
        // The reader has seen that there is no record, then the first version, then the second one.
        reader.lacks(id, "before an insert").await?;
        let version = writer.insert(&old).await?;
        let what = "directly after an insert through the other handle";
        match call {
            0 => refused(what, reader.store.insert(&new).await, Refusal::Exists)?,
            1 => lent_is(reader, id, Some(&old), what)?,
            2 => reader.agrees(id, what).await?,
            _ => {}
        }
        reader.found(&old, version, what).await?;
        let current = writer.replace(&new, version).await?;
        let what = "directly after a replacement through the other handle";
        match call {
            0 => refused(what, reader.store.replace(&old, version).await, Refusal::Conflict)?,
            1 => refused(what, reader.store.remove(id, version).await, Refusal::Conflict)?,
            2 => lent_is(reader, id, Some(&new), what)?,
            3 => reader.touch(&[(id, now())]).await?,
            _ => refused(what, reader.store.insert(&old).await, Refusal::Exists)?,
        }
        for handle in [writer, reader] {
            handle.found(&new, current, what).await?;
        }
        writer.remove(id, current).await?;
        let what = "directly after a removal through the other handle";
        match call {
            0 => refused(what, reader.store.replace(&old, current).await, Refusal::Conflict)?,
            1 => refused(what, reader.store.remove(id, current).await, Refusal::Conflict)?,
            2 => lent_is(reader, id, None, what)?,
            3 => reader.touch(&[(id, at(NOW + 1))]).await?,
            _ => {
                let version = reader.insert(&old).await?;
                writer.found(&old, version, "after an insert through the other handle").await?;
                reader.remove(id, version).await?;
            }
        }
        for handle in [writer, reader] {
            handle.lacks(id, what).await?;
        }
    }
    Ok(())
}

/// Checks lists with filters on one handle after writes of the other.
async fn lists_follow(writer: Probe<'_>, reader: Probe<'_>, n: u32) -> Verdict {
    let owner = format!("owner {n}");
    let sample = Sample { owner: owner.clone(), ..Sample::nth(n + 1) };
    let filters = [
        everything().owner(&owner),
        everything().owner(&owner).states(States::LIVE),
        everything().owner(&owner).states(States::ENDED),
        everything().owner(&owner).issued_to("renamed"),
        everything().owner(&owner).expires_before(at(NOW + DAY)),
    ];
    let mut version = None;
    let steps: [Option<Record>; 5] = [
        Some(sample.record()?),
        Some(sample.clone().issued_to("renamed").record()?),
        Some(Sample { expires_at: Some(NOW + 1), ..sample.clone() }.record()?),
        Some(revoked(&sample.record()?, None, None)),
        None,
    ];
    for record in steps {
        match (&record, version) {
            (Some(record), None) => version = Some(writer.insert(record).await?),
            (Some(record), Some(last)) => version = Some(writer.replace(record, last).await?),
            (None, Some(last)) => writer.remove(sample.id, last).await?,
            (None, None) => {}
        }
        for filter in &filters {
            let matching = record
                .iter()
                .filter(|record| filter.matches(record, untouched(reader.store), now()));
            let expected = matching.map(Record::id).collect();
            let seen = reader.scan(&ListRequest::from(filter.clone()), now()).await?;
            let what = "a list directly after a write through the other handle";
            same_ids(&expected, seen.iter().map(|stored| stored.record.id()), what)?;
        }
    }
    Ok(())
}

/// Writes through one handle between two pages. The next page must show the writes, through the handle that read
/// the first page and through one that has not read since.
async fn pages_follow(writer: Probe<'_>, reader: Probe<'_>, n: u32) -> Verdict {
    for (turn, order) in (0..).zip(ORDERS) {
        for (way, begins) in (0..).zip([reader, writer]) {
            let first = 30_000 + n * 100 + turn * 50 + way * 20;
            let owner = format!("pages {first}");
            let sample = |n| Sample { owner: owner.clone(), ..Sample::nth(first + n) };
            let mut live = BTreeSet::new();
            for n in 2..10 {
                writer.insert(&sample(n).record()?).await?;
                live.insert(nth(first + n));
            }
            let request = ListRequest::from(Filter::new().owner(&owner)).order(order).limit(3);
            let page = begins.page(&request, now()).await?;
            let Some(cursor) = page.next else {
                return broken("a page of at most 3 of 8 records has no next page");
            };
            // A revocation on the second page, which could have been read ahead, and an insert on the last one.
            let [ended, new] = if order == Order::OldestFirst { [6, 10] } else { [5, 1] };
            let record = sample(ended).record()?;
            let version = writer.stored(record.id(), "before a revocation").await?.version;
            writer.replace(&revoked(&record, None, None), version).await?;
            live.remove(&record.id());
            writer.insert(&sample(new).record()?).await?;
            live.insert(nth(first + new));
            let rest = request.after(cursor);
            let expected = live.into_iter().filter(|id| rest.is_past_cursor(*id)).collect();
            let seen = reader.scan(&rest, now()).await?;
            let what = "the pages after a write through the other handle";
            same_ids(&expected, seen.iter().map(|stored| stored.record.id()), what)?;
        }
    }
    Ok(())
}

async fn touches_are_shared(writer: Probe<'_>, reader: Probe<'_>, n: u32) -> Verdict {
    let record = labelled(n + 2, "touched through two handles")?;
    let mut version = writer.insert(&record).await?;
    for (turn, handle) in [writer, reader, reader, writer].into_iter().enumerate() {
        let used = NOW + turn as i64;
        reader.stored(record.id(), "before a touch").await?;
        handle.touch(&[(record.id(), at(used))]).await?;
        handle.touch(&[(record.id(), at(NOW - DAY))]).await?;
        let expected = match untouched(writer.store) {
            LastUsed::NotTracked => LastUsed::NotTracked,
            _ => LastUsed::At(at(used)),
        };
        for probe in [reader, writer] {
            let stored = probe.stored(record.id(), "after a touch through a handle").await?;
            let what = "after a touch through a handle, find answered with the last use";
            same(&expected, &stored.last_used, what)?;
            same(&version, &stored.version, "after a touch through a handle, find answered with")?;
        }
        version = [writer, reader][turn % 2].replace(&record, version).await?;
    }
    Ok(())
}
