//! The address spaces of a symbolizer, each with its own type, so that mixing them up does not compile.
//!
//! A running process knows runtime addresses; a file knows the addresses that the linker gave out. They differ
//! by the load bias of the module. And a return address names the instruction *after* the call: it may already
//! belong to the next line, the next inlined function, or the next function altogether.

use std::fmt;

/// An address as the linker gave it out: the `p_vaddr` space of the ELF file, as in its symbol table and DWARF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleAddress(pub u64);

/// The address of an instruction in the memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuntimeAddress(pub u64);

/// An address that a call pushed, in the memory of a process: every frame of a walked stack but the innermost,
/// and but those interrupted by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReturnAddress(pub u64);

/// How far a module was moved when it was loaded: runtime address minus module address, as `dlpi_addr` of
/// `dl_iterate_phdr`. 0 for a program linked to fixed addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LoadBias(pub u64);

impl RuntimeAddress {
    /// The address in the file of the module that was loaded with `bias`.
    ///
    /// Wraps like the loader's own sum; an address below the module therefore becomes one that no module
    /// contains, and is answered as such.
    #[must_use]
    pub fn in_module(self, bias: LoadBias) -> ModuleAddress {
        ModuleAddress(self.0.wrapping_sub(bias.0))
    }
}

impl ReturnAddress {
    /// An address inside the call instruction: one less. The only place where one is subtracted.
    #[must_use]
    pub fn call(self) -> RuntimeAddress {
        RuntimeAddress(self.0.saturating_sub(1))
    }
}

/// Prints `0x` and lower-case digits, as every symbolizer accepts them.
impl fmt::Display for ModuleAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_address_becomes_its_call_in_the_module() {
        let call = ReturnAddress(0x5555_5555_5361).call();
        assert_eq!(call.in_module(LoadBias(0x5555_5555_4000)), ModuleAddress(0x1360));
        assert_eq!(ModuleAddress(0x1360).to_string(), "0x1360");
    }

    #[test]
    fn an_address_below_the_bias_falls_outside_every_module() {
        assert_eq!(RuntimeAddress(0x1000).in_module(LoadBias(0x2000)), ModuleAddress(0xffff_ffff_ffff_f000));
        assert_eq!(ReturnAddress(0).call(), RuntimeAddress(0));
    }
}
