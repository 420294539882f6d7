//! Models of gathered look-ups and of the cache, on threads whose order the model checker chooses.
//!
//! `cargo xtask models` runs them. Each model runs many times, with another order each time. A look-up that is
//! never woken is found as a deadlock.

mod cached;
mod look_ups;
mod network;

use std::sync::Arc;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

use crate::store::Gathering;
use network::Network;

/// The number of orders of each model, unless the environment variable has another one.
const RUNS: usize = 500;

/// The sizes of the models, as the number of ids and of calls.
const SIZES: [(usize, usize); 4] = [(1, 1), (2, 1), (1, 2), (2, 2)];

/// Runs a model with orders that are chosen at random, and with orders that have few changes of the thread.
/// The orders are the same each time, except in the long form.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let runs = std::env::var("SERVICE_TOKENS_MODEL_RUNS").ok().and_then(|runs| runs.parse().ok());
    let model = Arc::new(model);
    let seed = if runs.is_some() { std::process::id().into() } else { 1 };
    let runs = runs.unwrap_or(RUNS);
    run(RandomScheduler::new_from_seed(seed, runs), &model);
    run(PctScheduler::new_from_seed(seed, 3, runs), &model);
}

fn run(scheduler: impl Scheduler + 'static, model: &Arc<impl Fn() + Send + Sync + 'static>) {
    let mut config = Config::default();
    // Without optimization, the futures of a verification need more than the default of 32 KiB.
    config.stack_size = 0x4_0000;
    let model = model.clone();
    Runner::new(scheduler, config).run(move || model());
}

/// Runs a model with each of the sizes.
fn check_sizes(model: impl Fn(Arc<Network>) + Copy + Send + Sync + 'static) {
    for (max_ids, max_calls) in SIZES {
        check(move || model(Network::new(Some(Gathering::new(max_ids, max_calls)))));
    }
}
