//! Measures how long a journal takes to open, after a clean close and after SIGKILL, in turn with a raw replay
//! of the same file.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use service_tokens::file::FileStoreOptions;
use service_tokens::{FileStore, TokenStore};

use crate::child::{numbers, print_numbers, start};
use crate::figure::{Figure, Target};
use crate::paths::scratch;
use crate::poll::{all, ready};
use crate::raw_replay::raw_replay;
use crate::rounds::median;
use crate::service::{Filled, issue, service};
use crate::{Plan, size_name};

/// The argument that selects this measurement in the child process.
pub const CHILD: &str = "opening";

/// The number of writes that are pending when the child is killed.
const PENDING: usize = 64;

/// Measures several openings of the same file.
pub fn figures(plan: Plan) -> Vec<Figure> {
    let size = plan.pick(1_000_000, 20_000);
    let folder = scratch();
    let journal = folder.path().join("tokens.journal");
    let filled = Filled::new(FileStore::open(&journal).expect("a file store"), size);
    let _ = ready(filled.service.store().close());
    drop(filled);

    let (mut clean, mut killed, mut raw, mut calls) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..plan.pick(5, 2) {
        raw.push(replay(&journal, size));
        clean.push(open(&journal, size, &mut calls));
    }
    for _ in 0..plan.pick(3, 1) {
        kill_writer(&journal);
        killed.push(open(&journal, size, &mut calls));
    }
    let bytes = std::fs::metadata(&journal).expect("the file").len();
    let note =
        format!("a file of {:.0} MB; progress was reported {calls} times", bytes as f64 / 1e6);
    let figure = |how: &str, times: &mut [f64]| {
        let name = format!("opening: {} records {how}", size_name(size));
        Figure::new(name, median(times), "s", Target::AtMost(1.5)).note(&note)
    };
    let clean_figure = figure("closed cleanly", &mut clean);
    let raw = median(&mut raw);
    let over_raw = clean_figure.measured / raw;
    vec![
        clean_figure,
        figure("after SIGKILL", &mut killed),
        Figure::new("opening: raw replay", raw, "s", Target::None)
            .note("the same file; no record is decoded"),
        Figure::new("opening: closed cleanly / raw replay", over_raw, "times", Target::AtMost(3.0)),
    ]
}

fn replay(journal: &Path, size: usize) -> f64 {
    let start = Instant::now();
    let ids = raw_replay(journal);
    let took = start.elapsed().as_secs_f64();
    assert!(ids >= size, "all records are there");
    took
}

fn open(journal: &Path, size: usize, calls: &mut usize) -> f64 {
    let reports = Arc::new(AtomicUsize::new(0));
    let counted = reports.clone();
    let options = FileStoreOptions::new().on_progress(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let start = Instant::now();
    let store = options.open(journal).expect("a file store");
    let took = start.elapsed().as_secs_f64();
    assert!(store.open_report().records >= size, "all records are there");
    *calls = reports.load(Ordering::Relaxed);
    let _ = ready(store.close());
    took
}

/// Starts a process that writes to the file, and kills it during the writes.
fn kill_writer(journal: &Path) {
    let mut writer = start(&[CHILD, journal.to_str().expect("a path in UTF-8")]);
    numbers(&mut writer);
    writer.kill().and_then(|()| writer.wait()).expect("a killed child");
}

/// Writes until the parent kills this process. It runs in the child process.
pub fn child(journal: &str) {
    let service = service(FileStore::open(journal).expect("a file store"));
    for round in 0.. {
        for issued in all((0..PENDING).map(|n| issue(&service, n))) {
            drop(issued.expect("an issued token"));
        }
        if round == 10 {
            print_numbers(&[0.0]);
        }
    }
}
