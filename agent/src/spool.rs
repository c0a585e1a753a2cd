//! What was pushed to the agent and is not yet stored: kept until the sink acknowledges it, across a crash too.
//!
//! Files that are followed need no spool, since they can be read again; standard input, sockets and HTTP bodies cannot.
//! With a state directory the spool is a file, else it is memory and a crash loses what is in flight.
//!
//! # The file
//!
//! `spool.log` begins with the eight bytes `TASPOOL1`. One frame follows for each event:
//!
//! ```text
//! u32  length of the payload, little-endian
//! u32  CRC-32 (zlib's polynomial) of the payload, little-endian
//! ...  payload: the event's time in milliseconds (i64, little-endian), then its line in UTF-8
//! ```
//!
//! `spool.ack` holds, in decimal, the offset up to which everything is acknowledged. It is replaced atomically. Once
//! everything is acknowledged it is set back to the first frame and then the log is emptied, in this order: a crash in
//! between sends events twice (with the same id) and never loses one.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use trace_record::batch::Event;
use tracing::warn;

/// The most bytes that wait in a spool. When it is full, whoever pushes must wait: a pipe blocks, HTTP answers 503, and
/// datagrams, which cannot wait, are counted as lost.
pub const SPOOL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// True if the spool in `directory` holds anything that may not be acknowledged. Costs one system call.
#[must_use]
pub fn has_waiting(directory: &Path) -> bool {
    directory.join("spool.log").metadata().is_ok_and(|log| log.len() > MAGIC.len() as u64)
}

const MAGIC: &[u8; 8] = b"TASPOOL1";
const HEADER_BYTES: usize = 8;

/// How many acknowledged bytes may stand in front of the first event that is not: then they are cut off.
const COMPACT_BYTES: u64 = 8 * 1024 * 1024;

/// Names one event in the spool until it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bound is reached.
    #[error("the spool is full ({SPOOL_BYTES_MAX} bytes wait for the sink)")]
    Full,
    /// The file could not be written.
    #[error("cannot write the spool: {0}")]
    Io(#[from] io::Error),
}

/// The spool of one agent.
#[derive(Debug)]
pub struct Spool {
    log: Option<Log>,
    /// Every event that is not acknowledged and stands behind one that is not: where it ends, and whether it is.
    open: BTreeMap<Ticket, Entry>,
    next: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Entry {
    end: u64,
    bytes: u64,
    acknowledged: bool,
}

#[derive(Debug)]
struct Log {
    file: File,
    end: u64,
    directory: PathBuf,
}

impl Spool {
    /// A spool that lives in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { log: None, open: BTreeMap::new(), next: 0, bytes: 0 }
    }

