//! The words of the command line.
//!
//! No message repeats a value: it could be a token, or a part of one.

use std::ffi::{OsStr, OsString};

use lexopt::Arg;
use service_tokens::TokenId;

use crate::settings::Settings;
use crate::stop::Stop;
use crate::value;

/// The characters behind the version in a token.
const TOKEN_BODY: usize = 71;

/// Refuses a command line that has a token anywhere in it.
pub(crate) fn refuse_tokens(words: impl Iterator<Item = OsString>) -> Result<(), Stop> {
    for (place, word) in words.enumerate() {
        if holds_token(&word) {
            return Err(Stop::Usage(format!(
                "argument {place} holds a token, and tokens are not taken as arguments: they stay in \
                 shell histories and show in lists of processes.\nTreat this one as leaked: \
                 `tokens rotate ID --at-once` ends its secret. `tokens verify` reads tokens from \
                 standard input."
            )));
        }
    }
    Ok(())
}

/// Whether there is a token of any prefix in a text, or what looks like one.
fn holds_token(word: &OsStr) -> bool {
    let of_body = |run: &[u8]| run.len() >= TOKEN_BODY && run.iter().all(u8::is_ascii_alphanumeric);
    let starts = word.as_encoded_bytes().windows(2 + TOKEN_BODY);
    starts.into_iter().any(|window| window.starts_with(b"_1") && of_body(&window[2..]))
}

/// Reads options and operands in any order. Those for every verb go into the settings; the others are
/// the verb's.
pub(crate) struct Words {
    parser: lexopt::Parser,
    pub(crate) settings: Settings,
    operands: Vec<String>,
    verb: &'static str,
    help: &'static str,
    /// The option that was read last.
    option: String,
}

enum Word {
    Option(String),
    Operand(String),
}

impl Words {
    pub(crate) fn new(parser: lexopt::Parser, help: &'static str) -> Self {
        let settings = Settings::default();
        Self { parser, settings, operands: Vec::new(), verb: "", help, option: String::new() }
    }

    /// The next operand, ahead of which there are only options for every verb.
    pub(crate) fn verb(&mut self) -> Result<Option<String>, Stop> {
        match self.next()? {
            Some(Word::Option(option)) => Err(self.unknown(&option)),
            Some(Word::Operand(verb)) => Ok(Some(verb)),
            None => Ok(None),
        }
    }

    /// From here on it is this verb's words.
    pub(crate) fn enter(&mut self, verb: &'static str, help: &'static str) {
        (self.verb, self.help) = (verb, help);
    }

    /// The name of the next option of the verb; what it takes is read by `set`, `push` or `flag`.
    pub(crate) fn next_option(&mut self) -> Result<Option<String>, Stop> {
        loop {
            match self.next()? {
                Some(Word::Option(option)) => return Ok(Some(option)),
                Some(Word::Operand(operand)) => self.operands.push(operand),
                None => return Ok(None),
            }
        }
    }

    fn next(&mut self) -> Result<Option<Word>, Stop> {
        loop {
            self.option = match self.parser.next() {
                Ok(None) => return Ok(None),
                Ok(Some(Arg::Long(name))) => name.to_owned(),
                Ok(Some(Arg::Short('h'))) => "help".to_owned(),
                Ok(Some(Arg::Short(_))) => {
                    return Err(self.mistake("options have whole names and two dashes"));
                }
                Ok(Some(Arg::Value(operand))) => {
                    let operand = operand.into_string().map_err(|_| self.mistake(NOT_TEXT))?;
                    return Ok(Some(Word::Operand(operand)));
                }
                Err(_) => return Err(self.mistake(&format!("--{} takes no value", self.option))),
            };
            if !self.common()? {
                return Ok(Some(Word::Option(self.option.clone())));
            }
        }
    }

