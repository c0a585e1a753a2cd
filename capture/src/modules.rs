//! The modules that a stack touches: what a later machine needs to name its frames.
//!
//! An address means something only together with the file that it was loaded from and how far from the file's own
//! addresses. The loader knows both; asking it costs a tenth of a microsecond. Only modules that a frame lies in are
//! described: of the six that a handler has, two or three.
#![expect(unsafe_code, reason = "the loader hands out raw pointers into the mapped ELF files")]

use std::env;
use std::ffi::{CStr, c_int, c_void};
use std::os::unix::ffi::OsStringExt;
use std::slice;

use crate::stack::Stack;
use crate::wire::{Frame, MODULES_MAX, Module};

/// The modules that the frames of a stack lie in.
pub(crate) struct Modules<'a> {
    modules: [Module<'a>; MODULES_MAX],
    count: usize,
    /// Whether frames lie in more modules than there is room for.
    pub(crate) cut: bool,
}

impl<'a> Modules<'a> {
    /// Finds the module of each frame of the calling thread, and sets its index in the frame.
    ///
    /// `program` is the path of the main program, for which the loader has no name. The modules borrow from the stack
    /// because they are there for sure only as long as its functions have not returned.
    pub(crate) fn of(stack: &'a mut Stack, program: &'a [u8]) -> (Modules<'a>, &'a [Frame]) {
        let frames = stack.frames();
        let modules = Modules { modules: [Module::default(); MODULES_MAX], count: 0, cut: false };
        let mut search = Search { frames: &mut *frames, program, first: true, modules };
        // SAFETY: `visit` takes its argument for a `Search`, which it is, and which lives until the call returns; the
        // loader calls it in this thread only, one call after the other.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast::<c_void>()) };
        (search.modules, frames)
    }

    /// The modules.
    pub(crate) fn as_slice(&self) -> &[Module<'a>] {
        self.modules.get(..self.count).unwrap_or_default()
    }

    fn push(&mut self, module: Module<'a>) {
        if let Some(slot) = self.modules.get_mut(self.count) {
            *slot = module;
            self.count += 1;
        }
    }
}

/// The path of the running program. The kernel's answer, not `argv`: that may be relative or anything.
pub(crate) fn program_path() -> Vec<u8> {
    env::current_exe().map(|path| path.into_os_string().into_vec()).unwrap_or_default()
}

struct Search<'s, 'a> {
    frames: &'s mut [Frame],
    program: &'a [u8],
    first: bool,
    modules: Modules<'a>,
}

/// Called by the loader for each object, the main program first.
unsafe extern "C" fn visit(info: *mut libc::dl_phdr_info, _size: usize, search: *mut c_void) -> c_int {
    // SAFETY: the loader passes a description that is valid during this call.
    let info = unsafe { &*info };
    // SAFETY: `Modules::of` passed it, and holds no other reference during the call.
    let search = unsafe { &mut *search.cast::<Search<'_, '_>>() };
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the program headers are mapped as long as the object is, which the loader does not unload during this
    // call.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };

    let is_program = std::mem::replace(&mut search.first, false);
    if !search.claim_frames(info.dlpi_addr, headers) {
        return 0;
    }
    // From here on a frame of this very thread lies in the object: nobody may unload it before that frame returns, and
    // with it what `path` and `build_id` point to: its mapping, or the loader's entry for it.
    let path = if is_program {
        search.program
    } else if info.dlpi_name.is_null() {
        &[]
    } else {
        // SAFETY: the loader's name is a C string that lives as long as its entry for the object.
        unsafe { CStr::from_ptr(info.dlpi_name) }.to_bytes()
    };
    let build_id = build_id_of(info.dlpi_addr, headers).unwrap_or_default();
    search.modules.push(Module { path, build_id, load_bias: info.dlpi_addr });
    0
}

impl Search<'_, '_> {
    /// Gives the frames that lie in the object the index that it will have. Whether there is one and room for it.
    ///
    /// Only executable segments count: lld, rustc's linker, lets the page of the file in which the code starts be
    /// mapped by the segment before it as well.
    fn claim_frames(&mut self, bias: u64, headers: &[libc::Elf64_Phdr]) -> bool {
        let index = self.modules.count;
        let mut claimed = false;
        for code in headers.iter().filter(|h| h.p_type == libc::PT_LOAD && h.p_flags & libc::PF_X != 0) {
            let start = bias.wrapping_add(code.p_vaddr);
            for frame in self.frames.iter_mut() {
                // A return address is one past its call: it may be the end of the segment, and is never the start.
                let offset = frame.return_address.wrapping_sub(start);
                if 0 < offset && offset <= code.p_memsz {
                    if index == MODULES_MAX {
                        self.modules.cut = true;
                        return false;
                    }
                    frame.module = u8::try_from(index).ok();
                    claimed = true;
                }
            }
        }
        claimed
    }
}

