//! The filters, which select the tokens that a verb lists or revokes.

use service_tokens::Filter;

use crate::args::Args;
use crate::exit::Exit;
use crate::value;

/// The help of the filters, for each verb that has them.
macro_rules! filters_help {
    () => {
        "  --owner OWNER             tokens of this owner
  --type TYPE               tokens of this type
  --issued-to TEXT          tokens with exactly this label
  --issued-to-contains TEXT tokens whose label contains this text
  --issuer ID               tokens that this token issued, directly or through
                            other tokens
  --issued-by TEXT          tokens that this person or program issued
  --expires-before TIME     tokens that expire before this time, or within this
                            duration (14d)
  --created-before TIME     tokens issued before this time, or longer ago than
                            this duration (90d)
  --unused-since TIME       tokens issued before this time and not used since,
                            or not used for this duration (90d)
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
    /// Reads an option that is a filter. Returns `false` if the option is not one.
    pub(crate) fn take(&mut self, option: &str, args: &mut Args) -> Result<bool, Exit> {
        if self.given.iter().any(|given| given == option) {
            return Err(args.usage_error(&format!("--{option} is given twice")));
        }
        let filter = self.filter.clone();
        self.filter = match option {
            "owner" => filter.owner(args.value(value::text)?),
            "type" => filter.token_type(args.value(value::text)?),
            "issued-to" => filter.issued_to(args.value(value::text)?),
            "issued-to-contains" => filter.issued_to_contains(args.value(value::text)?),
            "issuer" => filter.issuer(args.value(value::id)?),
            "issued-by" => filter.issued_by(args.value(value::text)?),
            "expires-before" => filter.expires_before(args.value(value::time_ahead)?),
            "created-before" => filter.created_before(args.value(value::time_ago)?),
            "unused-since" => filter.unused_since(args.value(value::time_ago)?),
            _ => return Ok(false),
        };
        self.given.push(option.to_owned());
        Ok(true)
    }

    /// Returns whether the command line has no filter, so that every token is selected.
    pub(crate) fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// Returns the filter that the command line describes.
    pub(crate) fn filter(&self) -> Filter {
        self.filter.clone()
    }
}
