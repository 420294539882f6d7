//! A command-line tool that manages service tokens in a token file. Operators can run it as it is,
//! and authors of a service can copy it for their own tool.
//!
//! ```text
//! cargo run -p service-tokens-cli -- --help
//! ```
//!
//! The prefix, the token types, the policy and the store of a service are in `settings.rs`. If your service has a key ring, set the same ring there. Without it this tool issues
//! tokens under no key and refuses the tokens that have one. The other files work with any service.
//!
//! Two rules hold in every verb:
//!
//! - A token is never an argument, because arguments are visible in shell histories and process lists.
//!   A new token is printed once, alone on its line, on standard output.
//! - Text that another person wrote never reaches a terminal unescaped (see `output::visible`).

mod amend;
mod args;
mod bulk;
mod clock_check;
mod clock_gap;
mod csv;
mod descendants;
mod end_older;
mod events;
mod exit;
mod file_kind;
mod filters;
mod import;
mod import_form;
mod import_rows;
mod import_values;
mod issue;
mod json;
mod lines;
mod list;
mod new_file;
mod out_file;
mod outcome;
mod output;
mod own_files;
mod progress;
mod prompt;
mod purge;
mod replay_revocations;
mod report_leak;
mod resume;
mod resume_all;
mod revoke;
mod revoke_all;
mod rotate;
mod scanner_regex;
mod session;
mod settings;
mod several;
mod show;
mod stdio;
mod suspend;
mod suspend_all;
mod suspensions;
mod table;
mod value;
mod verify;

use std::process::ExitCode;

use args::{Args, refuse_tokens};
use exit::Exit;

const HELP: &str = "\
Issues, verifies, lists, rotates, suspends, revokes and imports service tokens
in a token file.

  service-tokens [OPTIONS] VERB ...
  service-tokens VERB --help        describes one verb

Verbs:
  issue               create a token and print it once
  verify              check the tokens on standard input
  list                list tokens
  show                show everything that is stored about one token
  rotate              give a token a new secret and print it once
  suspend             suspend tokens by id, with or without those below them
  suspend-all         suspend every token that matches filters
  resume              resume suspended tokens by id, or end one suspension
  resume-all          end one suspension of every token that matches filters
  amend               change the label or expiry, or take scopes away
  end-older           end the older of two secrets, while the newest stays
  revoke              revoke tokens by id, permanently
  revoke-all          revoke every token that matches filters, permanently
  replay-revocations  revoke again what events name as revoked, in an old copy
  report-leak         look for tokens in texts that leaked, and revoke them
  import              import tokens of an older system by their digests
  purge               remove the records of tokens that ended long ago
  scanner-regex       print the expression with which scanners find tokens

Options for every verb:
  --file PATH             the token file (default: the variable TOKENS_FILE).
                          While a service has the file open, no other program
                          can open it: stop the service, or use its own API.
                          While this program runs, and also while it waits for
                          an answer, the service cannot open the file
  --events FILE           append an event for each change to this file, as one
                          line of JSON (default: the path of the token file
                          with .events.jsonl after it). A new file gets the
                          owner, group and mode of the token file. If the file
                          cannot be opened, nothing is changed. Without this
                          option, verbs that revoke or suspend continue then,
                          show their events and end with status 4
  --no-events             write no events
  --prefix PREFIX         the service's prefix (default: acme_live)
  --accept-prefix PREFIX  also accept this older prefix; repeatable
  --type-def NAME=SCOPE,SCOPE
                          a token type of the service; repeatable. Without this
                          option there are three: connector (may upload files),
                          developer (every API) and manager (every API, and may
                          manage tokens)
  --max-lifetime DURATION the longest lifetime of a token (default: 366d)
  --allow-never           allow tokens that never expire
  --import-form FORM      a form of tokens of an older system; repeatable. It is
                          a hash (sha256, sha512 or hmac-sha256), followed by
                          words that are separated by commas:
                            prefix=TEXT      the text before the rest
                            characters=SET   of the rest: digits, lower, upper,
                                             lower-hex, upper-hex, base62,
                                             base64url, base64 or of:LIST,
                                             joined by +
                            lengths=N        of the rest: 32, 40..48 or 40+48
                            hashed=PART      text (default), rest, or after:C,
                                             the part after the last C
                            hashed-lengths=N the lengths of that part
                            key-id=XXXX      the id of the HMAC key, four bytes
                            key-file=PATH    a file that contains only the key
                            allow-guessing-from-ids
                                             allow fewer than 112 random bits
  -h, --help              show this help, or the help of the verb before it
  -V, --version           show the version

