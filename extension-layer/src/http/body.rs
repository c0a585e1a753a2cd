//! Bodies, read as they come.

use std::io::Read;

use crate::error::{Error, Result};
use crate::http::{Framing, HEAD_BYTES_MAX, Reader};

/// Bytes of the line with a chunk's length: sixteen digits, and extensions that nobody uses.
const CHUNK_LINE_BYTES_MAX: usize = 4 * 1024;

/// How far a body has been read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Body(State);

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// So many bytes are to come.
    Length(u64),
    UntilClose,
    /// The line with the next chunk's length comes.
    ChunkLine,
    /// So many bytes of this chunk are to come.
    Chunk(u64),
    /// The line end of this chunk comes.
    ChunkEnd,
    /// Trailers come; of them there were so many bytes.
    Trailers(usize),
    Over,
}

/// A piece of a body, as it was sent. One after the other they are the whole of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// What a body is delimited with.
    Framing(&'a [u8]),
    Content(&'a [u8]),
    /// The line of one trailer.
    Trailer(&'a [u8]),
}

impl<'a> Part<'a> {
    /// The bytes that were sent.
    pub(crate) fn bytes(self) -> &'a [u8] {
        let (Part::Framing(bytes) | Part::Content(bytes) | Part::Trailer(bytes)) = self;
        bytes
    }
}

impl Body {
    /// A body of which nothing was read.
    pub(crate) fn new(framing: Framing) -> Body {
        Body(match framing {
            Framing::Length(0) => State::Over,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkLine,
            Framing::UntilClose => State::UntilClose,
        })
    }

    /// True if nothing more belongs to it.
    pub(crate) fn is_over(&self) -> bool {
        self.0 == State::Over
    }

    /// Takes the part with which `unread` begins. `None` if more must be read first; an error leaves everything as it was.
    pub(crate) fn next<'a>(&mut self, unread: &'a [u8]) -> Result<Option<Part<'a>>> {
        if unread.is_empty() {
            return Ok(None);
        }
        let (part, state) = match self.0 {
            State::Over => return Ok(None),
            State::UntilClose => (Part::Content(unread), State::UntilClose),
            State::Length(left) => {
                let (content, left) = up_to(unread, left);
                (Part::Content(content), if left == 0 { State::Over } else { State::Length(left) })
            }
            State::Chunk(left) => {
                let (content, left) = up_to(unread, left);
                (Part::Content(content), if left == 0 { State::ChunkEnd } else { State::Chunk(left) })
            }
            State::ChunkLine => {
                let what = "a line of a chunked body";
                let Some(line) = line(unread, what, CHUNK_LINE_BYTES_MAX)? else {
                    return if may_begin_chunk_line(unread) { Ok(None) } else { Err(NO_LENGTH) };
                };
                let length = chunk_length(line)?;
                (Part::Framing(line), if length == 0 { State::Trailers(0) } else { State::Chunk(length) })
            }
            State::ChunkEnd => {
                let malformed = Error::Malformed { what: "end of a chunk" };
                let length = match unread {
                    [b'\n', ..] => 1,
                    [b'\r', b'\n', ..] => 2,
                    [b'\r'] => return Ok(None),
                    _ => return Err(malformed),
                };
                (Part::Framing(&unread[..length]), State::ChunkLine)
            }
            State::Trailers(bytes) => {
                // They carry the error of a streamed response, in base64: a line may be as long as a head.
                let what = "the trailers";
                let Some(line) = line(unread, what, HEAD_BYTES_MAX)? else { return Ok(None) };
                let bytes = bytes + line.len();
                if bytes > HEAD_BYTES_MAX {
                    return Err(Error::TooLong { what, bytes_max: HEAD_BYTES_MAX });
                }
                match line {
                    b"\r\n" | b"\n" => (Part::Framing(line), State::Over),
                    _ => (Part::Trailer(line), State::Trailers(bytes)),
                }
            }
        };
        self.0 = state;
        Ok(Some(part))
    }

    /// What it means that the sender has closed.
    pub(crate) fn closed(&mut self) -> Result<()> {
        match self.0 {
            State::UntilClose | State::Over => self.0 = State::Over,
            State::Length(_) => return Err(Error::Closed { what: "a body" }),
            _ => return Err(Error::Closed { what: "a chunked body" }),
        }
        Ok(())
    }
}

/// As much of `unread` as belongs to the `left` bytes that are to come, and what is to come then.
fn up_to(unread: &[u8], left: u64) -> (&[u8], u64) {
    let taken = usize::try_from(left).map_or(unread.len(), |left| unread.len().min(left));
    (&unread[..taken], left - taken as u64)
}

/// The line with which `unread` begins, line end included, if it is there.
fn line<'a>(unread: &'a [u8], what: &'static str, bytes_max: usize) -> Result<Option<&'a [u8]>> {
    let newline = memchr::memchr(b'\n', unread);
    if newline.unwrap_or(unread.len()) > bytes_max {
        return Err(Error::TooLong { what, bytes_max });
    }
    Ok(newline.map(|newline| &unread[..=newline]))
}

const NO_LENGTH: Error = Error::Malformed { what: "length of a chunk" };

