//! Behaviour at a terminal: the end by Ctrl-D, and the progress bar.

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::tool::{Tool, of_2020};

/// The limit for a program that does not end.
const LONGEST: Duration = Duration::from_secs(60);

/// Runs the program at a terminal with `script` of util-linux and types this text. Returns the status and
/// the output, or `None` with a note on standard error if there is no such command.
fn at_a_terminal(tool: &Tool, words: &str, typed: &str) -> Option<(Option<i32>, String)> {
    let line = format!("'{}' {words}", tool.program().display());
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.env("TOKENS_FILE", tool.path()).current_dir(tool.folder.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // Written directly, because the output of macros appears for failed tests only.
            let written =
                writeln!(io::stderr(), "NOT RUN: {words} at a terminal, by script: {error}");
            written.unwrap();
            return None;
        }
    };
    // Standard input stays open, so that the typed text ends the program.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(typed.as_bytes()).unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let shown = thread::spawn(move || {
        let mut shown = Vec::new();
        stdout.read_to_end(&mut shown).unwrap();
        String::from_utf8(shown).unwrap()
    });
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > LONGEST {
            child.kill().unwrap();
            panic!("{words} waits for ever: {:?}", shown.join());
        }
        thread::sleep(Duration::from_millis(10));
    };
    drop(stdin);
    Some((status.code(), shown.join().unwrap()))
}

#[test]
#[cfg(target_os = "linux")]
fn verify_at_terminal_ends_at_ctrl_d() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let Some((status, shown)) = at_a_terminal(&tool, "verify", &format!("{token}\n\u{4}")) else {
        return;
    };
    assert_eq!(status, Some(0), "{shown}");
    assert!(shown.contains("then Ctrl-D."), "{shown}");
    assert!(shown.contains(&format!("accepted {id} acme connector")), "{shown}");
}

/// The bar appears after some time, so the number of tokens grows until it does.
#[test]
#[cfg(target_os = "linux")]
fn revoke_all_at_terminal_clears_progress_bar() {
    for tokens in [12_000, 40_000, 150_000] {
        let tool = Tool::new();
        of_2020(&tool, tokens, Duration::from_secs(36_500 * 86_400));
        let typed = format!("{tokens}\n");
        let Some((status, shown)) = at_a_terminal(&tool, "revoke-all", &typed) else { return };
        assert_eq!(status, Some(0), "{shown}");
        let Some((before, after)) = shown.split_once("\rrevoking [#") else { continue };
        assert!(before.contains(&format!("Type {tokens} to revoke them:")), "{shown:?}");
        let end = format!(" %\r\u{1b}[KRevoked {tokens} tokens.");
        assert!(after.contains(&end), "{shown:?}");
        return;
    }
    panic!("no bar");
}
