//! Readable names. Mangled names are programs for an unpacker: a short one can unfold to gigabytes, a deep one
//! overflow the stack. So each name has a budget, and one that exceeds it is shown as it is.

use std::borrow::Cow;
use std::fmt::{self, Write};

pub use trace_itanium::Dialect;
pub(crate) use trace_itanium::NAME_BYTES_MAX;
use trace_itanium::{Form, demangle as itanium};

/// How a readable name is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Spelling {
    /// For people: as the binutils print C++, without the hash of Rust names and the suffix of a clone.
    #[default]
    Plain,
    /// The path of names alone, without parameters, template arguments and generic ones: `std::vector::push_back`.
    Short,
    /// Byte for byte as a tool prints it, the suffix of a clone included.
    Of(Dialect),
}

/// The readable form of `name`: without the hash for Rust (both schemes), with parameters for C++, and
/// the name itself if it is not mangled, will not demangle, or would become longer than `NAME_BYTES_MAX`.
pub fn demangle(name: &str) -> Cow<'_, str> {
    demangle_as(name, Spelling::Plain)
}

/// The readable form of `name` in this spelling; the name itself where there is none.
pub fn demangle_as(name: &str, spelling: Spelling) -> Cow<'_, str> {
    if let Some(function) = name.strip_suffix(STUB) {
        return match demangle_as(function, spelling) {
            Cow::Owned(readable) => Cow::Owned(readable + STUB),
            Cow::Borrowed(_) => Cow::Borrowed(name),
        };
    }
    // To LLVM the old Rust names are what they look like: C++.
    let readable = if name.len() > NAME_BYTES_MAX || !is_mangled(name) {
        None
    } else if is_rust(name) && !(spelling == Spelling::Of(Dialect::Llvm) && name.starts_with("_Z")) {
        rust(name, spelling)
    } else {
        cplusplus(name, spelling)
    };
    match readable {
        Some(readable) => Cow::Owned(readable),
        None if spelling == Spelling::Short => without_arguments(name),
        None => Cow::Borrowed(name),
    }
}

/// What marks the name of a stub.
const STUB: &str = "@plt";

/// Whether a compiler made this name out of a path and types.
pub(crate) fn is_mangled(name: &str) -> bool {
    name.starts_with("_Z") || name.starts_with("_R")
}

/// Whether the mangled name `symbol` may be that of the function whose last part is `plain`: linkers make one of functions
/// with equal code, and then the symbol may be another's.
pub(crate) fn may_be(symbol: &str, plain: &str) -> bool {
    let base = plain.split('<').next().unwrap_or_default();
    let is_identifier =
        !base.is_empty() && base.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    // Operators, destructors and closures are spelled otherwise in mangled names.
    !is_identifier || base.starts_with("operator") || symbol.contains(base)
}

fn is_rust(name: &str) -> bool {
    name.starts_with("_R") || legacy_rust_end(name).is_some()
}

/// Where a legacy Rust name ends: it is an Itanium name whose last part is a hash, `17h` and 16 digits, then `E`.
fn legacy_rust_end(name: &str) -> Option<usize> {
    const HASH: usize = "17h0123456789abcdefE".len();
    let start = name.starts_with("_ZN").then(|| name.rfind("17h")).flatten()?;
    let hash = name.as_bytes().get(start..start + HASH)?;
    let well_formed = hash[3..HASH - 1].iter().all(u8::is_ascii_hexdigit) && hash[HASH - 1] == b'E';
    well_formed.then_some(start + HASH)
}

fn rust(name: &str, spelling: Spelling) -> Option<String> {
    // Legacy names may have dots inside, so they end behind their hash.
    let end = legacy_rust_end(name).or_else(|| name.find('.')).unwrap_or(name.len());
    let demangled = rustc_demangle::try_demangle(&name[..end]).ok()?;
    let mut readable = Bounded::default();
    // The alternate form leaves the hash out.
    write!(readable, "{demangled:#}").ok()?;
    match spelling {
        Spelling::Short => Some(without_arguments(&readable.text).into_owned()),
        _ => Some(with_suffix(readable.text, &name[end..], spelling)),
    }
}

fn cplusplus(name: &str, spelling: Spelling) -> Option<String> {
    match spelling {
        Spelling::Of(dialect) => itanium(name, dialect, Form::Full),
        Spelling::Short => {
            itanium(name, Dialect::Gnu, Form::Short).or_else(|| itanium(name, Dialect::Llvm, Form::Short))
        }
        // Better a name that one of the tools prints than none.
        Spelling::Plain => itanium(name, Dialect::Gnu, Form::Unsuffixed)
            .or_else(|| itanium(name, Dialect::Llvm, Form::Unsuffixed)),
    }
}

