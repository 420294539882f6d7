//! The example service: start, use, stop, kill and restart.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use crate::process::{self, ExampleService, answer, program, status};
use chrono::DateTime;
use service_tokens::store::{LastUsed, States};
use service_tokens::{FileStore, Filter, ListRequest, TokenStore};

/// The timeouts of the example, and the delay of a busy machine.
const CUT_OFF: Duration = Duration::from_secs(10);
const LATE: Duration = Duration::from_secs(5);

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
#[ignore = "needs curl; .ci/run has it"]
fn paste_printed_curl_lines_works() {
    let folder = folder();
    let service = ExampleService::start(folder.path(), &[]);

    let lines: Vec<_> =
        service.greeting.lines().filter(|line| line.trim_start().starts_with("curl ")).collect();
    let answers: Vec<_> = lines
        .iter()
        .map(|line| {
            let output = Command::new("sh").args(["-c", line]).output().expect("a shell");
            assert!(output.status.success(), "{line}: {output:?}");
            String::from_utf8(output.stdout).expect("text")
        })
        .collect();

    let statuses: Vec<_> = answers.iter().map(|answer| status(answer)).collect();
    assert_eq!(statuses, [201, 403], "{lines:?} {answers:?}");
    assert!(answers[1].contains("error=\"insufficient_scope\", scope=\"files:read\""));
    let stored = std::fs::read(folder.path().join("uploads/hello.txt")).expect("the upload");
    assert_eq!(stored, b"Hello");
}

#[test]
fn start_prints_tokens_only_once() {
    let folder = folder();
    let service = ExampleService::start(folder.path(), &[]);
    let first = service.manager();
    assert_eq!(service.call(&first, "GET", "/tokens", "").0, 200);
    assert_eq!(service.tokens().len(), 2);
    service.kill();

    let service = ExampleService::start(folder.path(), &[]);
    assert_eq!(service.tokens(), [""; 0], "{}", service.greeting);
    assert!(service.greeting.contains("--issue-manager"), "{}", service.greeting);
    assert_eq!(service.call(&first, "GET", "/tokens", "").0, 200);
    service.kill();

    let service = ExampleService::start(folder.path(), &["--issue-manager"]);
    let [second] = service.tokens().try_into().expect("one token");
    assert_ne!(second, first);
    assert_eq!(service.call(&second, "GET", "/tokens", "").0, 200);
    service.kill();

    // The printed token is in no file.
    for entry in std::fs::read_dir(folder.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() && !path.ends_with("stdout") {
            let bytes = std::fs::read(&path).expect("a file");
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("acme_live_1"), "a token in {}", path.display());
        }
    }
}

#[test]
fn call_route_without_its_scope_is_refused() {
    let folder = folder();
    let service = ExampleService::start(folder.path(), &[]);
    let (manager, connector) = (service.manager(), service.connector());
    let put = |token: &str| service.call(token, "PUT", "/files/a.txt", "one").0;
    let get = |token: &str, path: &str| service.call(token, "GET", path, "");

    assert_eq!((put("not-a-token"), put(&connector), put(&manager)), (401, 201, 200));
    assert_eq!(service.call(&connector, "POST", "/files/b.txt", "two").0, 201);
    for path in ["/files", "/files/a.txt", "/tokens"] {
        assert_eq!((get("not-a-token", path).0, get(&connector, path).0), (401, 403), "{path}");
    }
    assert_eq!(get(&manager, "/files"), (200, "a.txt\nb.txt\n".to_owned()));
    assert_eq!(get(&manager, "/files/a.txt"), (200, "one".to_owned()));
    assert_eq!(get(&manager, "/files/c.txt").0, 404);
    assert_eq!(get("not-a-token", "/service-tokens").0, 200);
    assert_eq!(get(&connector, "/authorize/files:upload").0, 204);
    assert_eq!(get(&connector, "/authorize/files:read").0, 403);
    let long = |length: usize| format!("/files/{}", "a".repeat(length));
    assert_eq!(service.call(&connector, "PUT", &long(100), "x").0, 201);
    assert_eq!(service.call(&connector, "PUT", &long(101), "x").0, 400);
    for name in ["..%2Ftokens.journal", "..", ".incoming-a", "a%00b", "%2Fetc%2Fpasswd", "a%20b"] {
        let status = service.call(&manager, "PUT", &format!("/files/{name}"), "x").0;
        assert_eq!(status, 400, "{name}");
    }
}

