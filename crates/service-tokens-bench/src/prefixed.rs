//! prefixed-api-key, with the map under a lock that its documentation leaves to the user.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use prefixed_api_key::{PrefixedApiKey, PrefixedApiKeyController, rand::rngs::OsRng, sha2::Sha256};

use crate::service::{NEED, owner};

#[derive(Debug, Clone)]
struct Row {
    hash: String,
    owner: String,
    scopes: Vec<String>,
    expires_at: SystemTime,
}

/// Keys and the map that knows them.
pub struct Prefixed {
    controller: PrefixedApiKeyController<OsRng, Sha256>,
    rows: Mutex<HashMap<String, Row>>,
    keys: Vec<String>,
}

impl Prefixed {
    /// Makes so many.
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
                scopes: vec![NEED.to_owned()],
                expires_at: SystemTime::now() + Duration::from_secs(3_600),
            };
            rows.insert(key.short_token().to_owned(), row);
            keys.push(key.to_string());
        }
        Self { controller, rows: Mutex::new(rows), keys }
    }

    /// Parsing, look-up, hash, expiry and one scope; the owner owned.
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
        let fine = self.controller.check_hash(&key, &row.hash)
            && SystemTime::now() < row.expires_at
            && row.scopes.iter().any(|scope| scope == NEED);
        fine.then(|| row.owner.clone())
    }
}
