//! Tokens from the command line, over a file store: a tool for operators, and a model for your own.
//!
//! ```text
//! cargo run -p service-tokens-cli -- --help
//! ```
//!
//! What belongs to your service is in `settings.rs`: prefix, types, policy and store. A service with a
//! key ring gives the ring there too; without it this tool would issue tokens under no key and refuse
//! those under one. The other files hold for any store.
//!
//! Two habits are worth keeping. A token is never an argument, since arguments end up in shell
//! histories and lists of processes, and it leaves the program once, alone on its line on standard
//! output. And nothing that somebody else has written reaches a terminal as it is: see `text.rs`.

mod args;
mod compact;
mod descendants;
mod filters;
mod handover;
mod issue;
mod json;
mod lines;
mod list;
mod outcome;
mod progress;
mod prompt;
mod purge;
mod revoke;
mod revoke_all;
mod rotate;
mod scanner_regex;
mod settings;
mod show;
mod stop;
mod table;
mod text;
mod value;
mod verify;

use std::process::ExitCode;

use args::{Words, refuse_tokens};
use stop::Stop;

const HELP: &str = "\
Issues, verifies, lists, rotates and revokes service tokens in a token file.

  tokens [OPTIONS] VERB ...        `tokens VERB --help` tells more of each

Verbs:
  issue           make a token and print it, this once
  verify          say of tokens on standard input whether they are accepted
  list            list tokens
  show            show all that is known of one token
  rotate          give a token a new secret and print it, this once
  revoke          revoke tokens by their ids, for good
  revoke-all      revoke every token that filters select, for good
  purge           remove what has been dead for long
  scanner-regex   print the expression by which secret scanners find tokens

Options for every verb:
  --file PATH             the token file; otherwise the variable TOKENS_FILE
                          names it. While a service has it open, nothing else
                          can: stop the service, or do it through the service.
                          Nor can a service while this program runs or asks
  --prefix PREFIX         the service's prefix; acme_live unless given
  --accept-prefix PREFIX  accept this older prefix too; repeatable
  --type-def NAME=SCOPE,SCOPE
                          a type of the service; repeatable. Without any, three
                          are known: connector (may upload files), developer
                          (every API) and manager (also manages tokens)
  --longest-lifetime DURATION
                          how long a token may live at most; 366d unless given
  --allow-never           allow tokens without an end
  -h, --help              this, or behind a verb, what that does

Durations are a number and s, m, h, d or w, such as 90d. Times are RFC 3339,
such as 2027-01-01T00:00:00Z.

A token is never an argument, since arguments end up in shell histories. A new
one is alone on standard output; what else `issue` and `rotate` say is on
standard error.

Exit status:
  0   done
  1   not done: refused, not found, cancelled or failed; of `verify`, not every
      line was accepted
  2   the command line has a mistake, and nothing was opened
";

struct Verb {
    name: &'static str,
    help: &'static str,
    run: fn(Words) -> Result<(), Stop>,
}

const VERBS: &[Verb] = &[
    Verb { name: "issue", help: issue::HELP, run: issue::run },
    Verb { name: "verify", help: verify::HELP, run: verify::run },
    Verb { name: "list", help: list::HELP, run: list::run },
    Verb { name: "show", help: show::HELP, run: show::run },
    Verb { name: "rotate", help: rotate::HELP, run: rotate::run },
    Verb { name: "revoke", help: revoke::HELP, run: revoke::run },
    Verb { name: "revoke-all", help: revoke_all::HELP, run: revoke_all::run },
    Verb { name: "purge", help: purge::HELP, run: purge::run },
    Verb { name: "scanner-regex", help: scanner_regex::HELP, run: scanner_regex::run },
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => stop.report(),
    }
}

fn run() -> Result<(), Stop> {
    refuse_tokens(std::env::args_os())?;
    let mut words = Words::new(lexopt::Parser::from_env(), HELP);
    let Some(name) = words.verb()? else {
        return Err(Stop::Usage(format!("no verb is given\n\n{HELP}")));
    };
    if name == "help" {
        return Err(match words.verb()? {
            None => Stop::Help(HELP),
            Some(name) => Stop::Help(find(&name, &words)?.help),
        });
    }
    let verb = find(&name, &words)?;
    words.enter(verb.name, verb.help);
    (verb.run)(words)
}

fn find(name: &str, words: &Words) -> Result<&'static Verb, Stop> {
    VERBS.iter().find(|verb| verb.name == name).ok_or_else(|| {
        let names: Vec<&str> = VERBS.iter().map(|verb| verb.name).collect();
        words.mistake(&format!("there is no such verb; there are {}", names.join(", ")))
    })
}
