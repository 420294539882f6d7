//! The check that a stored text is the text of a set of scopes.

use super::ScopeSet;
use super::grammar::{InvalidScope, MAX_SCOPES, validate};

/// The reason why a text is not the text of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotCanonical {
    /// A scope is invalid, or there are too many.
    Invalid(InvalidScope),
    /// The scopes are not sorted, or there are duplicates.
    Order,
}

/// Checks that a text is the one that the set of its scopes has.
///
/// It reads the text in place. Building the set would allocate memory for each scope, and a store checks the
/// scopes of every record that it reads.
pub(crate) fn check_canonical(text: &str) -> Result<(), NotCanonical> {
    if text.is_empty() {
        return Ok(());
    }
    if !text.as_bytes().contains(&b' ') {
        // Most texts are one scope, which needs no order.
        return validate(text).map_err(NotCanonical::Invalid);
    }
    let (mut last, mut count, mut sorted) = ("", 0, true);
    for scope in text.split(' ') {
        validate(scope).map_err(NotCanonical::Invalid)?;
        // A valid scope is not empty, so it sorts after the initial value.
        sorted &= last < scope;
        last = scope;
        count += 1;
    }
    if !sorted {
        // Duplicates count once, so only the set knows whether there are too many.
        return match text.parse::<ScopeSet>() {
            Err(invalid) => Err(NotCanonical::Invalid(invalid)),
            Ok(_) => Err(NotCanonical::Order),
        };
    }
    if count > MAX_SCOPES {
        return Err(NotCanonical::Invalid(InvalidScope::TooMany));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_building(text: &str) -> Result<(), NotCanonical> {
        let set: ScopeSet = text.parse().map_err(NotCanonical::Invalid)?;
        if set.as_scopes().as_str() == text { Ok(()) } else { Err(NotCanonical::Order) }
    }

    #[test]
    fn check_of_numbers_agrees_with_the_set() {
        for count in [1, 2, 63, 64, 65, 66, 130] {
            let sorted: Vec<String> = (0..count).map(|n| format!("s{n:03}")).collect();
            let mut doubled = sorted.clone();
            doubled.extend_from_slice(&sorted[..count / 2]);
            for scopes in [sorted, doubled] {
                let text = scopes.join(" ");
                assert_eq!(check_canonical(&text), by_building(&text), "{text}");
            }
        }
    }

    #[test]
    fn check_of_small_sets_agrees_with_the_set() {
        let scopes = ["a", "a:*", "b", "*", "", "a*"];
        for first in scopes {
            assert_eq!(check_canonical(first), by_building(first), "{first}");
            for second in scopes {
                for third in scopes {
                    for text in [[first, second].join(" "), [first, second, third].join(" ")] {
                        assert_eq!(check_canonical(&text), by_building(&text), "{text}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn check_agrees_with_building_the_set(text in "([ab:* ]|a:b|b:\\*|a b){0,8}") {
            prop_assert_eq!(check_canonical(&text), by_building(&text));
        }

        #[test]
        fn check_of_a_set_accepts_it(scopes in prop::collection::vec("[a-c]{1,2}(:\\*)?", 0..8)) {
            let set = ScopeSet::new(&scopes).unwrap();
            prop_assert_eq!(check_canonical(set.as_scopes().as_str()), Ok(()));
        }
    }
}
