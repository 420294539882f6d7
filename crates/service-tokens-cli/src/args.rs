//! Reads the command line.
//!
//! To find or add an option:
//!
//! | option | place |
//! | --- | --- |
//! | for every verb, such as `--file` | `Args::common_option`, and `HELP` in `main.rs` |
//! | of one verb, such as `rotate --overlap` | the `match` in `run` in that verb's file, and `HELP` above it |
//! | a filter, such as `--owner` | `Filters::take` in `filters.rs`, and the help above it |
//!
//! `value.rs` parses the values. No message repeats a value, because it could be a token or a part of
//! one.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use lexopt::Arg;
use service_tokens::TokenId;

use crate::events::EventsOption;
use crate::exit::Exit;
use crate::import_form;
use crate::settings::Settings;
use crate::value;

/// Characters after the version character: 22 of the id, 43 of the secret, 6 of the checksum.
const TOKEN_BODY: usize = 71;

const VERSION: &str = concat!("service-tokens ", env!("CARGO_PKG_VERSION"), "\n");

/// Refuses a command line in which any argument contains a token.
pub(crate) fn refuse_tokens(args: impl Iterator<Item = OsString>) -> Result<(), Exit> {
    for (index, arg) in args.enumerate() {
        if contains_token(&arg) {
            return Err(Exit::Usage(format!(
                "argument {index} contains a token, and arguments are visible in shell histories and \
                 process lists\n\
                 hint: treat this token as leaked; `service-tokens rotate ID --at-once` ends its \
                 secret\n\
                 hint: `service-tokens verify` reads tokens from standard input"
            )));
        }
    }
    Ok(())
}

/// Returns whether an argument contains a token of any prefix, or text of the same shape.
fn contains_token(arg: &OsStr) -> bool {
    let is_body = |run: &[u8]| run.len() >= TOKEN_BODY && run.iter().all(u8::is_ascii_alphanumeric);
    let starts = arg.as_encoded_bytes().windows(2 + TOKEN_BODY);
    starts.into_iter().any(|window| window.starts_with(b"_1") && is_body(&window[2..]))
}

/// The arguments of one call. Options and operands can come in any order.
///
/// Options for every verb go into `settings`. The verb reads its own options with
/// [`next_option`](Self::next_option).
pub(crate) struct Args {
    parser: lexopt::Parser,
    pub(crate) settings: Settings,
    operands: Vec<String>,
    verb: &'static str,
    help: &'static str,
    /// The name of the option that was read last.
    option: String,
}

enum Item {
    Option(String),
    Operand(String),
}

impl Args {
    pub(crate) fn new(parser: lexopt::Parser, help: &'static str) -> Self {
        let settings = Settings::default();
        Self { parser, settings, operands: Vec::new(), verb: "", help, option: String::new() }
    }

    /// Returns the next operand, which is the verb. Only options for every verb can come before it.
    pub(crate) fn verb(&mut self) -> Result<Option<String>, Exit> {
        match self.next()? {
            Some(Item::Option(option)) => Err(self.unknown_option(&option)),
            Some(Item::Operand(verb)) => Ok(Some(verb)),
            None => Ok(None),
        }
    }

    /// Sets the verb to which the remaining arguments belong.
    pub(crate) fn enter_verb(&mut self, verb: &'static str, help: &'static str) {
        (self.verb, self.help) = (verb, help);
    }

    /// Returns the name of the verb's next option, and collects the operands before it.
    ///
    /// The caller then reads the option's value with `set` or `push`, or calls `flag` if the option
    /// takes none.
    pub(crate) fn next_option(&mut self) -> Result<Option<String>, Exit> {
        loop {
            match self.next()? {
                Some(Item::Option(option)) => return Ok(Some(option)),
                Some(Item::Operand(operand)) => self.operands.push(operand),
                None => return Ok(None),
            }
        }
    }

    fn next(&mut self) -> Result<Option<Item>, Exit> {
        loop {
            self.option = match self.parser.next() {
                Ok(None) => return Ok(None),
                Ok(Some(Arg::Long(name))) => name.to_owned(),
                Ok(Some(Arg::Short('h'))) => "help".to_owned(),
                Ok(Some(Arg::Short('V'))) => "version".to_owned(),
                Ok(Some(Arg::Short(_))) => {
                    return Err(
                        self.usage_error("options are written with two dashes and their full name")
                    );
                }
                Ok(Some(Arg::Value(operand))) => {
                    let operand = operand.into_string().map_err(|_| self.usage_error(NOT_TEXT))?;
                    return Ok(Some(Item::Operand(operand)));
                }
                Err(_) => {
                    return Err(self.usage_error(&format!("--{} takes no value", self.option)));
                }
            };
            if !self.common_option()? {
                return Ok(Some(Item::Option(self.option.clone())));
            }
        }
    }

    /// Reads an option for every verb. Returns `false` if the option is not one of them.
    fn common_option(&mut self) -> Result<bool, Exit> {
        let mut settings = std::mem::take(&mut self.settings);
        match &*self.option {
            "help" => return Err(Exit::Help(self.help)),
            "version" => return Err(Exit::Help(VERSION)),
            "file" => self.set_path(&mut settings.file)?,
            "events" => {
                let path = self.path()?;
                self.set_events(&mut settings.events, EventsOption::File(path))?;
            }
            "no-events" => {
                self.flag(&mut true)?;
                self.set_events(&mut settings.events, EventsOption::Off)?;
            }
            "prefix" => self.set(&mut settings.prefix, value::prefix)?,
            "accept-prefix" => self.push(&mut settings.accepted, value::prefix)?,
            "type-def" => self.push(&mut settings.types, value::type_def)?,
            "import-form" => {
                let number = settings.import_forms.len() + 1;
                self.push(&mut settings.import_forms, |text| import_form::parse(number, text))?;
            }
            "max-lifetime" => self.set(&mut settings.max_lifetime, value::duration)?,
            "allow-never" => self.flag(&mut settings.allow_never)?,
            _ => {
                self.settings = settings;
                return Ok(false);
            }
        }
        self.settings = settings;
        Ok(true)
    }

