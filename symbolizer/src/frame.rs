//! What comes out: frames, and the reason when there are none.

use std::fmt;

/// What is known about one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The frames at this address, innermost first: functions inlined here, then the function that holds the code.
    pub frames: Vec<Frame>,
    /// Why `frames` is empty; `None` if and only if it is not.
    pub missing: Option<Missing>,
}

/// One function at one address. What is not known is `None`, never invented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The demangled name without the hash of legacy Rust names; a name that will not demangle as it is.
    pub function: Option<String>,
    /// The name that the linker saw, where it is known, with suffixes such as `.cold` or `.constprop.0`.
    pub linkage_name: Option<String>,
    /// The path as the compiler recorded it: compilation directory, directory and name, `..` not resolved.
    pub file: Option<String>,
    /// Counted from 1. For a frame that something was inlined into, the line of that call.
    pub line: Option<u32>,
    /// Counted from 1, in bytes or characters as the compiler chose.
    pub column: Option<u32>,
    /// The compiler inlined this function into the next frame.
    pub inlined: bool,
    /// Where the function's name comes from.
    pub origin: Origin,
}

/// Where the name of a [`Frame`] comes from, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// DWARF debug information, which also speaks for frames without a name.
    Dwarf,
    /// The line table of the Go runtime.
    GoTable,
    /// A symbol that covers the address by its size, or starts there.
    SymbolTable,
    /// A symbol without a size (hand-written code such as `_start`) that stands before the address, with no
    /// other symbol between. A good guess.
    NearestSymbol,
}

/// Why an address has no frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// The address lies in no executable section: it is not code, or not of this module.
    NotCode,
    /// It is code, but neither the module nor a debug file names any code: everything is stripped.
    NoSymbols,
    /// It is code, but nothing covers it, such as padding between functions.
    NotCovered,
    /// The time that was given was over before anything was known.
    Unfinished,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Missing::NotCode => "address is outside every executable section of the module",
            Missing::NoSymbols => "module has no symbols and no debug file was found",
            Missing::NotCovered => "no function or symbol covers the address",
            Missing::Unfinished => "time was up before the address was named",
        })
    }
}
