//! Which tokens a verb is about.

use service_tokens::Filter;

use crate::args::Words;
use crate::stop::Stop;
use crate::value;

/// What the filters have in common in the help of each verb that has them.
macro_rules! filters_help {
    () => {
        "  --owner OWNER             only this owner's
  --type TYPE               only of this type
  --issued-to TEXT          only those with exactly this issued-to
  --issued-to-contains TEXT only those whose issued-to contains this
  --issuer ID               only those that this token issued, directly or
                            through others
  --issued-by TEXT          only those that this person or program issued
  --expiring-before TIME    only those that end before this time, or within so
                            long (14d)
  --created-before TIME     only those issued before this time, or longer ago
                            than so long (90d)
  --unused-since TIME       only those issued and not used since this time, or
                            for so long (90d)
"
    };
}
pub(crate) use filters_help;

/// The filters of one command line.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    filter: Filter,
    given: Vec<String>,
}

impl Filters {
    /// Takes an option, if it is a filter.
    pub(crate) fn take(&mut self, option: &str, words: &mut Words) -> Result<bool, Stop> {
        if self.given.iter().any(|given| given == option) {
            return Err(words.mistake(&format!("--{option} is given twice")));
        }
        let filter = self.filter.clone();
        self.filter = match option {
            "owner" => filter.owner(words.value(value::text)?),
            "type" => filter.token_type(words.value(value::text)?),
            "issued-to" => filter.issued_to(words.value(value::text)?),
            "issued-to-contains" => filter.issued_to_contains(words.value(value::text)?),
            "issuer" => filter.issuer(words.value(value::id)?),
            "issued-by" => filter.issued_by(words.value(value::text)?),
            "expires-before" => filter.expires_before(words.value(value::ahead)?),
            "created-before" => filter.created_before(words.value(value::ago)?),
            "unused-since" => filter.unused_since(words.value(value::ago)?),
            _ => return Ok(false),
        };
        self.given.push(option.to_owned());
        Ok(true)
    }

    /// Whether every token is selected.
    pub(crate) fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    pub(crate) fn filter(&self) -> Filter {
        self.filter.clone()
    }
}
