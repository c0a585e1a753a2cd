//! Following one file, line by line, across rotation.
//!
//! The file is its own spool: nothing of it is copied, and its checkpoint moves only when the sink has acknowledged
//! what was found before it. The checkpoint never stands inside a failure that is still open.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use trace_record::normalize::lines::{Block, Detector, LINE_BYTES_MAX};

use super::checkpoint::Position;

/// How often a file at its end is looked at again.
const POLL: Duration = Duration::from_millis(100);

/// How long a file must stand still before an open failure in it is taken to be complete.
const IDLE: Duration = Duration::from_secs(1);

/// How long the old file of a rotation must stand still before the new one is turned to: its writer may not know yet.
const ROTATED_IDLE: Duration = Duration::from_secs(2);

/// How many bytes are read at once.
const READ_BYTES: usize = 64 * 1024;

/// How many bytes without a failure pass before the position is reported all the same.
const PROGRESS_BYTES: u64 = 1024 * 1024;

/// One text that a failure printed, and where it stood.
#[derive(Debug)]
pub struct Found {
    /// The text, and the offset of its first byte; nothing for a report of progress alone.
    pub block: Option<Block<u64>>,
    /// Where its first byte is.
    pub at: Position,
    /// Where reading goes on once this is acknowledged.
    pub next: Position,
}

/// Where to begin, and when to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The end of the file as it is now.
    End,
    /// A stop from outside.
    Stopped,
}

/// Follows the file at `path` from `from` (or its start, if it is another file by now), and hands over what it finds.
/// `take` blocks while the pipeline is full, and gives false once nobody takes anything any more.
///
/// # Errors
///
/// If the file cannot be read. A file that is not there is waited for, unless reading ends at its end.
pub fn follow(
    path: &Path,
    from: Option<Position>,
    until: Until,
    stopped: &dyn Fn() -> bool,
    take: &mut dyn FnMut(Found) -> bool,
) -> io::Result<()> {
    let mut from = from;
    loop {
        // Opening a FIFO would wait for its writer.
        if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} is not a regular file", path.display()),
            ));
        }
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && until == Until::Stopped => {
                if stopped() {
                    return Ok(());
                }
                std::thread::sleep(POLL);
                continue;
            }
            Err(error) => return Err(error),
        };
        let mut reader = Reader::open(file, path, from.take())?;
        match reader.read(until, stopped, take)? {
            // No file is that long: whatever has this number by then begins anew.
            End::Replaced => from = Some(position(&reader.metadata, reader.generation, u64::MAX)),
            End::Reached => return Ok(()),
        }
    }
}

/// The position at the end of a file, for a start that skips what is there.
///
/// # Errors
///
/// If the file cannot be looked at.
pub fn end(path: &Path) -> io::Result<Position> {
    let metadata = std::fs::metadata(path)?;
    Ok(position(&metadata, 0, metadata.len()))
}

fn position(metadata: &Metadata, generation: u64, offset: u64) -> Position {
    Position { device: metadata.dev(), inode: metadata.ino(), generation, offset }
}

/// How the reading of one file ended.
enum End {
    /// Another file has its name now, or it was cut shorter.
    Replaced,
    /// There is nothing more to do.
    Reached,
}

struct Reader {
    file: File,
    path: PathBuf,
    metadata: Metadata,
    generation: u64,
    /// Knows each line by its offset.
    detector: Detector<u64>,
    /// The bytes of the line that has no end yet.
    partial: Vec<u8>,
    /// The offset behind the last whole line.
    offset: u64,
    /// How many bytes of `partial`'s line were left out because it is too long.
    skipped: u64,
    /// The offset that was last handed over.
    reported: u64,
}

