//! The command line as a child process.

#![allow(clippy::unwrap_used, clippy::panic)]

mod bulk;
mod changes;
mod files;
mod issuing;
// Compiled into the tests, because only a terminal shows its behaviour.
#[path = "../../src/lines.rs"]
mod lines;
mod lists;
mod planted;
mod terminal;
mod tool;
mod verifying;
mod words;
