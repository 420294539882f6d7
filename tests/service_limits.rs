//! Each limit a byte or one before it, at it and after it.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use service_tokens::clock::Clock;
use service_tokens::random::{OsRandom, RandomError, RandomSource};
use service_tokens::record::{Field, Rule};
use service_tokens::store::{MAX_PAGE_LEN, States};
use service_tokens::{
    Filter, IssueRequest, ListRequest, ManageError, Policy, Refusal, RevokeRequest, RotateRequest,
    ScopeSet, State, TokenId, TokenService, TokenType,
};
use support::scene::{delta, refused, request, scene, scene_with};
use support::{HOUR, MICRO, MINUTE, Open, any, builder, over_stores, records, text};

over_stores! {
    a_chosen_id_is_a_recent_uuid_of_version_7,
    texts_have_limits_in_bytes,
    blank_texts_are_refused,
    metadata_has_limits,
    scopes_stay_within_the_type,
    types_must_be_known,
    a_retry_at_the_limit_is_exists,
    an_owner_has_a_most_of_live_tokens,
    pages_have_limits,
    a_failing_random_source_issues_nothing,
}

async fn a_chosen_id_is_a_recent_uuid_of_version_7(open: Open) {
    let scene = scene(open);
    scene.clock.advance(Duration::from_micros(999));
    let now = scene.clock.now().timestamp_millis();
    let id = |millis: i64, version: u128, variant: u128, rest: u128| {
        let millis = u128::try_from(millis).unwrap() << 80;
        TokenId::from_bytes((millis | version << 76 | variant << 62 | rest).to_be_bytes())
    };
    let mut rest = 0;
    for (offset, allowed) in
        [(-3_600_001, false), (-3_600_000, true), (0, true), (3_600_000, true), (3_600_001, false)]
    {
        rest += 1;
        let chosen = id(now + offset, 7, 0b10, rest);
        let outcome = scene.service.owner("acme").issue(request().id(chosen)).await;
        if allowed {
            assert_eq!(outcome.unwrap().record.id(), chosen, "{offset}");
        } else {
            refused(outcome, Field::Id, Rule::NotRecent);
        }
    }
    for (version, variant) in [(4, 0b10), (6, 0b10), (8, 0b10), (0, 0b10), (7, 0b00), (7, 0b11)] {
        let outcome =
            scene.service.owner("acme").issue(request().id(id(now, version, variant, 99))).await;
        refused(outcome, Field::Id, Rule::NotVersion7);
    }
    let last = TokenId::from_bytes([0xff; 16]);
    refused(
        scene.service.owner("acme").issue(request().id(last)).await,
        Field::Id,
        Rule::NotVersion7,
    );
    let far = id(0xffff_ffff_ffff, 7, 0b10, 1);
    refused(scene.service.owner("acme").issue(request().id(far)).await, Field::Id, Rule::NotRecent);
    assert_eq!(records(scene.service.store()).await.len(), 3);
}

/// A text of `bytes` bytes whose characters take two each, where that works out.
fn long(bytes: usize) -> String {
    "é".repeat(bytes / 2) + if bytes % 2 == 1 { "e" } else { "" }
}

async fn texts_have_limits_in_bytes(open: Open) {
    let scene = scene(open);
    let service = &scene.service;
    let issue = |request: IssueRequest| service.owner("acme").issue(request);
    let owned = |owner: String| async move {
        service.owner(&owner).issue(IssueRequest::new("connector", "b")).await
    };
    assert!(owned(long(255)).await.is_ok());
    assert!(issue(IssueRequest::new("connector", long(255))).await.is_ok());
    assert!(issue(request().issued_by(long(255))).await.is_ok());
    let over = Rule::TooLong { max: 255 };
    refused(owned(long(256)).await, Field::Owner, over);
    refused(issue(IssueRequest::new("connector", long(256))).await, Field::IssuedTo, over);
    refused(issue(request().issued_by(long(256))).await, Field::IssuedBy, over);
    assert_eq!(records(scene.service.store()).await.len(), 3);

    let tokens = scene.service.all_owners();
    let id = issue(request()).await.unwrap().record.id();
    let revoke = |request: RevokeRequest| tokens.revoke(id, request);
    refused(revoke(RevokeRequest::new().by(long(256))).await, Field::RevokedBy, over);
    let over = Rule::TooLong { max: 1_000 };
    refused(revoke(RevokeRequest::new().reason(long(1_001))).await, Field::Reason, over);
    assert_eq!(scene.state(id).await, State::Active);
    assert!(revoke(RevokeRequest::new().by(long(255)).reason(long(1_000))).await.is_ok());

    // The policy moves them, at most to what any record can hold.
    let wide = scene_with(open, Policy::new().max_text_len(1_024).max_reason_len(1_024));
    let at = IssueRequest::new("connector", long(1_024)).issued_by(long(1_024));
    let id = wide.service.owner(&long(1_024)).issue(at).await.unwrap().record.id();
    let over = Rule::TooLong { max: 1_024 };
    let too_long = IssueRequest::new("connector", "b");
    refused(wide.service.owner(&long(4_097)).issue(too_long).await, Field::Owner, over);
    let tokens = wide.service.all_owners();
    let words = RevokeRequest::new().by(long(1_024));
    let too_long = words.clone().reason(long(4_097));
    refused(tokens.revoke(id, too_long).await, Field::Reason, over);
    assert!(tokens.revoke(id, words.reason(long(1_024))).await.is_ok());
    let narrow = scene_with(open, Policy::new().max_text_len(6));
    refused(
        narrow.service.owner("acme").issue(request().issued_by("1234567")).await,
        Field::IssuedBy,
        Rule::TooLong { max: 6 },
    );
    assert!(narrow.service.owner("acme").issue(request().issued_by("123456")).await.is_ok());
}