impl Reader {
    fn open(mut file: File, path: &Path, from: Option<Position>) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            let message = format!("{} is not a regular file", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let same = from.filter(|from| (from.device, from.inode) == (metadata.dev(), metadata.ino()));
        let (generation, offset) = match same {
            Some(from) if from.offset <= metadata.len() => (from.generation, from.offset),
            Some(from) => (from.generation + 1, 0),
            None => (0, 0),
        };
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            metadata,
            generation,
            detector: Detector::default(),
            partial: Vec::new(),
            offset,
            skipped: 0,
            reported: offset,
        })
    }

    fn read(
        &mut self,
        until: Until,
        stopped: &dyn Fn() -> bool,
        take: &mut dyn FnMut(Found) -> bool,
    ) -> io::Result<End> {
        let mut buffer = vec![0; READ_BYTES];
        let mut idle_since = Instant::now();
        loop {
            let count = self.file.read(&mut buffer)?;
            if count > 0 {
                idle_since = Instant::now();
                if !self.bytes(&buffer[..count], take) {
                    return Ok(End::Reached);
                }
                continue;
            }
            if until == Until::End {
                self.last_line(take);
                self.close(take);
                return Ok(End::Reached);
            }
            let replaced = self.replaced()?;
            if replaced == Some(Replaced::Cut) || replaced.is_some() && idle_since.elapsed() >= ROTATED_IDLE {
                self.last_line(take);
                self.close(take);
                return Ok(End::Replaced);
            }
            // A stop is honoured at the end of the file: what a dying program wrote last is what is wanted most.
            if stopped() {
                self.close(take);
                return Ok(End::Reached);
            }
            if idle_since.elapsed() >= IDLE && !self.close(take) {
                return Ok(End::Reached);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Parts bytes into lines.
    fn bytes(&mut self, mut bytes: &[u8], take: &mut dyn FnMut(Found) -> bool) -> bool {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.keep(&bytes[..=end]);
            bytes = &bytes[end + 1..];
            if !self.line(take) {
                return false;
            }
        }
        self.keep(bytes);
        true
    }

    /// Adds bytes to the line that is being read, up to the longest line that is looked at.
    fn keep(&mut self, bytes: &[u8]) {
        let room = (LINE_BYTES_MAX - self.partial.len().min(LINE_BYTES_MAX)).min(bytes.len());
        self.partial.extend_from_slice(&bytes[..room]);
        self.skipped += (bytes.len() - room) as u64;
    }

    /// Hands the line that is complete to the detector, and what it closed to the pipeline.
    fn line(&mut self, take: &mut dyn FnMut(Found) -> bool) -> bool {
        let bytes = std::mem::take(&mut self.partial);
        let start = self.offset;
        self.offset += bytes.len() as u64 + std::mem::take(&mut self.skipped);
        let closed = self.detector.line(&String::from_utf8_lossy(&bytes), start);
        self.hand_over_all(closed, take)
            && (self.next() - self.reported < PROGRESS_BYTES || self.hand_over(None, self.next(), take))
    }

    /// Treats what has no line end as a line: nothing will be added to it.
    fn last_line(&mut self, take: &mut dyn FnMut(Found) -> bool) {
        if !self.partial.is_empty() {
            self.line(take);
        }
    }

    /// Closes what is open and reports the position.
    fn close(&mut self, take: &mut dyn FnMut(Found) -> bool) -> bool {
        let closed = self.detector.finish();
        self.hand_over_all(closed, take)
            && (self.reported == self.offset || self.hand_over(None, self.offset, take))
    }

    /// Hands blocks over. Whoever acknowledges one of them must not acknowledge the next.
    fn hand_over_all(&mut self, blocks: Vec<Block<u64>>, take: &mut dyn FnMut(Found) -> bool) -> bool {
        let mut blocks = blocks.into_iter();
        while let Some(block) = blocks.next() {
            let next = blocks.as_slice().iter().map(|later| later.at).chain([self.next()]).min();
            if !self.hand_over(Some(block), next.unwrap_or(self.offset), take) {
                return false;
            }
        }
        true
    }

    fn hand_over(
        &mut self,
        block: Option<Block<u64>>,
        next: u64,
        take: &mut dyn FnMut(Found) -> bool,
    ) -> bool {
        self.reported = next;
        let place = |offset| position(&self.metadata, self.generation, offset);
        let at = place(block.as_ref().map_or(next, |block| block.at));
        take(Found { block, at, next: place(next) })
    }

    /// Where reading must go on if everything that was handed over is acknowledged.
    fn next(&self) -> u64 {
        self.detector.held().copied().unwrap_or(self.offset)
    }

    fn replaced(&self) -> io::Result<Option<Replaced>> {
        match std::fs::metadata(&self.path) {
            Ok(now) if (now.dev(), now.ino()) != (self.metadata.dev(), self.metadata.ino()) => {
                Ok(Some(Replaced::Renamed))
            }
            Ok(now) if now.len() < self.offset + self.partial.len() as u64 + self.skipped => {
                Ok(Some(Replaced::Cut))
            }
            Ok(_) => Ok(None),
            // Moved away and nothing in its place yet: more may be written to what is open.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What happened to the file that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replaced {
    /// Another file has its name; its own writer may go on for a while.
    Renamed,
    /// It is shorter than what was read of it: it begins anew.
    Cut,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const TRACE: &str =
        "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nValueError: no\n";

    fn read_to_end(path: &Path, from: Option<Position>) -> Vec<Found> {
        let mut found = Vec::new();
        follow(path, from, Until::End, &|| false, &mut |item| {
            found.push(item);
            true
        })
        .unwrap();
        found
    }

    #[test]
    fn a_restart_at_any_position_finds_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.log");
        std::fs::write(&path, format!("info\n{TRACE}info\n{TRACE}{TRACE}tail without end")).unwrap();
        let all = read_to_end(&path, None);
        let traces: Vec<&Found> = all.iter().filter(|found| found.block.is_some()).collect();
        assert_eq!(traces.len(), 3);
        for (index, found) in all.iter().enumerate() {
            let rest = read_to_end(&path, Some(found.next));
            let texts = |found: &[Found]| found.iter().map(|found| found.at.offset).collect::<Vec<_>>();
            let expected: Vec<u64> = all[index + 1..].iter().map(|found| found.at.offset).collect();
            assert_eq!(texts(&rest), expected, "restart after item {index}");
        }
    }

    #[test]
    fn a_very_long_line_costs_no_neighbour() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.log");
        let mut file = File::create(&path).unwrap();
        write!(file, "{TRACE}").unwrap();
        file.write_all(&vec![b'\xff'; 3 * LINE_BYTES_MAX]).unwrap();
        write!(file, "\n{TRACE}").unwrap();
        let found = read_to_end(&path, None);
        assert_eq!(
            found
                .iter()
                .filter(|found| found.block.as_ref().is_some_and(|block| block.text == TRACE))
                .count(),
            2
        );
        assert_eq!(found.last().unwrap().next.offset, std::fs::metadata(&path).unwrap().len());
    }

    #[test]
    fn a_rotated_file_is_read_to_its_end_and_the_new_one_from_its_start() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.log");
        std::fs::write(&path, TRACE).unwrap();
        let mut found = Vec::new();
        let rotated = std::cell::Cell::new(false);
        let seen = std::cell::Cell::new(0);
        follow(&path, None, Until::Stopped, &|| seen.get() == 2, &mut |item| {
            if item.block.is_some() {
                seen.set(seen.get() + 1);
                found.push(item);
            }
            if !rotated.replace(true) {
                std::fs::rename(&path, directory.path().join("app.log.1")).unwrap();
                std::fs::write(&path, format!("first line\n{TRACE}")).unwrap();
            }
            true
        })
        .unwrap();
        assert_eq!(found.iter().map(|found| found.at.offset).collect::<Vec<_>>(), [0, 11]);
        assert_ne!(found[0].at.inode, found[1].at.inode);
    }

    #[test]
    fn what_is_written_to_a_renamed_file_is_still_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.log");
        std::fs::write(&path, TRACE).unwrap();
        let mut writer = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        let mut found = Vec::new();
        let seen = std::cell::Cell::new(0);
        follow(&path, None, Until::Stopped, &|| seen.get() == 3, &mut |item| {
            if item.block.is_some() {
                seen.set(seen.get() + 1);
                found.push(item.at);
                if seen.get() == 1 {
                    std::fs::rename(&path, directory.path().join("app.log.1")).unwrap();
                    std::fs::write(&path, TRACE).unwrap();
                    // The program has not been told yet that its log was rotated.
                    write!(writer, "{TRACE}").unwrap();
                }
            }
            true
        })
        .unwrap();
        assert_eq!(found[1].inode, found[0].inode);
        assert_ne!(found[2].inode, found[0].inode);
    }

    #[test]
    fn a_file_that_was_cut_begins_anew_under_another_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.log");
        std::fs::write(&path, format!("{TRACE}{TRACE}")).unwrap();
        let before = read_to_end(&path, None);
        std::fs::write(&path, TRACE).unwrap();
        let after = read_to_end(&path, Some(before.last().unwrap().next));
        assert_eq!((before[0].at.offset, after[0].at.offset), (0, 0));
        assert_ne!(before[0].at, after[0].at);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let error = follow(directory.path(), None, Until::End, &|| false, &mut |_| true).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
}
