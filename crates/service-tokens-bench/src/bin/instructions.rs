//! Does one thing so many times, for a counter of instructions to watch: see `.ci/instructions`.
//!
//! `instructions <case> <times>`. What differs between two numbers of times is what the case costs;
//! preparing is the same for both. Ids and secrets are the same in every run, for the counts to be.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use service_tokens::random::{RandomError, RandomSource};
use service_tokens::{FileStore, MemoryStore, TokenStore};
use service_tokens_bench::floor::{Floor, hash, secret};
use service_tokens_bench::place::scratch;
use service_tokens_bench::service::{Filled, filled_with};

const SIZE: usize = 1_000;

/// Bytes that are no secret at all.
#[derive(Debug, Default)]
struct Counted(AtomicU64);

impl RandomSource for Counted {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        for chunk in bytes.chunks_mut(8) {
            let n = self.0.fetch_add(1, Ordering::Relaxed);
            // A permutation of 64-bit numbers whose outputs look like chance (splitmix64).
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
            let mut walk = filled.tokens.from(0);
            for _ in 0..times {
                black_box(hash(secret(walk.step())));
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
        "dyn" => {
            let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
            filled(store).verifying(0)(times);
        }
        other => panic!("no such case: {other}"),
    }
}

fn filled<S: TokenStore>(store: S) -> Filled<S> {
    filled_with(store, SIZE, |builder| builder.random(Counted::default()))
}
