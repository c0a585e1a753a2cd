//! Supervisor and worker: a pair of sockets, frames one way, acknowledgements the other.
//!
//! A frame is
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the payload, little-endian |
//! | 1 | kind, see [`Message`] |
//! | 8 | sequence number, little-endian |
//! | | payload |
//!
//! Sequence numbers grow; 0 marks context that a new worker is told again, and needs no acknowledgement. An
//! acknowledgement is one sequence number, 8 bytes little-endian: *everything up to this one that is a failure has been
//! shipped or safely put away*; 0 only says that the worker reads. The supervisor asks for the next invocation, or exits, when it comes or
//! has been waited for long enough. What a worker leaves behind that dies or stalls is given to the next one, once, and then written bare.
//!
//! Both sides are the same file, so the format has no version. The worker must read as fast as frames come, whatever else
//! it does: one that lets the supervisor's write wait is taken for dead.

mod program;
mod kept;
mod queue;
mod recent;
mod worker;

pub(crate) use kept::Failure;
pub(crate) use program::Program;
pub(crate) use worker::Worker;
#[cfg(test)]
pub(crate) use worker::tests as testing;

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use crate::error::{Error, Result};
use crate::http::RequestHead;
use crate::turn::Ending;

/// The private argument that makes this program the worker.
pub(crate) const WORKER_ARGUMENT: &str = "--worker";

/// Tells the worker the size of the function's memory, in bytes, which bounds the memory that it may ask for. Absent if
/// Lambda did not say it.
pub(crate) const MEMORY_BYTES_VARIABLE: &str = "TRACE_AGENT_WORKER_MEMORY_BYTES";

/// Bytes of the largest payload: a posted error of 6 MiB with a head of about one more.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 8 * 1024 * 1024;

const HEADER_BYTES: usize = 4 + 1 + 8;

/// One message to the worker.
#[derive(Debug)]
pub(crate) struct Frame {
    /// What to acknowledge; 0 for nothing.
    pub(crate) sequence: u64,
    /// Bytes that it took on the link.
    pub(crate) bytes: usize,
    /// What happened.
    pub(crate) message: Message,
}

/// What the supervisor tells the worker.
#[derive(Debug)]
pub(crate) enum Message {
    /// Lambda's answer to the registration, which describes the function. Kind 1.
    Registered(Vec<u8>),
    /// The INVOKE event of the invocation that runs now. Kind 2.
    Invoke {
        /// True if it is the first of this environment.
        is_first: bool,
        /// The event.
        raw: Vec<u8>,
    },
    /// An error that the runtime posted. Kind 3.
    Posted(Posted),
    /// A POST of the Telemetry API, of a failure or of what went before one. Not always JSON: Lambda cuts records above
    /// 256 KiB over two of them. Kind 4.
    Telemetry(Vec<u8>),
    /// A datagram from the capture socket. Kind 5.
    Capture {
        /// The invocation that ran when it came, if that is known.
        request_id: Option<String>,
        /// The datagram.
        datagram: Vec<u8>,
    },
    /// The runtime asked for the next event: what it had to say of the last one is said. Kind 6.
    RuntimeNext,
    /// The SHUTDOWN event, for its deadline. Nothing that is only put away after this outlives the environment. Kind 7.
    Shutdown(Vec<u8>),
    /// The platform has had its time to say how the last invocation ended, and has not: the reason of the SHUTDOWN event may. Kind 11.
    Unfinished {
        /// How the invocation stands.
        ending: Ending,
        /// The event.
        raw: Vec<u8>,
    },
    /// Nothing more will come for what is open; ship it. Kind 8.
    Flush,
    /// Something was thrown away, so many times since the last such message: it belongs into the next record. Kind 9.
    Lost {
        /// What, in words.
        what: String,
        /// How many of it.
        count: u64,
    },
    /// What Lambda tells runtimes and not extensions, as the wrapper handed it over: `NAME=value`, a zero byte after each. Kind 13.
    Attached(Vec<u8>),
    /// A response that was taken for a success, and holds a failure as it seems. Kind 12.
    Response {
        /// The invocation that it answers.
        request_id: String,
        /// What it is.
        inside: Inside,
        /// The beginning of the response; of a stream, the lines of its trailers.
        body: Vec<u8>,
    },
    /// What an invocation was given, as far as the proxy copied it. Kind 10.
    Event {
        /// The invocation.
        request_id: String,
        /// The beginning of the event.
        head: Vec<u8>,
    },
}

