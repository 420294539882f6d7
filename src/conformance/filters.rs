//! Checks of the records that a query selects.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::probe::{Probe, answered, everything, quote, same_ids, short, untouched};
use super::samples::{
    DAY, NOW, REVOKED_AT, Sample, TEXTS, at, long_texts, now, nth, revoked, suspended,
};
use super::verdict::{NotKept, Verdict, ensure};
use crate::record::{Record, State};
use crate::store::{Filter, LastUsed, ListRequest, Order, States};
use crate::token::TokenId;

/// Creates records with all properties that a filter can select, in most combinations.
fn mixture() -> Result<Vec<Record>, NotKept> {
    let owners = ["acme", "acme-eu", "Acme"];
    let types = ["connector", "developer", "Connector"];
    let labels = ["nightly backup", "backup", "Backup", "build farm", "100% of a_b"];
    let actors = [None, Some("ops"), Some("ops@acme"), Some("Ops")];
    (0..60u32)
        .map(|n| {
            let at = |list: &[&'static str], factor: u32| list[(n * factor) as usize % list.len()];
            let sample = Sample {
                owner: at(&owners, 1).into(),
                token_type: at(&types, 5),
                issued_to: at(&labels, 7).into(),
                issued_by: actors[(n * 3 % 8 / 2) as usize].map(Into::into),
                issuers: (0..n % 4).map(|issuer| nth(500 + issuer * (1 + n % 3))).collect(),
                created_at: NOW - DAY * i64::from(1 + n % 6) - i64::from(n % 3),
                not_before: (n % 9 == 4).then_some(NOW + DAY * i64::from(n % 4) + 1),
                expires_at: match n % 5 {
                    0 => None,
                    1 => Some(NOW - DAY / 2 + i64::from(n)),
                    _ => Some(NOW + DAY * i64::from(10 + n % 3) + i64::from(n % 2)),
                },
                ..Sample::nth(n)
            };
            // An expired record must not start later.
            let not_before =
                sample.not_before.filter(|start| sample.expires_at.is_none_or(|end| *start < end));
            let record = Sample { not_before, ..sample }.record()?;
            // Suspensions that last, that pass later, and that have passed. Only a live token can have one.
            let record = match n % 11 {
                _ if record.ended_at(now()).is_some() => record,
                3 => suspended(&record, None)?,
                5 => suspended(&record, Some(NOW + 1))?,
                8 => suspended(&record, Some(NOW))?,
                _ => record,
            };
            Ok(if n % 7 == 3 { revoked(&record, Some("ops"), None) } else { record })
        })
        .collect()
}

/// Returns each filter alone, with values that many, few and no records have.
fn single_filters() -> Vec<(&'static str, Filter)> {
    let all = everything;
    let mut filters = vec![("no filter", all()), ("the default", Filter::new())];
    for owner in ["acme", "acme-eu", "Acme", "ACME", "acm", "no such owner"] {
        filters.push(("owner", all().owner(owner)));
    }
    for name in ["connector", "developer", "Connector", "connecto", "none"] {
        filters.push(("token_type", all().token_type(name)));
    }
    for state in State::ALL {
        filters.push(("states", all().states(state)));
    }
    filters.push(("states", all().states(States::LIVE)));
    filters.push(("states", all().states(States::ENDED)));
    filters.push(("states", all().states(States::from_iter([State::Pending, State::Revoked]))));
    filters.push(("states", all().states([State::Suspended, State::Expired])));
    filters.push(("states", all().states(States::from_iter([]))));
    for part in ["backup", "Backup", "nightly", "up", "", " ", "%", "_", "a_b", "a%b", "backups"] {
        filters.push(("issued_to_contains", all().issued_to_contains(part)));
    }
    for label in ["backup", "Backup", "nightly backup", "nightly", "backup ", "", "%"] {
        filters.push(("issued_to", all().issued_to(label)));
    }
    for issuer in [500, 501, 502, 503, 504, 506, 0] {
        filters.push(("issuer", all().issuer(nth(issuer))));
    }
    for by in ["ops", "Ops", "ops@acme", "op", ""] {
        filters.push(("issued_by", all().issued_by(by)));
    }
    for time in boundaries() {
        filters.push(("expires_before", all().expires_before(time)));
        filters.push(("created_before", all().created_before(time)));
        filters.push(("ended_before", all().ended_before(time)));
        filters.push(("ended_before", all().ended_before(time).states(States::ALL)));
    }
    filters
}

/// Returns the times just before, at and just after those in [`mixture`], and distant ones.
fn boundaries() -> Vec<DateTime<Utc>> {
    let ends = [NOW - DAY / 2 + 1, REVOKED_AT, NOW + 10 * DAY, NOW + 11 * DAY + 1];
    let starts = [NOW - DAY, NOW - 3 * DAY - 2, NOW - 6 * DAY];
    let mut times: Vec<i64> =
        ends.into_iter().chain(starts).flat_map(|time| [time - 1, time, time + 1]).collect();
    times.extend([0, NOW + 10_000 * DAY]);
    times.into_iter().map(at).collect()
}

fn combinations() -> Vec<(&'static str, Filter)> {
    let mut queries = Vec::new();
    for owner in ["acme", "acme-eu"] {
        for states in [States::LIVE, States::ENDED, States::ALL] {
            let query = everything().owner(owner).states(states);
            queries.push(("owner and states", query.clone()));
            queries.push(("owner, states and type", query.clone().token_type("developer")));
            let labelled = query.clone().issued_to_contains("backup");
            queries.push(("owner, states and label", labelled.clone()));
            queries.push(("owner, states and exact label", query.clone().issued_to("backup")));
            queries.push(("owner, states, label and issuer", labelled.issuer(nth(500))));
            let ended = query.clone().ended_before(at(NOW - DAY / 4)).states(states);
            queries.push(("owner, states and time of the end", ended));
            let ending = query.clone().expires_before(at(NOW + 11 * DAY));
            queries.push(("owner, states and end", ending.clone()));
            queries
                .push(("owner, states, end and start", ending.created_before(at(NOW - 2 * DAY))));
            queries.push(("owner, states and actor", query.clone().issued_by("ops")));
        }
    }
    queries.push((
        "every filter",
        everything()
            .owner("acme")
            .token_type("connector")
            .states(States::ALL)
            .issued_to_contains("u")
            .issuer(nth(500))
            .issued_by("ops")
            .expires_before(at(NOW + 100 * DAY))
            .created_before(now()),
    ));
    queries
}

/// Checks that a query selects the records that [`Filter::matches`] accepts, in both orders.
pub(super) async fn selects(
    probe: Probe<'_>,
    records: &[(Record, LastUsed)],
    filter: &Filter,
    now: DateTime<Utc>,
    what: &str,
) -> Verdict {
    let expected: BTreeSet<TokenId> = records
        .iter()
        .filter(|(record, used)| filter.matches(record, *used, now))
        .map(|(record, _)| record.id())
        .collect();
    for direction in [Order::OldestFirst, Order::NewestFirst] {
        let request = ListRequest::from(filter.clone()).order(direction).limit(1_000);
        let seen = probe.scan(&request, now).await?;
        same_ids(&expected, seen.iter().map(|stored| stored.record.id()), what)?;
    }
    Ok(())
}

/// Checks that a count has the number of records that [`Filter::matches`] accepts.
async fn counts(
    probe: Probe<'_>,
    records: &[(Record, LastUsed)],
    filter: &Filter,
    what: &str,
) -> Verdict {
    let expected =
        records.iter().filter(|(record, used)| filter.matches(record, *used, now())).count() as u64;
    let counted = answered("count", probe.store.count(filter, now()).await)?;
    ensure!(counted == expected, "the count of {what} is {counted} instead of {expected}");
    Ok(())
}

async fn insert_untouched(
    probe: Probe<'_>,
    records: Vec<Record>,
) -> Result<Vec<(Record, LastUsed)>, NotKept> {
    probe.insert_all(&records).await?;
    let last_used = untouched(probe.store);
    Ok(records.into_iter().map(|record| (record, last_used)).collect())
}

pub(super) async fn filters_are_exact(probe: Probe<'_>) -> Verdict {
    let mut records = insert_untouched(probe, mixture()?).await?;
    for (filter, query) in single_filters().into_iter().chain(combinations()) {
        let what = format!("a list by {filter} ({})", given_filters(&query));
        selects(probe, &records, &query, now(), &what).await?;
    }
    // A filter must also be exact after replacements and removals.
    for n in (0..records.len()).rev().step_by(4) {
        let record = records[n].0.clone();
        let stored = probe.stored(record.id(), "after its insert").await?;
        if n % 8 < 4 {
            probe.remove(record.id(), stored.version).await?;
            records.remove(n);
        } else {
            records[n].0 = revoked(&record, None, None);
            probe.replace(&records[n].0, stored.version).await?;
        }
    }
    for (filter, query) in single_filters().into_iter().chain(combinations()) {
        let what = format!(
            "after replacements and removals, a list by {filter} ({})",
            given_filters(&query)
        );
        selects(probe, &records, &query, now(), &what).await?;
    }
    Ok(())
}

/// Formats the filters that the query sets.
pub(super) fn given_filters(filter: &Filter) -> String {
    let all = format!("{filter:?}");
    let fields = all.trim_start_matches("Filter { ").trim_end_matches(" }").split(", ");
    let given: Vec<&str> = fields.filter(|field| field.contains("Some(")).collect();
    short(&if given.is_empty() { format!("{:?}", filter.states) } else { given.join(", ") })
}

pub(super) async fn states_follow_now(probe: Probe<'_>) -> Verdict {
    let (start, end, until) = (NOW + 7, NOW + 1_000_009, NOW + 500_003);
    let times =
        |n, not_before, expires_at| Sample { not_before, expires_at, ..Sample::nth(n) }.record();
    let records = vec![
        times(0, None, None)?,
        times(1, Some(start), None)?,
        times(2, None, Some(end))?,
        times(3, Some(start), Some(end))?,
        times(4, Some(start), Some(start + 1))?,
        revoked(&times(5, Some(start), Some(end))?, None, None),
        revoked(&times(6, None, None)?, None, None),
        suspended(&times(7, None, None)?, None)?,
        suspended(&times(8, None, Some(end))?, Some(until))?,
        suspended(&times(9, Some(start), None)?, Some(start - 2))?,
        suspended(&times(10, Some(start), Some(end))?, Some(end + 3))?,
        revoked(&suspended(&times(11, None, None)?, Some(until))?, None, None),
    ];
    let records = insert_untouched(probe, records).await?;
    // Distant times reveal a store that reads its own clock.
    let mut moments = vec![0, 253_402_300_799_999_999];
    moments.extend([start, until, end].iter().flat_map(|time| [time - 1, *time, time + 1]));
    for moment in moments.into_iter().map(at) {
        for state in State::ALL {
            let what = format!("a list of {state} tokens at {moment:?}");
            selects(probe, &records, &everything().states(state), moment, &what).await?;
        }
        for (name, states) in [("live", States::LIVE), ("ended", States::ENDED)] {
            let what = format!("a list of {name} tokens at {moment:?}");
            selects(probe, &records, &everything().states(states), moment, &what).await?;
        }
    }
    Ok(())
}

pub(super) async fn text_is_compared_as_bytes(probe: Probe<'_>) -> Verdict {
    let long = long_texts();
    let texts: Vec<&str> = TEXTS.iter().copied().chain(long.iter().map(String::as_str)).collect();
    let records = (0..).zip(&texts).map(|(n, text)| {
        let issued_by = Some((*text).to_owned());
        Sample { issued_by, ..Sample::nth(n).issued_to(*text) }.record()
    });
    let records = insert_untouched(probe, records.collect::<Result<_, _>>()?).await?;
    for text in texts {
        let what = |filter: &str| format!("a list by {filter} with the text {}", quote(text));
        let by = everything().issued_by(text);
        selects(probe, &records, &by, now(), &what("issued_by")).await?;
        let exactly = everything().issued_to(text);
        selects(probe, &records, &exactly, now(), &what("issued_to")).await?;
        let containing = everything().issued_to_contains(text);
        selects(probe, &records, &containing, now(), &what("issued_to_contains")).await?;
        let of_type = everything().token_type(text);
        selects(probe, &records, &of_type, now(), &what("token_type")).await?;
        for filter in [by, exactly, containing, of_type] {
            counts(probe, &records, &filter, &what(&given_filters(&filter))).await?;
        }
    }
    Ok(())
}
