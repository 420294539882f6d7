//! Figures, by `cargo test --release --features file file::tests::measure -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::Instant;

use super::*;
use crate::store::{ListRequest, TokenStore};

fn report(what: &str, count: u64, began: Instant) {
    let took = began.elapsed();
    print_line(&format!(
        "{what}: {count} in {took:.2?}, {:.0}/s",
        count as f64 / took.as_secs_f64()
    ));
}

#[expect(clippy::print_stderr, reason = "a measurement is there to be read")]
fn print_line(line: &str) {
    eprintln!("{line}");
}

#[test]
#[ignore = "a measurement"]
fn measure_throughput() {
    let place = Place::new();
    let store = Arc::new(place.open());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for waiting in [1, 64, 256] {
        let each = if waiting == 1 { 2_000 } else { 200_000 / waiting };
        let base = waiting * 10_000_000;
        let began = Instant::now();
        let tasks: Vec<_> = (0..waiting)
            .map(|task| {
                let store = store.clone();
                runtime.spawn(async move {
                    for n in 0..each {
                        store.insert(&record(base + n * waiting + task)).await.unwrap();
                    }
                })
            })
            .collect();
        block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        report(&format!("durable inserts, {waiting} waiting"), waiting * each, began);
        let began = Instant::now();
        let tasks: Vec<_> = (0..waiting)
            .map(|task| {
                let store = store.clone();
                runtime.spawn(async move {
                    for n in 0..each {
                        let id = id(base + n * waiting + task);
                        let stored = store.find(id).await.unwrap().unwrap();
                        store.replace(&revoked(&stored.record), stored.version).await.unwrap();
                    }
                })
            })
            .collect();
        block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        report(&format!("durable revocations, {waiting} waiting"), waiting * each, began);
    }
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(place.directory.path().join("sync"))
        .unwrap();
    let began = Instant::now();
    for _ in 0..1_000 {
        std::io::Write::write_all(&mut file, &[1; 300]).unwrap();
        file.sync_data().unwrap();
    }
    report("bare appends and syncs of 300 bytes", 1_000, began);
}

#[test]
#[ignore = "a measurement"]
fn measure_a_million_records() {
    const COUNT: u64 = 1_000_000;
    let place = Place::new();
    let store = place.open();
    let began = Instant::now();
    block_on(async {
        for thousand in 0..COUNT / 1_000 {
            let records: Vec<_> = (0..1_000).map(|n| record(thousand * 1_000 + n)).collect();
            let mut waiting = Vec::new();
            for record in &records {
                let mut insert = store.insert(record);
                if futures_lite::future::poll_once(&mut insert).await.is_none() {
                    waiting.push(insert);
                }
            }
            for insert in waiting {
                insert.await.unwrap();
            }
        }
    });
    report("inserts by one task, 1,000 at once", COUNT, began);
    let began = Instant::now();
    for n in 0..1_000 {
        let query = ListRequest::new().after(id(n * 997));
        let query = query.order(crate::store::Order::OldestFirst);
        let _page = block_on(store.list(&query, now())).unwrap();
    }
    report("pages of 50", 1_000, began);
    let began = Instant::now();
    block_on(store.compact()).unwrap();
    report("compaction, records", COUNT, began);
    drop(store);
    for _ in 0..5 {
        let opening = place.open().open_report();
        print_line(&format!("opening {} records: {:?}", opening.records, opening.took));
    }
}
