//! A symbol store from the side of whoever fills it: put, list, read back.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use trace_symbolizer::BuildId;

use super::http::{Content, Error};
use super::layout::{self, Kind};
use super::limits::TEXT_BYTES_MAX;
use super::remote::Remote;
use super::s3::{content, hexadecimal};
use super::source::{Bucket, Source};

/// How much of a file is hashed at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// How many files are asked for their facts at a time: a bucket takes 50 ms for each, and thousands in a second.
const FACTS_AT_A_TIME: usize = 16;

/// A store that can be listed and written.
#[derive(Clone, Debug)]
pub struct Store {
    place: Arc<Place>,
    remote: Arc<Remote>,
}

#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    S3(Bucket),
}

/// A file in a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The build that it belongs to.
    pub build_id: BuildId,
    /// What of it.
    pub kind: Kind,
    /// Its name in the store.
    pub at: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether something is known of it.
    pub known: bool,
}

/// What `push` knows of a file, kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What it was called where it came from.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// Why a store does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is none that can be listed and written.
    #[error("{0} can be read by build-id, but not listed or written: name a directory or s3://")]
    ReadOnly(String),
    /// It does not answer, or not so.
    #[error(transparent)]
    Remote(#[from] Error),
    /// A file cannot be read or written.
    #[error("{0}: {1}")]
    Local(String, io::Error),
}

impl Store {
    /// Opens a store.
    ///
    /// # Errors
    ///
    /// If it is none that can be listed and written. Whether it is there shows when it is used.
    pub fn open(place: Source, remote: Remote) -> Result<Self, StoreError> {
        let place = match place {
            Source::Directory(root) => Place::Directory(root),
            Source::S3(bucket) => Place::S3(bucket),
            other => return Err(StoreError::ReadOnly(other.to_string())),
        };
        Ok(Self { place: Arc::new(place), remote: Arc::new(remote) })
    }

    /// Everything in the store, by build-id. What is none of a store's files is left out.
    ///
    /// # Errors
    ///
    /// If it cannot be listed.
    pub async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let names = match &*self.place {
            Place::Directory(root) => walk(root).map_err(|error| local(root, error))?,
            Place::S3(bucket) => self.remote.s3().await?.list(&self.remote.client, bucket).await?,
        };
        let known: HashSet<&str> = names.iter().filter_map(|(name, _)| name.strip_suffix(".json")).collect();
        let entry = |(at, bytes): &(String, u64)| {
            let (build_id, kind) = layout::parse(at)?;
            Some(Entry { build_id, kind, at: at.clone(), bytes: *bytes, known: known.contains(at.as_str()) })
        };
        let mut entries: Vec<Entry> = names.iter().filter_map(entry).collect();
        entries.sort();
        Ok(entries)
    }

    /// What is known of each of these, several asked for at a time.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn all_facts(&self, entries: &[Entry]) -> Result<Vec<Option<Facts>>, StoreError> {
        let mut all = vec![None; entries.len()];
        let mut asked = entries.iter().enumerate().filter(|(_, entry)| entry.known);
        let mut asking = JoinSet::new();
        loop {
            for (index, entry) in asked.by_ref().take(FACTS_AT_A_TIME.saturating_sub(asking.len())) {
                let (store, id, kind) = (self.clone(), entry.build_id.clone(), entry.kind.clone());
                asking.spawn(async move { (index, store.facts(&id, &kind).await) });
            }
            let Some(answer) = asking.join_next().await else { return Ok(all) };
            let (index, facts) = answer.map_err(|error| Error::Broken(error.to_string()))?;
            if let Some(place) = all.get_mut(index) {
                *place = facts?;
            }
        }
    }

    /// What is known of a file; `None` if nobody wrote it down.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn facts(&self, id: &BuildId, kind: &Kind) -> Result<Option<Facts>, StoreError> {
        let name = layout::facts(id, kind);
        let text = match &*self.place {
            Place::Directory(root) => read_text(&root.join(&name)),
            Place::S3(bucket) => {
                match self.remote.s3().await?.get(&self.remote.client, bucket, &name).await? {
                    Some(answer) => Some(answer.text().await?),
                    None => None,
                }
            }
        };
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Puts a file where its build-id says; `false` if the same bytes are there already.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or the store does not take it.
    pub async fn put(&self, path: &Path, id: &BuildId, kind: &Kind) -> Result<bool, StoreError> {
        let file = File::open(path).map_err(|error| local(path, error))?;
        let (bytes, sha256) = digest(&file).map_err(|error| local(path, error))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let facts = Facts { name, bytes, sha256 };
        if self.facts(id, kind).await?.is_some_and(|there| there.sha256 == facts.sha256) {
            return Ok(false);
        }
        let text =
            serde_json::to_string(&facts).map_err(io::Error::from).map_err(|error| local(path, error))?;
        let (at, facts_at) = (layout::written(id, kind), layout::facts(id, kind));
        match &*self.place {
            Place::Directory(root) => {
                let at = root.join(at);
                copy(path, &at).map_err(|error| local(&at, error))?;
                write(&root.join(facts_at), text.as_bytes()).map_err(|error| local(&at, error))?;
            }
            Place::S3(bucket) => {
                let s3 = self.remote.s3().await?;
                let sent = Content::File(path.to_owned(), bytes);
                s3.put(&self.remote.client, bucket, &at, sent, &facts.sha256).await?;
                // Last: what has facts is whole.
                let sha256 = hexadecimal(&Sha256::digest(&text));
                s3.put(&self.remote.client, bucket, &facts_at, content(text), &sha256).await?;
            }
        }
        Ok(true)
    }

    /// Opens a file of the store; what is elsewhere is copied to a temporary file first, which is gone when it is closed.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn read(&self, entry: &Entry) -> Result<File, StoreError> {
        match &*self.place {
            Place::Directory(root) => {
                let path = root.join(&entry.at);
                File::open(&path).map_err(|error| local(&path, error))
            }
            Place::S3(bucket) => {
                let s3 = self.remote.s3().await?;
                let answer = s3.get(&self.remote.client, bucket, &entry.at).await?;
                let answer = answer.ok_or_else(|| Error::Broken("it is not there any more".to_owned()))?;
                let folder = std::env::temp_dir();
                let mut file = scratch(&folder).map_err(|error| local(&folder, error))?;
                answer.save(&mut file, self.remote.limits.file_bytes).await?;
                Ok(file)
            }
        }
    }
}

