//! Checks of lists, their order, their pages and scans over all pages.

use std::collections::BTreeSet;

use super::probe::{
    PAGES, Probe, count_and_first, every_record, everything, same_ids, same_stored,
};
use super::samples::{Sample, id, labelled, now, nth, varied_records};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{Filter, ListRequest, Order, Page, States};
use crate::token::TokenId;

pub(super) const ORDERS: [Order; 2] = [Order::OldestFirst, Order::NewestFirst];

fn in_words(direction: Order) -> &'static str {
    match direction {
        Order::OldestFirst => "oldest first",
        Order::NewestFirst => "newest first",
    }
}

/// Selects every record in this order, with `limit` records on a page.
fn paged(direction: Order, limit: usize) -> ListRequest {
    ListRequest::from(everything()).order(direction).limit(limit)
}

/// Inserts two dozen records in mixed order. Their ids sort differently as signed numbers, as
/// halves or as texts, and their creation times sort differently too.
async fn many_records(probe: Probe<'_>) -> Result<BTreeSet<TokenId>, NotKept> {
    let high = 1 << 127;
    let half = 0x0198_8000_0000_7000 << 64;
    let odd = [
        0,
        1,
        high - 1,
        high,
        high + 1,
        u128::MAX - 1,
        u128::MAX,
        half,
        half | 1,
        half | (1 << 63),
        half | u128::from(u64::MAX),
        half - 1,
    ];
    let ids: Vec<TokenId> = odd.map(id).into_iter().chain((0..12).map(|n| nth(n * n))).collect();
    for n in 0..ids.len() {
        let mixed = n * 7 % ids.len();
        let sample = Sample::of(ids[mixed]).issued_to(format!("number {mixed}"));
        let created_at = sample.created_at + n as i64;
        probe.insert(&Sample { created_at, ..sample }.record()?).await?;
    }
    Ok(ids.into_iter().collect())
}

fn ids(page: &Page) -> Vec<TokenId> {
    page.items.iter().map(|stored| stored.record.id()).collect()
}

async fn scanned(probe: Probe<'_>, request: &ListRequest) -> Result<Vec<TokenId>, NotKept> {
    Ok(probe.scan(request, now()).await?.iter().map(|stored| stored.record.id()).collect())
}

pub(super) async fn list_agrees_with_find(probe: Probe<'_>) -> Verdict {
    for (n, (_, record)) in (0..).zip(varied_records()?) {
        let version = probe.insert(&record).await?;
        if n % 3 == 0 {
            probe.replace(&record, version).await?;
        }
        if n % 2 == 0 {
            probe.touch(&[(record.id(), now())]).await?;
        }
    }
    for direction in ORDERS {
        for stored in probe.scan(&paged(direction, 5), now()).await? {
            let found = probe.stored(stored.record.id(), "for a record that list shows").await?;
            same_stored(&found, &stored, "for a record that find has, list showed")?;
        }
    }
    Ok(())
}

pub(super) async fn list_is_in_order(probe: Probe<'_>) -> Verdict {
    many_records(probe).await?;
    for direction in ORDERS {
        for limit in [1, 5, 50] {
            let mut query = paged(direction, limit);
            for _ in 0..PAGES {
                let page = probe.page(&query, now()).await?;
                in_order(&ids(&page), &query)?;
                let Some(next) = page.next else { break };
                query = query.after(next);
            }
        }
    }
    Ok(())
}

fn in_order(ids: &[TokenId], request: &ListRequest) -> Verdict {
    let direction = in_words(request.order);
    for pair in ids.windows(2) {
        let sorted = match request.order {
            Order::OldestFirst => pair[0] < pair[1],
            Order::NewestFirst => pair[0] > pair[1],
        };
        let [first, second] = [pair[0], pair[1]];
        ensure!(sorted, "a page {direction} showed {second} directly behind {first}");
    }
    match ids.iter().find(|id| !request.is_past_cursor(**id)) {
        None => Ok(()),
        Some(id) => {
            broken(format!("a page {direction} showed {id}, which is not after the cursor"))
        }
    }
}