async fn blank_texts_are_refused(open: Open) {
    let scene = scene(open);
    let issued = scene.issue(request()).await;
    let (id, tokens) = (issued.record.id(), scene.service.all_owners());
    for blank in ["", " ", "\n\t ", "\u{a0}\u{2003}\u{3000}"] {
        let issue = |request: IssueRequest| scene.service.owner("acme").issue(request);
        refused(scene.service.owner(blank).issue(request()).await, Field::Owner, Rule::Empty);
        refused(issue(IssueRequest::new("connector", blank)).await, Field::IssuedTo, Rule::Empty);
        refused(issue(request().issued_by(blank)).await, Field::IssuedBy, Rule::Empty);
        let by = RevokeRequest::new().by(blank);
        refused(tokens.revoke(id, by).await, Field::RevokedBy, Rule::Empty);
        let reason = RevokeRequest::new().reason(blank);
        refused(tokens.revoke(id, reason).await, Field::Reason, Rule::Empty);
    }
    assert_eq!(scene.refusal(&text(&issued)).await, None);
    assert_eq!(records(scene.service.store()).await.len(), 1);
}

async fn metadata_has_limits(open: Open) {
    let scene = scene(open);
    let entries = |count: usize| {
        (0..count).fold(request(), |request, i| request.metadata(format!("{i:02}"), "x"))
    };
    assert_eq!(scene.issue(entries(16)).await.record.metadata().count(), 16);
    let over = scene.service.owner("acme").issue(entries(17)).await;
    refused(over, Field::Metadata, Rule::TooMany { max: 16 });
    let bytes = |bytes: usize| request().metadata(long(48), long(bytes - 48));
    assert!(scene.service.owner("acme").issue(bytes(2_048)).await.is_ok());
    let over = scene.service.owner("acme").issue(bytes(2_049)).await;
    refused(over, Field::Metadata, Rule::TooLong { max: 2_048 });
    let nameless = scene.service.owner("acme").issue(request().metadata("", "x")).await;
    refused(nameless, Field::Metadata, Rule::Empty);
    assert!(scene.service.owner("acme").issue(request().metadata("x", "")).await.is_ok());

    let wide = scene_with(open, Policy::new().max_metadata_entries(64).max_metadata_bytes(8_192));
    assert!(wide.service.owner("acme").issue(entries(64)).await.is_ok());
    refused(
        wide.service.owner("acme").issue(entries(65)).await,
        Field::Metadata,
        Rule::TooMany { max: 64 },
    );
    assert!(wide.service.owner("acme").issue(bytes(8_192)).await.is_ok());
    let over = wide.service.owner("acme").issue(bytes(8_193)).await;
    refused(over, Field::Metadata, Rule::TooLong { max: 8_192 });
}