#[test]
fn restart_still_refuses_revoked_token() {
    let folder = folder();
    let service = ExampleService::start(folder.path(), &[]);
    let (manager, token) = (service.manager(), service.connector());
    assert_eq!(service.call(&token, "PUT", "/files/a", "1").0, 201);
    let own = service.call(&token, "GET", "/tokens/self", "").1;
    let own: serde_json::Value = serde_json::from_str(&own).expect("JSON");
    let revoke = format!("/tokens/{}/revoke", own["id"].as_str().expect("an id"));
    assert_eq!(service.call(&manager, "POST", &revoke, "").0, 200);
    assert_eq!(service.call(&token, "PUT", "/files/a", "2").0, 401);
    service.kill();

    let service = ExampleService::start(folder.path(), &[]);
    assert_eq!(service.call(&token, "PUT", "/files/a", "3").0, 401);
    assert_eq!(service.call(&manager, "GET", "/files/a", ""), (200, "1".to_owned()));
}

/// Opens a connection and sends this text.
fn begun(service: &ExampleService, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(service.address).expect("a connection");
    stream.write_all(text.as_bytes()).expect("sent");
    stream.set_read_timeout(Some(2 * CUT_OFF)).expect("set");
    stream
}

/// Sends the head and the first half of an upload of ten bytes.
fn begin_upload(service: &ExampleService, name: &str) -> TcpStream {
    let token = service.connector();
    let head = format!(
        "PUT /files/{name} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 10\r\n\r\n12345"
    );
    begun(service, &head)
}

