//! Mangled C++ names of the Itanium ABI (every compiler but Microsoft's), made readable.
//!
//! A name becomes, byte for byte, the text that a tool prints ([`Dialect`]), parameter lists included; where the tool
//! prints none, or this crate does not know how it spells a construct, there is no text at all, because a wrong name is
//! worse than a mangled one. A name is parsed into a tree and the tree printed; both are programs for an
//! unpacker, so their depth, steps and length are bounded.

mod node;
mod tables;
mod suffix;
mod parser;
mod printer;

use parser::Parser;
use printer::Printer;

/// Bytes of one name, mangled or not. Template-heavy C++ reaches some ten thousand.
pub const NAME_BYTES_MAX: usize = 1 << 16;

/// Whose spelling a readable name has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// What `addr2line` and `nm` of the binutils 2.40 print (`c++filt -i`): `std::vector<int, std::allocator<int> >`, `f(int) [clone .cold]`.
    #[default]
    Gnu,
    /// What `llvm-cxxfilt` 19 prints: `std::vector<int, std::allocator<int>>`, `f(int) (.cold)`.
    Llvm,
}

/// How much of a name is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Form {
    /// All that the tool prints.
    #[default]
    Full,
    /// All but the suffix of a clone.
    Unsuffixed,
    /// The path of names alone, without parameters, return type, template arguments and clone suffix:
    /// `std::vector::push_back`.
    Short,
}

/// The readable form of a name that begins with `_Z`; `None` for one that has none.
#[must_use]
pub fn demangle(mangled: &str, dialect: Dialect, form: Form) -> Option<String> {
    let mut out = String::new();
    demangle_into(mangled, dialect, form, &mut out).then_some(out)
}

/// Writes the readable form of a name over what `out` held. `false`, and an empty `out`, for a name that has none.
pub fn demangle_into(mangled: &str, dialect: Dialect, form: Form, out: &mut String) -> bool {
    Demangler::new().demangle_into(mangled, dialect, form, out)
}

/// Demangles one name after the other in the same memory.
#[derive(Debug, Default)]
pub struct Demangler {
    parser: parser::Memory,
    printer: printer::Memory,
}

impl Demangler {
    /// A demangler that has no memory yet.
    #[must_use]
    pub fn new() -> Demangler {
        Demangler::default()
    }

    /// As [`demangle_into`].
    pub fn demangle_into(&mut self, mangled: &str, dialect: Dialect, form: Form, out: &mut String) -> bool {
        out.clear();
        if mangled.len() > NAME_BYTES_MAX || !mangled.starts_with("_Z") {
            return false;
        }
        // Only LLVM takes them for C++.
        if dialect == Dialect::Gnu && is_legacy_rust(mangled) {
            return false;
        }
        let Some((root, suffix)) = Parser::new(mangled, dialect, &mut self.parser).whole() else {
            return false;
        };
        let arena = &self.parser.arena;
        let printed = Printer::new(mangled, arena, &mut self.printer, dialect, form, out).whole(root, suffix);
        if !printed {
            out.clear();
        }
        printed
    }
}

/// Whether a name is one that Rust's old scheme made: its last part is a hash, `17h` and 16 digits.
fn is_legacy_rust(mangled: &str) -> bool {
    const DIGITS: usize = 16;
    let Some((_, behind)) = mangled.rsplit_once("17h") else { return false };
    let bytes = behind.as_bytes();
    bytes.get(..DIGITS).is_some_and(|hash| hash.iter().all(u8::is_ascii_hexdigit))
        && bytes.get(DIGITS) == Some(&b'E')
        && bytes.get(DIGITS + 1).is_none_or(|next| *next == b'.')
}
