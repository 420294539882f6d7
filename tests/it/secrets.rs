//! Canaries: no secret, token, digest or key appears in output, events, errors or panics.

use std::fmt::{Debug, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

use crate::behaviour::harness::{
    DAY, Factory, Fault, Faulty, HOUR, Remote, any, builder, collect_tracing, requirement, text,
};
use crate::stores::Memory;
use futures_lite::future::block_on;
use hmac::{Hmac, KeyInit, Mac};
use service_tokens::clock::ManualClock;
use service_tokens::digest::KeyId;
use service_tokens::random::OsRandom;
use service_tokens::record::ReplacedSecret;
use service_tokens::steps::{AccessRules, Digests, ParsedToken, Prefix, TokenTypes};
use service_tokens::store::States;
use service_tokens::{
    Event, Filter, IssueRequest, Issued, KeyRing, ListRequest, MemoryStore, Policy, Record,
    RevokeRequest, RotateRequest, TokenService, TokenType,
};
use sha2::{Digest as _, Sha256};

const KEY: [u8; 32] = *b"\x91key-bytes-for-the-leak-checks-\x02";
const OLD_KEY: [u8; 32] = *b"\x92old-key-bytes-for-leak-checks-\x03";

fn ring() -> KeyRing {
    KeyRing::new(KeyId(*b"new_"), &KEY).unwrap().retired(KeyId(*b"old_"), &OLD_KEY).unwrap()
}

/// The texts that must not be found, each with a name for the report.
#[derive(Default)]
struct Canaries(Vec<(String, String)>);

impl Canaries {
    fn add_bytes(&mut self, name: &str, bytes: &[u8]) {
        let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        let list = format!("{bytes:?}");
        let forms = [
            ("hex", hex.clone()),
            ("upper hex", hex.to_uppercase()),
            ("numbers", list[1..list.len() - 1].to_owned()),
            ("base64", base64(bytes, b"+/")),
            ("url base64", base64(bytes, b"-_")),
        ];
        for (form, text) in forms {
            // A part of a secret is a leak, too: the first and the last half.
            let half = text.len() / 2;
            self.0.push((format!("{name}, {form}, first half"), text[..half].to_owned()));
            self.0.push((format!("{name}, {form}, last half"), text[half..].to_owned()));
        }
        // A key may consist of letters. A digest may contain nine of them in a row by chance, and the file
        // has digests.
        for part in bytes.split(|byte| !byte.is_ascii_graphic()).filter(|part| part.len() > 20) {
            let part = str::from_utf8(part).unwrap().to_owned();
            self.0.push((format!("{name}, as text"), part));
        }
    }

    fn add(&mut self, name: &str, issued: &Issued) {
        let token = text(issued);
        let body = &token[token.len() - 72..];
        let secret = &body[23..66];
        // Any twelve characters in a row, as text and as bytes.
        for start in 0..=secret.len() - 12 {
            let window = &secret[start..start + 12];
            self.0.push((format!("{name}, secret from {start}"), window.to_owned()));
        }
        for start in (0..=secret.len() - 12).step_by(6) {
            let window = &secret.as_bytes()[start..start + 12];
            let list = format!("{window:?}");
            let numbers = list[1..list.len() - 1].to_owned();
            self.0.push((format!("{name}, secret's bytes from {start}"), numbers));
        }
        self.0.push((format!("{name}, token"), token.clone()));
        let prefix = &token[..token.len() - 73];
        let domain = b"service-tokens prefix\0";
        let tag = &Sha256::new().chain_update(domain).chain_update(prefix).finalize()[..12];
        let plain = Sha256::new().chain_update(secret).chain_update(tag).finalize();
        self.add_bytes(&format!("{name}, plain digest"), &plain);
        self.add_bytes(&format!("{name}, hash"), &Sha256::digest(secret.as_bytes()));
        for (key_name, key) in [("key", KEY), ("old key", OLD_KEY)] {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            mac.update(&issued.record.id().to_bytes());
            mac.update(secret.as_bytes());
            mac.update(tag);
            let digest = mac.finalize().into_bytes();
            self.add_bytes(&format!("{name}, digest under the {key_name}"), &digest);
        }
    }

    /// Returns the name of a canary that this text contains.
    fn found(&self, printed: &str) -> Option<&str> {
        let found = self.0.iter().find(|(_, canary)| printed.contains(&**canary));
        found.map(|(name, _)| &**name)
    }

    #[track_caller]
    fn check(&self, what: &str, printed: &str) {
        assert!(!printed.is_empty(), "{what}: nothing was printed, so nothing was checked");
        if let Some(canary) = self.found(printed) {
            panic!("{what} shows the {canary}");
        }
    }

    #[track_caller]
    fn check_debug(&self, what: &str, value: &dyn Debug) {
        self.check(what, &format!("{value:?}"));
        self.check(what, &format!("{value:#?}"));
    }

    /// Adds an error and all of its sources.
    #[track_caller]
    fn check_error(&self, what: &str, error: &dyn std::error::Error) {
        let mut link = Some(error);
        while let Some(error) = link {
            self.check(what, &error.to_string());
            self.check_debug(what, &error);
            link = error.source();
        }
    }
}

fn base64(bytes: &[u8], last: &[u8; 2]) -> String {
    let alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').collect();
    let alphabet = [&alphabet[..], last].concat();
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes(word);
        for i in 0..=chunk.len() {
            text.push(char::from(alphabet[(word >> (18 - 6 * i)) as usize & 63]));
        }
    }
    text
}

