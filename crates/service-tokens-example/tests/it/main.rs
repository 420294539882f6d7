//! The example as a process of its own, and its server within the test.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, unexpected_cfgs)]

#[cfg(unix)]
mod example_service;
#[cfg(target_os = "linux")]
mod hostile;
mod panics;
#[cfg(unix)]
mod running;
#[allow(dead_code, unreachable_pub)]
#[path = "../../src/server.rs"]
mod server;
#[path = "../../../service-tokens-axum/tests/support/mod.rs"]
mod support;
