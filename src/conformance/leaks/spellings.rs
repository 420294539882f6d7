//! The ways in which the bytes of a record can be written in a text.
//!
//! The text is read in each notation in which programs print bytes (numbers, hexadecimal digits,
//! escapes, base64 and base32), and then searched for a part of the record. So a message may begin and
//! end anywhere, and its separators do not matter.

use std::collections::HashSet;

use crate::record::Record;

/// A part of a record that is longer than an id, because an error may contain the id.
const PART: usize = 17;

/// A part of a digest. It is shorter, because an error has no reason to contain any of it.
const DIGEST_PART: usize = 8;

const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE32HEX: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";

/// The parts of a record that must not be in an error.
pub(super) struct Spellings {
    parts: HashSet<Vec<u8>>,
    digest_parts: HashSet<Vec<u8>>,
}

impl Spellings {
    pub(super) fn of(record: &Record) -> Self {
        let bytes = record.to_bytes();
        let parts = |bytes: &[u8], len| bytes.windows(len).map(<[u8]>::to_vec).collect();
        // A digest field has the tag 9 and 45 bytes: the digest of 37 bytes, then a time. The first five
        // bytes of the digest are its scheme and its key.
        let digest = bytes
            .windows(2)
            .position(|head| head == [9, 45])
            .and_then(|place| bytes.get(place + 2 + 5..place + 2 + 37));
        Self {
            parts: parts(&bytes, PART),
            digest_parts: digest.map(|digest| parts(digest, DIGEST_PART)).unwrap_or_default(),
        }
    }

    /// Returns whether a text contains a part in any notation.
    pub(super) fn are_in(&self, text: &str) -> bool {
        readings(text).iter().any(|bytes| self.are_in_bytes(bytes))
    }

    fn are_in_bytes(&self, bytes: &[u8]) -> bool {
        let has =
            |parts: &HashSet<Vec<u8>>, len| bytes.windows(len).any(|part| parts.contains(part));
        has(&self.parts, PART) || has(&self.digest_parts, DIGEST_PART)
    }
}

/// Returns whether the mark is in a text, in any notation.
pub(super) fn has_mark(text: &str, mark: &str) -> bool {
    let mark = mark.as_bytes();
    let backwards: Vec<u8> = mark.iter().rev().copied().collect();
    let lower = text.to_ascii_lowercase();
    lower.contains(str::from_utf8(mark).unwrap_or_default())
        || readings(text).iter().any(|bytes| {
            bytes.windows(mark.len()).any(|part| {
                part.eq_ignore_ascii_case(mark) || part.eq_ignore_ascii_case(&backwards)
            })
        })
}

/// Reads a text in every notation.
fn readings(text: &str) -> Vec<Vec<u8>> {
    // Each character is a byte.
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
    let plain = text.as_bytes();
    let mut readings = vec![
        plain.to_vec(),
        unescaped(&latin),
        unescaped(plain),
        unescaped(&unescaped(plain)),
        latin,
        numbers(text, 10),
        numbers(text, 8),
        numbers(text, 2),
    ];
    readings.extend(hex(text));
    let plain = plain_base64(text);
    for offset in 0..4 {
        readings.push(base(&plain, BASE64, 6, offset));
    }
    let letters = plain.to_ascii_uppercase();
    for (alphabet, offset) in
        [BASE32, BASE32HEX].into_iter().flat_map(|a| (0..8).map(move |o| (a, o)))
    {
        readings.push(base(&letters, alphabet, 5, offset));
    }
    readings
}