fn request() -> IssueRequest {
    IssueRequest::new("connector", "backup").issued_by("alice").metadata("k", "v")
}

/// The output and events of many operations, and the secrets that must not appear in them.
#[derive(Default)]
struct Seen {
    canaries: Canaries,
    /// Errors and values as text.
    printed: Vec<(String, String)>,
}

impl Seen {
    fn debug(&mut self, what: &str, value: &dyn Debug) {
        self.printed.push((what.to_owned(), format!("{value:?} {value:#?}")));
    }

    fn error(&mut self, what: &str, error: &dyn std::error::Error) {
        let mut link = Some(error);
        while let Some(error) = link {
            self.printed.push((what.to_owned(), format!("{error} {error:?} {error:#?}")));
            link = error.source();
        }
    }

    fn outcome<T: Debug>(&mut self, what: &str, outcome: Result<T, impl std::error::Error>) {
        match outcome {
            Ok(value) => self.debug(what, &value),
            Err(error) => self.error(what, &error),
        }
    }
}

/// Issues, rotates, verifies, refuses and fails in many ways.
async fn live(seen: &mut Seen, service: &TokenService<Arc<Faulty>>, clock: &ManualClock) {
    let view = service.owner("acme");
    let store = service.store().clone();
    let issued = service.owner("acme").issue(request()).await.unwrap();
    let id = issued.record.id();
    let rotated = view.rotate(id, RotateRequest::with_overlap(HOUR)).await.unwrap();
    let lost = RotateRequest::with_overlap(HOUR).replacing(ReplacedSecret::Newest);
    let again = view.rotate(id, lost).await.unwrap();
    let other = service.owner("acme").issue(request().expires_in(2 * HOUR)).await.unwrap();
    let four = [("first", &issued), ("second", &rotated), ("third", &again), ("other", &other)];
    for (name, issued) in four {
        seen.canaries.add(name, issued);
        seen.debug("an issued token", issued);
        seen.debug("a token", &issued.token);
    }
    let scopes = [any(), requirement("files:read"), requirement("files:delete")];
    for _ in 0..2 {
        for (name, issued) in four {
            let token = text(issued);
            for requirement in &scopes {
                let verified = service.verify(&token, requirement).await;
                seen.outcome(&format!("verifying the {name}"), verified);
            }
            // Truncated, extended, altered, with another prefix, in upper case, in quotes, and as bytes.
            let altered = [
                token[1..].to_owned(),
                token[..token.len() - 1].to_owned(),
                format!("{token}x"),
                format!("{token}{token}"),
                token.replace("live", "test"),
                token.to_uppercase(),
                format!("\"{token}\""),
                format!("Bearer {token}"),
                token.replacen('1', "2", 1),
                format!("{token}\n"),
            ];
            for altered in altered {
                seen.outcome("an altered token", service.verify(&altered, &any()).await);
                let prefixes = [Prefix::new("acme_live").unwrap()];
                seen.outcome("parsing", ParsedToken::parse(&altered, &prefixes));
            }
            let prefixes = [Prefix::new("acme_live").unwrap()];
            seen.debug("a parsed token", &ParsedToken::parse(&token, &prefixes).unwrap());
            let mut invalid = token.into_bytes();
            invalid.push(0xff);
            seen.outcome("bytes", service.verify(&invalid, &any()).await);
        }
        clock.advance(HOUR);
    }
    let overlapping = RotateRequest::with_overlap(1_000 * DAY);
    seen.outcome("too long an overlap", view.rotate(id, overlapping).await);
    seen.outcome("another owner", service.owner("globex").get(id).await);
    seen.outcome("an expired one", view.rotate(other.record.id(), RotateRequest::at_once()).await);
    seen.outcome("the same id", service.owner("acme").issue(request().id(id)).await);
    for fault in [Fault::DoneAndLost, Fault::LostBefore, Fault::Unavailable] {
        store.arm(&[], fault);
        seen.outcome("a lost issue", service.owner("acme").issue(request()).await);
        seen.outcome("a failing get", view.get(id).await);
        seen.outcome("a failing list", view.list(ListRequest::new()).await);
        seen.outcome("a lost rotation", view.rotate(id, RotateRequest::at_once()).await);
        store.arm(&[Fault::None], fault);
        seen.outcome("a lost rotation", view.rotate(id, RotateRequest::at_once()).await);
        store.arm(&[], fault);
        seen.outcome("a lost revocation", view.revoke(id, RevokeRequest::new()).await);
        seen.outcome("verifying", service.verify(&text(&again), &any()).await);
        store.disarm();
    }
    seen.outcome("get", view.get(id).await);
    seen.outcome("list", view.list(ListRequest::from(Filter::new().states(States::ALL))).await);
    seen.outcome("revoke", view.revoke(id, RevokeRequest::new().by("bob").reason("x")).await);
    seen.outcome("revoked", service.verify(&text(&again), &any()).await);
    seen.debug("a service", service);
    seen.debug("a view", &view);
    seen.debug("a policy", service.policy());
}

