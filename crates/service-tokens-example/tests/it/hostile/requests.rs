//! Requests of a hostile client. Each must be refused.

use super::bodies::{bodies, chunks, lengths};
use super::headers::{authorization, manager_headers, other_headers};
use super::random::Random;

/// The bytes for one connection.
pub(crate) struct Request {
    pub(crate) what: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// Whether the client then closes its sending side, for truncated requests.
    pub(crate) cut_short: bool,
}

/// Valid tokens, so that requests pass the authentication.
pub(crate) struct Tokens {
    pub(crate) manager: String,
    pub(crate) connector: String,
}

pub(crate) const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Method and path of each route that requires a token.
pub(crate) const PROTECTED: [&str; 18] = [
    "GET /files",
    "GET /files/a.txt",
    "PUT /files/a.txt",
    "POST /files/a.txt",
    "GET /tokens",
    "POST /tokens",
    "GET /tokens/self",
    "POST /tokens/self/revoke",
    "POST /tokens/self/rotate",
    "GET /tokens/0352ueWMvVGFL69JmRrkZR",
    "POST /tokens/0352ueWMvVGFL69JmRrkZR/revoke",
    "POST /tokens/0352ueWMvVGFL69JmRrkZR/rotate",
    "GET /token-types",
    "POST /introspect",
    "GET /authorize/files:upload",
    "PUT /authorize/files:upload/and/more",
    "GET /ext-authz/files:upload/more",
    "GET /authorize/files:upload?scope=*&token=x",
];

/// Returns the request with this number.
pub(crate) fn request(seed: u64, number: usize, tokens: &Tokens) -> Request {
    let mut random = Random::new(seed ^ (number as u64).wrapping_mul(0xd134_2543_de82_ef95));
    let random = &mut random;
    // The number within its kind, for values that are tried in order.
    let turn = number / 10;
    match number % 10 {
        0 => authorization(random, 2 * turn, tokens),
        1 => authorization(random, 2 * turn + 1, tokens),
        2 => other_headers(random, turn),
        3 => manager_headers(random, turn, tokens),
        4 => bodies(random, tokens),
        5 => lengths(random, tokens),
        6 => chunks(random, tokens),
        7 => lines(random),
        8 => paths(random, tokens),
        _ => several(random, tokens),
    }
}

/// Returns a head without its last empty line.
pub(crate) fn head(line: &str, headers: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes =
        format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

pub(crate) fn without_body(what: &'static str, mut head: Vec<u8>) -> Request {
    head.extend_from_slice(b"\r\n");
    // The server may wait for the rest of a broken head.
    Request { what, bytes: head, cut_short: true }
}

pub(crate) fn with_body(what: &'static str, mut head: Vec<u8>, body: &[u8]) -> Request {
    head.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    head.extend_from_slice(body);
    Request { what, bytes: head, cut_short: false }
}

pub(crate) fn bearer(token: &str) -> Vec<u8> {
    format!("Bearer {token}").into_bytes()
}

/// Invalid request lines, and other protocols.
fn lines(random: &mut Random) -> Request {
    let length = random.length();
    let noise = random.bytes(length);
    let word = random.text(1 + length.min(50), LETTERS);
    let word = String::from_utf8_lossy(&word).into_owned();
    let path = random.one(&["/", "/healthz", "/service-tokens", "/files", "/tokens", "/revoke"]);
    let (what, bytes) = match random.below(12) {
        0 => ("noise", noise),
        1 => ("HTTP/2", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), noise].concat()),
        2 => ("TLS", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), noise].concat()),
        3 => ("no version", format!("GET {path}\r\n\r\n").into()),
        4 => ("HTTP/1.0", b"GET /files HTTP/1.0\r\n\r\n".to_vec()),
        5 => ("another version", format!("GET {path} HTTP/{}.7\r\n\r\n", random.below(10)).into()),
        6 => ("another method", format!("X{word} {path} HTTP/1.1\r\nHost: a\r\n\r\n").into()),
        7 => ("no path", format!("GET {word} HTTP/1.1\r\nHost: a\r\n\r\n").into()),
        8 => ("a proxy's method", format!("CONNECT {word}:443 HTTP/1.1\r\nHost: a\r\n\r\n").into()),
        9 => (
            "a long path",
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a/".repeat(length)).into(),
        ),
        10 => ("bare line feeds", format!("{path}\n\n{word}\n\n").into()),
        _ => {
            ("a head that does not end", format!("GET {path} HTTP/1.1\r\nHost: a\r\n{word}").into())
        }
    };
    Request { what, bytes, cut_short: true }
}

