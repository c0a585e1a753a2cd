//! The text of a source line, read only below directories that the user named.
//!
//! The path of a source file comes out of debug information or of a record, so somebody else chose it. It may be
//! `/etc/shadow`, lead out by `..` or by a symbolic link, or name a FIFO. So the path that is opened is always the
//! canonical one, and it must lie below a canonical root.
//!
//! Sources seldom lie where they were compiled. A recorded path is looked for in this order:
//!
//! 1. mapped, if the user mapped the beginning of the path; else as it stands, if that is below a root;
//! 2. whole, below each root: `/var/task/x.py` as `ROOT/var/task/x.py`;
//! 3. without its first directory, its first two, and so on: `/build/xyz/src/main.rs` as `ROOT/src/main.rs`.
//!
//! The text of a wrong file is worse than none, and short names such as `src/lib.rs` are in every project. So at
//! least one directory must be left with the name, unless there was none; and no directory is dropped that holds
//! other people's code ([`FOREIGN`]): `/home/me/.cargo/registry/src/x/serde-1.0.0/src/lib.rs` is looked for as
//! `ROOT/registry/src/x/serde-1.0.0/src/lib.rs`, never as `ROOT/src/lib.rs`.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use crate::regular;
use crate::text::head;

/// Bytes of one source file at most; a longer one has no lines. Generated code of this length exists, but nobody
/// reads a line of it.
const SOURCE_BYTES_MAX: u64 = 16 << 20;

/// Bytes of one line of source in an answer at most. What is longer is cut off: minified scripts are one line.
const LINE_BYTES_MAX: usize = 1_024;

/// Lines of context on either side at most.
const CONTEXT_LINES_MAX: u32 = 1_000;

/// Bytes of one recorded path at most: the system's `PATH_MAX`. A longer one has no lines.
const PATH_BYTES_MAX: usize = 4_096;

/// Directories tried off the front of one path at most, since each costs a system call per root.
const DROPPED_MAX: usize = 64;

/// Files remembered at most, found or not: a large program is made of some thousand. When they are this many, all are
/// forgotten.
const CACHED_FILES_MAX: usize = 4_096;

/// Bytes of files remembered at most. When they are more, all are forgotten.
const CACHED_BYTES_MAX: usize = 64 << 20;

/// Directories that hold other people's code: what stands below them is not the project's, however its path ends.
const FOREIGN: [&str; 8] = [
    "registry",      // crates of Cargo: ~/.cargo/registry/src/INDEX/CRATE-VERSION
    "checkouts",     // git dependencies of Cargo: ~/.cargo/git/checkouts/CRATE-HASH/COMMIT
    "rustc",         // Rust's standard library: /rustc/COMMIT/library
    "vendor",        // Go, PHP, Ruby, Cargo
    "node_modules",  // JavaScript
    "site-packages", // Python
    "dist-packages", // Python as Debian has it
    "mod",           // modules of Go: ~/go/pkg/mod/MODULE@VERSION
];

/// Reads source lines below given directories, and remembers the files: one that changes or appears later is read
/// anew only once it was forgotten.
#[derive(Debug)]
pub struct SourceRoots {
    /// Canonical.
    roots: Vec<PathBuf>,
    /// Beginnings of recorded paths, and what to put in their place.
    maps: Vec<(PathBuf, PathBuf)>,
    cache: Cache,
}

#[derive(Debug, Default)]
struct Cache {
    /// By recorded path; `None` is a file that was not found.
    files: HashMap<String, Option<Box<[u8]>>>,
    bytes: usize,
}

impl SourceRoots {
    /// Reads below `roots`, the first asked first. One that does not exist has no files.
    pub fn new(roots: Vec<PathBuf>) -> SourceRoots {
        SourceRoots::with_maps(roots, Vec::new())
    }

