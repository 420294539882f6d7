//! The realm, which every challenge in `WWW-Authenticate` names.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

/// The maximum length of a realm, in characters.
const MAX_REALM_LEN: usize = 256;

/// The error returned by [`BearerLayer::realm`](crate::BearerLayer::realm). A realm has at most 256
/// characters, and each is a space or visible ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a realm must have at most {MAX_REALM_LEN} characters, all visible ASCII or spaces")]
pub struct InvalidRealm;

/// The name of the protected area in a challenge (RFC 9110 §11.5). The default is `service-tokens`.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Realm(Option<Arc<str>>);

impl Realm {
    pub(crate) fn new(realm: &str) -> Result<Self, InvalidRealm> {
        let valid = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        if realm.len() > MAX_REALM_LEN || !realm.bytes().all(valid) {
            return Err(InvalidRealm);
        }
        // The challenge contains the realm as a quoted-string (RFC 9110 §5.6.4).
        Ok(Self(Some(realm.replace('\\', "\\\\").replace('"', "\\\"").into())))
    }

    /// Returns the value of `WWW-Authenticate`. RFC 6750 §3 requires at least one parameter, so the
    /// realm is always present.
    pub(crate) fn challenge(&self, error: &str) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("Bearer realm=\"{}\"{error}", self.quoted())).ok()
    }

    fn quoted(&self) -> &str {
        self.0.as_deref().unwrap_or("service-tokens")
    }
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Realm({})", self.quoted())
    }
}
