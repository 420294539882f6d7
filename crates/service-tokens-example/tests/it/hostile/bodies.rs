//! Bodies that are invalid, truncated, huge or missing.

use super::random::Random;
use super::requests::{Request, Tokens, bearer, head, with_body};

/// Invalid bodies.
pub(crate) fn bodies(random: &mut Random, tokens: &Tokens) -> Request {
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
            let verb = random.one(&["revoke", "rotate"]);
            let line = format!("POST /tokens/{id}/{verb}");
            with_body("JSON for an operation", head(&line, &headers(json_type)), json.as_bytes())
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

/// Invalid lengths, and lengths of other bodies.
pub(crate) fn lengths(random: &mut Random, tokens: &Tokens) -> Request {
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

/// Invalid chunks, and chunks without an end.
pub(crate) fn chunks(random: &mut Random, tokens: &Tokens) -> Request {
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
