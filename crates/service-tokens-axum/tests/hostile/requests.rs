//! What a hostile client sends. None of it may be answered with a success.

use crate::random::Random;

/// What is sent on one connection.
pub(crate) struct Request {
    pub(crate) what: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// Whether the client then says that nothing more will come: for what is cut short.
    pub(crate) cut_short: bool,
}

/// Tokens that are good, so that requests get as far in as they can.
pub(crate) struct Tokens {
    pub(crate) manager: String,
    pub(crate) connector: String,
}

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Method and path of everything that needs a token.
const PROTECTED: [&str; 17] = [
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
    "GET /authorize/files:upload?scope=*&token=x",
];

/// The request of this number.
pub(crate) fn request(seed: u64, number: usize, tokens: &Tokens) -> Request {
    let mut random = Random::new(seed ^ (number as u64).wrapping_mul(0xd134_2543_de82_ef95));
    let random = &mut random;
    match number % 10 {
        0 | 1 => authorization(random, number, tokens),
        2 => other_headers(random, number),
        3 => manager_headers(random, tokens),
        4 => bodies(random, tokens),
        5 => lengths(random, tokens),
        6 => chunks(random, tokens),
        7 => lines(random),
        8 => paths(random, tokens),
        _ => several(random, tokens),
    }
}

