//! `--out`: the token goes to a file, which changes only if the command succeeds.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::tool::{Ran, Tool, finish, of_2020};

const ISSUE: [&str; 7] =
    ["issue", "--type", "connector", "--owner", "acme", "--issued-to", "nightly backup"];

impl Tool {
    fn out(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    fn has_temporary_file(&self) -> bool {
        self.temporary_file().is_some()
    }

    fn temporary_file(&self) -> Option<PathBuf> {
        let name = self.files().into_iter().find(|name| name.ends_with(".tmp"))?;
        Some(self.folder.path().join(name))
    }
}

fn with_out(words: &[&str], out: &str) -> Vec<String> {
    words.iter().chain(&["--out", out]).map(|word| (*word).to_owned()).collect()
}

#[test]
fn token_goes_to_out_file_alone() {
    let tool = Tool::new();
    let ran = tool.run(&with_out(&ISSUE, "token")).done();
    assert_eq!(ran.out, "");
    let token = fs::read_to_string(tool.out()).unwrap();
    assert!(ran.err.ends_with(" It is in token.\n") && !ran.err.contains(token.trim()), "{ran:?}");
    tool.answer(&["verify"], &token).done();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(tool.out()).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let id = tool.run(&["list", "--json"]).done().out[7..29].to_owned();
    let rotate = with_out(&["rotate", &id, "--at-once", "--by", "ada"], "token");
    let ran = tool.run(&rotate).done();
    assert_eq!(ran.out, "");
    let rotated = fs::read_to_string(tool.out()).unwrap();
    assert_eq!(rotated.lines().count(), 1);
    tool.answer(&["verify"], &rotated).done();
    tool.answer(&["verify"], &token).failed("");
    let shown = tool.run(&["show", &id]).done().out;
    assert!(shown.contains("Secret Created By   ada\n"), "{shown}");
    assert!(!tool.has_temporary_file());
}

#[test]
fn refused_rotation_leaves_out_file() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&[]);
    tool.run(&with_out(&["rotate", &id, "--overlap", "1h"], "token")).done();
    let token = fs::read_to_string(tool.out()).unwrap();
    let refused: [&[&str]; 4] = [
        &["rotate", &id, "--overlap", "1h"],
        &["rotate", "0000000000000000000000", "--at-once"],
        &["rotate", &id, "--at-once", "--file", "missing"],
        &["rotate", &id, "--at-once", "--events", "missing/file"],
    ];
    for words in refused {
        let ran = tool.run(&with_out(words, "token")).failed("");
        assert_eq!((&*ran.out, tool.has_temporary_file()), ("", false), "{words:?} {ran:?}");
        assert_eq!(fs::read_to_string(tool.out()).unwrap(), token, "{words:?}");
    }
    let ran = tool.run(&with_out(&[&ISSUE[..], &["--expires", "999d"]].concat(), "new"));
    ran.failed("--expires");
    assert!(!tool.folder.path().join("new").exists());
    tool.answer(&["verify"], &token).done();
}

#[test]
fn live_token_of_other_id_is_not_replaced() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&[]);
    tool.run(&with_out(&ISSUE, "token")).done();
    let token = fs::read_to_string(tool.out()).unwrap();
    let other = tool.run(&["list", "--json", "--limit", "1"]).done().out[7..29].to_owned();
    for words in [&ISSUE[..], &["rotate", &id, "--at-once"]] {
        let ran = tool.run(&with_out(words, "token")).failed("the file has a token of ");
        assert!(ran.err.contains(&other) && ran.err.contains("nothing was changed"), "{ran:?}");
        assert_eq!(fs::read_to_string(tool.out()).unwrap(), token);
    }
    assert_eq!(tool.run(&["list", "--json"]).done().out.lines().count(), 2);
    // Its own rotation, a token that has ended, and other text.
    tool.run(&with_out(&["rotate", &other, "--at-once"], "token")).done();
    tool.run(&["revoke", &other, "--yes"]).done();
    tool.run(&with_out(&["rotate", &id, "--at-once"], "token")).done();
    fs::write(tool.out(), "a note\n".repeat(1_000)).unwrap();
    tool.run(&with_out(&ISSUE, "token")).done();
    tool.answer(&["verify"], fs::read(tool.out()).unwrap()).done();
}

#[test]
#[cfg(unix)]
fn out_to_no_regular_file_is_refused() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let path = |name: &str| tool.folder.path().join(name);
    fs::create_dir(path("folder")).unwrap();
    fs::write(path("target"), "kept").unwrap();
    std::os::unix::fs::symlink("target", path("link")).unwrap();
    fs::hard_link(tool.path(), path("hard")).unwrap();
    assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    let before = fs::read(tool.path()).unwrap();
    for out in [
        "folder",
        "link",
        "pipe",
        "/dev/stdout",
        "/dev/null",
        "missing/token",
        "..",
        "tokens.journal",
        "./folder/../tokens.journal",
        "hard",
        "tokens.journal.lock",
        "tokens.journal.events.jsonl",
    ] {
        for words in [&["rotate", &id, "--at-once"][..], &ISSUE] {
            let ran = tool.run(&with_out(words, out)).failed("nothing was changed");
            assert_eq!(ran.out, "", "{out} {ran:?}");
        }
    }
    assert_eq!(fs::read(tool.path()).unwrap(), before);
    assert_eq!(fs::read(path("target")).unwrap(), b"kept");
    tool.answer(&["verify"], token).done();

    // A token file that does not exist yet.
    let fresh = Tool::new();
    fresh.run(&with_out(&ISSUE, "tokens.journal")).failed("belongs to the tool");
    assert_eq!(fresh.files(), [""; 0]);
}

/// The space for the token is reserved before the rotation.
#[test]
#[cfg(target_os = "linux")]
fn out_on_full_disk_changes_nothing() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let script = format!(
        "trap '' XFSZ; ulimit -f 0; '{}' rotate {id} --at-once --out token 2>&1",
        tool.program().display()
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script]).env("TOKENS_FILE", tool.path());
    let output = command.current_dir(tool.folder.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--out token: ") && said.contains("nothing was changed"), "{said}");
    assert!(!tool.out().exists() && !tool.has_temporary_file());
    tool.answer(&["verify"], token).done();
}

/// The file of tokens is so long that it is still being read when the temporary file is harmed.
#[test]
fn token_without_place_is_not_lost() {
    let tool = Tool::new();
    of_2020(&tool, 20_000, Duration::from_secs(36_500 * 86_400));
    let (id, _) = tool.issue(&[]);
    let rotate_while = |harm: &dyn Fn(PathBuf)| -> Ran {
        let child = tool.start(&with_out(&["rotate", &id, "--at-once"], "token"));
        let began = Instant::now();
        let temporary = loop {
            if let Some(temporary) = tool.temporary_file() {
                break temporary;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "no temporary file");
        };
        harm(temporary);
        finish(child, b"").failed("")
    };

    let ran = rotate_while(&|temporary| fs::remove_file(temporary).unwrap());
    assert!(ran.err.contains("It could not be written to token: ") && !tool.out().exists());
    tool.answer(&["verify"], ran.out).done();

    let ran = rotate_while(&|_| fs::create_dir(tool.out()).unwrap());
    let temporary = tool.temporary_file().unwrap();
    let name = temporary.file_name().unwrap().to_str().unwrap();
    assert!(ran.err.contains("the token could not be put into token: "), "{ran:?}");
    assert!(ran.err.contains(&format!("hint: it is in {name}")) && ran.out.is_empty(), "{ran:?}");
    tool.answer(&["verify"], fs::read(temporary).unwrap()).done();
}
