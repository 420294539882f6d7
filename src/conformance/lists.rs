//! What pages and walks promise.

use std::collections::BTreeSet;

use super::probe::{PAGES, Probe, every_record, everything, same_ids, same_stored, some};
use super::sample::{Sample, gallery, id, labelled, now, nth};
use super::verdict::{Unkept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{Filter, ListRequest, Order, Page, States};
use crate::token::TokenId;

const DIRECTIONS: [Order; 2] = [Order::OldestFirst, Order::NewestFirst];

fn in_words(direction: Order) -> &'static str {
    match direction {
        Order::OldestFirst => "oldest first",
        Order::NewestFirst => "newest first",
    }
}

/// Every record, in this direction, so many to a page.
fn paged(direction: Order, limit: usize) -> ListRequest {
    ListRequest::from(everything()).order(direction).limit(limit)
}

/// Two dozen records, inserted in no order, whose ids sort differently as signed numbers, as halves
/// or as texts. Their creation times sort differently too.
async fn crowd(probe: Probe<'_>) -> Result<BTreeSet<TokenId>, Unkept> {
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

async fn walked(probe: Probe<'_>, request: &ListRequest) -> Result<Vec<TokenId>, Unkept> {
    Ok(probe.walk(request, now()).await?.iter().map(|stored| stored.record.id()).collect())
}

pub(super) async fn list_agrees_with_find(probe: Probe<'_>) -> Verdict {
    for (n, (_, record)) in (0..).zip(gallery()?) {
        let version = probe.insert(&record).await?;
        if n % 3 == 0 {
            probe.replace(&record, version).await?;
        }
        if n % 2 == 0 {
            probe.touch(&[(record.id(), now())]).await?;
        }
    }
    for direction in DIRECTIONS {
        for stored in probe.walk(&paged(direction, 5), now()).await? {
            let found = probe.present(stored.record.id(), "for a record that list shows").await?;
            same_stored(&found, &stored, "for a record that find has, list showed")?;
        }
    }
    Ok(())
}

pub(super) async fn list_is_in_order(probe: Probe<'_>) -> Verdict {
    crowd(probe).await?;
    for direction in DIRECTIONS {
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
            broken(format!("a page {direction} showed {id}, which is not behind its cursor"))
        }
    }
}

pub(super) async fn directions_agree(probe: Probe<'_>) -> Verdict {
    crowd(probe).await?;
    for limit in [1, 4, 50] {
        let oldest_first = walked(probe, &paged(Order::OldestFirst, limit)).await?;
        let mut newest_first = walked(probe, &paged(Order::NewestFirst, limit)).await?;
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
            "with {limit} to a page, a walk oldest first has {oldest} records and one newest first \
             {newest}"
        );
    }
    Ok(())
}

pub(super) async fn page_length_holds(probe: Probe<'_>) -> Verdict {
    crowd(probe).await?;
    for direction in DIRECTIONS {
        for most in [1, 2, 5, 23, 24, 25] {
            let query = paged(direction, most);
            let seen = probe.page(&query, now()).await?.items.len();
            ensure!(seen <= most, "a page of at most {most} records has {seen}");
        }
    }
    Ok(())
}

pub(super) async fn walk_is_complete(probe: Probe<'_>) -> Verdict {
    for direction in DIRECTIONS {
        let none = walked(probe, &paged(direction, 3)).await?;
        ensure!(none.is_empty(), "a walk over an empty store showed {}", some(&none));
    }
    let everyone = crowd(probe).await?;
    for direction in DIRECTIONS {
        for limit in [1, 2, 3, 7, 12, 23, 24, 25, 1_000] {
            let seen = walked(probe, &paged(direction, limit)).await?;
            let what = format!("a walk {}, {limit} to a page,", in_words(direction));
            same_ids(&everyone, seen, &what)?;
        }
    }
    for direction in DIRECTIONS {
        walk_among_writes(probe, direction).await?;
    }
    Ok(())
}

