//! Floating-point literals: the name has their bits, LLVM prints them as C's `%a` does.

use super::Printer;
use crate::node::Span;

impl Printer<'_> {
    pub(super) fn float(&mut self, letter: u8, bits: Span) -> Option<()> {
        let digits = self.spanned(bits);
        let text = match letter {
            b'f' => hexadecimal(f64::from(f32::from_bits(u32::from_str_radix(digits, 16).ok()?)))? + "f",
            b'd' => hexadecimal(f64::from_bits(u64::from_str_radix(digits, 16).ok()?))?,
            _ => hexadecimal_long(u128::from_str_radix(digits, 16).ok()?)? + "L",
        };
        self.write(&text)
    }
}

/// A number with the digits behind the point that are not zero.
fn assembled(is_negative: bool, whole: u64, fraction: String, exponent: i32) -> String {
    let sign = if is_negative { "-" } else { "" };
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}0x{whole:x}{point}{fraction}p{exponent:+}")
}

fn hexadecimal(value: f64) -> Option<String> {
    const FRACTION_BITS: u32 = 52;
    const BIAS: i32 = 1023;
    let bits = value.to_bits();
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    let digits = format!("{fraction:013x}");
    if value == 0.0 {
        return Some(assembled(value.is_sign_negative(), 0, digits, 0));
    }
    // How a C library prints what is no number, or nearly none, differs.
    if !value.is_normal() {
        return None;
    }
    let exponent = ((bits >> FRACTION_BITS) & 0x7ff) as i32 - BIAS;
    Some(assembled(value.is_sign_negative(), 1, digits, exponent))
}

/// The format of x87: 16 bits of sign and exponent, and 64 bits that begin with the whole part.
fn hexadecimal_long(bits: u128) -> Option<String> {
    const BIAS: i32 = 16383;
    let mantissa = bits as u64;
    let raw_exponent = ((bits >> 64) & 0x7fff) as i32;
    let is_negative = (bits >> 79) & 1 == 1;
    if mantissa == 0 && raw_exponent == 0 {
        return Some(assembled(is_negative, 0, String::new(), 0));
    }
    if mantissa >> 63 == 0 || raw_exponent == 0x7fff {
        return None;
    }
    let digits = format!("{:015x}", mantissa & ((1 << 60) - 1));
    // The first digit has four bits, three of them behind the point that the exponent is for.
    Some(assembled(is_negative, mantissa >> 60, digits, raw_exponent - BIAS - 3))
}
