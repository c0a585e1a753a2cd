//! Where the separate debug file of a stripped module may be, and whether a file found there is the right one.
//!
//! Both are pure functions. [`candidates`] turns what the module says about itself and what the user configured
//! into an ordered list; [`examine`] compares what a found file says with what the module demands. Opening files
//! is left to the caller, which remembers what it refused: most wrong answers of symbolizers come from debug
//! files not found or not verified, not from DWARF misread, so the user must be able to see what was tried.
//!
//! Build-ids decide where both files have one. The CRC-32 of `.gnu_debuglink` counts only where they cannot. A
//! file that offers neither proof is refused: names of another build are worse than none.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::build_id::BuildId;
use crate::elf::{DebugLink, SharedLink};
use crate::error::Error;

/// Where to look for debug files, apart from beside the module itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// Roots that hold a `.build-id` tree and a copy of the system's directories, the first asked first.
    pub debug_dirs: Vec<PathBuf>,
    /// Files that may be the debug file, or the packed symbol file, wherever they come from. They must prove it like any
    /// other, and are asked first.
    pub files: Vec<PathBuf>,
    /// Bytes of compressed sections of one file that may be unpacked together, instead of a gigabyte: a sandbox of 128 MB has
    /// none to spare. What does not fit is left out, and names come from the symbols.
    pub unpacked_bytes_max: Option<u64>,
    /// Beginnings of paths as the compiler recorded them, and what to put in their place when a split file is looked
    /// for; the first that fits is taken.
    pub path_maps: Vec<(PathBuf, PathBuf)>,
}

impl Search {
    /// What distributions use: `/usr/lib/debug`.
    pub fn system() -> Search {
        Search { debug_dirs: vec![PathBuf::from("/usr/lib/debug")], ..Search::default() }
    }
}

/// A debug file that was looked for and not used.
#[derive(Debug)]
pub struct Refused {
    /// Where it was looked for.
    pub path: PathBuf,
    /// Why it was not used.
    pub refusal: Refusal,
}

/// Why a debug file was not used.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The file is absent, unreadable or no ELF file.
    Unusable(Error),
    /// The file belongs to another build.
    BuildId {
        /// The build-id in the debug file.
        found: BuildId,
        /// The build-id of the module.
        wanted: BuildId,
    },
    /// The file's bytes are not those that the module was linked to.
    Crc32 {
        /// The checksum of the debug file.
        found: u32,
        /// The checksum that the module's debug link demands.
        wanted: u32,
    },
    /// The file has no build-id and the module no checksum: nothing shows that they belong together.
    NoProof,
    /// The path leads back to the module.
    SameFile,
    /// The debug link names no plain file: its name is empty, `.`, `..` or has a `/` in it.
    LinkName,
    /// The split file has no unit of the id that the program demands.
    SplitId {
        /// The id that the program's unit has.
        wanted: u64,
    },
    /// The file belongs to the module but holds neither debug information nor a symbol table.
    Stripped,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.refusal {
            // The error names the path itself.
            Refusal::Unusable(error) => write!(f, "debug file: {error}"),
            Refusal::BuildId { found, wanted } => {
                write!(f, "debug file {path} has build-id {found}, the module has {wanted}")
            }
            Refusal::Crc32 { found, wanted } => {
                write!(
                    f,
                    "debug file {path} has CRC-32 {found:08x}, the module's debug link wants {wanted:08x}"
                )
            }
            Refusal::NoProof => {
                write!(f, "debug file {path} has no build-id to compare with the module's")
            }
            Refusal::SplitId { wanted } => {
                write!(f, "split file {path} has no unit with the id {wanted:016x}")
            }
            Refusal::SameFile => write!(f, "debug file {path} is the module itself"),
            Refusal::LinkName => write!(f, "debug link {path} is no plain file name"),
            Refusal::Stripped => write!(f, "debug file {path} is stripped as well"),
        }
    }
}

/// What a module demands of its debug file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) build_id: Option<BuildId>,
    pub(crate) crc32: Option<u32>,
}

/// A place to look at, and what the file there must prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    pub(crate) proof: Proof,
}

