//! Each limit a microsecond, a byte or one before it, at it and after it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use service_tokens::{
    BuildError, Clock, Event, Field, InvalidField, InvalidPolicy, IssueRequest, Issued,
    ManageError, ManualClock, OsRandom, PAGE_MAX, Policy, Query, RandomError, RandomSource,
    Refusal, RevokeRequest, RotateRequest, Rule, ScopeSet, State, States, TokenId, TokenService,
    TokenType,
};
use support::{
    Collected, DAY, HOUR, MICRO, MINUTE, Open, SharedStore, any, builder, over_stores, records,
    text,
};

over_stores! {
    an_end_is_exclusive,
    a_start_is_inclusive,
    an_overlap_ends_exclusively,
    lifetimes_follow_the_policy,
    a_lifetime_of_a_rotation_follows_the_policy,
    an_end_comes_after_now_and_after_the_start,
    no_end_only_where_allowed,
    overlaps_follow_the_policy,
    a_chosen_id_is_a_recent_uuid_of_version_7,
    texts_have_limits_in_bytes,
    blank_texts_are_refused,
    metadata_has_limits,
    scopes_stay_within_the_type,
    types_must_be_known,
    an_owner_has_a_most_of_live_tokens,
    pages_have_limits,
    times_that_cannot_be_are_errors,
    a_clock_at_the_ends_of_time_panics_nowhere,
    a_clock_that_is_set_back_revives_nothing,
    a_jump_is_one_event,
    a_failing_random_source_issues_nothing,
}

struct Scene {
    clock: Arc<ManualClock>,
    service: TokenService<SharedStore>,
    _guard: Box<dyn std::any::Any>,
}

fn scene_with(open: Open, policy: Policy) -> Scene {
    let opened = open();
    let clock = Arc::new(ManualClock::default());
    let service = builder(opened.store).policy(policy).clock(clock.clone()).build().unwrap();
    Scene { clock, service, _guard: opened.guard }
}

fn scene(open: Open) -> Scene {
    scene_with(open, Policy::new())
}

fn request() -> IssueRequest {
    IssueRequest::new("acme", "connector", "backup")
}

fn delta(by: Duration) -> TimeDelta {
    TimeDelta::from_std(by).unwrap()
}

/// That it was refused for this field and rule, and that the error names both.
#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, ManageError>, field: Field, rule: Rule) {
    let Err(error) = outcome else { panic!("{outcome:?} for {field} {rule}") };
    assert_eq!(error.to_string(), format!("{field} {rule}"));
    let ManageError::Invalid(invalid) = error else { panic!("{error:?}") };
    assert_eq!(invalid, { InvalidField { field, rule } });
}

impl Scene {
    async fn refusal(&self, token: &str) -> Option<Refusal> {
        self.service.verify(token, &any()).await.err().map(|error| error.refusal().unwrap())
    }

    async fn issue(&self, request: IssueRequest) -> Issued {
        self.service.issue(request).await.unwrap()
    }

    async fn state(&self, id: TokenId) -> State {
        let stored = self.service.every_owner().get(id).await.unwrap();
        stored.record.state(self.clock.now())
    }
}

async fn an_end_is_exclusive(open: Open) {
    let scene = scene(open);
    let issued = scene.issue(request().expires_in(HOUR)).await;
    scene.clock.advance(HOUR - MICRO);
    assert_eq!(scene.refusal(&text(&issued)).await, None);
    assert_eq!(scene.state(issued.record.id()).await, State::Active);
    scene.clock.advance(MICRO);
    assert_eq!(scene.refusal(&text(&issued)).await, Some(Refusal::Expired));
    assert_eq!(scene.state(issued.record.id()).await, State::Expired);
    scene.clock.advance(MICRO);
    assert_eq!(scene.refusal(&text(&issued)).await, Some(Refusal::Expired));
}

async fn a_start_is_inclusive(open: Open) {
    let scene = scene(open);
    let start = scene.clock.now() + delta(HOUR);
    let issued = scene.issue(request().not_before(start)).await;
    let id = issued.record.id();
    scene.clock.advance(HOUR - MICRO);
    assert_eq!(scene.refusal(&text(&issued)).await, Some(Refusal::NotYetActive));
    let rotated = scene.service.every_owner().rotate(id, RotateRequest::at_once()).await;
    assert!(matches!(rotated, Err(ManageError::NotRotated(_))), "{rotated:?}");
    scene.clock.advance(MICRO);
    assert_eq!(scene.refusal(&text(&issued)).await, None);
    scene.clock.advance(MICRO);
    assert_eq!(scene.refusal(&text(&issued)).await, None);
}

