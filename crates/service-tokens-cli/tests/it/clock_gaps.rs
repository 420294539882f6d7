//! A gap between the times in the file, which a clock that is ahead leaves with its first write.

use crate::clocks::{
    DAY, EVER, expiring_after, issued_days_ago, records, revoked_days_ago, used_days_ago,
};
use crate::tool::{Ran, Tool};

/// Purges with a retention of this number of days.
fn purge(tool: &Tool, days: u32, more: &[&str]) -> Ran {
    tool.run(&[&["purge", "--retention", &format!("{days}d")], more].concat())
}

/// Returns the times at which the tokens were created, in order.
fn created(tool: &Tool) -> Vec<String> {
    let list = tool.run(&["list", "--json", "--state", "all"]).done().out;
    let field = |line: &str| line.split_once("\"created_at\":\"").unwrap().1[..19].to_owned() + "Z";
    let mut times: Vec<String> = list.lines().map(field).collect();
    times.sort();
    times
}

/// Seen from the clock that is ahead, the last time of the right clock was 400 days ago.
#[test]
fn purge_after_write_by_wrong_clock_asks() {
    let tool = Tool::new();
    for _ in 0..3 {
        expiring_after(&tool, 400, 90 * DAY);
    }
    purge(&tool, 180, &["--yes"]).failed("This would remove every record");
    tool.issue(&[]);
    let ran = purge(&tool, 180, &["--yes"]).failed(
        "nothing was changed\nhint: check it with `date -u`; if it is right, add --clock-is-right",
    );
    let times = created(&tool);
    let gap =
        format!("The file has no time between {} and {}, 400 days later. ", times[2], times[3]);
    assert!(ran.err.contains(&gap), "{gap} {ran:?}");
    assert!(ran.err.contains("in between would be removed: 3."), "{ran:?}");
    let dry = purge(&tool, 180, &["--dry-run"]).done();
    assert!(dry.out == "3\n" && dry.err.contains(&gap), "{dry:?}");
    let words = ["purge", "--retention", "180d"];
    let ran = tool.answer(&words, "n\ny\n").failed("cancelled: nothing was changed");
    assert!(ran.err.contains(&gap) && ran.err.contains("Is the clock right? [y/N]"), "{ran:?}");
    assert_eq!(records(&tool), 4);
    purge(&tool, 180, &["--yes", "--clock-is-right"]).done();
    assert_eq!(records(&tool), 1);
    // What was confirmed is not asked again.
    revoked_days_ago(&tool, 200);
    purge(&tool, 180, &["--yes"]).done();
}

#[test]
fn purge_after_two_jumps_asks() {
    let tool = Tool::new();
    expiring_after(&tool, 800, 90 * DAY);
    issued_days_ago(&tool, 400);
    tool.issue(&[]);
    let times = created(&tool);
    let gap = format!("no time between {} and {}, ", times[0], times[1]);
    purge(&tool, 180, &["--yes"]).failed(&gap);
}

#[test]
fn purge_compares_gap_with_retention() {
    for (gap, asks) in [(99, false), (101, true)] {
        let tool = Tool::new();
        // It expired in the gap.
        expiring_after(&tool, 300, 60 * DAY);
        issued_days_ago(&tool, 300 - gap);
        for days in [150, 75, 0] {
            issued_days_ago(&tool, days);
        }
        match asks {
            true => drop(purge(&tool, 100, &["--yes"]).failed("would be removed: 1.")),
            false => drop(purge(&tool, 100, &["--yes"]).done()),
        }
    }
}

/// A gap in which no token expired hides no living token. A revoked token is not alive under any clock.
#[test]
fn purge_across_old_gap_does_not_ask() {
    let tool = Tool::new();
    issued_days_ago(&tool, 900);
    revoked_days_ago(&tool, 600);
    expiring_after(&tool, 300, 30 * DAY);
    for days in [270, 150, 0] {
        issued_days_ago(&tool, days);
    }
    purge(&tool, 180, &["--yes"]).done();
    assert_eq!(records(&tool), 4);
}

/// A write by the clock that is ahead does not hide that no token was used for a long time.
#[test]
fn bulk_verb_after_long_disuse_asks() {
    for (days, asks) in [(29, false), (31, true)] {
        let tool = Tool::new();
        expiring_after(&tool, 200, EVER);
        used_days_ago(&tool, days);
        tool.issue(&[]);
        let words = ["revoke-all", "--unused-since", "90d", "--yes-revoke", "1"];
        match asks {
            true => {
                let ran =
                    tool.run(&words).failed(", and the newest use of a token in the file is 20");
                assert!(ran.err.contains("Z, 31 days earlier. Under a wrong clock"), "{ran:?}");
                tool.run(&[&words[..], &["--clock-is-right"]].concat()).done();
            }
            false => drop(tool.run(&words).done()),
        }
    }
}
