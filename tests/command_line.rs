//! The command line in `examples/tokens`, as a child process.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "command_line/bulk.rs"]
mod bulk;
#[path = "command_line/changes.rs"]
mod changes;
#[path = "command_line/files.rs"]
mod files;
#[path = "command_line/issuing.rs"]
mod issuing;
// What only a terminal would show.
#[path = "../examples/tokens/lines.rs"]
mod lines;
#[path = "command_line/lists.rs"]
mod lists;
mod support;
#[path = "command_line/terminal.rs"]
mod terminal;
#[path = "command_line/tool.rs"]
mod tool;
#[path = "command_line/verifying.rs"]
mod verifying;
#[path = "command_line/words.rs"]
mod words;