/// What a response that holds a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inside {
    /// The result of a batch, some items of which failed.
    Batch,
    /// The end of a durable execution.
    Durable,
    /// A stream that broke off.
    Stream,
}

impl Inside {
    const ALL: [Inside; 3] = [Inside::Batch, Inside::Durable, Inside::Stream];
}

/// An error as the runtime posted it.
#[derive(Debug)]
pub(crate) struct Posted {
    head: RequestHead,
    /// The body, or its beginning.
    pub(crate) body: Vec<u8>,
    /// True if the body was longer than what is copied.
    pub(crate) is_truncated: bool,
}

impl Posted {
    pub(crate) fn new(head: RequestHead, body: Vec<u8>, is_truncated: bool) -> Posted {
        Posted { head, body, is_truncated }
    }

    /// The path that was posted to, such as `/2018-06-01/runtime/invocation/8476a536/error`.
    #[must_use]
    pub(crate) fn path(&self) -> &str {
        &self.head.target
    }

    /// The value of a header, in any letter case. It is what the runtime sent, and may not be UTF-8.
    #[must_use]
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.head.fields.get(name)
    }
}

impl Message {
    /// The message as a frame.
    pub(crate) fn encode(&self, sequence: u64) -> Vec<u8> {
        let flag;
        let head_length;
        let lost_count;
        let (kind, parts): (u8, [&[u8]; 4]) = match self {
            Message::Registered(raw) => (1, [raw, &[], &[], &[]]),
            Message::Invoke { is_first, raw } => {
                flag = [u8::from(*is_first)];
                (2, [&flag, raw, &[], &[]])
            }
            Message::Posted(posted) => {
                let head = posted.head.fields.head();
                flag = [u8::from(posted.is_truncated)];
                head_length = u32_le(head.len());
                (3, [&flag, &head_length, head, &posted.body])
            }
            Message::Telemetry(raw) => (4, [raw, &[], &[], &[]]),
            Message::Capture { request_id, datagram } => {
                let request_id = request_id.as_deref().unwrap_or_default().as_bytes();
                head_length = u32_le(request_id.len());
                (5, [&head_length, request_id, datagram, &[]])
            }
            Message::RuntimeNext => (6, [&[], &[], &[], &[]]),
            Message::Shutdown(raw) => (7, [raw, &[], &[], &[]]),
            Message::Unfinished { ending, raw } => {
                flag = [match ending {
                    Ending::Over => 0,
                    Ending::Unknown => 1,
                    Ending::BrokenOff => 2,
                }];
                (11, [&flag, raw, &[], &[]])
            }
            Message::Flush => (8, [&[], &[], &[], &[]]),
            Message::Lost { what, count } => {
                lost_count = count.to_le_bytes();
                (9, [&lost_count, what.as_bytes(), &[], &[]])
            }
            Message::Attached(raw) => (13, [raw, &[], &[], &[]]),
            Message::Response { request_id, inside, body } => {
                flag = [*inside as u8];
                head_length = u32_le(request_id.len());
                (12, [&flag, &head_length, request_id.as_bytes(), body])
            }
            Message::Event { request_id, head } => {
                head_length = u32_le(request_id.len());
                (10, [&head_length, request_id.as_bytes(), head, &[]])
            }
        };
        let payload = parts.concat();
        [&u32_le(payload.len())[..], &[kind], &sequence.to_le_bytes(), &payload].concat()
    }

