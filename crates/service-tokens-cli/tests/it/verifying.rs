//! `verify`: one answer for each line, and the exit status.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::Stdio;

use service_tokens::FileStore;

use crate::lines::{Line, Lines};
use crate::tool::{Tool, finish};

const ISSUE: [&str; 7] =
    ["issue", "--type", "connector", "--owner", "acme", "--issued-to", "nightly backup"];

#[test]
fn verify_answers_each_line_without_token() {
    let tool = Tool::new();
    let (id, token) =
        tool.issue(&["--expires", "2100-12-01T00:00:00Z", "--max-lifetime", "40000d"]);
    let accepted = format!("accepted {id} acme connector 2100-12-01T00:00:00Z");
    let mut altered = token.clone().into_bytes();
    altered[40] = if altered[40] == b'0' { b'1' } else { b'0' };
    let lines: Vec<(Vec<u8>, &str)> = vec![
        (token.clone().into(), &accepted),
        (format!("Authorization: Bearer {token}").into(), &accepted),
        (format!("authorization:bearer   {token} \r").into(), &accepted),
        (format!("  Bearer {token}").into(), &accepted),
        (format!("BEARER {token}").into(), &accepted),
        (altered, "refused the token's checksum does not match"),
        (token[..60].into(), "refused the token has the wrong length"),
        (b"".into(), "refused the token is empty"),
        (b"   ".into(), "refused the token is empty"),
        (
            format!("Authorization: Basic {token}").into(),
            "refused the header contains no Bearer token",
        ),
        (b"Authorization: Bearer".into(), "refused the header contains no Bearer token"),
        (b"\xff\xfe".into(), "refused the token has no underscore and so no prefix"),
        (format!("{token} {token}").into(), "refused the token is longer than 105 characters"),
        (vec![b'x'; 4_096], "refused the token is longer than 105 characters"),
        (vec![b'x'; 4_097], "refused the line is longer than 4096 bytes"),
        (vec![0; 3 << 20], "refused the line is longer than 4096 bytes"),
        (token.replace("live", "test").into(), "refused the token has an unknown prefix"),
        // The last line has no line break.
        (token.clone().into(), &accepted),
    ];
    let (input, answers): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
    let ran = tool.answer(&["verify"], input.join(&b'\n'));
    assert_eq!(ran.out.lines().collect::<Vec<_>>(), answers);
    assert_eq!((ran.status, &*ran.err), (Some(1), ""));
    // Neither the token nor a part of it.
    assert!(!ran.out.contains(&token[35..60]));
}

#[test]
fn verify_succeeds_only_if_all_are_accepted() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let verify = |input: &str| tool.answer(&["verify"], input).status;
    assert_eq!(verify(&token), Some(0));
    assert_eq!(verify(&format!("{token}\n{token}\n")), Some(0));
    assert_eq!(verify(&format!("{token}\n\n{token}\n")), Some(1));
    assert_eq!(verify("\n"), Some(1));
    // A script with an empty variable.
    tool.answer(&["verify"], "").failed("no line");
    tool.run(&["revoke", &id, "--yes"]).done();
    let ran = tool.answer(&["verify"], format!("{token}\n"));
    assert_eq!((ran.status, &*ran.out), (Some(1), "refused the token was revoked\n"));
}

#[test]
fn verify_checks_scopes_prefixes_and_types() {
    let tool = Tool::new();
    let (_, token) = tool.issue(&[]);
    let verify = |words: &[&str]| tool.answer(&[&["verify"], words].concat(), &token);
    verify(&["--require", "files:upload"]).done();
    let refused = verify(&["--require", "files:upload", "--require", "files:read"]);
    let reason = "refused the token lacks the required scope: files:upload and files:read\n";
    assert_eq!((refused.status, &*refused.out), (Some(1), reason));
    verify(&["--require", "files:*"]).misused("--require");
    let other_type = verify(&["--type-def", "developer=*"]);
    assert_eq!(other_type.out, "refused the token's type is unknown to this service\n");
    assert!(verify(&["--prefix", "acme_test"]).out.starts_with("refused"));
    verify(&["--prefix", "acme_test", "--accept-prefix", "acme_live"]).done();
}