    /// Reads below `roots`, and below the second folder of each of `maps` what was recorded below the first.
    pub fn with_maps(mut roots: Vec<PathBuf>, maps: Vec<(PathBuf, PathBuf)>) -> SourceRoots {
        roots.extend(maps.iter().map(|(_, to)| to.clone()));
        let roots = roots.iter().filter_map(|root| root.canonicalize().ok()).collect();
        SourceRoots { roots, maps, cache: Cache::default() }
    }

    /// The text of line `line`, counted from 1, of the file recorded as `file`, without blanks around it; bytes
    /// that are not UTF-8 become U+FFFD, and what exceeds 1,024 bytes is cut off.
    ///
    /// `None` if no such file lies below the roots, it is no regular file, too long, or has fewer lines.
    pub fn line(&mut self, file: &str, line: u32) -> Option<String> {
        nth_line(self.text(file)?, line).map(readable)
    }

    /// Line `line` and up to `lines` before and behind it, each with its number and with the blanks in front of it; as
    /// [`line`](SourceRoots::line) otherwise. Empty if that is `None`.
    pub fn around(&mut self, file: &str, line: u32, lines: u32) -> Vec<(u32, String)> {
        let Some(text) = self.text(file).filter(|text| nth_line(text, line).is_some()) else {
            return Vec::new();
        };
        let first = line.saturating_sub(lines.min(CONTEXT_LINES_MAX)).max(1);
        let last = line.saturating_add(lines.min(CONTEXT_LINES_MAX));
        (first..=last).map_while(|number| Some((number, indented(nth_line(text, number)?)))).collect()
    }

    /// When the file recorded as `file` was last changed. `None` if it is not found below the roots.
    pub fn modified(&self, file: &str) -> Option<SystemTime> {
        self.find(file)?.metadata().ok()?.modified().ok()
    }

    fn text(&mut self, file: &str) -> Option<&[u8]> {
        if file.len() > PATH_BYTES_MAX {
            return None;
        }
        if !self.cache.files.contains_key(file) {
            let text = self.find(file).and_then(|path| read(&path)).map(Vec::into_boxed_slice);
            self.cache.insert(file, text);
        }
        self.cache.files.get(file)?.as_deref()
    }

    /// The bytes of the file recorded as `file`. They are not remembered.
    ///
    /// `None` if no such file lies below the roots, it is no regular file or too long.
    pub fn file(&self, file: &str) -> Option<Vec<u8>> {
        if file.len() > PATH_BYTES_MAX {
            return None;
        }
        read(&self.find(file)?)
    }

    /// The canonical path of the file recorded as `file`, below a root.
    fn find(&self, file: &str) -> Option<PathBuf> {
        if self.roots.is_empty() {
            return None;
        }
        let recorded = Path::new(file);
        let mapped =
            self.maps.iter().filter_map(|(from, to)| Some(to.join(recorded.strip_prefix(from).ok()?)));
        if let Some(found) = mapped.into_iter().find_map(|path| self.below_a_root(&path)) {
            return Some(found);
        }
        let as_it_stands = recorded.is_absolute().then(|| self.below_a_root(recorded)).flatten();
        as_it_stands.or_else(|| {
            let suffixes = suffixes(recorded);
            let joined =
                suffixes.iter().flat_map(|suffix| self.roots.iter().map(move |root| root.join(suffix)));
            joined.into_iter().find_map(|path| self.below_a_root(&path))
        })
    }

    /// Where `path` leads, if that is below a root.
    fn below_a_root(&self, path: &Path) -> Option<PathBuf> {
        let real = path.canonicalize().ok()?;
        self.roots.iter().any(|root| real.starts_with(root)).then_some(real)
    }
}

