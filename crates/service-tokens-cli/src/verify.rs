//! `service-tokens verify`

use std::io::{self, IsTerminal, Write};

use futures_lite::future::block_on;
use service_tokens::{FileStore, Requirement, TokenService, VerifyError};

use crate::args::Args;
use crate::exit::{Exit, with_causes};
use crate::lines::{Line, Lines, MAX_LINE_LEN};
use crate::output::{expiry, note, visible};
use crate::settings::Access;
use crate::stdio;
use crate::value;

pub(crate) const HELP: &str = "\
Verifies the token on each line of standard input. A line is a token, `Bearer
TOKEN` or `Authorization: Bearer TOKEN`.

  service-tokens verify [--require SCOPE]... < tokens

  --require SCOPE   a scope that the token must have; repeatable

Each line of input, also an empty or overlong one, gets one line of output. The
output never contains a token.

  accepted ID OWNER TYPE EXPIRY   EXPIRY is a time or never; OWNER can contain
                                  spaces
  refused REASON                  the exact reason; do not show it to the holder

The exit status is 0 only if there is at least one line and every token is
accepted. Verifying here does not count as a use of the token.

`service-tokens --help` lists the options for every verb.
";

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let mut required = Vec::new();
    while let Some(option) = args.next_option()? {
        match &*option {
            "require" => args.push(&mut required, value::text)?,
            _ => return Err(args.unknown_option(&option)),
        }
    }
    // No message repeats an operand, because it is probably a token.
    let [] = args.operands([])?;
    let requirement = match required.is_empty() {
        true => Requirement::any_token(),
        false => Requirement::all_of(required)
            .map_err(|error| args.usage_error(&format!("--require: {error}")))?,
    };

    stdio::require_stdout()?;
    let stdin = io::stdin().lock();
    let is_terminal = stdin.is_terminal();
    let mut input = Lines::new(stdin);
    if is_terminal {
        note("Enter one token per line, then Ctrl-D. The screen shows the text that you type.");
    } else {
        // In `service-tokens issue … | service-tokens verify`, the first program closes the file before it
        // writes the token. So the file is opened only when there is input.
        input.wait().map_err(Exit::input)?;
    }
    let service = args.settings.open(Access::Read)?;
    let (mut lines, mut refused) = (0_u64, 0_u64);
    let mut out = io::stdout().lock();
    while let Some(line) = input.next().map_err(Exit::input)? {
        lines += 1;
        let answer = match line {
            Line::Whole(line) => check(&service, &line, &requirement),
            Line::TooLong => Err(format!("the line is longer than {MAX_LINE_LEN} bytes")),
        };
        refused += u64::from(answer.is_err());
        let written = match answer {
            Ok(accepted) => writeln!(out, "accepted {accepted}"),
            Err(reason) => writeln!(out, "refused {reason}"),
        };
        // A line whose answer could not be written does not count as accepted.
        written.map_err(Exit::output)?;
    }
    match (lines, refused) {
        (0, _) => Err(Exit::Failed("standard input contains no line".into())),
        (_, 0) => Ok(()),
        _ => Err(Exit::Silent),
    }
}

fn check(
    service: &TokenService<FileStore>,
    line: &[u8],
    requirement: &Requirement,
) -> Result<String, String> {
    let token = token_of(line)?;
    match block_on(service.verify(token, requirement)) {
        Ok(verified) => Ok(format!(
            "{} {} {} {}",
            verified.id(),
            visible(verified.owner()),
            verified.token_type(),
            expiry(verified.expires_at()),
        )),
        Err(VerifyError::Refused(refusal)) => Err(refusal.to_string()),
        Err(error) => Err(with_causes(&error)),
    }
}

/// Returns the token in a line, which can be a header.
pub(crate) fn token_of(line: &[u8]) -> Result<&[u8], String> {
    let line = line.trim_ascii();
    let value = strip_word(line, b"authorization:");
    match strip_word(value.unwrap_or(line), b"bearer ") {
        Some(token) => Ok(token),
        None if value.is_some() => Err("the header contains no Bearer token".into()),
        None => Ok(line),
    }
}

/// Returns the text after a word, which is compared without regard to case.
fn strip_word<'l>(line: &'l [u8], word: &[u8]) -> Option<&'l [u8]> {
    let (start, rest) = line.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word).then(|| rest.trim_ascii_start())
}
