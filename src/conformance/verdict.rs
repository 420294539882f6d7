//! The internal result of a check.

/// The reason why a promise does not count as kept.
pub(super) enum NotKept {
    Broken(String),
    NotChecked(&'static str),
}

/// The result of a check.
pub(super) type Verdict = Result<(), NotKept>;

pub(super) fn broken<T>(what: impl Into<String>) -> Result<T, NotKept> {
    Err(NotKept::Broken(what.into()))
}

/// Returns a broken promise with this message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return $crate::conformance::verdict::broken(format!($($words)+));
        }
    };
}
pub(super) use ensure;
