//! `service-tokens report-leak`

use std::io::{self, Write};

use futures_lite::future::block_on;
use service_tokens::leak::{
    LeakAction, LeakOutcome, LeakReport, LeakResponse, LeakedSecret, ReportLeakError,
};
use service_tokens::{FileStore, LeakRequest, TokenService};

use crate::args::Args;
use crate::exit::{Exit, with_causes};
use crate::lines::{Line, Lines, MAX_LINE_LEN};
use crate::output::{note, visible};
use crate::settings::Access;
use crate::stdio;
use crate::value;

pub(crate) const HELP: &str = "\
Reports texts that were found where no token should be, one per line of standard
input, and says which of them are tokens of the service. A text is the token,
as this command finds it in a file. Blanks, quotes, backticks, angle brackets
and `Authorization: Bearer` around it are ignored:

  grep -ohP \"$(service-tokens scanner-regex)\" FILE

A token is changed only if the secret in the text is right, because anyone can
write any id into a text.

  service-tokens report-leak [OPTIONS] < texts

  --action report   change no token (default)
  --action revoke   revoke the tokens that are live, permanently, and all tokens
                    that they issued or rotated
  --action suspend  suspend the tokens that are live, and all tokens that they
                    issued or rotated
  --by TEXT         the person or program that reports the leak
  --reason TEXT     the reason, such as the place where the text was found

An older secret of an overlap is ended alone, unless the token made its newest
secret itself. Each line prints not_ours, unknown_id, wrong_secret, cannot_tell,
ended_secret, ended_token or live, then the id, and for a right secret the
owner, the type and the state, and then the action that was taken. If live
tokens below it were left as they are, the line ends with their number, and
`service-tokens list --issuer ID` lists them.

A second line, which begins with two spaces, follows in two cases. After
wrong_secret, ended_secret and ended_token it says that the token made its
newest secret itself. A finder of an earlier secret may then know the newest
one, and a secret that the record does not retain any more is a wrong one. After
unknown_id it names the command that lists the tokens below a purged token.

The exit status is 0 only if there is at least one line, every text could be
compared, and every action succeeded. Reporting does not count as a use.

`service-tokens --help` lists the options for every verb.
";

fn action(text: &str) -> Result<LeakAction, String> {
    match text {
        "report" => Ok(LeakAction::Report),
        "revoke" => Ok(LeakAction::Revoke),
        "suspend" => Ok(LeakAction::Suspend),
        _ => Err("must be report, revoke or suspend".into()),
    }
}

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let (mut asked, mut by, mut reason) = (None, None, None);
    while let Some(option) = args.next_option()? {
        match &*option {
            "action" => args.set(&mut asked, action)?,
            "by" => args.set(&mut by, value::text)?,
            "reason" => args.set(&mut reason, value::text)?,
            _ => return Err(args.unknown_option(&option)),
        }
    }
    // No message repeats an operand, because it is probably a token.
    let [] = args.operands([])?;
    let action = asked.unwrap_or(LeakAction::Report);
    let mut request = LeakRequest::new();
    if let Some(by) = by {
        request = request.by(by);
    }
    if let Some(reason) = reason {
        request = request.reason(reason);
    }

    stdio::require_stdout()?;
    let mut input = Lines::new(io::stdin().lock());
    input.wait().map_err(Exit::input)?;
    let access = if action == LeakAction::Report { Access::Read } else { Access::Revoke };
    let service = args.settings.open(access)?;
    let (mut lines, mut failed, mut not_ours) = (0_u64, false, false);
    let mut out = io::stdout().lock();
    while let Some(line) = input.next().map_err(Exit::input)? {
        lines += 1;
        let Line::Whole(line) = line else {
            note(format_args!("line {lines} is longer than {MAX_LINE_LEN} bytes"));
            failed = true;
            continue;
        };
        let (report, is_done) = report(&service, &line, action, &request)?;
        // The answer below says that the action was done.
        service.settle();
        failed |= !is_done || !is_settled(&report);
        not_ours |= matches!(report.outcome, LeakOutcome::NotOurs(_));
        writeln!(out, "{}", answer(&report)).map_err(Exit::output)?;
        if let Some(advice) = advice(&report) {
            writeln!(out, "  {advice}").map_err(Exit::output)?;
        }
    }
    if not_ours {
        note(NOT_OURS_HINT);
    }
    match (lines, failed) {
        (0, _) => Err(Exit::Failed("standard input contains no line".into())),
        (_, false) => Ok(()),
        _ => Err(Exit::Silent),
    }
}

