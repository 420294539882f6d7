//! Assertions about refusals.

use std::fmt::Debug;

use service_tokens::error::NotPermitted;
use service_tokens::record::{Field, InvalidField, Rule};
use service_tokens::{ManageError, Refusal, VerifiedToken, VerifyError};

/// Asserts that this field breaks this rule, and that the message names both.
#[track_caller]
pub(crate) fn expect_invalid<T: Debug>(outcome: Result<T, ManageError>, field: Field, rule: Rule) {
    let Err(error) = outcome else { panic!("{outcome:?} for {field} {rule}") };
    assert_eq!(error.to_string(), format!("{field} {rule}"));
    let ManageError::Invalid(invalid) = error else { panic!("{error:?}") };
    assert_eq!(invalid, { InvalidField { field, rule } });
}

#[track_caller]
pub(crate) fn expect_not_permitted<T: Debug>(outcome: Result<T, ManageError>) -> NotPermitted {
    match outcome {
        Err(ManageError::NotPermitted(cause)) => cause,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(crate) fn expect_not_active<T: Debug>(outcome: Result<T, ManageError>) -> Refusal {
    match expect_not_permitted(outcome) {
        NotPermitted::NotActive(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn refusal_of(outcome: Result<VerifiedToken, VerifyError>) -> Option<Refusal> {
    outcome.unwrap_err().refusal()
}