pub(super) async fn orders_agree(probe: Probe<'_>) -> Verdict {
    many_records(probe).await?;
    for limit in [1, 4, 50] {
        let oldest_first = scanned(probe, &paged(Order::OldestFirst, limit)).await?;
        let mut newest_first = scanned(probe, &paged(Order::NewestFirst, limit)).await?;
        newest_first.reverse();
        if let Some(at) = oldest_first.iter().zip(&newest_first).position(|(o, n)| o != n) {
            return broken(format!(
                "with {limit} to a page, place {at} counted from the oldest is {} oldest first and \
                 {} newest first",
                oldest_first[at], newest_first[at]
            ));
        }
        let (oldest, newest) = (oldest_first.len(), newest_first.len());
        ensure!(
            oldest == newest,
            "with {limit} to a page, a scan oldest first has {oldest} records and one newest first \
             {newest}"
        );
    }
    Ok(())
}

pub(super) async fn page_limit_is_respected(probe: Probe<'_>) -> Verdict {
    many_records(probe).await?;
    for direction in ORDERS {
        for limit in [1, 2, 5, 23, 24, 25] {
            let query = paged(direction, limit);
            let seen = probe.page(&query, now()).await?.items.len();
            ensure!(seen <= limit, "a page of at most {limit} records has {seen}");
        }
    }
    Ok(())
}

pub(super) async fn scan_is_complete(probe: Probe<'_>) -> Verdict {
    for direction in ORDERS {
        let none = scanned(probe, &paged(direction, 3)).await?;
        ensure!(none.is_empty(), "a scan over an empty store showed {}", count_and_first(&none));
    }
    let all_ids = many_records(probe).await?;
    for direction in ORDERS {
        for limit in [1, 2, 3, 7, 12, 23, 24, 25, 1_000] {
            let seen = scanned(probe, &paged(direction, limit)).await?;
            let what = format!("a scan {}, {limit} to a page,", in_words(direction));
            same_ids(&all_ids, seen, &what)?;
        }
    }
    for direction in ORDERS {
        scan_during_writes(probe, direction).await?;
    }
    Ok(())
}

/// Scans all pages while records before and behind the cursor are inserted, replaced and removed
/// between two pages.
async fn scan_during_writes(probe: Probe<'_>, direction: Order) -> Verdict {
    let mut staying: BTreeSet<TokenId> =
        scanned(probe, &every_record()).await?.into_iter().collect();
    let mut scanned = Vec::new();
    let mut query = paged(direction, 3);
    let step = if direction == Order::OldestFirst { 1_000 } else { 2_000 };
    for n in 0.. {
        ensure!((n as usize) < PAGES, "a scan among writes did not end");
        let page = probe.page(&query, now()).await?;
        let met = ids(&page);
        scanned.extend(&met);
        let Some(next) = page.next else { break };
        query = query.after(next);
        if n < 6 {
            // Three ids: one between existing ones, one that the scan has passed, and one that it
            // has not reached.
            let inserted = Sample::of(id(u128::from_be_bytes(next.to_bytes()) ^ 2)).record()?;
            if probe.find(inserted.id()).await?.is_none() {
                probe.insert(&inserted).await?;
            }
            probe.insert(&labelled(step + n, "inserted during a scan")?).await?;
            let mut ahead = staying.iter().copied().filter(|id| query.is_past_cursor(*id));
            let (lowest, highest) = (ahead.next(), ahead.next_back());
            let (nearest, farthest) = match direction {
                Order::OldestFirst => (lowest, highest),
                Order::NewestFirst => (highest, lowest),
            };
            let removed = if n % 2 == 0 { met.first().copied() } else { nearest };
            if let Some(id) = removed {
                let stored = probe.stored(id, "during a scan").await?;
                probe.remove(id, stored.version).await?;
                staying.remove(&id);
            }
            if let Some(id) = farthest.filter(|id| staying.contains(id)) {
                let stored = probe.stored(id, "during a scan").await?;
                probe.replace(&stored.record, stored.version).await?;
            }
        }
    }
    let all: BTreeSet<TokenId> = scanned.iter().copied().collect();
    let what = format!("a scan {} during writes", in_words(direction));
    ensure!(
        all.len() == scanned.len(),
        "{what} showed {} records twice",
        scanned.len() - all.len()
    );
    let missed: Vec<TokenId> = staying.difference(&all).copied().collect();
    ensure!(
        missed.is_empty(),
        "{what} missed {} that were there all the time",
        count_and_first(&missed)
    );
    Ok(())
}

