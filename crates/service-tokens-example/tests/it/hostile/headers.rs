//! Headers of every length and with every byte.

use super::random::Random;
use super::requests::{LETTERS, PROTECTED, Request, Tokens, bearer, head, with_body, without_body};

/// Invalid credentials of every length and with every byte.
pub(crate) fn authorization(random: &mut Random, turn: usize, tokens: &Tokens) -> Request {
    let line = random.one(&PROTECTED);
    let length = random.length();
    let good = bearer(&tokens.manager);
    let broken =
        |value: Vec<u8>| without_body("Authorization", head(line, &[("Authorization", &value)]));
    match turn {
        0..256 => {
            let (byte, mut value) = (turn as u8, good);
            let place = 7 + random.below(value.len() - 7);
            value[place] = if value[place] == byte { b'!' } else { byte };
            return broken(value);
        }
        256..1_256 => {
            let token = [b"Bearer acme_live_1".to_vec(), random.text(turn - 256, LETTERS)].concat();
            let request = head(line, &[("Authorization", &token)]);
            return with_body("a token of this length", request, b"");
        }
        _ => {}
    }
    match random.below(7) {
        0 => broken(random.bytes(length)),
        1 => broken([b"Bearer ".to_vec(), random.bytes(length)].concat()),
        2 => {
            let token = [b"bEaReR acme_live_1".to_vec(), random.text(length, LETTERS)].concat();
            let request = head(line, &[("authorization", &token)]);
            with_body("a token that was never issued", request, b"")
        }
        3 => {
            let cut = 1 + random.below(good.len() - 1);
            with_body("half a token", head(line, &[("Authorization", &good[..cut])]), b"")
        }
        4 => {
            let scheme =
                random.one(&["Basic", "Token", "Bearer:", "Bearer,", "\"Bearer\"", "ApiKey", ""]);
            let value = format!("{scheme} {}", tokens.manager);
            with_body("another scheme", head(line, &[("Authorization", value.as_bytes())]), b"")
        }
        5 => {
            let other = random.one(&[&*good, b"Basic YTpi", b"", b"Bearer x"]);
            let both = head(line, &[("Authorization", &good), ("AUTHORIZATION", other)]);
            with_body("two credentials", both, b"")
        }
        _ => {
            // A token in other places.
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
pub(crate) fn other_headers(random: &mut Random, turn: usize) -> Request {
    let length = random.length();
    let value = match turn {
        0..256 => vec![b'a', turn as u8, b'a'],
        256..800 => vec![b'a'; turn - 256],
        _ if turn.is_multiple_of(2) => random.bytes(length),
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
    let names = ["Host", "Content-Type", "Cookie", "Idempotency-Key", "Accept", "Expect"];
    let headers = names.map(|name| (name, &*value));
    without_body("headers", head(line, &headers))
}

/// Invalid headers of an issue request, with a token that may issue.
pub(crate) fn manager_headers(random: &mut Random, turn: usize, tokens: &Tokens) -> Request {
    let body = br#"{"type":"connector","issued_to":"backup"}"#;
    let good = bearer(&tokens.manager);
    let length = random.length().min(20_000);
    let byte = (turn / 2) as u8;
    let key = match random.below(5) {
        _ if turn < 512 => vec![byte],
        0 => random.bytes(length),
        1 => random.text(36, b"0123456789abcdef-"),
        2 => b"7b16ebbc-1d04-4c6c-8f8e-5e3d8d5f0000".to_vec(),
        3 => vec![b'1'; length],
        _ => b"\"".to_vec(),
    };
    let kind = match random.below(3) {
        _ if turn < 512 => vec![b'a', byte, b'/', b'j'],
        0 => random.bytes(length),
        1 => b"text/plain".to_vec(),
        _ => b"application/x-www-form-urlencoded".to_vec(),
    };
    let json: &[u8] = b"application/json";
    let (what, headers) = match turn % 2 {
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
