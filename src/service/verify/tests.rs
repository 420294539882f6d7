//! The number of hashes that a verification costs. It must not show whether an id exists.

#![cfg(feature = "memory")]

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_lite::future::block_on;

use crate::digest::{KeyId, KeyRing};
use crate::record::Record;
use crate::refusal::Refusal;
use crate::scope::{Requirement, TokenType};
use crate::secret::counted;
use crate::service::{IssueRequest, TokenService};
use crate::store::{ListRequest, Page, StoreError, StoredRecord, TokenStore, Version};
use crate::stores::MemoryStore;
use crate::token::TokenId;

/// A store that never answers at once, so that verifications take the other path.
struct Later(Arc<MemoryStore>);

#[async_trait]
impl TokenStore for Later {
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
        self.0.list(request, now).await
    }
}

fn key_ring() -> KeyRing {
    KeyRing::new(KeyId(*b"2026"), &[7; 32]).unwrap()
}

fn service<S: TokenStore>(store: S, keyed: bool, cached: bool) -> TokenService<S> {
    let mut builder = TokenService::builder(store, "acme_live")
        .token_type(TokenType::new("connector", ["files:upload"]).unwrap());
    if keyed {
        builder = builder.keys(key_ring());
    }
    if cached {
        builder = builder.cache_records(std::time::Duration::from_secs(60), 100);
    }
    builder.build().unwrap()
}

/// Returns the token of another store, which this one does not have.
fn unknown() -> String {
    let elsewhere = service(MemoryStore::new(), false, false);
    let request = IssueRequest::new("connector", "backup");
    let issued = block_on(elsewhere.owner("acme").issue(request)).unwrap();
    issued.token.expose_secret().to_owned()
}

/// Returns the token with another secret under the same id.
fn with_wrong_secret(token: &str, id: TokenId) -> String {
    let elsewhere = service(MemoryStore::new(), false, false);
    let request = IssueRequest::new("connector", "backup").id(id);
    let other = block_on(elsewhere.owner("acme").issue(request)).unwrap();
    assert_ne!(other.token.expose_secret(), token);
    other.token.expose_secret().to_owned()
}

fn expect_equal_hashes<S: TokenStore>(store: S, keyed: bool, cached: bool, uncached: bool) {
    let service = service(store, keyed, cached);
    let request = IssueRequest::new("connector", "backup");
    let issued = block_on(service.owner("acme").issue(request)).unwrap();
    let token = issued.token.expose_secret();
    let any = Requirement::any_token();
    let hashes = |token: &str| {
        counted::take();
        let verified = block_on(async {
            if uncached {
                service.verify_uncached(token, &any).await
            } else {
                service.verify(token, &any).await
            }
        });
        (verified.map(drop).map_err(|error| error.refusal()), counted::take())
    };
    let one = if keyed { (0, 1) } else { (1, 0) };
    let wrong = with_wrong_secret(token, issued.record.id());
    assert_eq!(hashes(token), (Ok(()), one));
    assert_eq!(hashes(&unknown()), (Err(Some(Refusal::UnknownId)), one));
    // A refusal from the cache may be decided again on the present record.
    let (refused, number) = hashes(&wrong);
    assert_eq!(refused, Err(Some(Refusal::WrongSecret)));
    assert!(number == one || cached && number == (2 * one.0, 2 * one.1), "{number:?}");
    assert_eq!(hashes("acme_live_1"), (hashes("acme_live_1").0, (0, 0)));
}

#[test]
fn unknown_id_costs_the_hash_of_a_known_one() {
    for keyed in [false, true] {
        for uncached in [false, true] {
            expect_equal_hashes(MemoryStore::new(), keyed, false, uncached);
            for cached in [false, true] {
                let later = Later(Arc::new(MemoryStore::new()));
                expect_equal_hashes(later, keyed, cached, uncached);
            }
        }
    }
}
