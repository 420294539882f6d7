//! Hostile requests to the example service. It refuses each of them or closes the connection, and it
//! serves the other clients meanwhile.

mod bodies;
mod headers;
mod random;
mod requests;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::process::ExampleService;
use requests::{Request, Tokens, request};

/// How many requests a test sends.
struct Sizes {
    /// Before the first measurement of memory, so that pools, caches and the allocator are full by then.
    warm_up: usize,
    /// The numbers of the requests are the multiples of this.
    step: usize,
    /// All numbers are smaller than this.
    end: usize,
    /// How often each status must be seen at least, so that the requests reach every kind of refusal.
    each_status: usize,
}

/// How much more memory the service may hold after the requests than before. In the campaign, a leak of
/// 1 KiB for each request is more.
const MAX_GROWTH: u64 = 8 << 20;

const CLIENTS: usize = 16;

/// Longer than every timeout of the service.
const PATIENCE: Duration = Duration::from_secs(30);

/// For each kind of request, how often it was answered with which status.
type Statuses = BTreeMap<&'static str, BTreeMap<u16, usize>>;

/// The status of a connection that was closed without an answer.
const CLOSED: u16 = 0;

/// Returns the seed of the requests. `HOSTILE_SEED` repeats or varies a run.
fn seed() -> u64 {
    match std::env::var("HOSTILE_SEED") {
        Ok(seed) => seed.parse().expect("HOSTILE_SEED is a number"),
        Err(_) => 20_261_124,
    }
}

#[test]
fn hostile_requests_are_refused() {
    // 7 and 10 have no common divisor, so that each kind of request has its share.
    send_hostile(&Sizes { warm_up: 300, step: 7, end: 10_000, each_status: 1 });
}

#[test]
#[ignore = "campaign"]
fn hostile_requests_are_refused_campaign() {
    send_hostile(&Sizes { warm_up: 2_000, step: 1, end: 10_000, each_status: 5 });
}

/// Sends the requests; all must be refused, other clients served, and memory stay flat.
fn send_hostile(sizes: &Sizes) {
    let folder = tempfile::tempdir().expect("a folder");
    let service = ExampleService::start(folder.path(), &[]);
    let tokens = Tokens { manager: service.manager(), connector: service.connector() };
    let known = service.call(&tokens.manager, "GET", "/tokens?state=all", "").1;
    let (seed, seen) = (seed(), Mutex::default());

    let warm_up = 0..sizes.warm_up;
    send_all(&service, seed.wrapping_add(1), warm_up.collect(), &tokens, &seen);
    large(&service, &tokens);
    let slow: Vec<_> = (0..40).map(|number| slow(service.address, number, &tokens)).collect();
    let before = service.resident();

    seen.lock().expect("no panic while it is locked").clear();
    let numbers: Vec<_> = (0..sizes.end).step_by(sizes.step).collect();
    let requests = numbers.len();
    send_all(&service, seed, numbers, &tokens, &seen);
    large(&service, &tokens);
    for (number, stream) in slow.into_iter().enumerate() {
        let answered = until_closed(stream).unwrap_or_else(|why| panic!("slow {number}: {why}"));
        refused(&answered).unwrap_or_else(|why| panic!("slow {number}: {why}"));
    }
    let after = service.resident();

    let seen = seen.into_inner().expect("no panic while it is locked");
    eprintln!("{before} bytes before, {after} after; {seen:?}");
    assert!(after < before + MAX_GROWTH, "{before} bytes before, {after} after");
    let count = |status| seen.values().filter_map(|seen| seen.get(&status)).sum::<usize>();
    for status in [400, 401, 403, 404, 405, 413, 415, 431] {
        assert!(count(status) >= sizes.each_status, "seldom {status}: {seen:#?}");
    }
    assert!(count(CLOSED) < requests / 5, "too few are answered: {seen:#?}");

    // No token was issued or revoked, and no file stored.
    let states = |list: &str| {
        let list: serde_json::Value = serde_json::from_str(list).expect("JSON");
        let tokens = list["tokens"].as_array().expect("tokens").clone();
        tokens.iter().map(|token| (token["id"].clone(), token["state"].clone())).collect::<Vec<_>>()
    };
    let now = service.call(&tokens.manager, "GET", "/tokens?state=all", "").1;
    assert_eq!(states(&now), states(&known));
    let files = service.call(&tokens.manager, "GET", "/files", "");
    assert_eq!(files, (200, "normal.txt\n".to_owned()));
    service.terminate();
    assert_eq!(service.ended().code(), Some(0));
}