/// The size of a file in bytes, and the SHA-256 of what is in it, in hexadecimal.
///
/// # Errors
///
/// If it cannot be read.
pub fn digest(mut file: &File) -> io::Result<(u64, String)> {
    io::Seek::rewind(&mut file)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok((bytes, hexadecimal(&hash.finalize())));
        }
        hash.update(chunk.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
}

fn local(path: &Path, error: io::Error) -> StoreError {
    StoreError::Local(path.display().to_string(), error)
}

/// The names of the regular files in a store's folders, and their sizes. Links are followed, since `.build-id` trees are made of them,
/// but only to files.
fn walk(root: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    fs::read_dir(root)?;
    for (below, depth) in [("", 3), (".build-id", 2)] {
        let mut level = vec![below.to_owned()];
        for left in (0..depth).rev() {
            let mut next = Vec::new();
            for folder in level {
                // What was just now removed, or is not ours to read, has no files.
                for entry in fs::read_dir(root.join(&folder)).into_iter().flatten().flatten() {
                    let Ok(name) = entry.file_name().into_string() else { continue };
                    let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                    match fs::metadata(entry.path()) {
                        Ok(found) if left == 0 && found.is_file() => files.push((name, found.len())),
                        Ok(found) if left > 0 && found.is_dir() => next.push(name),
                        _ => {}
                    }
                }
            }
            level = next;
        }
    }
    Ok(files)
}

fn read_text(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(TEXT_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Copies a file to its place, where it appears when it is whole.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    place(to, |file| io::copy(&mut File::open(from)?, file).map(|_| ()))
}

fn write(to: &Path, bytes: &[u8]) -> io::Result<()> {
    place(to, |file| io::Write::write_all(file, bytes))
}

fn place(to: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let Some(folder) = to.parent() else { return Err(io::ErrorKind::InvalidInput.into()) };
    fs::create_dir_all(folder)?;
    let temporary = folder.join(unique(".push"));
    let filled = File::create_new(&temporary)
        .and_then(|mut file| {
            fill(&mut file)?;
            // Whoever sees the name must find the bytes, even after a power cut.
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, to));
    if filled.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    filled
}

/// A file for this process alone, without a name.
fn scratch(folder: &Path) -> io::Result<File> {
    let path = folder.join(unique("trace-agent"));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(path)?;
    Ok(file)
}

fn unique(name: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