/// What may stand below a root for the file recorded as `path`, longest first.
fn suffixes(path: &Path) -> Vec<PathBuf> {
    let parts: Vec<Component<'_>> = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .collect();
    let foreign = parts.iter().rposition(|part| FOREIGN.iter().any(|name| part.as_os_str() == *name));
    let with_a_directory = parts.len().saturating_sub(2);
    let shortest = foreign.map_or(with_a_directory, |foreign| foreign.min(with_a_directory));
    (0..=shortest.min(DROPPED_MAX)).map(|start| parts[start..].iter().collect()).collect()
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let (file, metadata) = regular::open(path).ok()?;
    if metadata.len() > SOURCE_BYTES_MAX {
        return None;
    }
    let mut text = Vec::new();
    // It may have grown since it was measured.
    file.take(SOURCE_BYTES_MAX).read_to_end(&mut text).ok()?;
    Some(text)
}

fn nth_line(text: &[u8], line: u32) -> Option<&[u8]> {
    let index = usize::try_from(line.checked_sub(1)?).ok()?;
    let start = match index.checked_sub(1) {
        None => 0,
        Some(newlines) => memchr::memchr_iter(b'\n', text).nth(newlines)? + 1,
    };
    // The newline at the end of a file ends its last line and starts none.
    let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
    Some(&rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())])
}

/// A line with the blanks in front of it.
fn indented(line: &[u8]) -> String {
    let line = line.trim_ascii_end();
    let text = String::from_utf8_lossy(&line[..line.len().min(4 * LINE_BYTES_MAX)]);
    head(&text, LINE_BYTES_MAX).to_owned()
}

fn readable(line: &[u8]) -> String {
    // More than an answer holds, so that a character halved here is not part of it.
    let line = line.trim_ascii();
    let text = String::from_utf8_lossy(&line[..line.len().min(4 * LINE_BYTES_MAX)]);
    head(text.trim(), LINE_BYTES_MAX).to_owned()
}

