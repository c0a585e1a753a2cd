//! What one frame says: the unit of exchange between the packer, the file and the reader.

/// Where a frame's function name came from.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum NameSource {
    /// A function's or an inlined function's DWARF entry.
    #[default]
    Dwarf = 0,
    /// A symbol that covers the address.
    Symtab = 1,
    /// The nearest symbol before the address, which has no size: perhaps wrong.
    SymtabNearest = 2,
    /// Go's function table.
    Pclntab = 3,
}

impl NameSource {
    /// The source with this number; numbers are taken modulo four, which is all that the file has room for.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Dwarf,
            1 => Self::Symtab,
            2 => Self::SymtabNearest,
            _ => Self::Pclntab,
        }
    }

    /// The word that reports use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dwarf => "dwarf",
            Self::Symtab => "symtab",
            Self::SymtabNearest => "symtab-nearest",
            Self::Pclntab => "pclntab",
        }
    }
}

/// One frame of a chain of inlined functions.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Frame<'a> {
    /// The name, demangled and ready to print.
    pub function: Option<&'a str>,
    /// The name as the linker knows it; kept only if the packer was asked to.
    pub linkage_name: Option<&'a str>,
    /// The whole path of the source file.
    pub file: Option<&'a str>,
    /// The line, 0 for none.
    pub line: u32,
    /// The column, 0 for none; kept only if the packer was asked to.
    pub column: u32,
    /// Where `function` came from.
    pub source: NameSource,
}
