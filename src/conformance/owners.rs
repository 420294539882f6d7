//! Checks that lists of one owner have no record of another one.

use std::collections::BTreeSet;

use super::in_time::in_time;
use super::probe::{Probe, everything, quote, same_ids};
use super::samples::{Sample, TEXTS, long_texts, now};
use super::verdict::Verdict;
use crate::record::Record;
use crate::store::{ListRequest, Order};
use crate::token::TokenId;

pub(super) async fn owners_are_separate(probe: Probe<'_>) -> Verdict {
    let long = long_texts();
    let owners: Vec<&str> = TEXTS.iter().copied().chain(long.iter().map(String::as_str)).collect();
    let mut records = Vec::new();
    for (n, owner) in (0..).zip(&owners) {
        for n in [n, 1_000 + n] {
            records.push(Sample { owner: (*owner).into(), ..Sample::nth(n) }.record()?);
        }
    }
    probe.insert_all(&records).await?;
    for direction in [Order::OldestFirst, Order::NewestFirst] {
        for owner in owners.iter().copied().chain(["", "no such owner", "x", "plai", " "]) {
            let expected = records.iter().filter(|r| r.owner() == owner).map(Record::id).collect();
            let what = format!("a list of the owner {}", quote(owner));
            for limit in [1, 50] {
                lists(probe, owner, direction, limit, &expected, &what).await?;
            }
        }
    }
    many_of_nested_owners(probe).await
}

async fn lists(
    probe: Probe<'_>,
    owner: &str,
    direction: Order,
    limit: usize,
    expected: &BTreeSet<TokenId>,
    what: &str,
) -> Verdict {
    let query = ListRequest::from(everything().owner(owner)).order(direction).limit(limit);
    let seen = in_time(probe.scan(&query, now()), what).await??;
    same_ids(expected, seen.iter().map(|stored| stored.record.id()), what)
}

/// Lists an owner among many records of owners that begin with its name and a separator. In a store whose keys
/// are made of the owner and the id, they can lie between the keys of the owner.
async fn many_of_nested_owners(probe: Probe<'_>) -> Verdict {
    /// More records than a store reads with one request.
    const MANY: u32 = 140;
    for (turn, separator) in (0..).zip(['/', ':', '|', '\0']) {
        let owner = format!("nested {turn}");
        let (mut own, mut records) = (BTreeSet::new(), Vec::new());
        for n in 0..MANY {
            let mut sample = Sample::nth(10_000 + turn * MANY + n);
            sample.owner = match n % 24 {
                5 => owner.clone(),
                // Before and after the first characters of ids.
                other => format!("{owner}{separator}{}", ["!", "~"][other as usize % 2]),
            };
            if sample.owner == owner {
                own.insert(sample.id);
            }
            records.push(sample.record()?);
        }
        probe.insert_all(&records).await?;
        let what =
            format!("a list of an owner among those of {}", quote(&format!("{owner}{separator}")));
        for direction in [Order::OldestFirst, Order::NewestFirst] {
            for limit in [2, 50] {
                lists(probe, &owner, direction, limit, &own, &what).await?;
            }
        }
    }
    Ok(())
}
