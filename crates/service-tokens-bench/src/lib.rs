//! Measures the cost of verifying a token with the service, the floor and other libraries (the peers).
//!
//! The floor is the least work that a verification needs (see [`floor`]).
//!
//! `cargo bench -p service-tokens-bench` measures everything. `benches/peers.rs` describes the arguments.
//! The functions panic if a step fails, because a figure after a failed step would be wrong.

pub mod biscuit;
pub mod child;
pub mod compaction;
pub mod durable;
pub mod features;
pub mod figure;
pub mod floor;
pub mod json;
pub mod jwt;
pub mod memory;
pub mod open;
pub mod page;
pub mod paseto;
pub mod paths;
pub mod pauses;
pub mod poll;
pub mod prefixed;
pub mod raw_replay;
pub mod rounds;
pub mod service;
pub mod stopwatch;
pub mod svg;
pub mod table;
pub mod threads;
pub mod tokens;
pub mod verify;

/// The amount of work of one run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Whether sizes are small and rounds are few. Such a run shows that everything works, but its figures
    /// are not exact.
    pub short: bool,
}

impl Plan {
    /// Returns the value for this plan.
    pub fn pick<T>(&self, full: T, short: T) -> T {
        if self.short { short } else { full }
    }
}

/// Returns a number of tokens in short form, such as `1k` or `1m`.
pub fn size_name(size: usize) -> String {
    match size {
        n if n >= 1_000_000 && n % 1_000_000 == 0 => format!("{}m", n / 1_000_000),
        n if n >= 1_000 && n % 1_000 == 0 => format!("{}k", n / 1_000),
        n => n.to_string(),
    }
}