A duration is a number with s, m, h, d or w, such as 90d. A time is RFC 3339,
such as 2027-01-01T00:00:00Z.

A token is never an argument, because arguments are visible in shell histories.
`issue` and `rotate` print the new token alone on standard output, or write it
to the file of --out. All other information is on standard error.

Exit status:
  0   success
  1   refused, not found, cancelled or failed, for several tokens also if that
      is true for one of them, or output was lost; for `verify`, at least one
      line was not accepted
  2   the command line is wrong; no file was opened
  3   for `import`, at least one row was refused
  4   every change that was asked for is in effect, but events could not be
      written. They are on standard error. If a change was refused too, the
      status is 1 or 3
  5   nothing was changed, because no record has the value of a filter, such as
      an owner or a type with a typing error; for `replay-revocations`, because
      no id has a record
";

struct Verb {
    name: &'static str,
    help: &'static str,
    run: fn(Args) -> Result<(), Exit>,
}

const VERBS: &[Verb] = &[
    Verb { name: "issue", help: issue::HELP, run: issue::run },
    Verb { name: "verify", help: verify::HELP, run: verify::run },
    Verb { name: "list", help: list::HELP, run: list::run },
    Verb { name: "show", help: show::HELP, run: show::run },
    Verb { name: "rotate", help: rotate::HELP, run: rotate::run },
    Verb { name: "suspend", help: suspend::HELP, run: suspend::run },
    Verb { name: "suspend-all", help: suspend_all::HELP, run: suspend_all::run },
    Verb { name: "resume", help: resume::HELP, run: resume::run },
    Verb { name: "resume-all", help: resume_all::HELP, run: resume_all::run },
    Verb { name: "amend", help: amend::HELP, run: amend::run },
    Verb { name: "end-older", help: end_older::HELP, run: end_older::run },
    Verb { name: "revoke", help: revoke::HELP, run: revoke::run },
    Verb { name: "revoke-all", help: revoke_all::HELP, run: revoke_all::run },
    Verb {
        name: "replay-revocations",
        help: replay_revocations::HELP,
        run: replay_revocations::run,
    },
    Verb { name: "report-leak", help: report_leak::HELP, run: report_leak::run },
    Verb { name: "import", help: import::HELP, run: import::run },
    Verb { name: "purge", help: purge::HELP, run: purge::run },
    Verb { name: "scanner-regex", help: scanner_regex::HELP, run: scanner_regex::run },
];

fn main() -> ExitCode {
    let status = run().map_or_else(Exit::report, |()| 0);
    // A status of its own for lost events must not hide that a change was refused.
    ExitCode::from(match status {
        0 if output::are_notes_lost() => exit::FAILED,
        0 if events::are_unwritten() => exit::EVENTS_UNWRITTEN,
        status => status,
    })
}

fn run() -> Result<(), Exit> {
    refuse_tokens(std::env::args_os())?;
    let mut args = Args::new(lexopt::Parser::from_env(), HELP);
    let Some(name) = args.verb()? else {
        return Err(Exit::Usage(format!("the verb is missing\n\n{HELP}")));
    };
    if name == "help" {
        return Err(match args.verb()? {
            None => Exit::Help(HELP),
            Some(name) => Exit::Help(find(&name, &args)?.help),
        });
    }
    let verb = find(&name, &args)?;
    args.enter_verb(verb.name, verb.help);
    (verb.run)(args)
}

fn find(name: &str, args: &Args) -> Result<&'static Verb, Exit> {
    VERBS.iter().find(|verb| verb.name == name).ok_or_else(|| {
        let names: Vec<&str> = VERBS.iter().map(|verb| verb.name).collect();
        args.usage_error(&format!("the verb must be one of {}", names.join(", ")))
    })
}
