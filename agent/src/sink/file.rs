//! The sink that writes a directory: one NDJSON file for each log group and stream, readable with `less` and `jq`.
//!
//! ```text
//! DIR/+aws+lambda+checkout/trace-agent+2026+11+25.ndjson
//! ```
//!
//! A file that has reached [`FILE_BYTES_MAX`] is put aside as `….ndjson.1`, what was there before as `….ndjson.2`, and so on up to
//! [`FILES_MAX`] files; the oldest goes.
//!
//! A name keeps its letters, digits and `. _ - $ [ ]`. `/` becomes `+`; every other byte, and a `.` in front, becomes
//! `%` and two hexadecimal digits. So no name can leave the directory, and no two names meet in one file.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use trace_record::batch::Batch;
use trace_record::render::CLOUDWATCH_LINE_BYTES_MAX;
use trace_record::retry::Fault;

use super::{Destination, Error, Put, Receipt, Sink};

/// What the name of a stream's newest file ends with.
const SUFFIX: &str = ".ndjson";

/// The size at which a file is put aside, in bytes: editors still open it.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The most files of one stream. What is older goes: a disk is not endless, and a full one would stop what is new.
pub const FILES_MAX: u32 = 16;

/// Writes below one directory.
#[derive(Debug)]
pub struct FileSink {
    directory: PathBuf,
    file_bytes_max: u64,
}

impl FileSink {
    /// Creates the directory if it is not there, and makes sure that it can be written.
    ///
    /// # Errors
    ///
    /// If the directory cannot be created or written.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let said = |error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("cannot write the sink directory {}: {error}", directory.display()),
            )
        };
        create(directory).map_err(said)?;
        // A probe now is a clear error now, not at the first failure.
        let probe = directory.join(format!(".probe-{}", std::process::id()));
        File::create(&probe).map_err(said)?;
        std::fs::remove_file(&probe).map_err(said)?;
        Ok(Self { directory: directory.to_owned(), file_bytes_max: FILE_BYTES_MAX })
    }

    /// The file that holds a stream.
    #[must_use]
    pub fn path(&self, to: &Destination) -> PathBuf {
        group_folder(&self.directory, to).join(format!("{}{SUFFIX}", encode(&to.stream)))
    }

    fn append(&self, to: &Destination, batch: &Batch) -> io::Result<()> {
        let path = self.path(to);
        if let Some(group) = path.parent() {
            create(group)?;
        }
        let mut lines = String::with_capacity(batch.bytes());
        for event in batch.events() {
            lines.push_str(&event.message);
            lines.push('\n');
        }
        let (mut file, before) = self.open_with_room(&path, lines.len() as u64)?;
        let written = file.write_all(lines.as_bytes()).and_then(|()| file.sync_data());
        // What a full disk took half of is taken back.
        if written.is_err() {
            file.set_len(before)?;
        }
        written
    }

    /// Opens the file at `path`, locked, and says how long it is. Two writers of one stream never mix their lines. One without room
    /// is put aside first.
    fn open_with_room(&self, path: &Path, bytes: u64) -> io::Result<(File, u64)> {
        loop {
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
            file.lock()?;
            let known = file.metadata()?;
            // Somebody else may have put it aside while this process waited for the lock.
            let is_there = std::fs::metadata(path).is_ok_and(|there| there.ino() == known.ino());
            if !is_there {
                continue;
            }
            if known.len() == 0 || known.len() + bytes <= self.file_bytes_max {
                return Ok((file, known.len()));
            }
            put_aside(path)?;
        }
    }
}

