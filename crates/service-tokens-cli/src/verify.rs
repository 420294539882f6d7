//! `tokens verify`

use std::io::{self, IsTerminal, Write};

use futures_lite::future::block_on;
use service_tokens::{FileStore, Requirement, TokenService, VerifyError};

use crate::args::Words;
use crate::lines::{LINE_MAX, Line, Lines};
use crate::settings::Access;
use crate::stop::{Stop, chain, note};
use crate::text::{end, visible};
use crate::value;

pub(crate) const HELP: &str = "\
Says of each line on standard input whether it is a token that is accepted. A
line is a token, or one as it travels: `Bearer TOKEN`, or
`Authorization: Bearer TOKEN`.

  tokens verify [--need SCOPE]... < tokens

  --need SCOPE    may it do this too; repeatable: all of these

Every line gets one line on standard output, an empty or overlong one too, and
none repeats a token:

  accepted ID OWNER TYPE END    END is a time, or never; OWNER may hold spaces
  refused REASON                the exact reason: for you, not for strangers

The exit status is 0 only if there was a line and every line was accepted.
Verifying here counts as no use of the token.

`tokens --help` lists the options for every verb.
";

pub(crate) fn run(mut words: Words) -> Result<(), Stop> {
    let mut requirements = Vec::new();
    while let Some(option) = words.next_option()? {
        match &*option {
            "need" => words.push(&mut requirements, value::text)?,
            _ => return Err(words.unknown(&option)),
        }
    }
    // No message may repeat an operand: it is a token, as a rule.
    let [] = words.operands([])?;
    let requirement = match requirements.is_empty() {
        true => Requirement::any_token(),
        false => {
            Requirement::all_of(requirements).map_err(|e| words.mistake(&format!("--need: {e}")))?
        }
    };

    let stdin = io::stdin().lock();
    let is_terminal = stdin.is_terminal();
    let mut given = Lines::new(stdin);
    if is_terminal {
        note("One token a line; what you type shows on the screen. The end is Ctrl-D.");
    } else {
        // In `tokens issue … | tokens verify` the file is free only when the token is here.
        given.wait().map_err(Stop::input)?;
    }
    let service = words.settings.open(Access::Read)?;
    let (mut lines, mut refused) = (0_u64, 0_u64);
    let mut out = io::stdout().lock();
    while let Some(line) = given.next().map_err(Stop::input)? {
        lines += 1;
        let answer = match line {
            Line::Whole(line) => answer(&service, &line, &requirement),
            Line::TooLong => Err(format!("the line is longer than {LINE_MAX} bytes")),
        };
        refused += u64::from(answer.is_err());
        let written = match answer {
            Ok(accepted) => writeln!(out, "accepted {accepted}"),
            Err(reason) => writeln!(out, "refused {reason}"),
        };
        // Lines that nobody has answered are not accepted.
        written.map_err(|error| match Stop::output(error) {
            Stop::PipeClosed => Stop::Quietly,
            other => other,
        })?;
    }
    match (lines, refused) {
        (0, _) => Err(Stop::Failed("there was no line on standard input".into())),
        (_, 0) => Ok(()),
        _ => Err(Stop::Quietly),
    }
}

fn answer(
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
            end(verified.expires_at()),
        )),
        Err(VerifyError::Refused(refusal)) => Err(refusal.to_string()),
        Err(error) => Err(chain(&error)),
    }
}

/// The token in a line, which may be a header's.
fn token_of(line: &[u8]) -> Result<&[u8], String> {
    let line = line.trim_ascii();
    let value = after_word(line, b"authorization:");
    match after_word(value.unwrap_or(line), b"bearer ") {
        Some(token) => Ok(token),
        None if value.is_some() => Err("the header holds no Bearer token".into()),
        None => Ok(line),
    }
}

/// What follows a word, whatever its case.
fn after_word<'l>(line: &'l [u8], word: &[u8]) -> Option<&'l [u8]> {
    let (start, rest) = line.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word).then(|| rest.trim_ascii_start())
}
