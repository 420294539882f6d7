//! Times verifying, issuing and listing on both stores.
//!
//! `cargo bench` prints a table of nanoseconds per operation: the median of the rounds. The package
//! `service-tokens-bench` has more: every verb with statistics, floors and other kinds of tokens.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use futures_lite::future::block_on;
use service_tokens::{
    FileStore, IssueRequest, ListRequest, MemoryStore, Requirement, TokenService, TokenStore,
    TokenType,
};

const TOKENS: usize = 1_000;
const ROUNDS: usize = 9;

fn main() {
    println!("{:<24}{:>12}", "", "ns");
    time("memory", MemoryStore::new());
    let folder = tempfile::tempdir().unwrap();
    time("file", FileStore::open(folder.path().join("tokens.journal")).unwrap());
}

fn time<S: TokenStore>(name: &str, store: S) {
    let service = TokenService::builder(store, "acme_live")
        .token_type(TokenType::new("connector", ["files:upload"]).unwrap())
        .build()
        .unwrap();
    let issue = || {
        let request = IssueRequest::new("connector", "nightly backup");
        block_on(service.owner("acme").issue(request)).unwrap().token.expose_secret().to_owned()
    };
    let tokens: Vec<String> = (0..TOKENS).map(|_| issue()).collect();
    let upload = Requirement::scope("files:upload").unwrap();

    // A stride that is coprime to the number of tokens, so that no token is in the cache by chance.
    let mut next = 0;
    report(name, "verify", 20_000, || {
        next = (next + 617) % TOKENS;
        black_box(block_on(service.verify(&tokens[next], &upload)).unwrap());
    });
    report(name, "list a page of 50", 2_000, || {
        let _ = black_box(block_on(service.owner("acme").list(ListRequest::new())).unwrap());
    });
    report(name, "issue", 200, || {
        black_box(issue());
    });
}

fn report(store: &str, verb: &str, times: usize, mut operation: impl FnMut()) {
    let mut rounds: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..times).for_each(|_| operation());
            start.elapsed().as_nanos() / times as u128
        })
        .collect();
    rounds.sort_unstable();
    println!("{:<24}{:>12}", format!("{store}: {verb}"), rounds[ROUNDS / 2]);
}
