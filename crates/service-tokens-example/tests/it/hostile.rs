//! Ten thousand hostile requests to the example `service`: refused or hung up on, all of them, while
//! everybody else is served.

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

use crate::running::Running;
use requests::{Request, Tokens, request};

const REQUESTS: usize = 10_000;

/// First, so that what is filled once (pools, caches, the allocator's own) is full.
const WARM_UP: usize = 2_000;

/// How much more memory the service may hold after the requests than before. A leak of 1 KiB for
/// each would be more.
const FLAT: u64 = 8 << 20;

const CLIENTS: usize = 16;

/// More than the service's own limits: whoever waits longer was forgotten.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// How often what was answered with which status.
type Tally = BTreeMap<&'static str, BTreeMap<u16, usize>>;

/// In place of a status.
const CLOSED: u16 = 0;

/// `HOSTILE_SEED` repeats or varies a run.
fn seed() -> u64 {
    match std::env::var("HOSTILE_SEED") {
        Ok(seed) => seed.parse().expect("HOSTILE_SEED is a number"),
        Err(_) => 20_261_124,
    }
}

#[test]
fn hostile_requests_are_refused_and_everybody_else_is_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = Running::start(folder.path(), &[]);
    let tokens = Tokens { manager: service.manager(), connector: service.connector() };
    let known = service.ask(&tokens.manager, "GET", "/tokens?state=all", "").1;
    let (seed, tally) = (seed(), Mutex::default());

    campaign(&service, seed.wrapping_add(1), WARM_UP, &tokens, &tally);
    large(&service, &tokens);
    let slow: Vec<_> = (0..40).map(|number| slow(service.address, number, &tokens)).collect();
    let before = service.resident();

    tally.lock().expect("a tally").clear();
    campaign(&service, seed, REQUESTS, &tokens, &tally);
    large(&service, &tokens);
    for (number, stream) in slow.into_iter().enumerate() {
        let answered = until_closed(stream).unwrap_or_else(|why| panic!("slow {number}: {why}"));
        refused(&answered).unwrap_or_else(|why| panic!("slow {number}: {why}"));
    }
    let after = service.resident();

    let tally = tally.into_inner().expect("a tally");
    eprintln!("{before} bytes before, {after} after; {tally:?}");
    assert!(after < before + FLAT, "{before} bytes before, {after} after");
    // Each kind of refusal was seen, so the requests did get somewhere.
    let count = |status| tally.values().filter_map(|seen| seen.get(&status)).sum::<usize>();
    for status in [400, 401, 403, 404, 405, 413, 415, 431] {
        assert!(count(status) >= 5, "seldom {status}: {tally:#?}");
    }
    assert!(count(CLOSED) < REQUESTS / 5, "most are answered: {tally:#?}");

    // Nothing was issued, revoked or kept.
    let states = |list: &str| {
        let list: serde_json::Value = serde_json::from_str(list).expect("JSON");
        let tokens = list["tokens"].as_array().expect("tokens").clone();
        tokens.iter().map(|token| (token["id"].clone(), token["state"].clone())).collect::<Vec<_>>()
    };
    let now = service.ask(&tokens.manager, "GET", "/tokens?state=all", "").1;
    assert_eq!(states(&now), states(&known));
    let files = service.ask(&tokens.manager, "GET", "/files", "");
    assert_eq!(files, (200, "normal.txt\n".to_owned()));
    service.terminate();
    assert_eq!(service.ended().code(), Some(0));
}

/// Sends as many requests, from several clients at a time, and normal ones in between.
fn campaign(service: &Running, seed: u64, requests: usize, tokens: &Tokens, tally: &Mutex<Tally>) {
    let next = AtomicUsize::new(0);
    let client = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= requests {
                return;
            }
            let sent = request(seed, number, tokens);
            let statuses = send(service.address, &sent).and_then(|answer| refused(&answer));
            let mut statuses = statuses.unwrap_or_else(|why| {
                let shown = sent.bytes[..sent.bytes.len().min(4_000)].escape_ascii();
                panic!("{why}, seed {seed}, request {number} ({}): {shown}", sent.what)
            });
            if statuses.is_empty() {
                statuses.push(CLOSED);
            }
            let mut tally = tally.lock().expect("a tally");
            for status in statuses {
                *tally.entry(sent.what).or_default().entry(status).or_default() += 1;
            }
            drop(tally);
            if number.is_multiple_of(50) {
                let (status, body) =
                    service.ask(&tokens.connector, "PUT", "/files/normal.txt", "normal");
                assert!(matches!(status, 200 | 201), "a normal request: {status} {body}");
                assert_eq!(service.ask(&tokens.manager, "GET", "/tokens/self", "").0, 200);
            }
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        for client in clients {
            if client.join().is_err() {
                panic!("a client has failed, as it says above");
            }
        }
    });
}

/// Everything that the service sends until it hangs up.
fn send(address: SocketAddr, request: &Request) -> Result<Vec<u8>, String> {
    let mut stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
    // It may refuse and hang up before all is sent.
    let _ = stream.write_all(&request.bytes);
    if request.cut_short {
        let _ = stream.shutdown(Shutdown::Write);
    }
    until_closed(stream)
}

fn until_closed(mut stream: TcpStream) -> Result<Vec<u8>, String> {
    stream.set_read_timeout(Some(FORGOTTEN)).map_err(|error| error.to_string())?;
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

/// The statuses of all answers, if each is a refusal; none if the connection was closed without.
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

/// More than the service takes, really sent.
fn large(service: &Running, tokens: &Tokens) {
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

/// A request that is never finished, on a connection that is never closed by the client.
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
