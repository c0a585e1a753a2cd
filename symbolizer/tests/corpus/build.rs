//! Builds the programs, each once: what a case is made of (its sources, its commands, the compilers) names its folder.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::cases::Case;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/src");

/// One test at a time builds.
static BUILDING: Mutex<()> = Mutex::new(());

pub(crate) struct Workshop {
    corpus: PathBuf,
}

impl Workshop {
    pub(crate) fn new() -> Workshop {
        let mut hasher = DefaultHasher::new();
        for compiler in ["gcc", "clang", "rustc", "go"] {
            let version =
                Command::new(compiler).arg(if compiler == "go" { "version" } else { "--version" }).output();
            version.map(|output| output.stdout).unwrap_or_default().hash(&mut hasher);
        }
        for folder in ["c", "cpp", "rust", "go"] {
            let mut files: Vec<_> = fs::read_dir(Path::new(SOURCES).join(folder))
                .unwrap()
                .map(|file| file.unwrap().path())
                .collect();
            files.sort();
            files.iter().for_each(|file| fs::read(file).unwrap().hash(&mut hasher));
        }
        let corpus = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("corpus-{:016x}", hasher.finish()));
        fs::create_dir_all(&corpus).unwrap();
        Workshop { corpus }
    }

    /// The program of a case, built if it was not; or why it cannot be.
    pub(crate) fn program(&self, case: &Case) -> Result<PathBuf, String> {
        if let Some(missing) = case.needs.iter().find(|tool| !is_there(tool)) {
            return Err(format!("no {missing}"));
        }
        // A test that failed while it built left nothing that counts as built.
        let _alone = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.corpus.join(case.name);
        let done = folder.join(".made");
        if fs::read_to_string(&done).is_ok_and(|made| made == case.make) {
            return Ok(folder.join("app"));
        }
        let _: std::io::Result<()> = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let sources = match case.name.split('-').next() {
            Some("rust") => &["rust"][..],
            Some("go") => &["go"],
            _ => &["c", "cpp"],
        };
        for source in sources {
            for file in fs::read_dir(Path::new(SOURCES).join(source)).unwrap() {
                let file = file.unwrap().path();
                fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
            }
        }
        let output = Command::new("sh")
            .args(["-euc", &case.make])
            .current_dir(&folder)
            .env("C", &self.corpus)
            .output()
            .unwrap();
        if !output.status.success() || !folder.join("app").is_file() {
            return Err(format!("cannot be built: {}", String::from_utf8_lossy(&output.stderr)));
        }
        fs::write(done, &case.make).unwrap();
        Ok(folder.join("app"))
    }
}

/// Whether a program can be started.
pub(crate) fn is_there(tool: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
    found.is_ok_and(|output| output.status.success())
}
