//! Checks of pages and batches of the maximum size, and of records of the maximum size.

use std::collections::{BTreeMap, BTreeSet};

use super::probe::{Probe, everything, same, same_ids, tracked};
use super::samples::{NOW, Sample, at, large_records, now, nth, revoked};
use super::verdict::{NotKept, Verdict, ensure};
use crate::store::{Filter, LastUsed, ListRequest, MAX_PAGE_LEN, Order, States};
use crate::token::TokenId;

/// More records than a page can have.
const MANY: u32 = 1_060;

const ORDERS: [Order; 2] = [Order::OldestFirst, Order::NewestFirst];

/// Records of which few are special: at the beginning, around the middle and at the end.
fn is_rare(n: u32) -> bool {
    matches!(n, 3 | 530 | 1_030 | 1_058)
}

async fn insert_many(probe: Probe<'_>) -> Result<Vec<TokenId>, NotKept> {
    let mut ids = Vec::new();
    for n in 0..MANY {
        let owner = if n % 100 == 7 { "globex" } else { "acme" };
        let token_type = if is_rare(n) { "developer" } else { "connector" };
        let record = Sample { owner: owner.into(), token_type, ..Sample::nth(n) }.record()?;
        let record = if is_rare(n + 1) { revoked(&record, None, None) } else { record };
        probe.insert(&record).await?;
        ids.push(record.id());
    }
    Ok(ids)
}

pub(super) async fn large_pages_are_complete(probe: Probe<'_>) -> Verdict {
    let ids = insert_many(probe).await?;
    let (globex, acme): (Vec<_>, Vec<_>) =
        (0..).zip(ids.iter().copied()).partition(|(n, _)| n % 100 == 7);
    let only = |ids: &[(u32, TokenId)]| ids.iter().map(|(_, id)| *id).collect::<BTreeSet<_>>();
    let rare = |offset| {
        let of = ids.iter().copied().zip(offset..);
        of.filter(|(_, n)| is_rare(*n)).map(|(id, _)| id).collect::<BTreeSet<_>>()
    };
    let filters: [(&str, Filter, BTreeSet<TokenId>); 5] = [
        ("of every record", everything(), ids.iter().copied().collect()),
        ("of an owner with many records", everything().owner("acme"), only(&acme)),
        ("of an owner with few records", everything().owner("globex"), only(&globex)),
        ("by a type that few records have", everything().token_type("developer"), rare(0)),
        ("of the few ended tokens", everything().states(States::ENDED), rare(1)),
    ];
    for order in ORDERS {
        for (what, filter, expected) in &filters {
            for limit in [MAX_PAGE_LEN, 999, 501, 130, 60] {
                let request = ListRequest::from(filter.clone()).order(order).limit(limit);
                let seen = probe.scan(&request, now()).await?;
                let what = format!("among {MANY} records, a scan {what}, {limit} to a page,");
                same_ids(expected, seen.iter().map(|stored| stored.record.id()), &what)?;
            }
        }
    }
    // A page of large records exceeds the answers that some systems give.
    let mut large = BTreeMap::new();
    for (_, record) in large_records("large", 24)? {
        probe.insert(&record).await?;
        large.insert(record.id(), record);
    }
    let expected = large.keys().copied().collect();
    for order in ORDERS {
        let request =
            ListRequest::from(everything().owner("large")).order(order).limit(MAX_PAGE_LEN);
        let seen = probe.scan(&request, now()).await?;
        let what = "a scan of 24 large records";
        same_ids(&expected, seen.iter().map(|stored| stored.record.id()), what)?;
        for stored in seen {
            let whole = large.get(&stored.record.id()) == Some(&stored.record);
            ensure!(whole, "a scan of large records showed one that differs");
        }
    }
    Ok(())
}

pub(super) async fn touch_batch_is_complete(probe: Probe<'_>) -> Verdict {
    let ids = insert_many(probe).await?;
    tracked(probe)?;
    let used = |place: usize| NOW + 1 + (place * 7 % 1_000) as i64;
    // The maximum of a batch is a thousand uses. Some are of missing records. The last ids are those of
    // the beginning, with an earlier time, so that a store that divides the batch sets the later time first.
    let mut batch: Vec<_> =
        ids.iter().enumerate().take(980).map(|(place, id)| (*id, at(used(place)))).collect();
    batch.reverse();
    let only_last = batch.remove(0);
    for n in 0..10 {
        batch.insert(100 * n as usize, (nth(50_000 + n), now()));
    }
    let repeated: Vec<_> =
        batch.iter().filter(|(id, _)| ids.contains(id)).take(10).copied().collect();
    batch.extend(repeated.iter().map(|(id, _)| (*id, at(NOW))));
    batch.push(only_last);
    same(&1_000, &batch.len(), "the batch of the suite has a length of")?;
    probe.touch(&batch).await?;
    let request = ListRequest::from(everything()).order(Order::OldestFirst).limit(MAX_PAGE_LEN);
    for round in 0..2 {
        let listed = probe.scan(&request, now()).await?;
        same(&ids.len(), &listed.len(), "after a touch of many ids, the number of records is")?;
        for (place, stored) in listed.iter().enumerate() {
            let expected = match place {
                0..980 => LastUsed::At(at(used(place))),
                _ if round == 1 => LastUsed::At(at(NOW + 5)),
                _ => LastUsed::Never,
            };
            let what =
                format!("after a touch of 1,000 ids, record {place} in order has the last use");
            same(&expected, &stored.last_used, &what)?;
        }
        // The records that the first batch did not have.
        let rest: Vec<_> = ids[980..].iter().map(|id| (*id, at(NOW + 5))).collect();
        probe.touch(&rest).await?;
    }
    Ok(())
}
