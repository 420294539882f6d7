//! The behaviour of the service over any store.
//!
//! One line runs all of it over one more store, in this package or in another one:
//!
//! ```ignore
//! #[allow(dead_code, unused_imports, reason = "some helpers serve the root package only")]
//! #[path = "../../../tests/behaviour/mod.rs"]
//! mod behaviour;
//!
//! behaviour::behaviour_tests!(postgres, Postgres);
//! ```
//!
//! Here `Postgres` implements [`harness::Factory`]. The module must be at the root of its test crate and be
//! called `behaviour`. The crate needs the development dependencies of this package and the feature `memory`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// Declares tests, each an `async fn(Stores)`, for [`behaviour_tests`] to instantiate for a store.
macro_rules! behaviours {
    ($($(#[$attribute:meta])* $test:ident),+ $(,)?) => {
        behaviours!(@declare ($) $($(#[$attribute])* $test),+);
    };
    (@declare ($d:tt) $($(#[$attribute:meta])* $test:ident),+) => {
        macro_rules! instantiate {
            ($d module:ident) => {
                $(
                    #[test]
                    $(#[$attribute])*
                    fn $test() {
                        let stores = super::stores();
                        stores.run(Box::pin($d crate::behaviour::$d module::$test(stores)));
                    }
                )+
            };
        }
        pub(crate) use instantiate;
    };
}

pub(crate) mod amend;
pub(crate) mod amend_races;
pub(crate) mod authorize;
pub(crate) mod bulk_calls;
pub(crate) mod bulk_model;
pub(crate) mod cache;
pub(crate) mod cache_sharing;
pub(crate) mod check_cached;
pub(crate) mod client_times;
pub(crate) mod clock;
pub(crate) mod conflicts;
pub(crate) mod count;
pub(crate) mod count_calls;
pub(crate) mod drafts;
pub(crate) mod drafts_on_behalf;
pub(crate) mod drafts_orders;
pub(crate) mod drafts_revoke;
pub(crate) mod drafts_revoke_orders;
pub(crate) mod end_older_secret;
pub(crate) mod events;
pub(crate) mod expiry_notices;
pub(crate) mod expiry_notices_model;
pub(crate) mod expiry_notices_refused;
pub(crate) mod filters;
pub(crate) mod first_use;
pub(crate) mod first_use_faults;
pub(crate) mod first_use_races;
pub(crate) mod gathered;
pub(crate) mod gathered_failures;
pub(crate) mod harness;
pub(crate) mod hostile_text;
pub(crate) mod import;
pub(crate) mod import_forms;
pub(crate) mod imported_life;
pub(crate) mod issue_again;
pub(crate) mod keys;
pub(crate) mod last_used;
pub(crate) mod last_used_flush;
pub(crate) mod life_model;
pub(crate) mod limits;
pub(crate) mod lost_answers;
pub(crate) mod networks;
pub(crate) mod no_escalation;
pub(crate) mod on_behalf;
pub(crate) mod on_behalf_bounds;
pub(crate) mod on_behalf_caller;
pub(crate) mod on_behalf_older_secret;
pub(crate) mod on_behalf_races;
pub(crate) mod on_behalf_self;
pub(crate) mod owner_gate;
pub(crate) mod owner_limit;
pub(crate) mod owner_limit_clock;
pub(crate) mod owner_views;
pub(crate) mod pause_issuing;
pub(crate) mod purge;
pub(crate) mod reopen;
pub(crate) mod report_leak;
pub(crate) mod report_leak_descendants;
pub(crate) mod report_leak_rotated_itself;
pub(crate) mod report_leak_surroundings;
pub(crate) mod revoke_all;
pub(crate) mod revoke_all_interrupted;
pub(crate) mod revoke_contended;
pub(crate) mod revoke_presented;
pub(crate) mod revoke_with_descendants;
pub(crate) mod rotate_conditional;
pub(crate) mod several_suspensions;
pub(crate) mod shut_down;
pub(crate) mod still_active;
pub(crate) mod suspend;
pub(crate) mod suspend_all;
pub(crate) mod suspend_counted_once;
pub(crate) mod suspend_races;
pub(crate) mod time_limits;
pub(crate) mod times;
pub(crate) mod type_limits;
pub(crate) mod uncached;
pub(crate) mod use_model;
pub(crate) mod visible_text;

/// Makes the macro that instantiates the tests of these modules for a store.
macro_rules! behaviour_modules {
    (($d:tt) $($module:ident),+ $(,)?) => {
        /// Runs every behaviour test over the stores of a factory, in a module of this name.
        macro_rules! behaviour_tests {
            ($d name:ident, $d factory:expr) => {
                mod $d name {
                    use super::*;

                    fn stores() -> $d crate::behaviour::harness::Stores {
                        &$d factory
                    }

                    $(
                        mod $module {
                            $d crate::behaviour::$module::instantiate!($module);
                        }
                    )+
                }
            };
        }
        pub(crate) use behaviour_tests;
    };
}

behaviour_modules! {
    ($)
    amend,
    amend_races,
    authorize,
    bulk_calls,
    bulk_model,
    cache,
    cache_sharing,
    check_cached,
    client_times,
    clock,
    conflicts,
    count,
    drafts,
    drafts_on_behalf,
    drafts_orders,
    drafts_revoke,
    drafts_revoke_orders,
    count_calls,
    end_older_secret,
    events,
    filters,
    expiry_notices,
    expiry_notices_model,
    expiry_notices_refused,
    first_use,
    first_use_faults,
    first_use_races,
    gathered,
    gathered_failures,
    hostile_text,
    import,
    import_forms,
    imported_life,
    issue_again,
    keys,
    last_used,
    last_used_flush,
    life_model,
    limits,
    lost_answers,
    networks,
    no_escalation,
    on_behalf,
    on_behalf_bounds,
    on_behalf_caller,
    on_behalf_older_secret,
    on_behalf_races,
    on_behalf_self,
    owner_gate,
    owner_limit,
    owner_limit_clock,
    owner_views,
    pause_issuing,
    purge,
    reopen,
    report_leak,
    report_leak_descendants,
    report_leak_rotated_itself,
    report_leak_surroundings,
    revoke_all,
    revoke_all_interrupted,
    revoke_contended,
    revoke_presented,
    revoke_with_descendants,
    rotate_conditional,
    several_suspensions,
    still_active,
    suspend,
    suspend_all,
    suspend_counted_once,
    suspend_races,
    time_limits,
    times,
    type_limits,
    shut_down,
    uncached,
    use_model,
    visible_text,
}
