//! Questions on standard error. A person or a script answers with a line on standard input.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use crate::exit::Exit;
use crate::stdio;

/// The maximum length of an answer in bytes.
const MAX_ANSWER_LEN: u64 = 1_000;

/// Asks a question and returns the trimmed answer, which is empty at the end of standard input.
pub(crate) fn ask(question: &str) -> Result<String, Exit> {
    // If the person cannot see the question, an answer is not a confirmation.
    if !stdio::shows_questions() {
        return Err(Exit::Failed(
            "the question could not be shown, because standard error is closed or /dev/null: nothing was \
             changed"
                .into(),
        ));
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} ")
        .and_then(|()| stderr.flush())
        .map_err(|error| Exit::Failed(format!("the question could not be shown: {error}")))?;
    let stdin = io::stdin().lock();
    let is_terminal = stdin.is_terminal();
    let mut answer = Vec::new();
    stdin
        .take(MAX_ANSWER_LEN)
        .read_until(b'\n', &mut answer)
        .map_err(|error| Exit::Failed(format!("reading the answer: {error}")))?;
    if !is_terminal {
        let _ = writeln!(stderr);
    }
    Ok(String::from_utf8_lossy(&answer).trim().to_owned())
}

/// Asks for a confirmation. Any answer except `y` or `yes` cancels.
pub(crate) fn confirm(question: &str) -> Result<(), Exit> {
    let answer = ask(&format!("{question} [y/N]"))?;
    if ["y", "yes"].contains(&&*answer.to_ascii_lowercase()) { Ok(()) } else { Err(cancelled()) }
}

/// Returns the error for a missing confirmation.
pub(crate) fn cancelled() -> Exit {
    Exit::Failed("cancelled: nothing was changed".into())
}
