//! The command line as a child process.

#![allow(clippy::unwrap_used, clippy::panic)]

mod bulk;
mod changes;
mod files;
mod issuing;
// What only a terminal would show.
#[path = "../../src/lines.rs"]
mod lines;
mod lists;
mod planted;
mod terminal;
mod tool;
mod verifying;
mod words;