/// Where the debug file of the module in `directory` (absolute, symbolic links resolved) may be, best first:
/// the build-id trees, then the debug link beside the module, in `.debug` beside it, and below each root in a
/// copy of the module's directory.
///
/// # Errors
/// A debug link that names no plain file is refused, after the build-id trees: the candidates before it and the
/// refusal come back together.
pub(crate) fn candidates(
    directory: &Path,
    build_id: Option<&BuildId>,
    link: Option<&DebugLink>,
    search: &Search,
) -> (Vec<Candidate>, Option<Refused>) {
    let mut candidates = Vec::new();
    if let Some(id) = build_id {
        let proof = Proof { build_id: Some(id.clone()), crc32: None };
        candidates
            .extend(search.files.iter().map(|path| Candidate { path: path.clone(), proof: proof.clone() }));
        for by_id in [below_build_id(id, "debug"), in_store(id, "debuginfo")] {
            let candidate = |root: &PathBuf| Candidate { path: root.join(&by_id), proof: proof.clone() };
            candidates.extend(search.debug_dirs.iter().map(candidate));
        }
    }
    let Some(link) = link else { return (candidates, None) };
    if !is_plain_name(link) {
        let refused = Refused { path: PathBuf::from(&link.name), refusal: Refusal::LinkName };
        return (candidates, Some(refused));
    }
    let proof = Proof { build_id: build_id.cloned(), crc32: Some(link.crc32) };
    let below_roots = directory.strip_prefix("/").unwrap_or(directory);
    let directories = [directory.to_owned(), directory.join(".debug")]
        .into_iter()
        .chain(search.debug_dirs.iter().map(|root| root.join(below_roots)));
    candidates.extend(
        directories.map(|directory| Candidate { path: directory.join(&link.name), proof: proof.clone() }),
    );
    (candidates, None)
}

/// Where the packed symbol file of a module may be: in the stores, and in build-id trees.
pub(crate) fn packed_candidates(build_id: &BuildId, search: &Search) -> Vec<Candidate> {
    let proof = Proof { build_id: Some(build_id.clone()), crc32: None };
    let paths = [in_store(build_id, "packed"), below_build_id(build_id, "packed")];
    let given = search.files.iter().cloned();
    let roots = search.debug_dirs.iter();
    let below = roots.flat_map(|root| paths.iter().map(|path| root.join(path)));
    given.chain(below).map(|path| Candidate { path, proof: proof.clone() }).collect()
}

/// Where the file may be that `dwz` made, to which the debug file in `directory` (absolute, symbolic links resolved)
/// refers with `link`: where the link says, in the `.dwz` folder of each root, by its build-id.
pub(crate) fn shared_candidates(directory: &Path, link: &SharedLink, search: &Search) -> Vec<Candidate> {
    let proof = Proof { build_id: Some(link.build_id.clone()), crc32: None };
    let mut paths = vec![directory.join(&link.path)];
    if let Some(name) = link.path.file_name() {
        paths.extend(search.debug_dirs.iter().map(|root| root.join(".dwz").join(name)));
    }
    let by_id = below_build_id(&link.build_id, "debug");
    paths.extend(search.debug_dirs.iter().map(|root| root.join(&by_id)));
    paths.into_iter().map(|path| Candidate { path, proof: proof.clone() }).collect()
}

/// Where the package of split files may be: beside the program, beside its debug file, by the build-id of the program.
/// A package proves itself unit by unit.
pub(crate) fn package_candidates(
    binary: &Path,
    debug: &Path,
    build_id: Option<&BuildId>,
    search: &Search,
) -> Vec<PathBuf> {
    let with_suffix = |path: &Path| {
        let mut path = path.as_os_str().to_owned();
        path.push(".dwp");
        PathBuf::from(path)
    };
    let mut paths = vec![with_suffix(binary)];
    if debug != binary {
        paths.push(with_suffix(debug));
        // app.debug goes with app.dwp.
        paths.push(debug.with_extension("dwp"));
    }
    if let Some(id) = build_id {
        let by_id = below_build_id(id, "dwp");
        paths.extend(search.debug_dirs.iter().map(|root| root.join(&by_id)));
    }
    paths.dedup();
    paths
}

/// `ab/cdef/KIND`: where a store of symbols has a file for this build-id.
fn in_store(id: &BuildId, kind: &str) -> PathBuf {
    let digits = id.to_string();
    let (first, rest) = digits.split_at(2);
    Path::new(first).join(rest).join(kind)
}