    fn decode(kind: u8, payload: Vec<u8>) -> Result<Message> {
        let malformed = || Error::Malformed { what: "frame from the supervisor" };
        Ok(match kind {
            1 => Message::Registered(payload),
            2 => {
                let (is_first, raw) = payload.split_first().ok_or_else(malformed)?;
                Message::Invoke { is_first: *is_first != 0, raw: raw.to_vec() }
            }
            3 => {
                let (truncated, rest) = payload.split_first().ok_or_else(malformed)?;
                let (length, rest) = rest.split_first_chunk().ok_or_else(malformed)?;
                let length = u32::from_le_bytes(*length) as usize;
                let (head, body) = rest.split_at_checked(length).ok_or_else(malformed)?;
                Message::Posted(Posted::new(
                    RequestHead::parse(head.to_vec())?,
                    body.to_vec(),
                    *truncated != 0,
                ))
            }
            4 => Message::Telemetry(payload),
            5 => {
                let (request_id, datagram) = named(&payload).ok_or_else(malformed)?;
                Message::Capture { request_id: Some(request_id).filter(|id| !id.is_empty()), datagram }
            }
            6 => Message::RuntimeNext,
            7 => Message::Shutdown(payload),
            8 => Message::Flush,
            9 => {
                let (count, what) = payload.split_first_chunk().ok_or_else(malformed)?;
                let what = String::from_utf8_lossy(what).into_owned();
                Message::Lost { what, count: u64::from_le_bytes(*count) }
            }
            10 => {
                let (request_id, head) = named(&payload).ok_or_else(malformed)?;
                Message::Event { request_id, head }
            }
            11 => {
                let (ending, raw) = payload.split_first().ok_or_else(malformed)?;
                let ending = match ending {
                    0 => Ending::Over,
                    1 => Ending::Unknown,
                    2 => Ending::BrokenOff,
                    _ => return Err(malformed()),
                };
                Message::Unfinished { ending, raw: raw.to_vec() }
            }
            12 => {
                let (inside, rest) = payload.split_first().ok_or_else(malformed)?;
                let inside = Inside::ALL.get(usize::from(*inside)).ok_or_else(malformed)?;
                let (request_id, body) = named(rest).ok_or_else(malformed)?;
                Message::Response { request_id, inside: *inside, body }
            }
            13 => Message::Attached(payload),
            _ => return Err(malformed()),
        })
    }
}

/// A request id, after its length, and what follows it.
fn named(payload: &[u8]) -> Option<(String, Vec<u8>)> {
    let (length, rest) = payload.split_first_chunk()?;
    let (request_id, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((String::from_utf8_lossy(request_id).into_owned(), rest.to_vec()))
}

/// The length of something that is bounded far below 4 GiB.
fn u32_le(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

/// The worker's end: what comes.
#[derive(Debug)]
pub(crate) struct Frames(UnixStream);

/// The worker's end: what goes back. May be used from another thread than [`Frames`].
#[derive(Debug)]
pub(crate) struct Acks(UnixStream);

/// Takes the worker's end, which the supervisor made this process's standard input.
///
/// # Errors
///
/// If standard input is closed.
pub(crate) fn worker_end() -> Result<(Frames, Acks)> {
    let own =
        || io::stdin().as_fd().try_clone_to_owned().map_err(Error::io("opening the link to the supervisor"));
    Ok((Frames(own()?.into()), Acks(own()?.into())))
}

/// Both ends of a link: the worker's, and what the supervisor writes to and reads acknowledgements from.
#[cfg(test)]
pub(crate) fn pair() -> (Frames, Acks, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets needs nothing but descriptors");
    (Frames(theirs.try_clone().expect("likewise")), Acks(theirs), ours)
}

impl Frames {
    /// Waits for the next frame. `None` when the supervisor is gone: then everything is over.
    ///
    /// # Errors
    ///
    /// If reading fails, or what comes is no frame. There is no way to go on after either.
    pub(crate) fn read(&mut self) -> Result<Option<Frame>> {
        let mut header = [0; HEADER_BYTES];
        match self.0.read_exact(&mut header) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other.map_err(Error::io("reading a frame"))?,
        }
        let [l0, l1, l2, l3, kind, sequence @ ..] = header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length > PAYLOAD_BYTES_MAX {
            return Err(Error::TooLong { what: "a frame", bytes_max: PAYLOAD_BYTES_MAX });
        }
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).map_err(Error::io("reading a frame"))?;
        Ok(Some(Frame {
            sequence: u64::from_le_bytes(sequence),
            bytes: HEADER_BYTES + length,
            message: Message::decode(kind, payload)?,
        }))
    }
}

