//! The builder of a service.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use super::cache::Cache;
use super::core::{Core, TokenService};
use super::issue_gate::IssueGate;
use super::last_used::{DEFAULT_RESOLUTION, MAX_RESOLUTION, PendingUses};
use super::owner_limit::OwnerLimits;
use super::policy::{InvalidPolicy, Policy};
use super::recent_times::RecentTimes;
use super::records::Records;
use crate::check::{AccessRules, OwnerGate};
use crate::clock::{Clock, GuardedClock, SystemClock};
use crate::digest::{Digests, KeyRing};
use crate::event::{EventSink, Events};
use crate::import::{ImportForm, ImportForms, InvalidForm};
use crate::random::{OsRandom, RandomSource};
use crate::scope::{TokenType, TokenTypes};
use crate::store::TokenStore;
use crate::token::{InvalidPrefix, Prefix};

/// The number of events that may wait for a slow sink. Further events are dropped.
const EVENT_QUEUE: usize = 8_192;

/// The number of first uses whose attempt to end an overlap is remembered, so that it is not repeated
/// with each request.
const OVERLAP_ATTEMPTS: usize = 256;

/// The error returned by [`TokenServiceBuilder::build`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A prefix breaks a rule.
    #[error(transparent)]
    Prefix(#[from] InvalidPrefix),
    /// Two types have the same name.
    #[error("two token types have the name {0}")]
    DuplicateType(String),
    /// The policy is impossible.
    #[error(transparent)]
    Policy(#[from] InvalidPolicy),
    /// A form of credentials of an older system is impossible, or conflicts with another one.
    #[error("the import form {name:?} is not possible")]
    ImportForm {
        /// The name of the form.
        name: String,
        /// The rule that the form breaks.
        source: InvalidForm,
    },
    /// The limits of a type are impossible, by themselves or together with the policy.
    #[error("the limits of the token type {name} are impossible")]
    TypeLimits {
        /// The name of the type.
        name: String,
        /// The rule that the type's own [policy](Policy::for_type) breaks.
        source: InvalidPolicy,
    },
    /// The cache has room for no records.
    #[error("cache_records must allow at least one record")]
    NoCachedRecords,
    /// The store gathers look-ups in calls of no ids, or in no calls.
    #[error("the store's gathering must allow at least one id and one call")]
    Gathering,
    /// The last-used resolution is longer than a day.
    #[error("last_used_resolution must be at most {max:?}")]
    LastUsedResolution {
        /// The maximum resolution.
        max: Duration,
    },
    /// The thread that delivers events could not be started.
    #[error("the thread for events could not be started")]
    EventThread(#[source] std::io::Error),
}

/// A builder of a [`TokenService`].
///
/// Only the store and the prefix are required. A service without types cannot issue tokens.
///
/// # Examples
///
/// ```
/// use service_tokens::{MemoryStore, Policy, TokenService, TokenType};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = TokenService::builder(MemoryStore::new(), "acme_live")
///     .token_type(TokenType::new("connector", ["files:upload"])?)
///     .policy(Policy::new().max_active_per_owner(100))
///     .build()?;
/// assert_eq!(service.policy().max_active_per_owner, Some(100));
/// # Ok(()) }
/// ```
#[must_use]
pub struct TokenServiceBuilder<S> {
    store: S,
    prefix: String,
    accepted: Vec<String>,
    types: Vec<TokenType>,
    policy: Policy,
    digests: Digests,
    import_forms: Vec<ImportForm>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomSource>,
    owner_gate: Option<Box<dyn OwnerGate>>,
    sink: Option<Box<dyn EventSink>>,
    cache: Option<(Duration, usize)>,
    last_used_resolution: Option<Duration>,
}

impl<S: TokenStore> TokenService<S> {
    /// Creates the builder of a service over `store`, whose new tokens start with `prefix`.
    ///
    /// A prefix names the product and the stage, such as `acme_live`. The manual gives [its
    /// rules](crate::manual::token_format).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .build()?;
    /// let issued = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// assert!(issued.token.expose_secret().starts_with("acme_live_"));
    /// # Ok(()) }
    /// ```
    pub fn builder(store: S, prefix: impl Into<String>) -> TokenServiceBuilder<S> {
        TokenServiceBuilder {
            store,
            prefix: prefix.into(),
            accepted: Vec::new(),
            types: Vec::new(),
            policy: Policy::new(),
            digests: Digests::plain(),
            import_forms: Vec::new(),
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(OsRandom),
            owner_gate: None,
            sink: None,
            cache: None,
            last_used_resolution: Some(DEFAULT_RESOLUTION),
        }
    }
}

impl<S: TokenStore> TokenServiceBuilder<S> {
    /// Accepts tokens with this prefix too. Call it once for each prefix that the service used
    /// earlier.
    ///
    /// New tokens have the prefix given to [`TokenService::builder`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// # use std::sync::Arc;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = Arc::new(MemoryStore::new());
    /// # let connector = TokenType::new("connector", ["files:upload"])?;
    /// # let earlier = TokenService::builder(store.clone(), "acme").token_type(connector.clone()).build()?;
    /// # let old = earlier.owner("acme").issue(IssueRequest::new("connector", "backup")).await?.token;
    /// let service = TokenService::builder(store, "acme_live")
    ///     .accept_prefix("acme")
    ///     .token_type(connector)
    ///     .build()?;
    /// assert!(old.expose_secret().starts_with("acme_1"));
    /// assert!(service.verify(old.expose_secret(), &Requirement::any_token()).await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn accept_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.accepted.push(prefix.into());
        self
    }

    /// Adds a type of tokens. Each type needs a name of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{MemoryStore, TokenService, TokenType};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .token_type(TokenType::new("developer", ["*"])?)
    ///     .build()?;
    /// assert_eq!(service.token_types().count(), 2);
    /// # Ok(()) }
    /// ```
    pub fn token_type(mut self, token_type: TokenType) -> Self {
        self.types.push(token_type);
        self
    }

    /// Sets the policy for tokens that are issued or rotated from now on.
    ///
    /// A stricter policy changes no stored token. A rotation that names no new end keeps the present
    /// end, even if it is "never" or later than the policy now allows.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{ManageError, Policy};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .policy(Policy::new().max_active_per_owner(1))
    ///     .build()?;
    /// let acme = service.owner("acme");
    ///
    /// let _ = acme.issue(IssueRequest::new("connector", "backup")).await?;
    /// let second = acme.issue(IssueRequest::new("connector", "restore")).await;
    /// assert!(matches!(second, Err(ManageError::TooManyActive { max: 1 })));
    /// # Ok(()) }
    /// ```
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the owner gate, which says whether an owner's account is open. Without a gate every account is
    /// open.
    ///
    /// [`OwnerGate`] has the details and an example with a set of closed accounts.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{MemoryStore, TokenService};
    /// use service_tokens::OwnerStatus;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .owner_gate(|owner: &str| match owner {
    ///         "closed" => OwnerStatus::Closed,
    ///         _ => OwnerStatus::Open,
    ///     })
    ///     .build()?;
    /// # let _ = service;
    /// # Ok(()) }
    /// ```
    pub fn owner_gate(mut self, gate: impl OwnerGate) -> Self {
        self.owner_gate = Some(Box::new(gate));
        self
    }

    /// Makes new digests under the active key of this ring. Without a ring, digests have no key.
    ///
    /// Records whose digests were made without a key stay valid. The manual explains [when keys are
    /// useful](crate::manual::keys_and_digests).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::KeyRing;
    /// use service_tokens::digest::KeyId;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let key = [7; 32];
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .keys(KeyRing::new(KeyId(*b"2026"), &key)?)
    ///     .build()?;
    /// let issued = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// assert!(issued.record.key_ids(service.now()).eq([KeyId(*b"2026")]));
    /// # Ok(()) }
    /// ```
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.digests = Digests::keyed(keys);
        self
    }

    /// Adds a form of credentials of an older system. A text with this form is accepted if its digest was
    /// [imported](crate::Tokens::import).
    ///
    /// A text has at most one form, so two forms that some text has both are an error of
    /// [`build`](Self::build). Forms do not affect how native tokens are verified.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::import::{Characters, ImportDigest, ImportForm};
    /// use service_tokens::{ImportRequest, MemoryStore, TokenService, TokenType, requirement};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let form = ImportForm::sha256("old keys")
    ///     .prefix("sk_live_")
    ///     .characters(Characters::LOWER_HEX)
    ///     .lengths([32]);
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .import_form(form)
    ///     .build()?;
    ///
    /// let text = "sk_live_e5e9fa1ba31ecd1ae84f75caaa474f3a";
    /// let request = ImportRequest::of_plaintext(text, "connector", "nightly backup");
    /// let imported = service.owner("acme").import(request).await?;
    /// assert!(!imported.already_imported);
    /// assert_eq!(service.verify(text, &requirement!("files:upload")).await?.owner(), "acme");
    /// # Ok(()) }
    /// ```
    pub fn import_form(mut self, form: ImportForm) -> Self {
        self.import_forms.push(form);
        self
    }

    /// Sets the clock. The default is [`SystemClock`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{MemoryStore, TokenService};
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use service_tokens::clock::ManualClock;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let clock = Arc::new(ManualClock::default());
    /// let service =
    ///     TokenService::builder(MemoryStore::new(), "acme_test").clock(clock.clone()).build()?;
    /// let before = service.now();
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(service.now() - before, service_tokens::chrono::TimeDelta::minutes(1));
    /// # Ok(()) }
    /// ```
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the source of random bytes. The default is [`OsRandom`].
    ///
    /// The security of every token depends on the source.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::ManageError;
    /// use service_tokens::random::{RandomError, RandomSource};
    ///
    /// struct Unplugged;
    ///
    /// impl RandomSource for Unplugged {
    ///     fn fill(&self, _bytes: &mut [u8]) -> Result<(), RandomError> {
    ///         Err(RandomError)
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TokenService::builder(MemoryStore::new(), "acme_test")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .random(Unplugged)
    ///     .build()?;
    /// let refused = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await;
    /// assert!(matches!(refused, Err(ManageError::Random(_))));
    /// # Ok(()) }
    /// ```
    pub fn random(mut self, source: impl RandomSource + 'static) -> Self {
        self.random = Arc::new(source);
        self
    }

    /// Sends events to this sink instead of `tracing`.
    ///
    /// A thread of its own calls the sink. At most 8,192 events wait for it. [`EventSink`] describes what
    /// happens beyond that. A closure is a sink if it writes out the type of
    /// its parameter, as in `|event: &Event| …`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use std::sync::mpsc;
    /// use service_tokens::Event;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (sender, names) = mpsc::channel();
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .events(move |event: &Event| sender.send(event.name()).unwrap_or_default())
    ///     .build()?;
    /// let _ = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// service.flush_events().await;
    /// assert_eq!(names.recv()?, "issued");
    /// # Ok(()) }
    /// ```
    pub fn events(mut self, sink: impl EventSink) -> Self {
        self.sink = Some(Box::new(sink));
        self
    }

    /// Caches the records that verifications read. It holds at most `max_records` and uses each for
    /// at most `max_age`.
    ///
    /// Use it over a store across a network. Without a cache, every verification reads the store.
    /// [`build`](Self::build) refuses a cache of zero records. The cache is divided into shards of equal
    /// size, so it may hold slightly fewer records than `max_records`.
    ///
    /// The price is `max_age`. A revocation, a rotation or a removal that another process makes
    /// takes effect here up to `max_age` later, unless [`TokenService::follow_changes`] reports it or
    /// [`TokenService::check_cached_records`] finds it earlier. Writes through this service take effect here at once. A first use that ends an
    /// overlap takes effect here at once too, because the service reads from the store whether the
    /// overlap still runs. Another process with a cache may accept the older secret for up to its
    /// own `max_age`.
    ///
    /// The cache holds records and not decisions. Expiry, types and scopes are checked every time.
    /// Before a cached record leads to a refusal, the service reads the record again from the store. It
    /// does this at most once per 100 ms for a record that stays in the cache, so that refused requests
    /// cannot overload the store. [`TokenService::verify_uncached`] always reads the
    /// store. [`VerifiedToken::staleness`](crate::VerifiedToken::staleness) is the maximum age of
    /// the data behind an acceptance.
    ///
    /// Records of a store that answers without waiting ([`TokenStore::find_now`]) are always
    /// current, so they are not cached.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let max_age = Duration::from_secs(30);
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .cache_records(max_age, 100_000)
    ///     .build()?;
    /// # let token = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?.token;
    /// let verified = service.verify(token.expose_secret(), &Requirement::any_token()).await?;
    /// assert!(verified.staleness() <= max_age);
    /// # Ok(()) }
    /// ```
    pub fn cache_records(mut self, max_age: Duration, max_records: usize) -> Self {
        self.cache = Some((max_age, max_records));
        self
    }

    /// Sets the resolution of the recorded times of last use. The default is one minute.
    ///
    /// Of the uses of one token that are less than this apart, only the first is recorded. Zero
    /// records every use. [`build`](Self::build) refuses more than a day.
    ///
    /// Recorded uses wait in memory for [`TokenService::flush_last_used`], whose documentation says
    /// how many can be lost. Processes over one store should have the same resolution.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{BuildError, MemoryStore, TokenService};
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hour = Duration::from_secs(3_600);
    /// let builder = || TokenService::builder(MemoryStore::new(), "acme_live");
    ///
    /// assert!(builder().last_used_resolution(hour).build().is_ok());
    /// let refused = builder().last_used_resolution(25 * hour).build();
    /// assert!(matches!(refused, Err(BuildError::LastUsedResolution { .. })));
    /// # Ok(()) }
    /// ```
    pub fn last_used_resolution(mut self, step: Duration) -> Self {
        self.last_used_resolution = Some(step);
        self
    }

    /// Disables the recording of last use, for example over a store that cannot be written to.
    ///
    /// This service then shows the last use of every token as
    /// [`LastUsed::NotTracked`](crate::store::LastUsed::NotTracked), even if the store has times
    /// from other services. It refuses filters by last use, because a wrong "never" leads people to
    /// revoke tokens that are in use.
    ///
    /// Over a store that does not track last use this call has no effect.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{MemoryStore, TokenService, TokenType, IssueRequest};
    /// use service_tokens::store::LastUsed;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .disable_last_used()
    ///     .build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// assert_eq!(acme.get(id).await?.last_used, LastUsed::NotTracked);
    /// # Ok(()) }
    /// ```
    pub fn disable_last_used(mut self) -> Self {
        self.last_used_resolution = None;
        self
    }

    /// Builds the service.
    ///
    /// # Errors
    ///
    /// - [`BuildError::Prefix`] if a prefix breaks a rule.
    /// - [`BuildError::DuplicateType`] if two types have the same name.
    /// - [`BuildError::Policy`] if the policy is impossible.
    /// - [`BuildError::ImportForm`] if an import form is impossible or conflicts with another one.
    /// - [`BuildError::TypeLimits`] if the limits of a type are impossible.
    /// - [`BuildError::NoCachedRecords`] if the cache has room for zero records.
    /// - [`BuildError::Gathering`] if the store's [gathering](TokenStore::gathering) has a zero.
    /// - [`BuildError::LastUsedResolution`] if the last-used resolution is more than a day.
    /// - [`BuildError::EventThread`] if the thread for the event sink could not be started.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{BuildError, MemoryStore, TokenService, TokenType};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let refused = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .token_type(TokenType::new("connector", ["files:*"])?)
    ///     .build();
    /// assert!(matches!(refused, Err(BuildError::DuplicateType(name)) if name == "connector"));
    /// # Ok(()) }
    /// ```
    pub fn build(self) -> Result<TokenService<S>, BuildError> {
        let mut prefixes = vec![Prefix::new(&self.prefix)?];
        for accepted in &self.accepted {
            prefixes.push(Prefix::new(accepted)?);
        }
        self.policy.check()?;
        if self.cache.is_some_and(|(_, max_records)| max_records == 0) {
            return Err(BuildError::NoCachedRecords);
        }
        let gathering = self.store.gathering();
        if gathering.is_some_and(|sizes| sizes.max_ids == 0 || sizes.max_calls == 0) {
            return Err(BuildError::Gathering);
        }
        if self.last_used_resolution.is_some_and(|resolution| resolution > MAX_RESOLUTION) {
            return Err(BuildError::LastUsedResolution { max: MAX_RESOLUTION });
        }
        let types = TokenTypes::new(self.types.iter().cloned());
        if types.iter().count() < self.types.len() {
            let duplicate = self.types.iter().enumerate().find(|(i, token_type)| {
                self.types[..*i].iter().any(|earlier| earlier.name() == token_type.name())
            });
            let name = duplicate.map(|(_, token_type)| token_type.name().to_owned());
            return Err(BuildError::DuplicateType(name.unwrap_or_default()));
        }
        for token_type in types.iter() {
            self.policy.for_type(token_type).check().map_err(|source| BuildError::TypeLimits {
                name: token_type.name().to_owned(),
                source,
            })?;
        }
        let mut rules = AccessRules::new(types);
        if let Some(gate) = self.owner_gate {
            rules = rules.owner_gate(gate);
        }
        let import_forms = ImportForms::new(self.import_forms, &prefixes)
            .map_err(|(name, source)| BuildError::ImportForm { name, source })?;
        let events = match self.sink {
            None => Events::Tracing,
            Some(sink) => Events::queued(sink, EVENT_QUEUE, self.clock.clone())
                .map_err(BuildError::EventThread)?,
        };
        let resolution = self.last_used_resolution.filter(|_| self.store.tracks_last_used());
        let cache = self.cache.map(|(max_age, max_records)| Cache::new(max_age, max_records));
        let gathering = gathering.map(|sizes| (sizes, self.clock.clone()));
        let core = Core {
            records: Records::new(self.store, cache, gathering),
            prefixes,
            rules,
            policy: self.policy,
            digests: self.digests,
            import_forms,
            clock: GuardedClock::new(self.clock),
            random: self.random,
            events,
            issue_gate: IssueGate::default(),
            owner_limits: OwnerLimits::default(),
            pending_uses: resolution.map(PendingUses::new),
            overlap_attempts: RecentTimes::new(OVERLAP_ATTEMPTS),
            bulk_suspension: AtomicI64::new(0),
            drafted_revocation: AtomicI64::new(0),
        };
        Ok(TokenService { core: Arc::new(core) })
    }
}

impl<S> fmt::Debug for TokenServiceBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenServiceBuilder")
            .field("prefix", &self.prefix)
            .field("accepted", &self.accepted)
            .field("types", &self.types)
            .field("policy", &self.policy)
            .field("digests", &self.digests)
            .field("import_forms", &self.import_forms)
            .finish_non_exhaustive()
    }
}
