//! How the wrapper finds the extension's proxy: what both must agree on.
//!
//! The extension writes where its proxy listens into a file beside its socket, with a number that nobody else knows, the *nonce*. Whoever starts
//! the runtime reads the file, asks at that address, and believes it only if the answer is the nonce: `/tmp` outlives a reset of the sandbox,
//! and the port in an old file may be somebody else's by now.
//!
//! The question is a POST, so that proxy and question are one thing: what answers is what the runtime will talk to. Its body brings
//! the variables that Lambda gives to runtimes and not to extensions, as `NAME=value` with a zero byte after each.
#![no_std]

use core::net::SocketAddr;

/// The path of the question.
pub const ATTACH_PATH: &str = "/trace-agent/attach";

/// The variables that are handed over. Lambda gives them to runtimes only
/// (AWS Lambda Developer Guide, "Using the Lambda Extensions API", "Environment variables").
pub const HANDED_OVER: [&str; 5] = [
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_EXECUTION_ENV",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
];

/// The file's name, in the folder of the extension's socket.
pub const FILE_NAME: &str = "proxy";

/// That folder, unless `TRACE_AGENT_SOCKET` names a socket elsewhere.
pub const FOLDER_DEFAULT: &str = "/tmp/.trace-agent";

/// Bytes of the longest file: an address and a nonce.
pub const FILE_BYTES_MAX: usize = 256;

/// Bytes of the longest answer: its head, and a nonce.
pub const ANSWER_BYTES_MAX: usize = 1024;

/// Where a proxy is, and what it answers if it is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meeting<'a> {
    /// Where it listens.
    pub address: SocketAddr,
    /// The same, as the runtime's variable says it.
    pub authority: &'a str,
    /// Letters and digits that nobody else knows.
    pub nonce: &'a str,
}

impl<'a> Meeting<'a> {
    /// Reads the file: an address, a blank, the nonce, a line end. `None` if it is anything else, or half of it.
    #[must_use]
    pub fn read(file: &'a [u8]) -> Option<Self> {
        let line = core::str::from_utf8(file).ok()?.strip_suffix('\n')?;
        let (authority, nonce) = line.split_once(' ')?;
        let is_nonce = !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric());
        Some(Self { address: authority.parse().ok().filter(|_| is_nonce)?, authority, nonce })
    }

    /// What an answer says of which these bytes have come.
    #[must_use]
    pub fn judge(&self, answer: &[u8]) -> Verdict {
        let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
            let is_long = answer.len() >= ANSWER_BYTES_MAX;
            return if is_long { Verdict::Other } else { Verdict::Unfinished };
        };
        let (head, body) = answer.split_at(end + 4);
        let nonce = self.nonce.as_bytes();
        if !head.starts_with(b"HTTP/1.1 200 ") || !nonce.starts_with(&body[..body.len().min(nonce.len())]) {
            Verdict::Other
        } else if body.len() < nonce.len() {
            Verdict::Unfinished
        } else {
            if body == nonce { Verdict::Right } else { Verdict::Other }
        }
    }
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The proxy of this environment.
    Right,
    /// Somebody else.
    Other,
    /// More must come.
    Unfinished,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_what_is_no_such_file_is_not() {
        let meeting = Meeting::read(b"127.0.0.1:9009 a1\n").expect("it is one");
        assert_eq!(meeting.address, SocketAddr::from(([127, 0, 0, 1], 9009)));
        assert_eq!((meeting.authority, meeting.nonce), ("127.0.0.1:9009", "a1"));
        for file in [
            "",
            "127.0.0.1:9 a1",
            "127.0.0.1:9 \n",
            "localhost:9 a1\n",
            "127.0.0.1:9 a b\n",
            "\0\0\n",
            "127.0.0.1:9\n",
        ] {
            assert_eq!(Meeting::read(file.as_bytes()), None, "{file:?}");
        }
        assert_eq!(Meeting::read(b"127.0.0.1:9 \xff\n"), None);
    }

    #[test]
    fn only_the_nonce_is_the_right_answer() {
        let meeting = Meeting::read(b"127.0.0.1:9009 a1\n").expect("it is one");
        let right = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na1";
        for length in 0..right.len() {
            assert_eq!(meeting.judge(&right[..length]), Verdict::Unfinished);
        }
        assert_eq!(meeting.judge(right), Verdict::Right);
        for other in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nb1"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na12",
            b"HTTP/1.1 404 Not Found\r\n\r\na1",
            b"SSH-2.0-OpenSSH\r\n\r\n",
            &[b'x'; ANSWER_BYTES_MAX],
        ] {
            assert_eq!(meeting.judge(other), Verdict::Other);
        }
    }
}
