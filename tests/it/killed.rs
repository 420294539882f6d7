//! A child process that works on a journal until it is killed, for tests of bulk operations.
//!
//! The child is this test program. It runs one ignored test alone, and only if the variable names a file.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::behaviour::harness::{any, backup, text};
use futures_lite::future::block_on;
use service_tokens::{FileStore, Filter, IssueRequest, TokenService, TokenStore};

const PATH: &str = "SERVICE_TOKENS_BULK_PATH";

/// Opens the journal that the child is to work on. `None` if this process is not a child.
pub(crate) fn open_in_child() -> Option<FileStore> {
    std::env::var_os(PATH).map(|path| open(&PathBuf::from(path)))
}

pub(crate) fn open(path: &Path) -> FileStore {
    FileStore::open(path).unwrap()
}

/// A folder for a journal, on a file system in memory where there is one.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Writes directly to standard output, because the test harness would capture macros.
pub(crate) fn print_now(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Issues tokens in four threads, and returns the text of every hundredth one.
pub(crate) fn issue_backups(service: &TokenService<FileStore>, many: u64) -> Vec<String> {
    std::thread::scope(|scope| {
        let issue = || {
            let issued = (0..many / 4)
                .map(|_| text(&block_on(service.owner("acme").issue(backup())).unwrap()));
            issued.step_by(100).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(issue)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// Selects the tokens of [`issue_backups`].
pub(crate) fn leaked() -> Filter {
    Filter::new().issued_to("backup")
}

pub(crate) fn close(service: TokenService<FileStore>) {
    block_on(service.store().close()).unwrap();
}

/// Runs a bulk operation, while two threads issue and verify tokens that must stay. They report each one.
pub(crate) fn while_others_work<T>(
    service: &TokenService<FileStore>,
    report: impl Fn(&str) + Sync,
    bulk: impl FnOnce() -> T,
) -> T {
    let stays = || IssueRequest::new("developer", "stays");
    let over = AtomicBool::new(false);
    let (first, verified) =
        (block_on(service.owner("globex").issue(stays())).unwrap(), AtomicU64::new(0));
    report(&format!("issued {}\n", text(&first)));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let issued = block_on(service.owner("globex").issue(stays())).unwrap();
                    report(&format!("issued {}\n", text(&issued)));
                    for token in [&issued, &first] {
                        block_on(service.verify(&text(token), &any())).unwrap();
                        verified.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let outcome = bulk();
        over.store(true, Ordering::SeqCst);
        assert!(verified.load(Ordering::SeqCst) > 0);
        outcome
    })
}

/// The output of a process before it was killed.
#[derive(Default)]
pub(crate) struct Output {
    /// The last number of a line `done <number>`.
    pub(crate) done: u64,
    /// The texts of the lines `issued <text>`.
    pub(crate) issued: Vec<String>,
    /// The ids of the lines `id <id>`.
    pub(crate) ids: Vec<String>,
}

impl Output {
    fn take(&mut self, line: &str) {
        // The harness prints the name of the test on the same line as the first word.
        if let Some((_, done)) = line.rsplit_once("done ") {
            self.done = done.parse().unwrap();
        } else if let Some((_, token)) = line.rsplit_once("issued ") {
            self.issued.push(token.to_owned());
        } else if let Some((_, id)) = line.rsplit_once("id ") {
            self.ids.push(id.to_owned());
        }
    }
}

/// Runs a child and kills it after this many records are done.
pub(crate) fn killed_after(path: &Path, child: &str, done: u64) -> Output {
    let arguments = ["--exact", child, "--include-ignored", "--nocapture", "--test-threads", "1"];
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(arguments)
        .env(PATH, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let (mut output, mut line) = (Output::default(), String::new());
    while output.done < done {
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