async fn scopes_stay_within_the_type(open: Open) {
    let scene = scene(open);
    let with = |token_type: &str, scopes: &[&str]| {
        let scopes = ScopeSet::new(scopes).unwrap();
        scene.service.owner("acme").issue(IssueRequest::new(token_type, "b").scopes(scopes))
    };
    refused(with("connector", &[]).await, Field::Scopes, Rule::Empty);
    for beyond in [&["files:delete"][..], &["files:read", "queue:push"], &["files:*"], &["*"]] {
        refused(with("connector", beyond).await, Field::Scopes, Rule::NotContained);
    }
    let narrower = with("connector", &["files:read"]).await.unwrap().record;
    assert_eq!(narrower.scopes().as_str(), "files:read");
    // Everything is not management of the tokens.
    for reserved in ["service-tokens:issue", "service-tokens:*", "service-tokens"] {
        refused(with("developer", &[reserved]).await, Field::Scopes, Rule::NotContained);
    }
    assert!(with("developer", &["*"]).await.is_ok());
    assert!(with("developer", &["files:*"]).await.is_ok());

    // The longest set of the longest scopes fits a record.
    let vast = (0..64).map(|i| format!("{i:02}{}", "x".repeat(254)));
    let vast = TokenType::new("vast", vast).unwrap();
    let opened = open();
    let service = builder(opened.store.clone()).token_type(vast).build().unwrap();
    let outcome = service.owner("acme").issue(IssueRequest::new("vast", "b")).await;
    assert!(outcome.is_ok(), "{:?}", outcome.err());
}

async fn types_must_be_known(open: Open) {
    let scene = scene(open);
    for unknown in ["", " ", "Connector", "connector ", "connector\0", "nothing", &long(1 << 20)] {
        let outcome = scene.service.owner("acme").issue(IssueRequest::new(unknown, "b")).await;
        refused(outcome, Field::Type, Rule::Unknown);
    }
    assert!(records(scene.service.store()).await.is_empty());
    // A service without types issues nothing, and accepts nothing of types that it lost.
    let issued = scene.issue(request()).await;
    let store = scene.service.store().clone();
    let bare = TokenService::builder(store, "acme_live").clock(scene.clock.clone());
    let bare = bare.build().unwrap();
    let refusal = bare.verify(&text(&issued), &any()).await.unwrap_err().refusal();
    assert_eq!(refusal, Some(Refusal::UnknownType));
    refused(bare.owner("acme").issue(request()).await, Field::Type, Rule::Unknown);
}

/// The retry of the request that used the last place: it must learn that its token exists.
async fn a_retry_at_the_limit_is_exists(open: Open) {
    let opened = open();
    let policy = Policy::new().max_active_per_owner(1);
    let service = builder(opened.store.clone()).policy(policy).build().unwrap();
    let id = service.new_id().unwrap();
    let issue = |id| service.owner("acme").issue(IssueRequest::new("connector", "b").id(id));
    assert_eq!(issue(id).await.unwrap().record.id(), id);
    let again = issue(id).await;
    assert!(matches!(again, Err(ManageError::Exists { id: of }) if of == id), "{again:?}");
    let another = issue(service.new_id().unwrap()).await;
    assert!(matches!(another, Err(ManageError::TooManyActive { max: 1 })), "{another:?}");
}

async fn an_owner_has_a_most_of_live_tokens(open: Open) {
    for most in [1, 3] {
        let scene = scene_with(open, Policy::new().max_active_per_owner(most));
        let mut issued = Vec::new();
        for i in 0..most {
            // Pending ones count: they will work.
            let start = scene.clock.now() + delta(MINUTE);
            let request = request().expires_in(HOUR);
            let request = if i == 0 { request } else { request.not_before(start) };
            issued.push(scene.issue(request).await);
        }
        let over = scene.service.owner("acme").issue(request()).await;
        assert!(matches!(over, Err(ManageError::TooManyActive { max: m }) if m == most));
        // Another owner's do not count, and the name is compared whole.
        for other in ["acm", "acme ", "Acme"] {
            let _ = scene
                .service
                .owner(other)
                .issue(IssueRequest::new("connector", "b"))
                .await
                .unwrap();
        }
        // A dead one makes room: revoked, or expired to the microsecond.
        let id = issued[0].record.id();
        scene.service.all_owners().revoke(id, RevokeRequest::new()).await.unwrap();
        let _ = scene.issue(request().expires_in(HOUR)).await;
        scene.clock.advance(HOUR - MICRO);
        assert!(scene.service.owner("acme").issue(request()).await.is_err());
        scene.clock.advance(MICRO);
        for _ in 0..most {
            let _ = scene.issue(request()).await;
        }
        assert!(scene.service.owner("acme").issue(request()).await.is_err());
    }
    let closed = scene_with(open, Policy::new().max_active_per_owner(0));
    let over = closed.service.owner("acme").issue(request()).await;
    assert!(matches!(over, Err(ManageError::TooManyActive { max: 0 })), "{over:?}");
    // More than fits a page.
    let many = scene_with(open, Policy::new().max_active_per_owner(1_001));
    for _ in 0..1_001 {
        let _ = many.issue(request()).await;
    }
    assert!(many.service.owner("acme").issue(request()).await.is_err());
}