impl Acks {
    /// The same end, for another thread: acknowledgements are whole whoever writes them.
    ///
    /// # Errors
    ///
    /// If there is no descriptor to be had.
    pub(crate) fn again(&self) -> io::Result<Acks> {
        self.0.try_clone().map(Acks)
    }

    /// Says that every failure up to `sequence` is shipped or safely put away.
    ///
    /// # Errors
    ///
    /// If the supervisor is gone.
    pub(crate) fn ack(&self, sequence: u64) -> Result<()> {
        (&self.0).write_all(&sequence.to_le_bytes()).map_err(Error::io("acknowledging"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(bytes: &[u8]) -> Result<Option<Frame>> {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(bytes).unwrap();
        drop(ours);
        Frames(theirs).read()
    }

    #[test]
    fn a_frame_has_the_documented_layout() {
        assert_eq!(
            Message::Capture { request_id: Some("r".to_owned()), datagram: b"xyz".to_vec() }.encode(0x0102),
            b"\x08\0\0\0\x05\x02\x01\0\0\0\0\0\0\x01\0\0\0rxyz"
        );
        let lost = Message::Lost { what: "lines".to_owned(), count: 3 }.encode(1);
        assert_eq!(lost, b"\x0d\0\0\0\x09\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0lines");
        let frame = through(b"\x01\0\0\0\x04\x09\0\0\0\0\0\0\0[").unwrap().unwrap();
        assert!(matches!((frame.sequence, frame.message), (9, Message::Telemetry(raw)) if raw == b"["));
        let shutdown = Message::Unfinished { ending: Ending::Unknown, raw: b"{}".to_vec() }.encode(2);
        assert_eq!(shutdown, b"\x03\0\0\0\x0b\x02\0\0\0\0\0\0\0\x01{}");
        let frame = through(&shutdown).unwrap().unwrap();
        assert!(
            matches!(frame.message, Message::Unfinished { ending: Ending::Unknown, raw } if raw == b"{}")
        );
    }

    #[test]
    fn a_response_arrives_with_what_it_is() {
        let (request_id, body) = ("r".to_owned(), b"{}".to_vec());
        let frame = Message::Response { request_id, inside: Inside::Durable, body }.encode(1);
        assert_eq!(frame, b"\x08\0\0\0\x0c\x01\0\0\0\0\0\0\0\x01\x01\0\0\0r{}");
        let frame = through(&frame).unwrap().unwrap();
        assert!(
            matches!(frame.message, Message::Response { request_id, inside: Inside::Durable, body } if request_id == "r" && body == b"{}")
        );
        assert!(through(b"\x06\0\0\0\x0c\x01\0\0\0\0\0\0\0\x09\x01\0\0\0r").is_err());
    }

    #[test]
    fn a_posted_error_arrives_with_its_path_and_headers() {
        let head = b"POST /2018-06-01/runtime/invocation/1/error HTTP/1.1\r\nX-Cause: \xff\r\n\r\n";
        let posted = Posted::new(RequestHead::parse(head.to_vec()).unwrap(), b"{}".to_vec(), true);
        let frame = through(&Message::Posted(posted).encode(7)).unwrap().unwrap();
        let Message::Posted(posted) = frame.message else { panic!("{frame:?}") };
        assert_eq!(posted.path(), "/2018-06-01/runtime/invocation/1/error");
        assert_eq!(
            (posted.header("x-cause"), &posted.body[..], posted.is_truncated),
            (Some(&b"\xff"[..]), &b"{}"[..], true)
        );
    }

    #[test]
    fn bytes_that_are_no_frame_are_refused() {
        assert!(matches!(through(b"\xff\xff\xff\xff\x04\0\0\0\0\0\0\0\0"), Err(Error::TooLong { .. })));
        assert!(matches!(through(b"\0\0\0\0\x63\0\0\0\0\0\0\0\0"), Err(Error::Malformed { .. })));
        assert!(matches!(
            through(b"\x05\0\0\0\x03\0\0\0\0\0\0\0\0\0\xff\0\0\0"),
            Err(Error::Malformed { .. })
        ));
        assert!(matches!(through(b"\x05\0\0\0\x04\0\0\0\0\0\0\0\0ab"), Err(Error::Io { .. })));
        assert!(through(b"").unwrap().is_none());
    }
}