async fn an_overlap_ends_exclusively(open: Open) {
    let scene = scene(open);
    let older = scene.issue(request()).await;
    let tokens = scene.service.every_owner();
    let rotation = RotateRequest::with_overlap(HOUR);
    let newer = tokens.rotate(older.record.id(), rotation).await.unwrap();
    scene.clock.advance(HOUR - MICRO);
    assert_eq!(scene.refusal(&text(&older)).await, None);
    let again = tokens.rotate(older.record.id(), RotateRequest::at_once()).await;
    assert!(matches!(again, Err(ManageError::NotRotated(_))), "{again:?}");
    scene.clock.advance(MICRO);
    assert_eq!(scene.refusal(&text(&older)).await, Some(Refusal::SecretEnded));
    assert_eq!(scene.refusal(&text(&newer)).await, None);
    assert!(tokens.rotate(older.record.id(), RotateRequest::at_once()).await.is_ok());
}

async fn lifetimes_follow_the_policy(open: Open) {
    let policy = Policy::new().default_lifetime(HOUR).longest_lifetime(DAY);
    let scene = scene_with(open, policy);
    let now = scene.clock.now();
    let by_default = scene.issue(request()).await.record;
    assert_eq!(by_default.expires_at(), Some(now + delta(HOUR)));
    let latest = now + delta(DAY);
    for lifetime in [MICRO, DAY - MICRO, DAY] {
        let issued = scene.issue(request().expires_in(lifetime)).await.record;
        assert_eq!(issued.expires_at(), Some(now + delta(lifetime)));
        let issued = scene.issue(request().expires_at(now + delta(lifetime))).await.record;
        assert_eq!(issued.expires_at(), Some(now + delta(lifetime)));
    }
    let too_late = Rule::TooLate { latest };
    let over = scene.service.issue(request().expires_in(DAY + MICRO)).await;
    refused(over, Field::ExpiresAt, too_late);
    let over = scene.service.issue(request().expires_at(latest + delta(MICRO))).await;
    refused(over, Field::ExpiresAt, too_late);
    // Less than a microsecond is cut off, and what is left obeys.
    let below = latest + TimeDelta::nanoseconds(999);
    assert_eq!(scene.issue(request().expires_at(below)).await.record.expires_at(), Some(latest));

    let unlimited = scene_with(open, Policy::new().longest_lifetime(None));
    assert!(unlimited.service.issue(request().expires_in(1_000 * 366 * DAY)).await.is_ok());
}

async fn a_lifetime_of_a_rotation_follows_the_policy(open: Open) {
    let scene = scene_with(open, Policy::new().default_lifetime(DAY).longest_lifetime(2 * DAY));
    let issued = scene.issue(request()).await.record;
    let tokens = scene.service.every_owner();
    scene.clock.advance(HOUR);
    let now = scene.clock.now();
    let over = RotateRequest::at_once().expires_in(2 * DAY + MICRO);
    let latest = now + delta(2 * DAY);
    let refusal = tokens.rotate(issued.id(), over).await;
    refused(refusal, Field::ExpiresAt, Rule::TooLate { latest });
    let never = tokens.rotate(issued.id(), RotateRequest::at_once().never_expires()).await;
    refused(never, Field::ExpiresAt, Rule::Required);
    let past = tokens.rotate(issued.id(), RotateRequest::at_once().expires_at(now)).await;
    refused(past, Field::ExpiresAt, Rule::NotAfterNow);
    // The end stays unless a new one is asked for, which counts from the rotation.
    let kept = tokens.rotate(issued.id(), RotateRequest::at_once()).await.unwrap().record;
    assert_eq!(kept.expires_at(), issued.expires_at());
    let longest = RotateRequest::at_once().expires_in(2 * DAY);
    let moved = tokens.rotate(issued.id(), longest).await.unwrap().record;
    assert_eq!(moved.expires_at(), Some(latest));
}