#[test]
fn output_traces_and_events_hold_no_secret() {
    for keyed in [false, true] {
        for collected in [false, true] {
            let clock = Arc::new(ManualClock::default());
            let opened = Memory.open();
            let store = Arc::new(Faulty::new(opened.store.clone()));
            let mut seen = Seen::default();
            let events = Arc::new(Mutex::new(Vec::new()));
            let lines = collect_tracing(|traced| {
                let mut service = builder(store).clock(clock.clone());
                if keyed {
                    service = service.keys(ring());
                }
                if collected {
                    let events = events.clone();
                    service = service.events(move |event: &Event| {
                        events.lock().unwrap().push(format!("{event:?}"))
                    });
                }
                seen.debug("a builder", &service);
                let service = service.build().unwrap();
                block_on(live(&mut seen, &service, &clock));
                assert!(service.flush_events_blocking(HOUR).is_ok());
                traced.printed()
            });
            seen.canaries.add_bytes("key", &KEY);
            seen.canaries.add_bytes("old key", &OLD_KEY);
            for (what, printed) in &seen.printed {
                seen.canaries.check(what, printed);
            }
            if collected {
                seen.canaries.check("events", &events.lock().unwrap().join("\n"));
            } else {
                // The lines contain the ids, so these are the lines that the test means.
                assert!(lines.contains("token issued") && lines.lines().count() > 50, "{lines}");
                seen.canaries.check("tracing", &lines);
            }
            drop(opened.guard);
        }
    }
}

