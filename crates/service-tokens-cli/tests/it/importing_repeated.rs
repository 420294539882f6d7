//! `import` of rows that repeat a digest, in one file or in another run.

use std::fs;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

use crate::importing::{HEADER, HEX};
use crate::tool::{Ran, Tool};

/// Returns a file with these rows for one digest, each from its last columns.
fn file(columns: &str, rows: &[&str]) -> String {
    rows.iter().fold(format!("digest,{columns}\n"), |text, row| text + HEX + "," + row + "\n")
}

/// Checks the sums of the report.
#[track_caller]
fn sums(ran: &Ran, sums: &str) {
    assert!(ran.err.lines().any(|line| line == sums), "{sums:?} is not in {ran:?}");
}

fn id(tool: &Tool) -> String {
    tool.run(&["list", "--json"]).done().out[7..29].to_owned()
}

#[test]
fn equal_rows_count_as_repeated() {
    let tool = Tool::new();
    let columns = "owner,type,issued_to,expires_at,networks,metadata.k";
    let row = "acme,connector,backup,2099-01-01T00:00:00Z,10.0.0.0/8,v";
    // The same time in another spelling, and fields that are not set.
    let same = "acme,connector,backup,2099-01-01 00:00:00+00,10.0.0.0/8,v";
    let text = file(columns, &[row, same, row]);
    let wide = ["--max-lifetime", "36500d"];
    let ran = tool.import(&text, &[&wide[..], &["--dry-run"]].concat()).done();
    sums(&ran, "1 would be imported, 0 already imported, 2 repeated, 0 refused.");
    let ran = tool.import(&text, &wide).done();
    sums(&ran, "1 imported, 0 already imported, 2 repeated, 0 refused.");
    let ran = tool.import(&text, &wide).done();
    sums(&ran, "0 imported, 1 already imported, 2 repeated, 0 refused.");
}

#[test]
fn rows_with_one_digest_that_differ_are_refused() {
    let columns = "owner,type,issued_to,issued_by,expires_at,not_before,created_at,scopes,networks,metadata.k";
    let row = "acme,connector,backup,ada,30d,2020-01-01T00:00:00Z,2020-01-01T00:00:00Z,\
               files:upload,10.0.0.0/8,v";
    for (column, old, new) in [
        ("owner", "acme", "globex"),
        ("type", "connector", "developer"),
        ("issued_to", "backup", "restore"),
        ("issued_by", "ada", "bob"),
        ("expires_at", "30d", "31d"),
        ("not_before", "2020-01-01T00:00:00Z,2020", "2020-01-02T00:00:00Z,2020"),
        ("created_at", "2020-01-01T00:00:00Z,files", "2020-01-02T00:00:00Z,files"),
        ("scopes", "files:upload", ""),
        ("networks", "10.0.0.0/8", "11.0.0.0/8"),
        ("metadata", ",v", ",w"),
    ] {
        let tool = Tool::new();
        let other = row.replacen(old, new, 1);
        assert_ne!(row, other, "{column}");
        let text = file(columns, &[row, &other, row]) + &format!("{:064x},{row}\n", 7);
        let reasons = [
            format!("line 2: has the same digest as line 3 and differs in {column}\n"),
            format!("line 3: has the same digest as line 2 and differs in {column}\n"),
            format!("line 4: has the same digest as line 3 and differs in {column}\n"),
        ];
        let reasons: Vec<&str> = reasons.iter().map(|reason| &**reason).collect();
        tool.import(&text, &[]).refused(&reasons);
        assert!(tool.files().is_empty());
        let ran = tool.import(&text, &["--skip-refused"]).refused(&reasons);
        sums(&ran, "1 imported, 0 already imported, 3 refused.");
    }
}

