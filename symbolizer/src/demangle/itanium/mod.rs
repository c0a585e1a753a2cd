//! Names of C++ as the Itanium ABI mangles them: every compiler but Microsoft's.
//!
//! A name becomes the text that the tools print, each in its own spelling ([`Dialect`]), parameter lists included; one
//! whose spelling is not known for sure stays mangled, because a wrong name is worse. Names are programs for an unpacker:
//! depth, steps and length are bounded.

mod node;
mod tables;
mod parse;
mod print;

use self::parse::Parser;
use self::print::Printer;
use super::NAME_BYTES_MAX;

/// Whose spelling a readable name has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// That of the binutils: `std::vector<int, std::allocator<int> >`, `{lambda(int)#1}`, `f(int) [clone .cold]`.
    #[default]
    Gnu,
    /// That of LLVM: `std::vector<int, std::allocator<int>>`, `'lambda'(int)`, `f(int) (.cold)`.
    Llvm,
}

/// The readable form of a name that begins with `_Z`, without the suffix that stands behind it; and the suffix.
pub(super) fn demangle(name: &str, dialect: Dialect) -> Option<(String, &str)> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let mut parser = Parser::new(name, dialect);
    let (root, suffix) = parser.whole()?;
    let mut printer = Printer::new(&parser, dialect);
    printer.print(root)?;
    Some((printer.text, suffix))
}
