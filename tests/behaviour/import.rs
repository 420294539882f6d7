//! Importing tokens of an older system: what an import stores, what a repeated one does, and how an imported
//! token lives on.

use std::sync::Arc;
use std::time::Duration;

use super::harness::{
    DAY, Fault, Faulty, HOUR, Harness, HarnessBuilder, MAX_AGE, MICRO, MINUTE, Remote, Stores, any,
    backup, builder, delta, expect_invalid, incident, records, refusal_of, requirement, scope_set,
    text, token_type,
};
use service_tokens::clock::Clock;
use service_tokens::import::{Characters, ImportDigest, ImportForm};
use service_tokens::network::Network;
use service_tokens::record::{Field, Rule};
use service_tokens::store::Order;
use service_tokens::{
    Event, Filter, ImportRequest, Imported, IssueRequest, ListRequest, ManageError, Policy,
    Refusal, RequestContext, RotateRequest, State, TokenId, TokenService, TokenStore, TokenType,
    VerifyError,
};

behaviours! {
    imported_text_is_accepted_by_every_verify,
    import_stores_what_was_requested,
    import_by_digest_equals_import_by_plaintext,
    import_again_changes_nothing,
    import_again_after_rotations_changes_nothing,
    import_again_precedes_refusals,
    import_for_other_owner_or_type_exists,
    import_obeys_limits_of_issue,
    import_obeys_limits_of_its_type,
    import_beyond_owner_limit_is_refused,
    import_while_paused_is_refused,
    import_without_form_asks_no_store,
    import_emits_one_event,
    import_shows_no_plaintext,
    import_resolves_lost_answers,
    concurrent_import_for_other_owner_exists,
    imported_ids_sort_before_issued_ones,
    issue_with_imported_id_is_refused,
    rotated_import_recognises_old_text,
    import_overlap_ends_on_first_use,
    native_text_does_not_match_imported_digest,
    purge_retains_imported_unless_included,
    import_invalidates_cached_miss,
    use_of_imported_token_is_recorded,
    revoke_all_covers_imported_tokens,
}

pub(crate) const TEXT: &str = "sk_live_e5e9fa1ba31ecd1ae84f75caaa474f3a";
/// The SHA-256 of [`TEXT`], computed by another program.
const SHA256: &str = "18dfa9f7b7f6c370800ff9ad219969e4c0d72144302e1e818ce510f333f629a3";

/// The form of [`TEXT`].
pub(crate) fn old_keys() -> ImportForm {
    ImportForm::sha256("old keys")
        .prefix("sk_live_")
        .characters(Characters::LOWER_HEX)
        .lengths([32])
}