/// The file is opened when the first line arrives, and each answer is written at once.
#[test]
fn verify_answers_each_line_at_once() {
    let tool = Tool::new();
    let mut verify = tool.start(&["verify"]);
    let mut answers = BufReader::new(verify.stdout.take().unwrap());
    let (_, token) = tool.issue(&[]);
    let mut stdin = verify.stdin.take().unwrap();
    for line in [&*token, "x_1"] {
        writeln!(stdin, "{line}").unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        assert_eq!(answer.starts_with("accepted"), line == token, "{answer}");
    }
    drop(stdin);
    assert_eq!(verify.wait().unwrap().code(), Some(1));
}

#[test]
fn verify_reads_token_piped_from_issue() {
    let tool = Tool::new();
    let mut issue = tool.start(&ISSUE);
    let token: Stdio = issue.stdout.take().unwrap().into();
    let mut verify = tool.bare();
    verify.env("TOKENS_FILE", tool.path()).arg("verify").stdin(token);
    let verified = verify.output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
    assert!(issue.wait().unwrap().success());
}

/// The pipe is full, so the program blocks while it writes the token.
#[test]
#[cfg(target_os = "linux")]
fn issue_unlocks_file_before_printing_token() {
    const PIPE: usize = 65_536;
    let tool = Tool::new();
    for words in [&ISSUE[..], &["rotate", &tool.issue(&[]).0, "--at-once"]] {
        let (mut reader, mut writer) = io::pipe().unwrap();
        writer.write_all(&[b'.'; PIPE]).unwrap();
        let mut command = tool.bare();
        command.env("TOKENS_FILE", tool.path()).args(words).stdout(writer);
        let mut child = command.spawn().unwrap();
        // The command owns the other end of the pipe.
        drop(command);
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().ends_with("shown only once:")));
        drop(FileStore::open(tool.path()).unwrap());
        let mut out = Vec::new();
        reader.read_to_end(&mut out).unwrap();
        assert!(child.wait().unwrap().success());
        tool.answer(&["verify"], &out[PIPE..]).done();
    }
}

/// An answer that could not be written is a failure.
#[test]
fn verify_into_closed_pipe_fails() {
    let tool = Tool::new();
    let (_, token) = tool.issue(&[]);
    let mut child = tool.start(&["verify"]);
    drop(child.stdout.take());
    let ran = finish(child, token.as_bytes());
    assert_eq!((ran.status, &*ran.err), (Some(1), ""));
    // The same without standard input.
    let mut command = tool.bare();
    command.env("TOKENS_FILE", tool.path()).arg("verify").stdin(Stdio::null());
    assert_eq!(command.output().unwrap().status.code(), Some(1));
}

/// A terminal: each read returns one line, or the text before Ctrl-D. A read after the end would block.
struct Typed(Vec<&'static str>);

impl Read for Typed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        assert!(!self.0.is_empty(), "read behind the end");
        let typed = self.0.remove(0);
        into[..typed.len()].copy_from_slice(typed.as_bytes());
        Ok(typed.len())
    }
}

#[test]
fn read_lines_ends_at_first_end_of_input() {
    let lines = |typed: &[&'static str]| {
        let mut lines = Lines::new(BufReader::new(Typed(typed.to_vec())));
        let mut read = Vec::new();
        lines.wait().unwrap();
        while let Some(Line::Whole(line)) = lines.next().unwrap() {
            read.push(String::from_utf8(line).unwrap());
        }
        assert_eq!(lines.next().unwrap(), None);
        read
    };
    assert_eq!(lines(&[""]), [""; 0]);
    assert_eq!(lines(&["a\n", ""]), ["a"]);
    // Within a line the first Ctrl-D ends the read, and the second one the line.
    assert_eq!(lines(&["a\n", "b", ""]), ["a", "b"]);
    assert_eq!(lines(&["b", "c\n", ""]), ["bc"]);
}
