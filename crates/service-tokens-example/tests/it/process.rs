//! The example service as a process with its own folder.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    reason = "each test uses a part, and a test may fail"
)]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The limit for steps that take milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Returns the path of the program.
pub(crate) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_service-tokens-example").into()
}

/// A running service. Dropping it kills the process.
pub(crate) struct ExampleService {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The text that the service printed at its start.
    pub(crate) greeting: String,
}

impl ExampleService {
    /// Starts the service over this folder and waits until it answers.
    pub(crate) fn start(folder: &Path, options: &[&str]) -> Self {
        let (out, err) = (folder.join("stdout"), folder.join("stderr"));
        let child = Command::new(program())
            .args(["--listen", "127.0.0.1:0", "--folder"])
            .arg(folder)
            .args(options)
            .stdin(Stdio::null())
            .stdout(File::create(&out).expect("a file"))
            .stderr(File::options().create(true).append(true).open(&err).expect("a file"))
            .spawn()
            .expect("a process");
        let mut running =
            Self { child, address: ([0, 0, 0, 0], 0).into(), greeting: String::new() };
        let read = || std::fs::read_to_string(&out).expect("its output");
        running.address = running.eventually("prints an address", || {
            let text = read();
            let url = text.lines().next()?.split_once("http://")?.1;
            url.strip_suffix("/service-tokens")?.parse().ok()
        });
        // The service answers only after it has printed everything.
        running.eventually("answers", || {
            (exchange(running.address, &request("GET", "/healthz", &[], "")).0 == 200).then_some(())
        });
        running.greeting = read();
        running
    }

    /// Polls until `look` returns a value.
    fn eventually<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "never: the service {what}");
            sleep(Duration::from_millis(5));
        }
    }

    /// Returns the printed tokens, each once.
    pub(crate) fn tokens(&self) -> Vec<String> {
        let mut tokens: Vec<String> = Vec::new();
        let plain = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        for word in self.greeting.split(plain).filter(|word| word.starts_with("acme_live_1")) {
            if !tokens.iter().any(|token| token == word) {
                tokens.push(word.to_owned());
            }
        }
        tokens
    }

    pub(crate) fn manager(&self) -> String {
        self.tokens().first().expect("a manager token").clone()
    }

    pub(crate) fn connector(&self) -> String {
        self.tokens().get(1).expect("a Connector token").clone()
    }

    /// Sends a request with this token and returns status and body.
    pub(crate) fn call(&self, token: &str, method: &str, path: &str, body: &str) -> (u16, String) {
        let authorization = format!("Authorization: Bearer {token}");
        exchange(self.address, &request(method, path, &[&authorization], body))
    }

    /// Returns the resident memory in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib * 1024
    }

    /// Sends SIGTERM, as a supervisor does.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends this signal.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
    }

    /// Waits until the service refuses connections.
    pub(crate) fn refuses_connections(&self) {
        self.eventually("refuses connections", || TcpStream::connect(self.address).err());
    }

    /// Waits for the end of the process and returns its exit status.
    pub(crate) fn ended(mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "never: the service ends");
            sleep(Duration::from_millis(5));
        }
    }

    /// Kills the process.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("a status");
    }
}

impl Drop for ExampleService {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the bytes of a request with `Connection: close`.
pub(crate) fn request(method: &str, path: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for header in headers {
        text += header;
        text += "\r\n";
    }
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    text.into_bytes()
}

/// Sends these bytes and returns status and body of the answer.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.write_all(request).expect("sent");
    answer(stream)
}

/// Reads the only answer on this connection; returns status and body.
pub(crate) fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).expect("an answer, and an end");
    let _ = stream.shutdown(Shutdown::Both);
    let text = String::from_utf8_lossy(&text).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    (status(head), body.to_owned())
}

/// Returns the status in the head of an answer.
pub(crate) fn status(head: &str) -> u16 {
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.unwrap_or_else(|| panic!("no status: {head:?}"))
}