#[test]
fn import_again_with_other_values_says_so() {
    let tool = Tool::new();
    let columns =
        "owner,type,issued_to,expires_at,not_before,created_at,scopes,networks,metadata.k";
    let row = "acme,connector,backup,2099-01-01T00:00:00.000001Z,2020-01-01T00:00:00Z,\
               2020-01-01T00:00:00Z,files:upload,10.0.0.0/8 11.0.0.0/8,v";
    let options = ["--allow-never", "--max-lifetime", "36500d"];
    tool.import(&file(columns, &[row]), &options).imported(1, 0);
    let (id, before) = (id(&tool), fs::read(tool.path()).unwrap());
    for (column, old, new) in [
        ("issued_to", "backup", "restore"),
        ("expires_at", "00.000001Z", "00Z"),
        ("expires_at", "2099-01-01T00:00:00.000001Z", "never"),
        ("not_before", "Z,2020-01-01T00:00:00Z", "Z,2020-01-02T00:00:00Z"),
        ("created_at", "Z,files", ".5Z,files"),
        ("scopes", "files:upload", "files:read"),
        ("networks", "10.0.0.0/8 ", ""),
        ("metadata", ",v", ",w"),
    ] {
        let other = row.replacen(old, new, 1);
        assert_ne!(row, other, "{column}");
        let text = file(columns, &[&other]);
        for more in [&["--dry-run"][..], &[]] {
            let ran = tool.import(&text, &[&options[..], more].concat()).done();
            let line = format!("line 2: the record {id} differs in {column} and was not changed\n");
            assert!(ran.err.contains(&line), "{line:?} is not in {ran:?}");
            let done = if more.is_empty() { "imported" } else { "would be imported" };
            sums(&ran, &format!("0 {done}, 1 already imported (1 with other values), 0 refused."));
        }
    }
    assert_eq!(fs::read(tool.path()).unwrap(), before);
}

/// An end that is counted from now does not differ.
#[test]
fn import_again_with_same_values_is_silent() {
    let tool = Tool::new();
    let columns = "owner,type,issued_to,expires_at,scopes,networks,metadata.k";
    let row = "acme,connector,backup,30d,files:upload,11.0.0.0/8 10.0.0.0/8,v";
    tool.import(&file(columns, &[row]), &[]).imported(1, 0);
    for again in [
        row,
        "acme,connector,backup,31d,files:upload,10.0.0.0/8 11.0.0.0/8 10.0.0.0/8,v",
        "acme,connector,backup,,files:upload,10.0.0.0/8 11.0.0.0/8,v",
        // The scopes of the type.
        "acme,connector,backup,,,10.0.0.0/8 11.0.0.0/8,v",
    ] {
        let ran = tool.import(&file(columns, &[again]), &["--issued-by", "bob"]).imported(0, 1);
        assert!(!ran.err.contains("differs"), "{ran:?}");
    }
    // An amendment is a difference, too.
    tool.run(&["amend", &id(&tool), "--issued-to", "restore"]).done();
    let ran = tool.import(&file(columns, &[row]), &[]).done();
    assert!(ran.err.contains("differs in issued_to and"), "{ran:?}");
}

/// An import of a row with an empty field would not store the value that the record has.
#[test]
fn import_again_with_empty_field_says_so() {
    let tool = Tool::new();
    let columns = "owner,type,issued_to,expires_at,not_before,created_at,scopes,networks,metadata.k,metadata.l";
    let row = "acme,developer,backup,30d,2020-01-01T00:00:00Z,2019-01-01T00:00:00Z,files:upload,\
               10.0.0.0/8,v,w";
    tool.import(&file(columns, &[row]), &[]).imported(1, 0);
    let (id, before) = (id(&tool), fs::read(tool.path()).unwrap());
    let differs = |text: &str, columns: &str| {
        for more in [&["--dry-run"][..], &[]] {
            let ran = tool.import(text, more).done();
            let line =
                format!("line 2: the record {id} differs in {columns} and was not changed\n");
            assert!(ran.err.contains(&line), "{line:?} is not in {ran:?}");
        }
    };
    for (column, old, new) in [
        ("scopes", "files:upload", ""),
        ("networks", "10.0.0.0/8", ""),
        ("not_before", "2020-01-01T00:00:00Z", ""),
        ("metadata", ",v", ","),
        ("metadata", ",w", ","),
    ] {
        let other = row.replacen(old, new, 1);
        assert_ne!(row, other, "{column}");
        differs(&file(columns, &[&other]), column);
    }
    // A column that the file does not have is empty in each row.
    let short = file("owner,type,issued_to", &["acme,developer,backup"]);
    differs(&short, "not_before, scopes, networks, metadata");
    for (old, new) in [("30d", ""), ("2019-01-01T00:00:00Z", "")] {
        let ran = tool.import(&file(columns, &[&row.replacen(old, new, 1)]), &[]).imported(0, 1);
        assert!(!ran.err.contains("differs"), "{ran:?}");
    }
    assert_eq!(fs::read(tool.path()).unwrap(), before);
}

