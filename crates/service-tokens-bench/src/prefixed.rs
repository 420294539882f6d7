//! The peer prefixed-api-key. Its documentation leaves the storage to the user, which here is a map in a
//! lock.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use prefixed_api_key::{PrefixedApiKey, PrefixedApiKeyController, rand::rngs::OsRng, sha2::Sha256};

use crate::service::{SCOPE, owner};

#[derive(Debug, Clone)]
struct Row {
    hash: String,
    owner: String,
    scopes: Vec<String>,
    expires_at: SystemTime,
}

/// Keys and the map of their hashes.
pub struct Prefixed {
    controller: PrefixedApiKeyController<OsRng, Sha256>,
    rows: Mutex<HashMap<String, Row>>,
    keys: Vec<String>,
}

impl Prefixed {
    /// Creates `size` keys.
    pub fn new(size: usize) -> Self {
        let controller = PrefixedApiKeyController::<_, Sha256>::configure()
            .prefix("acme".to_owned())
            .rng_osrng()
            .default_lengths()
            .finalize()
            .expect("a controller");
        let (mut rows, mut keys) = (HashMap::new(), Vec::new());
        for n in 0..size {
            let (key, hash) = controller.generate_key_and_hash();
            let row = Row {
                hash,
                owner: owner(n),
                scopes: vec![SCOPE.to_owned()],
                expires_at: SystemTime::now() + Duration::from_secs(3_600),
            };
            rows.insert(key.short_token().to_owned(), row);
            keys.push(key.to_string());
        }
        Self { controller, rows: Mutex::new(rows), keys }
    }

    /// Returns a function that parses and finds this number of keys, and checks hash, expiry and one scope.
    /// The owner is returned as an owned string.
    pub fn verifying(&self) -> impl FnMut(usize) + '_ {
        let mut keys = self.keys.iter().cycle();
        move |times| {
            for key in keys.by_ref().take(times) {
                black_box(self.verify(key).expect("verified"));
            }
        }
    }

    fn verify(&self, key: &str) -> Option<String> {
        let key = PrefixedApiKey::from_string(key).ok()?;
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let row = rows.get(key.short_token())?;
        let accepted = self.controller.check_hash(&key, &row.hash)
            && SystemTime::now() < row.expires_at
            && row.scopes.iter().any(|scope| scope == SCOPE);
        accepted.then(|| row.owner.clone())
    }
}
