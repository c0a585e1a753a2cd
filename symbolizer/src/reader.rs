//! The reader that DWARF is parsed through, and the allowance that it spends.
//!
//! DWARF is a program for its reader. A few kilobytes can make a parser walk the same list of ranges once per
//! entry, or go one call deeper for each nested entry until the stack ends. The parsers know no limits of that
//! kind, but all that they do goes through [`gimli::Reader`]. So this reader counts, and measures the stack:
//! within [`within_allowance`] a question that asks too much meets the end of its input, which every parser
//! handles.

use std::borrow::Cow;
use std::cell::Cell;

use gimli::{Reader as _, ReaderOffsetId, RunTimeEndian};

use crate::mmap::Bytes;

/// Reads that one question may make, about half a second of work. To read all of a unit takes some two reads for
/// three bytes of `.debug_info`, so a unit of 150 MB fits; the largest known are a tenth of it.
const READS_MAX: u64 = 1 << 27;

/// Bytes of stack that parsing may take. Rust gives a thread 2 MiB; one nested entry takes a few hundred bytes,
/// and compilers nest some tens.
const STACK_BYTES_MAX: usize = 256 << 10;

/// Bytes of text that count as one read.
const TEXT_BYTES_PER_READ: usize = 16;

#[derive(Clone, Copy)]
struct Allowance {
    reads: u64,
    /// The stack grows downwards, to here at most.
    stack_floor: usize,
}

thread_local! {
    /// What is left for the question that this thread works on. Outside of one nothing can be read.
    static ALLOWANCE: Cell<Allowance> = const { Cell::new(Allowance { reads: 0, stack_floor: usize::MAX }) };
}

/// Answers one `question` about DWARF, in bounded time and on a bounded stack.
pub(crate) fn within_allowance<T>(question: impl FnOnce() -> T) -> T {
    within(READS_MAX, question)
}

fn within<T>(reads: u64, question: impl FnOnce() -> T) -> T {
    let stack_floor = stack_pointer().saturating_sub(STACK_BYTES_MAX);
    let before = ALLOWANCE.replace(Allowance { reads, stack_floor });
    let answer = question();
    ALLOWANCE.set(before);
    answer
}

/// The address of a local variable: close enough.
#[inline]
fn stack_pointer() -> usize {
    let local = 0_u8;
    (&raw const local).addr()
}

/// Bytes of a section, read within the allowance.
#[derive(Debug, Clone)]
pub(crate) struct Reader(gimli::EndianReader<RunTimeEndian, Bytes>);

impl Reader {
    pub(crate) fn new(bytes: Bytes, endian: RunTimeEndian) -> Reader {
        Reader(gimli::EndianReader::new(bytes, endian))
    }

    #[inline]
    fn spend(&self, reads: u64) -> gimli::Result<()> {
        let allowance = ALLOWANCE.get();
        if allowance.reads < reads || stack_pointer() < allowance.stack_floor {
            return Err(gimli::Error::UnexpectedEof(self.0.offset_id()));
        }
        ALLOWANCE.set(Allowance { reads: allowance.reads - reads, ..allowance });
        Ok(())
    }

    #[inline]
    fn spend_text(&self, bytes: usize) -> gimli::Result<()> {
        self.spend(1 + (bytes / TEXT_BYTES_PER_READ) as u64)
    }
}

impl gimli::Reader for Reader {
    type Endian = RunTimeEndian;
    type Offset = usize;

    #[inline]
    fn endian(&self) -> RunTimeEndian {
        self.0.endian()
    }

    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn empty(&mut self) {
        self.0.empty();
    }

    #[inline]
    fn truncate(&mut self, len: usize) -> gimli::Result<()> {
        self.0.truncate(len)
    }

    #[inline]
    fn offset_from(&self, base: &Self) -> usize {
        self.0.offset_from(&base.0)
    }

    #[inline]
    fn offset_id(&self) -> ReaderOffsetId {
        self.0.offset_id()
    }

    #[inline]
    fn lookup_offset_id(&self, id: ReaderOffsetId) -> Option<usize> {
        self.0.lookup_offset_id(id)
    }

    #[inline]
    fn find(&self, byte: u8) -> gimli::Result<usize> {
        let found = memchr::memchr(byte, self.0.bytes());
        self.spend_text(found.unwrap_or(self.0.bytes().len()))?;
        found.ok_or(gimli::Error::UnexpectedEof(self.0.offset_id()))
    }

    #[inline]
    fn skip(&mut self, len: usize) -> gimli::Result<()> {
        self.spend(1)?;
        self.0.skip(len)
    }

    #[inline]
    fn split(&mut self, len: usize) -> gimli::Result<Self> {
        self.spend(1)?;
        self.0.split(len).map(Reader)
    }

    #[inline]
    fn to_slice(&self) -> gimli::Result<Cow<'_, [u8]>> {
        self.0.to_slice()
    }

    #[inline]
    fn to_string(&self) -> gimli::Result<Cow<'_, str>> {
        self.spend_text(self.0.bytes().len())?;
        self.0.to_string()
    }

    #[inline]
    fn to_string_lossy(&self) -> gimli::Result<Cow<'_, str>> {
        self.spend_text(self.0.bytes().len())?;
        self.0.to_string_lossy()
    }

    #[inline]
    fn read_slice(&mut self, buffer: &mut [u8]) -> gimli::Result<()> {
        self.spend(1)?;
        self.0.read_slice(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8]) -> Reader {
        Reader::new(Bytes::owned(bytes.to_vec()), RunTimeEndian::Little)
    }

    #[test]
    fn bytes_are_read_until_the_allowance_is_spent() {
        let mut reader = reader(&[1, 2, 3]);
        within(2, || {
            assert_eq!(reader.read_u8(), Ok(1));
            assert_eq!(reader.read_u8(), Ok(2));
            assert!(reader.read_u8().is_err());
        });
        assert!(reader.read_u8().is_err(), "outside of a question");
        within(1, || assert_eq!(reader.read_u8(), Ok(3)));
    }

    #[test]
    fn long_text_costs_more_than_one_read() {
        let text = [vec![b'a'; 160], vec![0]].concat();
        within(10, || assert!(reader(&text).read_null_terminated_slice().is_err()));
        within(13, || assert_eq!(reader(&text).read_null_terminated_slice().unwrap().len(), 160));
    }

    #[test]
    fn a_question_that_goes_too_deep_meets_an_error() {
        fn descend(reader: &mut Reader) -> gimli::Result<u8> {
            reader.read_u8()?;
            let deeper = descend(reader);
            // Work after the call keeps it a call.
            reader.read_u8().and(deeper)
        }
        let mut reader = reader(&[0; 1 << 20]);
        within(u64::MAX, || assert!(descend(&mut reader).is_err()));
        assert!(reader.len() > 0, "the stack was spent first");
    }
}
