//! Why the program ends before it is done, and what the shell is told.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use service_tokens::ManageError;
use service_tokens::record::{Field, InvalidField, RotateDenied, Rule};

/// Why the program ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help was asked for. Status 0.
    Help(&'static str),
    /// The command line has a mistake. Status 2.
    Usage(String),
    /// It did not work, was refused or cancelled. Status 1.
    Failed(String),
    /// As before, and all has been said. Status 1.
    Quietly,
    /// Who reads the output has enough, as in `| head`. Status 0.
    PipeClosed,
}

impl Stop {
    /// That something could not be written to standard output.
    pub(crate) fn output(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::PipeClosed,
            _ => Self::Failed(format!("writing to standard output: {error}")),
        }
    }

    /// That standard input could not be read.
    pub(crate) fn input(error: io::Error) -> Self {
        Self::Failed(format!("reading standard input: {error}"))
    }

    /// An error with all its causes.
    pub(crate) fn failed(error: &dyn Error) -> Self {
        Self::Failed(chain(error))
    }

    /// Tells the person, and gives the status for the shell.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Help(help) => match io::stdout().write_all(help.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => Self::output(error).report(),
            },
            Self::Usage(mistake) => {
                note(format_args!("tokens: {mistake}"));
                ExitCode::from(2)
            }
            Self::Failed(why) => {
                note(format_args!("tokens: {why}"));
                ExitCode::FAILURE
            }
            Self::Quietly => ExitCode::FAILURE,
            Self::PipeClosed => ExitCode::SUCCESS,
        }
    }
}

/// Says something on standard error. If nobody can hear it, the work still counts.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints a line on standard output.
pub(crate) fn print(line: impl Display) -> Result<(), Stop> {
    writeln!(io::stdout(), "{line}").map_err(Stop::output)
}

/// An error and its causes, from the outermost in.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        told = format!("{told}: {inner}");
        cause = inner.source();
    }
    told
}

impl From<ManageError> for Stop {
    fn from(error: ManageError) -> Self {
        Self::Failed(match &error {
            ManageError::Invalid(invalid) => not_allowed(*invalid),
            ManageError::NotRotated(RotateDenied::OverlapRuns) => {
                chain(&error)
                    + "\n--replacing newest, if the answer with the newest secret was lost; \
                       --replacing oldest, to end the older one now. If the token leaked, \
                       --at-once --replacing newest ends both."
            }
            _ => chain(&error),
        })
    }
}

/// The rule and the option that breaks it, and what moves the limit.
fn not_allowed(invalid: InvalidField) -> String {
    let option = match invalid.field {
        Field::Owner => "--owner",
        Field::Type => "--type",
        Field::IssuedTo => "--issued-to",
        Field::Scopes => "--scope",
        Field::NotBefore => "--not-before",
        Field::ExpiresAt => "--expires",
        Field::Metadata => "--metadata",
        Field::IssuedBy => "--issued-by",
        Field::RevokedBy => "--by",
        Field::Reason => "--reason",
        Field::Retention => "--retention",
        // All that can be wrong with a duration from now.
        Field::OlderEnds => return "--overlap and --until-first-use are at most 30d".into(),
        _ => return invalid.to_string(),
    };
    match invalid.rule {
        Rule::Required => format!("{option} {}\n--allow-never allows them.", invalid.rule),
        Rule::TooLate { .. } if invalid.field == Field::ExpiresAt => format!(
            "{option} {}\n--longest-lifetime moves this limit; the default is 366d.",
            invalid.rule
        ),
        Rule::NotAfterNotBefore => format!("{option} must be after --not-before"),
        Rule::TooShort { min: shortest } => {
            format!("{option} is at least {}d", shortest.as_secs() / 86_400)
        }
        rule => format!("{option} {rule}"),
    }
}
