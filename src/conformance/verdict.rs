//! What came out of checking a promise.

/// Why a promise does not count as kept.
pub(super) enum Unkept {
    Broken(String),
    NotChecked(&'static str),
}

/// What came out of checking one promise.
pub(super) type Verdict = Result<(), Unkept>;

pub(super) fn broken<T>(what: impl Into<String>) -> Result<T, Unkept> {
    Err(Unkept::Broken(what.into()))
}

/// Breaks the promise with these words unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return $crate::conformance::verdict::broken(format!($($words)+));
        }
    };
}
pub(super) use ensure;
