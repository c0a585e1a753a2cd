//! A build-id in, a file on this machine out.
//!
//! The cache is looked at first; then the sources are asked in the order in which the user named them, until one has the file.
//! Folders are read in place. What comes over the network is written into the cache and becomes visible there only when its
//! build-id has been read and is the right one.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use trace_symbolizer::BuildId;

use super::cache::{self, Cache, Entered, Known, Part, belongs};
use super::debuginfod;
use super::http::{Answer, Error};
use super::layout::{self, Kind};
use super::limits::Limits;
use super::remote::{Remote, Variables, environment, wait};
use super::source::Source;

/// How many entries the log keeps, the last ones: as many as ten programs with a hundred libraries need.
const LOG_MAX: usize = 1_000;

/// Fetches files by build-id. One serves a whole run, and many threads at a time.
#[derive(Debug)]
pub struct Fetch {
    sources: Vec<Source>,
    /// Who is asked, as one text: what is remembered as missing is so for them.
    asked: String,
    cache: Result<Cache, String>,
    remote: Remote,
    log: Mutex<VecDeque<Tried>>,
}

/// One place where a file was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The build that was looked for.
    pub build_id: BuildId,
    /// What of it.
    pub kind: Kind,
    /// Where.
    pub place: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of looking in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is there, so large in bytes.
    Found(u64),
    /// It is not there.
    Absent,
    /// It could not be told, or what is there was refused: why.
    Failed(String),
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} from {}: ", self.kind, self.build_id, self.place)?;
        match &self.outcome {
            Outcome::Found(bytes) => write!(f, "{bytes} bytes"),
            Outcome::Absent => f.write_str("not there"),
            Outcome::Failed(reason) => f.write_str(reason),
        }
    }
}

impl Fetch {
    /// Fetches from these sources, with the cache and the limits that the environment names.
    #[must_use]
    pub fn new(sources: Vec<Source>) -> Self {
        let variables = environment();
        let folder = cache::location(&*variables);
        let limits = Limits::from_environment(&*variables);
        Self::with(sources, folder.as_deref(), limits, variables)
    }

    /// Fetches with a cache in `folder`, these limits and these variables. Without a usable cache only folders are asked.
    #[must_use]
    pub fn with(sources: Vec<Source>, folder: Option<&Path>, limits: Limits, variables: Variables) -> Self {
        let far = sources.iter().filter(|source| !matches!(source, Source::Directory(_)));
        let asked: Vec<String> = far.map(ToString::to_string).collect();
        let cache = match folder {
            // No folder is made for those who need none.
            _ if asked.is_empty() => Err("nothing is fetched".to_owned()),
            None => Err("no cache: neither XDG_CACHE_HOME nor HOME is set".to_owned()),
            Some(folder) => {
                Cache::open(folder, limits.cache_bytes).map_err(|error| format!("no cache: {error}"))
            }
        };
        let asked = asked.join("\n");
        Self { sources, asked, cache, remote: Remote::new(limits, variables), log: Mutex::default() }
    }

    /// The debug file of a build, if any source has it. Blocks while it is fetched, within the limits.
    #[must_use]
    pub fn debug_file(&self, id: &BuildId) -> Option<PathBuf> {
        self.file(id, &Kind::Debuginfo)
    }

    /// What names the addresses of a build best: its packed symbols, or else its debug file. Blocks while it is fetched, within the limits.
    #[must_use]
    pub fn symbols(&self, id: &BuildId) -> Option<PathBuf> {
        self.file(id, &Kind::Packed).or_else(|| self.debug_file(id))
    }

    /// A file of a build, if any source has it. Blocks while it is fetched, within the limits.
    #[must_use]
    pub fn file(&self, id: &BuildId, kind: &Kind) -> Option<PathBuf> {
        Search { fetch: self, id, kind }.run()
    }

    /// What was tried since this was asked last, for whoever asks why there is no name.
    #[must_use]
    pub fn take_log(&self) -> Vec<Tried> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

/// One file that is looked for.
struct Search<'a> {
    fetch: &'a Fetch,
    id: &'a BuildId,
    kind: &'a Kind,
}

/// How far the sources that are not on this machine were asked.
enum Far {
    /// Not yet.
    Unasked,
    /// They will not be.
    Closed,
    /// Some were, into this part; and whether all of them said that they have no such file.
    Asked(Part, bool),
}

