//! Measures durable writes per second, and the limit of the disk itself. A durable write is on the disk when
//! the call returns.

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use service_tokens::{FileStore, RevokeRequest, TokenService, TokenStore};
use tokio::task::LocalSet;

use crate::figure::{Figure, Target};
use crate::paths::scratch;
use crate::poll::ready;
use crate::rounds::median;
use crate::service::{Filled, issue};
use crate::{Plan, size_name};

/// The number of concurrent callers.
const CALLERS: usize = 64;

/// The time of one sync, in microseconds, on the disk for which the targets are defined.
const SYNC: f64 = 100.0;

/// Measures issues and revocations per second, in turn with the floors.
pub fn figures(plan: Plan) -> Vec<Figure> {
    let size = plan.pick(1_000_000, 100_000);
    let rounds = plan.pick(5, 2);
    let slice = Duration::from_millis(plan.pick(700, 200));
    let folder = scratch();
    let journal = folder.path().join("tokens.journal");
    let filled = Filled::new(FileStore::open(&journal).expect("a file store"), size);
    let (service, ids) = (Rc::new(filled.service), Rc::new(RefCell::new(filled.ids)));
    let raw = folder.path().join("raw");

    let (mut issues, mut revocations, mut floors, mut syncs) = (vec![], vec![], vec![], vec![]);
    let mut record = length(&journal) / size;
    for _ in 0..rounds {
        syncs.push(sync_alone(&raw, record));
        floors.push(raw_floor(&raw, record, slice));
        let (before, issued) = (length(&journal), Rc::new(Cell::new(0)));
        let counted = issued.clone();
        let issue = move |service: Rc<TokenService<FileStore>>| {
            counted.set(counted.get() + 1);
            let n = counted.get();
            async move { drop(issue(&service, n).await.expect("an issued token")) }
        };
        issues.push(rate(&service, slice, issue));
        record = (length(&journal) - before) / issued.get();
        let ids = ids.clone();
        revocations.push(rate(&service, slice, move |service: Rc<TokenService<FileStore>>| {
            let id = ids.borrow_mut().pop().expect("enough tokens");
            async move {
                let request = RevokeRequest::new().reason("a benchmark");
                let revoked = service.all_owners().revoke(id, request).await;
                assert!(!revoked.expect("a revoked token").already_revoked);
            }
        }));
    }
    let _ = ready(service.store().close());

    let (issues, revocations) = (median(&mut issues), median(&mut revocations));
    let (floor, sync) = (median(&mut floors), median(&mut syncs));
    let note = format!(
        "fdatasync alone takes {sync:.0} µs (the target is for {SYNC:.0} µs); {record} bytes per record"
    );
    let of = size_name(size);
    vec![
        Figure::new(
            format!("durable: issues per second, {CALLERS} callers, {of} tokens"),
            issues,
            "/s",
            at_least(60_000.0, issues, sync),
        )
        .note(&note),
        Figure::new(
            format!("durable: raw appends per second, {CALLERS} per sync"),
            floor,
            "/s",
            Target::None,
        )
        .note(note),
        Figure::new(
            "durable: issues against the raw floor",
            issues / floor * 100.0,
            "%",
            Target::AtLeast(50.0),
        ),
        Figure::new(
            format!("durable: revocations per second, {CALLERS} callers, {of} tokens"),
            revocations,
            "/s",
            at_least(40_000.0, revocations, sync),
        ),
    ]
}

/// Returns the target. A rate that is too low has no target if the disk is slower than the target assumes.
fn at_least(min: f64, rate: f64, sync: f64) -> Target {
    let slower = sync > SYNC * 1.25;
    if slower && rate < min { Target::None } else { Target::AtLeast(min) }
}

/// Returns operations per second. Each caller starts its next operation when the last one has returned.
fn rate<F, A>(service: &Rc<TokenService<FileStore>>, slice: Duration, operation: A) -> f64
where
    A: FnMut(Rc<TokenService<FileStore>>) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (done, operation) = (Rc::new(Cell::new(0_u32)), Rc::new(RefCell::new(operation)));
    let callers = LocalSet::new();
    let start = Instant::now();
    let caller = |_| {
        let (service, done, operation) = (service.clone(), done.clone(), operation.clone());
        callers.spawn_local(async move {
            while start.elapsed() < slice {
                let next = operation.borrow_mut()(service.clone());
                next.await;
                done.set(done.get() + 1);
            }
        })
    };
    let waiting: Vec<_> = (0..CALLERS).map(caller).collect();
    runtime.block_on(callers.run_until(async {
        for caller in waiting {
            caller.await.expect("a caller that ends");
        }
    }));
    f64::from(done.get()) / start.elapsed().as_secs_f64()
}

/// Returns how many records per second a plain file can append, with one sync for each group.
fn raw_floor(path: &Path, record: usize, slice: Duration) -> f64 {
    let mut file = appending(path);
    let group = vec![0xa5; record * CALLERS];
    let (start, mut done) = (Instant::now(), 0);
    while start.elapsed() < slice {
        file.write_all(&group).and_then(|()| file.sync_data()).expect("a write");
        done += CALLERS;
    }
    done as f64 / start.elapsed().as_secs_f64()
}

/// Returns the median time of one sync after one record, in microseconds.
fn sync_alone(path: &Path, record: usize) -> f64 {
    let mut file = appending(path);
    let sync = |_| {
        file.write_all(&vec![0xa5; record]).expect("a write");
        let start = Instant::now();
        file.sync_data().expect("a sync");
        start.elapsed().as_secs_f64() * 1e6
    };
    let mut times: Vec<f64> = (0..200).map(sync).collect();
    median(&mut times)
}

fn appending(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("a file")
}

fn length(path: &Path) -> usize {
    std::fs::metadata(path).expect("a file").len() as usize
}