#[cfg(feature = "file")]
#[test]
fn store_file_holds_no_token_or_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.journal");
    let clock = Arc::new(ManualClock::default());
    let mut seen = Seen::default();
    let store = service_tokens::FileStore::open(&path).unwrap();
    let store = Arc::new(Faulty::new(Arc::new(store)));
    let service = builder(store).keys(ring()).clock(clock.clone()).build().unwrap();
    block_on(live(&mut seen, &service, &clock));
    drop(service);
    seen.canaries.add_bytes("key", &KEY);
    seen.canaries.add_bytes("old key", &OLD_KEY);
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.windows(9).any(|window| window == b"connector"), "it is the right file");
    let printed: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    seen.canaries.check("the file", &printed);
    for key in [&KEY, &OLD_KEY] {
        assert!(!bytes.windows(key.len()).any(|window| window == &key[..]), "a key is in the file");
    }
}

#[test]
fn debug_shows_no_secret() {
    let mut canaries = Canaries::default();
    let store = Arc::new(MemoryStore::new());
    let service = builder(store.clone()).keys(ring()).build().unwrap();
    let issued = block_on(service.owner("acme").issue(request())).unwrap();
    let rotation = RotateRequest::with_overlap(HOUR);
    let view = service.owner("acme");
    let newer = block_on(view.rotate(issued.record.id(), rotation)).unwrap();
    canaries.add("older", &issued);
    canaries.add("newer", &newer);
    canaries.add_bytes("key", &KEY);
    canaries.add_bytes("old key", &OLD_KEY);

    let token = text(&newer);
    let prefixes = [Prefix::new("acme_live").unwrap()];
    let parsed = ParsedToken::parse(&token, &prefixes).unwrap();
    let digests = Digests::keyed(ring());
    let matched = newer.record.matches(&parsed, &digests).unwrap();
    canaries.check_debug("Matched", &matched);
    let connector = TokenType::new("connector", ["files:read", "files:upload"]).unwrap();
    let rules = AccessRules::new(TokenTypes::new([connector]));
    let context = service_tokens::RequestContext::new();
    let verified = matched.authorize(service.now(), &any(), &context, &rules).unwrap();
    canaries.check_debug("VerifiedToken", &verified);
    canaries.check_debug("ParsedToken", &parsed);
    canaries.check_debug("Issued", &newer);
    canaries.check_debug("Token", &newer.token);
    canaries.check_debug("Record", &newer.record);
    canaries.check_debug("KeyRing", &ring());
    canaries.check_debug("Digests", &digests);
    canaries.check_debug("OsRandom", &OsRandom);
    canaries.check_debug("Policy", &Policy::new());
    canaries.check_debug("MemoryStore", &store);
    canaries.check_debug("TokenService", &service);
    canaries.check_debug("Tokens", &view);
    canaries.check_debug("Stored", &block_on(view.get(newer.record.id())).unwrap());
    canaries.check_debug("Page", &block_on(view.list(ListRequest::new())).unwrap());
    let revoked = block_on(view.revoke(newer.record.id(), RevokeRequest::new())).unwrap();
    canaries.check_debug("Revoked", &revoked);
    let other = Digests::keyed(KeyRing::new(KeyId(*b"else"), &[5; 32]).unwrap());
    canaries.check_debug("Refusal", &newer.record.matches(&parsed, &other).unwrap_err());
    let weak = KeyRing::new(KeyId(*b"weak"), &KEY[..31]).unwrap_err();
    canaries.check_error("InvalidKey", &weak);
    let doubled = ring().retired(KeyId(*b"old_"), &KEY).unwrap_err();
    canaries.check_error("InvalidKey", &doubled);
    // The bytes of a record contain digests. The error about damaged bytes must not.
    let bytes = newer.record.to_bytes();
    for end in 0..bytes.len() {
        if let Err(error) = Record::from_bytes(&bytes[..end]) {
            canaries.check_error("CorruptRecord", &error);
        }
    }
    let keeping =
        builder(Arc::new(Remote::new(Arc::new(MemoryStore::new())))).cache_records(HOUR, 10);
    let keeping = keeping.build().unwrap();
    let kept = block_on(keeping.owner("acme").issue(request())).unwrap();
    block_on(keeping.verify(&text(&kept), &any())).unwrap();
    canaries.add("kept", &kept);
    canaries.check_debug("TokenService that keeps records", &keeping);
}

