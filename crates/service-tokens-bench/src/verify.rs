//! The rows of the verification table.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use service_tokens::{FileStore, MemoryStore, TokenStore};

use crate::biscuit::Biscuits;
use crate::features;
use crate::floor::{Floor, hash, secret};
use crate::jwt::Jwt;
use crate::paseto::Paseto;
use crate::paths::scratch;
use crate::poll::ready;
use crate::prefixed::Prefixed;
use crate::rounds::{Measured, Row, run};
use crate::service::{Filled, flush, service, verifying};
use crate::tokens::Tokens;
use crate::{Plan, size_name};

const SMALL: usize = 1_000;

/// Measures the service, the floors and the peers in turn.
pub fn rows(plan: Plan) -> Vec<Measured> {
    let large = plan.pick(1_000_000, 20_000);
    let (k, m) = (size_name(SMALL), size_name(large));
    let folder = scratch();

    let few = Filled::new(MemoryStore::new(), SMALL);
    let many = Filled::new(MemoryStore::new(), large);
    let erased: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
    let erased = Filled::new(erased, SMALL);
    let journal = folder.path().join("hot.journal");
    let hot = Filled::new(FileStore::open(&journal).expect("a file store"), large);
    let copy = folder.path().join("cold.journal");
    std::fs::copy(&journal, &copy).expect("a copy");
    // This store has just been opened from its file, so no record was read yet.
    let cold = service(FileStore::open(&copy).expect("a file store"));

    let within = features::with_networks(SMALL, |builder| builder);
    let gated = features::with_gate(SMALL, |builder| builder);
    let imported = features::with_imported(SMALL, |builder| builder);

    let mistyped = few.tokens.mistyped();
    let (few_floor, many_floor) = (floor(&few.tokens, &mistyped), floor(&many.tokens, &mistyped));
    let (hs256, eddsa) = (Jwt::hs256(SMALL), Jwt::eddsa(SMALL));
    let (paseto, prefixed, biscuits) =
        (Paseto::new(SMALL), Prefixed::new(SMALL), Biscuits::new(SMALL));

    let (of_few, of_many) = (format!("floor {k}"), format!("floor {m}"));
    let mut secrets = few.tokens.from(0);
    let mut refused = mistyped.from(0);
    let mut rows = vec![
        Row::new(format!("service {k}"), &of_few, few.verifying(0)),
        Row::new(format!("service {m}"), &of_many, many.verifying(0)),
        Row::new("service malformed", &of_few, few.refusing(&mistyped)),
        Row::new(format!("service file hot {m}"), &of_many, hot.verifying(0)),
        Row::new(
            format!("service file cold {m}"),
            &of_many,
            verifying(&cold, &hot.tokens, large / 2),
        ),
        Row::new(format!("service dyn {k}"), &of_few, erased.verifying(0)),
        Row::new(
            format!("service networks {k}"),
            &of_few,
            features::verifying_from_client(&within),
        ),
        Row::new(format!("service gate {k}"), &of_few, gated.verifying(0)),
        Row::new(format!("service imported {k}"), &of_few, imported.verifying(0)),
        Row::new(of_few.clone(), &of_few, few_floor.verifying(&few.tokens, 0)),
        Row::new(of_many.clone(), &of_many, many_floor.verifying(&many.tokens, 0)),
        Row::new("floor malformed", &of_few, |times| {
            for _ in 0..times {
                assert!(black_box(few_floor.verify(refused.next_text(), 1)).is_none());
            }
        }),
        Row::new("sha256 43", &of_few, |times| {
            for _ in 0..times {
                black_box(hash(secret(secrets.next_text())));
            }
        }),
        Row::new("jsonwebtoken hs256", &of_few, hs256.verifying()),
        Row::new("jsonwebtoken eddsa", &of_few, eddsa.verifying()),
        Row::new("pasetors v4.local", &of_few, paseto.verifying()),
        Row::new("prefixed-api-key", &of_few, prefixed.verifying()),
        Row::new("biscuit-auth", &of_few, biscuits.verifying()),
    ];
    let slice = Duration::from_millis(plan.pick(5, 2));
    let measured = run(&mut rows, plan.pick(400, 40), slice, || {
        flush(&few.service);
        flush(&many.service);
        flush(&erased.service);
        for service in [&within.service, &gated.service, &imported.service] {
            flush(service);
        }
        flush(&hot.service);
        flush(&cold);
    });
    drop(rows);
    for store in [hot.service.store(), cold.store()] {
        let _ = ready(store.close());
    }
    measured
}

/// Creates a floor and checks its results, because the time of a wrong floor would be meaningless.
fn floor(tokens: &Tokens, mistyped: &Tokens) -> Floor {
    let floor = Floor::of(tokens.iter());
    assert!(tokens.iter().all(|token| floor.verify(token, 1).is_some()));
    assert!(tokens.iter().all(|token| floor.verify(token, 2).is_none()));
    assert!(mistyped.iter().all(|token| floor.verify(token, 1).is_none()));
    floor
}
