//! The frames of a Rust backtrace.
//!
//! ```text
//!    2: shop::orders::check                                  short
//!              at ./src/orders/mod.rs:30:5
//!    5:     0x560f16da980a - core[c1f1a4ba060b9bfa]::fmt::write           full: address and hash
//!                                at /rustc/…/library/core/src/fmt/mod.rs:1636:22
//!    6: shop::orders::limits::enforce                        the `backtrace` crate: what was inlined
//!              at src/orders/mod.rs:37:13
//!       shop::orders::check                                  … has no number of its own
//!              at src/orders/mod.rs:30:5
//! ```

use crate::failure::{Frame, StackEntry};
use crate::normalize::stack::Stack;

/// How far at least the location below a name is indented.
const LOCATION_INDENT: usize = 10;

/// How far at least a name without a number is indented.
const NAME_INDENT: usize = 6;

/// True for the line of frame 0.
pub(super) fn is_first(line: &str) -> bool {
    numbered(line).is_some_and(|(number, _)| number == 0)
}

/// True for a line that a backtrace is made of.
pub(super) fn is_part(line: &str) -> bool {
    numbered(line).is_some() || indent(line) >= NAME_INDENT && indent(line) < line.len()
}

/// Reads frames until a line that is none. The most recent call comes first.
pub(super) fn read<'a>(lines: impl Iterator<Item = &'a str>) -> Stack {
    let mut calls: Vec<(StackEntry, Frame)> = Vec::new();
    for line in lines {
        if let Some((_, rest)) = numbered(line) {
            let call = call(rest);
            let is_inlined = |(_, before): &&mut (StackEntry, Frame)| {
                before.address.is_some() && before.address == call.1.address
            };
            if let Some((_, before)) = calls.last_mut().filter(is_inlined) {
                before.inlined = Some(true);
            }
            calls.push(call);
        } else if let Some(at) = located(line) {
            if let Some((entry, frame)) = calls.last_mut() {
                let (file, line, column) = at;
                (entry.file, entry.line, frame.column) = (Some(file.to_owned()), Some(line), column);
            }
        } else if is_part(line) {
            if let Some((_, before)) = calls.last_mut() {
                before.inlined = Some(true);
            }
            calls.push(call(line.trim_start().trim_start_matches("- ")));
        } else {
            break;
        }
    }
    let mut stack = Stack::default();
    // Nothing is at address 0: the unwinder went one step too far.
    let is_real = |(_, frame): &(StackEntry, Frame)| frame.address.as_deref() != Some("0x0");
    stack.extend(calls.into_iter().filter(is_real));
    stack
}

/// `   5:     0x560f16da980a - core::fmt::write` without its number.
fn numbered(line: &str) -> Option<(u32, &str)> {
    let text = line.trim_start_matches(' ');
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.get(digits..)?.strip_prefix(": ")?;
    // The number stands in four columns at least.
    (text.len() < line.len() || digits >= 4).then_some((text[..digits].parse().ok()?, rest))
}

/// `             at ./src/orders/mod.rs:30:5`.
fn located(line: &str) -> Option<(&str, u32, Option<u32>)> {
    if indent(line) < LOCATION_INDENT {
        return None;
    }
    location(line.trim_start_matches(' ').strip_prefix("at ")?)
}

/// A file, a line and perhaps a column: `src/main.rs:5:9`.
pub(super) fn location(text: &str) -> Option<(&str, u32, Option<u32>)> {
    let (rest, last) = text.rsplit_once(':')?;
    let last: u32 = last.parse().ok()?;
    match rest.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?))) {
        Some((file, line)) => Some((file, line, Some(last))),
        None => Some((rest, last, None)),
    }
}

/// A call out of its line: an address if the form is the full one, and the name.
fn call(text: &str) -> (StackEntry, Frame) {
    let text = text.trim_start();
    let (address, name) = match text.strip_prefix("0x").and_then(|text| text.split_once(" - ")) {
        Some((digits, name)) => (Some(format!("0x{digits}")), name),
        None => (None, text),
    };
    let function = Some(name).filter(|name| *name != "<unknown>" && !name.is_empty()).map(without_hashes);
    (StackEntry { function, ..StackEntry::default() }, Frame { address, ..Frame::default() })
}

/// A name without what differs from build to build: `::h<16 digits>` at its end, `[<up to 16 digits>]` behind a crate's name.
fn without_hashes(name: &str) -> String {
    /// Digits of a legacy hash.
    const LEGACY: usize = 16;
    let name = match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == LEGACY && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            path
        }
        _ => name,
    };
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('[') {
        let hash = rest[at + 1..].bytes().take_while(u8::is_ascii_hexdigit).count();
        plain.push_str(&rest[..at]);
        let end = at + 1 + hash;
        // A crate's hash has 16 digits less its leading zeros; `[u8]` and `[T; 4]` have a type or none.
        if (8..=16).contains(&hash) && rest[end..].starts_with(']') {
            rest = &rest[end + 1..];
        } else {
            plain.push('[');
            rest = &rest[at + 1..];
        }
    }
    plain + rest
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_hashes_and_nothing_else() {
        for (name, plain) in [
            ("shop::handler::hb4b03abeaf0c5e79", "shop::handler"),
            ("core[c1f1a4ba060b9bfa]::fmt::write", "core::fmt::write"),
            ("<[u8] as a[0f1a4ba060b9bfa]::T<[x; 4]>>::f", "<[u8] as a::T<[x; 4]>>::f"),
            ("shop::hello", "shop::hello"),
            ("a[", "a["),
        ] {
            assert_eq!(without_hashes(name), plain);
        }
    }

    #[test]
    fn inlined_calls_are_known_by_their_address_or_their_missing_number() {
        let full = [
            "   4:     0x560f16da980a - <core[c1f1a4ba060b9bfa]::fmt::rt::Argument>::fmt",
            "                               at /rustc/x/library/core/src/fmt/rt.rs:152:76",
            "   5:     0x560f16da980a - core[c1f1a4ba060b9bfa]::fmt::write",
            "   6:                0x0 - <unknown>",
            "note: over",
        ];
        let stack = read(full.into_iter());
        assert_eq!(stack.len(), 2);
        assert_eq!(stack.calls()[0].1.inlined, Some(true));
        assert_eq!(stack.calls()[0].1.column, Some(76));
        assert_eq!(stack.calls()[1].1.inlined, None);
        let crates = [
            "   6: shop::orders::limits::enforce",
            "             at src/orders/mod.rs:37:13",
            "      shop::orders::check",
            "             at src/orders/mod.rs:30:5",
        ];
        let stack = read(crates.into_iter());
        assert_eq!(stack.calls()[0].1.inlined, Some(true));
        assert_eq!(stack.calls()[1].0.line, Some(30));
    }
}