/// True if what begins with `unread` may still become the line of a chunk.
fn may_begin_chunk_line(unread: &[u8]) -> bool {
    let digits = unread.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    (1..=16).contains(&digits)
        && unread.get(digits).is_none_or(|next| matches!(next, b';' | b' ' | b'\t' | b'\r'))
}

fn chunk_length(line: &[u8]) -> Result<u64> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or(NO_LENGTH)
}

/// Reads the content of a body.
///
/// # Errors
///
/// [`Error::TooLong`] if it is longer than `bytes_max`; then the rest of it is unread.
pub(crate) fn read_body<S: Read>(
    reader: &mut Reader<S>,
    framing: Framing,
    bytes_max: usize,
) -> Result<Vec<u8>> {
    let too_long = || Error::TooLong { what: "a body", bytes_max };
    let mut content = Vec::new();
    if let Framing::Length(length) = framing {
        match usize::try_from(length) {
            Ok(length) if length <= bytes_max => content.reserve_exact(length),
            _ => return Err(too_long()),
        }
    }
    let mut body = Body::new(framing);
    while !body.is_over() {
        let Some(part) = body.next(reader.unread())? else {
            if reader.fill()? == 0 {
                body.closed()?;
            }
            continue;
        };
        if let Part::Content(piece) = part {
            if content.len() + piece.len() > bytes_max {
                return Err(too_long());
            }
            content.extend_from_slice(piece);
        }
        reader.take(part.bytes().len());
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a body looks like, its parts in `pieces` of so many bytes: the bytes as they were sent, the content, the trailers, and what is
    /// left unread.
    fn read(framing: Framing, wire: &[u8], pieces: usize) -> Result<[Vec<u8>; 4]> {
        let mut body = Body::new(framing);
        let (mut raw, mut content, mut trailers) = (Vec::new(), Vec::new(), Vec::new());
        let (mut start, mut end) = (0, 0);
        while !body.is_over() {
            let Some(part) = body.next(&wire[start..end])? else {
                if end == wire.len() {
                    body.closed()?;
                }
                end = (end + pieces).min(wire.len());
                continue;
            };
            match part {
                Part::Content(piece) => content.extend_from_slice(piece),
                Part::Trailer(line) => trailers.extend_from_slice(line),
                Part::Framing(_) => {}
            }
            raw.extend_from_slice(part.bytes());
            start += part.bytes().len();
        }
        Ok([raw, content, trailers, wire[start..].to_vec()])
    }

    #[test]
    fn chunks_trailers_and_extensions_are_told_apart_however_they_come() {
        // The form that Node's runtime client 4.0.2 sends when a stream fails in its middle.
        let trailers: &[u8] =
            b"Lambda-Runtime-Function-Error-Type: Error\r\nLambda-Runtime-Function-Error-Body: e30=\r\n";
        let wire = [b"A;x=y\r\n0123456789\r\n5\npart1\n00\r\n", trailers, b"\r\n"].concat();
        let both = [&wire[..], b"GET /"].concat();
        for pieces in [1, 2, 3, 7, both.len()] {
            let [raw, content, trailer, rest] = read(Framing::Chunked, &both, pieces).unwrap();
            assert_eq!((&raw, &content[..]), (&wire, &b"0123456789part1"[..]), "{pieces}");
            assert_eq!((&trailer[..], &rest[..]), (trailers, &b"GET /"[..]), "{pieces}");
        }
    }

    #[test]
    fn a_body_that_is_cut_off_or_malformed_is_an_error() {
        assert!(matches!(read(Framing::Length(5), b"abc", 2), Err(Error::Closed { .. })));
        assert!(matches!(read(Framing::Chunked, b"5\r\nab", 2), Err(Error::Closed { .. })));
        assert_eq!(read(Framing::UntilClose, b"abc", 2).unwrap()[1], b"abc");
        for wire in
            [&b"x\r\n"[..], b"-1\r\n", b"2\r\nabc\r\n", b"fffffffffffffffff\r\n", b"+1\r\na\r\n", b"\r\n"]
        {
            assert!(matches!(read(Framing::Chunked, wire, 1), Err(Error::Malformed { .. })), "{wire:?}");
        }
    }

    #[test]
    fn lines_without_end_are_refused_at_their_bound() {
        let wire = vec![b'0'; CHUNK_LINE_BYTES_MAX + 2];
        assert!(matches!(Body::new(Framing::Chunked).next(&wire), Err(Error::TooLong { .. })));
        let trailers = [b"0\r\n".as_slice(), &b"A: b\r\n".repeat(HEAD_BYTES_MAX / 6 + 1)].concat();
        assert!(matches!(read(Framing::Chunked, &trailers, 1 << 20), Err(Error::TooLong { .. })));
    }

    #[test]
    fn a_body_over_its_bound_is_refused_whatever_its_framing() {
        let read = |framing, wire: &[u8]| read_body(&mut Reader::new(wire), framing, 4);
        assert_eq!(read(Framing::Length(4), b"abcd").unwrap(), b"abcd");
        assert!(matches!(read(Framing::Length(u64::MAX), b"abcde"), Err(Error::TooLong { .. })));
        assert!(matches!(read(Framing::Chunked, b"5\r\nabcde\r\n0\r\n\r\n"), Err(Error::TooLong { .. })));
        assert!(matches!(read(Framing::UntilClose, b"abcde"), Err(Error::TooLong { .. })));
    }
}
