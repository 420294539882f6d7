//! How long a journal takes to open, after a clean end and after none.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use service_tokens::FileStore;
use service_tokens::file::FileStoreOptions;

use crate::child::{numbers, start, tell};
use crate::figure::{Asked, Figure};
use crate::place::scratch;
use crate::poll::{all, ready};
use crate::rounds::median;
use crate::service::{Filled, issue, service};
use crate::{Plan, size_name};

/// The name of the child's part.
pub const CHILD: &str = "opening";

/// Acts that are under way when the child is killed.
const UNDER_WAY: usize = 64;

/// Opens the same file again and again.
pub fn figures(plan: Plan) -> Vec<Figure> {
    let size = plan.pick(1_000_000, 20_000);
    let folder = scratch();
    let journal = folder.path().join("tokens.journal");
    let filled = Filled::new(FileStore::open(&journal).expect("a file store"), size);
    ready(filled.service.store().close());
    drop(filled);

    let (mut clean, mut killed, mut calls) = (Vec::new(), Vec::new(), 0);
    for _ in 0..plan.pick(5, 2) {
        clean.push(open(&journal, size, &mut calls));
    }
    for _ in 0..plan.pick(3, 1) {
        kill_writer(&journal);
        killed.push(open(&journal, size, &mut calls));
    }
    let bytes = std::fs::metadata(&journal).expect("the file").len();
    let note = format!("a file of {:.0} MB; progress told {calls} times", bytes as f64 / 1e6);
    let figure = |how: &str, times: &mut [f64]| {
        let name = format!("opening: {} records {how}", size_name(size));
        Figure::new(name, median(times), "s", Asked::AtMost(1.5)).note(&note)
    };
    vec![figure("closed cleanly", &mut clean), figure("after SIGKILL", &mut killed)]
}

fn open(journal: &Path, size: usize, calls: &mut usize) -> f64 {
    let told = Arc::new(AtomicUsize::new(0));
    let counted = told.clone();
    let options = FileStoreOptions::new().on_progress(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let start = Instant::now();
    let store = options.open(journal).expect("a file store");
    let took = start.elapsed().as_secs_f64();
    assert!(store.opening().records >= size, "all records are there");
    *calls = told.load(Ordering::Relaxed);
    ready(store.close());
    took
}

/// Lets another process write to the file and kills it while it does.
fn kill_writer(journal: &Path) {
    let mut writer = start(&[CHILD, journal.to_str().expect("a path in UTF-8")]);
    numbers(&mut writer);
    writer.kill().and_then(|()| writer.wait()).expect("a killed child");
}

/// The child: writes until it is killed.
pub fn child(journal: &str) {
    let service = service(FileStore::open(journal).expect("a file store"));
    for round in 0.. {
        for issued in all((0..UNDER_WAY).map(|n| issue(&service, n))) {
            drop(issued.expect("an issued token"));
        }
        if round == 10 {
            tell(&[0.0]);
        }
    }
}