/// `.build-id/ab/cdef.EXTENSION`: where a file with this build-id stands below a root.
fn below_build_id(id: &BuildId, extension: &str) -> PathBuf {
    let digits = id.to_string();
    // A build-id has at least two bytes.
    let (first, rest) = digits.split_at(2);
    Path::new(".build-id").join(first).join(format!("{rest}.{extension}"))
}

fn is_plain_name(link: &DebugLink) -> bool {
    let mut components = Path::new(&link.name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(_)), None))
        && !link.name.as_bytes().contains(&b'/')
}

/// Whether a file with the build-id `found` gives `proof`. `crc32` reads the whole file, so it is asked only if
/// the build-ids cannot tell.
pub(crate) fn examine(
    proof: &Proof,
    found: Option<&BuildId>,
    crc32: impl FnOnce() -> u32,
) -> Result<(), Refusal> {
    match (&proof.build_id, found, proof.crc32) {
        (Some(wanted), Some(found), _) if wanted == found => Ok(()),
        (Some(wanted), Some(found), _) => {
            Err(Refusal::BuildId { found: found.clone(), wanted: wanted.clone() })
        }
        (_, _, Some(wanted)) => match crc32() {
            found if found == wanted => Ok(()),
            found => Err(Refusal::Crc32 { found, wanted }),
        },
        (_, _, None) => Err(Refusal::NoProof),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> BuildId {
        text.parse().unwrap()
    }

    fn link(name: &str) -> DebugLink {
        DebugLink { name: name.into(), crc32: 7 }
    }

    #[test]
    fn build_id_trees_come_before_the_debug_link() {
        let search =
            Search { debug_dirs: vec!["/usr/lib/debug".into(), "/symbols".into()], ..Search::default() };
        let (candidates, refused) =
            candidates(Path::new("/opt/bin"), Some(&id("9d2c00ff")), Some(&link("app.debug")), &search);
        let paths: Vec<_> = candidates.iter().map(|candidate| candidate.path.to_str().unwrap()).collect();
        assert_eq!(
            paths,
            [
                "/usr/lib/debug/.build-id/9d/2c00ff.debug",
                "/symbols/.build-id/9d/2c00ff.debug",
                "/usr/lib/debug/9d/2c00ff/debuginfo",
                "/symbols/9d/2c00ff/debuginfo",
                "/opt/bin/app.debug",
                "/opt/bin/.debug/app.debug",
                "/usr/lib/debug/opt/bin/app.debug",
                "/symbols/opt/bin/app.debug",
            ]
        );
        assert_eq!(candidates[1].proof, Proof { build_id: Some(id("9d2c00ff")), crc32: None });
        assert_eq!(candidates[4].proof, Proof { build_id: Some(id("9d2c00ff")), crc32: Some(7) });
        assert!(refused.is_none());
    }

    #[test]
    fn a_link_that_names_no_plain_file_is_refused() {
        for name in ["", ".", "..", "../app.debug", "/etc/passwd", "a/b", "a/", "./a"] {
            let (candidates, refused) =
                candidates(Path::new("/bin"), None, Some(&link(name)), &Search::system());
            assert_eq!(candidates, [], "{name}");
            assert!(matches!(refused.unwrap().refusal, Refusal::LinkName), "{name}");
        }
    }

    #[test]
    fn build_ids_decide_where_both_files_have_one() {
        let proof = Proof { build_id: Some(id("aaaa")), crc32: Some(7) };
        assert!(examine(&proof, Some(&id("aaaa")), || 8).is_ok());
        let refused =
            Refused { path: "/d".into(), refusal: examine(&proof, Some(&id("bbbb")), || 7).unwrap_err() };
        assert_eq!(refused.to_string(), "debug file /d has build-id bbbb, the module has aaaa");
    }

    #[test]
    fn without_build_ids_the_checksum_decides_and_without_both_nothing_is_accepted() {
        let proof = |crc32| Proof { build_id: None, crc32 };
        assert!(examine(&proof(Some(7)), Some(&id("aaaa")), || 7).is_ok());
        assert!(matches!(examine(&proof(Some(7)), None, || 8), Err(Refusal::Crc32 { found: 8, wanted: 7 })));
        assert!(matches!(examine(&proof(None), None, || 7), Err(Refusal::NoProof)));
        let by_id = Proof { build_id: Some(id("aaaa")), crc32: None };
        assert!(matches!(examine(&by_id, None, || 7), Err(Refusal::NoProof)));
    }
}
