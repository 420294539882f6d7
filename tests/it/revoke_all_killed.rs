//! Many tokens are revoked by filter while others issue and verify. The process is killed midway, and
//! another one continues.
//!
//! The child is this test program. It runs [`child`] alone, and only if the variable names a file.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::behaviour::harness::{any, backup, builder, incident, records, text};
use futures_lite::future::block_on;
use service_tokens::{
    FileStore, Filter, IssueRequest, Record, State, TokenId, TokenService, TokenStore,
};

const PATH: &str = "SERVICE_TOKENS_BULK_PATH";

/// Tokens to be revoked, by default and in the campaign.
const MANY: u64 = 20_000;
const MANY_IN_CAMPAIGN: u64 = 100_000;

fn open(path: &Path) -> FileStore {
    FileStore::open(path).unwrap()
}

fn leaked() -> Filter {
    Filter::new().issued_to("backup")
}

fn stays() -> IssueRequest {
    IssueRequest::new("developer", "stays")
}

/// Writes directly to standard output, because the test harness would capture macros.
fn print_now(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Revokes the leaked tokens, while two threads issue and verify tokens that must stay.
fn revoke_while_others_work(service: &TokenService<FileStore>, tell: impl Fn(&str) + Sync) -> u64 {
    let over = AtomicBool::new(false);
    let (first, verified) =
        (block_on(service.owner("globex").issue(stays())).unwrap(), AtomicU64::new(0));
    tell(&format!("issued {}\n", text(&first)));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let issued = block_on(service.owner("globex").issue(stays())).unwrap();
                    tell(&format!("issued {}\n", text(&issued)));
                    for token in [&issued, &first] {
                        block_on(service.verify(&text(token), &any())).unwrap();
                        verified.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let view = service.all_owners();
        let run = view.revoke_all(leaked(), incident());
        let run = run.on_progress(|progress| tell(&format!("revoked {}\n", progress.done))).run();
        let outcome = block_on(run).unwrap();
        over.store(true, Ordering::SeqCst);
        assert_eq!(outcome.failed, 0);
        assert!(verified.load(Ordering::SeqCst) > 0);
        outcome.done
    })
}

#[test]
#[ignore = "the child of the test below"]
fn child() {
    let Some(path) = std::env::var_os(PATH) else { return };
    let service = builder(open(&PathBuf::from(path))).build().unwrap();
    revoke_while_others_work(&service, print_now);
}

/// The output of a process before it was killed.
#[derive(Default)]
struct Output {
    revoked: u64,
    issued: Vec<String>,
}

impl Output {
    fn take(&mut self, line: &str) {
        // The harness prints the name of the test on the same line as the first word.
        if let Some((_, revoked)) = line.rsplit_once("revoked ") {
            self.revoked = revoked.parse().unwrap();
        } else if let Some((_, token)) = line.rsplit_once("issued ") {
            self.issued.push(token.to_owned());
        }
    }
}

/// Runs a child and kills it after this many revocations.
fn killed_after(path: &Path, revoked: u64) -> Output {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "revoke_all_killed::child",
            "--include-ignored",
            "--nocapture",
            "--test-threads",
            "1",
        ])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let (mut output, mut line) = (Output::default(), String::new());
    while output.revoked < revoked {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the child gave up");
        output.take(line.trim_end());
    }
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9), "it was over before it was killed");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    let complete = rest.rfind('\n').map_or("", |end| &rest[..end]);
    complete.lines().for_each(|line| output.take(line));
    output
}

async fn revoked(store: &FileStore) -> HashMap<TokenId, Record> {
    let now = chrono::DateTime::UNIX_EPOCH;
    let all = records(store).await.into_iter();
    all.filter(|record| record.state(now) == State::Revoked).map(|r| (r.id(), r)).collect()
}

#[test]
fn killed_revoke_all_can_continue() {
    run(MANY);
}

#[test]
#[ignore = "campaign"]
fn killed_revoke_all_can_continue_campaign() {
    run(MANY_IN_CAMPAIGN);
}

fn run(many: u64) {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let path = folder.path().join("tokens.journal");
    let service = builder(open(&path)).build().unwrap();
    let sample: Vec<String> = std::thread::scope(|scope| {
        let issue = || {
            let issued = (0..many / 4)
                .map(|_| text(&block_on(service.owner("acme").issue(backup())).unwrap()));
            issued.step_by(100).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(issue)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    block_on(service.store().close()).unwrap();
    drop(service);

    let output = killed_after(&path, many / 4);
    let service = builder(open(&path)).build().unwrap();
    let before = block_on(revoked(service.store()));
    let done = before.len() as u64;
    assert!(
        done >= output.revoked,
        "what was acknowledged is missing: {done} of {}",
        output.revoked
    );
    assert!(done < many, "the kill came too late");
    for record in before.values() {
        let revocation = record.revocation().unwrap();
        assert_eq!((revocation.by.as_deref(), record.issued_to()), (Some("alice"), "backup"));
    }
    let counted = block_on(service.all_owners().revoke_all(leaked(), incident()).count());
    assert_eq!(counted.unwrap(), many - done);

    let went_on = revoke_while_others_work(&service, |_| ());
    assert_eq!(went_on, many - done, "nothing is done twice");
    let after = block_on(revoked(service.store()));
    assert_eq!(after.len() as u64, many);
    for (id, record) in &before {
        assert_eq!(after.get(id), Some(record), "the first revocation stands");
    }
    for token in &sample {
        assert!(block_on(service.verify(token, &any())).is_err());
    }
    assert!(output.issued.len() > 1, "no other thread had a turn");
    for token in &output.issued {
        block_on(service.verify(token, &any())).unwrap();
    }
}