/// The reverse: the row has values, and the record has none.
#[test]
fn import_again_with_new_value_says_so() {
    let tool = Tool::new();
    let columns = "owner,type,issued_to,not_before,scopes,networks,metadata.k";
    tool.import(&file(columns, &["acme,developer,backup,,,,"]), &[]).imported(1, 0);
    let row = "acme,developer,backup,2020-01-01T00:00:00Z,files:upload,10.0.0.0/8,v";
    let ran = tool.import(&file(columns, &[row]), &[]).done();
    assert!(ran.err.contains("differs in not_before, scopes, networks, metadata and"), "{ran:?}");
    // A removed type has no scopes to compare.
    let types = ["--type-def", "other=files:read"];
    let ran = tool.import(&file(columns, &["acme,developer,backup,,,,"]), &types).done();
    sums(&ran, "0 imported, 1 already imported, 0 refused.");
}

#[test]
fn import_counts_rows_without_end() {
    let day = |days: u64| {
        let end = SystemTime::now() + Duration::from_secs(days * 86_400);
        DateTime::<Utc>::from(end).format("%Y-%m-%d").to_string()
    };
    let report = |ran: Ran| {
        let line = ran.err.lines().find(|line| line.starts_with("Rows without an end"));
        line.map(str::to_owned)
    };
    let text = |ends: &[&str]| {
        let row = |(n, end): (usize, &&str)| format!("{n:064x},acme,connector,job,{end}\n");
        let rows: String = ends.iter().enumerate().map(row).collect();
        format!("{HEADER},expires_at\n{rows}")
    };
    let mixed = text(&["", "30d", "", "2099-01-01T00:00:00Z", ""]);
    for (more, days) in [(&[][..], 90), (&["--max-lifetime", "10d"], 10)] {
        let tool = Tool::new();
        // The longest of these lifetimes is refused, so three rows are left.
        let skip = [&["--skip-refused"], more].concat();
        let before = day(days);
        for more in [&["--dry-run"][..], &[]] {
            let ran = tool.import(&mixed, &[&skip[..], more].concat());
            let told = report(ran).unwrap();
            let expected = [before.clone(), day(days)].map(|date| {
                format!("Rows without an end: 3. The default lifetime ends their tokens on {date} (UTC).")
            });
            assert!(expected.contains(&told), "{told} {expected:?}");
        }
        // They are imported now.
        assert_eq!(report(tool.import(&mixed, &skip)), None);
        let longer = text(&["", "30d", "", "2099-01-01T00:00:00Z", "", ""]);
        let dry = [&skip[..], &["--dry-run"]].concat();
        assert!(report(tool.import(&longer, &dry)).unwrap().contains("an end: 1. "));
        assert!(report(tool.import(&longer, &skip)).unwrap().contains("an end: 1. "));
    }
    // Nothing is imported, or each row has an end.
    let tool = Tool::new();
    assert_eq!(report(tool.import(&mixed, &[])), None);
    assert_eq!(report(tool.import(&text(&["", ""]), &["--expires", "30d"])), None);
    assert_eq!(report(tool.import(&text(&["1d"]), &["--dry-run"])), None);
}

#[test]
fn import_reads_times_of_databases() {
    for (time, shown) in [
        ("2020-01-02 03:04:05", "2020-01-02T03:04:05"),
        ("2020-01-02 03:04:05.5", "2020-01-02T03:04:05.5"),
        ("2020-01-02 03:04:05.250000+00", "2020-01-02T03:04:05.25"),
        ("2020-01-02 05:04:05+02", "2020-01-02T03:04:05"),
        ("2020-01-02T03:04:05Z", "2020-01-02T03:04:05"),
    ] {
        let tool = Tool::new();
        let columns = "owner,type,issued_to,created_at,not_before,expires_at";
        let row = format!("acme,connector,backup,{time},{time},2099-01-02 03:04:05");
        tool.import(&file(columns, &[&row]), &["--max-lifetime", "36500d"]).imported(1, 0);
        let record = tool.run(&["show", &id(&tool), "--json"]).done().out;
        assert!(record.contains(&format!("\"created_at\":\"{shown}")), "{record}");
        assert!(record.contains(&format!("\"not_before\":\"{shown}")), "{record}");
        assert!(record.contains("\"expires_at\":\"2099-01-02T03:04:05"), "{record}");
    }
    for column in ["created_at", "not_before", "expires_at"] {
        for time in ["2020-01-02", "0000-00-00 00:00:00", "1577934245", "infinity"] {
            let text = format!("{HEADER},{column}\n{HEX},acme,connector,backup,{time}\n");
            let reason = format!("line 2: {column} must be a time such as 2027-01-01T00:00:00Z or");
            Tool::new().import(&text, &[]).refused(&[&reason]);
        }
    }
}
