//! Split DWARF: what a unit says about its functions stands in a file of its own (`.dwo`), or with that of all others
//! in a package (`.dwp`), while addresses and lines stay in the program.
//!
//! Build trees move and are cleaned, so a file is looked for where the compiler left it, beside the program and in the
//! folders that the user names, and is the right one only if it has the id that the program demands.

use std::cell::{OnceCell, RefCell};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gimli::{EndianSlice, IndexSectionId, RunTimeEndian};

use crate::elf::Elf;
use crate::locate::{Refusal, Refused};

use super::Dwarf;
use super::abbrev::Slot;
use super::sections::{FileKind, Id, Sections};
use super::unit::{Bases, Contribution, Header, Headers, Place};
use super::work::Work;

/// Bytes of a recorded path at most: the system's `PATH_MAX`.
const PATH_BYTES_MAX: usize = 4_096;

/// Refusals remembered at most: a program whose build tree is gone misses a file for each of its units.
const REFUSED_MAX: usize = 64;

/// Where split files may be, and what was looked for in vain.
#[derive(Debug)]
pub(crate) struct Split {
    /// The packages to try, best first.
    pub(crate) packages: Vec<PathBuf>,
    /// The folder of the program, then those that the user named.
    pub(crate) folders: Vec<PathBuf>,
    /// Beginnings of recorded paths, and what to put in their place.
    pub(crate) path_maps: Vec<(PathBuf, PathBuf)>,
    pub(crate) decompressed_bytes_max: u64,
    package: OnceCell<Option<Sections>>,
    refused: RefCell<Vec<Refused>>,
}

impl Split {
    pub(crate) fn new(
        packages: Vec<PathBuf>,
        folders: Vec<PathBuf>,
        path_maps: Vec<(PathBuf, PathBuf)>,
        decompressed_bytes_max: u64,
    ) -> Split {
        Split {
            packages,
            folders,
            path_maps,
            decompressed_bytes_max,
            package: OnceCell::new(),
            refused: RefCell::default(),
        }
    }

    /// The files that were looked for in vain or not used, and why.
    pub(crate) fn refused(&self) -> Vec<Refused> {
        self.refused.take()
    }

    fn refuse(&self, path: PathBuf, refusal: Refusal) {
        let mut refused = self.refused.borrow_mut();
        if refused.len() < REFUSED_MAX {
            refused.push(Refused { path, refusal });
        }
    }

    /// The paths at which the split file of a unit may be, best first.
    fn candidates(&self, directory: &[u8], name: &[u8]) -> Vec<PathBuf> {
        if name.is_empty() || name.len() + directory.len() > PATH_BYTES_MAX {
            return Vec::new();
        }
        let (directory, name) = (Path::new(OsStr::from_bytes(directory)), Path::new(OsStr::from_bytes(name)));
        let recorded = directory.join(name);
        let mapped =
            self.path_maps.iter().filter_map(|(from, to)| Some(to.join(recorded.strip_prefix(from).ok()?)));
        let mut candidates: Vec<PathBuf> = mapped.collect();
        candidates.push(recorded.clone());
        candidates.extend(self.folders.first().filter(|_| name.is_relative()).map(|own| own.join(name)));
        if let Some(base) = name.file_name() {
            candidates.extend(self.folders.iter().map(|folder| folder.join(base)));
        }
        candidates
    }
}

impl Dwarf {
    /// Calls `answer` with the place of the split unit that the skeleton unit at `skeleton` stands for. `None` if it
    /// is not found.
    pub(crate) fn with_split<T>(
        &self,
        skeleton: &Place<'_>,
        work: &Work<'_>,
        answer: impl FnOnce(&Place<'_>) -> T,
    ) -> Option<T> {
        let id = skeleton.unit.split_id()?;
        if let Some(package) = self.package(work)
            && let Some((header, contribution)) = find_in_package(package, id)
            && let Some(place) = self.split_place(skeleton, package, header, contribution, work)
        {
            return Some(answer(&place));
        }
        let text = |slot| {
            let text = skeleton.unit.root.attributes().get(slot).and_then(|value| skeleton.text(value));
            text.map_or(&b""[..], |text| text.bytes)
        };
        let (directory, name) = (text(Slot::CompilationDirectory), text(Slot::SplitName));
        for path in self.split.candidates(directory, name) {
            let elf = match Elf::open(&path) {
                Ok(elf) => elf,
                Err(error) => {
                    self.split.refuse(path, Refusal::Unusable(error));
                    continue;
                }
            };
            work.allow(elf.bytes().len());
            let sections =
                Sections::of(elf, self.next_file()?, FileKind::Split, self.split.decompressed_bytes_max);
            let contribution = Contribution::default();
            let found = find_in_file(&sections, id)
                .and_then(|header| self.split_place(skeleton, &sections, header, contribution, work));
            match found {
                Some(place) => return Some(answer(&place)),
                None => self.split.refuse(path, Refusal::SplitId { wanted: id }),
            }
        }
        None
    }

    fn package(&self, work: &Work<'_>) -> Option<&Sections> {
        let open = || {
            self.split.packages.iter().find_map(|path| match Elf::open(path) {
                Ok(elf) => {
                    work.allow(elf.bytes().len());
                    let max = self.split.decompressed_bytes_max;
                    Some(Sections::of(elf, self.next_file()?, FileKind::Split, max))
                }
                Err(error) => {
                    self.split.refuse(path.clone(), Refusal::Unusable(error));
                    None
                }
            })
        };
        self.split.package.get_or_init(open).as_ref()
    }

    /// The place of a split unit, whose addresses are those of its skeleton.
    fn split_place<'a>(
        &'a self,
        skeleton: &Place<'a>,
        sections: &'a Sections,
        header: Header,
        contribution: Contribution,
        work: &Work<'_>,
    ) -> Option<Place<'a>> {
        let mut place = self.place(sections, header, contribution, work)?;
        let Bases { addresses, ranges, low_pc, .. } = skeleton.unit.bases;
        place.addresses = skeleton.addresses;
        place.rebase(Bases { addresses, ranges, low_pc, ..place.unit.bases });
        Some(place)
    }
}

/// The unit of a split file that has the id `wanted`.
fn find_in_file(sections: &Sections, wanted: u64) -> Option<Header> {
    Headers::of(sections).filter(Header::may_own_code).find(|header| {
        let root = header.root(sections, Contribution::default());
        root.and_then(|root| root.split_id(header)) == Some(wanted)
    })
}

/// The unit of a package that has the id `wanted`, and where its parts start.
fn find_in_package(package: &Sections, wanted: u64) -> Option<(Header, Contribution)> {
    let endian = if package.is_big_endian() { RunTimeEndian::Big } else { RunTimeEndian::Little };
    let index = gimli::DebugCuIndex::from(EndianSlice::new(package.get(Id::CuIndex), endian)).index().ok()?;
    let row = index.find(wanted)?;
    let mut contribution = Contribution::default();
    let mut unit = None;
    for part in index.sections(row).ok()? {
        match part.section {
            IndexSectionId::DebugInfo => unit = usize::try_from(part.offset).ok(),
            IndexSectionId::DebugAbbrev => contribution.abbreviations = usize::try_from(part.offset).ok()?,
            IndexSectionId::DebugStrOffsets => contribution.strings = u64::from(part.offset),
            IndexSectionId::DebugRngLists => contribution.range_lists = u64::from(part.offset),
            _ => {}
        }
    }
    Some((Header::read(package, unit?)?, contribution))
}
