//! What a fuzzer asks of the parser, and the tests too: however a message comes, in whatever pieces, it is the same message, and what is passed on
//! is what came.

use std::io::{self, Read};

use crate::error::Result;
use crate::http::{Body, Fields, Part, Reader, RequestHead, ResponseHead};

/// Gives some bytes at a time, as a peer does.
struct Pieces<'a> {
    bytes: &'a [u8],
    length: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.length.min(self.bytes.len()).min(into.len());
        let (piece, rest) = self.bytes.split_at(length);
        into[..length].copy_from_slice(piece);
        self.bytes = rest;
        Ok(length)
    }
}

/// What was read of some bytes: heads, bodies, and what could not be read on, one behind the other; and whether it ended well.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    passed: Vec<u8>,
    heads: usize,
    content: Vec<u8>,
    is_well: bool,
}

/// Reads messages until there are no more, or the first that is none.
fn read(bytes: &[u8], length: usize, is_request: bool) -> Seen {
    let mut reader = Reader::new(Pieces { bytes, length });
    let mut read = Seen { passed: Vec::new(), heads: 0, content: Vec::new(), is_well: false };
    read.is_well = loop {
        match message(&mut reader, is_request, &mut read) {
            Ok(true) => {}
            Ok(false) => break true,
            Err(_) => break false,
        }
    };
    read
}

fn message(reader: &mut Reader<Pieces<'_>>, is_request: bool, read: &mut Seen) -> Result<bool> {
    let Some(head) = reader.head()? else { return Ok(false) };
    let (framing, fields) = if is_request {
        let head = RequestHead::parse(head)?;
        (head.framing()?, head.fields)
    } else {
        let head = ResponseHead::parse(head)?;
        (head.framing("GET")?, head.fields)
    };
    read.passed.extend_from_slice(&lines(&fields));
    read.heads += 1;
    let mut body = Body::new(framing);
    while !body.is_over() {
        let Some(part) = body.next(reader.unread())? else {
            if reader.fill()? == 0 {
                body.closed()?;
            }
            continue;
        };
        read.passed.extend_from_slice(part.bytes());
        if let Part::Content(content) = part {
            read.content.extend_from_slice(content);
        }
        reader.take(part.bytes().len());
    }
    Ok(true)
}

/// A head, put together again from what its parts are.
fn lines(fields: &Fields) -> Vec<u8> {
    let mut head = [fields.empty_lines(), fields.start_line()].concat();
    fields.iter().for_each(|field| head.extend_from_slice(field.line));
    head.extend_from_slice(b"\r\n");
    head
}

/// Panics unless `bytes` are read alike in pieces of `length` and in larger ones, and passed on as they came.
pub(crate) fn messages(bytes: &[u8], length: usize) {
    let length = length.max(1);
    for is_request in [true, false] {
        let whole = read(bytes, usize::MAX, is_request);
        assert!(bytes.starts_with(&whole.passed), "what passed is not what came");
        assert!(!whole.is_well || whole.passed.len() == bytes.len(), "something was left out");
        let pieces = read(bytes, length, is_request);
        assert_eq!((pieces.heads, pieces.is_well), (whole.heads, whole.is_well));
        // A body that breaks off may be told of earlier or later; what is told of it is the same.
        let common = pieces.content.len().min(whole.content.len());
        assert_eq!(pieces.content[..common], whole.content[..common]);
        if whole.is_well {
            assert_eq!(pieces, whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages, good and bad, of which a random one is bent.
    const SEEDS: [&str; 8] = [
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\n\r\n",
        "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nuntil it closes",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "POST /a HTTP/1.0\r\nContent-Length: 00\r\n\r\n",
        "nonsense\r\n\r\n",
    ];

    #[test]
    fn messages_are_read_alike_in_whatever_pieces_they_come() {
        // A generator of numbers that needs no seed from outside: every run is the same.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        };
        for _ in 0..20_000 {
            let mut bytes = SEEDS[random(SEEDS.len())].as_bytes().to_vec();
            for _ in 0..random(4) {
                let at = random(bytes.len());
                match random(3) {
                    0 => bytes[at] = b"\r\n:;, 0fx\0\xff"[random(11)],
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, b"\r\n:;, 0fx\0\xff"[random(11)]),
                }
            }
            messages(&bytes, 1 + random(7));
        }
    }
}
