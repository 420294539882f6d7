//! Whether a text shows anything to a person.

/// The ranges of characters that show nothing on their own, besides white space and control characters.
///
/// They are the characters of Unicode 16 with the general category `Cf` or the property
/// `Default_Ignorable_Code_Point`, and three whose glyph is blank.
const INVISIBLE: [(u32, u32); 28] = [
    (0x00ad, 0x00ad),
    (0x034f, 0x034f),
    (0x0600, 0x0605),
    (0x061c, 0x061c),
    (0x06dd, 0x06dd),
    (0x070f, 0x070f),
    (0x0890, 0x0891),
    (0x08e2, 0x08e2),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x202a, 0x202e),
    (0x2060, 0x206f),
    (0x2800, 0x2800), // BRAILLE PATTERN BLANK
    (0x3164, 0x3164),
    (0xfe00, 0xfe0f),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfffb),
    (0x110bd, 0x110bd),
    (0x110cd, 0x110cd),
    (0x13430, 0x1343f),
    (0x16fe4, 0x16fe4), // KHITAN SMALL SCRIPT FILLER
    (0x1bca0, 0x1bca3),
    (0x1d159, 0x1d159), // MUSICAL SYMBOL NULL NOTEHEAD
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
];

/// Returns whether the text contains a character that a person can see.
pub(crate) fn has_visible(text: &str) -> bool {
    text.chars().any(is_visible)
}

fn is_visible(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_graphic();
    }
    let code = u32::from(character);
    !character.is_whitespace()
        && !character.is_control()
        && !INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&code))
}
