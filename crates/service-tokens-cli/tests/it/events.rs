//! The events file: its lines, and files that cannot be opened or written.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::tool::{HOSTILE, Ran, Tool, finish};

impl Tool {
    pub(crate) fn events_path(&self) -> PathBuf {
        self.folder.path().join("tokens.journal.events.jsonl")
    }

    /// Returns the events in the file, each with its name.
    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        let text = fs::read_to_string(self.events_path()).unwrap_or_default();
        text.lines()
            .map(|line| {
                let event: Value = serde_json::from_str(line).unwrap();
                (event["event"].as_str().unwrap().to_owned(), event)
            })
            .collect()
    }

    /// Runs the program in a shell, in which no file can become longer than this number of KiB.
    pub(crate) fn with_full_disk(&self, kib: u32, words: &[&str]) -> Ran {
        self.with_full_disk_answer(kib, words, "")
    }

    /// Does the same with this standard input.
    pub(crate) fn with_full_disk_answer(&self, kib: u32, words: &[&str], input: &str) -> Ran {
        let script =
            format!("trap '' XFSZ; ulimit -f {kib} && exec '{}' \"$@\"", self.program().display());
        let mut command = Command::new("bash");
        command.args(["-c", &script, "bash"]).args(words);
        command.env("TOKENS_FILE", self.path()).current_dir(self.folder.path());
        command.stdin(std::process::Stdio::piped());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        finish(command.spawn().unwrap(), input.as_bytes())
    }
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| &**name).collect()
}

#[test]
fn every_change_appends_its_event() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&["--by", "ada", "--expires", "30d"]);
    let word = "--by=ada";
    let steps: &[(&[&str], &[&str])] = &[
        (&["rotate", &id, "--overlap", "1h", word], &["rotated"]),
        (&["end-older", &id, word], &["older_secret_ended"]),
        (&["amend", &id, "--issued-to", "x", word], &["amended"]),
        (&["suspend", &id, "--yes", word], &["suspended"]),
        (&["resume", &id, "--yes", word], &["resumed"]),
        (&["suspend-all", "--yes-suspend", "1", word], &["suspended", "suspended_all"]),
        (
            &["resume-all", "--suspended-by", "ada", "--yes-resume", "1", word],
            &["resumed", "resumed_all"],
        ),
        (&["revoke", &id, "--yes", word, "--reason", HOSTILE], &["revoked"]),
    ];
    let issued = tool.events();
    assert_eq!(names(&issued), ["issued"]);
    for (words, expected) in steps {
        let before = tool.events().len();
        let ran = tool.run(words);
        assert_eq!(ran.status, Some(0), "{words:?} {ran:?}");
        let events = tool.events().split_off(before);
        assert_eq!(names(&events), *expected, "{words:?}");
        for (_, event) in events {
            assert_eq!(event["by"], "ada", "{words:?}");
            assert!(event["at"].as_str().unwrap().ends_with('Z'), "{event}");
            let is_about = event["id"] == *id || event.get("filter").is_some();
            assert!(is_about && event.get("operator").is_some(), "{event}");
        }
    }
    let text = fs::read_to_string(tool.events_path()).unwrap();
    let secret = &token[token.len() - 49..token.len() - 6];
    assert!(!text.contains(secret) && !text.contains('\u{202e}'), "{text}");
    assert_eq!(tool.events().last().unwrap().1["reason"], HOSTILE);
}

