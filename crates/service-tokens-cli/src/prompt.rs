//! Questions on standard error, answered by a line on standard input: by a person, or by a script that
//! pipes it.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use crate::stop::Stop;

/// No answer is longer.
const ANSWER_MAX: u64 = 1_000;

/// Asks, and gives the answer without the space around it; an empty one if there is none.
pub(crate) fn ask(question: &str) -> Result<String, Stop> {
    let mut to = io::stderr().lock();
    // Who cannot be asked has not agreed.
    write!(to, "{question} ")
        .and_then(|()| to.flush())
        .map_err(|error| Stop::Failed(format!("the question could not be shown: {error}")))?;
    let stdin = io::stdin().lock();
    let is_terminal = stdin.is_terminal();
    let mut answer = Vec::new();
    stdin
        .take(ANSWER_MAX)
        .read_until(b'\n', &mut answer)
        .map_err(|error| Stop::Failed(format!("reading the answer: {error}")))?;
    if !is_terminal {
        let _ = writeln!(to);
    }
    Ok(String::from_utf8_lossy(&answer).trim().to_owned())
}

/// Asks whether to go on: only y or yes is a yes.
pub(crate) fn agree(question: &str) -> Result<(), Stop> {
    let answer = ask(&format!("{question} [y/N]"))?;
    if ["y", "yes"].contains(&&*answer.to_ascii_lowercase()) { Ok(()) } else { Err(cancelled()) }
}

/// That nothing was agreed to.
pub(crate) fn cancelled() -> Stop {
    Stop::Failed("cancelled: nothing was changed".into())
}