impl Cache {
    fn insert(&mut self, file: &str, text: Option<Box<[u8]>>) {
        let bytes = text.as_ref().map_or(0, |text| text.len());
        if self.files.len() >= CACHED_FILES_MAX || self.bytes + bytes > CACHED_BYTES_MAX {
            *self = Cache::default();
        }
        self.bytes += bytes;
        self.files.insert(file.to_owned(), text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    /// A directory with a project in `root` and secrets beside it.
    fn project() -> (tempfile::TempDir, SourceRoots) {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8]| {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("root/src/main.rs", b"fn main() {\n\t panic!(\"no\");  \r\n}\n");
        write("root/src/lib.rs", b"pub mod a;\n");
        write("root/var/task/x.py", b"raise\n");
        write("root/vendor/dep/src/lib.rs", b"pub mod dep;\n");
        write("root/mod.rs", b"mod top;\n");
        write("secret.rs", b"secret\n");
        let roots = SourceRoots::new(vec![directory.path().join("absent"), directory.path().join("root")]);
        (directory, roots)
    }

    #[test]
    fn a_file_is_found_as_recorded_below_a_root_or_by_the_end_of_its_path() {
        let (directory, mut roots) = project();
        let recorded = directory.path().join("root/src/main.rs");
        for file in [recorded.to_str().unwrap(), "/build/xyz/src/main.rs", "src/main.rs", "./src/main.rs"] {
            assert_eq!(roots.line(file, 2).as_deref(), Some("panic!(\"no\");"), "{file}");
        }
        assert_eq!(roots.line("/var/task/x.py", 1).as_deref(), Some("raise"));
        assert_eq!(roots.line("/build/src/../src/main.rs", 1).as_deref(), Some("fn main() {"));
    }

    #[test]
    fn a_file_with_the_same_short_name_is_not_taken_for_it() {
        let (_directory, mut roots) = project();
        assert_eq!(roots.line("mod.rs", 1).as_deref(), Some("mod top;"));
        assert_eq!(roots.line("/build/core/mod.rs", 1), None);
        assert_eq!(roots.line("/home/me/.cargo/registry/src/x/serde-1.0.0/src/lib.rs", 1), None);
        assert_eq!(roots.line("/rustc/0123abcd/library/core/src/lib.rs", 1), None);
        assert_eq!(roots.line("/build/vendor/dep/src/lib.rs", 1).as_deref(), Some("pub mod dep;"));
        assert_eq!(roots.line("/build/vendor/other/src/lib.rs", 1), None);
    }

    #[test]
    fn nothing_outside_the_roots_is_read() {
        let (directory, mut roots) = project();
        let root = directory.path().join("root");
        symlink(directory.path().join("secret.rs"), root.join("src/link.rs")).unwrap();
        symlink(directory.path(), root.join("out")).unwrap();
        let secret = directory.path().join("secret.rs");
        let around = root.join("../secret.rs");
        for file in [
            secret.to_str().unwrap(),
            around.to_str().unwrap(),
            "../secret.rs",
            "src/../../secret.rs",
            "src/link.rs",
            "out/secret.rs",
            "/etc/passwd",
            "",
            "/",
            "..",
            "src",
            "src/a\0b.rs",
        ] {
            assert_eq!(roots.line(file, 1), None, "{file}");
            assert_eq!(roots.file(file), None, "{file}");
        }
        assert_eq!(roots.file("src/lib.rs").as_deref(), Some(&b"pub mod a;\n"[..]));
    }

    #[test]
    fn a_link_that_stays_below_its_root_is_followed() {
        let (directory, mut roots) = project();
        symlink("main.rs", directory.path().join("root/src/alias.rs")).unwrap();
        assert_eq!(roots.line("src/alias.rs", 1).as_deref(), Some("fn main() {"));
    }

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let (directory, mut roots) = project();
        let source = directory.path().join("root/src");
        let made = Command::new("mkfifo").arg(source.join("fifo.rs")).status().unwrap();
        assert!(made.success());
        assert_eq!(roots.line("src/fifo.rs", 1), None);
        fs::File::create(source.join("long.rs")).unwrap().set_len(SOURCE_BYTES_MAX + 1).unwrap();
        assert_eq!(roots.line("src/long.rs", 1), None);
    }

    #[test]
    fn a_line_that_does_not_exist_has_no_text() {
        let (directory, mut roots) = project();
        fs::write(directory.path().join("root/src/open.rs"), "a\n\nlast").unwrap();
        let mut line = |number| roots.line("src/open.rs", number);
        assert_eq!(line(0), None);
        assert_eq!(line(2).as_deref(), Some(""));
        assert_eq!(line(3).as_deref(), Some("last"));
        assert_eq!(line(4), None);
        assert_eq!(roots.line("src/main.rs", 4), None);
        assert_eq!(roots.line("src/main.rs", u32::MAX), None);
    }

    #[test]
    fn a_long_line_is_cut_at_a_character_and_bad_bytes_are_replaced() {
        let (directory, mut roots) = project();
        let source = directory.path().join("root/src");
        fs::write(source.join("wide.rs"), format!("{}a{}", " ".repeat(9_000), "é".repeat(9_000))).unwrap();
        let line = roots.line("src/wide.rs", 1).unwrap();
        assert_eq!(line, format!("a{}", "é".repeat(511)));
        fs::write(source.join("latin.rs"), b"caf\xe9\n").unwrap();
        assert_eq!(roots.line("src/latin.rs", 1).as_deref(), Some("caf\u{fffd}"));
    }

    #[test]
    fn the_cache_forgets_before_it_grows_beyond_its_bounds() {
        let (_directory, mut roots) = project();
        for number in 0..3 * CACHED_FILES_MAX {
            assert_eq!(roots.line(&format!("src/{number}.rs"), 1), None);
            assert!(roots.cache.files.len() <= CACHED_FILES_MAX);
        }
        let mut cache = Cache::default();
        for name in ["a", "b", "c", "d", "e"] {
            cache.insert(name, Some(vec![0; SOURCE_BYTES_MAX as usize].into()));
        }
        assert_eq!((cache.files.len(), cache.bytes), (1, SOURCE_BYTES_MAX as usize));
    }
}
