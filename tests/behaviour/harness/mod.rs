//! The harness of the behaviour tests: a service over a store, a manual clock, collected events, and
//! helpers with plain names.

mod contended;
mod courses;
mod expect;
mod factory;
mod family;
mod faulty;
mod gathers;
mod networked;
mod planted;
mod remote;
mod requests;
mod traced;
mod verbs;

use std::any::Any;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use service_tokens::clock::ManualClock;
use service_tokens::store::States;
use service_tokens::{
    Event, Filter, Issued, ListRequest, Policy, Record, Requirement, TokenService,
    TokenServiceBuilder, TokenStore,
};

pub(crate) use contended::{Interrupted, changed_by_others, expect_contended, rotated_before_call};
pub(crate) use courses::Courses;
pub(crate) use expect::{expect_invalid, expect_not_active, expect_not_permitted, refusal_of};
pub(crate) use factory::{Factory, Opened, SharedStore, Stores};
pub(crate) use family::{FAMILY_SCOPES, Family, Ids};
pub(crate) use faulty::{Fault, Faulty, Op, Rival};
pub(crate) use gathers::{Answer, Gathers};
pub(crate) use networked::{Fate, Method, Networked};
pub(crate) use planted::{below, newer, of_owner, of_scheme, plant, plant_of};
pub(crate) use remote::Remote;
pub(crate) use requests::{
    MANAGER, backup, count_live, delta, files_request, incident, issue_many,
    revoke_with_descendants, scope_set, scoped_request, token_type,
};
pub(crate) use traced::collect_tracing;

pub(crate) const MICRO: Duration = Duration::from_micros(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// How old a cached record may be, unless a test says otherwise.
pub(crate) const MAX_AGE: Duration = MINUTE;

/// A builder of a service with four types: two of a product, and two for tokens that manage tokens.
pub(crate) fn builder<S: TokenStore>(store: S) -> TokenServiceBuilder<S> {
    TokenService::builder(store, "acme_live")
        .token_type(token_type("connector", &["files:read", "files:upload"]))
        .token_type(token_type("developer", &["*"]))
        .token_type(token_type("all", &["*", "service-tokens:*"]))
        .token_type(token_type("files", &["files:read", "files:upload"]))
}

/// A service over a store, and everything that a test controls or observes.
pub(crate) struct Harness<S = SharedStore> {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) collected: Collected,
    /// The store itself, below any double.
    pub(crate) store: SharedStore,
    pub(crate) service: TokenService<S>,
    elsewhere: OnceLock<TokenService<SharedStore>>,
    _guard: Box<dyn Any>,
}

impl Harness {
    /// Creates a service with the default policy over a fresh store.
    pub(crate) fn new(stores: Stores) -> Self {
        Self::builder(stores).build()
    }

    pub(crate) fn with_policy(stores: Stores, policy: Policy) -> Self {
        Self::builder(stores).configure(|service| service.policy(policy)).build()
    }

    pub(crate) fn builder(stores: Stores) -> HarnessBuilder<SharedStore> {
        let Opened { store, guard } = stores.open();
        let (clock, collected) = (Arc::new(ManualClock::default()), Collected::default());
        let service = builder(store.clone()).clock(clock.clone()).events(collected.sink());
        HarnessBuilder { clock, collected, store, service, guard }
    }
}

impl Harness<Arc<Remote>> {
    /// Creates a service over a store that answers later and counts its calls.
    pub(crate) fn over_remote(stores: Stores) -> Self {
        Harness::builder(stores).remote().build()
    }

    /// Creates the same with a cache of this age and size.
    pub(crate) fn cached(stores: Stores, max_age: Duration, max_records: usize) -> Self {
        let builder = Harness::builder(stores).remote();
        builder.configure(|service| service.cache_records(max_age, max_records)).build()
    }

    pub(crate) fn remote(&self) -> &Arc<Remote> {
        self.service.store()
    }
}

