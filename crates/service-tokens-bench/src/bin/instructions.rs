//! Repeats one operation while a tool counts the instructions (see `.ci/instructions`).
//!
//! The arguments are `instructions <case> <times>`. The difference between two runs with different `times` is
//! the cost of the operation, because the preparation is the same. Ids and secrets are the same in every
//! run, so the counts are the same too.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use service_tokens::random::{RandomError, RandomSource};
use service_tokens::{FileStore, MemoryStore, TokenServiceBuilder, TokenStore};
use service_tokens_bench::features;
use service_tokens_bench::floor::{Floor, hash, secret};
use service_tokens_bench::paths::scratch;
use service_tokens_bench::service::{Filled, filled_with};

const SIZE: usize = 1_000;

/// A random source with fixed bytes.
#[derive(Debug, Default)]
struct FixedRandom(AtomicU64);

impl RandomSource for FixedRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        for chunk in bytes.chunks_mut(8) {
            let n = self.0.fetch_add(1, Ordering::Relaxed);
            // The function splitmix64 permutes 64-bit numbers, so equal counters give equal bytes.
            let mut mixed = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [case, times] = &arguments[..] else { panic!("usage: instructions <case> <times>") };
    let times: usize = times.parse().expect("a number of times");
    match &**case {
        "hash" => {
            let filled = filled(MemoryStore::new());
            let mut texts = filled.tokens.from(0);
            for _ in 0..times {
                black_box(hash(secret(texts.next_text())));
            }
        }
        "floor" => {
            let filled = filled(MemoryStore::new());
            Floor::of(filled.tokens.iter()).verifying(&filled.tokens, 0)(times);
        }
        "service" => filled(MemoryStore::new()).verifying(0)(times),
        "malformed" => {
            let filled = filled(MemoryStore::new());
            filled.refusing(&filled.tokens.mistyped())(times);
        }
        "file" => {
            let folder = scratch();
            let journal = folder.path().join("tokens.journal");
            filled(FileStore::open(journal).expect("a file store")).verifying(0)(times);
        }
        "networks" => {
            let filled = features::with_networks(SIZE, fixed);
            features::verifying_from_client(&filled)(times);
        }
        "gate" => features::with_gate(SIZE, fixed).verifying(0)(times),
        "imported" => features::with_imported(SIZE, fixed).verifying(0)(times),
        "dyn" => {
            let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
            filled(store).verifying(0)(times);
        }
        other => panic!("unknown case: {other}"),
    }
}

fn filled<S: TokenStore>(store: S) -> Filled<S> {
    filled_with(store, SIZE, fixed)
}

fn fixed<S: TokenStore>(builder: TokenServiceBuilder<S>) -> TokenServiceBuilder<S> {
    builder.random(FixedRandom::default())
}
