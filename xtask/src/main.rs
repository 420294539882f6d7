//! The commands that people use on this repository.

mod api;
mod models;
mod mutants;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const HELP: &str = "\
cargo xtask COMMAND

  quickstart    run the quickstart example
  test          run the tests of the README
  campaigns     run the long tests as CI does; --long runs each at its full length
  page          run the tests of the Service Tokens page in a browser
  api           compare the public API with the snapshot in api/; --bless writes it
  mutants       break one rule after the other, and check that its test fails; --check only checks
                that the patches in tests/mutants/ still apply; --models is for those of the models
  models        run the models of look-ups and of the cache in many orders of their threads; --long runs more
  ci            run every check
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(|argument| &**argument).collect();
    let outcome = match *arguments {
        ["quickstart"] => {
            cargo(&["run", "-p", "service-tokens", "--example", "quickstart", "--features", "file"])
        }
        ["test"] => cargo(&["test", "--all-features"]),
        ["campaigns"] => run(&mut campaigns()),
        ["campaigns", "--long"] => run(campaigns().env("SERVICE_TOKENS_ORDER_STEPS", "6")),
        ["page"] => run(Command::new("bash").arg(".ci/browser")),
        ["api"] => api::compare(),
        ["api", "--bless"] => api::bless(),
        ["mutants"] => mutants::replay(false),
        ["mutants", "--models"] => mutants::replay(true),
        ["mutants", "--check"] => mutants::check(),
        ["models"] => models::check(false),
        ["models", "--long"] => models::check(true),
        ["ci"] => run(Command::new("bash").arg(".ci/run")),
        [] | ["-h" | "--help" | "help"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(format!("unknown arguments: {arguments:?}\n\n{HELP}").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the command that runs the long tests.
fn campaigns() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--all-features", "--", "--ignored", "campaign"]);
    command
}

/// Runs cargo with these arguments.
fn cargo(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    run(Command::new(env!("CARGO")).args(arguments))
}

/// Runs a command in the root of the workspace.
///
/// # Errors
///
/// The command cannot be started, or it fails.
fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command.current_dir(root()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed with {status}").into()) }
}