/// The hint after texts that are not tokens of the service, because the service may have other settings.
const NOT_OURS_HINT: &str = "hint: not_ours means that a text has none of the prefixes and import forms of \
                             this command line; --prefix, --accept-prefix and --import-form set them";

/// Reports one line. Returns the report, and whether the action and the count were done.
fn report(
    service: &TokenService<FileStore>,
    line: &[u8],
    action: LeakAction,
    request: &LeakRequest,
) -> Result<(LeakReport, bool), Exit> {
    match block_on(service.report_leak(line, action, request.clone())) {
        Ok(report) => Ok((report, true)),
        Err(ReportLeakError::NotDone { report, cause }) => {
            note(visible(&with_causes(&cause)));
            Ok((*report, false))
        }
        Err(ReportLeakError::Invalid(invalid)) => {
            Err(service_tokens::ManageError::Invalid(invalid).into())
        }
        Err(error) => Err(Exit::failed(&error)),
    }
}

/// Returns whether the text was compared and every action succeeded.
fn is_settled(report: &LeakReport) -> bool {
    let all_done = report.response.descendants().is_none_or(|outcome| outcome.failed == 0);
    all_done && !matches!(report.outcome, LeakOutcome::CannotTell(_))
}

fn answer(report: &LeakReport) -> String {
    let mut words = vec![report.outcome.name().to_owned()];
    words.extend(report.id.map(|id| id.to_string()));
    if let Some(record) = &report.record {
        words.push(visible(record.owner()));
        words.push(record.token_type().to_owned());
    }
    match &report.outcome {
        LeakOutcome::CannotTell(why) => words.push(format!("({})", visible(&with_causes(why)))),
        LeakOutcome::EndedToken { state } => words.push(state.to_string()),
        LeakOutcome::Live { secret, state } => {
            words.push(state.to_string());
            if *secret == LeakedSecret::Older {
                words.push("older secret".into());
            }
        }
        _ => {}
    }
    let mut answer = words.join(" ");
    answer += match &report.response {
        LeakResponse::EndedOlder => ": ended the older secret",
        LeakResponse::Suspended { .. } => ": suspended",
        LeakResponse::Revoked { .. } => ": revoked",
        _ => "",
    };
    if let Some(outcome) = report.response.descendants() {
        answer += &format!(" with {} tokens below it", outcome.done);
        if outcome.failed > 0 {
            answer += &format!(", {} failed", outcome.failed);
        }
    }
    if let Some(live @ 1..) = report.live_descendants {
        answer += &format!("; live tokens below it: {live}");
    }
    answer
}

/// Returns the second line of an answer, which says how to continue.
fn advice(report: &LeakReport) -> Option<String> {
    let id = report.id?;
    match &report.outcome {
        LeakOutcome::UnknownId => Some(format!(
            "if its record was purged, tokens below it may be live: `service-tokens list --issuer {id}` \
             lists them"
        )),
        LeakOutcome::WrongSecret | LeakOutcome::EndedSecret | LeakOutcome::EndedToken { .. }
            if report.rotated_itself =>
        {
            Some(format!(
                "the token made its newest secret itself, so a finder of an earlier secret may know that \
                 one: see `service-tokens show {id}`"
            ))
        }
        _ => None,
    }
}
