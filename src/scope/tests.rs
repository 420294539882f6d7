//! Every pair of small sets, decided by an oracle that compares segments instead of texts.

use super::grammar::RESERVED;
use super::*;

const SEGMENTS: [&str; 3] = ["a", "b", RESERVED];

/// A scope as the oracle sees it: its segments, and whether more must follow.
#[derive(Debug, Clone)]
struct Pattern {
    segments: Vec<&'static str>,
    more: bool,
}

impl Pattern {
    fn text(&self) -> String {
        let wildcard = self.more.then_some("*");
        self.segments.iter().copied().chain(wildcard).collect::<Vec<_>>().join(":")
    }

    fn permits(&self, requirement: &[&str]) -> bool {
        let enough = match self.more {
            true => requirement.len() > self.segments.len(),
            false => requirement.len() == self.segments.len(),
        };
        let named = !self.segments.is_empty() || requirement[0] != RESERVED;
        enough && named && self.segments.iter().zip(requirement).all(|(own, asked)| own == asked)
    }
}

/// Returns all required scopes of up to three segments. `z` represents every segment that no
/// pattern names.
fn requirements() -> Vec<Vec<&'static str>> {
    let letters = ["a", "b", RESERVED, "z"];
    let mut requirements: Vec<Vec<&str>> = Vec::new();
    let mut last: Vec<Vec<&str>> = vec![Vec::new()];
    for _ in 0..3 {
        let longer = |requirement: &Vec<&'static str>| {
            let requirement = requirement.clone();
            letters.map(|letter| [requirement.clone(), vec![letter]].concat())
        };
        last = last.iter().flat_map(longer).collect();
        requirements.extend(last.iter().cloned());
    }
    assert_eq!(requirements.len(), 4 + 16 + 64);
    requirements
}

/// Returns all patterns of up to two segments, each with and without a wildcard at the end.
fn patterns() -> Vec<Pattern> {
    let mut patterns = vec![Pattern { segments: Vec::new(), more: true }];
    for more in [false, true] {
        for first in SEGMENTS {
            patterns.push(Pattern { segments: vec![first], more });
            for second in SEGMENTS {
                patterns.push(Pattern { segments: vec![first, second], more });
            }
        }
    }
    assert_eq!(patterns.len(), 25);
    patterns
}

/// A set under test, and the required scopes that it permits according to the oracle, one bit each.
struct Case {
    set: ScopeSet,
    permitted: u128,
}

fn case(of: &[&Pattern], requirements: &[Vec<&str>]) -> Case {
    let permitted = requirements.iter().enumerate().fold(0, |permitted, (bit, requirement)| {
        permitted | u128::from(of.iter().any(|pattern| pattern.permits(requirement))) << bit
    });
    Case { set: ScopeSet::new(of.iter().map(|pattern| pattern.text())).unwrap(), permitted }
}

/// Returns every set of zero, one or two patterns.
fn cases(requirements: &[Vec<&str>]) -> Vec<Case> {
    let patterns = patterns();
    let mut cases = vec![case(&[], requirements)];
    for (index, first) in patterns.iter().enumerate() {
        cases.push(case(&[first], requirements));
        cases.extend(
            patterns[index + 1..].iter().map(|second| case(&[first, second], requirements)),
        );
    }
    assert_eq!(cases.len(), 1 + 25 + 300);
    cases
}

fn permitted(scopes: Scopes<'_>, requirements: &[Requirement]) -> u128 {
    requirements
        .iter()
        .enumerate()
        .fold(0, |all, (bit, requirement)| all | u128::from(scopes.permits(requirement)) << bit)
}

#[test]
fn permits_agrees_with_oracle() {
    let all = requirements();
    let asked: Vec<Requirement> =
        all.iter().map(|requirement| Requirement::scope(&requirement.join(":")).unwrap()).collect();
    for case in cases(&all) {
        assert_eq!(permitted(case.set.as_scopes(), &asked), case.permitted, "{}", case.set);
    }
}

#[test]
fn contains_agrees_with_oracle() {
    let cases = cases(&requirements());
    for outer in &cases {
        for inner in &cases {
            let expected = inner.permitted & !outer.permitted == 0;
            let contains = outer.set.as_scopes().contains(inner.set.as_scopes());
            assert_eq!(contains, expected, "{} contains {}", outer.set, inner.set);
        }
    }
}

#[test]
fn intersection_agrees_with_oracle() {
    let all = requirements();
    let asked: Vec<Requirement> =
        all.iter().map(|requirement| Requirement::scope(&requirement.join(":")).unwrap()).collect();
    let cases = cases(&all);
    // `permits` agrees with the oracle, so the permissions of a set can be cached under its text.
    let mut known = std::collections::HashMap::new();
    for left in &cases {
        for right in &cases {
            let both = left.set.as_scopes().intersection(right.set.as_scopes());
            let permitted = *known
                .entry(both.to_string())
                .or_insert_with(|| permitted(both.as_scopes(), &asked));
            assert_eq!(
                permitted,
                left.permitted & right.permitted,
                "{} and {}",
                left.set,
                right.set
            );
            assert!(left.set.as_scopes().contains(both.as_scopes()));
            assert!(right.set.as_scopes().contains(both.as_scopes()));
        }
    }
}

#[test]
fn all_of_and_any_of_combine_scopes() {
    let all = requirements();
    let texts: Vec<String> = all.iter().map(|requirement| requirement.join(":")).collect();
    for case in cases(&all).iter().step_by(7) {
        for first in 0..texts.len() {
            for second in (0..texts.len()).step_by(5) {
                let (one, two) =
                    (case.permitted >> first & 1 == 1, case.permitted >> second & 1 == 1);
                let asked = [&texts[first], &texts[second]];
                let scopes = case.set.as_scopes();
                assert_eq!(scopes.permits(&Requirement::all_of(asked).unwrap()), one && two);
                assert_eq!(scopes.permits(&Requirement::any_of(asked).unwrap()), one || two);
            }
        }
        assert!(case.set.as_scopes().permits(&Requirement::any_token()));
    }
}
