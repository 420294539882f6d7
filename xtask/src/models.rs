//! The models of gathered look-ups and of the cache, under the model checker.

use std::error::Error;
use std::path::Path;
use std::process::Command;

use crate::{root, run};

/// The tests that are models.
const FILTER: &str = "service::gather::tests";

/// The number of orders of each model in the long form.
const LONG: &str = "20000";

/// Runs the models. Their build has a target folder of its own, because it is a build of every dependency
/// with another flag.
///
/// # Errors
///
/// A model fails, or the build does.
pub(crate) fn check(long: bool) -> Result<(), Box<dyn Error>> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    let mut cargo = Command::new(env!("CARGO"));
    configure(&mut cargo, &target.join("models")).arg(FILTER);
    if long {
        // Each model runs twenty thousand times. In the short form, optimizing costs more than it saves.
        cargo.env("SERVICE_TOKENS_MODEL_RUNS", LONG).env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
    }
    run(&mut cargo)
}

/// Adds the arguments and the environment of a build with the model checker.
pub(crate) fn configure<'c>(cargo: &'c mut Command, target: &Path) -> &'c mut Command {
    cargo.env("CARGO_TARGET_DIR", target).env("RUSTFLAGS", "--cfg shuttle").args([
        "test",
        "-p",
        "service-tokens",
        "--lib",
    ])
}
