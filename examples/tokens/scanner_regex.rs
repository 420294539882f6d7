//! `tokens scanner-regex`

use std::io::{self, Write};

use crate::args::Words;
use crate::stop::Stop;

pub(crate) const HELP: &str = "\
Prints the expression by which secret scanners find the service's tokens. Needs no file.

  tokens scanner-regex [--prefix PREFIX] [--accept-prefix PREFIX]...
";

pub(crate) fn run(mut words: Words) -> Result<(), Stop> {
    if let Some(option) = words.next_option()? {
        return Err(words.unknown(&option));
    }
    let [] = words.operands([])?;
    let expression = service_tokens::scanner_regex(&words.settings.prefixes()?);
    writeln!(io::stdout(), "{expression}").map_err(Stop::output)
}
