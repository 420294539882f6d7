//! Why the program ends before it is done, and what the shell is told.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use service_tokens::{Field, ManageError, RotateDenied, Rule};

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
        let way_on = match &error {
            ManageError::Invalid(invalid) => match (invalid.field, invalid.rule) {
                (Field::ExpiresAt, Rule::Required) => "\n--allow-never allows them.",
                (Field::ExpiresAt, Rule::TooLate { .. }) => {
                    "\n--longest-lifetime moves this limit; the default is 366d."
                }
                (Field::Type, Rule::Unknown) => "\n--type-def tells of further types.",
                _ => "",
            },
            ManageError::NotRotated(RotateDenied::OverlapRuns) => {
                "\n--replacing newest, if the answer with the newest secret was lost; \
                 --replacing oldest, to end the older one now."
            }
            _ => "",
        };
        Self::Failed(chain(&error) + way_on)
    }
}
