//! The `mappings` of a source map.
//!
//! ```text
//! AAAA,QAAQ;AACR      ; ends a generated line, a comma ends a segment
//! ```
//!
//! A segment is one, four or five numbers: the generated column, and where that was in which source, and which name stood there.
//! Each number is the difference to the one before, in base 64 with five bits a digit: the sixth says that more digits
//! follow, and the lowest bit of the number is its sign. See ECMA-426, "Decode mappings".

/// The most segments that are kept of one map; a bundle of ten megabytes has about so many. Calls behind them stay as they are.
pub(crate) const SEGMENTS_MAX: usize = 1 << 20;

/// Stands for "no source" and "no name".
pub(super) const NONE: u32 = u32::MAX;

/// The largest number that a position may have.
const NUMBER_MAX: i64 = u32::MAX as i64 - 1;

/// Where one stretch of generated code came from. Lines and columns are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) line: u32,
    pub(super) column: u32,
    /// The index of the source, or [`NONE`]: the code was made by the compiler.
    pub(super) source: u32,
    pub(super) original_line: u32,
    pub(super) original_column: u32,
    /// The index of the name, or [`NONE`].
    pub(super) name: u32,
}

/// What a section of an indexed map adds to the numbers of its own map.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offset {
    pub(super) line: u32,
    /// Counts in the first line only.
    pub(super) column: u32,
    pub(super) source: u32,
    pub(super) name: u32,
}

/// Decodes mappings and adds them to `segments`. What follows a mistake is left out: each number depends on those before it.
pub(super) fn decode(mappings: &str, offset: Offset, segments: &mut Vec<Segment>) {
    let mut digits = mappings.as_bytes();
    let mut line = i64::from(offset.line);
    let mut column = i64::from(offset.column);
    let mut source = i64::from(offset.source);
    let mut name = i64::from(offset.name);
    let (mut original_line, mut original_column) = (0_i64, 0_i64);
    while let Some(byte) = digits.first() {
        if matches!(byte, b';' | b',') {
            digits = &digits[1..];
            if *byte == b';' {
                line += 1;
                column = 0;
            }
            continue;
        }
        let Some((numbers, count, rest)) = fields(digits) else { return };
        digits = rest;
        column += numbers[0];
        if count > 1 {
            source += numbers[1];
            original_line += numbers[2];
            original_column += numbers[3];
            name += numbers[4];
        }
        let all = [line, column, source, original_line, original_column, name];
        if all.iter().any(|number| !(0..=NUMBER_MAX).contains(number)) || segments.len() >= SEGMENTS_MAX {
            return;
        }
        let [line, column, source, original_line, original_column, name] =
            all.map(|number| u32::try_from(number).unwrap_or(NONE));
        segments.push(Segment {
            line,
            column,
            source: if count > 1 { source } else { NONE },
            original_line,
            original_column,
            name: if count > 4 { name } else { NONE },
        });
    }
}

/// The numbers of the next segment, how many there are, and what follows.
fn fields(mut digits: &[u8]) -> Option<([i64; 5], usize, &[u8])> {
    let mut numbers = [0; 5];
    let mut count = 0;
    while !matches!(digits.first(), None | Some(b';' | b',')) {
        let (number, rest) = number(digits)?;
        *numbers.get_mut(count)? = number;
        count += 1;
        digits = rest;
    }
    matches!(count, 1 | 4 | 5).then_some((numbers, count, digits))
}

/// Reads one number of at most 32 bits.
fn number(digits: &[u8]) -> Option<(i64, &[u8])> {
    const MORE: u8 = 0b10_0000;
    let mut value = 0_u64;
    for (at, byte) in digits.iter().enumerate() {
        let digit = digit(*byte)?;
        value |= u64::from(digit & !MORE) << (5 * at);
        if value > u64::from(u32::MAX) {
            return None;
        }
        if digit & MORE == 0 {
            let magnitude = i64::try_from(value >> 1).ok()?;
            return Some((if value & 1 == 1 { -magnitude } else { magnitude }, &digits[at + 1..]));
        }
        // Seven digits hold 35 bits.
        if at == 6 {
            return None;
        }
    }
    None
}

/// The value of a digit in base 64.
pub(super) fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(mappings: &str) -> Vec<[u32; 6]> {
        let mut segments = Vec::new();
        decode(mappings, Offset::default(), &mut segments);
        let values = |s: &Segment| [s.line, s.column, s.source, s.original_line, s.original_column, s.name];
        segments.iter().map(values).collect()
    }

    #[test]
    fn segments_are_differences() {
        assert_eq!(
            decoded("AAAA,IACE;;EADFA,C"),
            [[0, 0, 0, 0, 0, NONE], [0, 4, 0, 1, 2, NONE], [2, 2, 0, 0, 0, 0], [2, 3, NONE, 0, 0, NONE],]
        );
        assert_eq!(decoded("gghBAAA")[0][1], 16_896);
    }

    #[test]
    fn a_mistake_ends_the_map() {
        for (mappings, segments) in [
            ("", 0),
            (";;,,;", 0),
            ("AA", 0),
            ("AAAAAA", 0),
            ("AAAA,!", 1),
            ("AAAA,g", 1),
            ("AAAA,D", 1),
            ("ggggggggggggggB", 0),
            ("gggggggE", 0),
            ("AAA\u{e9}", 0),
            ("+/////DAAA,+/////D,+/////D", 2),
        ] {
            assert_eq!(decoded(mappings).len(), segments, "{mappings}");
        }
    }

    #[test]
    fn the_number_of_segments_is_bounded() {
        assert_eq!(decoded(&"A,".repeat(SEGMENTS_MAX + 10)).len(), SEGMENTS_MAX);
    }
}
