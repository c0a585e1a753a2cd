//! Bodies, read as they come.

use std::io::Read;

use crate::error::{Error, Result};
use crate::http::{Framing, HEAD_BYTES_MAX, Reader};

/// Bytes of the line with a chunk's length: sixteen digits, and extensions that nobody uses.
const CHUNK_LINE_BYTES_MAX: usize = 4 * 1024;

/// Reads a body to its end and shows every piece to `visit` as soon as it is there: first the bytes as they were sent,
/// framing included, then the part of them that is content.
///
/// # Errors
///
/// If reading fails, and with the error of `visit`.
pub(crate) fn walk<S: Read>(
    reader: &mut Reader<S>,
    framing: Framing,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<()>,
) -> Result<()> {
    match framing {
        Framing::Length(length) => walk_length(reader, length, &mut visit),
        Framing::UntilClose => loop {
            let piece = reader.piece(u64::MAX)?;
            if piece.is_empty() {
                return Ok(());
            }
            visit(piece, piece)?;
        },
        Framing::Chunked => loop {
            let line = reader.line(CHUNK_LINE_BYTES_MAX)?;
            let length = chunk_length(line)?;
            visit(line, &[])?;
            if length == 0 {
                return walk_trailers(reader, &mut visit);
            }
            walk_length(reader, length, &mut visit)?;
            let line_end = reader.line(CHUNK_LINE_BYTES_MAX)?;
            if !matches!(line_end, b"\r\n" | b"\n") {
                return Err(Error::Malformed { what: "end of a chunk" });
            }
            visit(line_end, &[])?;
        },
    }
}

fn walk_length<S: Read>(
    reader: &mut Reader<S>,
    length: u64,
    visit: &mut impl FnMut(&[u8], &[u8]) -> Result<()>,
) -> Result<()> {
    let mut left = length;
    while left > 0 {
        let piece = reader.piece(left)?;
        if piece.is_empty() {
            return Err(Error::Closed { what: "a body" });
        }
        left -= piece.len() as u64;
        visit(piece, piece)?;
    }
    Ok(())
}

/// Trailers carry an error body of a streamed response, in base64, so a line may be as long as a head.
fn walk_trailers<S: Read>(
    reader: &mut Reader<S>,
    visit: &mut impl FnMut(&[u8], &[u8]) -> Result<()>,
) -> Result<()> {
    let mut bytes = 0;
    loop {
        let line = reader.line(HEAD_BYTES_MAX)?;
        bytes += line.len();
        if bytes > HEAD_BYTES_MAX {
            return Err(Error::TooLong { what: "the trailers", bytes_max: HEAD_BYTES_MAX });
        }
        let is_last = matches!(line, b"\r\n" | b"\n");
        visit(line, &[])?;
        if is_last {
            return Ok(());
        }
    }
}

fn chunk_length(line: &[u8]) -> Result<u64> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or(Error::Malformed { what: "length of a chunk" })
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
    let too_long = Error::TooLong { what: "a body", bytes_max };
    let mut body = Vec::new();
    if let Framing::Length(length) = framing {
        match usize::try_from(length) {
            Ok(length) if length <= bytes_max => body.reserve_exact(length),
            _ => return Err(too_long),
        }
    }
    walk(reader, framing, |_, content| {
        if body.len() + content.len() > bytes_max {
            return Err(Error::TooLong { what: "a body", bytes_max });
        }
        body.extend_from_slice(content);
        Ok(())
    })?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a body looks like: the bytes that were passed on, the content, and what is left unread.
    fn walked(framing: Framing, wire: &[u8]) -> Result<(Vec<u8>, Vec<u8>, Vec<u8>)> {
        let mut reader = Reader::new(wire);
        let (mut raw, mut content) = (Vec::new(), Vec::new());
        walk(&mut reader, framing, |bytes, part| {
            raw.extend_from_slice(bytes);
            content.extend_from_slice(part);
            Ok(())
        })?;
        let mut rest = Vec::new();
        while let piece @ [_, ..] = reader.piece(u64::MAX)? {
            rest.extend_from_slice(piece);
        }
        Ok((raw, content, rest))
    }

    #[test]
    fn chunks_trailers_and_extensions_pass_unchanged() {
        // The form that Node's runtime client 4.0.2 sends when a stream fails in its middle.
        let wire = b"5\r\npart1\r\n0\r\nLambda-Runtime-Function-Error-Type: Error\r\nLambda-Runtime-Function-Error-Body: e30=\r\n\r\n";
        let (raw, content, rest) = walked(Framing::Chunked, &[&wire[..], b"GET /"].concat()).unwrap();
        assert_eq!((&raw[..], &content[..], &rest[..]), (&wire[..], &b"part1"[..], &b"GET /"[..]));
        let wire = b"A;x=y\r\n0123456789\r\n00\r\n\r\n";
        assert_eq!(walked(Framing::Chunked, wire).unwrap().0, wire);
    }

    #[test]
    fn a_body_that_is_cut_off_or_malformed_is_an_error() {
        assert!(matches!(walked(Framing::Length(5), b"abc"), Err(Error::Closed { .. })));
        assert!(matches!(walked(Framing::Chunked, b"5\r\nab"), Err(Error::Closed { .. })));
        for wire in
            [&b"x\r\n"[..], b"-1\r\n", b"2\r\nabc\r\n", b"fffffffffffffffff\r\n", b"+1\r\na\r\n", b"\r\n"]
        {
            assert!(matches!(walked(Framing::Chunked, wire), Err(Error::Malformed { .. })), "{wire:?}");
        }
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