#[test]
fn bulk_verbs_append_each_token() {
    let tool = Tool::new();
    let tokens: Vec<(String, String)> = (0..3).map(|_| tool.issue(&[])).collect();
    let texts: String = tokens.iter().map(|(_, token)| format!("{token}\n")).collect();
    let reported = tool.answer(&["report-leak", "--action", "suspend", "--by", "ada"], &texts);
    assert_eq!(reported.done().out.lines().count(), 3);
    tool.run(&["revoke-all", "--yes-revoke", "3"]).done();
    crate::tool::of_2020(&tool, 2, std::time::Duration::from_secs(86_400));
    tool.run(&["purge", "--retention", "1d", "--yes", "--clock-is-right", "--by", "ada"]).done();
    let purged = tool.events().pop().unwrap().1;
    let said = (&purged["event"], &purged["purged"], &purged["by"]);
    assert_eq!(said, (&"purged".into(), &2.into(), &"ada".into()));
    let rows = format!("digest,issued_to\n{},x\n", "ab".repeat(32));
    let form = "sha256,prefix=sk_,characters=base62,lengths=32";
    let import = ["import", "-", "--owner", "a", "--type", "connector", "--import-form", form];
    tool.answer(&import, rows).done();
    let events = tool.events();
    let of = |wanted: &str| names(&events).iter().filter(|name| **name == wanted).count();
    assert_eq!((of("issued"), of("suspended"), of("leak_reported")), (3, 3, 3));
    assert_eq!((of("revoked"), of("revoked_all"), of("imported")), (3, 1, 1));
    // Neither reading nor counting is a change.
    assert_eq!((of("read"), of("listed"), of("counted")), (0, 0, 0));
    for (id, _) in &tokens {
        let has = |name: &str| events.iter().any(|(n, event)| n == name && event["id"] == **id);
        assert!(has("suspended") && has("revoked"), "{id}");
    }
}

#[test]
fn read_verbs_create_no_events_file() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&["--no-events"]);
    for words in [
        &["list"][..],
        &["show", &id],
        &["verify"],
        &["report-leak"],
        &["revoke-all", "--dry-run"],
        &["purge", "--retention", "1d", "--dry-run"],
    ] {
        tool.answer(words, &token).done();
    }
    assert!(!tool.events_path().exists());
    tool.run(&["revoke", &id, "--yes", "--no-events"]).done();
    assert!(!tool.events_path().exists());
    // Another file.
    tool.issue(&["--events", "other.jsonl"]);
    assert!(!tool.events_path().exists() && tool.files().contains(&"other.jsonl".to_owned()));
    tool.run(&["list", "--events", "a", "--no-events"]).misused("can be given once");
}

#[test]
#[cfg(unix)]
fn unusable_events_file_changes_nothing() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&["--no-events"]);
    let path = |name: &str| tool.folder.path().join(name);
    fs::create_dir(path("folder")).unwrap();
    fs::write(path("target"), "").unwrap();
    std::os::unix::fs::symlink("target", path("link")).unwrap();
    let made = Command::new("mkfifo").arg(path("pipe")).status().unwrap();
    assert!(made.success());
    let before = fs::read(tool.path()).unwrap();
    for file in ["folder", "link", "pipe", "missing/file", "/dev/full"] {
        for words in [&["revoke", &id, "--yes"][..], &["rotate", &id, "--at-once"]] {
            let ran = tool.run(&[words, &["--events", file]].concat());
            let ran = ran.failed("cannot be opened");
            assert!(ran.err.contains("nothing was changed\nhint: --events FILE"), "{ran:?}");
            assert_eq!(ran.out, "", "{file}");
        }
    }
    assert_eq!(fs::read(tool.path()).unwrap(), before);
    assert_eq!(fs::read(path("target")).unwrap(), b"");
    tool.answer(&["verify"], token).done();

    // The token file is not created either, and neither is an events file without a token file.
    let fresh = Tool::new();
    let issue = ["issue", "--type", "connector", "--owner", "a", "--issued-to", "b"];
    fresh.run(&[&issue[..], &["--events", "missing/file"]].concat()).failed("cannot be opened");
    assert_eq!(fresh.files(), [""; 0]);
    fs::create_dir(fresh.path()).unwrap();
    fresh.run(&issue).failed("tokens.journal");
    assert_eq!(fresh.files(), ["tokens.journal"]);
    let locked = Tool::new();
    fs::create_dir(locked.path().with_extension("journal.lock")).unwrap();
    locked.run(&issue).failed("tokens.journal");
    assert_eq!(locked.files(), ["tokens.journal.lock"]);
}

