//! The decision whether a text exists that has two forms.
//!
//! A form allows a set of characters at each place, and that set depends only on the distance of the place
//! from both ends and on whether the last separator is to the right of it. So the decision reads a text of
//! each common length from its end, place by place. Its state says for each of the two forms whether the last
//! separator was found. There are at most four states, and the decision is exact.

use super::{Characters, ImportForm, Part};

/// Returns whether a text exists that has both forms.
pub(super) fn overlap(left: &ImportForm, right: &ImportForm) -> bool {
    left.lengths
        .iter()
        .map(|rest| left.prefix.len() + rest)
        .filter(|len| {
            len.checked_sub(right.prefix.len()).is_some_and(|rest| right.lengths.contains(rest))
        })
        .any(|len| text_exists(left, right, len))
}

/// Returns whether a text of this length has both forms.
fn text_exists(left: &ImportForm, right: &ImportForm, len: usize) -> bool {
    let mut states = [[false; 2]; 2];
    let start = |form: &ImportForm| usize::from(!matches!(form.part, Part::AfterLast { .. }));
    states[start(left)][start(right)] = true;
    for from_end in 0..len {
        let mut next = [[false; 2]; 2];
        for (l, row) in states.iter().enumerate() {
            for (r, _) in row.iter().enumerate().filter(|(_, reached)| **reached) {
                for (l_next, l_set) in steps(left, len, from_end, l) {
                    for (r_next, r_set) in steps(right, len, from_end, r) {
                        next[l_next][r_next] |= l_set.meets(r_set);
                    }
                }
            }
        }
        states = next;
    }
    states[1][1]
}

/// Returns the states that a form can reach at this place, each with the characters that lead to it. State
/// 1 means that the last separator was found, or that the form has none.
fn steps(form: &ImportForm, len: usize, from_end: usize, state: usize) -> [(usize, Characters); 2] {
    let dead = (0, Characters::NONE);
    let from_start = len - 1 - from_end;
    if let Some(byte) = form.prefix.as_bytes().get(from_start) {
        // The separator is behind the prefix.
        return if state == 1 { [(1, Characters::only(*byte)), dead] } else { [dead, dead] };
    }
    match &form.part {
        Part::AfterLast { separator, lengths } if state == 0 => {
            let found =
                if lengths.contains(from_end) { (1, Characters::only(*separator)) } else { dead };
            [(0, form.characters.without(*separator)), found]
        }
        _ => [(1, form.allowed()), dead],
    }
}
