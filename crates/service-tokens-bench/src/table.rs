//! Formats the table, the figures, the versions and the machine for people.

use std::fmt::Write;

use chrono::DateTime;

use crate::figure::{Figure, Target};
use crate::rounds::Measured;

const LOCKFILE: &str = include_str!("../../../Cargo.lock");

/// The packages whose versions are printed.
const PEERS: [&str; 7] = [
    "service-tokens",
    "jsonwebtoken",
    "aws-lc-rs",
    "pasetors",
    "prefixed-api-key",
    "biscuit-auth",
    "hashbrown",
];

/// Returns the table of medians and ratios.
pub fn rows(rows: &[Measured]) -> String {
    let mut table = format!("{:24} {:>12} {:>12}\n", "", "ns (median)", "to its floor");
    for row in rows {
        let _ = writeln!(table, "{:24} {:>12.1} {:>12.2}", row.name, row.ns, row.ratio_to_floor);
    }
    table
}

/// Returns the table of figures and targets.
pub fn figures(figures: &[Figure]) -> String {
    let widest = figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or(0);
    let mut table = String::new();
    for figure in figures {
        let verdict = match figure.met() {
            None => "",
            Some(true) => "met",
            Some(false) => "NOT MET",
        };
        let measured = format!("{} {}", number(figure.measured), figure.unit);
        let target = target(figure);
        let line = format!("{:widest$}  {measured:>16}  {target:18} {verdict:8}", figure.name);
        let _ = writeln!(table, "{}{}", line, figure.note);
    }
    table
}

/// Returns the target of a figure in words.
pub fn target(figure: &Figure) -> String {
    match figure.target {
        Target::AtMost(max) => format!("at most {}", number(max)),
        Target::AtLeast(min) => format!("at least {}", number(min)),
        Target::None => String::new(),
    }
}

/// Returns a number with three significant digits, and without a fraction from 100 on.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Returns the versions of the compared packages, from the lockfile.
pub fn versions() -> String {
    let version = |name: &str| {
        let entry = LOCKFILE
            .split("\n[[package]]\n")
            .find_map(|entry| entry.strip_prefix(&format!("name = \"{name}\"\nversion = \"")));
        let version = entry.and_then(|entry| entry.split('"').next()).unwrap_or("?");
        format!("{name} {version}")
    };
    PEERS.map(version).join(", ")
}

/// Returns the processor, the number of cores and the date.
pub fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("an unknown processor", |line| line.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let since = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let today = DateTime::from_timestamp(since.cast_signed(), 0).unwrap_or_default();
    format!("{model}, {cores} cores, {}", today.format("%Y-%m-%d"))
}