#[test]
#[cfg(target_os = "linux")]
fn unwritten_event_is_shown_with_own_status() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    // The events file is longer than the limit, and the token file is shorter.
    let filler = format!("{{\"event\":\"filler\",\"text\":\"{}\"}}\n", "x".repeat(200_000));
    fs::write(tool.events_path(), &filler).unwrap();
    let ran = tool.with_full_disk(100, &["revoke", &id, "--yes", "--by", "ada"]);
    assert_eq!((ran.status, &*ran.out), (Some(4), ""), "{ran:?}");
    assert!(ran.err.contains("the changes are in effect, but their events"), "{ran:?}");
    let line = ran.err.lines().find(|line| line.starts_with('{')).unwrap();
    let event: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&event["event"], &event["id"]), (&"revoked".into(), &(*id).into()));
    assert!(tool.answer(&["verify"], token).out.starts_with("refused the token was revoked"));
    assert_eq!(fs::read_to_string(tool.events_path()).unwrap(), filler);

    // A token is still handed over.
    let issue = ["issue", "--type", "connector", "--owner", "a", "--issued-to", "b"];
    let ran = tool.with_full_disk(100, &issue);
    assert_eq!(ran.status, Some(4), "{ran:?}");
    tool.answer(&["verify"], &ran.out).done();
    let all = tool.with_full_disk(100, &["revoke-all", "--yes-revoke", "1"]);
    assert_eq!(all.status, Some(4), "{all:?}");
    assert_eq!(all.err.lines().filter(|line| line.starts_with('{')).count(), 2, "{all:?}");
}

/// A file that logrotate has deleted in the meantime would lose the lines.
#[test]
#[cfg(unix)]
fn deleted_events_file_shows_events() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&[]);
    let mut child = tool.start(&["revoke", &id]);
    let mut asked = [0; 8];
    child.stderr.as_mut().unwrap().read_exact(&mut asked).unwrap();
    fs::remove_file(tool.events_path()).unwrap();
    child.stdin.as_mut().unwrap().write_all(b"y\n").unwrap();
    let ran = finish(child, b"");
    assert_eq!(ran.status, Some(4), "{ran:?}");
    let shown = ran.err.lines().filter(|line| line.contains("\"event\":\"revoked\"")).count();
    assert!(shown == 1 && ran.err.contains("was deleted"), "{ran:?}");
}

#[test]
#[cfg(unix)]
fn events_of_linked_file_are_next_to_target() {
    let tool = Tool::new();
    fs::create_dir(tool.folder.path().join("data")).unwrap();
    let (target, data) = ("data/tokens", tool.folder.path().join("data"));
    tool.issue(&["--file", target, "--no-events"]);
    std::os::unix::fs::symlink(target, tool.path()).unwrap();
    let (id, _) = tool.issue(&["--no-events"]);
    for out in ["data/tokens.events.jsonl", "data/tokens.lock"] {
        tool.run(&["rotate", &id, "--at-once", "--out", out]).failed("belongs to the tool");
    }
    tool.run(&["revoke", &id, "--yes"]).done();
    assert!(data.join("tokens.events.jsonl").exists() && !tool.events_path().exists());
}

#[test]
fn cut_last_line_does_not_join_the_next() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&[]);
    let whole = fs::read_to_string(tool.events_path()).unwrap();
    fs::write(tool.events_path(), &whole[..whole.len() - 20]).unwrap();
    tool.run(&["revoke", &id, "--yes"]).done();
    let text = fs::read_to_string(tool.events_path()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, &whole[..whole.len() - 20]));
    assert!(lines[1].contains("\"event\":\"revoked\"") && text.ends_with("}\n"), "{text}");
    tool.issue(&[]);
    assert_eq!(fs::read_to_string(tool.events_path()).unwrap().lines().count(), 3);
}

/// More events than the queue of events holds.
#[test]
fn many_events_are_all_written() {
    const TOKENS: usize = 9_000;
    let tool = Tool::new();
    crate::tool::of_2020(&tool, TOKENS, std::time::Duration::from_secs(36_500 * 86_400));
    let ids = tool.run(&["list", "--json"]).done().out;
    let ids: String = ids.lines().map(|line| format!("{}\n", &line[7..29])).collect();
    tool.answer(&["suspend", "-", "--yes"], &ids).done();
    tool.run(&["revoke-all", "--yes-revoke", "9000"]).done();
    let events = tool.events();
    for wanted in ["suspended", "revoked"] {
        let count = names(&events).iter().filter(|name| **name == wanted).count();
        assert_eq!(count, TOKENS, "{wanted}");
    }
}
