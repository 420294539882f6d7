//! Introspection, revocation and answers for reverse proxies.