/// A readable name without its generic arguments: `Vec<T>::push` is `Vec::push`, `max::<i32>` is `max`. What stands in
/// brackets by itself, as in `<Vec<T> as Drop>::drop`, says who is meant and stays.
fn without_arguments(name: &str) -> Cow<'_, str> {
    let mut short = String::new();
    // For each bracket that is open, whether what is in it stays.
    let mut stays = Vec::new();
    let mut last = ' ';
    for (at, letter) in name.char_indices() {
        let is_kept = stays.iter().all(|stays| *stays);
        match letter {
            '<' if short.ends_with("operator") || short.ends_with("operator<") => short.push(letter),
            '<' => {
                let follows_a_name = at > 0 && !matches!(last, '<' | ' ' | '(' | '&' | '*' | '[' | ',');
                if is_kept && follows_a_name {
                    short.truncate(short.trim_end_matches("::").len());
                } else if is_kept {
                    short.push(letter);
                }
                stays.push(!follows_a_name);
            }
            '>' if last != '-' && !stays.is_empty() => {
                stays.pop();
                if is_kept {
                    short.push(letter);
                }
            }
            _ if is_kept => short.push(letter),
            _ => {}
        }
        last = letter;
    }
    // Brackets that do not match are none.
    if stays.is_empty() && short.len() < name.len() { Cow::Owned(short) } else { Cow::Borrowed(name) }
}

/// Adds to a Rust name what compilers append when they clone or split a function (`.cold`, `.constprop.0`, `.llvm.1234`), as each tool
/// shows it.
fn with_suffix(mut readable: String, suffix: &str, spelling: Spelling) -> String {
    match spelling {
        Spelling::Of(Dialect::Llvm) if !suffix.is_empty() => {
            readable.push_str(" (");
            readable.push_str(suffix);
            readable.push(')');
        }
        Spelling::Of(Dialect::Gnu) => {
            let mut rest = suffix;
            while !rest.is_empty() {
                let end = clone_end(rest);
                readable.push_str(" [clone ");
                readable.push_str(&rest[..end]);
                readable.push(']');
                rest = &rest[end..];
            }
        }
        Spelling::Of(Dialect::Llvm) | Spelling::Plain | Spelling::Short => {}
    }
    readable
}

/// Where the first clone of a suffix ends: `.constprop` and the numbers behind it.
fn clone_end(suffix: &str) -> usize {
    let mut end = suffix[1..].find('.').map_or(suffix.len(), |dot| dot + 1);
    while let Some(rest) = suffix.get(end..).filter(|rest| !rest.is_empty()) {
        let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
        let is_number = digits > 0 && rest[1 + digits..].bytes().next().is_none_or(|next| next == b'.');
        if !is_number {
            break;
        }
        end += 1 + digits;
    }
    end
}

/// Text that refuses to grow beyond [`NAME_BYTES_MAX`], which stops whoever writes it.
#[derive(Default)]
struct Bounded {
    text: String,
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.text.len() + part.len() > NAME_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.text.push_str(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `c++filt` prints them, less the hash of Rust names and `[clone .cold]`.
    #[test]
    fn names_of_each_scheme_become_readable() {
        for (mangled, readable) in [
            ("_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "core::ptr::drop_in_place"),
            ("_ZN4core3ptr13drop_in_place17h0123456789abcdefE.llvm.42", "core::ptr::drop_in_place"),
            ("_RNvCs1234_7mycrate3foo", "mycrate::foo"),
            ("_ZN5space3fooEibc", "space::foo(int, bool, char)"),
            ("_Z3fooi.cold", "foo(int)"),
            ("main", "main"),
            ("foo.constprop.0", "foo.constprop.0"),
            ("_Znonsense", "_Znonsense"),
            ("_Rnonsense", "_Rnonsense"),
            ("", ""),
        ] {
            assert_eq!(demangle(mangled), readable);
        }
    }

    #[test]
    fn a_short_name_is_the_path_alone() {
        for (name, short) in [
            ("_ZNSt6vectorIiSaIiEE9push_backEOi", "std::vector::push_back"),
            ("_Z3maxIiET_S0_S0_", "max"),
            ("_ZN4core3ptr13drop_in_place17h0123456789abcdefE.llvm.42", "core::ptr::drop_in_place"),
            ("_RINvCs1234_7mycrate3fooiE", "mycrate::foo"),
            ("_RNvMCs1234_7mycrateINtCs1234_7mycrate3FoopE3bar", "<mycrate::Foo>::bar"),
            ("basic_string<char, std::allocator<char> >", "basic_string"),
            ("<alloc::vec::Vec<T> as core::ops::Drop>::drop", "<alloc::vec::Vec as core::ops::Drop>::drop"),
            ("operator<", "operator<"),
            ("operator<<", "operator<<"),
            ("operator-><int>", "operator->"),
            ("main.(*T).f", "main.(*T).f"),
            ("a<b", "a<b"),
        ] {
            assert_eq!(demangle_as(name, Spelling::Short), short);
        }
    }

    #[test]
    fn a_name_that_would_explode_or_is_too_deep_stays_as_it_is() {
        // Each parameter's type holds the one before twice: f(A<int, int>, A<A<int, int>, A<int, int> >, ...).
        let doubling = |levels: usize| {
            let seq_ids = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".chars().take(levels);
            seq_ids.fold("_Z1f1AIiiE".to_owned(), |name, id| name + &format!("S_IS{id}_S{id}_E"))
        };
        assert_eq!(demangle(&doubling(1)), "f(A<int, int>, A<A<int, int>, A<int, int> >)");
        let deep = format!("_Z1f{}i", "P".repeat(50_000));
        let long = format!("_Z{}{}v", 70_000, "a".repeat(70_000));
        for name in [doubling(30), deep, long] {
            assert_eq!(demangle(&name), name);
        }
    }
}