async fn an_end_comes_after_now_and_after_the_start(open: Open) {
    let scene = scene(open);
    let now = scene.clock.now();
    for end in [now, now - delta(MICRO), now + TimeDelta::nanoseconds(999)] {
        let outcome = scene.service.issue(request().expires_at(end)).await;
        refused(outcome, Field::ExpiresAt, Rule::NotAfterNow);
    }
    refused(
        scene.service.issue(request().expires_in(Duration::ZERO)).await,
        Field::ExpiresAt,
        Rule::NotAfterNow,
    );
    refused(
        scene.service.issue(request().expires_in(Duration::from_nanos(999))).await,
        Field::ExpiresAt,
        Rule::NotAfterNow,
    );
    let start = now + delta(HOUR);
    for end in [start, start - delta(MICRO)] {
        let outcome = scene.service.issue(request().not_before(start).expires_at(end)).await;
        refused(outcome, Field::ExpiresAt, Rule::NotAfterNotBefore);
    }
    let brief = request().not_before(start).expires_at(start + delta(MICRO));
    assert!(scene.service.issue(brief).await.is_ok());
    assert_eq!(records(scene.service.store()).await.len(), 1);
}

async fn no_end_only_where_allowed(open: Open) {
    let scene = scene(open);
    refused(scene.service.issue(request().never_expires()).await, Field::ExpiresAt, Rule::Required);
    let allowing = scene_with(open, Policy::new().allow_never(true));
    let endless = allowing.issue(request().never_expires()).await;
    assert_eq!(endless.record.expires_at(), None);
    allowing.clock.advance(7_000 * 365 * DAY);
    assert_eq!(allowing.refusal(&text(&endless)).await, None);

    let by_default = Policy::new().allow_never(true).default_lifetime(None);
    assert_eq!(scene_with(open, by_default).issue(request()).await.record.expires_at(), None);
}

#[test]
fn contradictory_policies_build_nothing() {
    let invalid = |policy: Policy| match builder(support::memory().store).policy(policy).build() {
        Err(BuildError::Policy(invalid)) => invalid,
        other => panic!("{other:?}"),
    };
    let policy = Policy::new();
    assert_eq!(invalid(policy.clone().default_lifetime(None)), InvalidPolicy::DefaultNever);
    assert_eq!(invalid(policy.clone().default_lifetime(Duration::ZERO)), InvalidPolicy::NoLifetime);
    let over = policy.clone().default_lifetime(DAY + MICRO).longest_lifetime(DAY);
    assert_eq!(invalid(over), InvalidPolicy::DefaultTooLong);
    let equal = policy.default_lifetime(DAY).longest_lifetime(DAY);
    assert!(builder(support::memory().store).policy(equal).build().is_ok());
}

async fn overlaps_follow_the_policy(open: Open) {
    let scene = scene_with(open, Policy::new().longest_overlap(HOUR));
    let now = scene.clock.now();
    let id = scene.issue(request()).await.record.id();
    let tokens = scene.service.every_owner();
    let latest = now + delta(HOUR);
    let over = tokens.rotate(id, RotateRequest::with_overlap(HOUR + MICRO)).await;
    refused(over, Field::OlderEnds, Rule::TooLate { latest });
    let until = RotateRequest::with_overlap_until(latest + delta(MICRO));
    refused(tokens.rotate(id, until).await, Field::OlderEnds, Rule::TooLate { latest });
    let until = RotateRequest::with_overlap_until(now);
    refused(tokens.rotate(id, until).await, Field::OlderEnds, Rule::NotAfterNow);
    let rotated = tokens.rotate(id, RotateRequest::with_overlap(HOUR)).await.unwrap().record;
    assert_eq!(rotated.overlap(now).unwrap().ends_at, latest);
    assert_eq!(rotated.overlap(latest - delta(MICRO)).unwrap().ends_at, latest);
    assert_eq!(rotated.overlap(latest), None);
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
        let outcome = scene.service.issue(request().id(chosen)).await;
        if allowed {
            assert_eq!(outcome.unwrap().record.id(), chosen, "{offset}");
        } else {
            refused(outcome, Field::Id, Rule::NotRecent);
        }
    }
    for (version, variant) in [(4, 0b10), (6, 0b10), (8, 0b10), (0, 0b10), (7, 0b00), (7, 0b11)] {
        let outcome = scene.service.issue(request().id(id(now, version, variant, 99))).await;
        refused(outcome, Field::Id, Rule::NotVersion7);
    }
    let last = TokenId::from_bytes([0xff; 16]);
    refused(scene.service.issue(request().id(last)).await, Field::Id, Rule::NotVersion7);
    let far = id(0xffff_ffff_ffff, 7, 0b10, 1);
    refused(scene.service.issue(request().id(far)).await, Field::Id, Rule::NotRecent);
    assert_eq!(records(scene.service.store()).await.len(), 3);
}

