//! A program or shared object that answers for addresses in it: an ELF file with what belongs to it, or the packed
//! symbol file that was made of one.

use std::fmt;
use std::path::Path;

use crate::address::ModuleAddress;
use crate::answers::{Answers, Builder};
use crate::build_id::BuildId;
use crate::elf_module::{ElfModule, Options};
use crate::error::{Error, ErrorKind};
use crate::frame::Answer;
use crate::locate::{Refused, Search};
use crate::mmap::Bytes;
use crate::pack::{self, Keep, Packing};
use crate::packed::{PackedModule, is_packed};

/// A program or shared object that answers for its addresses.
///
/// It keeps the files mapped and what it parsed of them, so it is made once and asked often. It may move to
/// another thread, but serves one at a time.
pub struct Module {
    kind: Kind,
}

enum Kind {
    Elf(Box<ElfModule>),
    Packed(Box<PackedModule>),
}

impl Module {
    /// Maps the ELF file at `path` and, if it has no DWARF of its own, the debug file that `search` finds for it; or the
    /// packed symbol file at `path`.
    ///
    /// # Errors
    /// The file is absent, no regular file, neither ELF nor packed symbols, a core dump, or its headers are corrupt.
    /// Trouble with the debug file or with DWARF is no error: see [`Module::refused`] and [`Module::dwarf_error`].
    pub fn open(path: &Path, search: &Search) -> Result<Module, Error> {
        let (bytes, identity) = Bytes::map(path)?;
        let kind = if is_packed(&bytes) {
            Kind::Packed(Box::new(PackedModule::open(path, bytes)?))
        } else {
            Kind::Elf(Box::new(ElfModule::open(path, bytes, identity, search)?))
        };
        Ok(Module { kind })
    }

    /// What is known about `address`. Never fails: what cannot be read is not known.
    pub fn symbolize(&self, address: ModuleAddress) -> Answer {
        self.symbolize_all(&[address]).answer(0)
    }

    /// What is known about each of `addresses`, all of them together: that is many times faster than one after the
    /// other.
    pub fn symbolize_all(&self, addresses: &[ModuleAddress]) -> Answers {
        self.symbolize_within(addresses, Options::default())
    }

    /// [`symbolize_all`](Module::symbolize_all), as `options` have it.
    pub fn symbolize_within(&self, addresses: &[ModuleAddress], options: Options<'_>) -> Answers {
        let mut distinct: Vec<u64> = addresses.iter().map(|address| address.0).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let place = |address: &ModuleAddress| distinct.binary_search(&address.0).unwrap_or_default() as u32;
        let order = addresses.iter().map(place).collect();
        let mut builder = Builder::new(order, distinct.len(), options.spelling);
        match &self.kind {
            Kind::Elf(elf) => elf.answer(&distinct, options, &mut builder),
            Kind::Packed(packed) => {
                let numbers: Vec<u32> = (0..).take(distinct.len()).collect();
                packed.answer(&distinct, &numbers, &mut builder);
            }
        }
        builder.finish()
    }

    /// Makes a packed symbol file of all that the module knows. `progress` is told how many of how many addresses are
    /// done.
    ///
    /// # Errors
    /// The module is a packed symbol file already.
    pub fn pack(
        &self,
        keep: Keep,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<(Vec<u8>, Packing), Error> {
        match &self.kind {
            Kind::Elf(elf) => Ok(pack::pack(self, elf, keep, progress)),
            Kind::Packed(packed) => Err(Error::new(ErrorKind::Packed, packed.path())),
        }
    }

    /// The start of the symbol with exactly this name, as the symbol tables have it. Texts name calls so where the address that they
    /// give is one of a process that is gone.
    pub fn address_of(&self, symbol: &str) -> Option<ModuleAddress> {
        self.elf()?.address_of(symbol)
    }

    /// The address at which the byte at `offset` of the file is loaded, as a core dump tells it.
    pub fn address_of_offset(&self, offset: u64) -> Option<ModuleAddress> {
        self.elf()?.address_of_offset(offset)
    }

    /// Where the section of this name starts, for addresses that are counted from there.
    pub fn section_start(&self, name: &str) -> Option<ModuleAddress> {
        self.elf()?.section_start(name)
    }

    /// The symbol of data at `address`: its name, start and size.
    pub fn data_at(&self, address: ModuleAddress) -> Option<(String, ModuleAddress, u64)> {
        self.elf()?.data_at(address)
    }

    /// The path that the module was opened with.
    pub fn path(&self) -> &Path {
        match &self.kind {
            Kind::Elf(elf) => elf.path(),
            Kind::Packed(packed) => packed.path(),
        }
    }

    /// The module's build-id, if the linker wrote one.
    pub fn build_id(&self) -> Option<&BuildId> {
        match &self.kind {
            Kind::Elf(elf) => elf.build_id(),
            Kind::Packed(packed) => packed.build_id(),
        }
    }

    /// The separate debug file, or the packed symbol file, in use, if the module needed one and it was found.
    pub fn debug_file(&self) -> Option<&Path> {
        self.elf()?.debug_file()
    }

    /// Whether the module has no debug information, neither its own nor another's: only symbols, if any.
    pub fn is_bare(&self) -> bool {
        self.elf().is_some_and(ElfModule::is_bare)
    }

    /// The places where a debug file was looked for before [`Module::debug_file`] was found, or in vain, in order,
    /// and why each was not used.
    pub fn refused(&self) -> &[Refused] {
        self.elf().map_or(&[], ElfModule::refused)
    }

    /// The split files that were looked for in vain since this was last asked, and why each was not used.
    pub fn refused_split_files(&self) -> Vec<Refused> {
        self.elf().map(ElfModule::refused_split_files).unwrap_or_default()
    }

    /// Why a part of the DWARF at hand was not used, as far as questions met it.
    pub fn dwarf_error(&self) -> Option<Error> {
        self.elf()?.dwarf_error()
    }

    fn elf(&self) -> Option<&ElfModule> {
        match &self.kind {
            Kind::Elf(elf) => Some(elf),
            Kind::Packed(_) => None,
        }
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("path", &self.path()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_may_move_to_another_thread() {
        fn is_send<T: Send>() {}
        is_send::<Module>();
    }
}
