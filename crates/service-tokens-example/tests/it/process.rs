//! The example `service` as a process of its own, in a folder of its own.
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

/// For what takes milliseconds, on a machine that is busy with much else.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program.
pub(crate) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_service-tokens-example").into()
}

/// A running service; killed when dropped.
pub(crate) struct ExampleService {
    child: Child,
    pub(crate) address: SocketAddr,
    /// What it printed at its start.
    pub(crate) greeting: String,
}

impl ExampleService {
    /// Starts it over this folder, and waits until it answers.
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
        // It answers only after it has said everything.
        running.eventually("answers", || {
            (exchange(running.address, &request("GET", "/healthz", &[], "")).0 == 200).then_some(())
        });
        running.greeting = read();
        running
    }

    /// Waits for what must come soon.
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

    /// The tokens that it printed, each once.
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

    /// Sends a request with this token; status and body.
    pub(crate) fn call(&self, token: &str, method: &str, path: &str, body: &str) -> (u16, String) {
        let authorization = format!("Authorization: Bearer {token}");
        exchange(self.address, &request(method, path, &[&authorization], body))
    }

    /// Resident memory, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib * 1024
    }

    /// Asks it to stop, as a supervisor does.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it this signal.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
    }

    /// Until it does not take connections any more.
    pub(crate) fn refuses_connections(&self) {
        self.eventually("refuses connections", || TcpStream::connect(self.address).err());
    }

    /// Its exit status, when it has ended by itself.
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

    /// Ends it without a warning.
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

/// A request after which the connection ends.
pub(crate) fn request(method: &str, path: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for header in headers {
        text += header;
        text += "\r\n";
    }
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    text.into_bytes()
}

/// Sends these bytes; status and body of the answer.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.write_all(request).expect("sent");
    answer(stream)
}

/// The answer on a connection that ends with it.
pub(crate) fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).expect("an answer, and an end");
    let _ = stream.shutdown(Shutdown::Both);
    let text = String::from_utf8_lossy(&text).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    (status(head), body.to_owned())
}

/// The status in a head.
pub(crate) fn status(head: &str) -> u16 {
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.unwrap_or_else(|| panic!("no status: {head:?}"))
}
