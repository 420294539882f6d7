//! The snapshot of the public API: one text file for each library package, one line for each item.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::{root, run};

const PACKAGES: [&str; 2] = ["service-tokens", "service-tokens-axum"];

/// Differences that are printed for each package.
const MAX_LINES: usize = 40;

fn snapshot(package: &str) -> PathBuf {
    root().join("api").join(format!("{package}.txt"))
}

/// Compares the public API with the snapshot.
///
/// # Errors
///
/// An item was added, removed or changed, or rustdoc fails.
pub(crate) fn compare() -> Result<(), Box<dyn Error>> {
    let mut differs = false;
    for package in PACKAGES {
        let (recorded, present) = (fs::read_to_string(snapshot(package))?, present(package)?);
        let missing = |from: &str, other: &str, sign: char| -> Vec<String> {
            let other: std::collections::HashSet<_> = other.lines().collect();
            let lines = from.lines().filter(|line| !other.contains(line));
            lines.map(|line| format!("{sign} {line}")).collect()
        };
        let mut changes = missing(&recorded, &present, '-');
        changes.extend(missing(&present, &recorded, '+'));
        println!("{package}: {} items, {} differences", present.lines().count(), changes.len());
        changes.iter().take(MAX_LINES).for_each(|line| println!("{line}"));
        differs |= recorded != present;
    }
    if differs {
        return Err("the public API differs from api/: run `cargo xtask api --bless`, and review \
                    the difference in the same commit"
            .into());
    }
    Ok(())
}

/// Writes the snapshot.
///
/// # Errors
///
/// rustdoc fails, or a file cannot be written.
pub(crate) fn bless() -> Result<(), Box<dyn Error>> {
    for package in PACKAGES {
        fs::write(snapshot(package), present(package)?)?;
    }
    Ok(())
}

/// Returns the public API of a package with all its features.
fn present(package: &str) -> Result<String, Box<dyn Error>> {
    // rustdoc's JSON is unstable: the variable lets the stable compiler write it. Build scripts look at
    // the variable, so a target folder of its own saves the other builds from starting again.
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| root().join("target")).join("unstable");
    run(Command::new(env!("CARGO"))
        .args(["rustdoc", "--quiet", "--locked", "--lib", "--all-features", "-p", package, "--"])
        .args(["-Z", "unstable-options", "--output-format", "json", "--cap-lints", "allow"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", &target))?;
    let json = target.join("doc").join(format!("{}.json", package.replace('-', "_")));
    // Blanket and automatic implementations repeat for each type, and say nothing that is ours.
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    Ok(api.to_string())
}