    fn set_events(&self, slot: &mut EventsOption, events: EventsOption) -> Result<(), Exit> {
        match std::mem::replace(slot, events) {
            EventsOption::NextToTokens => Ok(()),
            _ => Err(self.usage_error("--events and --no-events can be given once in all")),
        }
    }

    /// Reads the value of an option that can be given once.
    pub(crate) fn set<T>(
        &mut self,
        slot: &mut Option<T>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<(), Exit> {
        if slot.is_some() {
            return Err(self.usage_error(&format!("--{} is given twice", self.option)));
        }
        *slot = Some(self.value(read)?);
        Ok(())
    }

    /// Reads the value of an option that is a path. It need not be UTF-8.
    pub(crate) fn set_path(&mut self, slot: &mut Option<PathBuf>) -> Result<(), Exit> {
        match slot.replace(self.path()?) {
            None => Ok(()),
            Some(_) => Err(self.usage_error(&format!("--{} is given twice", self.option))),
        }
    }

    fn path(&mut self) -> Result<PathBuf, Exit> {
        match self.raw_value()? {
            // A variable of the shell that is not set.
            path if path.is_empty() => {
                Err(self.usage_error(&format!("--{} must not be empty", self.option)))
            }
            path => Ok(path.into()),
        }
    }

    /// Reads the value of an option that can be repeated.
    pub(crate) fn push<T>(
        &mut self,
        values: &mut Vec<T>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<(), Exit> {
        values.push(self.value(read)?);
        Ok(())
    }

    /// Reads an option that takes no value.
    pub(crate) fn flag(&mut self, slot: &mut bool) -> Result<(), Exit> {
        *slot = true;
        match self.parser.optional_value() {
            None => Ok(()),
            Some(_) => Err(self.usage_error(&format!("--{} takes no value", self.option))),
        }
    }

    /// Reads the value of the option that was read last.
    pub(crate) fn value<T>(
        &mut self,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Exit> {
        let text = self.raw_value()?.into_string().map_err(|_| self.usage_error(NOT_TEXT))?;
        read(&text).map_err(|error| self.usage_error(&format!("--{} {error}", self.option)))
    }

    fn raw_value(&mut self) -> Result<OsString, Exit> {
        if let Some(value) = self.parser.optional_value() {
            return Ok(value);
        }
        match self.parser.value() {
            Ok(value) if !value.as_encoded_bytes().starts_with(b"--") => Ok(value),
            // Otherwise a forgotten value would make the next option its value.
            Ok(_) => Err(self.usage_error(&format!(
                "--{0} needs a value; write --{0}=VALUE if the value starts with --",
                self.option
            ))),
            Err(_) => Err(self.usage_error(&format!("--{} needs a value", self.option))),
        }
    }

    /// Returns the operands, which must be exactly these.
    pub(crate) fn operands<const N: usize>(&self, names: [&str; N]) -> Result<[&str; N], Exit> {
        let given: Vec<&str> = self.operands.iter().map(String::as_str).collect();
        given.try_into().map_err(|given: Vec<&str>| match names.get(given.len()) {
            Some(missing) => self.usage_error(&format!("{missing} is missing")),
            None if N == 0 => self.usage_error("only options are allowed here"),
            None => self.usage_error(&format!("no operand is allowed after {}", names.join(" "))),
        })
    }

    /// Returns the only operand, a token id.
    pub(crate) fn id(&self) -> Result<TokenId, Exit> {
        let [id] = self.operands(["ID"])?;
        value::id(id).map_err(|error| self.usage_error(&format!("ID {error}")))
    }

    /// Returns the operands, which must be token ids. Returns `None` if the only operand is `-`,
    /// which means that the ids are on standard input.
    pub(crate) fn ids(&self) -> Result<Option<Vec<TokenId>>, Exit> {
        match &self.operands[..] {
            [] => Err(self.usage_error("ID is missing")),
            [operand] if operand == "-" => Ok(None),
            operands => {
                let ids = operands.iter().map(|id| value::id(id)).collect::<Result<_, _>>();
                ids.map(Some).map_err(|error| self.usage_error(&format!("ID {error}")))
            }
        }
    }

    /// Returns the operands, which are at least one path.
    pub(crate) fn files(&self, name: &str) -> Result<&[String], Exit> {
        match &self.operands[..] {
            [] => Err(self.usage_error(&format!("{name} is missing"))),
            files => Ok(files),
        }
    }

    /// Returns the value of a required option.
    pub(crate) fn required<T>(&self, value: Option<T>, option: &str) -> Result<T, Exit> {
        value.ok_or_else(|| self.usage_error(&format!("--{option} is missing")))
    }

    /// Returns the error for an option that the verb does not have.
    pub(crate) fn unknown_option(&self, option: &str) -> Exit {
        // A name that could be part of a token is not repeated.
        if option.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
            self.usage_error(&format!("--{option} is not an option of this command"))
        } else {
            self.usage_error("an option is unknown")
        }
    }

    /// Returns the error for a wrong command line, with a reference to the help.
    pub(crate) fn usage_error(&self, error: &str) -> Exit {
        Exit::Usage(match self.verb {
            "" => format!("{error}\nhint: see `service-tokens --help`"),
            verb => format!("{verb}: {error}\nhint: see `service-tokens {verb} --help`"),
        })
    }
}

const NOT_TEXT: &str = "an argument is not valid UTF-8";
