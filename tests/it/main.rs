//! The integration tests, in one program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(feature = "memory")]
#[path = "../behaviour/mod.rs"]
mod behaviour;
#[cfg(feature = "memory")]
mod cache;
#[cfg(all(feature = "conformance", feature = "memory"))]
mod conformance_doubles;
#[cfg(all(feature = "conformance", feature = "file"))]
mod conformance_file;
#[cfg(all(feature = "conformance", feature = "memory"))]
mod conformance_memory;
#[cfg(all(feature = "conformance", feature = "memory"))]
mod conformance_runtime;
#[cfg(feature = "memory")]
mod doubles;
#[cfg(feature = "memory")]
mod event_flood_times;
#[cfg(feature = "memory")]
mod event_floods;
#[cfg(feature = "memory")]
mod event_sinks;
#[cfg(feature = "file")]
mod golden;
#[cfg(feature = "memory")]
mod hostile_text;
#[cfg(feature = "memory")]
mod import_overlap;
#[cfg(all(unix, feature = "memory", feature = "file"))]
mod killed;
#[cfg(feature = "memory")]
mod networked_double;
#[cfg(all(feature = "conformance", feature = "memory"))]
mod planted_faults;
#[cfg(feature = "memory")]
mod policy;
#[cfg(feature = "memory")]
mod revoke;
#[cfg(all(unix, feature = "memory", feature = "file"))]
mod revoke_all_killed;
mod scanner;
mod scopes;
#[cfg(feature = "memory")]
mod secrets;
#[cfg(feature = "memory")]
mod store_pointers;
#[cfg(feature = "memory")]
mod stores;
#[cfg(all(unix, feature = "memory", feature = "file"))]
mod suspend_all_killed;
mod token_grammar;

#[cfg(feature = "memory")]
behaviour::behaviour_tests!(memory, stores::Memory);
#[cfg(all(feature = "memory", feature = "file"))]
behaviour::behaviour_tests!(file, stores::File);
