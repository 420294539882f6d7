//! Filters against oracles that do not use `Filter::matches`.

use std::collections::BTreeSet;

use service_tokens::{Filter, IssueRequest, ListRequest, TokenId};

use super::harness::{HOUR, Harness, MICRO, Stores, backup, delta, text};

behaviours! {
    unused_since_needs_an_older_token,
    unused_since_is_exact_to_the_microsecond,
    issued_to_contains_compares_bytes,
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