/// Between two pages others insert, replace and remove, before and behind the cursor.
async fn walk_among_writes(probe: Probe<'_>, direction: Order) -> Verdict {
    let mut staying: BTreeSet<TokenId> =
        walked(probe, &every_record()).await?.into_iter().collect();
    let mut walked = Vec::new();
    let mut query = paged(direction, 3);
    let step = if direction == Order::OldestFirst { 1_000 } else { 2_000 };
    for n in 0.. {
        ensure!((n as usize) < PAGES, "a walk among writes did not end");
        let page = probe.page(&query, now()).await?;
        let met = ids(&page);
        walked.extend(&met);
        let Some(next) = page.next else { break };
        query = query.after(next);
        if n < 6 {
            // An id between those that are there, one that the walk has met, one that lies ahead.
            let inserted = Sample::of(id(u128::from_be_bytes(next.to_bytes()) ^ 2)).record()?;
            if probe.find(inserted.id()).await?.is_none() {
                probe.insert(&inserted).await?;
            }
            probe.insert(&labelled(step + n, "inserted during a walk")?).await?;
            let mut ahead = staying.iter().copied().filter(|id| query.is_past_cursor(*id));
            let (lowest, highest) = (ahead.next(), ahead.next_back());
            let (nearest, farthest) = match direction {
                Order::OldestFirst => (lowest, highest),
                Order::NewestFirst => (highest, lowest),
            };
            let removed = if n % 2 == 0 { met.first().copied() } else { nearest };
            if let Some(id) = removed {
                let stored = probe.present(id, "during a walk").await?;
                probe.remove(id, stored.version).await?;
                staying.remove(&id);
            }
            if let Some(id) = farthest.filter(|id| staying.contains(id)) {
                let stored = probe.present(id, "during a walk").await?;
                probe.replace(&stored.record, stored.version).await?;
            }
        }
    }
    let all: BTreeSet<TokenId> = walked.iter().copied().collect();
    let what = format!("a walk {} during writes", in_words(direction));
    ensure!(all.len() == walked.len(), "{what} showed {} records twice", walked.len() - all.len());
    let missed: Vec<TokenId> = staying.difference(&all).copied().collect();
    ensure!(missed.is_empty(), "{what} missed {} that were there all the time", some(&missed));
    Ok(())
}

pub(super) async fn cursor_is_a_place(probe: Probe<'_>) -> Verdict {
    let everyone = crowd(probe).await?;
    let places: BTreeSet<u128> = everyone
        .iter()
        .map(|id| u128::from_be_bytes(id.to_bytes()))
        .flat_map(|id| [id.saturating_sub(1), id, id.saturating_add(1), id ^ (1 << 127)])
        .collect();
    for direction in DIRECTIONS {
        for place in &places {
            let query = paged(direction, 7).after(id(*place));
            let behind = everyone.iter().copied().filter(|id| query.is_past_cursor(*id)).collect();
            let kind = if everyone.contains(&id(*place)) {
                "the id of a record"
            } else {
                "no record's id"
            };
            let what = format!("a walk {} behind a cursor that is {kind}", in_words(direction));
            same_ids(&behind, walked(probe, &query).await?, &what)?;
        }
    }
    for direction in DIRECTIONS {
        // Each cursor, and whatever it may point at, is removed before it is used.
        let mut staying: BTreeSet<TokenId> =
            walked(probe, &every_record()).await?.into_iter().collect();
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
            let what = format!("a walk {} behind a record that was removed", in_words(direction));
            same_ids(&staying, walked(probe, &query).await?, &what)?;
        }
    }
    Ok(())
}

pub(super) async fn short_page_is_no_end(probe: Probe<'_>) -> Verdict {
    let mut wanted = BTreeSet::new();
    let mut revoked = BTreeSet::new();
    let record = |n: u32, label: &str| -> Result<Record, Unkept> {
        let sample = Sample { token_type: "developer", ..Sample::nth(n) };
        if n % 29 == 17 { sample.issued_to(label).record() } else { Sample::nth(n).record() }
    };
    for n in 0..90 {
        let mut record = record(n, "rare")?;
        if n % 29 == 17 {
            wanted.insert(record.id());
        }
        if n % 41 == 3 {
            record = super::sample::revoked(&record, None, None);
            revoked.insert(record.id());
        }
        probe.insert(&record).await?;
    }
    let all =
        |filter: Filter, direction, limit| ListRequest::from(filter).order(direction).limit(limit);
    for direction in DIRECTIONS {
        for limit in [1, 2, 5, 10] {
            let what = |filter: &str| {
                format!("a walk {}, {limit} to a page, {filter},", in_words(direction))
            };
            let seen =
                walked(probe, &all(everything().token_type("developer"), direction, limit)).await?;
            same_ids(&wanted, seen, &what("by a type that few records have"))?;
            let seen =
                walked(probe, &all(everything().issued_to_contains("rare"), direction, limit))
                    .await?;
            same_ids(&wanted, seen, &what("by a label that few records have"))?;
            let seen =
                walked(probe, &all(everything().states(States::ENDED), direction, limit)).await?;
            same_ids(&revoked, seen, &what("of dead tokens among live ones"))?;
        }
    }
    Ok(())
}
