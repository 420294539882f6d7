//! Checks that every filter selects by the current content of a record, and not by an earlier one.

use super::filters::selects;
use super::probe::{Probe, everything, tracked, untouched};
use super::samples::{DAY, NOW, Sample, at, metadata, now, nth, revoked, suspended};
use super::verdict::{NotKept, Verdict};
use crate::network::NetworkSet;
use crate::record::{Record, State};
use crate::store::{Filter, LastUsed, States, Version};

/// The number of contents that each record has one after the other.
const STEPS: usize = 4;

type Course = [Record; STEPS];

/// Returns courses of records of one id each. Each changes one property in both directions, and the
/// last ones change all.
fn courses() -> Result<Vec<Course>, NotKept> {
    let mut courses = Vec::new();
    let mut n = 0;
    let mut course = |contents: [&dyn Fn(Sample) -> Result<Record, NotKept>; STEPS]| {
        n += 1;
        let [first, second, third, fourth] = contents.map(|content| content(Sample::nth(n)));
        courses.push([first?, second?, third?, fourth?]);
        Ok::<_, NotKept>(())
    };
    let label = |label: &'static str| move |sample: Sample| sample.issued_to(label).record();
    course([&label("first"), &label("second"), &label("first label"), &label("third")])?;
    let of_type = |token_type| move |sample| Sample { token_type, ..sample }.record();
    let types = ["connector", "developer", "manager", "connector"].map(of_type);
    course([&types[0], &types[1], &types[2], &types[3]])?;
    let by = |by: Option<&'static str>| {
        move |sample| Sample { issued_by: by.map(Into::into), ..sample }.record()
    };
    course([&by(Some("ops")), &by(Some("dev")), &by(None), &by(Some("ops"))])?;
    course([&by(None), &by(Some("dev")), &by(Some("ops")), &by(None)])?;
    let issuers = |issuers: &'static [u32]| {
        move |sample| {
            Sample { issuers: issuers.iter().map(|n| nth(*n)).collect(), ..sample }.record()
        }
    };
    course([&issuers(&[500, 501]), &issuers(&[502, 501]), &issuers(&[]), &issuers(&[501, 500])])?;
    course([&issuers(&[]), &issuers(&[500, 501]), &issuers(&[500]), &issuers(&[503, 504, 502])])?;
    let end = |expires_at| move |sample| Sample { expires_at, ..sample }.record();
    let (soon, late, past) = (Some(NOW + 1), Some(NOW + 50 * DAY), Some(NOW - 1));
    course([&end(late), &end(soon), &end(None), &end(late)])?;
    course([&end(None), &end(past), &end(late), &end(soon)])?;
    course([&end(past), &end(None), &end(soon), &end(past)])?;
    let start = |not_before| move |sample| Sample { not_before, ..sample }.record();
    course([&start(None), &start(Some(NOW + 1)), &start(Some(NOW)), &start(Some(NOW + DAY))])?;
    let stopped = |sample: Sample| Ok(revoked(&sample.record()?, Some("ops"), None));
    let plain = |sample: Sample| sample.record();
    course([&plain, &stopped, &plain, &stopped])?;
    course([&stopped, &plain, &stopped, &plain])?;
    let ended = |sample: Sample| {
        let record = Sample { expires_at: Some(NOW - DAY), ..sample }.record()?;
        Ok(revoked(&record, None, None))
    };
    course([&stopped, &ended, &plain, &ended])?;
    let until = |until: Option<i64>| move |sample: Sample| suspended(&sample.record()?, until);
    let (for_good, passing, passed) = (until(None), until(Some(NOW + 1)), until(Some(NOW)));
    course([&plain, &for_good, &passed, &passing])?;
    course([&for_good, &plain, &passing, &passed])?;
    let both = |sample: Sample| Ok(revoked(&suspended(&sample.record()?, None)?, None, None));
    course([&for_good, &both, &for_good, &plain])?;
    let networks = |sample: Sample| {
        let networks = NetworkSet::parse(["192.0.2.0/24"]).map_err(|error| {
            NotKept::Broken(format!("the suite could not make its record: {error}"))
        })?;
        let metadata = metadata([("team", "storage")]);
        Sample { networks: Some(networks), metadata, scopes: Vec::new(), ..sample }.record()
    };
    course([&plain, &networks, &plain, &networks])?;
    let all = |sample: Sample| {
        let other = Sample {
            token_type: "developer",
            issued_by: Some("dev".into()),
            issuers: vec![nth(503), nth(500)],
            expires_at: Some(NOW - 1),
            ..sample.issued_to("second")
        };
        other.record()
    };
    course([&plain, &all, &plain, &all])?;
    course([&all, &plain, &all, &for_good])?;
    Ok(courses)
}

