//! No sequence of acts by a token yields a token that may do more, be used from more places, or live longer.
//! No act revives what ended.
//!
//! Several holders begin with one token each, and tokens act at random, between changes by the embedder. The
//! check compares, after each act and for each place of a fixed set, which texts are accepted with what the
//! acting text reached before. It is stricter than a comparison with all texts of its holder. Each text also has
//! a ceiling for ever, because the embedder may later change the types.

mod acts;
mod moves;
mod oracle;
mod reach;
mod simulation;

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::harness::Stores;
use futures_lite::future::block_on;
use moves::{commands, starts};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRunner};
use simulation::Simulation;

behaviours! {
    random_operations_never_escalate,
    #[ignore = "campaign"]
    random_operations_never_escalate_campaign,
}

pub(crate) async fn random_operations_never_escalate(stores: Stores) {
    run(stores, 300);
}

pub(crate) async fn random_operations_never_escalate_campaign(stores: Stores) {
    run(stores, 600);
}

fn run(stores: Stores, cases: u32) {
    // Unions seed a generator for each unused arm, and this one is the cheapest to seed.
    let rng_algorithm = RngAlgorithm::XorShift;
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        rng_algorithm,
        ..ProptestConfig::default()
    };
    let histories = (starts(), proptest::collection::vec(commands(), 1..160));
    let counts = RefCell::new(BTreeMap::new());
    let outcome = TestRunner::new(config).run(&histories, |(start, history)| {
        block_on(async {
            let mut simulation = Simulation::new(stores, &start).await;
            for command in history {
                simulation.apply(command).await;
            }
            simulation.check().await;
            for (name, times) in simulation.counts {
                *counts.borrow_mut().entry(name).or_default() += times;
            }
        });
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let counts: BTreeMap<&str, usize> = counts.into_inner();
    for name in [
        "issued",
        "rotated",
        "rotated itself",
        "revoked",
        "suspended",
        "suspended callers",
        "closed callers",
        "deep",
        "outlives",
        "pending",
        "issuers kept",
        "until first use",
        "ended secrets",
        "amended",
        "ended older",
        "presented",
        "rotated by the embedder",
        "older secrets refused",
        "repaired with the older",
        "inherited networks",
        "issued by a draft",
        "issued with fewer places",
        "networks refused",
        "amended networks",
        "rotated within networks",
        "refused places",
        "mapped callers",
        "callers outside by now",
    ] {
        assert!(
            counts.get(name).is_some_and(|times| times * 600 > 5 * cases as usize),
            "too little happened: {counts:?}"
        );
    }
}
