//! Reverse proxies.
