//! The head of a request or response: its start line, its fields as they were sent, and how long the body is.

use crate::error::{Error, Result};

/// Lines of a head that are parsed without asking for memory. Runtimes send about ten fields, Lambda about twelve.
const LINES_USUAL: usize = 64;

/// Bytes of a head's beginning by which it is judged before it is whole: its first line, and more.
const BEGIN_BYTES: usize = 1024;

/// Fields of one head: as many as common servers take at the most. What has more is no head to us.
const FIELDS_MAX: usize = 8 * 1024;

/// The head of a request.
#[derive(Clone, Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: String,
    /// The path with its query, as it was sent.
    pub(crate) target: String,
    pub(crate) fields: Fields,
    minor: u8,
}

impl RequestHead {
    pub(crate) fn parse(raw: Vec<u8>) -> Result<RequestHead> {
        let start = with_slots(&raw, |raw, slots| {
            let mut request = httparse::Request::new(slots);
            request.parse(raw).ok()?;
            Some((request.method?.to_owned(), request.path?.to_owned(), request.version?))
        });
        let start = start.filter(|_| has_plain_line_ends(&raw));
        let (method, target, minor) = start.ok_or(Error::Malformed { what: "request head" })?;
        Ok(RequestHead { method, target, minor, fields: Fields::new(raw) })
    }

    /// True if what begins with `unread` may still become a head.
    pub(crate) fn may_begin_with(unread: &[u8]) -> bool {
        let begin = &unread[..unread.len().min(BEGIN_BYTES)];
        let mut slots = [httparse::EMPTY_HEADER; LINES_USUAL];
        !is_broken(httparse::Request::new(&mut slots).parse(begin).err())
    }

    /// How the body that follows is delimited.
    pub(crate) fn framing(&self) -> Result<Framing> {
        // RFC 9112 6.3: a request without a length has no body.
        Ok(self.fields.framing()?.unwrap_or(Framing::Length(0)))
    }

    /// True if the client goes on with the same connection afterwards.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.minor >= 1 && !self.fields.has_token("connection", "close")
    }
}

/// The head of a response.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    minor: u8,
}

impl ResponseHead {
    pub(crate) fn parse(raw: Vec<u8>) -> Result<ResponseHead> {
        let start = with_slots(&raw, |raw, slots| {
            let mut response = httparse::Response::new(slots);
            response.parse(raw).ok()?;
            Some((response.code?, response.version?))
        });
        let start = start
            .filter(|(status, _)| *status >= 100 && has_plain_line_ends(&raw) && !raw.starts_with(b"\r"));
        let (status, minor) = start.ok_or(Error::Malformed { what: "response head" })?;
        Ok(ResponseHead { status, minor, fields: Fields::new(raw) })
    }

    /// True if what begins with `unread` may still become a head.
    pub(crate) fn may_begin_with(unread: &[u8]) -> bool {
        let begin = &unread[..unread.len().min(BEGIN_BYTES)];
        let mut slots = [httparse::EMPTY_HEADER; LINES_USUAL];
        !is_broken(httparse::Response::new(&mut slots).parse(begin).err())
    }

    /// How the body that follows is delimited, if the request was made with `method`.
    pub(crate) fn framing(&self, method: &str) -> Result<Framing> {
        if method == "HEAD" || matches!(self.status, 100..200 | 204 | 304) {
            return Ok(Framing::Length(0));
        }
        Ok(self.fields.framing()?.unwrap_or(Framing::UntilClose))
    }

    /// True if the server goes on with the same connection afterwards.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.minor >= 1 && !self.fields.has_token("connection", "close")
    }
}

/// True if every line ends as RFC 9112 says. Of another, two servers may see two heads.
fn has_plain_line_ends(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).all(|newline| newline > 0 && head[newline - 1] == b'\r')
}

/// True if a head cannot go on so. That it has many fields is no fault of its beginning.
fn is_broken(error: Option<httparse::Error>) -> bool {
    error.is_some_and(|error| error != httparse::Error::TooManyHeaders)
}

/// Parses `head` with as many slots for fields as it can need.
fn with_slots<'h, T>(
    head: &'h [u8],
    parse: impl FnOnce(&'h [u8], &mut [httparse::Header<'h>]) -> Option<T>,
) -> Option<T> {
    let lines = memchr::memchr_iter(b'\n', head).count();
    if lines <= LINES_USUAL {
        return parse(head, &mut [httparse::EMPTY_HEADER; LINES_USUAL]);
    }
    parse(head, &mut vec![httparse::EMPTY_HEADER; lines.min(FIELDS_MAX)])
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the chunk of length zero and its trailers.
    Chunked,
    /// When the sender closes.
    UntilClose,
}

/// The fields of a head that was parsed, as the bytes that were sent.
#[derive(Clone, Debug)]
pub(crate) struct Fields(Vec<u8>);

/// One field.
pub(crate) struct Field<'a> {
    /// The whole line with its line end.
    pub(crate) line: &'a [u8],
    pub(crate) name: &'a [u8],
    /// Without the blanks around it.
    pub(crate) value: &'a [u8],
}