impl Search<'_> {
    fn run(&self) -> Option<PathBuf> {
        let mut far = match &self.fetch.cache {
            Err(_) if self.fetch.asked.is_empty() => Far::Closed,
            Err(reason) => self.closed("the cache", reason),
            Ok(cache) => match cache.find(self.id, self.kind, &self.fetch.asked) {
                Known::File(path) => return Some(self.found("the cache", path)),
                Known::Missing => self.closed("the cache", "nobody had it a short while ago"),
                Known::Nothing => Far::Unasked,
            },
        };
        for source in &self.fetch.sources {
            let found = match source {
                Source::Directory(root) => self.near(root),
                _ if self.serves(source) => self.far(source, &mut far),
                _ => None,
            };
            if found.is_some() {
                return found;
            }
        }
        if let (Far::Asked(part, true), Ok(cache)) = (far, &self.fetch.cache) {
            // What cannot be remembered is asked for again.
            let _ = cache.forgo(part, self.id, self.kind, &self.fetch.asked);
        }
        None
    }

    /// Whether files of this kind are to be had from a source at all.
    fn serves(&self, source: &Source) -> bool {
        match source {
            Source::Debuginfod(_) => !matches!(self.kind, Kind::Packed),
            _ => !matches!(self.kind, Kind::Source(_)),
        }
    }

    /// Looks in a folder on this machine.
    fn near(&self, root: &Path) -> Option<PathBuf> {
        for name in layout::candidates(self.id, self.kind) {
            let path = root.join(name);
            let place = path.display().to_string();
            // First, since opening a pipe would wait for its writer.
            if !fs::metadata(&path).is_ok_and(|found| found.is_file()) {
                self.tried(&place, Outcome::Absent);
                continue;
            }
            match File::open(&path).and_then(|file| belongs(&file, self.id, self.kind)) {
                Ok(()) => return Some(self.found(&place, path)),
                Err(error) => self.tried(&place, Outcome::Failed(error.to_string())),
            }
        }
        None
    }

    /// Asks a source that is not on this machine.
    fn far(&self, source: &Source, far: &mut Far) -> Option<PathBuf> {
        let cache = self.fetch.cache.as_ref().ok()?;
        if matches!(far, Far::Unasked) {
            *far = match cache.enter(self.id, self.kind, &self.fetch.asked, self.fetch.remote.limits.total) {
                Ok(Entered::Ours(part)) => Far::Asked(part, true),
                Ok(Entered::Known(Known::File(path))) => return Some(self.found("the cache", path)),
                Ok(Entered::Known(_)) => self.closed("the cache", "nobody had it just now"),
                Err(error) => self.closed("the cache", &error.to_string()),
            };
        }
        let Far::Asked(part, absent) = far else { return None };
        let got = wait(|| async { self.download(source, part).await })
            .unwrap_or_else(|error| self.failed(&source.to_string(), &error.into()));
        match got {
            Got::Absent => None,
            Got::Failed => {
                *absent = false;
                None
            }
            Got::Whole => {
                let Far::Asked(part, _) = std::mem::replace(far, Far::Closed) else { return None };
                let kept = cache.keep(part, self.id, self.kind);
                kept.map_err(|error| self.failed("the cache", &error.into())).ok()
            }
        }
    }

    async fn download(&self, source: &Source, part: &mut Part) -> Got {
        match source {
            Source::Debuginfod(servers) => {
                let remote = &self.fetch.remote;
                let bytes_max = remote.limits.file_bytes;
                let mut answers = debuginfod::ask(&remote.client, servers, self.id, self.kind, bytes_max);
                let mut all = Got::Absent;
                // The first that has it; those behind it are heard only if what it sends is refused.
                while let Some(said) = answers.join_next().await {
                    let got = match said {
                        Ok((server, answer)) => self.take(&server.to_string(), answer, part).await,
                        Err(error) => self.failed(&source.to_string(), &Error::Broken(error.to_string())),
                    };
                    all = all.and(got);
                    if all == Got::Whole {
                        break;
                    }
                }
                all
            }
            _ => {
                let mut all = Got::Absent;
                for name in layout::candidates(self.id, self.kind) {
                    let answer = self.fetch.remote.get(source, &name).await;
                    all = all.and(self.take(&format!("{source} ({name})"), answer, part).await);
                    if all == Got::Whole {
                        break;
                    }
                }
                all
            }
        }
    }

    /// Takes what somebody answers into the part, if it is what was asked for.
    async fn take(&self, place: &str, answer: Result<Option<Answer>, Error>, part: &mut Part) -> Got {
        let saved = match answer {
            Err(error) => Err(error),
            Ok(None) => {
                self.tried(place, Outcome::Absent);
                return Got::Absent;
            }
            Ok(Some(answer)) => self.save(answer, part).await,
        };
        match saved {
            Ok(bytes) => {
                self.tried(place, Outcome::Found(bytes));
                Got::Whole
            }
            Err(error) => self.failed(place, &error),
        }
    }

    async fn save(&self, answer: Answer, part: &mut Part) -> Result<u64, Error> {
        let bytes = answer.save(part.empty()?, self.fetch.remote.limits.file_bytes).await?;
        belongs(part.written(), self.id, self.kind)
            .map_err(|error| Error::Broken(format!("what came is refused: {error}")))?;
        Ok(bytes)
    }

    fn found(&self, place: &str, path: PathBuf) -> PathBuf {
        self.tried(place, Outcome::Found(fs::metadata(&path).map_or(0, |found| found.len())));
        path
    }

    fn closed(&self, place: &str, reason: &str) -> Far {
        self.tried(place, Outcome::Failed(reason.to_owned()));
        Far::Closed
    }

    fn failed(&self, place: &str, error: &Error) -> Got {
        self.tried(place, Outcome::Failed(error.to_string()));
        Got::Failed
    }

    fn tried(&self, place: &str, outcome: Outcome) {
        let tried =
            Tried { build_id: self.id.clone(), kind: self.kind.clone(), place: place.to_owned(), outcome };
        tracing::debug!("{tried}");
        let mut log = self.fetch.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() >= LOG_MAX {
            log.pop_front();
        }
        log.push_back(tried);
    }
}

/// What comes of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    /// The part is whole.
    Whole,
    /// There is no such file.
    Absent,
    /// It is not known whether there is one.
    Failed,
}

impl Got {
    /// What two places come to, the second asked because the first did not have it.
    fn and(self, then: Self) -> Self {
        match (self, then) {
            (_, Self::Whole) => Self::Whole,
            (Self::Absent, Self::Absent) => Self::Absent,
            _ => Self::Failed,
        }
    }
}
