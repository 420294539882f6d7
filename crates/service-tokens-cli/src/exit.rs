//! The reasons for which the program ends early, their messages and their exit codes.

use std::error::Error;
use std::io::{self, ErrorKind, Write};

use service_tokens::ManageError;
use service_tokens::record::{Field, InvalidField, RotateDenied, Rule};

use crate::output::{TYPE_HINT, note};
use crate::stdio;

/// The status of a command that failed, was refused or was cancelled, or whose output was lost.
pub(crate) const FAILED: u8 = 1;

const USAGE: u8 = 2;

const ROWS_REFUSED: u8 = 3;

/// The status of a command of which every change is in effect, and whose events could not be written.
pub(crate) const EVENTS_UNWRITTEN: u8 = 4;

const UNKNOWN_VALUE: u8 = 5;

/// The reason for which the program ends early.
#[derive(Debug)]
pub(crate) enum Exit {
    /// The command line asked for help. Status 0.
    Help(&'static str),
    /// The command line is wrong. Status 2.
    Usage(String),
    /// The operation failed, was refused or was cancelled. Status 1.
    Failed(String),
    /// Rows of an import were refused. Status 3.
    Refused(String),
    /// A filter names a value that no record has. Status 5.
    Unknown(String),
    /// The operation failed, and all messages are written already. Status 1.
    Silent,
}

impl Exit {
    /// Creates the exit for an error of standard output. A reader that closes the pipe early, as `| head` does,
    /// needs no message.
    pub(crate) fn output(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::Silent,
            _ => Self::Failed(format!("writing to standard output: {error}")),
        }
    }

    /// Creates the exit for an error of standard input.
    pub(crate) fn input(error: io::Error) -> Self {
        Self::Failed(format!("reading standard input: {error}"))
    }

    /// Creates the exit for an error and all its causes.
    pub(crate) fn failed(error: &dyn Error) -> Self {
        Self::Failed(with_causes(error))
    }

    /// Writes the message and returns the exit status.
    pub(crate) fn report(self) -> u8 {
        let (message, status) = match self {
            Self::Help(help) => match stdio::require_stdout() {
                Ok(()) => match io::stdout().write_all(help.as_bytes()) {
                    Ok(()) => return 0,
                    Err(error) => return Self::output(error).report(),
                },
                Err(error) => return error.report(),
            },
            Self::Usage(message) => (message, USAGE),
            Self::Failed(message) => (message, FAILED),
            Self::Refused(message) => (message, ROWS_REFUSED),
            Self::Unknown(message) => (message, UNKNOWN_VALUE),
            Self::Silent => return FAILED,
        };
        note(format_args!("service-tokens: {message}"));
        status
    }
}

/// Returns an error's message followed by the messages of its causes. Some errors contain the message of their
/// cause already, and then it is not repeated.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = inner.source();
    }
    message
}

impl From<ManageError> for Exit {
    fn from(error: ManageError) -> Self {
        Self::Failed(match &error {
            ManageError::Invalid(invalid) => invalid_option(*invalid),
            ManageError::NotRotated(RotateDenied::OverlapRuns) => {
                with_causes(&error)
                    + "\nhint: if the answer with the newest secret was lost, add --replacing newest\
                       \nhint: to end the older secret now, add --replacing oldest\
                       \nhint: if the token leaked, --at-once --replacing newest ends both secrets"
            }
            _ => with_causes(&error),
        })
    }
}

/// Returns the option and the rule that it breaks, with the option that moves the limit.
fn invalid_option(invalid: InvalidField) -> String {
    let option = match invalid.field {
        Field::Owner => "--owner",
        Field::Type => "--type",
        Field::IssuedTo => "--issued-to",
        Field::Scopes => "--scope",
        Field::NotBefore => "--not-before",
        Field::ExpiresAt => "--expires",
        Field::Metadata => "--metadata",
        Field::IssuedBy => "--issued-by",
        Field::SuspendedUntil => "--until",
        Field::RevokedBy
        | Field::RotatedBy
        | Field::AmendedBy
        | Field::SuspendedBy
        | Field::ResumedBy => "--by",
        Field::Networks => "--network",
        Field::Reason => "--reason",
        Field::Retention => "--retention",
        // A duration from now can break no other rule.
        Field::OlderEnds => return "--overlap and --until-first-use are at most 30d".into(),
        _ => return invalid.to_string(),
    };
    match invalid.rule {
        Rule::Unknown if invalid.field == Field::Type => {
            format!("the token's type is not one of the types of this tool\n{TYPE_HINT}")
        }
        Rule::Required => {
            format!("{option} {}\nhint: --allow-never allows such tokens", invalid.rule)
        }
        Rule::TooLate { .. } if invalid.field == Field::ExpiresAt => format!(
            "{option} {}\nhint: --max-lifetime sets this limit; the default is 366d",
            invalid.rule
        ),
        Rule::NotAfterNotBefore => format!("{option} must be after --not-before"),
        Rule::TooShort { min } => {
            format!("{option} must be at least {}d", min.as_secs() / 86_400)
        }
        rule => format!("{option} {rule}"),
    }
}