/// Decodes hexadecimal digits.
pub(crate) fn hex<const N: usize>(digits: &str) -> [u8; N] {
    let bytes: Vec<u8> = (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    bytes.try_into().unwrap()
}

fn digest() -> ImportDigest {
    ImportDigest::sha256(hex(SHA256))
}

fn by_digest() -> ImportRequest {
    ImportRequest::of_digest(digest(), "connector", "backup")
}

fn by_plaintext() -> ImportRequest {
    ImportRequest::of_plaintext(TEXT, "connector", "backup")
}

fn with_form<S: TokenStore>(harness: HarnessBuilder<S>) -> Harness<S> {
    harness.configure(|service| service.import_form(old_keys())).build()
}

fn harness(stores: Stores) -> Harness {
    with_form(Harness::builder(stores))
}

impl<S: TokenStore> Harness<S> {
    async fn import(&self, request: ImportRequest) -> Imported {
        self.service.owner("acme").import(request).await.unwrap()
    }

    async fn try_import(&self, request: ImportRequest) -> Result<Imported, ManageError> {
        self.service.owner("acme").import(request).await
    }

    /// Imports again and checks that nothing changes.
    async fn import_again(&self, request: ImportRequest) -> Imported {
        let before = records(&*self.store).await;
        let again = self.import(request).await;
        assert!(again.already_imported);
        assert_eq!(records(&*self.store).await, before);
        again
    }
}

pub(crate) async fn imported_text_is_accepted_by_every_verify(stores: Stores) {
    let harness = harness(stores);
    let network: Network = "192.0.2.0/24".parse().unwrap();
    let id = harness.import(by_digest().networks([network])).await.record.id();
    let service = &harness.service;
    let inside =
        RequestContext::new().client_address("192.0.2.7".parse::<std::net::IpAddr>().unwrap());
    let upload = requirement("files:upload");
    let view = service.in_context(inside);
    let authenticated = [
        view.verify(TEXT, &upload).await.unwrap(),
        view.verify_uncached(TEXT, &upload).await.unwrap(),
        view.authenticate(TEXT).await.unwrap(),
        view.authenticate_uncached(TEXT).await.unwrap(),
    ];
    for verified in &authenticated {
        assert_eq!(
            (verified.id(), verified.owner(), verified.token_type()),
            (id, "acme", "connector")
        );
        service.authorize(verified, &upload).await.unwrap();
        assert_eq!(service.still_active(verified).await.unwrap().id(), id);
    }
    // Without an address, the networks refuse it in every way.
    for refused in [
        service.verify(TEXT, &upload).await,
        service.verify_uncached(TEXT, &upload).await,
        service.authenticate(TEXT).await,
        service.authenticate_uncached(TEXT).await,
    ] {
        assert_eq!(refusal_of(refused), Some(Refusal::OutsideNetworks));
    }
    let missing = view.verify(TEXT, &requirement("files:delete")).await;
    assert!(matches!(missing, Err(VerifyError::MissingScope(_))), "{missing:?}");
    // Other texts of the form have other ids.
    let other = TEXT.replace('a', "b");
    assert_eq!(harness.refusal(&other).await, Some(Refusal::UnknownId));
}

pub(crate) async fn import_stores_what_was_requested(stores: Stores) {
    let harness = harness(stores);
    let now = harness.clock.now();
    let created = now - delta(900 * DAY);
    let request = by_digest()
        .scopes(scope_set(&["files:read"]))
        .networks(["10.0.0.0/8".parse().unwrap()])
        .metadata("old_id", "4711")
        .not_before(now + delta(HOUR))
        .expires_in(2 * HOUR)
        .created_at(created)
        .issued_by("migration");
    let imported = harness.import(request).await;
    assert!(!imported.already_imported);
    let record = harness.record(digest().token_id()).await;
    assert_eq!(record, imported.record);
    assert!(record.is_imported());
    assert_eq!((record.owner(), record.issued_to()), ("acme", "backup"));
    assert_eq!(record.scopes().to_set(), scope_set(&["files:read"]));
    assert_eq!(record.metadata().collect::<Vec<_>>(), [("old_id", "4711")]);
    assert_eq!(record.networks().count(), 1);
    assert_eq!(record.not_before(), Some(now + delta(HOUR)));
    assert_eq!(record.expires_at(), Some(now + delta(2 * HOUR)));
    assert_eq!((record.created_at(), record.end_set_at()), (created, now));
    assert_eq!(record.issued_by(), Some("migration"));
    // Without them, the defaults are those of an issue.
    let other = ImportDigest::sha256([1; 32]);
    let plain = ImportRequest::of_digest(other, "connector", "backup");
    let plain = harness.import(plain).await.record;
    let issued = harness.issue(backup()).await.record;
    assert_eq!(plain.expires_at(), issued.expires_at());
    assert_eq!((plain.created_at(), plain.end_set_at()), (now, now));
    assert_eq!(plain.scopes().to_set(), issued.scopes().to_set());
}

pub(crate) async fn import_by_digest_equals_import_by_plaintext(stores: Stores) {
    let one = harness(stores);
    let record = one.import(by_digest()).await.record;
    one.import_again(by_plaintext()).await;
    let other = harness(stores);
    let by_text = other.import(by_plaintext()).await.record;
    assert_eq!(by_text.id(), record.id());
    assert_eq!(by_text.to_bytes(), record.to_bytes());
    other.verify(TEXT).await.unwrap();
}

/// In every state, also with other fields in the repeated request.
pub(crate) async fn import_again_changes_nothing(stores: Stores) {
    for state in [State::Pending, State::Active, State::Expired, State::Revoked] {
        let harness = harness(stores);
        let first = match state {
            State::Pending => by_digest().not_before(harness.clock.now() + delta(HOUR)),
            _ => by_digest().expires_in(HOUR),
        };
        let id = harness.import(first).await.record.id();
        match state {
            State::Expired => harness.advance(HOUR),
            State::Revoked => harness.revoke(id).await,
            _ => {}
        }
        let verdict = harness.refusal(TEXT).await;
        let other = by_plaintext().metadata("key", "value").expires_in(2 * HOUR).issued_by("me");
        for request in [by_digest(), by_plaintext(), other] {
            let again = harness.import_again(request).await;
            assert_eq!(again.record.state(harness.clock.now()), state);
            assert_eq!(harness.refusal(TEXT).await, verdict, "{state}");
        }
        assert_eq!(verdict.is_none(), state == State::Active);
    }
}

pub(crate) async fn import_again_after_rotations_changes_nothing(stores: Stores) {
    let harness = harness(stores);
    let id = harness.import(by_digest()).await.record.id();
    // The first rotation retains the digest, the second one drops it.
    for _ in 0..3 {
        harness.advance(MINUTE);
        let newest = harness.rotate(id, RotateRequest::at_once()).await;
        harness.import_again(by_plaintext()).await;
        let refused = harness.refusal(TEXT).await;
        assert!(
            matches!(refused, Some(Refusal::SecretEnded | Refusal::WrongSecret)),
            "{refused:?}"
        );
        harness.verify(&newest).await.unwrap();
    }
}

pub(crate) async fn import_again_precedes_refusals(stores: Stores) {
    for reason in ["end", "paused", "limit", "type", "text", "scopes"] {
        let harness = harness(stores);
        let end = harness.clock.now() + delta(HOUR);
        let request = by_digest().expires_at(end).scopes(scope_set(&["files:read"]));
        harness.import(request.clone()).await;
        let process =
            || builder(harness.store.clone()).clock(harness.clock.clone()).import_form(old_keys());
        let bare = |scopes: &[&str]| {
            let builder = TokenService::builder(harness.store.clone(), "acme_live");
            let builder = builder.clock(harness.clock.clone()).import_form(old_keys());
            if scopes.is_empty() {
                builder
            } else {
                builder.token_type(token_type("connector", scopes))
            }
        };
        let service = match reason {
            "limit" => process().policy(Policy::new().max_active_per_owner(1)),
            "text" => process().policy(Policy::new().max_text_len(1)),
            "type" => bare(&[]),
            "scopes" => bare(&["other"]),
            _ => process(),
        };
        let service = service.build().unwrap();
        match reason {
            "end" => harness.advance(HOUR),
            "paused" => service.pause_issuing("INC-42").await.unwrap(),
            _ => {}
        }
        let again = service.owner("acme").import(request.clone()).await.unwrap();
        assert!(again.already_imported, "{reason}");
        // The same refusal holds for a token that was not imported before.
        let other = ImportDigest::sha256([7; 32]);
        let mut fresh = ImportRequest::of_digest(other, "connector", "backup");
        fresh = fresh.expires_at(end).scopes(scope_set(&["files:read"]));
        let refused = service.owner("acme").import(fresh).await;
        assert!(refused.is_err(), "{reason}");
        assert_eq!(records(&*harness.store).await.len(), 1, "{reason}");
    }
}

pub(crate) async fn import_for_other_owner_or_type_exists(stores: Stores) {
    let harness = harness(stores);
    let id = harness.import(by_digest()).await.record.id();
    let before = records(&*harness.store).await;
    let other_type = ImportRequest::of_digest(digest(), "developer", "backup");
    for (owner, request) in
        [("globex", by_digest()), ("globex", by_plaintext()), ("acme", other_type)]
    {
        let refused = harness.service.owner(owner).import(request).await;
        assert!(matches!(refused, Err(ManageError::Exists { id: of }) if of == id), "{refused:?}");
    }
    assert_eq!(records(&*harness.store).await, before);
}

pub(crate) async fn import_obeys_limits_of_issue(stores: Stores) {
    let harness = harness(stores);
    let now = harness.clock.now();
    let max = now + delta(366 * DAY);
    let of = |name: &str, label: &str| ImportRequest::of_digest(digest(), name, label);
    let network = |at: u32| Network::new(std::net::Ipv4Addr::from(at), 32).unwrap();
    let none: [Network; 0] = [];
    for (request, field, rule) in [
        (of("unknown", "backup"), Field::Type, Rule::Unknown),
        (of("connector", " "), Field::IssuedTo, Rule::Empty),
        (of("connector", &"x".repeat(256)), Field::IssuedTo, Rule::TooLong { max: 255 }),
        (by_digest().issued_by(""), Field::IssuedBy, Rule::Empty),
        (by_digest().issued_by("x".repeat(256)), Field::IssuedBy, Rule::TooLong { max: 255 }),
        (by_digest().metadata("", "v"), Field::Metadata, Rule::BlankKey),
        (
            (0..17).fold(by_digest(), |request, n| request.metadata(n.to_string(), "v")),
            Field::Metadata,
            Rule::TooMany { max: 16 },
        ),
        (by_digest().scopes(scope_set(&["other"])), Field::Scopes, Rule::NotContained),
        (by_digest().scopes(scope_set(&[])), Field::Scopes, Rule::NoEntries),
        (by_digest().networks(none), Field::Networks, Rule::NoEntries),
        (
            by_digest().networks((0..33).map(|at| network(2 * at))),
            Field::Networks,
            Rule::TooMany { max: 32 },
        ),
        (by_digest().never_expires(), Field::ExpiresAt, Rule::Required),
        (by_digest().expires_at(now), Field::ExpiresAt, Rule::NotAfterNow),
        (
            by_digest().created_at(now - delta(DAY)).expires_at(now - delta(MICRO)),
            Field::ExpiresAt,
            Rule::NotAfterNow,
        ),
        (
            by_digest().expires_at(max + delta(MICRO)),
            Field::ExpiresAt,
            Rule::TooLate { latest: max },
        ),
        (
            by_digest().not_before(now + delta(DAY)).expires_in(DAY),
            Field::ExpiresAt,
            Rule::NotAfterNotBefore,
        ),
        (
            by_digest().created_at(now + delta(MICRO)),
            Field::CreatedAt,
            Rule::TooLate { latest: now },
        ),
        (
            by_digest().created_at(chrono::DateTime::UNIX_EPOCH - delta(MICRO)),
            Field::CreatedAt,
            Rule::OutOfRange,
        ),
    ] {
        expect_invalid(harness.try_import(request).await, field, rule);
    }
    expect_invalid(harness.service.owner("").import(by_digest()).await, Field::Owner, Rule::Empty);
    let long = "x".repeat(256);
    let refused = harness.service.owner(&long).import(by_digest()).await;
    expect_invalid(refused, Field::Owner, Rule::TooLong { max: 255 });
    assert!(records(&*harness.store).await.is_empty());
    // An old creation time does not move the limits.
    let old = by_digest().created_at(now - delta(2_000 * DAY)).expires_at(max);
    assert_eq!(harness.import(old).await.record.expires_at(), Some(max));
}

pub(crate) async fn import_obeys_limits_of_its_type(stores: Stores) {
    let harness = harness(stores);
    let service = |connector: TokenType| {
        TokenService::builder(harness.store.clone(), "acme_live")
            .token_type(connector)
            .clock(harness.clock.clone())
            .import_form(old_keys())
            .build()
            .unwrap()
    };
    let connector = || token_type("connector", &["files:upload"]);
    let import = async |connector: TokenType, request: ImportRequest| {
        service(connector).owner("acme").import(request).await
    };
    let retired = import(connector().retired(true), by_digest()).await;
    expect_invalid(retired, Field::Type, Rule::Retired);
    let restricted = import(connector().require_networks(true), by_digest()).await;
    expect_invalid(restricted, Field::Networks, Rule::NetworksRequired);
    let short = || connector().default_lifetime(HOUR).max_lifetime(DAY);
    let latest = harness.clock.now() + delta(DAY);
    let long = import(short(), by_digest().expires_in(DAY + MICRO)).await;
    expect_invalid(long, Field::ExpiresAt, Rule::TooLate { latest });
    let record = import(short(), by_digest()).await.unwrap().record;
    assert_eq!(record.expires_at(), Some(harness.clock.now() + delta(HOUR)));
    // A type that is retired later still answers a repeated import.
    assert!(import(connector().retired(true), by_digest()).await.unwrap().already_imported);
}

pub(crate) async fn import_beyond_owner_limit_is_refused(stores: Stores) {
    let policy = Policy::new().max_active_per_owner(1);
    let harness = Harness::builder(stores)
        .configure(|service| service.import_form(old_keys()).policy(policy))
        .build();
    let id = harness.import(by_digest()).await.record.id();
    let other = ImportRequest::of_digest(ImportDigest::sha256([1; 32]), "connector", "backup");
    let refused = harness.try_import(other.clone()).await;
    assert!(matches!(refused, Err(ManageError::TooManyActive { max: 1 })), "{refused:?}");
    harness.import_again(by_digest()).await;
    // Imported tokens take a place of issued ones, and the other way round.
    let refused = harness.service.owner("acme").issue(backup()).await;
    assert!(matches!(refused, Err(ManageError::TooManyActive { max: 1 })), "{refused:?}");
    harness.revoke(id).await;
    harness.import(other).await;
}

pub(crate) async fn import_while_paused_is_refused(stores: Stores) {
    let harness = harness(stores);
    harness.service.pause_issuing("INC-42").await.unwrap();
    let refused = harness.try_import(by_digest()).await;
    assert!(matches!(refused, Err(ManageError::IssuingPaused { .. })), "{refused:?}");
    assert!(records(&*harness.store).await.is_empty());
}

pub(crate) async fn import_without_form_asks_no_store(stores: Stores) {
    use service_tokens::digest::KeyId;
    let harness = with_form(Harness::builder(stores).faulty());
    let native = text(&harness.issue(backup()).await);
    harness.faulty().disarm();
    let plain = |text: &str| ImportRequest::of_plaintext(text, "connector", "backup");
    let digests = [
        ImportDigest::sha512(&[1; 64]),
        ImportDigest::hmac_sha256(KeyId([0; 4]), [1; 32]),
        ImportDigest::hmac_sha256(KeyId(*b"old1"), [1; 32]),
    ];
    let by_digest = digests.map(|digest| ImportRequest::of_digest(digest, "connector", "backup"));
    let long = format!("sk_live_{}", "a".repeat(600));
    let texts =
        ["", "sk_live_", &TEXT[1..], &TEXT[..39], &format!("{TEXT}0"), &native, &long].map(plain);
    for request in by_digest.into_iter().chain(texts) {
        expect_invalid(harness.try_import(request).await, Field::Digest, Rule::NoImportForm);
    }
    assert_eq!(harness.faulty().calls(), []);
}

pub(crate) async fn import_emits_one_event(stores: Stores) {
    let harness = with_form(Harness::builder(stores).faulty());
    let id = digest().token_id();
    harness.import(by_digest().issued_by("migration")).await;
    let events = harness.events();
    let [Event::Imported { id: of, owner, token_type, issued_to, by, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((*of, &**owner, &**token_type, &**issued_to), (id, "acme", "connector", "backup"));
    assert_eq!(by.as_deref(), Some("migration"));

    harness.revoke(id).await;
    let _ = harness.events();
    harness.import(by_plaintext()).await;
    let events = harness.events();
    let [Event::AlreadyImported { id: of, owner, state, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((*of, &**owner, *state), (id, "acme", State::Revoked));

    let unknown = ImportRequest::of_digest(ImportDigest::sha512(&[1; 64]), "connector", "backup");
    harness.try_import(unknown).await.unwrap_err();
    harness.faulty().arm(&[], Fault::Unavailable);
    harness.try_import(by_digest()).await.unwrap_err();
    let events = harness.events();
    let [Event::Failed { id: None, .. }, Event::Failed { cause, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert!(cause.contains("no route"), "{cause}");
}

pub(crate) async fn import_shows_no_plaintext(stores: Stores) {
    let harness = with_form(Harness::builder(stores).faulty());
    let secret = &TEXT[8..];
    let request = by_plaintext();
    let mut shown = format!("{request:?} {:?} {:?} {:?}", by_digest(), digest(), old_keys());
    shown += &format!("{:?} {:?}", harness.service, harness.import(request.clone()).await);
    shown += &format!("{:?}", harness.service.owner("globex").import(request.clone()).await);
    for fault in [Fault::Unavailable, Fault::Corrupt, Fault::LostBefore] {
        harness.faulty().arm(&[], fault);
        let error = harness.try_import(request.clone()).await.unwrap_err();
        shown += &format!("{error:?} {error} {:?}", harness.verify(TEXT).await);
    }
    harness.faulty().disarm();
    let native = format!("acme_live_{secret}");
    let of_native = ImportRequest::of_plaintext(&native, "connector", "backup");
    shown += &format!("{of_native:?} {:?}", harness.try_import(of_native.clone()).await);
    shown += &format!("{:?} {:?}", harness.verify(&native).await, harness.events());
    for part in [secret, &secret[..8], &secret[24..], SHA256, &SHA256[..8]] {
        assert!(!shown.contains(part), "{part} is in {shown}");
    }
    for record in records(&*harness.store).await {
        let bytes = record.to_bytes();
        assert!(!bytes.windows(8).any(|window| window == &secret.as_bytes()[..8]));
    }
}

pub(crate) async fn import_resolves_lost_answers(stores: Stores) {
    for script in [
        vec![Fault::DoneAndLost],
        vec![Fault::LostBefore],
        vec![Fault::LostBefore, Fault::None, Fault::DoneAndLost],
    ] {
        let harness = with_form(Harness::builder(stores).faulty());
        harness.faulty().arm(&script, Fault::None);
        let imported = harness.import(by_digest()).await;
        assert!(!imported.already_imported, "{script:?}");
        assert_eq!(harness.faulty().written(), 1);
        harness.verify(TEXT).await.unwrap();
        let events = harness.events();
        assert!(matches!(events[..], [Event::Imported { .. }]), "{events:?}");
    }
    // Reading again fails too.
    let harness = with_form(Harness::builder(stores).faulty());
    harness.faulty().arm(&[Fault::DoneAndLost], Fault::Unavailable);
    let unknown = harness.try_import(by_digest()).await;
    assert!(matches!(unknown, Err(ManageError::Indeterminate { .. })), "{unknown:?}");
    harness.faulty().disarm();
    assert!(harness.import(by_digest()).await.already_imported);
}

/// A rival imports the same digest before the first write arrives.
fn contested(stores: Stores) -> Harness<Arc<Faulty>> {
    with_form(Harness::builder(stores).faulty_with_rival(|store, clock, what| {
        Box::pin(async move {
            let service = builder(store).clock(clock).import_form(old_keys()).build().unwrap();
            let owner = if what == 0 { "globex" } else { "acme" };
            service.owner(owner).import(by_digest().metadata("rival", "yes")).await.unwrap();
        })
    }))
}

pub(crate) async fn concurrent_import_for_other_owner_exists(stores: Stores) {
    let harness = contested(stores);
    harness.faulty().arm(&[Fault::Rival(0)], Fault::None);
    let refused = harness.try_import(by_digest()).await;
    assert!(matches!(refused, Err(ManageError::Exists { .. })), "{refused:?}");

    // Also if the answer to the own attempt was lost before.
    let harness = contested(stores);
    harness.faulty().arm(&[Fault::LostBefore, Fault::Rival(0)], Fault::None);
    let refused = harness.try_import(by_digest()).await;
    assert!(matches!(refused, Err(ManageError::Exists { .. })), "{refused:?}");

    let harness = contested(stores);
    harness.faulty().arm(&[Fault::Rival(1)], Fault::None);
    let imported = harness.import(by_digest()).await;
    assert!(imported.already_imported);
    assert_eq!(imported.record.metadata().count(), 1, "the rival's record");
}

pub(crate) async fn imported_ids_sort_before_issued_ones(stores: Stores) {
    let harness = harness(stores);
    let mut ids: Vec<TokenId> = vec![harness.issue(backup()).await.record.id()];
    for n in 0..20 {
        harness.advance(MINUTE);
        let digest = ImportDigest::sha256([n; 32]);
        let request = ImportRequest::of_digest(digest, "connector", "backup");
        ids.push(harness.import(request).await.record.id());
    }
    let page = ListRequest::from(Filter::new()).order(Order::OldestFirst).limit(100);
    let page = harness.service.owner("acme").list(page).await.unwrap();
    let listed: Vec<TokenId> = page.items.iter().map(|stored| stored.record.id()).collect();
    assert_eq!(listed.last(), ids.first());
    assert!(listed[..20].iter().all(|id| id.is_imported()) && !listed[20].is_imported());
}

pub(crate) async fn issue_with_imported_id_is_refused(stores: Stores) {
    let harness = harness(stores);
    let id = digest().token_id();
    let request = IssueRequest::new("connector", "backup").id(id);
    let refused = harness.service.owner("acme").issue(request.clone()).await;
    expect_invalid(refused, Field::Id, Rule::NotVersion7);
    // A token with this id exists by now, and it is the owner's.
    harness.import(by_digest()).await;
    let refused = harness.service.owner("acme").issue(request).await;
    assert!(matches!(refused, Err(ManageError::Exists { .. })), "{refused:?}");
}

pub(crate) async fn rotated_import_recognises_old_text(stores: Stores) {
    let harness = harness(stores);
    let id = harness.import(by_digest()).await.record.id();
    harness.advance(MINUTE);
    let native = harness.rotate(id, RotateRequest::with_overlap(HOUR)).await;
    assert!(native.starts_with("acme_live_1"));
    for token in [TEXT, &native] {
        assert_eq!(harness.verify(token).await.unwrap().id(), id);
    }
    let _ = harness.events();
    harness.advance(HOUR);
    assert_eq!(harness.refusal(TEXT).await, Some(Refusal::SecretEnded));
    let events = harness.events();
    assert!(matches!(events[..], [Event::EndedSecretPresented { .. }]), "{events:?}");
    harness.verify(&native).await.unwrap();
    assert!(harness.record(id).await.is_imported());

    harness.revoke(id).await;
    for token in [TEXT, &native] {
        assert_eq!(harness.refusal(token).await, Some(Refusal::Revoked));
    }
}

pub(crate) async fn import_overlap_ends_on_first_use(stores: Stores) {
    let harness = harness(stores);
    let id = harness.import(by_plaintext()).await.record.id();
    let native = harness.rotate(id, RotateRequest::until_first_use(DAY)).await;
    assert!(harness.accepts(TEXT).await);
    assert!(harness.accepts(TEXT).await, "a use of the older secret ends nothing");
    assert!(harness.accepts(&native).await);
    assert!(!harness.accepts(TEXT).await);
    assert!(harness.accepts(&native).await);
}

/// The id of a native text is chosen by its writer, so it can be that of an imported token.
pub(crate) async fn native_text_does_not_match_imported_digest(stores: Stores) {
    let rotated = harness(stores);
    let id = rotated.import(by_digest()).await.record.id();
    let native = rotated.rotate(id, RotateRequest::at_once()).await;
    let fresh = harness(stores);
    fresh.import(by_digest()).await;
    assert_eq!(fresh.refusal(&native).await, Some(Refusal::WrongSecret));
    fresh.verify(TEXT).await.unwrap();
}

pub(crate) async fn purge_retains_imported_unless_included(stores: Stores) {
    let harness = harness(stores);
    let id = harness.import(by_digest()).await.record.id();
    let issued = harness.issue(backup()).await.record.id();
    harness.revoke(id).await;
    harness.revoke(issued).await;
    harness.advance(10 * DAY);
    let purge = || harness.service.all_owners().purge(DAY);
    assert_eq!(purge().count().await.unwrap(), 1);
    let outcome = purge().run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (1, 0));
    assert_eq!(records(&*harness.store).await.len(), 1);
    // The retained record is what keeps the token revoked.
    harness.import_again(by_digest()).await;
    assert_eq!(harness.refusal(TEXT).await, Some(Refusal::Revoked));

    let included = || purge().include_imported();
    assert_eq!(included().count().await.unwrap(), 1);
    assert_eq!(included().run().await.unwrap().done, 1);
    assert_eq!(harness.refusal(TEXT).await, Some(Refusal::UnknownId));
    assert!(!harness.import(by_digest()).await.already_imported);
    harness.verify(TEXT).await.unwrap();
}

pub(crate) async fn import_invalidates_cached_miss(stores: Stores) {
    let harness: Harness<Arc<Remote>> = Harness::builder(stores)
        .remote()
        .configure(|service| service.cache_records(MAX_AGE, 100).import_form(old_keys()))
        .build();
    assert_eq!(harness.refusal(TEXT).await, Some(Refusal::UnknownId));
    harness.import(by_digest()).await;
    harness.verify(TEXT).await.unwrap();
    let _ = harness.remote().finds();
    harness.advance(Duration::from_secs(1));
    assert_eq!(harness.verify(TEXT).await.unwrap().staleness(), Duration::from_secs(1));
    harness.expect_store_reads(0);
    harness.service.verify_uncached(TEXT, &any()).await.unwrap();
    harness.expect_store_reads(1);
    harness.revoke(digest().token_id()).await;
    assert_eq!(harness.refusal(TEXT).await, Some(Refusal::Revoked));
}

pub(crate) async fn use_of_imported_token_is_recorded(stores: Stores) {
    let harness = harness(stores);
    let id = harness.import(by_digest()).await.record.id();
    harness.advance(HOUR);
    let used = harness.use_token(TEXT).await;
    assert_eq!(harness.last_used(id).await, service_tokens::store::LastUsed::At(used));
}

pub(crate) async fn revoke_all_covers_imported_tokens(stores: Stores) {
    let harness = harness(stores);
    let _ = harness.issue(backup()).await;
    harness.import(by_digest()).await;
    let outcome = harness.service.owner("acme").revoke_all(Filter::new(), incident()).run().await;
    assert_eq!(outcome.unwrap().done, 2);
    assert_eq!(harness.refusal(TEXT).await, Some(Refusal::Revoked));
}