/// Sends the requests with these numbers from several clients at a time, and normal requests in between.
fn send_all(
    service: &ExampleService,
    seed: u64,
    numbers: Vec<usize>,
    tokens: &Tokens,
    seen: &Mutex<Statuses>,
) {
    let next = AtomicUsize::new(0);
    let client = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(&number) = numbers.get(at) else { return };
            let sent = request(seed, number, tokens);
            let statuses = send(service.address, &sent).and_then(|answer| refused(&answer));
            let mut statuses = statuses.unwrap_or_else(|why| {
                let shown = sent.bytes[..sent.bytes.len().min(4_000)].escape_ascii();
                panic!("{why}, seed {seed}, request {number} ({}): {shown}", sent.what)
            });
            if statuses.is_empty() {
                statuses.push(CLOSED);
            }
            let mut seen = seen.lock().expect("no panic while it is locked");
            for status in statuses {
                *seen.entry(sent.what).or_default().entry(status).or_default() += 1;
            }
            drop(seen);
            if at.is_multiple_of(50) {
                let (status, body) =
                    service.call(&tokens.connector, "PUT", "/files/normal.txt", "normal");
                assert!(matches!(status, 200 | 201), "a normal request: {status} {body}");
                assert_eq!(service.call(&tokens.manager, "GET", "/tokens/self", "").0, 200);
            }
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        for client in clients {
            if client.join().is_err() {
                panic!("a client failed, as the message above says");
            }
        }
    });
}

/// Sends a request and returns everything that the service sends until it closes the connection.
fn send(address: SocketAddr, request: &Request) -> Result<Vec<u8>, String> {
    let mut stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
    // The service may refuse and close before all is sent.
    let _ = stream.write_all(&request.bytes);
    if request.cut_short {
        let _ = stream.shutdown(Shutdown::Write);
    }
    until_closed(stream)
}

fn until_closed(mut stream: TcpStream) -> Result<Vec<u8>, String> {
    stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(bytes),
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(bytes),
            Err(error) => return Err(format!("neither refused nor closed: {error}")),
        }
    }
}

/// Returns the statuses of all answers if each is a refusal; no status if there was no answer.
fn refused(answers: &[u8]) -> Result<Vec<u16>, String> {
    let text = String::from_utf8_lossy(answers);
    let mut statuses = Vec::new();
    for line in text.split("HTTP/1.").skip(1) {
        let status = line.get(2..5).and_then(|status| status.parse().ok());
        match status {
            Some(status @ 400..=499) => statuses.push(status),
            _ => return Err(format!("not a refusal: {text:?}")),
        }
    }
    if statuses.is_empty() && !text.is_empty() {
        return Err(format!("no HTTP: {text:?}"));
    }
    Ok(statuses)
}

/// Sends an upload above the limit of the service, without announcing its length.
fn large(service: &ExampleService, tokens: &Tokens) {
    let mut stream = TcpStream::connect(service.address).expect("a connection");
    let head = format!(
        "PUT /files/large HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        tokens.connector
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let chunk = [b"100000\r\n".to_vec(), vec![b'a'; 1 << 20], b"\r\n".to_vec()].concat();
    let sent = (0..80).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    assert!((60..80).contains(&sent), "{sent} MiB were taken");
    let answered = until_closed(stream).expect("an answer or an end");
    let statuses = refused(&answered).expect("a refusal");
    assert!(matches!(statuses[..], [] | [413]), "{statuses:?}");
}

/// Begins a request that the client never finishes, on a connection that it never closes.
fn slow(address: SocketAddr, number: usize, tokens: &Tokens) -> TcpStream {
    let begun = match number % 5 {
        0 => String::new(),
        1 => "G".into(),
        2 => "GET /tokens HTTP/1.1\r\nHost".into(),
        3 => format!(
            "POST /tokens HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{{",
            tokens.manager
        ),
        _ => "POST /revoke HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
              Content-Length: 50\r\n\r\ntoken="
            .into(),
    };
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(begun.as_bytes()).expect("sent");
    stream
}
