//! Introspection (RFC 7662), revocation (RFC 7009) and the endpoint for reverse proxies.

mod authorize;
mod introspect;
mod revoke;
