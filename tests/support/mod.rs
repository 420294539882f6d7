//! What the integration tests of the service share: stores to run over, doubles, a collector.

// Each test crate uses a part of it.
#![allow(dead_code, unused_imports, unused_macros)]

pub(crate) mod acting;
mod courses;
mod faulty;
pub(crate) mod keeping;
pub(crate) mod many;
pub(crate) mod planted;
mod remote;
pub(crate) mod rotated;
pub(crate) mod scene;
mod traced;
pub(crate) mod used;

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use service_tokens::store::States;
use service_tokens::{
    Event, Filter, Issued, ListRequest, MemoryStore, Record, Requirement, TokenService,
    TokenServiceBuilder, TokenStore, TokenType,
};

pub(crate) use courses::Courses;
pub(crate) use faulty::{Fault, Faulty, Op};
pub(crate) use remote::{Changes, Remote};
pub(crate) use traced::{Traced, TracedEvent, collect_tracing};

pub(crate) const MICRO: Duration = Duration::from_micros(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) type SharedStore = Arc<dyn TokenStore>;

/// A fresh, empty store, and what must live as long as it does, such as its directory.
pub(crate) struct Opened {
    pub(crate) store: SharedStore,
    pub(crate) guard: Box<dyn Any>,
}

/// How a test comes by as many fresh stores as it wants.
pub(crate) type Open = fn() -> Opened;

pub(crate) fn memory() -> Opened {
    Opened { store: Arc::new(MemoryStore::new()), guard: Box::new(()) }
}

/// A store on a real file, in a folder that goes with the guard. Where there is a file system in
/// memory it is there: these tests sync often, and ask the service, not the disk.
#[cfg(feature = "file")]
pub(crate) fn file() -> Opened {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let store = service_tokens::FileStore::open(folder.path().join("tokens.journal")).unwrap();
    Opened { store: Arc::new(store), guard: Box::new(folder) }
}

/// Runs each of these `async fn(Open)` once over every store there is. A further store is one more line
/// in the first rule.
macro_rules! over_stores {
    ($($test:ident),+ $(,)?) => {
        over_stores!(@over memory: $($test),+);
        #[cfg(feature = "file")]
        over_stores!(@over file: $($test),+);
    };
    (@over $store:ident: $($test:ident),+) => {
        mod $store {
            $(
                #[test]
                fn $test() {
                    futures_lite::future::block_on(super::$test(super::support::$store));
                }
            )+
        }
    };
}
pub(crate) use over_stores;

/// A service with two types over this store.
pub(crate) fn builder<S: TokenStore>(store: S) -> TokenServiceBuilder<S> {
    TokenService::builder(store, "acme_live")
        .token_type(TokenType::new("connector", ["files:read", "files:upload"]).unwrap())
        .token_type(TokenType::new("developer", ["*"]).unwrap())
}

pub(crate) fn requirement(scope: &str) -> Requirement {
    Requirement::scope(scope).unwrap()
}

/// What any active token may.
pub(crate) fn any() -> Requirement {
    Requirement::any_token()
}

pub(crate) fn text(issued: &Issued) -> String {
    issued.token.expose_secret().to_owned()
}

/// Every record of a store, oldest first.
pub(crate) async fn records(store: &dyn TokenStore) -> Vec<Record> {
    let now = chrono::DateTime::UNIX_EPOCH;
    let mut query = ListRequest::from(Filter::new().states(States::ALL))
        .order(service_tokens::store::Order::OldestFirst)
        .limit(1_000);
    let mut all = Vec::new();
    loop {
        let page = store.list(&query, now).await.unwrap();
        all.extend(page.items.into_iter().map(|stored| stored.record));
        match page.next {
            Some(next) => query = query.after(next),
            None => return all,
        }
    }
}

/// A sink that keeps what it gets.
#[derive(Clone, Default)]
pub(crate) struct Collected(Arc<Mutex<Vec<Event>>>);

impl Collected {
    pub(crate) fn sink(&self) -> impl Fn(&Event) + Send + Sync + 'static {
        let events = self.0.clone();
        move |event| events.lock().unwrap().push(event.clone())
    }

    /// The events since the last call, all of them delivered.
    pub(crate) fn take<S>(&self, service: &TokenService<S>) -> Vec<Event> {
        assert!(
            service.flush_events(Duration::from_secs(20)).is_ok(),
            "the sink did not get its events"
        );
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}
