//! What was pushed to the agent and is not yet stored: kept until the sink acknowledges it, across a crash too.
//!
//! Files that are followed need no spool, since they can be read again; standard input, sockets and HTTP bodies cannot.
//! With a state directory the spool lies there, else in memory, and then a crash loses what is in flight.
//!
//! # The files
//!
//! `spool-0123456789abcdef.seg` is a segment: the eight bytes `TASPOOL2`, then one frame for each event (`frame.rs`). Segments are
//! written one after the other; their numbers never come back. One whose events are all acknowledged is removed, so an empty spool
//! has no segment.
//!
//! `spool.ack` names, in text, a segment and the offset up to which it and everything before it is acknowledged. It is a hint: without
//! it some events are sent again, with the same id.
//!
//! # What a crash costs
//!
//! Once an append returns, the death of the process loses nothing. A power cut loses what was not synced ([`Sync`]). What was in
//! flight is sent again. A torn last frame is cut off; what is damaged is set aside in `spool.damaged`, and the frames around it are
//! kept.
//!
//! # When it is full
//!
//! The oldest segment goes, and what was in it is counted: new failures say more than old ones, and who pushes must not stand still.

mod frame;
mod disk;
mod fs;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::time::Duration;

use trace_record::batch::Event;

use disk::{Disk, Folder, Ram};
use frame::{HEADER_BYTES, OVERHEAD_BYTES, PAYLOAD_BYTES_MAX, Piece};

pub use fs::{has_waiting, replace};

/// What a segment begins with.
const MAGIC: &[u8; 8] = b"TASPOOL2";

/// What stands around a segment's number in its name.
const PREFIX: &str = "spool-";
const SUFFIX: &str = ".seg";

/// The file that says what is acknowledged.
const ACKNOWLEDGED: &str = "spool.ack";

/// The file in which damaged bytes are kept for a person.
const DAMAGED: &str = "spool.damaged";

/// The most damaged bytes that are kept.
const DAMAGED_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A segment is a sixteenth of the budget, within these bounds, in bytes: what goes when the spool is full, and what is read into
/// memory when it is opened.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 64 * 1024..=8 * 1024 * 1024;

/// The longest segment that is read when a spool is opened, in bytes: the events of one append are never parted.
const RECOVERED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The most bytes that are read from a segment at a time.
const READ_BYTES: usize = 1024 * 1024;

/// The bounds of a spool.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes that its segments may have.
    pub bytes_max: u64,
    /// What outlives a power cut.
    pub sync: Sync,
}

/// When events are safe from a power cut. The death of the process costs nothing either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Before they are taken.
    Each,
    /// After this time, in which the owner has to call [`Spool::sync`].
    Every(Duration),
}

/// What an earlier run left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Events that wait.
    pub events: usize,
    /// Bytes of a frame that was being written when the earlier run ended; its event was not taken.
    pub torn_bytes: u64,
    /// Bytes that are no longer what was written.
    pub damaged_bytes: u64,
}

/// Names one event in the spool until it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    segment: u64,
    offset: u64,
}

/// Why events were not taken. They are still the caller's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// They are more than the spool may ever hold.
    #[error("{bytes} bytes are more than the spool may hold ({bytes_max})")]
    TooLarge {
        /// What they would take.
        bytes: u64,
        /// [`Limits::bytes_max`].
        bytes_max: u64,
    },
    /// The files could not be written.
    #[error("cannot write the spool: {0}")]
    Io(#[from] io::Error),
}

/// The spool of one agent.
#[derive(Debug)]
pub struct Spool {
    disk: Box<dyn Disk>,
    limits: Limits,
    /// Oldest first; the last one is written to.
    segments: VecDeque<Segment>,
    /// The number of the next segment.
    next: u64,
    /// The first event that was not handed out.
    cursor: Ticket,
    /// What was handed out: where it ends, and whether it is acknowledged. Begins with one that is not.
    taken: BTreeMap<Ticket, (u64, bool)>,
    waiting: usize,
    evicted: u64,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    bytes: u64,
    /// Events that were not handed out.
    fresh: usize,
    is_synced: bool,
    /// Whether nothing more may be written to it.
    is_closed: bool,
}

impl Spool {
    /// A spool that lives in memory.
    #[must_use]
    pub fn in_memory(limits: Limits) -> Self {
        Self::new(Box::new(Ram::default()), limits)
    }