impl Fields {
    /// Of a head that httparse accepted: no line is folded, every line has a colon.
    fn new(raw: Vec<u8>) -> Fields {
        Fields(raw)
    }

    /// The whole head.
    pub(crate) fn head(&self) -> &[u8] {
        &self.0
    }

    /// The empty lines before the start line, which RFC 9112 2.2 lets a receiver skip.
    pub(crate) fn empty_lines(&self) -> &[u8] {
        let first = self.0.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(0);
        &self.0[..first]
    }

    /// The start line with its line end.
    pub(crate) fn start_line(&self) -> &[u8] {
        self.lines().next().unwrap_or_default()
    }

    /// Every field in the order in which it was sent.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.lines().skip(1).filter_map(|line| {
            let colon = memchr::memchr(b':', line)?;
            let (name, value) = line.split_at(colon);
            Some(Field { line, name: name.trim_ascii(), value: value[1..].trim_ascii() })
        })
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split_inclusive(|byte| *byte == b'\n').skip_while(|line| line.trim_ascii().is_empty())
    }

    /// The value of the first field called `name`, in any letter case.
    pub(crate) fn get<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes())).map(|field| field.value)
    }

    /// What the fields called `name` list.
    pub(crate) fn tokens(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.all(name).flat_map(tokens)
    }

    /// True if a field called `name` lists `token`.
    pub(crate) fn has_token(&self, name: &str, token: &str) -> bool {
        self.tokens(name).any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// How the head says that the body is delimited, if it says so in one way only: what RFC 9112 6.3 lets a receiver refuse is refused.
    fn framing(&self) -> Result<Option<Framing>> {
        let mut lengths = self.all("content-length");
        let first = lengths.next();
        if let Some(last) = self.all("transfer-encoding").last() {
            let is_chunked =
                tokens(last).last().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
            return if is_chunked && first.is_none() {
                Ok(Some(Framing::Chunked))
            } else {
                Err(Error::Malformed {
                    what: "Transfer-Encoding: its last coding must be chunked, and no length beside it",
                })
            };
        }
        let Some(first) = first else { return Ok(None) };
        let is_number = (1..=19).contains(&first.len())
            && first.iter().all(u8::is_ascii_digit)
            && lengths.next().is_none();
        let length =
            std::str::from_utf8(first).ok().filter(|_| is_number).and_then(|digits| digits.parse().ok());
        length.map(|length| Some(Framing::Length(length))).ok_or(Error::Malformed { what: "Content-Length" })
    }
}

/// The members of a list such as `a, b`.
pub(crate) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(fields: &str) -> Result<Framing> {
        RequestHead::parse(format!("POST / HTTP/1.1\r\n{fields}\r\n").into_bytes())?.framing()
    }

    #[test]
    fn a_body_ends_where_rfc_9112_says() {
        assert_eq!(framing("").unwrap(), Framing::Length(0));
        assert_eq!(framing("content-length: 282\r\n").unwrap(), Framing::Length(282));
        assert_eq!(framing("Transfer-Encoding: chunked\r\n").unwrap(), Framing::Chunked);
    }

    #[test]
    fn a_length_that_can_be_read_in_two_ways_is_refused() {
        for fields in [
            "Content-Length: 3\r\nContent-Length: 4\r\n",
            "Content-Length: 3\r\nContent-Length: 3\r\n",
            "Content-Length: 3, 3\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
            "A: b\nContent-Length: 3\r\n",
            "Content-Length: +3\r\n",
            "Content-Length: \r\n",
            "Transfer-Encoding: chunked, gzip\r\n",
            "Content-Length: 99999999999999999999\r\n",
        ] {
            assert!(framing(fields).is_err(), "{fields:?}");
        }
    }

    #[test]
    fn a_response_without_length_lasts_until_the_server_closes() {
        let parse =
            |status: &str| ResponseHead::parse(format!("HTTP/1.1 {status}\r\n\r\n").into_bytes()).unwrap();
        assert_eq!(parse("200 OK").framing("GET").unwrap(), Framing::UntilClose);
        assert_eq!(parse("204 No Content").framing("GET").unwrap(), Framing::Length(0));
        assert_eq!(parse("200 OK").framing("HEAD").unwrap(), Framing::Length(0));
    }

    #[test]
    fn many_fields_are_read_and_too_many_are_not() {
        let head = |fields| format!("POST / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(fields)).into_bytes();
        assert_eq!(RequestHead::parse(head(5_000)).unwrap().fields.iter().count(), 5_000);
        assert!(RequestHead::parse(head(FIELDS_MAX + 1)).is_err());
    }

    #[test]
    fn field_values_are_bytes() {
        // awslambdaric 4.2.2 under python3.12 sends the X-Ray cause as raw UTF-8.
        let head = "POST /e HTTP/1.1\r\nX-Cause: {\"message\": \"k\u{e4}se\"}\r\n\r\n".as_bytes().to_vec();
        let head = RequestHead::parse(head).unwrap();
        assert_eq!(head.fields.get("x-cause").unwrap(), "{\"message\": \"k\u{e4}se\"}".as_bytes());
    }
}
