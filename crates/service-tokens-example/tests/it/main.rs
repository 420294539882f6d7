//! The example service as a process, and its server within the test.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a test may fail")]

#[path = "../../../service-tokens-axum/tests/harness/mod.rs"]
mod harness;
#[cfg(target_os = "linux")]
mod hostile;
mod panics;
#[cfg(unix)]
mod process;
#[allow(dead_code, unreachable_pub, reason = "a part of the program, compiled into the test")]
#[path = "../../src/server.rs"]
mod server;
#[cfg(unix)]
mod service;