pub(super) async fn cursor_is_a_position(probe: Probe<'_>) -> Verdict {
    let all_ids = many_records(probe).await?;
    let places: BTreeSet<u128> = all_ids
        .iter()
        .map(|id| u128::from_be_bytes(id.to_bytes()))
        .flat_map(|id| [id.saturating_sub(1), id, id.saturating_add(1), id ^ (1 << 127)])
        .collect();
    for direction in ORDERS {
        for place in &places {
            let query = paged(direction, 7).after(id(*place));
            let behind = all_ids.iter().copied().filter(|id| query.is_past_cursor(*id)).collect();
            let kind =
                if all_ids.contains(&id(*place)) { "the id of a record" } else { "no record's id" };
            let what = format!("a scan {} behind a cursor that is {kind}", in_words(direction));
            same_ids(&behind, scanned(probe, &query).await?, &what)?;
        }
    }
    for direction in ORDERS {
        // Each cursor, and the record that it may refer to, is removed before it is used.
        let mut staying: BTreeSet<TokenId> =
            scanned(probe, &every_record()).await?.into_iter().collect();
        let mut query = paged(direction, 4);
        for _ in 0..3 {
            let page = probe.page(&query, now()).await?;
            let Some(next) = page.next else { break };
            for id in page.items.iter().map(|stored| stored.record.id()).chain([next]) {
                if let Some(stored) = probe.find(id).await? {
                    probe.remove(id, stored.version).await?;
                    staying.remove(&id);
                }
            }
            query = query.after(next);
            staying.retain(|id| query.is_past_cursor(*id));
            let what = format!("a scan {} after a record that was removed", in_words(direction));
            same_ids(&staying, scanned(probe, &query).await?, &what)?;
        }
    }
    Ok(())
}

pub(super) async fn sparse_scan_is_complete(probe: Probe<'_>) -> Verdict {
    let mut wanted = BTreeSet::new();
    let mut revoked = BTreeSet::new();
    let record = |n: u32, label: &str| -> Result<Record, NotKept> {
        let sample = Sample { token_type: "developer", ..Sample::nth(n) };
        if n % 29 == 17 { sample.issued_to(label).record() } else { Sample::nth(n).record() }
    };
    for n in 0..90 {
        let mut record = record(n, "rare")?;
        if n % 29 == 17 {
            wanted.insert(record.id());
        }
        if n % 41 == 3 {
            record = super::samples::revoked(&record, None, None);
            revoked.insert(record.id());
        }
        probe.insert(&record).await?;
    }
    let all =
        |filter: Filter, direction, limit| ListRequest::from(filter).order(direction).limit(limit);
    for direction in ORDERS {
        for limit in [1, 2, 5, 10] {
            let what = |filter: &str| {
                format!("a scan {}, {limit} to a page, {filter},", in_words(direction))
            };
            let seen = scanned(probe, &all(everything().token_type("developer"), direction, limit))
                .await?;
            same_ids(&wanted, seen, &what("by a type that few records have"))?;
            let seen =
                scanned(probe, &all(everything().issued_to_contains("rare"), direction, limit))
                    .await?;
            same_ids(&wanted, seen, &what("by a label that few records have"))?;
            let seen =
                scanned(probe, &all(everything().states(States::ENDED), direction, limit)).await?;
            same_ids(&revoked, seen, &what("of ended tokens among live ones"))?;
        }
    }
    Ok(())
}
