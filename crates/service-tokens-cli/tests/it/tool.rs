//! The program with a file for each test, and the checks of every run.

use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use chrono::DateTime;
use futures_lite::future::block_on;
use service_tokens::clock::ManualClock;
use service_tokens::steps::{ParsedToken, Prefix};
use service_tokens::{FileStore, IssueRequest, Policy, TokenService, TokenType};
use tempfile::TempDir;

/// The program, and a folder with its file.
pub(crate) struct Tool {
    program: PathBuf,
    pub(crate) folder: TempDir,
}

/// Status and output of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Tool {
    pub(crate) fn new() -> Self {
        // In memory if possible, because these tests do not depend on a disk.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self { program: env!("CARGO_BIN_EXE_service-tokens").into(), folder }
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("tokens.journal")
    }

    /// Returns the names of the files in the folder.
    pub(crate) fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.path()).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Returns a command without the file.
    pub(crate) fn bare(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_remove("TOKENS_FILE").current_dir(self.folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn start<W: AsRef<OsStr>>(&self, words: &[W]) -> Child {
        self.bare().env("TOKENS_FILE", self.path()).args(words).spawn().unwrap()
    }

    /// Runs the program with empty standard input.
    pub(crate) fn run<W: AsRef<OsStr>>(&self, words: &[W]) -> Ran {
        self.answer(words, "")
    }

    /// Runs the program with this standard input.
    pub(crate) fn answer<W: AsRef<OsStr>>(&self, words: &[W], input: impl AsRef<[u8]>) -> Ran {
        finish(self.start(words), input.as_ref())
    }

    /// Issues a token and returns its id and text.
    pub(crate) fn issue(&self, more: &[&str]) -> (String, String) {
        let words = ["issue", "--type", "connector", "--owner", "acme"];
        let mut words = [&words, more].concat();
        if !more.contains(&"--issued-to") {
            words.extend(["--issued-to", "nightly backup"]);
        }
        self.run(&words).token()
    }

    /// Returns a service over the file, with connectors and with managers that may do everything.
    pub(crate) fn service(&self) -> TokenService<FileStore> {
        TokenService::builder(FileStore::open(self.path()).unwrap(), "acme_live")
            .token_type(TokenType::new("connector", ["files:upload"]).unwrap())
            .token_type(TokenType::new("manager", ["*", "service-tokens:*"]).unwrap())
            .build()
            .unwrap()
    }

    /// Returns a service over the same file whose clock is at 2020.
    pub(crate) fn service_of_2020(&self) -> TokenService<FileStore> {
        let clock = ManualClock::new(DateTime::from_timestamp(1_577_836_800, 0).unwrap());
        let service = TokenService::builder(FileStore::open(self.path()).unwrap(), "acme_live")
            .token_type(TokenType::new("connector", ["files:upload"]).unwrap())
            .policy(Policy::new().max_lifetime(None))
            .clock(clock);
        service.build().unwrap()
    }
}

/// Issues this many tokens with this lifetime in 2020.
pub(crate) fn of_2020(tool: &Tool, records: usize, lifetime: Duration) {
    let service = tool.service_of_2020();
    for _ in 0..records {
        let request = IssueRequest::new("connector", "old").expires_in(lifetime);
        let _ = block_on(service.owner("acme").issue(request)).unwrap();
    }
}

/// Writes the input, waits for the end and checks the output.
pub(crate) fn finish(mut child: Child, input: &[u8]) -> Ran {
    let mut stdin = child.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        scope.spawn(move || match stdin.write_all(input) {
            // The program may end before it has read everything.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written.unwrap(),
        });
        child.wait_with_output().unwrap()
    });
    let ran = Ran {
        status: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!ran.err.contains("panicked"), "{ran:?}");
    // The output has no progress bar, no colours and no control characters of labels.
    for text in [&ran.out, &ran.err] {
        let obeyed = |c: char| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}')
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!text.contains(obeyed), "{ran:?}");
    }
    ran
}

impl Ran {
    /// Checks that the run succeeded.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.status, Some(0), "{self:?}");
        self
    }

    /// Checks that the run failed for this reason.
    #[track_caller]
    pub(crate) fn failed(self, reason: &str) -> Self {
        assert_eq!(self.status, Some(1), "{self:?}");
        assert!(self.err.contains(reason), "{reason:?} is not in {self:?}");
        self
    }

    /// Checks that the command line was refused with this mistake.
    #[track_caller]
    pub(crate) fn misused(self, mistake: &str) -> Self {
        assert_eq!((self.status, &*self.out), (Some(2), ""), "{self:?}");
        assert!(self.err.contains(mistake), "{mistake:?} is not in {self:?}");
        self
    }

    /// Checks that the token was printed alone on standard output; returns its id and text.
    #[track_caller]
    pub(crate) fn token(&self) -> (String, String) {
        assert_eq!(self.status, Some(0), "{self:?}");
        let token = self.out.strip_suffix('\n').unwrap().to_owned();
        let accepted = [Prefix::new("acme_live").unwrap()];
        let id = ParsedToken::parse(&token, &accepted).unwrap().id().to_string();
        assert!(!self.err.contains(&token) && !self.err.contains(&token[40..]), "{self:?}");
        assert!(self.err.contains(&id), "{self:?}");
        (id, token)
    }
}

/// A text whose control characters would change a terminal.
pub(crate) const HOSTILE: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\r\nacme\t\u{202e}txt.exe\u{2066}\u{2028}\u{7f}";
