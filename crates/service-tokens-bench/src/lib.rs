//! What verifying a token costs: the service, the floor under it, and what one could pick instead.
//!
//! `cargo bench -p service-tokens-bench` measures everything; `crates/service-tokens-bench.rs` says what else it takes. Benches may
//! panic: a figure that rests on a failed step is worse than none.

pub mod biscuit;
pub mod child;
pub mod durable;
pub mod figure;
pub mod floor;
pub mod json;
pub mod jwt;
pub mod memory;
pub mod opening;
pub mod page;
pub mod paseto;
pub mod pauses;
pub mod place;
pub mod poll;
pub mod prefixed;
pub mod rounds;
pub mod service;
pub mod stopwatch;
pub mod svg;
pub mod table;
pub mod threads;
pub mod tokens;
pub mod verify;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Small sizes and few rounds: shows that everything runs, and little about its cost.
    pub short: bool,
}

impl Plan {
    /// One of two values.
    pub fn pick<T>(&self, full: T, short: T) -> T {
        if self.short { short } else { full }
    }
}

/// A number of tokens as the rows call it.
pub fn size_name(size: usize) -> String {
    match size {
        n if n >= 1_000_000 && n % 1_000_000 == 0 => format!("{}m", n / 1_000_000),
        n if n >= 1_000 && n % 1_000 == 0 => format!("{}k", n / 1_000),
        n => n.to_string(),
    }
}
