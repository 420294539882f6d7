//! The reasons for which the program ends early, their messages and their exit codes.

use std::error::Error;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use service_tokens::ManageError;
use service_tokens::record::{Field, InvalidField, RotateDenied, Rule};

use crate::output::note;

/// The reason for which the program ends early.
#[derive(Debug)]
pub(crate) enum Exit {
    /// The command line asked for help. Status 0.
    Help(&'static str),
    /// The command line is wrong. Status 2.
    Usage(String),
    /// The operation failed, was refused or was cancelled. Status 1.
    Failed(String),
    /// The operation failed, and all messages are written already. Status 1.
    Silent,
    /// The reader of the output has closed the pipe, as `| head` does. Status 0.
    PipeClosed,
}

impl Exit {
    /// Creates the exit for an error of standard output.
    pub(crate) fn output(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::PipeClosed,
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

    /// Writes the message and returns the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Help(help) => match io::stdout().write_all(help.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => Self::output(error).report(),
            },
            Self::Usage(message) => {
                note(format_args!("service-tokens: {message}"));
                ExitCode::from(2)
            }
            Self::Failed(message) => {
                note(format_args!("service-tokens: {message}"));
                ExitCode::FAILURE
            }
            Self::Silent => ExitCode::FAILURE,
            Self::PipeClosed => ExitCode::SUCCESS,
        }
    }
}

/// Returns an error's message followed by the messages of its causes.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        message = format!("{message}: {inner}");
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
        Field::RevokedBy | Field::RotatedBy | Field::AmendedBy => "--by",
        Field::Networks => "--network",
        Field::Reason => "--reason",
        Field::Retention => "--retention",
        // A duration from now can break no other rule.
        Field::OlderEnds => return "--overlap and --until-first-use are at most 30d".into(),
        _ => return invalid.to_string(),
    };
    match invalid.rule {
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
