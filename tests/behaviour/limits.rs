//! Limits of requests: ids, texts, metadata, scopes, types, tokens of an owner and pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::harness::{
    HOUR, Harness, MICRO, MINUTE, Stores, any, backup, builder, delta, expect_invalid, records,
    text,
};
use service_tokens::clock::Clock;
use service_tokens::random::{OsRandom, RandomError, RandomSource};
use service_tokens::record::{Field, Rule};
use service_tokens::store::{MAX_PAGE_LEN, States};
use service_tokens::{
    Filter, IssueRequest, ListRequest, ManageError, Policy, Refusal, RevokeRequest, RotateRequest,
    ScopeSet, State, TokenId, TokenService, TokenType,
};

behaviours! {
    issue_with_invalid_id_is_refused,
    text_over_its_limit_is_refused,
    blank_text_is_refused,
    metadata_over_its_limit_is_refused,
    issue_beyond_type_scopes_is_refused,
    issue_of_unknown_type_is_refused,
    issue_again_at_owner_limit_reports_exists,
    issue_beyond_owner_limit_is_refused,
    list_beyond_page_limit_is_refused,
    issue_without_random_bytes_fails,
}

pub(crate) async fn issue_with_invalid_id_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    harness.clock.advance(Duration::from_micros(999));
    let now = harness.clock.now().timestamp_millis();
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
        let outcome = harness.service.owner("acme").issue(backup().id(chosen)).await;
        if allowed {
            assert_eq!(outcome.unwrap().record.id(), chosen, "{offset}");
        } else {
            expect_invalid(outcome, Field::Id, Rule::NotRecent);
        }
    }
    for (version, variant) in [(4, 0b10), (6, 0b10), (8, 0b10), (0, 0b10), (7, 0b00), (7, 0b11)] {
        let outcome =
            harness.service.owner("acme").issue(backup().id(id(now, version, variant, 99))).await;
        expect_invalid(outcome, Field::Id, Rule::NotVersion7);
    }
    let last = TokenId::from_bytes([0xff; 16]);
    expect_invalid(
        harness.service.owner("acme").issue(backup().id(last)).await,
        Field::Id,
        Rule::NotVersion7,
    );
    let far = id(0xffff_ffff_ffff, 7, 0b10, 1);
    expect_invalid(
        harness.service.owner("acme").issue(backup().id(far)).await,
        Field::Id,
        Rule::NotRecent,
    );
    assert_eq!(records(harness.service.store()).await.len(), 3);
}

/// Returns a text of `bytes` bytes. All of its characters have two bytes, except one if `bytes` is odd.
fn long(bytes: usize) -> String {
    "é".repeat(bytes / 2) + if bytes % 2 == 1 { "e" } else { "" }
}

pub(crate) async fn text_over_its_limit_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let service = &harness.service;
    let issue = |request: IssueRequest| service.owner("acme").issue(request);
    let issue_for = |owner: String| async move { service.owner(&owner).issue(backup()).await };
    assert!(issue_for(long(255)).await.is_ok());
    assert!(issue(IssueRequest::new("connector", long(255))).await.is_ok());
    assert!(issue(backup().issued_by(long(255))).await.is_ok());
    let over = Rule::TooLong { max: 255 };
    expect_invalid(issue_for(long(256)).await, Field::Owner, over);
    expect_invalid(issue(IssueRequest::new("connector", long(256))).await, Field::IssuedTo, over);
    expect_invalid(issue(backup().issued_by(long(256))).await, Field::IssuedBy, over);
    assert_eq!(records(service.store()).await.len(), 3);

    let tokens = harness.service.all_owners();
    let id = issue(backup()).await.unwrap().record.id();
    let revoke = |request: RevokeRequest| tokens.revoke(id, request);
    expect_invalid(revoke(RevokeRequest::new().by(long(256))).await, Field::RevokedBy, over);
    let over = Rule::TooLong { max: 1_000 };
    expect_invalid(revoke(RevokeRequest::new().reason(long(1_001))).await, Field::Reason, over);
    assert_eq!(harness.state(id).await, State::Active);
    assert!(revoke(RevokeRequest::new().by(long(255)).reason(long(1_000))).await.is_ok());

    // The policy sets the limits, up to the largest that a record can store.
    let wide =
        Harness::with_policy(stores, Policy::new().max_text_len(1_024).max_reason_len(1_024));
    let at = IssueRequest::new("connector", long(1_024)).issued_by(long(1_024));
    let id = wide.issue_for(&long(1_024), at).await.record.id();
    let over = Rule::TooLong { max: 1_024 };
    let too_long = IssueRequest::new("connector", "b");
    expect_invalid(wide.service.owner(&long(4_097)).issue(too_long).await, Field::Owner, over);
    let tokens = wide.service.all_owners();
    let words = RevokeRequest::new().by(long(1_024));
    let too_long = words.clone().reason(long(4_097));
    expect_invalid(tokens.revoke(id, too_long).await, Field::Reason, over);
    assert!(tokens.revoke(id, words.reason(long(1_024))).await.is_ok());
    let narrow = Harness::with_policy(stores, Policy::new().max_text_len(6));
    let acme = narrow.service.owner("acme");
    let over = acme.issue(IssueRequest::new("connector", "1234567")).await;
    expect_invalid(over, Field::IssuedTo, Rule::TooLong { max: 6 });
    assert!(acme.issue(IssueRequest::new("connector", "123456")).await.is_ok());
    // The id of a calling token fits, so that it can always issue, rotate and revoke.
    let id = "x".repeat(22);
    assert!(acme.issue(backup().issued_by(&id)).await.is_ok());
    let over = acme.issue(backup().issued_by("x".repeat(23))).await;
    expect_invalid(over, Field::IssuedBy, Rule::TooLong { max: 22 });
}