/// A text of `bytes` bytes whose characters take two each, where that works out.
fn long(bytes: usize) -> String {
    "é".repeat(bytes / 2) + if bytes % 2 == 1 { "e" } else { "" }
}

async fn texts_have_limits_in_bytes(open: Open) {
    let scene = scene(open);
    let issue = |request: IssueRequest| scene.service.issue(request);
    assert!(issue(IssueRequest::new(long(255), "connector", long(255))).await.is_ok());
    assert!(issue(request().issued_by(long(255))).await.is_ok());
    let over = Rule::TooLong { longest: 255 };
    refused(issue(IssueRequest::new(long(256), "connector", "b")).await, Field::Owner, over);
    refused(issue(IssueRequest::new("a", "connector", long(256))).await, Field::IssuedTo, over);
    refused(issue(request().issued_by(long(256))).await, Field::IssuedBy, over);
    assert_eq!(records(scene.service.store()).await.len(), 2);

    let tokens = scene.service.every_owner();
    let id = issue(request()).await.unwrap().record.id();
    let revoke = |request: RevokeRequest| tokens.revoke(id, request);
    refused(revoke(RevokeRequest::new().by(long(256))).await, Field::RevokedBy, over);
    let over = Rule::TooLong { longest: 1_000 };
    refused(revoke(RevokeRequest::new().reason(long(1_001))).await, Field::Reason, over);
    assert_eq!(scene.state(id).await, State::Active);
    assert!(revoke(RevokeRequest::new().by(long(255)).reason(long(1_000))).await.is_ok());

    // The policy moves them, at most to what any record can hold.
    let wide = scene_with(open, Policy::new().longest_text(1 << 20).longest_reason(1 << 20));
    let at = IssueRequest::new(long(1_024), "connector", long(1_024)).issued_by(long(1_024));
    let id = wide.issue(at).await.record.id();
    let over = Rule::TooLong { longest: 1_024 };
    let too_long = IssueRequest::new(long(4_097), "connector", "b");
    refused(wide.service.issue(too_long).await, Field::Owner, over);
    let tokens = wide.service.every_owner();
    let words = RevokeRequest::new().by(long(1_024));
    let too_long = words.clone().reason(long(4_097));
    refused(tokens.revoke(id, too_long).await, Field::Reason, over);
    assert!(tokens.revoke(id, words.reason(long(1_024))).await.is_ok());
    let narrow = scene_with(open, Policy::new().longest_text(6));
    refused(
        narrow.service.issue(request().issued_by("1234567")).await,
        Field::IssuedBy,
        Rule::TooLong { longest: 6 },
    );
    assert!(narrow.service.issue(request().issued_by("123456")).await.is_ok());
}

