//! Many tokens are suspended by filter while others issue and verify. The process is killed at random moments,
//! another one continues, and the end of the incident resumes exactly its tokens.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use super::killed::{
    close, folder, issue_backups, killed_after, leaked, open, open_in_child, print_now,
    while_others_work,
};
use crate::behaviour::harness::{any, backup, builder, records, refusal_of, text};
use chrono::{DateTime, Utc};
use futures_lite::future::block_on;
use service_tokens::record::SuspensionMatch;
use service_tokens::{
    Event, FileStore, Filter, Record, Refusal, ResumeRequest, State, SuspendRequest, TokenId,
    TokenService,
};

/// Tokens to be suspended and kills, by default and in the campaign.
const MANY: (u64, u64) = (6_000, 2);
const MANY_IN_CAMPAIGN: (u64, u64) = (40_000, 6);

/// Tokens that another incident has suspended before.
const EARLIER: usize = 40;

fn incident() -> SuspendRequest {
    SuspendRequest::new().by("alice").reason("INC-42")
}

/// Returns the time of the suspension by the incident. A part of a suspension fails the test.
fn suspended_since(record: &Record) -> Option<DateTime<Utc>> {
    let mut suspensions = record.suspensions().iter();
    let suspension = suspensions.find(|one| one.reason.as_deref() == Some("INC-42"))?;
    assert_eq!((suspension.by.as_deref(), suspension.until), (Some("alice"), None));
    Some(suspension.since)
}

/// Suspends the leaked tokens, while two threads issue and verify tokens that must stay.
fn suspend_while_others_work(
    service: &TokenService<FileStore>,
    report: impl Fn(&str) + Sync + Copy,
) -> u64 {
    while_others_work(service, report, || {
        let view = service.all_owners();
        let run = view.suspend_all(leaked(), incident());
        let run = run.on_progress(|progress| report(&format!("done {}\n", progress.done))).run();
        let outcome = block_on(run).unwrap();
        assert_eq!(outcome.failed, 0);
        outcome.done
    })
}

#[test]
#[ignore = "the child of the test below"]
fn child() {
    let Some(store) = open_in_child() else { return };
    let print = |event: &Event| {
        if let Event::Suspended { id, .. } = event {
            print_now(&format!("id {id}\n"));
        }
    };
    let service = builder(store).events(print).build().unwrap();
    suspend_while_others_work(&service, print_now);
}

#[test]
fn killed_suspend_all_can_continue() {
    run(MANY);
}

#[test]
#[ignore = "campaign"]
fn killed_suspend_all_can_continue_campaign() {
    run(MANY_IN_CAMPAIGN);
}

fn by_id(service: &TokenService<FileStore>) -> HashMap<TokenId, Record> {
    block_on(records(service.store())).into_iter().map(|record| (record.id(), record)).collect()
}

fn run((many, kills): (u64, u64)) {
    let folder = folder();
    let path = folder.path().join("tokens.journal");
    let service = builder(open(&path)).build().unwrap();
    let sample = issue_backups(&service, many);
    let earlier: Vec<_> =
        (0..EARLIER).map(|_| block_on(service.owner("acme").issue(backup())).unwrap()).collect();
    for issued in &earlier {
        let other = SuspendRequest::new().by("bob").reason("NONPAY-1");
        block_on(service.owner("acme").suspend(issued.record.id(), other)).unwrap();
    }
    let at_start = by_id(&service);
    close(service);

    let random = RandomState::new();
    let (mut acknowledged, mut stays): (HashMap<_, Record>, Vec<_>) = Default::default();
    let mut moments = Vec::new();
    for kill in 0..kills {
        // At least one token is done, and enough remain for the next kills.
        let moment = 1 + random.hash_one(kill) % (many / (kills + 2));
        moments.push(moment);
        let output = killed_after(&path, "suspend_all_killed::child", moment);
        let service = builder(open(&path)).build().unwrap();
        let now = by_id(&service);
        let suspended = now.values().filter(|record| suspended_since(record).is_some()).count();
        assert!((suspended as u64) < many, "the kills came too late: {moments:?}");
        for id in &output.ids {
            let record = now.get(&id.parse().unwrap());
            let record = record.unwrap_or_else(|| panic!("a record is lost: {moments:?}"));
            assert!(record.state(service.now()) == State::Suspended, "{moments:?}: {record:?}");
        }
        let new = suspended as u64 - acknowledged.len() as u64;
        assert!(new >= output.done, "{new} of {}: {moments:?}", output.done);
        for (id, record) in &acknowledged {
            assert_eq!(now.get(id), Some(record), "the first suspension stands: {moments:?}");
        }
        for id in at_start.keys() {
            let Some(since) = now.get(id).map(suspended_since) else {
                panic!("a record is lost: {moments:?}")
            };
            if since.is_some() {
                acknowledged.insert(*id, now[id].clone());
            }
        }
        assert_eq!(acknowledged.len(), suspended, "another token was suspended: {moments:?}");
        assert!(!output.issued.is_empty(), "no other thread had a turn");
        stays.extend(output.issued);
        close(service);
    }

    let service = builder(open(&path)).build().unwrap();
    let view = service.all_owners();
    let counted = block_on(view.suspend_all(leaked(), incident()).count()).unwrap();
    assert_eq!(suspend_while_others_work(&service, |_| ()), counted, "nothing is done twice");
    let complete = by_id(&service);
    let now = service.now();
    for record in at_start.keys().map(|id| &complete[id]) {
        assert_eq!(record.state(now), State::Suspended);
    }
    // Each run gave all of its tokens the same time.
    let mut times: Vec<_> = complete.values().filter_map(suspended_since).collect();
    times.sort_unstable();
    times.dedup();
    assert_eq!(times.len() as u64, kills + 1, "{moments:?}");
    for (id, record) in &acknowledged {
        assert_eq!(complete.get(id), Some(record), "the first suspension stands: {moments:?}");
    }
    for token in &sample {
        let refused = block_on(service.verify(token, &any()));
        assert_eq!(refusal_of(refused), Some(Refusal::Suspended));
    }

    let incident =
        SuspensionMatch::ByAndReason { by: Some("alice".into()), reason: Some("INC-42".into()) };
    let run = view.resume_all(Filter::new(), incident, ResumeRequest::new().by("alice")).run();
    let resumed = block_on(run).unwrap();
    let suspended = complete.values().filter(|record| suspended_since(record).is_some()).count();
    assert_eq!((resumed.done, resumed.failed), (suspended as u64, 0));
    let after = by_id(&service);
    for (id, record) in &at_start {
        assert_eq!(after.get(id), Some(record), "it is not as it was before: {moments:?}");
    }
    for issued in &earlier {
        let refused = block_on(service.verify(&text(issued), &any()));
        assert_eq!(refusal_of(refused), Some(Refusal::Suspended), "of another incident");
    }
    for token in sample.iter().chain(&stays) {
        block_on(service.verify(token, &any())).unwrap();
    }
}
