//! The values of one row of an import, and their comparison with another row and with a record.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use service_tokens::import::ImportDigest;
use service_tokens::network::Network;
use service_tokens::{ImportRequest, Record, ScopeSet};

use crate::value::Expiry;

/// The values of a row. A value that is not set is `None` or empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Values {
    pub(crate) owner: String,
    pub(crate) token_type: String,
    pub(crate) issued_to: String,
    pub(crate) issued_by: String,
    pub(crate) expires: Option<Expiry>,
    pub(crate) not_before: Option<DateTime<Utc>>,
    pub(crate) created_at: Option<DateTime<Utc>>,
    pub(crate) scopes: Option<ScopeSet>,
    pub(crate) networks: Vec<Network>,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Values {
    /// Returns the request to import a token with these values.
    pub(crate) fn request(&self, digest: ImportDigest) -> ImportRequest {
        let mut request = ImportRequest::of_digest(digest, &*self.token_type, &*self.issued_to);
        if let Some(expires) = self.expires {
            request = expires.set_in_import(request);
        }
        if let Some(start) = self.not_before {
            request = request.not_before(start);
        }
        if let Some(created) = self.created_at {
            request = request.created_at(created);
        }
        if let Some(scopes) = &self.scopes {
            request = request.scopes(scopes.clone());
        }
        if !self.networks.is_empty() {
            request = request.networks(self.networks.clone());
        }
        if !self.issued_by.is_empty() {
            request = request.issued_by(&*self.issued_by);
        }
        for (key, value) in &self.metadata {
            request = request.metadata(key, value);
        }
        request
    }

    /// Returns the columns in which another row has other values.
    pub(crate) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let columns = [
            ("owner", self.owner == other.owner),
            ("type", self.token_type == other.token_type),
            ("issued_to", self.issued_to == other.issued_to),
            ("issued_by", self.issued_by == other.issued_by),
            ("expires_at", self.expires == other.expires),
            ("not_before", self.not_before == other.not_before),
            ("created_at", self.created_at == other.created_at),
            ("scopes", self.scopes == other.scopes),
            ("networks", self.networks == other.networks),
            ("metadata", self.metadata == other.metadata),
        ];
        unequal(columns)
    }

    /// Returns the columns in which the record of an earlier import has other values. Values that the row
    /// does not set do not count, and neither does an end that is counted from now.
    pub(crate) fn differences_from(&self, record: &Record) -> Vec<&'static str> {
        let micros = |time: Option<DateTime<Utc>>| time.map(|time| time.timestamp_micros());
        let is_set_end = |end| micros(record.expires_at()) == micros(end);
        let mut networks = self.networks.clone();
        networks.sort_unstable();
        networks.dedup();
        let metadata = |(key, value): (&String, &String)| {
            record.metadata().any(|(known, present)| (known, present) == (&**key, &**value))
        };
        let columns = [
            ("issued_to", record.issued_to() == self.issued_to),
            (
                "expires_at",
                match self.expires {
                    None | Some(Expiry::In(_)) => true,
                    Some(Expiry::At(end)) => is_set_end(Some(end)),
                    Some(Expiry::Never) => is_set_end(None),
                },
            ),
            (
                "not_before",
                self.not_before.is_none() || micros(record.not_before()) == micros(self.not_before),
            ),
            (
                "created_at",
                self.created_at.is_none()
                    || micros(Some(record.created_at())) == micros(self.created_at),
            ),
            (
                "scopes",
                self.scopes.as_ref().is_none_or(|scopes| scopes.as_scopes() == record.scopes()),
            ),
            ("networks", networks.is_empty() || record.networks().eq(networks)),
            ("metadata", self.metadata.iter().all(metadata)),
        ];
        unequal(columns)
    }
}

fn unequal<const N: usize>(columns: [(&'static str, bool); N]) -> Vec<&'static str> {
    columns.into_iter().filter(|(_, is_equal)| !is_equal).map(|(name, _)| name).collect()
}
