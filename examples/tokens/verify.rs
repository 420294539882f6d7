//! `tokens verify`

use std::io::{self, BufRead, IsTerminal, Write};

use futures_lite::future::block_on;
use service_tokens::{FileStore, Need, TokenService, VerifyError};

use crate::args::Words;
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

/// More of a line is not kept: no token in a header is so long.
const LINE_MAX: usize = 4_096;

pub(crate) fn run(mut words: Words) -> Result<(), Stop> {
    let mut needs = Vec::new();
    while let Some(option) = words.next_option()? {
        match &*option {
            "need" => words.push(&mut needs, value::text)?,
            _ => return Err(words.unknown(&option)),
        }
    }
    // No message may repeat an operand: it is a token, as a rule.
    let [] = words.operands([])?;
    let need = match needs.is_empty() {
        true => Need::authenticated(),
        false => Need::all_of(needs).map_err(|e| words.mistake(&format!("--need: {e}")))?,
    };

    let mut stdin = io::stdin().lock();
    if stdin.is_terminal() {
        note("One token a line; what you type shows on the screen. The end is Ctrl-D.");
    } else {
        // In `tokens issue … | tokens verify` the file is free only when the token is here.
        fill(&mut stdin)?;
    }
    let service = words.settings.open(Access::Read)?;
    let (mut lines, mut refused) = (0_u64, 0_u64);
    let mut out = io::stdout().lock();
    while let Some(line) = read_line(&mut stdin)? {
        lines += 1;
        let answer = match line {
            Line::Whole(line) => answer(&service, &line, &need),
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

fn answer(service: &TokenService<FileStore>, line: &[u8], need: &Need) -> Result<String, String> {
    let token = token_of(line)?;
    match block_on(service.verify(token, need)) {
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

enum Line {
    Whole(Vec<u8>),
    TooLong,
}

/// The next line, of which no more is kept than a token can need.
fn read_line(from: &mut impl BufRead) -> Result<Option<Line>, Stop> {
    let (mut line, mut length) = (Vec::new(), 0_usize);
    loop {
        let buffer = fill(from)?;
        let end = buffer.iter().position(|&b| b == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        let room = LINE_MAX.saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        length = length.saturating_add(part.len());
        let (taken, over) = (part.len() + usize::from(end.is_some()), buffer.is_empty());
        from.consume(taken);
        match (end.is_some(), over) {
            (false, true) if length == 0 => return Ok(None),
            (false, false) => {}
            _ if length > LINE_MAX => return Ok(Some(Line::TooLong)),
            _ => return Ok(Some(Line::Whole(line))),
        }
    }
}

/// What there is to read; nothing at the end.
fn fill(from: &mut impl BufRead) -> Result<&[u8], Stop> {
    let failed = |error| Stop::Failed(format!("reading standard input: {error}"));
    while let Err(error) = from.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(failed(error));
        }
    }
    from.fill_buf().map_err(failed)
}
