//! The characters around a token in the place where it was found.

/// Returns the text without blanks, quotes, backticks and angle brackets at its ends, and without the words of
/// a header before the token.
pub(super) fn without_surroundings(text: &[u8]) -> &[u8] {
    let Ok(mut text) = std::str::from_utf8(text) else { return text };
    loop {
        text = text.trim_matches(surrounds);
        let header = without_word(text, "authorization:");
        let scheme = || without_word(text, "bearer").filter(|rest| rest.starts_with(surrounds));
        let Some(rest) = header.or_else(scheme) else { return text.as_bytes() };
        text = rest;
    }
}

/// Returns the text after a word, which is compared without regard to case.
fn without_word<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word).then_some(rest)
}

/// Returns whether the character is often next to a token and rarely part of one. A zero-width space and a
/// byte-order mark are blanks that Unicode does not count as such.
fn surrounds(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '"' | '\'' | '`' | '<' | '>' | '\u{200b}' | '\u{feff}')
        || matches!(character, '\u{2018}'..='\u{201f}' | '«' | '»' | '‹' | '›')
}
