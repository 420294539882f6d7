//! `service-tokens scanner-regex`

use crate::args::Args;
use crate::exit::Exit;
use crate::output::print;
use crate::stdio;

pub(crate) const HELP: &str = "\
Prints the regular expression with which secret scanners find the service's
tokens. Needs no file.

  service-tokens scanner-regex [--prefix PREFIX] [--accept-prefix PREFIX]...
";

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    if let Some(option) = args.next_option()? {
        return Err(args.unknown_option(&option));
    }
    let [] = args.operands([])?;
    stdio::require_stdout()?;
    print(service_tokens::token::scanner_regex(&args.settings.prefixes()?))
}