/// Gives the file at `path` the number 1, and every older one the next.
fn put_aside(path: &Path) -> io::Result<()> {
    for number in (1..FILES_MAX - 1).rev() {
        match std::fs::rename(numbered(path, number), numbered(path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::rename(path, numbered(path, 1))
}

/// The folder that holds a group.
pub(crate) fn group_folder(directory: &Path, to: &Destination) -> PathBuf {
    directory.join(encode(&to.group))
}

/// The stream whose newest file this is, if it is one.
pub(crate) fn stream_of(path: &Path) -> Option<String> {
    decode(path.file_name()?.to_str()?.strip_suffix(SUFFIX)?)
}

/// The path of an older file of a stream. The greatest number is the oldest.
#[must_use]
pub fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut numbered = path.as_os_str().to_owned();
    numbered.push(format!(".{number}"));
    numbered.into()
}

impl Sink for FileSink {
    fn name(&self) -> String {
        format!("file:{}", self.directory.display())
    }

    fn line_bytes_max(&self) -> usize {
        CLOUDWATCH_LINE_BYTES_MAX
    }

    fn put<'a>(&'a self, to: &'a Destination, batch: &'a Batch) -> Put<'a> {
        Box::pin(async move {
            self.append(to, batch).map_err(|error| Error {
                fault: Fault::Transient,
                sink: self.name(),
                message: format!("cannot append to {}: {error}", self.path(to).display()),
            })?;
            Ok(Receipt { stored: batch.events().len(), rejected: Vec::new() })
        })
    }
}

fn create(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for (index, byte) in name.bytes().enumerate() {
        match byte {
            b'/' => encoded.push('+'),
            b'.' if index == 0 => encoded.push_str("%2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'$' | b'[' | b']' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02x}")),
        }
    }
    encoded
}

/// Undoes [`encode`].
fn decode(name: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(name.len());
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b'/',
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use trace_record::batch::{Event, batches};

    fn batch(messages: &[&str]) -> Batch {
        let events = messages.iter().map(|message| Event { timestamp_ms: 0, message: (*message).to_owned() });
        batches(events.collect(), 0).0.remove(0)
    }

    #[tokio::test]
    async fn batches_are_appended_to_the_file_of_their_stream() {
        let directory = tempfile::tempdir().unwrap();
        let sink = FileSink::open(&directory.path().join("records")).unwrap();
        let to = Destination { group: "/aws/lambda/f".into(), stream: "2026/[$LATEST]x".into() };
        sink.put(&to, &batch(&["{\"a\":1}", "{\"a\":2}"])).await.unwrap();
        sink.put(&to, &batch(&["{\"a\":3}"])).await.unwrap();
        let path = directory.path().join("records/+aws+lambda+f/2026+[$LATEST]x.ndjson");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
    }

    #[tokio::test]
    async fn a_file_that_is_full_is_put_aside_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let sink = FileSink { file_bytes_max: 10, ..FileSink::open(directory.path()).unwrap() };
        let to = Destination { group: "g".into(), stream: "s".into() };
        for number in 100..120 {
            sink.put(&to, &batch(&[&number.to_string(), "next"])).await.unwrap();
        }
        let read = |path: PathBuf| std::fs::read_to_string(path).ok();
        let path = sink.path(&to);
        assert_eq!(read(path.clone()).as_deref(), Some("119\nnext\n"));
        let older: Vec<String> = (1..100).map_while(|number| read(numbered(&path, number))).collect();
        assert_eq!((older.len(), older[0].as_str(), older[14].as_str()), (15, "118\nnext\n", "104\nnext\n"));
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_said() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = FileSink::open(&file.path().join("below")).unwrap_err();
        assert!(error.to_string().contains("cannot write the sink directory"), "{error}");
    }

    #[test]
    fn names_neither_escape_nor_meet() {
        let names = ["..", ".", "a/b", "a+b", "../x", "a%2fb", "a\0b", "ä"];
        let encoded: std::collections::BTreeSet<String> = names.iter().map(|name| encode(name)).collect();
        assert_eq!(encoded.len(), names.len());
        assert!(names.iter().all(|name| decode(&encode(name)).as_deref() == Some(*name)));
        assert_eq!((decode("%"), decode("%4"), decode("%zz"), decode("%ff")), (None, None, None, None));
        assert!(encoded.iter().all(|name| !name.contains('/') && !name.starts_with('.')), "{encoded:?}");
    }
}