    /// Opens the spool in `directory`, and gives the events that an earlier run left unacknowledged, oldest first.
    ///
    /// A torn last frame, as a crash leaves it, is cut off. What stands behind a damaged frame is set aside in
    /// `spool.damaged`, and that is said.
    ///
    /// # Errors
    ///
    /// If the files cannot be read or written.
    pub fn open(directory: &Path) -> io::Result<(Self, Vec<(Ticket, Event)>)> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(directory.join("spool.log"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            file.write_all(MAGIC)?;
            bytes.extend_from_slice(MAGIC);
        } else if !bytes.starts_with(MAGIC) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} is not a spool of this version", directory.join("spool.log").display()),
            ));
        }
        let acknowledged = acknowledged(directory).min(bytes.len()).max(HEADER_BYTES);
        let mut spool = Self::in_memory();
        let mut left = Vec::new();
        let mut at = acknowledged;
        while let Some((event, end)) = frame(&bytes, at) {
            left.push((spool.track(end as u64, (end - at) as u64), event));
            at = end;
        }
        if at < bytes.len() {
            set_aside(directory, &bytes[at..])?;
            file.set_len(at as u64)?;
        }
        file.seek(SeekFrom::End(0))?;
        spool.log = Some(Log { file, end: at as u64, directory: directory.to_owned() });
        Ok((spool, left))
    }

    /// Takes an event; once this returns, a crash does not lose it (if the spool is a file).
    ///
    /// # Errors
    ///
    /// If the spool is full or cannot be written; the event is still the caller's.
    pub fn append(&mut self, event: &Event) -> Result<Ticket, Error> {
        let bytes = event.message.len() as u64 + 16;
        if self.bytes + bytes > SPOOL_BYTES_MAX {
            return Err(Error::Full);
        }
        let end = match &mut self.log {
            Some(log) => log.append(event)?,
            None => 0,
        };
        Ok(self.track(end, bytes))
    }

    /// Takes all of these events or, if there is no room for all, none.
    ///
    /// # Errors
    ///
    /// As [`Spool::append`]; a file that cannot be written may have taken the first of them.
    pub fn append_all(&mut self, events: &[Event]) -> Result<Vec<Ticket>, Error> {
        let bytes: u64 = events.iter().map(|event| event.message.len() as u64 + 16).sum();
        if self.bytes + bytes > SPOOL_BYTES_MAX {
            return Err(Error::Full);
        }
        events.iter().map(|event| self.append(event)).collect()
    }

    /// Notes that the sink stored these events, or refused them for good.
    ///
    /// # Errors
    ///
    /// If the note cannot be written; the events may then be sent once more after a restart.
    pub fn acknowledge(&mut self, tickets: impl IntoIterator<Item = Ticket>) -> io::Result<()> {
        for ticket in tickets {
            if let Some(entry) = self.open.get_mut(&ticket) {
                entry.acknowledged = true;
            }
        }
        let mut end = None;
        while let Some(first) = self.open.first_entry().filter(|first| first.get().acknowledged) {
            let entry = first.remove();
            self.bytes -= entry.bytes;
            end = Some(entry.end);
        }
        let (Some(log), Some(end)) = (&mut self.log, end) else { return Ok(()) };
        log.acknowledge(end, self.open.is_empty())?;
        if end > COMPACT_BYTES && !self.open.is_empty() {
            let cut = log.compact(end)?;
            self.open.values_mut().for_each(|entry| entry.end -= cut);
        }
        Ok(())
    }

    /// How many events wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.open.values().filter(|entry| !entry.acknowledged).count()
    }

    fn track(&mut self, end: u64, bytes: u64) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.bytes += bytes;
        self.open.insert(ticket, Entry { end, bytes, acknowledged: false });
        ticket
    }
}

impl Log {
    fn append(&mut self, event: &Event) -> io::Result<u64> {
        let mut payload = event.timestamp_ms.to_le_bytes().to_vec();
        payload.extend_from_slice(event.message.as_bytes());
        // The bound of the whole spool is far below what a u32 holds.
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
        let mut frame = length.to_le_bytes().to_vec();
        frame.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
        frame.extend_from_slice(&payload);
        let written = self.file.write_all(&frame).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // A full disk may have taken half of it: without the half, the frames before it stay readable.
            self.file.set_len(self.end)?;
            self.file.seek(SeekFrom::End(0))?;
            return Err(error);
        }
        self.end += frame.len() as u64;
        Ok(self.end)
    }

    fn acknowledge(&mut self, end: u64, all: bool) -> io::Result<()> {
        let end = if all { HEADER_BYTES as u64 } else { end };
        replace(&self.directory.join("spool.ack"), end.to_string().as_bytes())?;
        if all {
            self.file.set_len(end)?;
            self.file.seek(SeekFrom::End(0))?;
            self.end = end;
        }
        Ok(())
    }
}

impl Log {
    /// Cuts off what stands before `acknowledged`, and says how many bytes that were. A crash in between sends acknowledged
    /// events again and loses none: the note is set back first.
    fn compact(&mut self, acknowledged: u64) -> io::Result<u64> {
        let path = self.directory.join("spool.log");
        let new = path.with_extension("compact");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(MAGIC)?;
        self.file.seek(SeekFrom::Start(acknowledged))?;
        io::copy(&mut self.file, &mut file)?;
        file.sync_data()?;
        replace(&self.directory.join("spool.ack"), HEADER_BYTES.to_string().as_bytes())?;
        std::fs::rename(&new, &path)?;
        let cut = acknowledged - HEADER_BYTES as u64;
        self.file = file;
        self.end -= cut;
        Ok(cut)
    }
}

/// Replaces a file so that a crash leaves the old content or the new one.
///
/// # Errors
///
/// If the new content cannot be written or take the old one's place.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(content)?;
    file.sync_data()?;
    std::fs::rename(&new, path)
}

