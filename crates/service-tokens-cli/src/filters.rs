//! The filters, which select the tokens that a verb lists or revokes.

use chrono::{DateTime, Utc};
use futures_lite::future::block_on;
use service_tokens::store::States;
use service_tokens::{FileStore, Filter, ListRequest, ManageError, TokenService};

use crate::args::Args;
use crate::exit::Exit;
use crate::output::{time, visible};
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
    given: Vec<Given>,
    /// Whether a filter is counted from the clock of this machine.
    by_clock: bool,
}

/// A filter, as the command line names it.
#[derive(Debug)]
struct Given {
    option: String,
    value: String,
}

impl Filters {
    /// Reads an option that is a filter. Returns `false` if the option is not one.
    pub(crate) fn take(&mut self, option: &str, args: &mut Args) -> Result<bool, Exit> {
        if self.given.iter().any(|given| given.option == option) {
            return Err(args.usage_error(&format!("--{option} is given twice")));
        }
        let filter = self.filter.clone();
        let mut value = String::new();
        let mut text = |args: &mut Args| -> Result<String, Exit> {
            let text = args.value(value::text)?;
            value = visible(&text);
            Ok(text)
        };
        self.filter = match option {
            "owner" => filter.owner(text(args)?),
            "type" => filter.token_type(text(args)?),
            "issued-to" => filter.issued_to(text(args)?),
            "issued-to-contains" => filter.issued_to_contains(text(args)?),
            "issued-by" => filter.issued_by(text(args)?),
            "issuer" => {
                let id = args.value(value::id)?;
                value = id.to_string();
                filter.issuer(id)
            }
            "expires-before" => {
                let end = self.time(args, value::time_ahead, &mut value)?;
                filter.expires_before(end)
            }
            "created-before" => {
                let end = self.time(args, value::time_ago, &mut value)?;
                filter.created_before(end)
            }
            "unused-since" => {
                let start = self.time(args, value::time_ago, &mut value)?;
                filter.unused_since(start)
            }
            _ => return Ok(false),
        };
        self.given.push(Given { option: option.to_owned(), value });
        Ok(true)
    }

    /// Reads a time. A duration is counted from the clock, and is shown as the time that it means.
    fn time(
        &mut self,
        args: &mut Args,
        read: fn(&str) -> Result<DateTime<Utc>, String>,
        shown: &mut String,
    ) -> Result<DateTime<Utc>, Exit> {
        args.value(|text| {
            let read = read(text)?;
            *shown = time(read);
            if value::time(text).is_none() {
                self.by_clock = true;
                *shown = format!("{shown} ({text})");
            }
            Ok(read)
        })
    }

    /// Returns whether the command line has no filter, so that every token is selected.
    pub(crate) fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// Returns whether a filter is counted from the clock of this machine.
    pub(crate) fn is_by_clock(&self) -> bool {
        self.by_clock
    }

    /// Returns the filter that the command line describes.
    pub(crate) fn filter(&self) -> Filter {
        self.filter.clone()
    }

    /// Returns the filters in one line, as the command line names them.
    pub(crate) fn text(&self) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:@".contains(c);
        let words = self.given.iter().map(|Given { option, value }| {
            let is_time = option.ends_with("-before") || option.ends_with("-since");
            match is_time || !value.is_empty() && value.chars().all(is_plain) {
                true => format!("--{option} {value}"),
                false => format!("--{option} '{value}'"),
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Returns an error if a filter names a value that no record has in any state. Such a value is probably
    /// a typing error.
    pub(crate) fn expect_known(&self, service: &TokenService<FileStore>) -> Result<(), Exit> {
        match self.unknown(service)?[..] {
            [] => Ok(()),
            ref unknown => {
                Err(Exit::Unknown(format!("{}: nothing was changed", unknown.join("\n"))))
            }
        }
    }

    /// Returns a sentence for each filter that names a value that no record has.
    pub(crate) fn unknown(&self, service: &TokenService<FileStore>) -> Result<Vec<String>, Exit> {
        let any = || Filter::new().states(States::ALL);
        let mut unknown = Vec::new();
        for Given { option, value } in &self.given {
            let (alone, what) = match &**option {
                "owner" => (any().owner(self.filter.owner.clone().unwrap_or_default()), "owner"),
                "type" => {
                    let name = self.filter.token_type.clone().unwrap_or_default();
                    if service.token_types().any(|known| known.name() == name) {
                        continue;
                    }
                    (any().token_type(name), "type")
                }
                "issued-to" => {
                    (any().issued_to(self.filter.issued_to.clone().unwrap_or_default()), "label")
                }
                "issued-to-contains" => {
                    let part = self.filter.issued_to_contains.clone().unwrap_or_default();
                    (any().issued_to_contains(part), "part of a label")
                }
                "issued-by" => {
                    (any().issued_by(self.filter.issued_by.clone().unwrap_or_default()), "issuer")
                }
                "issuer" => {
                    let Some(id) = self.filter.issuer else { continue };
                    match block_on(service.all_owners().get(id)) {
                        Ok(_) => continue,
                        Err(ManageError::NotFound { .. }) => (any().issuer(id), "issuing token"),
                        Err(error) => return Err(error.into()),
                    }
                }
                _ => continue,
            };
            let page = block_on(service.all_owners().list(ListRequest::from(alone).limit(1)))?;
            if page.items.is_empty() {
                unknown.push(format!("no record has the {what} '{value}' of --{option}"));
            }
        }
        Ok(unknown)
    }
}