/// A panic in the embedder's code while it owns all of these values. The payload, the output of the hook
/// and the dropped values must not show a secret.
#[test]
fn panic_shows_no_secret() {
    let printed = Arc::new(Mutex::new(String::new()));
    let hooked = printed.clone();
    let earlier = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let trace = std::backtrace::Backtrace::force_capture();
        writeln!(hooked.lock().unwrap(), "{info}\n{info:?}\n{trace}").unwrap();
    }));
    let mut canaries = Canaries::default();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let service = builder(MemoryStore::new()).keys(ring()).build().unwrap();
        let issued = block_on(service.owner("acme").issue(request())).unwrap();
        canaries.add("issued", &issued);
        let stored = block_on(service.owner("acme").get(issued.record.id())).unwrap();
        let verified = block_on(service.verify(&text(&issued), &any())).unwrap();
        let refused = block_on(service.verify(&text(&issued), &requirement("x"))).unwrap_err();
        panic!("{service:?} {issued:?} {stored:?} {verified:?} {refused:?}");
    }));
    let unwrapped = catch_unwind(AssertUnwindSafe(|| {
        let service = builder(MemoryStore::new()).keys(ring()).build().unwrap();
        let issued = block_on(service.owner("acme").issue(request())).unwrap();
        canaries.add("issued", &issued);
        // Code may unwrap an unexpected error or value, which prints it in the message of the panic.
        let outcome = block_on(service.verify(&text(&issued), &requirement("x")));
        let _ = catch_unwind(AssertUnwindSafe(|| outcome.map(drop).unwrap()));
        let outcome: Result<(), Issued> =
            if issued.record.owner() == "acme" { Err(issued) } else { Ok(()) };
        outcome.unwrap();
    }));
    std::panic::set_hook(earlier);
    canaries.add_bytes("key", &KEY);
    canaries.add_bytes("old key", &OLD_KEY);
    for caught in [caught, unwrapped] {
        let payload = caught.unwrap_err();
        match payload.downcast::<String>() {
            Ok(payload) => canaries.check("the payload", &payload),
            Err(payload) => resume_unwind(payload),
        }
    }
    canaries.check("the hook", &printed.lock().unwrap());
}

/// The search must find known secrets: the bytes of a record contain a digest.
#[test]
fn canaries_find_planted_leaks() {
    for keyed in [false, true] {
        let mut service = builder(MemoryStore::new());
        if keyed {
            service = service.keys(ring());
        }
        let service = service.build().unwrap();
        let issued = block_on(service.owner("acme").issue(request())).unwrap();
        let mut canaries = Canaries::default();
        canaries.add("it", &issued);
        canaries.add_bytes("key", &KEY);
        let token = text(&issued);
        let bytes = issued.record.to_bytes();
        let list = format!("{bytes:?}");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        let secret = &token[token.len() - 49..token.len() - 6];
        let key = format!("{KEY:?}");
        let leaks =
            [&list, &hex, &token, &secret[17..29], &key, &format!("{:?}", secret.as_bytes())];
        for leak in leaks {
            assert!(canaries.found(leak).is_some(), "keyed {keyed}: {leak}");
        }
        assert_eq!(canaries.found(&issued.record.id().to_string()), None, "the id is public");
    }
    assert_eq!(base64(b"any carnal pleas", b"+/"), "YW55IGNhcm5hbCBwbGVhcw");
    assert_eq!(base64(&[0xfb, 0xff], b"-_"), "-_8");
}