pub(crate) async fn blank_text_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(backup()).await;
    let (id, tokens) = (issued.record.id(), harness.service.all_owners());
    for blank in ["", " ", "\n\t ", "\u{a0}\u{2003}\u{3000}"] {
        let issue = |request: IssueRequest| harness.service.owner("acme").issue(request);
        expect_invalid(
            harness.service.owner(blank).issue(backup()).await,
            Field::Owner,
            Rule::Empty,
        );
        expect_invalid(
            issue(IssueRequest::new("connector", blank)).await,
            Field::IssuedTo,
            Rule::Empty,
        );
        expect_invalid(issue(backup().issued_by(blank)).await, Field::IssuedBy, Rule::Empty);
        let by = RevokeRequest::new().by(blank);
        expect_invalid(tokens.revoke(id, by).await, Field::RevokedBy, Rule::Empty);
        let reason = RevokeRequest::new().reason(blank);
        expect_invalid(tokens.revoke(id, reason).await, Field::Reason, Rule::Empty);
    }
    assert_eq!(harness.refusal(&text(&issued)).await, None);
    assert_eq!(records(harness.service.store()).await.len(), 1);
}

pub(crate) async fn metadata_over_its_limit_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let entries = |count: usize| {
        (0..count).fold(backup(), |request, i| request.metadata(format!("{i:02}"), "x"))
    };
    assert_eq!(harness.issue(entries(16)).await.record.metadata().count(), 16);
    let over = harness.service.owner("acme").issue(entries(17)).await;
    expect_invalid(over, Field::Metadata, Rule::TooMany { max: 16 });
    let bytes = |bytes: usize| backup().metadata(long(48), long(bytes - 48));
    assert!(harness.service.owner("acme").issue(bytes(2_048)).await.is_ok());
    let over = harness.service.owner("acme").issue(bytes(2_049)).await;
    expect_invalid(over, Field::Metadata, Rule::TooLong { max: 2_048 });
    let nameless = harness.service.owner("acme").issue(backup().metadata("", "x")).await;
    expect_invalid(nameless, Field::Metadata, Rule::BlankKey);
    assert!(harness.service.owner("acme").issue(backup().metadata("x", "")).await.is_ok());

    let wide = Harness::with_policy(
        stores,
        Policy::new().max_metadata_entries(64).max_metadata_bytes(8_192),
    );
    assert!(wide.service.owner("acme").issue(entries(64)).await.is_ok());
    expect_invalid(
        wide.service.owner("acme").issue(entries(65)).await,
        Field::Metadata,
        Rule::TooMany { max: 64 },
    );
    assert!(wide.service.owner("acme").issue(bytes(8_192)).await.is_ok());
    let over = wide.service.owner("acme").issue(bytes(8_193)).await;
    expect_invalid(over, Field::Metadata, Rule::TooLong { max: 8_192 });
}

pub(crate) async fn issue_beyond_type_scopes_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let with = |token_type: &str, scopes: &[&str]| {
        let scopes = ScopeSet::new(scopes).unwrap();
        harness.service.owner("acme").issue(IssueRequest::new(token_type, "b").scopes(scopes))
    };
    expect_invalid(with("connector", &[]).await, Field::Scopes, Rule::NoEntries);
    for beyond in [&["files:delete"][..], &["files:read", "queue:push"], &["files:*"], &["*"]] {
        expect_invalid(with("connector", beyond).await, Field::Scopes, Rule::NotContained);
    }
    let narrower = with("connector", &["files:read"]).await.unwrap().record;
    assert_eq!(narrower.scopes().as_str(), "files:read");
    // `*` does not include the reserved scopes.
    for reserved in ["service-tokens:issue", "service-tokens:*", "service-tokens"] {
        expect_invalid(with("developer", &[reserved]).await, Field::Scopes, Rule::NotContained);
    }
    assert!(with("developer", &["*"]).await.is_ok());
    assert!(with("developer", &["files:*"]).await.is_ok());

    // The longest set of the longest scopes fits a record.
    let vast = (0..64).map(|i| format!("{i:02}{}", "x".repeat(254)));
    let vast = TokenType::new("vast", vast).unwrap();
    let opened = stores.open();
    let service = builder(opened.store.clone()).token_type(vast).build().unwrap();
    let outcome = service.owner("acme").issue(IssueRequest::new("vast", "b")).await;
    assert!(outcome.is_ok(), "{:?}", outcome.err());
}