    /// Opens the spool in `directory`.
    ///
    /// # Errors
    ///
    /// If the files cannot be read or written.
    pub fn open(directory: &Path, limits: Limits) -> io::Result<(Self, Recovered)> {
        Self::on(Box::new(Folder::new(directory)), limits)
    }

    fn new(disk: Box<dyn Disk>, limits: Limits) -> Self {
        Self {
            disk,
            limits,
            segments: VecDeque::new(),
            next: 0,
            cursor: Ticket { segment: 0, offset: 0 },
            taken: BTreeMap::new(),
            waiting: 0,
            evicted: 0,
            buffer: Vec::new(),
        }
    }

    fn on(disk: Box<dyn Disk>, limits: Limits) -> io::Result<(Self, Recovered)> {
        let mut spool = Self::new(disk, limits);
        let mut recovered = Recovered::default();
        let acknowledged = spool.acknowledged();
        spool.next = acknowledged.map_or(0, |ticket| ticket.segment + 1);
        let mut numbers: Vec<u64> = spool.disk.list()?.iter().filter_map(|name| number(name)).collect();
        numbers.sort_unstable();
        for number in numbers {
            spool.next = spool.next.max(number.saturating_add(1));
            let from = match acknowledged {
                Some(done) if done.segment > number => u64::MAX,
                Some(done) if done.segment == number => done.offset,
                _ => 0,
            };
            spool.recover(number, from, &mut recovered)?;
        }
        recovered.events = spool.waiting;
        spool.make_room(0)?;
        Ok((spool, recovered))
    }

    /// Takes all of these events or none. Once this returns, the death of the process does not lose them, if the spool lies in
    /// a directory. The oldest events go if there is no room.
    ///
    /// # Errors
    ///
    /// If they are too many, or cannot be written.
    pub fn append(&mut self, events: &[Event]) -> Result<(), Error> {
        self.buffer.clear();
        for event in events {
            if event.message.len() + 8 > PAYLOAD_BYTES_MAX {
                let bytes = (event.message.len() + OVERHEAD_BYTES) as u64;
                return Err(Error::TooLarge { bytes, bytes_max: PAYLOAD_BYTES_MAX as u64 });
            }
            frame::write(event, &mut self.buffer);
        }
        let bytes = self.buffer.len() as u64;
        if bytes == 0 {
            return Ok(());
        }
        let bytes_max = self.limits.bytes_max;
        if bytes + MAGIC.len() as u64 > bytes_max {
            return Err(Error::TooLarge { bytes, bytes_max });
        }
        let is_new = self.roll(bytes);
        if let Err(error) = self.make_room(bytes).and_then(|()| self.write()) {
            self.take_back(is_new);
            return Err(error.into());
        }
        if let Some(segment) = self.segments.back_mut() {
            segment.bytes += bytes;
            segment.fresh += events.len();
        }
        self.waiting += events.len();
        Ok(())
    }