fn filters() -> Vec<Filter> {
    let all = everything;
    let mut filters = vec![all(), Filter::new(), all().states(States::ENDED)];
    filters.extend(State::ALL.iter().map(|state| all().states(*state)));
    filters.extend(
        ["first", "second", "first label", "third", "nightly backup"]
            .map(|label| all().issued_to(label)),
    );
    filters.extend(["first", "label", "nightly"].map(|part| all().issued_to_contains(part)));
    filters.extend(["connector", "developer", "manager"].map(|name| all().token_type(name)));
    filters.extend(["ops", "dev"].map(|by| all().issued_by(by)));
    filters.extend([500, 501, 502, 503, 504].map(|n| all().issuer(nth(n))));
    for time in [NOW - DAY + 1, NOW - 1, NOW, NOW + 1, NOW + 2, NOW + 50 * DAY + 1, NOW + 70 * DAY]
    {
        filters.push(all().expires_before(at(time)));
        filters.push(all().ended_before(at(time)));
    }
    for owner in ["acme", "globex", "initech"] {
        filters.push(all().owner(owner));
        filters.push(all().owner(owner).states(States::LIVE).token_type("connector"));
        filters.push(all().owner(owner).issued_to("second").states(States::ENDED));
        filters.push(all().owner(owner).issuer(nth(500)));
        filters.push(all().owner(owner).issued_by("ops"));
        filters.push(all().owner(owner).expires_before(at(NOW + 2)));
        filters.push(all().owner(owner).ended_before(at(NOW)));
    }
    filters.push(all().created_before(at(NOW - 20 * DAY)));
    filters
}

async fn all_filters(probe: Probe<'_>, records: &[(Record, LastUsed)], when: &str) -> Verdict {
    for filter in filters() {
        let what = format!("{when}, a list by {}", super::filters::given_filters(&filter));
        selects(probe, records, &filter, now(), &what).await?;
    }
    if tracked(probe).is_ok() {
        for time in [NOW - 25 * DAY, NOW, NOW + 1, NOW + 2] {
            let filter = everything().unused_since(at(time));
            let what = format!("{when}, a list by {}", super::filters::given_filters(&filter));
            selects(probe, records, &filter, now(), &what).await?;
        }
    }
    Ok(())
}

pub(super) async fn replaced_record_is_indexed(probe: Probe<'_>) -> Verdict {
    let courses = courses()?;
    let mut versions: Vec<Version> = Vec::new();
    for course in &courses {
        versions.push(probe.insert(&course[0]).await?);
    }
    let mut last_used = vec![untouched(probe.store); courses.len()];
    for (place, course) in courses.iter().enumerate().step_by(2) {
        probe.touch(&[(course[0].id(), at(NOW + 1))]).await?;
        if tracked(probe).is_ok() {
            last_used[place] = LastUsed::At(at(NOW + 1));
        }
    }
    let content = |step: usize| -> Vec<(Record, LastUsed)> {
        courses.iter().map(|course| course[step].clone()).zip(last_used.iter().copied()).collect()
    };
    all_filters(probe, &content(0), "after inserts").await?;
    for step in 1..STEPS {
        for (course, version) in courses.iter().zip(&mut versions) {
            *version = probe.replace(&course[step], *version).await?;
        }
        all_filters(probe, &content(step), "after replacements").await?;
    }
    // Under a removed id, another owner's record can be inserted, with another time and content.
    for (course, version) in courses.iter().zip(&versions) {
        probe.remove(course[0].id(), *version).await?;
    }
    all_filters(probe, &[], "after removals").await?;
    let mut records = Vec::new();
    for (place, course) in courses.iter().enumerate() {
        let sample = Sample {
            owner: ["globex", "initech"][place % 2].into(),
            created_at: NOW - 10 * DAY,
            ..Sample::of(course[0].id())
        };
        let record = sample.issued_to("inserted again").record()?;
        probe.insert(&record).await?;
        records.push((record, untouched(probe.store)));
    }
    all_filters(probe, &records, "after inserts under removed ids").await
}
