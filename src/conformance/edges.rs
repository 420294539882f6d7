//! Checks of the times in a query, at the edges of the times in records.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::filters::selects;
use super::probe::{Probe, everything, same_ids, untouched};
use super::samples::{DAY, NOW, REVOKED_AT, Sample, at, now, revoked, suspended};
use super::verdict::{NotKept, Verdict};
use crate::record::{Record, State};
use crate::store::{Filter, LastUsed, ListRequest, States};

/// The latest time that a record can have.
const LATEST: i64 = 253_402_300_799_999_999;

/// Returns records whose times are close to each other and to the current time.
fn records() -> Result<Vec<Record>, NotKept> {
    let created = NOW - DAY;
    let mut records = Vec::new();
    let mut n = 0;
    let mut sample = |created_at, not_before, expires_at| {
        n += 1;
        Sample { created_at, not_before, expires_at, ..Sample::nth(n) }
    };
    for offset in [-1_000, -1, 0, 1, 1_000] {
        records.push(sample(created + offset, None, None).record()?);
        records.push(sample(created, None, Some(NOW + offset)).record()?);
        records.push(sample(created, None, Some(NOW + DAY + offset)).record()?);
        records.push(sample(created, Some(NOW + offset), None).record()?);
    }
    // A suspension ends after its start, which is directly before the current time.
    for offset in [-1, 0, 1, 1_000] {
        records.push(suspended(&sample(created, None, None).record()?, Some(NOW + offset))?);
    }
    // Revoked before the end, at the end, after the end, and without an end.
    for end in [Some(REVOKED_AT + 1), Some(REVOKED_AT), Some(REVOKED_AT - 1), Some(NOW + 1), None] {
        let record = sample(created, None, end).record()?;
        records.push(revoked(&record, Some("ops"), None));
    }
    let just_now = sample(created, None, Some(NOW + 1)).record()?;
    records.extend(just_now.revoke(now(), None, None).ok().flatten());
    records.push(sample(0, None, Some(1)).record()?);
    records.push(sample(LATEST - 1, None, Some(LATEST)).record()?);
    Ok(records)
}

/// Returns times around an edge, also below a microsecond.
fn around(edge: i64) -> impl Iterator<Item = DateTime<Utc>> {
    [-1_000_000, -1_000, -999, -1, 0, 1, 499, 500, 999, 1_000, 1_000_000]
        .into_iter()
        .filter_map(move |nanos| at(edge).checked_add_signed(TimeDelta::nanoseconds(nanos)))
}

fn times() -> BTreeSet<DateTime<Utc>> {
    let edges = [NOW - DAY, NOW, NOW + DAY, REVOKED_AT];
    let mut times: BTreeSet<_> = edges.into_iter().flat_map(around).collect();
    for distant in [0, 1, LATEST - 1, LATEST] {
        let nanos = |nanos| at(distant).checked_add_signed(TimeDelta::nanoseconds(nanos));
        times.extend([-1, 0, 1].into_iter().filter_map(nanos));
    }
    times.extend([DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, at(-1), at(-DAY)]);
    times
}

pub(super) async fn filter_edges_are_exact(probe: Probe<'_>) -> Verdict {
    let records = records()?;
    probe.insert_all(&records).await?;
    let last_used = untouched(probe.store);
    let mut records: Vec<_> = records.into_iter().map(|record| (record, last_used)).collect();
    for time in times() {
        let filters: [(&str, Filter); 6] = [
            ("created_before", everything().created_before(time)),
            ("expires_before", everything().expires_before(time)),
            ("ended_before", everything().ended_before(time)),
            ("ended_before and every state", everything().ended_before(time).states(States::ALL)),
            ("ended_before and expired", everything().ended_before(time).states(State::Expired)),
            ("ended_before and revoked", everything().ended_before(time).states(State::Revoked)),
        ];
        for (name, filter) in filters {
            let what = format!("a list by {name} with {time:?}");
            selects(probe, &records, &filter, now(), &what).await?;
        }
    }
    let moments = around(NOW).chain(around(NOW + DAY)).chain([at(0), at(LATEST)]);
    for moment in moments {
        for state in State::ALL {
            let what = format!("a list of {state} tokens at {moment:?}");
            selects(probe, &records, &everything().states(state), moment, &what).await?;
        }
        let ended = everything().ended_before(at(NOW + 1));
        let what = format!("a list by ended_before at {moment:?}");
        selects(probe, &records, &ended, moment, &what).await?;
    }
    if probe.store.tracks_last_used() {
        let uses = [-1, 0, 1].map(|offset| NOW - DAY / 2 + offset);
        for ((record, last_used), used) in records.iter_mut().zip(uses) {
            probe.touch(&[(record.id(), at(used))]).await?;
            *last_used = LastUsed::At(at(used));
        }
        let times: BTreeSet<_> = [NOW - DAY, NOW - DAY / 2].into_iter().flat_map(around).collect();
        for time in times {
            let request = ListRequest::from(everything().unused_since(time)).limit(1_000);
            let expected = records
                .iter()
                .filter(|(record, used)| request.filter.matches(record, *used, now()))
                .map(|(record, _)| record.id())
                .collect();
            let seen = probe.scan(&request, now()).await?;
            let what = format!("a list by unused_since with {time:?}");
            same_ids(&expected, seen.iter().map(|stored| stored.record.id()), &what)?;
        }
    }
    Ok(())
}