async fn blank_texts_are_refused(open: Open) {
    let scene = scene(open);
    let issued = scene.issue(request()).await;
    let (id, tokens) = (issued.record.id(), scene.service.every_owner());
    for blank in ["", " ", "\n\t ", "\u{a0}\u{2003}\u{3000}"] {
        let issue = |request: IssueRequest| scene.service.issue(request);
        refused(issue(IssueRequest::new(blank, "connector", "b")).await, Field::Owner, Rule::Empty);
        refused(
            issue(IssueRequest::new("a", "connector", blank)).await,
            Field::IssuedTo,
            Rule::Empty,
        );
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
    let over = scene.service.issue(entries(17)).await;
    refused(over, Field::Metadata, Rule::TooMany { most: 16 });
    let bytes = |bytes: usize| request().metadata(long(48), long(bytes - 48));
    assert!(scene.service.issue(bytes(2_048)).await.is_ok());
    let over = scene.service.issue(bytes(2_049)).await;
    refused(over, Field::Metadata, Rule::TooLong { longest: 2_048 });
    let nameless = scene.service.issue(request().metadata("", "x")).await;
    refused(nameless, Field::Metadata, Rule::Empty);
    assert!(scene.service.issue(request().metadata("x", "")).await.is_ok());

    let wide = scene_with(open, Policy::new().most_metadata(1_000, 1 << 20));
    assert!(wide.service.issue(entries(64)).await.is_ok());
    refused(wide.service.issue(entries(65)).await, Field::Metadata, Rule::TooMany { most: 64 });
    assert!(wide.service.issue(bytes(8_192)).await.is_ok());
    let over = wide.service.issue(bytes(8_193)).await;
    refused(over, Field::Metadata, Rule::TooLong { longest: 8_192 });
}

async fn scopes_stay_within_the_type(open: Open) {
    let scene = scene(open);
    let with = |token_type: &str, scopes: &[&str]| {
        let scopes = ScopeSet::new(scopes).unwrap();
        scene.service.issue(IssueRequest::new("acme", token_type, "b").scopes(scopes))
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
    let service = builder(open().store).token_type(vast).build().unwrap();
    assert!(service.issue(IssueRequest::new("acme", "vast", "b")).await.is_ok());
}

async fn types_must_be_known(open: Open) {
    let scene = scene(open);
    for unknown in ["", " ", "Connector", "connector ", "connector\0", "nothing", &long(1 << 20)] {
        let outcome = scene.service.issue(IssueRequest::new("acme", unknown, "b")).await;
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
    refused(bare.issue(request()).await, Field::Type, Rule::Unknown);
}

async fn an_owner_has_a_most_of_live_tokens(open: Open) {
    for most in [1, 3] {
        let scene = scene_with(open, Policy::new().most_active_per_owner(most));
        let mut issued = Vec::new();
        for i in 0..most {
            // Pending ones count: they will work.
            let start = scene.clock.now() + delta(MINUTE);
            let request = request().expires_in(HOUR);
            let request = if i == 0 { request } else { request.not_before(start) };
            issued.push(scene.issue(request).await);
        }
        let over = scene.service.issue(request()).await;
        assert!(matches!(over, Err(ManageError::TooManyActive { most: m }) if m == most));
        // Another owner's do not count, and the name is compared whole.
        for other in ["acm", "acme ", "Acme"] {
            let _ = scene.issue(IssueRequest::new(other, "connector", "b")).await;
        }
        // A dead one makes room: revoked, or expired to the microsecond.
        let id = issued[0].record.id();
        scene.service.every_owner().revoke(id, RevokeRequest::new()).await.unwrap();
        let _ = scene.issue(request().expires_in(HOUR)).await;
        scene.clock.advance(HOUR - MICRO);
        assert!(scene.service.issue(request()).await.is_err());
        scene.clock.advance(MICRO);
        for _ in 0..most {
            let _ = scene.issue(request()).await;
        }
        assert!(scene.service.issue(request()).await.is_err());
    }
    let closed = scene_with(open, Policy::new().most_active_per_owner(0));
    let over = closed.service.issue(request()).await;
    assert!(matches!(over, Err(ManageError::TooManyActive { most: 0 })), "{over:?}");
    // More than fits a page.
    let many = scene_with(open, Policy::new().most_active_per_owner(1_001));
    for _ in 0..1_001 {
        let _ = many.issue(request()).await;
    }
    assert!(many.service.issue(request()).await.is_err());
}

async fn pages_have_limits(open: Open) {
    let scene = scene(open);
    for _ in 0..PAGE_MAX + 1 {
        let _ = scene.issue(request()).await;
    }
    for view in [scene.service.owner("acme"), scene.service.every_owner()] {
        let list = |limit: usize| view.list(Query::new().limit(limit));
        let bounds = Rule::Bounds { most: PAGE_MAX };
        for beyond in [0, PAGE_MAX + 1, usize::MAX] {
            refused(list(beyond).await, Field::Limit, bounds);
        }
        assert_eq!(list(1).await.unwrap().items.len(), 1);
        let page = list(PAGE_MAX).await.unwrap();
        assert_eq!(page.items.len(), PAGE_MAX);
        let rest = Query::new().limit(PAGE_MAX).after(page.next.unwrap());
        assert_eq!(view.list(rest).await.unwrap().items.len(), 1);
        assert_eq!(view.list(Query::new()).await.unwrap().items.len(), 50);
    }
}

async fn times_that_cannot_be_are_errors(open: Open) {
    let policy = Policy::new().longest_lifetime(None).longest_overlap(Duration::MAX);
    let scene = scene_with(open, policy);
    let out = Rule::OutOfRange;
    let year_10_000: DateTime<Utc> = "9999-12-31T23:59:59.999999Z".parse().unwrap();
    let year_10_000 = year_10_000 + delta(MICRO);
    let end = Field::ExpiresAt;
    for lifetime in [Duration::MAX, Duration::from_micros(i64::MAX as u64), 10_000 * 366 * DAY] {
        refused(scene.service.issue(request().expires_in(lifetime)).await, end, out);
    }
    for time in [DateTime::<Utc>::MAX_UTC, year_10_000] {
        refused(scene.service.issue(request().expires_at(time)).await, end, out);
        refused(scene.service.issue(request().not_before(time)).await, Field::NotBefore, out);
    }
    let before_1970 = DateTime::<Utc>::UNIX_EPOCH - delta(MICRO);
    for time in [DateTime::<Utc>::MIN_UTC, before_1970] {
        refused(scene.service.issue(request().expires_at(time)).await, end, out);
        refused(scene.service.issue(request().not_before(time)).await, Field::NotBefore, out);
    }
    assert!(records(scene.service.store()).await.is_empty());
    let issued = scene.issue(request().expires_at(year_10_000 - delta(MICRO))).await;
    let (id, tokens) = (issued.record.id(), scene.service.every_owner());
    for overlap in [Duration::MAX, Duration::from_micros(i64::MAX as u64)] {
        let rotation = RotateRequest::with_overlap(overlap);
        refused(tokens.rotate(id, rotation).await, Field::OlderEnds, out);
        let rotation = RotateRequest::at_once().expires_in(overlap);
        refused(tokens.rotate(id, rotation).await, end, out);
    }
    for time in [DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC, year_10_000] {
        let rotation = RotateRequest::with_overlap_until(time);
        refused(tokens.rotate(id, rotation).await, Field::OlderEnds, out);
        // Filters may be any time at all.
        let query = Query::new().expiring_before(time).created_before(time).unused_since(time);
        assert!(tokens.list(query).await.is_ok());
    }
    assert_eq!(scene.refusal(&text(&issued)).await, None);

    // Policies so wide that no end lies beyond them.
    let wide = Policy::new().longest_lifetime(Duration::MAX).longest_overlap(Duration::MAX);
    let wide = scene_with(open, wide);
    assert!(wide.service.issue(request().expires_in(7_000 * 365 * DAY)).await.is_ok());
    refused(wide.service.issue(request().expires_in(Duration::MAX)).await, end, out);
    let by_default = Policy::new().longest_lifetime(None).default_lifetime(Duration::MAX);
    refused(scene_with(open, by_default).service.issue(request()).await, end, out);
}

async fn a_clock_at_the_ends_of_time_panics_nowhere(open: Open) {
    let ends = [
        DateTime::<Utc>::MIN_UTC,
        DateTime::<Utc>::UNIX_EPOCH - delta(MICRO),
        DateTime::<Utc>::UNIX_EPOCH,
        "9999-12-31T23:59:59.999999Z".parse().unwrap(),
        "+10000-01-01T00:00:00Z".parse().unwrap(),
        DateTime::<Utc>::MAX_UTC,
    ];
    for first in ends {
        for then in ends {
            let scene = scene_with(open, Policy::new().allow_never(true));
            scene.clock.set(first);
            let store = scene.service.store().clone();
            let clock = scene.clock.clone();
            let policy = scene.service.policy().clone();
            let service = builder(store.clone()).policy(policy).clock(clock).build().unwrap();
            let issued = service.issue(request().never_expires()).await;
            scene.clock.set(then);
            let _ = service.clock_jump();
            if let Ok(issued) = &issued {
                let tokens = service.every_owner();
                let id = issued.record.id();
                assert!(service.verify(&text(issued), &any()).await.is_ok(), "{first} {then}");
                let rotated = tokens.rotate(id, RotateRequest::at_once()).await;
                let token = rotated.as_ref().map_or_else(|_| text(issued), text);
                let _ = tokens.list(Query::new()).await.unwrap();
                let revoked = tokens.revoke(id, RevokeRequest::new()).await.unwrap();
                assert!(!revoked.already);
                assert!(service.verify(&token, &any()).await.is_err());
                // What was stored can be read again.
                let stored = tokens.get(id).await.unwrap().record;
                let read = service_tokens::Record::from_bytes(&stored.to_bytes());
                assert_eq!(read.as_ref(), Ok(&stored), "{first} {then}");
            }
            let _ = service.issue(request()).await;
            for record in records(&*store).await {
                let read = service_tokens::Record::from_bytes(&record.to_bytes());
                assert_eq!(read.as_ref(), Ok(&record), "{first} {then}");
            }
        }
    }
}

async fn a_clock_that_is_set_back_revives_nothing(open: Open) {
    let scene = scene(open);
    let start = scene.clock.now();
    let issued = scene.issue(request().expires_in(HOUR)).await;
    scene.clock.advance(HOUR);
    assert_eq!(scene.refusal(&text(&issued)).await, Some(Refusal::Expired));
    scene.clock.set(start);
    assert_eq!(scene.refusal(&text(&issued)).await, Some(Refusal::Expired));
    assert_eq!(scene.service.now(), start + delta(HOUR));
    // It is not listed as live, and nothing that is issued now ends before it begins.
    assert!(scene.service.owner("acme").list(Query::new()).await.unwrap().items.is_empty());
    let later = scene.issue(request().expires_in(HOUR)).await;
    assert_eq!(later.record.created_at(), start + delta(HOUR));
    assert_eq!(scene.refusal(&text(&later)).await, None);
}

async fn a_jump_is_one_event(open: Open) {
    for sign in [-1, 1] {
        let opened = open();
        let clock = Arc::new(ManualClock::default());
        let collected = Collected::default();
        let service = builder(opened.store).clock(clock.clone()).events(collected.sink());
        let service = service.build().unwrap();
        let token = text(&service.issue(request()).await.unwrap());
        assert!(!service.clock_jump());
        let _ = collected.take(&service);

        clock.set(clock.now() + TimeDelta::minutes(1) * sign);
        service.verify(&token, &any()).await.unwrap();
        assert!(!service.clock_jump(), "a minute is none");
        assert_eq!(collected.take(&service), []);

        let by = TimeDelta::hours(2) * sign;
        clock.set(clock.now() + by);
        for _ in 0..3 {
            service.verify(&token, &any()).await.unwrap();
            assert!(service.clock_jump());
        }
        let events = collected.take(&service);
        let [Event::ClockJumped(jump)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((jump.by, jump.noticed_at), (by + TimeDelta::minutes(1) * sign, clock.now()));
        assert!(service.acknowledge_clock_jump());
        assert!(!service.acknowledge_clock_jump());
        assert!(!service.clock_jump());

        // The new offset counts from here; time that passes on both clocks is no jump.
        clock.advance(10 * DAY);
        assert!(!service.clock_jump());
        clock.set(clock.now() - by);
        assert!(service.clock_jump());
        assert_eq!(collected.take(&service).len(), 1);
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
    let issued = service.issue(request()).await.unwrap();
    let (id, before) = (issued.record.id(), records(&*opened.store).await);
    random.fails.store(true, Ordering::SeqCst);
    // The id is drawn first, then the secret: each may fail.
    for after in [0, 1] {
        random.after.store(after, Ordering::SeqCst);
        let outcome = service.issue(request()).await;
        assert!(matches!(outcome, Err(ManageError::Random(_))), "{outcome:?}");
    }
    random.after.store(0, Ordering::SeqCst);
    let outcome = service.every_owner().rotate(id, RotateRequest::at_once()).await;
    assert!(matches!(outcome, Err(ManageError::Random(_))), "{outcome:?}");
    assert_eq!(records(&*opened.store).await, before);
    assert!(service.verify(&text(&issued), &any()).await.is_ok());
    // Revoking needs no luck.
    assert!(service.every_owner().revoke(id, RevokeRequest::new()).await.is_ok());
    assert_eq!(
        service.every_owner().list(Query::new().states(States::ALL)).await.unwrap().items.len(),
        1
    );
}
