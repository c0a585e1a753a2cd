//! How a test here is written, and the files that it looks for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use libtest_mimic::{Completion, Failed, Trial};
use trace_agent_core::symbols::fetch::{Fetch, Outcome, Tried};
use trace_agent_core::symbols::limits::Limits;
use trace_agent_core::symbols::source::Source;
use trace_symbolizer::{BuildId, Module, Search};

/// The longest that a test may take. Those that wait for a limit wait for a second; moto starts in 5, and is installed in 60.
const TEST_MAX: Duration = Duration::from_secs(180);

/// What a test comes to: that it could not run is `Ok` with the reason.
pub(crate) type Outcomes = Result<(), String>;

/// Makes a test. Its name is a sentence.
pub(crate) fn test(name: &str, body: impl FnOnce() -> Outcomes + Send + 'static) -> Trial {
    Trial::ignorable_test(name.to_owned(), move || {
        let (done, outcome) = mpsc::channel();
        std::thread::spawn(move || {
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            let _ = done.send(caught);
        });
        match outcome.recv_timeout(TEST_MAX) {
            Err(_) => Err(Failed::from(format!("it did not end within {TEST_MAX:?}"))),
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Ok(Ok(Ok(()))) => Ok(Completion::Completed),
            Ok(Ok(Err(reason)))
                if std::env::var_os("TRACE_AGENT_TESTS").is_some_and(|tests| tests == "all") =>
            {
                Err(Failed::from(format!("skipped although all tests are wanted: {reason}")))
            }
            Ok(Ok(Err(reason))) => Ok(Completion::ignored_with(reason)),
        }
    })
}

/// A program that a test needs from the system, or the reason to skip.
pub(crate) fn tool(name: &str) -> Outcomes {
    let found = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.map(|_| ()).map_err(|_| format!("{name} is not installed"))
}

/// Waits until something is so.
pub(crate) fn eventually<T>(what: &str, mut so: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = so() {
            return found;
        }
        assert!(Instant::now() < until, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A program that gcc built, with its debug file and its stripped copy.
pub(crate) struct Built {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) id: BuildId,
}

impl Built {
    /// `text` makes it another build than the others.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        ["gcc", "objcopy", "strip"].into_iter().try_for_each(tool)?;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("app.c"),
            format!("const char text[] = \"{text}\";\nint main(void) {{ return text[0] == 0; }}\n"),
        )
        .unwrap();
        // With its whole path, as a build system would: debuginfod serves sources by it.
        let source = folder.path().join("app.c");
        let source = source.to_str().unwrap();
        for arguments in [
            &["gcc", "-g", "-Wl,--build-id=sha1", "-o", "app", source][..],
            &["objcopy", "--only-keep-debug", "app", "app.debug"],
            &["strip", "-o", "app.stripped", "app"],
        ] {
            let status =
                Command::new(arguments[0]).args(&arguments[1..]).current_dir(&folder).status().unwrap();
            assert!(status.success(), "{arguments:?}");
        }
        let module = Module::open(&folder.path().join("app"), &Search::default()).unwrap();
        let id = module.build_id().unwrap().clone();
        Ok(Self { folder, id })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn debug(&self) -> Vec<u8> {
        std::fs::read(self.path("app.debug")).unwrap()
    }
}

/// Limits that nobody reaches, on however busy a machine.
pub(crate) fn limits() -> Limits {
    Limits { total: Duration::from_secs(60), ..Limits::default() }
}

/// Limits that a test can wait for.
pub(crate) fn short() -> Limits {
    Limits { idle: Duration::from_millis(400), ..limits() }
}

/// Far beyond any limit that a test waits for, and far below the time for which its server is in the way.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Fetches from `sources` with a cache in `folder`, and nothing of this process's environment.
pub(crate) fn fetch(sources: &[&str], folder: &Path, limits: Limits) -> Fetch {
    let sources = sources.iter().map(|text| Source::parse(text, &|_| None).unwrap()).collect();
    Fetch::with(sources, Some(folder), limits, Arc::new(|_| None))
}

/// Why a search came to nothing, where something stood in its way.
pub(crate) fn reasons(fetch: &Fetch) -> Vec<String> {
    let reason = |tried: Tried| match tried.outcome {
        Outcome::Failed(reason) => Some(reason),
        _ => None,
    };
    fetch.take_log().into_iter().filter_map(reason).collect()
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files.extend(self::files(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}