/// Waits until the temporary file of an upload exists.
fn incoming(folder: &tempfile::TempDir) {
    let start = Instant::now();
    let hidden = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("an entry").file_name().as_encoded_bytes().starts_with(b".incoming-")
    };
    let uploads = folder.path().join("uploads");
    while !std::fs::read_dir(&uploads).expect("a folder").any(hidden) {
        assert!(start.elapsed() < CUT_OFF, "never: an upload begins");
        sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn stop_finishes_upload_and_flushes_last_used() {
    let folder = folder();
    let service = ExampleService::start(folder.path(), &[]);
    let mut upload = begin_upload(&service, "half.txt");
    incoming(&folder);

    let idle = begun(&service, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");

    let start = Instant::now();
    service.terminate();
    service.refuses_connections();
    upload.write_all(b"67890").expect("sent");
    assert_eq!(answer(upload), (201, "stored half.txt, 10 bytes\n".to_owned()));
    assert_eq!(service.ended().code(), Some(0));
    // The stop did not wait for the idle connection.
    assert!(start.elapsed() < CUT_OFF / 2, "{:?}", start.elapsed());
    drop(idle);

    let stored = std::fs::read(folder.path().join("uploads/half.txt")).expect("the upload");
    assert_eq!(stored, b"1234567890");
    let store = FileStore::open(folder.path().join("tokens.journal")).expect("the store");
    let page = store
        .list(&ListRequest::from(Filter::new().states(States::ALL)), DateTime::UNIX_EPOCH)
        .await;
    let mut used = Vec::new();
    for found in page.expect("a page").items {
        used.push((found.record.token_type().to_owned(), found.last_used));
    }
    used.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(matches!(&used[0], (kind, LastUsed::At(_)) if kind == "connector"), "{used:?}");
    assert!(matches!(&used[1], (kind, LastUsed::Never) if kind == "manager"), "{used:?}");
}

#[test]
fn stop_aborts_endless_upload_in_time() {
    let folder = folder();
    let service = ExampleService::start(folder.path(), &[]);
    let upload = begin_upload(&service, "never.txt");
    incoming(&folder);
    let start = Instant::now();
    // Ctrl-C sends SIGINT.
    service.signal("INT");
    assert_eq!(service.ended().code(), Some(0));
    assert!(start.elapsed() < CUT_OFF + LATE, "{:?}", start.elapsed());
    drop(upload);
}

#[test]
fn start_after_kill_has_acknowledged_files() {
    let folder = folder();
    let service = ExampleService::start(folder.path(), &[]);
    let (manager, token) = (service.manager(), service.connector());
    assert_eq!(service.call(&token, "PUT", "/files/whole", "all of it").0, 201);
    let upload = begin_upload(&service, "half");
    incoming(&folder);
    service.kill();
    drop(upload);

    let service = ExampleService::start(folder.path(), &[]);
    assert_eq!(service.call(&manager, "GET", "/files", ""), (200, "whole\n".to_owned()));
    assert_eq!(service.call(&token, "PUT", "/files/half", "now whole").0, 201);
    let left = std::fs::read_dir(folder.path().join("uploads")).expect("a folder").count();
    assert_eq!(left, 2, "what the killed process had begun is gone");
}

#[test]
fn start_on_used_folder_prints_no_token() {
    let folder = folder();
    let service = ExampleService::start(folder.path(), &[]);
    let mut upload = begin_upload(&service, "half.txt");
    incoming(&folder);
    let second = Command::new(program())
        .args(["--listen", "127.0.0.1:0", "--issue-manager", "--folder"])
        .arg(folder.path())
        .output()
        .expect("a process");
    assert_eq!(second.status.code(), Some(1));
    assert!(second.stdout.is_empty());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("open elsewhere"), "{said}");
    upload.write_all(b"67890").expect("sent");
    let head = "the upload that was under way";
    let mut status = [0; 12];
    upload.read_exact(&mut status).expect(head);
    assert_eq!(&status, b"HTTP/1.1 201", "{head}");
    assert_eq!(service.call(&service.manager(), "GET", "/tokens", "").0, 200);
}

#[test]
fn close_outputs_does_not_stop_service() {
    let folder = folder();
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = port.local_addr().expect("an address");
    drop(port);
    let mut child = Command::new(program())
        .args(["--listen", &address.to_string(), "--folder"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    drop((child.stdout.take(), child.stderr.take()));
    let start = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(start.elapsed() < 2 * CUT_OFF, "never: it listens");
        sleep(Duration::from_millis(5));
    }
    // A refusal is an event, so it writes to the closed log.
    let call = |path| {
        process::exchange(
            address,
            &process::request("GET", path, &["Authorization: Bearer not-a-token"], ""),
        )
        .0
    };
    assert_eq!((call("/files"), call("/healthz")), (401, 200));
    child.kill().expect("killed");
    child.wait().expect("a status");
}

#[test]
fn start_with_wrong_arguments_fails() {
    for (args, code) in [
        (&["--help"][..], 0),
        (&["--listen"], 2),
        (&["--listen", "nowhere"], 2),
        (&["--folder"], 2),
        (&["upload"], 2),
    ] {
        let output = Command::new(program()).args(args).output().expect("a process");
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        assert_eq!(output.stdout.is_empty(), code != 0, "{args:?}");
        assert_eq!(output.stderr.is_empty(), code == 0, "{args:?}");
    }
}

/// Sends `first`, then `drip` repeatedly, until the service closes the connection. Returns the answer and
/// the elapsed time.
fn until_cut_off(
    service: &ExampleService,
    first: String,
    drip: &'static [u8],
) -> (String, Duration) {
    let start = Instant::now();
    let mut stream = TcpStream::connect(service.address).expect("a connection");
    stream.write_all(first.as_bytes()).expect("sent");
    let mut slow = stream.try_clone().expect("the other half");
    let dripping = spawn(move || {
        while !drip.is_empty() && slow.write_all(drip).is_ok() {
            sleep(Duration::from_millis(500));
        }
    });
    stream.set_read_timeout(Some(CUT_OFF + LATE)).expect("set");
    let mut text = Vec::new();
    let mut piece = [0; 1024];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => text.extend_from_slice(&piece[..length]),
            // The service closed the connection with unread bytes.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error} after {:?}", start.elapsed()),
        }
    }
    let _ = stream.shutdown(std::net::Shutdown::Both);
    dripping.join().expect("a thread");
    (String::from_utf8_lossy(&text).into_owned(), start.elapsed())
}

