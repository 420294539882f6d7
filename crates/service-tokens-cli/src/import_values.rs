//! The values of one row of an import, and their comparison with another row and with a record.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use service_tokens::import::ImportDigest;
use service_tokens::network::Network;
use service_tokens::{ImportRequest, Record, ScopeSet, TokenService, TokenType};

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

    /// Returns whether the token of a row without an end never expires.
    fn never_expire_by_default<S>(&self, service: &TokenService<S>) -> bool {
        let policy = match self.known_type(service) {
            Some(token_type) => service.policy().for_type(token_type),
            None => service.policy().clone(),
        };
        policy.default_lifetime.is_none()
    }

    fn known_type<'s, S>(&self, service: &'s TokenService<S>) -> Option<&'s TokenType> {
        service.token_types().find(|known| known.name() == self.token_type)
    }

    /// Returns the columns in which the record of an earlier import has other values than an import of the
    /// row would store now. An end that is counted from now does not count, and neither do a creation time
    /// and an importer that the row does not set.
    pub(crate) fn differences_from<S>(
        &self,
        record: &Record,
        service: &TokenService<S>,
    ) -> Vec<&'static str> {
        let micros = |time: Option<DateTime<Utc>>| time.map(|time| time.timestamp_micros());
        let is_set_end = |end| micros(record.expires_at()) == micros(end);
        let mut networks = self.networks.clone();
        networks.sort_unstable();
        networks.dedup();
        let metadata: BTreeMap<&str, &str> = record.metadata().collect();
        let scopes = match &self.scopes {
            Some(scopes) => Some(scopes.as_scopes()),
            None => self.known_type(service).map(TokenType::scopes),
        };
        let columns = [
            ("issued_to", record.issued_to() == self.issued_to),
            (
                "expires_at",
                match self.expires {
                    None => !self.never_expire_by_default(service) || is_set_end(None),
                    Some(Expiry::In(_)) => true,
                    Some(Expiry::At(end)) => is_set_end(Some(end)),
                    Some(Expiry::Never) => is_set_end(None),
                },
            ),
            ("not_before", micros(record.not_before()) == micros(self.not_before)),
            (
                "created_at",
                self.created_at.is_none()
                    || micros(Some(record.created_at())) == micros(self.created_at),
            ),
            ("scopes", scopes.is_none_or(|scopes| scopes == record.scopes())),
            ("networks", record.networks().eq(networks)),
            (
                "metadata",
                metadata
                    .into_iter()
                    .eq(self.metadata.iter().map(|(key, value)| (&**key, &**value))),
            ),
        ];
        unequal(columns)
    }
}

fn unequal<const N: usize>(columns: [(&'static str, bool); N]) -> Vec<&'static str> {
    columns.into_iter().filter(|(_, is_equal)| !is_equal).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_lite::future::block_on;
    use service_tokens::import::{Characters, ImportForm};
    use service_tokens::{MemoryStore, Policy, TokenServiceBuilder};

    use super::*;

    const MONTH: Duration = Duration::from_secs(30 * 86_400);

    fn builder(default: Option<Duration>) -> TokenServiceBuilder<MemoryStore> {
        let form = ImportForm::sha256("old").characters(Characters::BASE62).lengths([32]);
        let policy = Policy::new().default_lifetime(default).max_lifetime(None).allow_never(true);
        TokenService::builder(MemoryStore::new(), "acme_live").policy(policy).import_form(form)
    }

    fn connector() -> TokenType {
        TokenType::new("connector", ["files:upload"]).unwrap()
    }

    fn values(expires: Option<Expiry>) -> Values {
        Values {
            owner: "acme".into(),
            token_type: "connector".into(),
            issued_to: "backup".into(),
            issued_by: String::new(),
            expires,
            not_before: None,
            created_at: None,
            scopes: None,
            networks: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }

    /// The settings of a copy of this tool can have a default of never.
    #[test]
    fn empty_end_is_compared_if_default_is_never() {
        let of_policy = |default| builder(default).token_type(connector()).build().unwrap();
        let never_by_type = connector().default_lifetime(None).max_lifetime(None);
        let never_by_type = builder(Some(MONTH)).token_type(never_by_type).build().unwrap();
        let (month, never) = (of_policy(Some(MONTH)), of_policy(None));
        let imported = |expires| {
            let request = values(Some(expires)).request(ImportDigest::sha256([7; 32]));
            let service = of_policy(None);
            block_on(service.owner("acme").import(request)).unwrap().record
        };
        let (ending, endless) = (imported(Expiry::In(MONTH)), imported(Expiry::Never));
        for (service, record, expected) in [
            (&month, &ending, &[][..]),
            (&month, &endless, &[]),
            (&never, &ending, &["expires_at"]),
            (&never, &endless, &[]),
            (&never_by_type, &ending, &["expires_at"]),
            (&never_by_type, &endless, &[]),
        ] {
            assert_eq!(values(None).differences_from(record, service), expected);
        }
    }
}
