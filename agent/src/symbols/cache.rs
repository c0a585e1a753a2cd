//! What was fetched, kept on disk by build-id.
//!
//! The cache is a store of its own layout ([`super::layout`]) for one user alone. Beside a file there may be
//!
//! ```text
//! ab/cdef…/debuginfo.part     a download under way; whoever locks it fetches, others wait
//! ab/cdef…/debuginfo.missing  nobody had it; who was asked stands in it
//! ```
//!
//! The part is lock and temporary file in one: it is locked before it is written and renamed when it is whole. Who waited for it finds
//! another file, or none, at its name and looks again. A process that dies leaves a part that is not locked, and the next one writes
//! over it.

use std::fs::{self, DirEntry, File, FileTimes, OpenOptions, TryLockError};
use std::io::{self, Seek};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};
use trace_symbolizer::BuildId;

use super::identity;
use super::layout::{self, Kind};
use super::limits::{MISSING_AGE_MAX, TOTAL_MAX};
use super::s3::hexadecimal;
use crate::private;

/// How often somebody who waits for another's download looks whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Files on disk, by build-id.
#[derive(Debug)]
pub struct Cache {
    root: PathBuf,
    bytes_max: u64,
}

/// What the cache knows of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    /// It is here.
    File(PathBuf),
    /// The same sources had no such file a short while ago.
    Missing,
    /// Nothing.
    Nothing,
}

/// What comes of going to fetch a file.
#[derive(Debug)]
pub enum Entered {
    /// Somebody else fetched it, or learned that nobody has it, just now.
    Known(Known),
    /// It is ours to fetch.
    Ours(Part),
}

/// A download under way; nobody else in any process has one for the same file. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Part {
    file: File,
    path: PathBuf,
    renamed: bool,
}

/// Where the cache lies: in a folder of ours below `DEBUGINFOD_CACHE_PATH`, `XDG_CACHE_HOME` or `HOME`. `None` if none of them is set.
#[must_use]
pub fn location(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    // What is relative would be another folder tomorrow.
    let set = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set("DEBUGINFOD_CACHE_PATH")
        .map(|path| path.join("trace-agent"))
        .or_else(|| set("XDG_CACHE_HOME").map(|path| path.join("trace-agent/symbols")))
        .or_else(|| set("HOME").map(|path| path.join(".cache/trace-agent/symbols")))
}

impl Cache {
    /// Opens the cache in a folder, which is made if it is not there, and removes what is too much.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made, or others can write to it.
    pub fn open(root: &Path, bytes_max: u64) -> io::Result<Self> {
        private::folder(root)?;
        let cache = Self { root: root.to_owned(), bytes_max };
        cache.sweep(None);
        Ok(cache)
    }

    /// Looks for a file. `asked` says which sources would be asked: that others had no such file says nothing about them.
    #[must_use]
    pub fn find(&self, id: &BuildId, kind: &Kind, asked: &str) -> Known {
        let path = self.path(id, kind);
        if let Ok(file) = File::open(&path) {
            if belongs(&file, id, kind).is_ok() {
                // Whoever was used last is removed last. The system itself notes a read only once a day.
                let _ = file.set_times(FileTimes::new().set_accessed(SystemTime::now()));
                return Known::File(path);
            }
            // A disk that was full, or a machine that went down.
            let _ = fs::remove_file(&path);
        }
        let missing = suffixed(&path, ".missing");
        let young = fs::metadata(&missing).is_ok_and(|found| age(&found) < MISSING_AGE_MAX);
        if young && fs::read_to_string(&missing).is_ok_and(|text| text == asked) {
            return Known::Missing;
        }
        Known::Nothing
    }