    /// Hands out the next events, at most `bytes_max` bytes of lines but at least one. None of them is handed out again before a
    /// restart.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn take(&mut self, bytes_max: usize) -> io::Result<Vec<(Ticket, Event)>> {
        let (mut events, mut room) = (Vec::new(), bytes_max);
        while let Some(index) = self.segments.iter().position(|segment| segment.fresh > 0) {
            self.cursor =
                self.cursor.max(Ticket { segment: self.segments[index].number, offset: MAGIC.len() as u64 });
            let before = events.len();
            let is_full = self.take_from(index, &mut events, &mut room)?;
            let segment = &mut self.segments[index];
            segment.fresh = if is_full { segment.fresh - (events.len() - before) } else { 0 };
            if is_full {
                break;
            }
        }
        Ok(events)
    }

    /// Notes that the sink stored these events, or refused them for good.
    ///
    /// # Errors
    ///
    /// If the note cannot be written; the events may then be sent once more after a restart.
    pub fn acknowledge(&mut self, tickets: impl IntoIterator<Item = Ticket>) -> io::Result<()> {
        for ticket in tickets {
            if let Some((_, is_done @ false)) = self.taken.get_mut(&ticket) {
                *is_done = true;
                self.waiting -= 1;
            }
        }
        let mut end = None;
        while let Some(first) = self.taken.first_entry().filter(|first| first.get().1) {
            let segment = first.key().segment;
            end = Some(Ticket { segment, offset: first.remove().0 });
        }
        let Some(end) = end else { return Ok(()) };
        let first = self.taken.first_key_value().map_or(self.cursor, |(first, _)| *first);
        let mut is_noted = false;
        while let Some(oldest) = self.segments.front() {
            let is_done = oldest.number < first.segment || (self.taken.is_empty() && oldest.fresh == 0);
            if !is_done {
                break;
            }
            self.disk.remove(&name(oldest.number))?;
            is_noted |= oldest.number == end.segment;
            self.segments.pop_front();
        }
        // Without its segment, a number alone is kept from coming back.
        if is_noted && !self.segments.is_empty() {
            return Ok(());
        }
        let note = format!("{:x} {}\n", end.segment, end.offset);
        self.disk.note(ACKNOWLEDGED, note.as_bytes())
    }

    /// Makes everything that was taken outlive a power cut.
    ///
    /// # Errors
    ///
    /// If the files cannot be synced.
    pub fn sync(&mut self) -> io::Result<()> {
        for segment in self.segments.iter_mut().filter(|segment| !segment.is_synced) {
            self.disk.sync(&name(segment.number))?;
            segment.is_synced = true;
        }
        Ok(())
    }

    /// How many events wait for an acknowledgement.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// How many events had to go before they were handed out.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Sees that there is a segment to write `bytes` to. True if it is a new one.
    fn roll(&mut self, bytes: u64) -> bool {
        let segment_bytes = (self.limits.bytes_max / 16).clamp(*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end());
        let has_room = self.segments.back().is_some_and(|last| {
            !last.is_closed && last.bytes + bytes <= segment_bytes.min(self.limits.bytes_max)
        });
        if !has_room {
            let bytes = MAGIC.len() as u64;
            self.segments.push_back(Segment {
                number: self.next,
                bytes,
                fresh: 0,
                is_synced: false,
                is_closed: false,
            });
            self.next += 1;
        }
        !has_room
    }

    /// Lets the oldest segments go until `bytes` more have room.
    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        while self.segments.len() > 1 && self.bytes() + bytes > self.limits.bytes_max {
            let Some(oldest) = self.segments.front() else { break };
            self.disk.remove(&name(oldest.number))?;
            self.waiting -= oldest.fresh;
            self.evicted += oldest.fresh as u64;
            self.segments.pop_front();
        }
        Ok(())
    }

    /// Writes the buffer at the end of the last segment.
    fn write(&mut self) -> io::Result<()> {
        let Some(segment) = self.segments.back_mut() else { return Ok(()) };
        let name = name(segment.number);
        segment.is_synced = false;
        if segment.bytes == MAGIC.len() as u64 {
            self.disk.write(&name, 0, MAGIC)?;
        }
        self.disk.write(&name, segment.bytes, &self.buffer)?;
        if self.limits.sync == Sync::Each {
            self.disk.sync(&name)?;
            segment.is_synced = true;
        }
        Ok(())
    }

    /// Undoes a write that failed halfway: on a full disk, half of it may be there.
    fn take_back(&mut self, is_new: bool) {
        let Some(segment) = self.segments.back_mut() else { return };
        let name = name(segment.number);
        if is_new {
            let _ = self.disk.remove(&name);
            self.segments.pop_back();
        } else if self.disk.cut(&name, segment.bytes).is_err() {
            // What follows must not stand behind half a frame.
            segment.is_closed = true;
        }
    }

    /// Hands out events of one segment. True if there is no room for more.
    fn take_from(
        &mut self,
        index: usize,
        events: &mut Vec<(Ticket, Event)>,
        room: &mut usize,
    ) -> io::Result<bool> {
        let segment = &self.segments[index];
        let name = name(segment.number);
        let mut wanted = HEADER_BYTES.max(READ_BYTES.min(room.saturating_add(OVERHEAD_BYTES)));
        while self.cursor.offset < segment.bytes {
            let left = usize::try_from(segment.bytes - self.cursor.offset).unwrap_or(usize::MAX);
            self.buffer.resize(wanted.min(left), 0);
            let count = self.disk.read(&name, self.cursor.offset, &mut self.buffer)?;
            let mut at = 0;
            while let Some((event, end)) = frame::read(&self.buffer[..count], at) {
                if !events.is_empty() && event.message.len() > *room {
                    return Ok(true);
                }
                *room = room.saturating_sub(event.message.len());
                let ticket = self.cursor;
                self.cursor.offset += (end - at) as u64;
                self.taken.insert(ticket, (self.cursor.offset, false));
                events.push((ticket, event));
                at = end;
            }
            if *room == 0 {
                return Ok(true);
            }
            // Nothing whole: the frame is longer than what was read, or no frame.
            if at == 0 {
                match frame::length(&self.buffer[..count]).filter(|length| *length > count && count < left) {
                    Some(length) => wanted = length,
                    None => return Err(damaged(&name, self.cursor.offset)),
                }
            }
        }
        Ok(false)
    }

    /// Reads a segment that an earlier run left, of which everything before `from` is acknowledged.
    fn recover(&mut self, number: u64, from: u64, recovered: &mut Recovered) -> io::Result<()> {
        let name = name(number);
        let bytes = self.read_whole(&name)?;
        let begin = if bytes.starts_with(MAGIC) { MAGIC.len() } else { 0 };
        let (mut frames, mut damage, mut end) = (Vec::new(), Vec::new(), begin);
        for piece in frame::pieces(&bytes, begin) {
            match piece {
                Piece::Frame(range) => {
                    end = range.end;
                    frames.push(range);
                }
                Piece::Damage(range) if range.end == bytes.len() && frame::is_torn(&bytes[range.clone()]) => {
                    recovered.torn_bytes += range.len() as u64;
                }
                Piece::Damage(range) => damage.extend_from_slice(&bytes[range]),
            }
        }
        frames.retain(|range| range.start as u64 >= from);
        recovered.damaged_bytes += damage.len() as u64;
        self.set_aside(&damage)?;
        let Some(first) = frames.first() else { return self.disk.remove(&name) };
        let mut at = Ticket { segment: number, offset: first.start as u64 };
        let is_whole = damage.is_empty() && begin > 0;
        if !is_whole {
            // The note of what is acknowledged counts in bytes that are going to move: without it, some events may come again.
            self.disk.replace(ACKNOWLEDGED, b"")?;
            let mut kept = MAGIC.to_vec();
            frames.iter().for_each(|range| kept.extend_from_slice(&bytes[range.clone()]));
            self.disk.replace(&name, &kept)?;
            (at.offset, end) = (MAGIC.len() as u64, kept.len());
        } else if end < bytes.len() {
            self.disk.cut(&name, end as u64)?;
        }
        if self.segments.is_empty() {
            self.cursor = at;
        }
        self.waiting += frames.len();
        self.segments.push_back(Segment {
            number,
            bytes: end as u64,
            fresh: frames.len(),
            is_synced: false,
            is_closed: true,
        });
        Ok(())
    }

    fn read_whole(&mut self, name: &str) -> io::Result<Vec<u8>> {
        let length = self.disk.length(name)?;
        if length > RECOVERED_BYTES_MAX {
            let message = format!("{name} has {length} bytes, which no spool writes; move it away");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let count = self.disk.read(name, 0, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Keeps damaged bytes for a person, as far as there is room.
    fn set_aside(&mut self, damage: &[u8]) -> io::Result<()> {
        if damage.is_empty() {
            return Ok(());
        }
        let length = self.disk.length(DAMAGED).unwrap_or(0);
        let room = usize::try_from(DAMAGED_BYTES_MAX.saturating_sub(length)).unwrap_or(usize::MAX);
        self.disk.write(DAMAGED, length, &damage[..damage.len().min(room)])
    }

    /// Up to where everything is acknowledged, as far as it is known.
    fn acknowledged(&mut self) -> Option<Ticket> {
        let mut note = [0; 64];
        let count = self.disk.read(ACKNOWLEDGED, 0, &mut note).ok()?;
        let (segment, offset) =
            std::str::from_utf8(&note[..count]).ok()?.strip_suffix('\n')?.split_once(' ')?;
        Some(Ticket { segment: u64::from_str_radix(segment, 16).ok()?, offset: offset.parse().ok()? })
    }
}

fn name(number: u64) -> String {
    format!("{PREFIX}{number:016x}{SUFFIX}")
}

fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    u64::from_str_radix(digits, 16).ok().filter(|number| self::name(*number) == name)
}

fn damaged(name: &str, offset: u64) -> io::Error {
    let message = format!("{name} is damaged at byte {offset}; a restart saves what stands behind it");
    io::Error::new(io::ErrorKind::InvalidData, message)
}