/// Replaces escapes such as `\n`, `\x1f`, `\u{1f}`, `\u001f`, `\037` and `%1f` by their bytes.
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let number = |from: usize, len: usize, radix| {
            let digits = bytes.get(from..from + len)?;
            u32::from_str_radix(str::from_utf8(digits).ok()?, radix).ok()
        };
        let (value, len) = match (byte, bytes.get(at + 1)) {
            (b'%' | b'=', _) => (number(at + 1, 2, 16), 3),
            (b'\\', Some(b'x' | b'X')) => (number(at + 2, 2, 16), 4),
            (b'\\', Some(b'u')) if bytes.get(at + 2) == Some(&b'{') => {
                let end = bytes.iter().skip(at).position(|byte| *byte == b'}').unwrap_or(0);
                (number(at + 3, end.saturating_sub(3), 16), end + 1)
            }
            (b'\\', Some(b'u')) => (number(at + 2, 4, 16), 6),
            (b'\\', Some(b'0'..=b'3')) if number(at + 1, 3, 8).is_some() => {
                (number(at + 1, 3, 8), 4)
            }
            (b'\\', Some(next)) => {
                let escaped = match next {
                    b'n' => 10,
                    b'r' => 13,
                    b't' => 9,
                    b'b' => 8,
                    b'f' => 12,
                    b'v' => 11,
                    b'a' => 7,
                    b'0' => 0,
                    b'e' => 27,
                    other => *other,
                };
                (Some(u32::from(escaped)), 2)
            }
            _ => (None, 1),
        };
        match value {
            Some(value) => {
                match u8::try_from(value) {
                    Ok(byte) => out.push(byte),
                    Err(_) => out.push(b'?'),
                }
                at += len;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// Reads the numbers of a list, signed or not, and ignores everything between them.
fn numbers(text: &str, radix: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut number: Option<u32> = None;
    let mut negative = false;
    for c in text.chars().chain([' ']) {
        match c.to_digit(radix) {
            Some(digit) => {
                number = Some(number.unwrap_or(0).saturating_mul(radix).saturating_add(digit));
            }
            None => {
                if let Some(value) = number.take() {
                    let byte = u8::try_from(value).unwrap_or(0);
                    out.push(if negative { byte.wrapping_neg() } else { byte });
                }
                negative = c == '-';
            }
        }
    }
    out
}

/// Reads pairs of hexadecimal digits, with or without separators and prefixes, from both places where a
/// pair can begin.
fn hex(text: &str) -> Vec<Vec<u8>> {
    let lower =
        text.to_ascii_lowercase().replace("0x", " ").replace("\\x", " ").replace("\\\\x", " ");
    let mut readings = Vec::new();
    // Pairs that are written together, and numbers of one or two digits between separators.
    let digits: Vec<u8> =
        lower.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    for offset in 0..2 {
        let pairs = digits.get(offset..).unwrap_or_default().chunks_exact(2);
        readings.push(pairs.map(|pair| pair[0] << 4 | pair[1]).collect());
    }
    for run in lower.split(|c: char| !c.is_ascii_hexdigit()).filter(|run| run.len() > 2 * PART / 2)
    {
        for offset in 0..2 {
            let digits: Vec<u8> =
                run.chars().skip(offset).filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
            readings.push(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect());
        }
    }
    let words =
        lower.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| matches!(word.len(), 1 | 2));
    readings.push(words.filter_map(|word| u8::from_str_radix(word, 16).ok()).collect());
    readings
}

/// Maps both alphabets of base64 to one, and removes line ends and escapes of slashes.
fn plain_base64(text: &str) -> String {
    let text = text.replace("\\n", "").replace("\\r", "").replace("\\/", "/");
    text.chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect()
}

/// Decodes each run of an alphabet. The run may begin within a group, so there is a decoding for each
/// offset.
fn base(text: &str, alphabet: &[u8], bits: u32, offset: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for run in text.as_bytes().split(|byte| !alphabet.contains(byte)) {
        let (mut buffer, mut held) = (0_u32, 0);
        for byte in run.iter().skip(offset) {
            let value = alphabet.iter().position(|letter| letter == byte).unwrap_or(0);
            buffer = (buffer << bits | value as u32) & 0xffff;
            held += bits;
            if held >= 8 {
                held -= 8;
                out.push((buffer >> held) as u8);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::failures::marked;

    #[test]
    fn spellings_of_record_are_found() {
        let record = marked(0).ok().unwrap();
        let spellings = Spellings::of(&record);
        let bytes = record.to_bytes();
        let field = bytes.windows(2).position(|head| head == [9, 45]).unwrap();
        let digest = &bytes[field + 2 + 5..][..12];
        for part in [&bytes[..], digest] {
            let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            let spaced: String = part.iter().map(|byte| format!("{byte:02X} ")).collect();
            let texts = [
                format!("{part:?}"),
                format!("{part:#?}"),
                format!("row {part:02x?}"),
                format!("id 1: {hex}"),
                format!("\\x{}", hex.to_uppercase()),
                spaced,
                format!("\"{}\"", part.escape_ascii()),
                format!("{:?}", part.iter().map(|byte| char::from(*byte)).collect::<String>()),
                part.iter().map(|byte| format!("\\{byte:03o}")).collect(),
                part.iter().map(|byte| format!("%{byte:02X}")).collect(),
                format!("{:?}", part.iter().map(|byte| *byte as i8).collect::<Vec<_>>()),
                format!("failed: {}", encode(part, BASE64, 6)),
                format!("x{}", encode(part, BASE64, 6).replace('+', "-").replace('/', "_")),
                format!("b32 {}", encode(part, BASE32, 5).to_lowercase()),
            ];
            for text in texts {
                assert!(spellings.are_in(&text), "{text}");
            }
        }
    }

    #[test]
    fn ids_and_words_are_no_leak() {
        let record = marked(0).ok().unwrap();
        let spellings = Spellings::of(&record);
        let id = record.id();
        let text =
            format!("no row {id} {:?} {:?}: the store is unavailable", id.to_uuid(), id.to_bytes());
        assert!(!spellings.are_in(&text));
        assert!(!has_mark("the suite conformance failed", "x1f9-conformance-mark"));
    }

    fn encode(bytes: &[u8], alphabet: &[u8], bits: u32) -> String {
        let all: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
        let groups = all.as_bytes().chunks(bits as usize);
        let value = |group: &[u8]| {
            let digits =
                format!("{:0<width$}", str::from_utf8(group).unwrap(), width = bits as usize);
            usize::from_str_radix(&digits, 2).unwrap()
        };
        groups.map(|group| char::from(alphabet[value(group)])).collect()
    }
}