async fn pages_have_limits(open: Open) {
    let scene = scene(open);
    for _ in 0..MAX_PAGE_LEN + 1 {
        let _ = scene.issue(request()).await;
    }
    for view in [scene.service.owner_or_all(Some("acme")), scene.service.all_owners()] {
        let list = |limit: usize| view.list(ListRequest::new().limit(limit));
        let bounds = Rule::Bounds { max: MAX_PAGE_LEN };
        for beyond in [0, MAX_PAGE_LEN + 1, usize::MAX] {
            refused(list(beyond).await, Field::Limit, bounds);
        }
        assert_eq!(list(1).await.unwrap().items.len(), 1);
        let page = list(MAX_PAGE_LEN).await.unwrap();
        assert_eq!(page.items.len(), MAX_PAGE_LEN);
        let rest = ListRequest::new().limit(MAX_PAGE_LEN).after(page.next.unwrap());
        assert_eq!(view.list(rest).await.unwrap().items.len(), 1);
        assert_eq!(view.list(ListRequest::new()).await.unwrap().items.len(), 50);
    }
}

struct Failing {
    fails: AtomicBool,
    /// Fails from this fill on, counted down.
    after: AtomicUsize,
}

impl RandomSource for Failing {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        if self.fails.load(Ordering::SeqCst) {
            let left = self.after.load(Ordering::SeqCst);
            if left == 0 {
                return Err(RandomError);
            }
            self.after.store(left - 1, Ordering::SeqCst);
        }
        OsRandom.fill(bytes)
    }
}

struct Shared(Arc<Failing>);

impl RandomSource for Shared {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        self.0.fill(bytes)
    }
}

async fn a_failing_random_source_issues_nothing(open: Open) {
    let opened = open();
    let random = Arc::new(Failing { fails: AtomicBool::new(false), after: AtomicUsize::new(0) });
    let service = builder(opened.store.clone()).random(Shared(random.clone())).build().unwrap();
    let issued = service.owner("acme").issue(request()).await.unwrap();
    let (id, before) = (issued.record.id(), records(&*opened.store).await);
    random.fails.store(true, Ordering::SeqCst);
    // The id is drawn first, then the secret: each may fail.
    for after in [0, 1] {
        random.after.store(after, Ordering::SeqCst);
        let outcome = service.owner("acme").issue(request()).await;
        assert!(matches!(outcome, Err(ManageError::Random(_))), "{outcome:?}");
    }
    random.after.store(0, Ordering::SeqCst);
    let outcome = service.all_owners().rotate(id, RotateRequest::at_once()).await;
    assert!(matches!(outcome, Err(ManageError::Random(_))), "{outcome:?}");
    assert_eq!(records(&*opened.store).await, before);
    assert!(service.verify(&text(&issued), &any()).await.is_ok());
    // Revoking needs no luck.
    assert!(service.all_owners().revoke(id, RevokeRequest::new()).await.is_ok());
    assert_eq!(
        service
            .all_owners()
            .list(ListRequest::from(Filter::new().states(States::ALL)))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}

#[test]
fn a_policy_tells_what_it_allows() {
    let day = Duration::from_secs(86_400);
    let policy = Policy::new()
        .default_lifetime(None)
        .max_lifetime(3 * day)
        .allow_never(true)
        .allow_outliving_issuer(true)
        .max_overlap(day)
        .max_active_per_owner(7)
        .max_text_len(20)
        .max_reason_len(1_000)
        .max_metadata_entries(3)
        .max_metadata_bytes(100);
    let limits = policy;
    assert_eq!((limits.default_lifetime, limits.max_lifetime), (None, Some(3 * day)));
    assert!(limits.allow_never && limits.allow_outliving_issuer);
    assert_eq!((limits.max_overlap, limits.max_active_per_owner), (day, Some(7)));
    assert_eq!((limits.max_text_len, limits.max_reason_len), (20, 1_000));
    assert_eq!((limits.max_metadata_entries, limits.max_metadata_bytes), (3, 100));
    let defaults = Policy::new();
    assert_eq!(defaults.default_lifetime, Some(90 * day));
    assert!(!defaults.allow_never && !defaults.allow_outliving_issuer);
}
