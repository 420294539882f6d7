//! The manual explains each subject on a page. The reference of each item has the details.
//!
//! | page | contents |
//! | --- | --- |
//! | [The token format](token_format) | the parts of a token and their reasons; a parser in another language; secret scanners |
//! | [The life of a token](life) | states, verifying, expiry and its notices, rotation, last use, purge, events, and the effect of clocks |
//! | [Scopes and types](scopes_and_types) | scopes and requirements; types; reserved scopes; tokens that issue tokens |
//! | [What belongs where](what_belongs_where) | whether a fact is owner, type, scope, network, metadata, prefix or event, or belongs outside |
//! | [Choosing a store](choosing_a_store) | a store in memory, in a file or of your own; several nodes; one transaction with your own rows; backups; the cache of records |
//! | [Writing a store](writing_a_store) | a store over a database table, from the schema to the conformance suite |
//! | [Rotation and incidents](rotation_and_incidents) | instructions to follow step by step, also in the middle of the night |
//! | [Keys and digests](keys_and_digests) | the stored form of a secret, and the life of a key ring |
//! | [Bringing existing keys](bringing_existing_keys) | keys of an older system: plain, keyed, salted and slow hashes, and the way to native tokens |
//! | [Defaults](defaults) | every default and limit, its reason, and how to change it |
//! | [Measurements](measured) | targets and figures, and how to repeat the measurements |
//!
//! # Find a word
//!
//! | word | see |
//! | --- | --- |
//! | account, tenant, multi-tenant, project | [Multi-tenant services](what_belongs_where#multi-tenant-services) |
//! | actix, hyper, poem, Rocket, warp | [Any framework](life#from-actix-web-poem-hyper-or-any-other-framework) |
//! | allow list, IP address | [Where a token may be used from](what_belongs_where#where-a-token-may-be-used-from) |
//! | atomic, draft, one transaction, outbox | [In your own transaction](choosing_a_store#in-your-own-transaction) |
//! | audit | [An audit log](life#an-audit-log) |
//! | backup, restore | [Backups](choosing_a_store#backups) |
//! | batch, many look-ups, throughput of a database | [Many look-ups in one call](choosing_a_store#many-look-ups-in-one-call) |
//! | cached copy, polling, stale | [Caching](choosing_a_store#caching-the-records-of-a-remote-store) |
//! | cluster, replicas, several nodes | [Several nodes](choosing_a_store#several-nodes) |
//! | credits, quota, rate limit | [Rate limits and credits](what_belongs_where#rate-limits-and-credits) |
//! | custom fields, labels, metadata, tags | [Notes about a token](what_belongs_where#notes-about-a-token) |
//! | expires soon, notification, reminder | [Expiry notices](life#expiry-notices) |
//! | grace period, overlap | [Rotation](life#rotation) |
//! | leak, incident | [Rotation and incidents](rotation_and_incidents) |
//! | metrics, Prometheus | [Metrics](life#metrics) |
//! | migrate to another store | [Choosing a store](choosing_a_store#comparison) |
//! | permission, role | [Permissions](what_belongs_where#permissions), [Scopes and types](scopes_and_types) |
//! | production and test, environment, stage | [Environment](what_belongs_where#environment) |
//! | retention | [Purge and retention](life#purge-and-retention) |
//! | secret scanning | [The token format](token_format) |
#![cfg_attr(
    not(all(feature = "memory", feature = "file", feature = "conformance")),
    allow(rustdoc::broken_intra_doc_links)
)]

/// Declares one module per page. The documentation of the module is the Markdown file of the page.
macro_rules! pages {
    ($($page:ident $file:literal)+) => {
        $(
            #[doc = include_str!($file)]
            pub mod $page {}
        )+
    };
}

pages! {
    token_format "manual/token_format.md"
    life "manual/life.md"
    scopes_and_types "manual/scopes_and_types.md"
    what_belongs_where "manual/what_belongs_where.md"
    choosing_a_store "manual/choosing_a_store.md"
    rotation_and_incidents "manual/rotation_and_incidents.md"
    keys_and_digests "manual/keys_and_digests.md"
    bringing_existing_keys "manual/bringing_existing_keys.md"
    defaults "manual/defaults.md"
    measured "manual/measured.md"
}

#[doc = include_str!("manual/writing_a_store.md")]
/// # The store over PostgreSQL
///
/// `examples/postgres_store/store.rs`:
///
/// ```ignore
#[doc = include_str!("../examples/postgres_store/store.rs")]
/// ```
///
/// `examples/postgres_store/feed.rs`:
///
/// ```ignore
#[doc = include_str!("../examples/postgres_store/feed.rs")]
/// ```
pub mod writing_a_store {}