pub(crate) async fn issue_of_unknown_type_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    for unknown in ["", " ", "Connector", "connector ", "connector\0", "nothing", &long(1 << 20)] {
        let outcome = harness.service.owner("acme").issue(IssueRequest::new(unknown, "b")).await;
        expect_invalid(outcome, Field::Type, Rule::Unknown);
    }
    assert!(records(harness.service.store()).await.is_empty());
    // A service without types refuses to issue, and refuses tokens of types that it no longer has.
    let issued = harness.issue(backup()).await;
    let store = harness.service.store().clone();
    let bare = TokenService::builder(store, "acme_live").clock(harness.clock.clone());
    let bare = bare.build().unwrap();
    let refusal = bare.verify(&text(&issued), &any()).await.unwrap_err().refusal();
    assert_eq!(refusal, Some(Refusal::UnknownType));
    expect_invalid(bare.owner("acme").issue(backup()).await, Field::Type, Rule::Unknown);
}

/// The request that used the last place is repeated. It must report that the token exists.
pub(crate) async fn issue_again_at_owner_limit_reports_exists(stores: Stores) {
    let opened = stores.open();
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

pub(crate) async fn issue_beyond_owner_limit_is_refused(stores: Stores) {
    for most in [1, 3] {
        let harness = Harness::with_policy(stores, Policy::new().max_active_per_owner(most));
        let mut issued = Vec::new();
        for i in 0..most {
            // Pending tokens count, because they become active.
            let start = harness.clock.now() + delta(MINUTE);
            let request = backup().expires_in(HOUR);
            let request = if i == 0 { request } else { request.not_before(start) };
            issued.push(harness.issue(request).await);
        }
        let over = harness.service.owner("acme").issue(backup()).await;
        assert!(matches!(over, Err(ManageError::TooManyActive { max: m }) if m == most));
        // Tokens of other owners do not count. The whole name is compared.
        for other in ["acm", "acme ", "Acme"] {
            let _ = harness.issue_for(other, IssueRequest::new("connector", "b")).await;
        }
        // Ended tokens do not count: neither revoked ones nor expired ones, to the microsecond.
        let id = issued[0].record.id();
        harness.service.all_owners().revoke(id, RevokeRequest::new()).await.unwrap();
        let _ = harness.issue(backup().expires_in(HOUR)).await;
        harness.clock.advance(HOUR - MICRO);
        assert!(harness.service.owner("acme").issue(backup()).await.is_err());
        harness.clock.advance(MICRO);
        for _ in 0..most {
            let _ = harness.issue(backup()).await;
        }
        assert!(harness.service.owner("acme").issue(backup()).await.is_err());
    }
    let closed = Harness::with_policy(stores, Policy::new().max_active_per_owner(0));
    let over = closed.service.owner("acme").issue(backup()).await;
    assert!(matches!(over, Err(ManageError::TooManyActive { max: 0 })), "{over:?}");
    // More tokens than fit on a page.
    let many = Harness::with_policy(stores, Policy::new().max_active_per_owner(1_001));
    // The other process has no limit, so that it does not count at every issue.
    for _ in 0..1_000 {
        let _ = many.elsewhere().owner("acme").issue(backup()).await.unwrap();
    }
    let _ = many.issue(backup()).await;
    assert!(many.service.owner("acme").issue(backup()).await.is_err());
}

pub(crate) async fn list_beyond_page_limit_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    for _ in 0..MAX_PAGE_LEN + 1 {
        let _ = harness.issue(backup()).await;
    }
    for view in [harness.service.owner_or_all(Some("acme")), harness.service.all_owners()] {
        let list = |limit: usize| view.list(ListRequest::new().limit(limit));
        let bounds = Rule::Bounds { max: MAX_PAGE_LEN };
        for beyond in [0, MAX_PAGE_LEN + 1, usize::MAX] {
            expect_invalid(list(beyond).await, Field::Limit, bounds);
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
    /// The number of fills that succeed before the first failure.
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

pub(crate) async fn issue_without_random_bytes_fails(stores: Stores) {
    let opened = stores.open();
    let random = Arc::new(Failing { fails: AtomicBool::new(false), after: AtomicUsize::new(0) });
    let service = builder(opened.store.clone()).random(Shared(random.clone())).build().unwrap();
    let issued = service.owner("acme").issue(backup()).await.unwrap();
    let (id, before) = (issued.record.id(), records(&*opened.store).await);
    random.fails.store(true, Ordering::SeqCst);
    // The id is drawn first and then the secret. Either draw may fail.
    for after in [0, 1] {
        random.after.store(after, Ordering::SeqCst);
        let outcome = service.owner("acme").issue(backup()).await;
        assert!(matches!(outcome, Err(ManageError::Random(_))), "{outcome:?}");
    }
    random.after.store(0, Ordering::SeqCst);
    let outcome = service.all_owners().rotate(id, RotateRequest::at_once()).await;
    assert!(matches!(outcome, Err(ManageError::Random(_))), "{outcome:?}");
    assert_eq!(records(&*opened.store).await, before);
    assert!(service.verify(&text(&issued), &any()).await.is_ok());
    // Revoking needs no random numbers.
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
