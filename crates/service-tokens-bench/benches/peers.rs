//! Measures the cost of verifying a token, in one run with the floor and other token libraries.
//!
//! `cargo bench -p service-tokens-bench --bench peers` runs it.
//!
//! It prints a table, and writes `peers.json` (the table) and `peers-figures.json` (all other figures, with
//! their targets) into the target folder of the workspace.
//!
//! | after `--` | |
//! | --- | --- |
//! | `verify` `threads` `memory` `pauses` `durable` `opening` `compaction` `page` | measures only these parts |
//! | `--short` | uses small sizes, few rounds and other file names (`peers-short…`), to show that it works |
//! | `--picture` | draws the table into `crates/service-tokens-bench/peers.svg` |
//!
//! A full run takes some minutes, 8 GB of memory and 2 GB of disk.

use std::path::Path;

use service_tokens_bench::figure::{Figure, of_rows};
use service_tokens_bench::{
    Plan, child, compaction, durable, json, memory, open, page, paths, pauses, svg, table, threads,
    verify,
};

/// The name of a part and the function that measures it.
type Part = (&'static str, fn(Plan) -> Vec<Figure>);

const PARTS: [Part; 7] = [
    ("threads", threads::figures),
    ("memory", memory::figures),
    ("pauses", pauses::figures),
    ("durable", durable::figures),
    ("opening", open::figures),
    ("compaction", compaction::figures),
    ("page", page::figures),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [child::ARGUMENT, memory::CHILD, size] => memory::child(count(size)),
        [child::ARGUMENT, pauses::CHILD, size] => pauses::child(count(size)),
        [child::ARGUMENT, open::CHILD, journal] => open::child(journal),
        _ if arguments.contains(&"--bench") => bench(&arguments),
        _ => println!("run this program with `cargo bench -p service-tokens-bench`"),
    }
}

fn count(text: &str) -> usize {
    text.parse().expect("a number")
}

fn bench(arguments: &[&str]) {
    let (mut plan, mut picture, mut wanted) = (Plan { short: false }, false, Vec::new());
    for &argument in arguments {
        match argument {
            "--bench" => {}
            "--short" => plan.short = true,
            "--picture" => picture = true,
            part if part == "verify" || PARTS.iter().any(|(name, _)| *name == part) => {
                wanted.push(part);
            }
            other => {
                eprintln!("unknown argument: {other}");
                std::process::exit(2);
            }
        }
    }
    let wanted = |part: &str| wanted.is_empty() || wanted.contains(&part);
    println!("{}\n{}\n", table::versions(), table::machine());

    let (target, name) = (paths::target(), plan.pick("peers", "peers-short"));
    let mut figures = Vec::new();
    if wanted("verify") {
        let rows = verify::rows(plan);
        println!("{}", table::rows(&rows));
        let path = target.join(format!("{name}.json"));
        json::write_rows(&path, &rows);
        println!("written: {}\n", path.display());
        if picture {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers.svg");
            let picture = svg::picture(&rows, &table::machine(), &table::versions());
            std::fs::write(&path, picture).expect("a picture");
            println!("written: {}\n", path.display());
        }
        figures.extend(of_rows(&rows));
        println!("{}", table::figures(&figures));
    }
    for (part, measure) in PARTS.into_iter().filter(|(part, _)| wanted(part)) {
        let measured = measure(plan);
        assert!(!measured.is_empty(), "{part} measured nothing");
        println!("{}", table::figures(&measured));
        figures.extend(measured);
    }
    let path = target.join(format!("{name}-figures.json"));
    json::write_figures(&path, &figures);
    println!("written: {}", path.display());
    let missed = figures.iter().filter(|figure| figure.met() == Some(false)).count();
    if missed > 0 {
        println!("{missed} of {} figures miss their targets", figures.len());
    }
}