/// Unknown paths and queries, with a manager token.
fn paths(random: &mut Random, tokens: &Tokens) -> Request {
    let good = bearer(&tokens.manager);
    let length = 1 + random.below(40);
    let noise = random.text(length, b"%.:/\\?&=;,+~*'\"<>(){}|^`abcxyzCURSOR0189");
    let noise = String::from_utf8_lossy(&noise).into_owned();
    let line = match random.below(8) {
        0 => format!("GET /tokens?cursor=x{noise}"),
        1 => {
            let query = random.one(&[
                "limit=0",
                "limit=1001",
                "limit=-1",
                "limit=a",
                "limit=1&limit=1",
                "state=",
                "state=alive",
                "order=up",
                "owner=others",
                "issuer=1",
                "unused_since=now",
                "created_before=%ff",
                "expires_before=",
                "type=connector&type=developer",
                "page=2",
                "x",
                "=",
                "cursor=",
            ]);
            format!("GET /tokens?{query}")
        }
        2 => format!("GET /tokens/x{noise}"),
        3 => format!("POST /tokens/x{noise}/revoke"),
        4 => format!("PUT /files/.{noise}"),
        5 => {
            let name = random.one(&[
                "%2e%2e%2ftokens.journal",
                "..%5c..%5cetc",
                "%00",
                "a%00.txt",
                "%ff",
                "%zz",
                "%",
                "a%0d%0ab",
                "%2fetc%2fpasswd",
                "~root",
                "a%20b",
                "%c3%a9",
            ]);
            format!("PUT /files/{name}")
        }
        6 => {
            let method = random.one(&["DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND", "FOO"]);
            let path = random.one(&[
                "/files",
                "/files/a",
                "/tokens",
                "/tokens/self",
                "/service-tokens",
                "/healthz",
            ]);
            format!("{method} {path}")
        }
        _ => format!("GET /x{noise}"),
    };
    let mut request = with_body("a path", head(&line, &[("Authorization", &good)]), b"");
    request.cut_short = true;
    request
}

/// Several requests on one connection, with ambiguous lengths.
fn several(random: &mut Random, tokens: &Tokens) -> Request {
    let good = String::from_utf8_lossy(&bearer(&tokens.connector)).into_owned();
    let mut bytes = Vec::new();
    if random.below(4) == 0 {
        // A request hidden behind two contradictory lengths.
        let hidden = format!("GET /tokens HTTP/1.1\r\nHost: a\r\nAuthorization: {good}\r\n\r\n");
        let text = format!(
            "POST /introspect HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n\
             0\r\n\r\n{hidden}",
            hidden.len()
        );
        return Request { what: "smuggled", bytes: text.into(), cut_short: true };
    }
    for _ in 0..1 + random.below(20) {
        let line = random.one(&["GET /files", "GET /tokens", "GET /token-types", "GET /nowhere"]);
        // A Connector lacks the scope for each of these.
        bytes.extend_from_slice(
            format!("{line} HTTP/1.1\r\nHost: a\r\nAuthorization: {good}\r\n\r\n").as_bytes(),
        );
    }
    bytes.extend_from_slice(&head("GET /files", &[]));
    bytes.extend_from_slice(b"\r\n");
    Request { what: "pipelined", bytes, cut_short: false }
}
