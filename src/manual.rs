//! The manual: pages to be read, beside the reference of each item.
//!
//! | page | |
//! | --- | --- |
//! | [The token format](token_format) | what stands where in a token, and why; a parser in another language; secret scanners |
//! | [The life of a token](life) | states, expiry, rotation, last use, purge, events, and what clocks do to them |
//! | [Scopes and types](scopes_and_types) | what permits what; reserved scopes; tokens that issue tokens |
//! | [Choosing a store](choosing_a_store) | memory, file or your own; backups; keeping records |
//! | [Writing a store](writing_a_store) | from the schema to the conformance suite, over a database table |
//! | [Rotation and incidents](rotation_and_incidents) | step by step, for two in the morning |
//! | [Keys and digests](keys_and_digests) | what is stored of a secret, and the life of a key ring |
//! | [Defaults](defaults) | every default and limit, its reason, and how to change it |
//! | [What is measured](measured) | targets and figures, and how to repeat them |
#![cfg_attr(
    not(all(feature = "memory", feature = "file", feature = "conformance")),
    allow(rustdoc::broken_intra_doc_links)
)]

/// A page is its Markdown file.
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
    choosing_a_store "manual/choosing_a_store.md"
    writing_a_store "manual/writing_a_store.md"
    rotation_and_incidents "manual/rotation_and_incidents.md"
    keys_and_digests "manual/keys_and_digests.md"
    defaults "manual/defaults.md"
    measured "manual/measured.md"
}
