//! A clock that is far from the newest time in the file. The files are of 2020, so the clock of this machine is
//! years ahead.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use futures_lite::future::block_on;
use service_tokens::clock::ManualClock;
use service_tokens::{
    FileStore, IssueRequest, Policy, RevokeRequest, TokenService, TokenStore, TokenType,
};

use crate::tool::{Tool, of_2020};

pub(crate) const DAY: Duration = Duration::from_secs(86_400);
pub(crate) const EVER: Duration = Duration::from_secs(36_500 * 86_400);
const PURGE: [&str; 3] = ["purge", "--retention", "180d"];

pub(crate) fn records(tool: &Tool) -> usize {
    tool.run(&["list", "--json", "--state", "all"]).done().out.lines().count()
}

/// Returns a service whose clock is at this number of days before now. A negative number is after now.
fn service_days_ago(tool: &Tool, days: i64) -> TokenService<FileStore> {
    let clock = ManualClock::new(DateTime::<Utc>::from(SystemTime::now()) - TimeDelta::days(days));
    TokenService::builder(FileStore::open(tool.path()).unwrap(), "acme_live")
        .token_type(TokenType::new("connector", ["files:upload"]).unwrap())
        .policy(Policy::new().max_lifetime(None))
        .clock(clock)
        .build()
        .unwrap()
}

/// Issues a token that does not expire soon at this number of days before now.
pub(crate) fn issued_days_ago(tool: &Tool, days: i64) {
    expiring_after(tool, days, EVER);
}

/// Issues a token with this lifetime at this number of days before now.
pub(crate) fn expiring_after(tool: &Tool, days: i64, lifetime: Duration) {
    let service = service_days_ago(tool, days);
    let request = IssueRequest::new("connector", "x").expires_in(lifetime);
    let _ = block_on(service.owner("acme").issue(request)).unwrap();
}

/// Issues a token that does not expire soon and uses it at this number of days before now.
pub(crate) fn used_days_ago(tool: &Tool, days: i64) {
    let service = service_days_ago(tool, days);
    let request = IssueRequest::new("connector", "x").expires_in(EVER);
    let issued = block_on(service.owner("acme").issue(request)).unwrap();
    let store = service.store();
    block_on(store.touch(&[(issued.record.id(), service.now())])).unwrap();
}

/// Issues and revokes a token at this number of days before now. A negative number is after now.
pub(crate) fn revoked_days_ago(tool: &Tool, days: i64) {
    let service = service_days_ago(tool, days);
    let acme = service.owner("acme");
    let id = block_on(acme.issue(IssueRequest::new("connector", "x"))).unwrap().record.id();
    block_on(acme.revoke(id, RevokeRequest::new())).unwrap();
}

#[test]
fn purge_under_clock_far_ahead_asks_again() {
    let tool = Tool::new();
    of_2020(&tool, 3, 90 * DAY);
    of_2020(&tool, 1, EVER);
    let both = "the newest time in the file is 2020-01-01T00:00:00Z, ";
    let yes = [&PURGE[..], &["--yes"]].concat();
    let ran = tool.run(&yes).failed("nothing was changed\nhint: check it with `date -u`");
    assert!(ran.err.contains("The clock of this machine shows 20") && ran.err.contains(both));
    let dry = tool.run(&[&PURGE[..], &["--dry-run"]].concat()).done();
    assert!(dry.out == "3\n" && dry.err.contains(both), "{dry:?}");
    for no in ["", "n\ny\n", "y\n", "y\nn\n"] {
        let ran = tool.answer(&PURGE, no).failed("cancelled: nothing was changed");
        assert!(ran.err.contains(both) && ran.err.contains("Is the clock right? [y/N]"), "{ran:?}");
    }
    assert_eq!(records(&tool), 4);
    let ran = tool.answer(&PURGE, "y\ny\n").done();
    assert!(ran.err.contains("3 records of all owners match, which ended before 20"), "{ran:?}");
    assert_eq!(records(&tool), 1);
}

#[test]
fn purge_with_right_clock_asks_once() {
    let tool = Tool::new();
    of_2020(&tool, 2, 90 * DAY);
    // The file was in use all the time.
    let since_2020 = DateTime::<Utc>::from(SystemTime::now())
        - DateTime::from_timestamp(1_577_836_800, 0).unwrap();
    (0..since_2020.num_days()).step_by(150).for_each(|days| issued_days_ago(&tool, days));
    let ran = tool.run(&[&PURGE[..], &["--yes"]].concat()).done();
    assert!(ran.err.starts_with("Removed 2 records.\n"), "{ran:?}");

    let tool = Tool::new();
    of_2020(&tool, 2, 90 * DAY);
    of_2020(&tool, 1, EVER);
    let sure = [&PURGE[..], &["--yes", "--clock-is-right"]].concat();
    tool.run(&sure).done();
    assert_eq!(records(&tool), 1);
}