    /// Goes to fetch a file, once nobody else does; waits for others as long as `wait`.
    ///
    /// # Errors
    ///
    /// If others take longer, or the cache cannot be written.
    pub fn enter(&self, id: &BuildId, kind: &Kind, asked: &str, wait: Duration) -> io::Result<Entered> {
        let path = suffixed(&self.path(id, kind), ".part");
        let until = Instant::now() + wait;
        loop {
            match self.find(id, kind, asked) {
                Known::Nothing => {}
                known => return Ok(Entered::Known(known)),
            }
            match lock(&path) {
                Ok(Some(file)) => return Ok(Entered::Ours(Part { file, path, renamed: false })),
                Ok(None) => {}
                // Whoever sweeps removed the folder between its making and its use.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= until {
                let message = format!("somebody else is fetching it for longer than {wait:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Puts a download that is whole in its place.
    ///
    /// # Errors
    ///
    /// If it cannot be renamed.
    pub fn keep(&self, part: Part, id: &BuildId, kind: &Kind) -> io::Result<PathBuf> {
        let path = self.path(id, kind);
        part.rename(&path)?;
        let _ = fs::remove_file(suffixed(&path, ".missing"));
        self.sweep(Some(&path));
        Ok(path)
    }

    /// Remembers for a while that none of the sources has the file.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub fn forgo(&self, mut part: Part, id: &BuildId, kind: &Kind, asked: &str) -> io::Result<()> {
        let path = suffixed(&self.path(id, kind), ".missing");
        io::Write::write_all(part.empty()?, asked.as_bytes())?;
        part.rename(&path)
    }

    fn path(&self, id: &BuildId, kind: &Kind) -> PathBuf {
        let path = self.root.join(layout::written(id, kind));
        match kind {
            // A path may be longer than a name can be, and has slashes.
            Kind::Source(source) => {
                suffixed(&path, &format!("-{}", hexadecimal(&Sha256::digest(source.as_bytes()))))
            }
            _ => path,
        }
    }

    /// Removes what is left over, and the files that were not used for longest until the rest is no more than it may be. What
    /// cannot be read or removed stays: a cache that is too large hurts less than a failure without names.
    fn sweep(&self, keep: Option<&Path>) {
        let mut files = Vec::new();
        for folder in entries(&self.root).flat_map(|first| entries(&first.path()).collect::<Vec<_>>()) {
            files.extend(entries(&folder.path()).filter_map(|entry| {
                let found = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                Some((found, entry.path()))
            }));
        }
        files.sort_by_key(|(found, _)| found.accessed().ok());
        let mut bytes: u64 = files.iter().map(|(found, _)| found.len()).sum();
        for (found, path) in files.iter().filter(|(_, path)| Some(path.as_path()) != keep) {
            let age_max = match path.extension().and_then(|suffix| suffix.to_str()) {
                Some("part") => Some(TOTAL_MAX * 2),
                Some("missing") => Some(MISSING_AGE_MAX),
                _ => None,
            };
            let over = match age_max {
                Some(age_max) => age(found) > age_max,
                None => bytes > self.bytes_max,
            };
            if over && fs::remove_file(path).is_ok() {
                bytes -= found.len();
                // Only an empty folder goes.
                let _ = path.parent().map(fs::remove_dir);
            }
        }
    }
}

impl Part {
    /// The file, empty.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn empty(&mut self) -> io::Result<&mut File> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        Ok(&mut self.file)
    }

    /// The file as it was written.
    #[must_use]
    pub fn written(&self) -> &File {
        &self.file
    }

    fn rename(mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Still locked, so it is still ours. What was renamed is somebody else's next part.
        if !self.renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a file is of the build that it should be of. Source text says nothing of its build.
///
/// # Errors
///
/// If it is of another build, or of none that can be told.
pub fn belongs(file: &File, id: &BuildId, kind: &Kind) -> io::Result<()> {
    if matches!(kind, Kind::Source(_)) {
        return Ok(());
    }
    let message = match identity::read(file)?.build_id {
        Some(found) if found == *id => return Ok(()),
        Some(found) => format!("it has build-id {found}"),
        None => "it has no build-id".to_owned(),
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}

/// The part, locked; `None` if somebody else has it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    if let Some(folder) = path.parent() {
        private::folder(folder)?;
    }
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Whoever had it may have renamed it in between, and then what is locked is a finished file.
    let locked = file.metadata()?;
    let there =
        fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (locked.dev(), locked.ino()));
    Ok(there.then_some(file))
}

fn entries(folder: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok)
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// How long ago a file was written; none at all if that is to come, as after a clock was set.
fn age(found: &fs::Metadata) -> Duration {
    found.modified().ok().and_then(|then| then.elapsed().ok()).unwrap_or_default()
}
