//! Reading what the file sink wrote.
//!
//! Each line is handed over once, however often the query is asked again: files only grow, so what was read of one is remembered by
//! its inode, which it keeps when the sink puts it aside under another name.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use trace_record::complete::parse_rfc3339;
use trace_record::retry::Fault;

use super::{Page, Query, Reader, Reading, Stored};
use crate::sink::file::{FILES_MAX, group_folder, numbered, stream_of};
use crate::sink::{Destination, Error};

/// The most lines of one page.
const PAGE_LINES: usize = 1_000;

/// How much is read for one page, in bytes; one line may go beyond. Between pages the program can be stopped.
const PAGE_BYTES: u64 = 8 * 1024 * 1024;

/// The longest line that is read, in bytes: twice what the sink writes. A longer one is read in pieces.
const LINE_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// What continues a query that is not at its end. How far it is, the reader knows.
const MORE: &str = "more";

/// Reads below one directory, for one query.
#[derive(Debug)]
pub struct FileReader {
    directory: PathBuf,
    progress: Mutex<Progress>,
}

/// What was handed over.
#[derive(Debug, Default)]
struct Progress {
    /// How far each file was read, in bytes. Files that are gone are forgotten.
    read: HashMap<Inode, u64>,
    lines: u64,
}

/// Device and number: what a file keeps when it gets another name.
type Inode = (u64, u64);

/// The member of a line by which it stands in time.
#[derive(Deserialize)]
struct Timed {
    timestamp: Option<String>,
}

impl FileReader {
    /// Reads what a file sink wrote below `directory`.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), progress: Mutex::default() }
    }

    /// The files of the wanted streams, the oldest of each first.
    fn files(&self, query: &Query) -> io::Result<Vec<(Inode, PathBuf)>> {
        let to = Destination { group: query.group.clone(), stream: String::new() };
        let folder = group_folder(&self.directory, &to);
        let mut streams = Vec::new();
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let Some(stream) = stream_of(&path) else { continue };
            let is_named = query.streams.is_empty() || query.streams.contains(&stream);
            if is_named && query.stream_prefix.as_ref().is_none_or(|prefix| stream.starts_with(prefix)) {
                streams.push(path);
            }
        }
        streams.sort();
        let mut files = Vec::new();
        for path in streams {
            let older = (1..FILES_MAX).map(|number| numbered(&path, number));
            // The newest first: what the sink puts aside meanwhile is met twice, never missed.
            let paths: Vec<PathBuf> = std::iter::once(path.clone()).chain(older).collect();
            let known = paths.into_iter().filter_map(|path| Some((inode(&path.metadata().ok()?), path)));
            files.extend(known.collect::<Vec<_>>().into_iter().rev());
        }
        Ok(files)
    }

    fn read(&self, query: &Query) -> io::Result<Page> {
        // What is in there is changed only after a file has been read, so it is whole whoever panicked.
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let files = self.files(query)?;
        progress.read.retain(|inode, _| files.iter().any(|(known, _)| known == inode));
        let mut page = Page::default();
        let mut bytes_left = PAGE_BYTES;
        for (listed, path) in files {
            let Some((file, bytes)) = open(&path, listed)? else {
                // It was put aside since it was listed, and is met again under another name.
                page.next = Some(MORE.to_owned());
                break;
            };
            let offset = progress.read.get(&listed).copied().unwrap_or(0);
            // A file that is shorter than it was is another one that was given the number of one that is gone.
            let offset = if offset > bytes { 0 } else { offset };
            let offset_after =
                read_lines(file, offset, query, &mut page, &mut progress.lines, &mut bytes_left)?;
            progress.read.insert(listed, offset_after);
            if page.next.is_some() {
                break;
            }
        }
        Ok(page)
    }
}

/// Opens a file, and says how long it is, if it is still the one that was listed.
fn open(path: &Path, listed: Inode) -> io::Result<Option<(File, u64)>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let known = file.metadata()?;
    Ok((inode(&known) == listed).then_some((file, known.len())))
}

fn inode(known: &Metadata) -> Inode {
    (known.dev(), known.ino())
}

/// Reads the lines of a file from `offset` on, and gives the offset behind the last. A page that is full says that there is more.
fn read_lines(
    mut file: File,
    mut offset: u64,
    query: &Query,
    page: &mut Page,
    lines: &mut u64,
    bytes_left: &mut u64,
) -> io::Result<u64> {
    file.seek(SeekFrom::Start(offset))?;
    let mut source = BufReader::new(file);
    loop {
        if page.events.len() >= PAGE_LINES || *bytes_left == 0 {
            page.next = Some(MORE.to_owned());
            return Ok(offset);
        }
        let mut line = Vec::new();
        let count = source.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? as u64;
        let message = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
        let timed: Option<Timed> = serde_json::from_str(&message).ok();
        // The sink may be at it. The beginning of a JSON object is none, so one that is whole has come to its end.
        let is_whole = line.ends_with(b"\n") || count == LINE_BYTES_MAX || timed.is_some();
        if !is_whole {
            return Ok(offset);
        }
        offset += count;
        *bytes_left = bytes_left.saturating_sub(count);
        let timestamp_ms = timed.and_then(|timed| parse_rfc3339(&timed.timestamp?));
        // What does not say when it was is handed over, to be shown or counted.
        let is_wanted = timestamp_ms.is_none_or(|timestamp_ms| {
            query.start_ms.is_none_or(|start| start <= timestamp_ms)
                && query.end_ms.is_none_or(|end| timestamp_ms <= end)
        });
        if is_wanted && !message.is_empty() {
            *lines += 1;
            page.events.push(Stored {
                id: lines.to_string(),
                timestamp_ms: timestamp_ms.unwrap_or(0),
                message,
            });
        }
    }
}