fn acknowledged(directory: &Path) -> usize {
    std::fs::read_to_string(directory.join("spool.ack"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

/// The event whose frame begins at `at`, and where the frame ends. `None` at the end, and for a frame that is torn or
/// damaged.
fn frame(bytes: &[u8], at: usize) -> Option<(Event, usize)> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let length = usize::try_from(word(at)?).ok()?;
    let start = at + 8;
    let payload = bytes.get(start..start.checked_add(length)?)?;
    if crc32fast::hash(payload) != word(at + 4)? {
        return None;
    }
    let (time, line) = payload.split_first_chunk()?;
    let message = String::from_utf8(line.to_vec()).ok()?;
    Some((Event { timestamp_ms: i64::from_le_bytes(*time), message }, start + length))
}

fn set_aside(directory: &Path, rest: &[u8]) -> io::Result<()> {
    let path = directory.join("spool.damaged");
    OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?.write_all(rest)?;
    warn!(bytes = rest.len(), file = %path.display(), "the end of the spool is damaged and was set aside");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str) -> Event {
        Event { timestamp_ms: 7, message: message.to_owned() }
    }

    fn left(directory: &Path) -> Vec<String> {
        Spool::open(directory).unwrap().1.into_iter().map(|(_, event)| event.message).collect()
    }

    #[test]
    fn what_is_not_acknowledged_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let (mut spool, none) = Spool::open(directory.path()).unwrap();
        assert!(none.is_empty());
        let tickets: Vec<Ticket> =
            ["a", "b", "c"].iter().map(|text| spool.append(&event(text)).unwrap()).collect();
        // Out of order: "a" is still open, so nothing may be forgotten yet.
        spool.acknowledge([tickets[1]]).unwrap();
        assert_eq!(left(directory.path()), ["a", "b", "c"]);
        spool.acknowledge([tickets[0]]).unwrap();
        assert_eq!(left(directory.path()), ["c"]);
        spool.acknowledge([tickets[2]]).unwrap();
        assert!(left(directory.path()).is_empty());
        assert_eq!(std::fs::read(directory.path().join("spool.log")).unwrap(), MAGIC);
    }

    #[test]
    fn a_file_torn_at_any_byte_keeps_every_whole_event() {
        let directory = tempfile::tempdir().unwrap();
        let (mut spool, _) = Spool::open(directory.path()).unwrap();
        let mut ends = vec![HEADER_BYTES];
        for text in ["first", "second", "third"] {
            spool.append(&event(text)).unwrap();
            ends.push(std::fs::read(directory.path().join("spool.log")).unwrap().len());
        }
        let whole = std::fs::read(directory.path().join("spool.log")).unwrap();
        for cut in HEADER_BYTES..=whole.len() {
            let torn = tempfile::tempdir().unwrap();
            std::fs::write(torn.path().join("spool.log"), &whole[..cut]).unwrap();
            let expected = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert_eq!(left(torn.path()).len(), expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_damaged_event_is_set_aside_and_the_spool_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let (mut spool, _) = Spool::open(directory.path()).unwrap();
        spool.append(&event("good")).unwrap();
        spool.append(&event("bad")).unwrap();
        let path = directory.path().join("spool.log");
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let (mut spool, left_over) = Spool::open(directory.path()).unwrap();
        assert_eq!(left_over.len(), 1);
        assert!(directory.path().join("spool.damaged").exists());
        spool.append(&event("new")).unwrap();
        assert_eq!(left(directory.path()), ["good", "new"]);
    }

    #[test]
    fn a_steady_stream_does_not_let_the_file_grow() {
        let directory = tempfile::tempdir().unwrap();
        let (mut spool, _) = Spool::open(directory.path()).unwrap();
        let big = "x".repeat(1_000_000);
        let mut last = spool.append(&event("first")).unwrap();
        for number in 0..40 {
            let next = spool.append(&event(&format!("{number} {big}"))).unwrap();
            spool.acknowledge([last]).unwrap();
            last = next;
            let length = std::fs::metadata(directory.path().join("spool.log")).unwrap().len();
            assert!(length < COMPACT_BYTES + 4_000_000, "{length}");
        }
        let left = left(directory.path());
        assert_eq!((left.len(), left[0].starts_with("39 x")), (1, true));
        spool.acknowledge([last]).unwrap();
        assert_eq!(std::fs::read(directory.path().join("spool.log")).unwrap(), MAGIC);
    }

    #[test]
    fn a_full_spool_hands_the_event_back() {
        let mut spool = Spool::in_memory();
        let big = event(&"x".repeat(1_000_000));
        let mut tickets = Vec::new();
        let refused = loop {
            match spool.append(&big) {
                Ok(ticket) => tickets.push(ticket),
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, Error::Full));
        assert_eq!(tickets.len(), 67);
        spool.acknowledge(tickets).unwrap();
        assert!(spool.append(&big).is_ok());
    }
}
