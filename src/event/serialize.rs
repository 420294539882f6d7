//! The form of an event in `serde`. It is one flat map with the name of the event, and its times are RFC 3339.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::clock::{ClockJump, rfc3339};
use crate::record::{Field, State, Suspension, SuspensionMatch};
use crate::store::{Filter, States};

pub(super) fn time<S: Serializer>(time: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&rfc3339(*time))
}

pub(super) fn optional_time<S: Serializer>(
    time: &Option<DateTime<Utc>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => to.serialize_some(&rfc3339(*time)),
        None => to.serialize_none(),
    }
}

pub(super) fn seconds<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_secs_f64())
}

pub(super) fn clock_jump<S: Serializer>(jump: &ClockJump, to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(2))?;
    map.serialize_entry("by_seconds", &jump.by.as_seconds_f64())?;
    map.serialize_entry("noticed_at", &rfc3339(jump.noticed_at))?;
    map.end()
}

/// Writes the suspensions as a list of maps.
pub(super) fn suspensions<S: Serializer>(
    suspensions: &[Suspension],
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_seq(suspensions.iter().map(SuspensionMap::of))
}

pub(super) fn optional_suspension<S: Serializer>(
    suspension: &Option<Suspension>,
    to: S,
) -> Result<S::Ok, S::Error> {
    suspension.as_ref().map(SuspensionMap::of).serialize(to)
}

#[derive(Serialize)]
struct SuspensionMap<'s> {
    since: String,
    until: Option<String>,
    by: Option<&'s str>,
    reason: Option<&'s str>,
}

impl<'s> SuspensionMap<'s> {
    fn of(suspension: &'s Suspension) -> Self {
        Self {
            since: rfc3339(suspension.since),
            until: suspension.until.map(rfc3339),
            by: suspension.by.as_deref(),
            reason: suspension.reason.as_deref(),
        }
    }
}

/// Writes the match as a map, with either the two texts or the time.
pub(super) fn suspension_match<S: Serializer>(
    which: &SuspensionMatch,
    to: S,
) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(None)?;
    match which {
        SuspensionMatch::ByAndReason { by, reason } => {
            map.serialize_entry("by", by)?;
            map.serialize_entry("reason", reason)?;
        }
        SuspensionMatch::Since(since) => map.serialize_entry("since", &rfc3339(*since))?,
    }
    map.end()
}

/// Writes the names of fields.
pub(super) fn fields<S: Serializer>(fields: &[Field], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(fields.iter().map(Field::to_string))
}

/// Writes the fields of a filter that are set.
pub(super) fn filter<S: Serializer>(filter: &Filter, to: S) -> Result<S::Ok, S::Error> {
    let texts = [
        ("owner", filter.owner.as_deref()),
        ("token_type", filter.token_type.as_deref()),
        ("issued_to", filter.issued_to.as_deref()),
        ("issued_to_contains", filter.issued_to_contains.as_deref()),
        ("issued_by", filter.issued_by.as_deref()),
    ];
    let times = [
        ("expires_before", filter.expires_before),
        ("created_before", filter.created_before),
        ("unused_since", filter.unused_since),
        ("ended_before", filter.ended_before),
    ];
    let mut map = to.serialize_map(None)?;
    for (name, text) in texts {
        if let Some(text) = text {
            map.serialize_entry(name, text)?;
        }
    }
    if let Some(issuer) = filter.issuer {
        map.serialize_entry("issuer", &issuer)?;
    }
    map.serialize_entry("states", &names(filter.states))?;
    for (name, time) in times {
        if let Some(time) = time {
            map.serialize_entry(name, &rfc3339(time))?;
        }
    }
    map.end()
}

fn names(states: States) -> Vec<State> {
    State::ALL.into_iter().filter(|state| states.contains(*state)).collect()
}