    /// Takes an option for every verb, if it is one.
    fn common(&mut self) -> Result<bool, Stop> {
        let mut settings = std::mem::take(&mut self.settings);
        match &*self.option {
            "help" => return Err(Stop::Help(self.help)),
            "file" => {
                let path = self.raw_value()?;
                if settings.file.replace(path.into()).is_some() {
                    return Err(self.mistake("--file is given twice"));
                }
            }
            "prefix" => self.set(&mut settings.prefix, value::prefix)?,
            "accept-prefix" => self.push(&mut settings.accepted, value::prefix)?,
            "type-def" => self.push(&mut settings.types, value::type_def)?,
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

    /// Reads the value of an option that is given once.
    pub(crate) fn set<T>(
        &mut self,
        slot: &mut Option<T>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<(), Stop> {
        if slot.is_some() {
            return Err(self.mistake(&format!("--{} is given twice", self.option)));
        }
        *slot = Some(self.value(read)?);
        Ok(())
    }

    /// Reads the value of an option that may be repeated.
    pub(crate) fn push<T>(
        &mut self,
        values: &mut Vec<T>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<(), Stop> {
        values.push(self.value(read)?);
        Ok(())
    }

    /// Takes an option without a value.
    pub(crate) fn flag(&mut self, slot: &mut bool) -> Result<(), Stop> {
        *slot = true;
        match self.parser.optional_value() {
            None => Ok(()),
            Some(_) => Err(self.mistake(&format!("--{} takes no value", self.option))),
        }
    }

    /// Reads the value of the option that was read last.
    pub(crate) fn value<T>(
        &mut self,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Stop> {
        let text = self.raw_value()?.into_string().map_err(|_| self.mistake(NOT_TEXT))?;
        read(&text).map_err(|why| self.mistake(&format!("--{} {why}", self.option)))
    }

    fn raw_value(&mut self) -> Result<OsString, Stop> {
        if let Some(value) = self.parser.optional_value() {
            return Ok(value);
        }
        match self.parser.value() {
            Ok(value) if !value.as_encoded_bytes().starts_with(b"--") => Ok(value),
            // Otherwise a forgotten value would swallow the option behind it.
            Ok(_) => Err(self.mistake(&format!(
                "--{0} needs a value; one that starts with -- is written --{0}=--…",
                self.option
            ))),
            Err(_) => Err(self.mistake(&format!("--{} needs a value", self.option))),
        }
    }

    /// What is neither option nor value: exactly these.
    pub(crate) fn operands<const N: usize>(&self, names: [&str; N]) -> Result<[&str; N], Stop> {
        let given: Vec<&str> = self.operands.iter().map(String::as_str).collect();
        given.try_into().map_err(|given: Vec<&str>| match names.get(given.len()) {
            Some(missing) => self.mistake(&format!("{missing} is missing")),
            None if N == 0 => self.mistake("only options are taken here"),
            None => self.mistake(&format!("nothing is taken behind {}", names.join(" "))),
        })
    }

    /// The only operand, a token's id.
    pub(crate) fn id(&self) -> Result<TokenId, Stop> {
        let [id] = self.operands(["ID"])?;
        value::id(id).map_err(|why| self.mistake(&format!("ID {why}")))
    }

    /// The operands, tokens' ids and at least one; `None` for `-`, which says that they are on standard
    /// input.
    pub(crate) fn ids(&self) -> Result<Option<Vec<TokenId>>, Stop> {
        match &self.operands[..] {
            [] => Err(self.mistake("ID is missing")),
            [operand] if operand == "-" => Ok(None),
            operands => {
                let ids = operands.iter().map(|id| value::id(id)).collect::<Result<_, _>>();
                ids.map(Some).map_err(|why| self.mistake(&format!("ID {why}")))
            }
        }
    }

    /// The value of an option without which it does not go.
    pub(crate) fn required<T>(&self, value: Option<T>, option: &str) -> Result<T, Stop> {
        value.ok_or_else(|| self.mistake(&format!("--{option} is missing")))
    }

    pub(crate) fn unknown(&self, option: &str) -> Stop {
        // A name that could be a piece of a token is not repeated.
        if option.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
            self.mistake(&format!("there is no option --{option} here"))
        } else {
            self.mistake("there is an option that is not known here")
        }
    }

    /// A mistake, and where to read on.
    pub(crate) fn mistake(&self, what: &str) -> Stop {
        Stop::Usage(match self.verb {
            "" => format!("{what}\n`tokens --help` tells more."),
            verb => format!("{verb}: {what}\n`tokens {verb} --help` tells more."),
        })
    }
}

const NOT_TEXT: &str = "an argument is not UTF-8";