/// A clock that is ahead by less than 30 days, and by more than the retention, could remove living tokens too.
#[test]
fn purge_compares_clock_with_retention() {
    let quiet = |days: i64, retention: &str| {
        let tool = Tool::new();
        revoked_days_ago(&tool, 400);
        of_2020(&tool, 1, EVER);
        revoked_days_ago(&tool, days);
        tool.run(&["purge", "--yes", "--retention", retention])
    };
    quiet(9, "10d").done();
    quiet(11, "10d").failed("Under a wrong clock");
    quiet(29, "180d").done();
    quiet(31, "180d").failed("Under a wrong clock");
}

#[test]
fn purge_of_every_record_asks_again() {
    let tool = Tool::new();
    revoked_days_ago(&tool, 20);
    let purge = ["purge", "--retention", "19d"];
    let ran = tool.run(&[&purge[..], &["--yes"]].concat()).failed("--clock-is-right");
    assert!(ran.err.contains("This would remove every record. "), "{ran:?}");
    tool.answer(&purge, "y\n").failed("cancelled");
    assert_eq!(records(&tool), 1);
    // With a second record it does not.
    tool.issue(&[]);
    tool.run(&[&purge[..], &["--yes"]].concat()).done();
    assert_eq!(records(&tool), 1);
}

#[test]
fn bulk_verb_by_doubtful_clock_asks_again() {
    let tool = Tool::new();
    of_2020(&tool, 2, EVER);
    for filter in ["--unused-since", "--created-before"] {
        let words = ["revoke-all", filter, "90d"];
        let ran = tool.run(&[&words[..], &["--yes-revoke", "2"]].concat());
        ran.failed(
            "nothing was changed\nhint: check it with `date -u`; if it is right, add --clock",
        );
        let ran = tool.answer(&words, "n\n2\n").failed("cancelled: nothing was changed");
        assert!(ran.err.contains("Is the clock right?"), "{ran:?}");
        assert!(!ran.err.contains("Type 2"), "{ran:?}");
    }
    let suspend = ["suspend-all", "--unused-since", "90d", "--yes-suspend", "2"];
    tool.run(&suspend).failed("Under a wrong clock");
    // A time does not depend on the clock.
    let by_time = ["suspend-all", "--created-before", "2021-01-01T00:00:00Z", "--yes-suspend", "2"];
    tool.run(&by_time).done();
    let resume = ["resume-all", "--suspended-since", "2021-01-01T00:00:00Z"];
    tool.run(&resume).done();
    tool.answer(&["revoke-all", "--unused-since", "90d", "--clock-is-right"], "2\n").done();
    assert_eq!(tool.run(&["list", "--json"]).done().out, "");
}

#[test]
fn verbs_that_store_times_warn_about_clock() {
    let tool = Tool::new();
    of_2020(&tool, 1, EVER);
    let id = tool.run(&["list", "--json"]).done().out[7..29].to_owned();
    let warning = "warning: The clock of this machine shows ";
    let suspend = ["suspend", &id, "--yes", "--until", "1h"];
    let ran = tool.run(&suspend).done();
    assert!(ran.err.contains(warning) && ran.err.contains("days earlier."), "{ran:?}");
    // The suspension has a new time, so the clock is not in doubt any more.
    assert!(!tool.run(&suspend).done().err.contains(warning));

    for words in [
        &["issue", "--type", "connector", "--owner", "a", "--issued-to", "b"][..],
        &["rotate", &id, "--overlap", "1h"],
        &["amend", &id, "--expires", "30d"],
    ] {
        let tool = Tool::new();
        of_2020(&tool, 1, EVER);
        let id = tool.run(&["list", "--json"]).done().out[7..29].to_owned();
        let words: Vec<&str> =
            words.iter().map(|word| if word.len() == 22 { &*id } else { word }).collect();
        let ran = tool.run(&words).done();
        assert!(ran.err.contains(warning), "{words:?} {ran:?}");
    }
}

#[test]
fn clock_behind_file_is_warned_about() {
    let tool = Tool::new();
    revoked_days_ago(&tool, -3);
    let issue = ["issue", "--type", "connector", "--owner", "a", "--issued-to", "b"];
    let ran = tool.run(&issue).done();
    assert!(ran.err.contains("days later. If the clock is wrong"), "{ran:?}");
}