/// A head of its own: anything may be in the headers, the last one excepted.
fn head(line: &str, headers: &[(&str, &[u8])]) -> Vec<u8> {
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

fn without_body(what: &'static str, mut head: Vec<u8>) -> Request {
    head.extend_from_slice(b"\r\n");
    // A broken head may look as if more had to come.
    Request { what, bytes: head, cut_short: true }
}

fn with_body(what: &'static str, mut head: Vec<u8>, body: &[u8]) -> Request {
    head.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    head.extend_from_slice(body);
    Request { what, bytes: head, cut_short: false }
}

fn bearer(token: &str) -> Vec<u8> {
    format!("Bearer {token}").into_bytes()
}

/// Credentials that are none, of every length and with every byte.
fn authorization(random: &mut Random, number: usize, tokens: &Tokens) -> Request {
    let line = random.one(&PROTECTED);
    let length = random.length();
    let good = bearer(&tokens.manager);
    let broken =
        |value: Vec<u8>| without_body("Authorization", head(line, &[("Authorization", &value)]));
    match random.below(8) {
        0 => broken(random.bytes(length)),
        1 => broken([b"Bearer ".to_vec(), random.bytes(length)].concat()),
        2 => {
            let token = [b"bEaReR acme_live_1".to_vec(), random.text(length, LETTERS)].concat();
            let request = head(line, &[("authorization", &token)]);
            with_body("a token that was never issued", request, b"")
        }
        3 => {
            // Every byte value in turn, in the middle of a good token.
            let (byte, mut value) = ((number / 2) as u8, good);
            let place = 7 + random.below(value.len() - 7);
            if value[place] == byte {
                value[place] = b'!';
            } else {
                value[place] = byte;
            }
            broken(value)
        }
        4 => {
            let cut = 1 + random.below(good.len() - 1);
            with_body("half a token", head(line, &[("Authorization", &good[..cut])]), b"")
        }
        5 => {
            let scheme =
                random.one(&["Basic", "Token", "Bearer:", "Bearer,", "\"Bearer\"", "ApiKey", ""]);
            let value = format!("{scheme} {}", tokens.manager);
            with_body("another scheme", head(line, &[("Authorization", value.as_bytes())]), b"")
        }
        6 => {
            let other = random.one(&[&*good, b"Basic YTpi", b"", b"Bearer x"]);
            let both = head(line, &[("Authorization", &good), ("AUTHORIZATION", other)]);
            with_body("two credentials", both, b"")
        }
        _ => {
            // Where a token does not belong.
            let line = line.replace('?', "&");
            let line = format!("{line}?access_token={token}&token={token}", token = tokens.manager);
            let cookie = format!("Authorization={0}; token={0}; access_token={0}", tokens.manager);
            let forged = head(
                &line,
                &[
                    ("Cookie", cookie.as_bytes()),
                    ("X-Forwarded-Authorization", &good),
                    ("Proxy-Authorization", &good),
                    ("X-Service-Token-Scopes", b"*"),
                ],
            );
            let form = format!("access_token={}", tokens.manager);
            with_body("a token elsewhere", forged, form.as_bytes())
        }
    }
}

/// Every other header, of every length and with every byte, without credentials.
fn other_headers(random: &mut Random, number: usize) -> Request {
    let names =
        ["Host", "Content-Type", "Cookie", "Idempotency-Key", "Accept", "Expect", "Upgrade", "TE"];
    let name = random.one(&names);
    let length = random.length();
    let value = match random.below(3) {
        0 => random.bytes(length),
        1 => vec![(number / 10) as u8; length],
        _ => random.text(length, LETTERS),
    };
    let line = random.one(&PROTECTED);
    if random.below(10) == 0 {
        let name = random.text(length, b"abc-:_\0\x7f ");
        let mut bytes = head(line, &[]);
        for _ in 0..random.below(300) {
            bytes.extend_from_slice(&[&*name, b": x\r\n"].concat());
        }
        return without_body("many headers", bytes);
    }
    without_body("a header", head(line, &[(name, &value)]))
}

/// Headers that matter where tokens are issued, with the right to issue.
fn manager_headers(random: &mut Random, tokens: &Tokens) -> Request {
    let body = br#"{"type":"connector","issued_to":"nobody"}"#;
    let good = bearer(&tokens.manager);
    let length = random.length().min(20_000);
    let key = match random.below(4) {
        0 => random.bytes(length),
        1 => random.text(36, b"0123456789abcdef-"),
        2 => b"7b16ebbc-1d04-4c6c-8f8e-5e3d8d5f0000".to_vec(),
        _ => b"\"".to_vec(),
    };
    let kind = match random.below(3) {
        0 => random.bytes(length),
        1 => b"text/plain".to_vec(),
        _ => b"application/x-www-form-urlencoded".to_vec(),
    };
    let json: &[u8] = b"application/json";
    let (what, headers) = match random.below(2) {
        0 => ("Idempotency-Key", [("Content-Type", json), ("Idempotency-Key", &*key)]),
        _ => ("Content-Type", [("Content-Type", &*kind), ("Accept", b"*/*")]),
    };
    let mut bytes = head("POST /tokens", &[("Authorization", &good)]);
    for (name, value) in headers {
        bytes.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    let mut request = with_body(what, bytes, body);
    // A line feed in a value ends the head early.
    request.cut_short = true;
    request
}

/// Bodies that are not what they should be.
fn bodies(random: &mut Random, tokens: &Tokens) -> Request {
    let good = bearer(&tokens.manager);
    let length = random.length();
    let id = "0352ueWMvVGFL69JmRrkZR";
    let nested = ["[".repeat(length.min(5_000)), "{\"a\":".repeat(length.min(5_000))].concat();
    let long = format!(r#"{{"type":"connector","issued_to":"{}"}}"#, "a".repeat(300 + length));
    let json = random.one(&[
        "",
        "null",
        "[]",
        "{}",
        "\"text\"",
        r#"{"type":"connector"}"#,
        r#"{"type":"connector","issued_to":""}"#,
        r#"{"type":"connector","issued_to":7}"#,
        r#"{"type":"nothing","issued_to":"a"}"#,
        r#"{"type":"connector","issued_to":"a","unknown":1}"#,
        r#"{"type":"connector","type":"developer","issued_to":"a"}"#,
        r#"{"type":"connector","issued_to":"a","scopes":null}"#,
        r#"{"type":"connector","issued_to":"a","scopes":[]}"#,
        r#"{"type":"connector","issued_to":"a","scopes":["*"]}"#,
        r#"{"type":"connector","issued_to":"a","scopes":["service-tokens:issue"]}"#,
        r#"{"type":"connector","issued_to":"a","scopes":"files:upload"}"#,
        r#"{"type":"connector","issued_to":"a","expires_in":-1}"#,
        r#"{"type":"connector","issued_to":"a","expires_in":0}"#,
        r#"{"type":"connector","issued_to":"a","expires_in":1e999}"#,
        r#"{"type":"connector","issued_to":"a","expires_in":18446744073709551615}"#,
        r#"{"type":"connector","issued_to":"a","expires_in":60,"never_expires":true}"#,
        r#"{"type":"connector","issued_to":"a","never_expires":true}"#,
        r#"{"type":"connector","issued_to":"a","expires_at":"+262142-12-31T23:59:59Z"}"#,
        r#"{"type":"connector","issued_to":"a","expires_at":"tomorrow"}"#,
        r#"{"type":"connector","issued_to":"a","not_before":"9999-99-99T99:99:99Z"}"#,
        r#"{"type":"connector","issued_to":"a","owner":"others"}"#,
        r#"{"type":"connector","issued_to":"a","id":"1"}"#,
        r#"{"type":"connector","issued_to":"a","metadata":{"a":1}}"#,
        r#"{"type":"connector","issued_to":"\ud800"}"#,
        r#"{"type":"connector","issued_to":"a"} more"#,
        &nested,
        &long,
    ]);
    let forms = [
        "",
        "token",
        "token=",
        "token=a&token=b",
        "Token=a",
        "tokens=a",
        "&&&",
        "%",
        "=a",
        "token[]=a",
        "token_type_hint=access_token",
    ];
    let form = random.one(&forms);
    let (form_type, json_type) = ("application/x-www-form-urlencoded", "application/json");
    let headers =
        |kind: &'static str| [("Authorization", &*good), ("Content-Type", kind.as_bytes())];
    match random.below(8) {
        0..3 => {
            with_body("JSON for issue", head("POST /tokens", &headers(json_type)), json.as_bytes())
        }
        3 => {
            let act = random.one(&["revoke", "rotate"]);
            let line = format!("POST /tokens/{id}/{act}");
            with_body("JSON for an act", head(&line, &headers(json_type)), json.as_bytes())
        }
        4 => {
            let line = random.one(&["POST /introspect", "POST /revoke"]);
            with_body("a form", head(line, &headers(form_type)), form.as_bytes())
        }
        5 => {
            let line = random.one(&["POST /introspect", "POST /revoke"]);
            let kind = random.one(&["application/json", "text/plain", "multipart/form-data", ""]);
            with_body("a form by another name", head(line, &headers(kind)), b"token=a")
        }
        6 => {
            let line =
                random.one(&["POST /tokens", "POST /introspect", "POST /tokens/self/rotate"]);
            let noise = [random.bytes(1 + length), vec![0xff]].concat();
            with_body("noise", head(line, &headers(json_type)), &noise)
        }
        _ => {
            let line = random.one(&["POST /tokens", "POST /introspect", "POST /revoke"]);
            let kind = if line == "POST /tokens" { json_type } else { form_type };
            let huge = vec![b'a'; 100_000 + random.below(2_000_000)];
            with_body("a huge body", head(line, &headers(kind)), &huge)
        }
    }
}

/// Lengths that are none, or not those of the body.
fn lengths(random: &mut Random, tokens: &Tokens) -> Request {
    let good = bearer(&tokens.connector);
    let mut bytes = head("PUT /files/cut.txt", &[("Authorization", &good)]);
    let more = 1 + random.below(1 << 20);
    let text = match random.below(8) {
        0 => format!("Content-Length: {more}\r\n\r\n"),
        1 => "Content-Length: 18446744073709551616\r\n\r\n".into(),
        2 => "Content-Length: -1\r\n\r\n".into(),
        3 => "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello".into(),
        4 => "Content-Length: 5, 6\r\n\r\nhello".into(),
        5 => format!("Content-Length: {}\r\n\r\n", (64 << 20) + more),
        6 => format!("Content-Length: 0x{more:x}\r\n\r\n"),
        _ => format!("Content-Length: {}\r\n\r\n{}", more + 5_000, "a".repeat(random.below(5_000))),
    };
    bytes.extend_from_slice(text.as_bytes());
    Request { what: "a length", bytes, cut_short: true }
}

/// Chunks that are none, or never end.
fn chunks(random: &mut Random, tokens: &Tokens) -> Request {
    let good = bearer(&tokens.connector);
    let mut bytes = head("PUT /files/cut.txt", &[("Authorization", &good)]);
    let text = random.one(&[
        "Transfer-Encoding: chunked\r\n\r\nnothing\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello, world\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nhello\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5;\n\r\nhello\r\n0\r\n",
        "Transfer-Encoding: gzip, identity\r\n\r\nhello",
        "Transfer-Encoding: chunked, gzip\r\n\r\nhello",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ]);
    bytes.extend_from_slice(text.as_bytes());
    Request { what: "chunks", bytes, cut_short: true }
}

/// First lines that are none of HTTP/1.1's, and other protocols.
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

/// Paths and queries that mean nothing, with a manager's token.
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
                "direction=up",
                "owner=others",
                "issuer=1",
                "unused_since=now",
                "created_before=%ff",
                "expiring_before=",
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

/// Several requests on one connection, whichever way they are meant to be taken apart.
fn several(random: &mut Random, tokens: &Tokens) -> Request {
    let good = String::from_utf8_lossy(&bearer(&tokens.connector)).into_owned();
    let mut bytes = Vec::new();
    if random.below(4) == 0 {
        // What hides behind a length that another reader might not believe.
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
        // A Connector may do none of these.
        bytes.extend_from_slice(
            format!("{line} HTTP/1.1\r\nHost: a\r\nAuthorization: {good}\r\n\r\n").as_bytes(),
        );
    }
    bytes.extend_from_slice(&head("GET /files", &[]));
    bytes.extend_from_slice(b"\r\n");
    Request { what: "pipelined", bytes, cut_short: false }
}