#[test]
fn send_too_slowly_closes_connection_in_time() {
    let folder = folder();
    let service = ExampleService::start(folder.path(), &[]);
    let token = service.connector();
    let head = format!(
        "PUT /files/slow HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 10\r\n\r\n"
    );
    let cases: [(&str, String, &'static [u8], &str); 5] = [
        ("nothing at all", String::new(), b"", ""),
        ("a head, letter by letter", "GET /healthz HTTP/1.1\r\nA: ".into(), b"a", ""),
        ("a head, line by line", "GET /healthz HTTP/1.1\r\n".into(), b"A: a\r\n", ""),
        (
            "nothing after an answer",
            "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            b"",
            "HTTP/1.1 200",
        ),
        ("a body that stops", head + "12345", b"", "HTTP/1.1 408"),
    ];
    std::thread::scope(|scope| {
        for (what, first, drip, expected) in cases {
            let service = &service;
            scope.spawn(move || {
                let (answered, after) = until_cut_off(service, first, drip);
                assert!(answered.starts_with(expected), "{what}: {answered:?}");
                assert_eq!(answered.is_empty(), expected.is_empty(), "{what}: {answered:?}");
                let right = after >= CUT_OFF - LATE && after < CUT_OFF + LATE;
                assert!(right, "{what}: cut off after {after:?}");
            });
        }
        // Other clients are served meanwhile.
        assert_eq!(service.call(&token, "PUT", "/files/quick", "1").0, 201);
    });
    assert_eq!(service.call(&service.manager(), "GET", "/files", ""), (200, "quick\n".to_owned()));
}

/// Starts the service, which must fail; returns exit status and standard error.
fn failed_start(options: &[&str]) -> (Option<i32>, String) {
    let ended = Command::new(program()).args(options).output().expect("a process");
    assert!(ended.stdout.is_empty(), "nothing is shown to who cannot use it");
    (ended.status.code(), String::from_utf8(ended.stderr).expect("text"))
}

#[test]
fn fail_to_start_explains_reason_and_remedy() {
    let folder = folder();
    let free = "127.0.0.1:0";
    let path = folder.path().to_str().expect("text");
    let service = ExampleService::start(folder.path(), &[]);

    let (status, message) = failed_start(&["--listen", free, "--folder", path]);
    assert_eq!(status, Some(1));
    assert!(message.contains("is locked\nAnother process uses this folder"), "{message}");
    let (status, message) =
        failed_start(&["--listen", &service.address.to_string(), "--folder", path]);
    assert!(status == Some(1) && message.contains("(see --listen)"), "{message}");
    // An unset shell variable is an empty text, which must not mean the current folder.
    let (status, message) = failed_start(&["--listen", free, "--folder", ""]);
    assert!(status == Some(2) && message.contains("--folder requires a folder"), "{message}");
    let (status, message) = failed_start(&["--lisen", free]);
    assert!(status == Some(2) && message.contains("unknown option --lisen"), "{message}");

    drop(service);
    let journal = folder.path().join("tokens.journal");
    let mut bytes = std::fs::read(&journal).expect("the journal");
    bytes[300] ^= 1;
    std::fs::write(&journal, &bytes).expect("the journal");
    let (status, message) = failed_start(&["--listen", free, "--folder", path]);
    assert_eq!(status, Some(1));
    assert!(
        message.contains("is damaged at byte") && message.contains("#the-file-is-damaged"),
        "{message}"
    );
    assert_eq!(std::fs::read(&journal).expect("the journal"), bytes);
}