/// The build-id of an object that is loaded at `bias`, in its mapped notes.
fn build_id_of<'a>(bias: u64, headers: &[libc::Elf64_Phdr]) -> Option<&'a [u8]> {
    headers.iter().filter(|header| header.p_type == libc::PT_NOTE).find_map(|note| {
        // A note that is not part of what was loaded is in the file only.
        let end = note.p_vaddr.checked_add(note.p_filesz)?;
        let is_loaded = headers.iter().any(|load| {
            load.p_type == libc::PT_LOAD
                && load.p_flags & libc::PF_R != 0
                && load.p_vaddr <= note.p_vaddr
                && end <= load.p_vaddr.saturating_add(load.p_filesz)
        });
        if !is_loaded {
            return None;
        }
        let start = bias.wrapping_add(note.p_vaddr) as *const u8;
        // SAFETY: the bytes lie in a segment that the loader mapped readable, and are never written. The caller's frame
        // keeps the mapping; see `visit`.
        let notes = unsafe { slice::from_raw_parts(start, note.p_filesz as usize) };
        build_id(notes, note.p_align as usize)
    })
}

/// The GNU build-id among ELF notes: each is the length of a name, the length of a description, a type, and both texts
/// padded to `align`.
fn build_id(mut notes: &[u8], align: usize) -> Option<&[u8]> {
    const NT_GNU_BUILD_ID: u32 = 3;
    // The ABI knows 4 and 8; 0 and 1 are written for 4.
    let align = if align == 8 { 8 } else { 4 };
    loop {
        let (name_bytes, rest) = notes.split_first_chunk()?;
        let (description_bytes, rest) = rest.split_first_chunk()?;
        let (kind, rest) = rest.split_first_chunk()?;
        let name_bytes = u32::from_ne_bytes(*name_bytes) as usize;
        let description_bytes = u32::from_ne_bytes(*description_bytes) as usize;
        let kind = u32::from_ne_bytes(*kind);
        // Padding counts from the start of the note, 12 bytes before the name.
        let padded = |bytes: usize| (12 + bytes).next_multiple_of(align) - 12;
        let description_at = padded(name_bytes);
        let description = rest.get(description_at..)?.get(..description_bytes)?;
        if kind == NT_GNU_BUILD_ID && rest.get(..name_bytes) == Some(b"GNU\0") {
            return Some(description);
        }
        notes = rest.get(padded(description_at + description_bytes)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Notes of Debian 12's libc.so.6, as `readelf -x` prints them.
    const ABI_TAG: [u8; 32] = [
        4, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, b'G', b'N', b'U', 0, //
        0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
    ];
    const BUILD_ID: [u8; 36] = [
        4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, b'G', b'N', b'U', 0, //
        0x93, 0xac, 0x61, 0xec, 0x5a, 0x8e, 0xb1, 0x39, 0x6f, 0x9f, //
        0xbd, 0x35, 0x0e, 0x31, 0x69, 0xa5, 0x58, 0x52, 0x8a, 0x40,
    ];

    #[test]
    fn the_build_id_is_found_behind_other_notes() {
        let notes = [&ABI_TAG[..], &BUILD_ID].concat();
        assert_eq!(build_id(&notes, 4), Some(&BUILD_ID[16..]));
        assert_eq!(build_id(&notes, 8), Some(&BUILD_ID[16..]));
    }

    #[test]
    fn a_note_of_another_type_is_no_build_id() {
        assert_eq!(build_id(&ABI_TAG, 4), None);
    }

    #[test]
    fn notes_cut_anywhere_have_no_build_id() {
        for length in 0..BUILD_ID.len() {
            assert_eq!(build_id(&BUILD_ID[..length], 4), None, "{length} bytes");
        }
    }

    #[test]
    fn lengths_beyond_the_notes_are_refused() {
        let mut notes = BUILD_ID;
        notes[0..8].fill(0xff);
        assert_eq!(build_id(&notes, 4), None);
        assert_eq!(build_id(&notes, 8), None);
    }
}
