//! `tokens scanner-regex`

use crate::args::Words;
use crate::stop::{Stop, print};

pub(crate) const HELP: &str = "\
Prints the expression by which secret scanners find the service's tokens. Needs
no file.

  tokens scanner-regex [--prefix PREFIX] [--accept-prefix PREFIX]...
";

pub(crate) fn run(mut words: Words) -> Result<(), Stop> {
    if let Some(option) = words.next_option()? {
        return Err(words.unknown(&option));
    }
    let [] = words.operands([])?;
    print(service_tokens::token::scanner_regex(&words.settings.prefixes()?))
}
