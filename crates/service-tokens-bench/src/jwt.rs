//! The peer jsonwebtoken, with HS256 and EdDSA from aws-lc.

use std::hint::black_box;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::service::{SCOPE, owner};

/// The first key pair of RFC 8032, section 7.1. It is public, which does not matter in a benchmark.
const SEED: [u8; 32] = [
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
    0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];
const PUBLIC: [u8; 32] = [
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
    0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
];

/// The bytes that PKCS #8 puts before the 32 bytes of an Ed25519 seed (RFC 8410, section 7).
const PKCS8_START: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    jti: String,
    sub: String,
    scope: String,
    iat: u64,
    exp: u64,
}

/// Tokens and the key that verifies them.
pub struct Jwt {
    key: DecodingKey,
    validation: Validation,
    tokens: Vec<String>,
}

impl Jwt {
    /// Creates `size` tokens, signed with HMAC-SHA-256.
    pub fn hs256(size: usize) -> Self {
        let secret = [7; 32];
        let (signing, key) = (EncodingKey::from_secret(&secret), DecodingKey::from_secret(&secret));
        Self::new(Algorithm::HS256, &signing, key, size)
    }

    /// Creates `size` tokens, signed with Ed25519.
    pub fn eddsa(size: usize) -> Self {
        let signing = EncodingKey::from_ed_der(&[&PKCS8_START[..], &SEED].concat());
        Self::new(Algorithm::EdDSA, &signing, DecodingKey::from_ed_der(&PUBLIC), size)
    }

    fn new(algorithm: Algorithm, signing: &EncodingKey, key: DecodingKey, size: usize) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let token = |n: usize| {
            let claims = Claims {
                jti: format!("{n:032x}"),
                sub: owner(n),
                scope: SCOPE.to_owned(),
                iat: now,
                exp: now + 3_600,
            };
            encode(&Header::new(algorithm), &claims, signing).expect("a signed token")
        };
        Self { key, validation: Validation::new(algorithm), tokens: (0..size).map(token).collect() }
    }

    /// Returns a function that checks the signature, expiry and one scope of this number of tokens. All
    /// claims are owned.
    pub fn verifying(&self) -> impl FnMut(usize) + '_ {
        let mut tokens = self.tokens.iter().cycle();
        move |times| {
            for token in tokens.by_ref().take(times) {
                let data = decode::<Claims>(token, &self.key, &self.validation).expect("verified");
                assert!(data.claims.scope.split(' ').any(|scope| scope == SCOPE));
                black_box(data.claims);
            }
        }
    }
}
