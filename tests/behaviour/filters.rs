//! Filters against oracles that do not use `Filter::matches`.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use service_tokens::store::{States, StoreError, Version};
use service_tokens::{
    Filter, IssueRequest, ListRequest, Page, Record, StoredRecord, TokenId, TokenStore, async_trait,
};

use super::harness::{HOUR, Harness, MICRO, SharedStore, Stores, backup, delta, text};

behaviours! {
    unused_since_needs_an_older_token,
    unused_since_is_exact_to_the_microsecond,
    issued_to_contains_compares_bytes,
    store_receives_whole_microseconds,
}

async fn selected(harness: &Harness, filter: Filter) -> BTreeSet<TokenId> {
    let request = ListRequest::from(filter).limit(1_000);
    let page = harness.service.owner("acme").list(request).await.unwrap();
    page.items.iter().map(|stored| stored.record.id()).collect()
}

/// A new token was not used, and yet it is not unused since a time before which it did not exist.
pub(crate) async fn unused_since_needs_an_older_token(stores: Stores) {
    let harness = Harness::new(stores);
    let start = harness.service.now();
    let old = harness.issue(backup()).await.record.id();
    harness.advance(HOUR);
    let new = harness.issue(backup()).await.record.id();
    let now = harness.service.now();
    for (since, expected) in [
        (start - delta(HOUR), &[][..]),
        (start, &[]),
        (start + delta(MICRO), &[old]),
        (now, &[old]),
        (now + delta(MICRO), &[old, new]),
    ] {
        let expected: BTreeSet<TokenId> = expected.iter().copied().collect();
        assert_eq!(
            selected(&harness, Filter::new().unused_since(since)).await,
            expected,
            "{since}"
        );
        // With and without the owner, and by count.
        let filter = Filter::new().unused_since(since);
        let count = harness.service.all_owners().count(filter).await.unwrap();
        assert_eq!(count, expected.len() as u64);
    }
}

pub(crate) async fn unused_since_is_exact_to_the_microsecond(stores: Stores) {
    // Each use is recorded, so that no resolution hides the limit.
    let harness = Harness::builder(stores)
        .configure(|service| service.last_used_resolution(std::time::Duration::ZERO))
        .build();
    let issued = harness.issue(backup()).await;
    harness.advance(HOUR);
    let used = harness.use_token(&text(&issued)).await;
    for flushed in [false, true] {
        if flushed {
            harness.flush().await;
        }
        for (since, expected) in
            [(-delta(MICRO), 0), (delta(std::time::Duration::ZERO), 0), (delta(MICRO), 1)]
        {
            let unused = selected(&harness, Filter::new().unused_since(used + since)).await;
            assert_eq!(unused.len(), expected, "{since} {flushed}");
        }
    }
}

pub(crate) async fn issued_to_contains_compares_bytes(stores: Stores) {
    let harness = Harness::new(stores);
    let labels = [
        "backup",
        "Backup",
        "BACKUP",
        " backup ",
        "back up",
        "back\0up",
        "bäckup",
        "ba\u{308}ckup",
        "straße",
        "STRASSE",
        "ﬁle",
        "file",
        "%",
        "_",
        "a%b",
        "a_b",
        "axb",
        "\\",
        "'",
        "\"",
        "*",
        "[a]",
        "文",
        "文書",
        "🔑",
        "e\u{301}",
        "\u{e9}",
        "I",
        "i",
        "İ",
        "ı",
        "\u{200b}x",
    ];
    let mut ids = Vec::new();
    for label in labels {
        let issued = harness.issue(IssueRequest::new("connector", label)).await;
        ids.push((label, issued.record.id()));
    }
    for needle in labels.into_iter().chain(["b", "up", "ack", "ä", "\u{308}", "\0", " ", "s", "S"])
    {
        let contains = |label: &str| {
            label.as_bytes().windows(needle.len()).any(|part| part == needle.as_bytes())
        };
        let expected: BTreeSet<TokenId> =
            ids.iter().filter(|(label, _)| contains(label)).map(|(_, id)| *id).collect();
        let filter = || Filter::new().issued_to_contains(needle);
        assert_eq!(selected(&harness, filter()).await, expected, "{needle:?}");
        let count = harness.service.owner("acme").count(filter()).await.unwrap();
        assert_eq!(count, expected.len() as u64, "{needle:?}");
    }
    // Every label contains the empty text.
    assert_eq!(selected(&harness, Filter::new().issued_to_contains("")).await.len(), ids.len());
}

/// A store that refuses times below a microsecond, as a column of microseconds cannot hold them.
struct WholeMicroseconds(SharedStore);

impl WholeMicroseconds {
    fn check(filter: &Filter, now: DateTime<Utc>) {
        let Filter { expires_before, created_before, unused_since, ended_before, .. } = filter;
        for time in [*expires_before, *created_before, *unused_since, *ended_before, Some(now)] {
            assert!(time.is_none_or(|time| time.timestamp_subsec_nanos() % 1_000 == 0), "{time:?}");
        }
    }
}

#[async_trait]
impl TokenStore for WholeMicroseconds {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        self.0.insert(record).await
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        self.0.find(id).await
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        self.0.replace(record, expected).await
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.0.remove(id, expected).await
    }

    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        Self::check(&request.filter, now);
        self.0.list(request, now).await
    }

    fn tracks_last_used(&self) -> bool {
        true
    }

    async fn count(&self, filter: &Filter, now: DateTime<Utc>) -> Result<u64, StoreError> {
        Self::check(filter, now);
        self.0.count(filter, now).await
    }
}

pub(crate) async fn store_receives_whole_microseconds(stores: Stores) {
    let harness = Harness::builder(stores).over(WholeMicroseconds).build();
    let created = harness.issue(backup()).await.record.created_at();
    harness.advance(HOUR);
    let acme = harness.service.owner("acme");
    for (nanos, selects) in [(-1, 0), (0, 0), (1, 1), (999, 1), (1_000, 1)] {
        let time = created + TimeDelta::nanoseconds(nanos);
        for filter in [Filter::new().created_before(time), Filter::new().unused_since(time)] {
            let page = acme.list(ListRequest::from(filter.clone())).await.unwrap();
            assert_eq!(page.items.len() as u64, selects, "{filter:?}");
            assert_eq!(acme.count(filter).await.unwrap(), selects);
        }
        let other = Filter::new().states(States::ALL).expires_before(time).ended_before(time);
        assert_eq!(acme.count(other).await.unwrap(), 0);
    }
}