impl Reader for FileReader {
    fn page<'a>(&'a self, query: &'a Query, _: Option<&'a str>) -> Reading<'a> {
        let page = self.read(query).map_err(|error| Error {
            fault: Fault::Denied,
            sink: format!("file:{}", self.directory.display()),
            message: format!("cannot read the group {}: {error}", query.group),
        });
        Box::pin(std::future::ready(page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write as _;

    struct Folder {
        directory: tempfile::TempDir,
        reader: FileReader,
    }

    impl Folder {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            std::fs::create_dir(directory.path().join("g")).unwrap();
            Self { reader: FileReader::new(directory.path()), directory }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join("g").join(name)
        }

        fn append(&self, name: &str, text: &str) {
            let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        /// What is new, page after page.
        fn new_lines(&self, query: Query) -> Vec<String> {
            let query = Query { group: "g".to_owned(), ..query };
            let mut messages = Vec::new();
            loop {
                let page = self.reader.read(&query).unwrap();
                messages.extend(page.events.into_iter().map(|event| event.message));
                if page.next.is_none() {
                    return messages;
                }
            }
        }
    }

    fn record(number: usize) -> String {
        format!("{{\"n\":{number},\"timestamp\":\"2026-11-23T07:30:{:02}Z\"}}", number % 60)
    }

    #[test]
    fn each_line_is_handed_over_once_whatever_its_file_is_called() {
        let folder = Folder::new();
        let lines =
            |numbers: std::ops::Range<usize>| numbers.map(|number| record(number) + "\n").collect::<String>();
        let records = |numbers: std::ops::Range<usize>| numbers.map(record).collect::<Vec<_>>();
        folder.append("s.ndjson.1", &lines(0..1_500));
        folder.append("s.ndjson", &lines(1_500..2_500));
        assert_eq!(folder.new_lines(Query::default()), records(0..2_500));
        assert!(folder.new_lines(Query::default()).is_empty());
        folder.append("s.ndjson", &lines(2_500..2_501));
        std::fs::rename(folder.path("s.ndjson.1"), folder.path("s.ndjson.2")).unwrap();
        std::fs::rename(folder.path("s.ndjson"), folder.path("s.ndjson.1")).unwrap();
        folder.append("s.ndjson", &lines(2_501..2_502));
        assert_eq!(folder.new_lines(Query::default()), records(2_500..2_502));
        // The oldest goes, and with it what is known of it.
        std::fs::remove_file(folder.path("s.ndjson.2")).unwrap();
        assert!(folder.new_lines(Query::default()).is_empty());
        assert_eq!(folder.reader.progress.lock().unwrap().read.len(), 2);
    }

    #[test]
    fn a_file_that_was_put_aside_since_it_was_listed_is_not_taken_for_another() {
        let folder = Folder::new();
        folder.append("s.ndjson", "old\n");
        let path = folder.path("s.ndjson");
        let listed = inode(&path.metadata().unwrap());
        assert_eq!(open(&path, listed).unwrap().map(|(_, bytes)| bytes), Some(4));
        std::fs::rename(&path, folder.path("s.ndjson.1")).unwrap();
        assert!(open(&path, listed).unwrap().is_none(), "it is not there");
        folder.append("s.ndjson", "new\n");
        assert!(open(&path, listed).unwrap().is_none(), "it is another one");
    }

    #[test]
    fn a_line_is_handed_over_when_it_is_whole() {
        let folder = Folder::new();
        let (first, second) = (record(1), record(2));
        folder.append("s.ndjson", &format!("{first}\n{}", &second[..10]));
        assert_eq!(folder.new_lines(Query::default()), [first]);
        folder.append("s.ndjson", &second[10..]);
        assert_eq!(folder.new_lines(Query::default()), [second], "although its end of line is not there yet");
        folder.append("s.ndjson", "\nSTART\n");
        assert_eq!(folder.new_lines(Query::default()), ["START"]);
    }

    #[test]
    fn streams_and_times_are_chosen() {
        let folder = Folder::new();
        for (stream, number) in [("a1", 1), ("a2", 2), ("b", 3)] {
            folder.append(&format!("{stream}.ndjson"), &format!("{}\nplain\n", record(number)));
        }
        let time_ms = |number: usize| parse_rfc3339(&format!("2026-11-23T07:30:{number:02}Z"));
        let prefix = Query { stream_prefix: Some("a".to_owned()), start_ms: time_ms(2), ..Query::default() };
        assert_eq!(folder.new_lines(prefix), ["plain", &record(2), "plain"]);
        let named = Query { streams: vec!["b".to_owned()], end_ms: time_ms(2), ..Query::default() };
        assert_eq!(folder.new_lines(named), ["plain"]);
    }

    #[test]
    fn a_page_is_bounded_in_bytes() {
        let folder = Folder::new();
        let long = "x".repeat(3 * 1024 * 1024) + "\n";
        folder.append("s.ndjson", &long.repeat(4));
        let query = Query { group: "g".to_owned(), ..Query::default() };
        let page = folder.reader.read(&query).unwrap();
        assert!(
            page.next.is_some()
                && page.events.iter().all(|event| event.message.len() as u64 <= LINE_BYTES_MAX)
        );
        let bytes: usize = page.events.iter().map(|event| event.message.len()).sum();
        assert!(
            (PAGE_BYTES..PAGE_BYTES + LINE_BYTES_MAX).contains(&(bytes as u64 + page.events.len() as u64)),
            "{bytes}"
        );
    }
}
