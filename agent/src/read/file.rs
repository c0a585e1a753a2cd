//! Reading what the file sink wrote.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use trace_record::complete::parse_rfc3339;
use trace_record::retry::Fault;

use super::{Page, Query, Reader, Reading, Stored};
use crate::sink::file::{FILES_MAX, group_folder, numbered, stream_of};
use crate::sink::{Destination, Error};

/// The lines of one page.
const PAGE_LINES: usize = 1_000;

/// The longest line that is read, in bytes: twice what the sink writes.
const LINE_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Reads below one directory.
#[derive(Debug)]
pub struct FileReader {
    directory: PathBuf,
}

/// The member of a line by which it stands in time.
#[derive(Deserialize)]
struct Timed {
    timestamp: Option<String>,
}

impl FileReader {
    /// Reads what a file sink wrote below `directory`.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The files of the wanted streams, the oldest of each first.
    fn files(&self, query: &Query) -> io::Result<Vec<PathBuf>> {
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
        let older =
            |path: &PathBuf| (1..FILES_MAX).rev().map(|number| numbered(path, number)).collect::<Vec<_>>();
        let files = streams.iter().flat_map(|path| older(path).into_iter().chain([path.clone()]));
        Ok(files.filter(|path| path.exists()).collect())
    }

    fn read(&self, query: &Query, next: Option<&str>) -> io::Result<Page> {
        let place = next.and_then(|next| next.split_once(' '));
        let (mut index, mut offset): (usize, u64) = place
            .and_then(|(index, offset)| Some((index.parse().ok()?, offset.parse().ok()?)))
            .unwrap_or((0, 0));
        let files = self.files(query)?;
        let mut page = Page::default();
        while let Some(path) = files.get(index) {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut lines = BufReader::new(file);
            loop {
                if page.events.len() >= PAGE_LINES {
                    page.next = Some(format!("{index} {offset}"));
                    return Ok(page);
                }
                let mut line = Vec::new();
                let count = lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
                if count == 0 {
                    break;
                }
                let message = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
                let timed: Option<Timed> = serde_json::from_str(&message).ok();
                let timestamp_ms = timed.and_then(|timed| parse_rfc3339(&timed.timestamp?)).unwrap_or(0);
                let is_wanted = query.start_ms.is_none_or(|start| start <= timestamp_ms)
                    && query.end_ms.is_none_or(|end| timestamp_ms <= end);
                if is_wanted {
                    let id = format!("{}:{offset}", path.display());
                    page.events.push(Stored { id, timestamp_ms, message });
                }
                offset += count as u64;
            }
            (index, offset) = (index + 1, 0);
        }
        Ok(page)
    }
}

impl Reader for FileReader {
    fn page<'a>(&'a self, query: &'a Query, next: Option<&'a str>) -> Reading<'a> {
        let page = self.read(query, next).map_err(|error| Error {
            fault: Fault::Denied,
            sink: format!("file:{}", self.directory.display()),
            message: format!("cannot read the group {}: {error}", query.group),
        });
        Box::pin(std::future::ready(page))
    }
}