impl Harness<Arc<Networked>> {
    /// Creates a service over a store with calls about many rows, each with a scripted fate.
    pub(crate) fn over_network(stores: Stores) -> Self {
        Harness::builder(stores).over(|store| Arc::new(Networked::new(store))).build()
    }

    pub(crate) fn network(&self) -> &Arc<Networked> {
        self.service.store()
    }
}

impl Harness<Arc<Faulty>> {
    /// Creates a service over a store that fails on demand.
    pub(crate) fn over_faulty(stores: Stores) -> Self {
        Harness::builder(stores).faulty().build()
    }

    pub(crate) fn faulty(&self) -> &Arc<Faulty> {
        self.service.store()
    }
}

/// A harness under construction.
pub(crate) struct HarnessBuilder<S> {
    clock: Arc<ManualClock>,
    collected: Collected,
    store: SharedStore,
    service: TokenServiceBuilder<S>,
    guard: Box<dyn Any>,
}

impl HarnessBuilder<SharedStore> {
    /// Puts a double in front of the store.
    pub(crate) fn over<T: TokenStore>(
        self,
        wrap: impl FnOnce(SharedStore) -> T,
    ) -> HarnessBuilder<T> {
        let Self { clock, collected, store, guard, .. } = self;
        let service = builder(wrap(store.clone())).clock(clock.clone()).events(collected.sink());
        HarnessBuilder { clock, collected, store, service, guard }
    }

    pub(crate) fn remote(self) -> HarnessBuilder<Arc<Remote>> {
        self.over(|store| Arc::new(Remote::new(store)))
    }

    pub(crate) fn faulty(self) -> HarnessBuilder<Arc<Faulty>> {
        self.over(|store| Arc::new(Faulty::new(store)))
    }

    /// Puts a store in front that fails on demand, with a rival that shares the store and the clock.
    pub(crate) fn faulty_with_rival(
        self,
        rival: impl Fn(SharedStore, Arc<ManualClock>, u8) -> Rival + Send + Sync + 'static,
    ) -> HarnessBuilder<Arc<Faulty>> {
        let clock = self.clock.clone();
        self.over(|store| {
            let of_rival = store.clone();
            let rival = move |what| rival(of_rival.clone(), clock.clone(), what);
            Arc::new(Faulty::with_rival(store, rival))
        })
    }
}

impl<S: TokenStore> HarnessBuilder<S> {
    /// Changes the service that is built.
    pub(crate) fn configure(
        mut self,
        change: impl FnOnce(TokenServiceBuilder<S>) -> TokenServiceBuilder<S>,
    ) -> Self {
        self.service = change(self.service);
        self
    }

    pub(crate) fn build(self) -> Harness<S> {
        let Self { clock, collected, store, service, guard } = self;
        let service = service.build().unwrap();
        Harness { clock, collected, store, service, elsewhere: OnceLock::new(), _guard: guard }
    }
}

/// Returns the requirement that any active token meets.
pub(crate) fn any() -> Requirement {
    Requirement::any_token()
}

pub(crate) fn requirement(scope: &str) -> Requirement {
    Requirement::scope(scope).unwrap()
}

pub(crate) fn text(issued: &Issued) -> String {
    issued.token.expose_secret().to_owned()
}

/// Reads every record of a store, oldest first.
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

/// The events that a service emits.
#[derive(Clone, Default)]
pub(crate) struct Collected(Arc<Mutex<Vec<Event>>>);

impl Collected {
    pub(crate) fn sink(&self) -> impl Fn(&Event) + Send + Sync + 'static {
        let events = self.0.clone();
        move |event| events.lock().unwrap().push(event.clone())
    }

    /// Returns the events since the last call, after all of them were delivered.
    pub(crate) fn take<S>(&self, service: &TokenService<S>) -> Vec<Event> {
        assert!(
            service.flush_events_blocking(Duration::from_secs(20)).is_ok(),
            "the sink did not get its events"
        );
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}
