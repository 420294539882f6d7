//! The Service Tokens page.
