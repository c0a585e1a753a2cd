//! Card numbers: an issuer's prefix, its length, and the check digit of ISO/IEC 7812-1 (Luhn's).

use std::ops::Range;

use super::Text;

/// The longest number of an issuer, in digits.
const DIGITS_MAX: usize = 19;

/// The groups in which numbers are printed, digits in each.
const GROUPS: &[&[usize]] = &[&[4, 4, 4, 4], &[4, 6, 5], &[4, 4, 4, 1], &[4, 4, 4, 4, 3], &[4, 6, 4]];

pub(super) fn card(text: Text<'_>, found: &mut Vec<Range<usize>>) {
    let bytes = text.text.as_bytes();
    let mut at = 0;
    while let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|gap| at + gap) {
        let number = number(bytes, start);
        at = number.end;
        // A part of a longer word, or of a decimal fraction.
        let apart =
            |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
        let before = start.checked_sub(1).and_then(|before| bytes.get(before));
        let fraction = before == Some(&b'.')
            || bytes[at..].starts_with(b".") && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if apart(before) && apart(bytes.get(at)) && !fraction && is_card(&bytes[number.clone()]) {
            found.push(number);
        }
    }
}

/// Digits, with single spaces or hyphens between groups of them.
fn number(bytes: &[u8], start: usize) -> Range<usize> {
    let mut end = start;
    while end < bytes.len() {
        let separates =
            matches!(bytes[end], b' ' | b'-') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        if !bytes[end].is_ascii_digit() && !separates {
            break;
        }
        end += 1;
    }
    start..end
}

fn is_card(number: &[u8]) -> bool {
    if number.len() > DIGITS_MAX + 4 {
        return false;
    }
    let groups: Vec<usize> = number.split(|byte| !byte.is_ascii_digit()).map(<[u8]>::len).collect();
    let digits: Vec<u8> =
        number.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0').collect();
    (groups.len() == 1 || GROUPS.contains(&groups.as_slice())) && is_issued(&digits) && luhn(&digits)
}

/// Whether an issuer gives out numbers of this prefix and length.
fn is_issued(digits: &[u8]) -> bool {
    if digits.len() < 13 {
        return false;
    }
    let prefix = digits[..4].iter().fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    match prefix {
        // Visa.
        4000..=4999 => matches!(digits.len(), 13 | 16 | 19),
        // Mastercard.
        5100..=5599 | 2221..=2720 => digits.len() == 16,
        // American Express.
        3400..=3499 | 3700..=3799 => digits.len() == 15,
        // Diners Club.
        3000..=3059 | 3600..=3699 | 3800..=3999 => digits.len() == 14,
        // JCB, Discover, UnionPay.
        3528..=3589 | 6011 | 6440..=6599 | 6200..=6299 => digits.len() == 16,
        _ => false,
    }
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}
