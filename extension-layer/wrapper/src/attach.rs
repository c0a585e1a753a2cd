//! The question, and how long it may take.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::{ATTACH_PATH, HANDED_OVER, Meeting};

/// How long the extension is looked for. It is part of a cold start, and the extension opens its proxy in a millisecond; on a fourteenth of a
/// CPU that may be ten.
pub const ATTACH_WAIT: Duration = Duration::from_millis(20);

/// How long one address is asked: it may be an old one, and the new one may be written meanwhile.
const TRY_WAIT: Duration = Duration::from_millis(10);

/// How long to wait before it is looked for again.
const PAUSE: Duration = Duration::from_micros(500);

/// Bytes of the longest answer: its head, and a nonce.
const ANSWER_BYTES_MAX: usize = 1024;

/// Looks for the extension's proxy as the file `path` says, hands over what `variable` knows, and gives the proxy's address. `None` if
/// there is none within [`ATTACH_WAIT`].
#[must_use]
pub fn attach(path: &Path, variable: impl Fn(&str) -> Option<OsString>) -> Option<SocketAddr> {
    let until = Instant::now() + ATTACH_WAIT;
    let body = handed_over(variable);
    loop {
        if let Some(meeting) = Meeting::read(path)
            && ask(&meeting, &body, until.min(Instant::now() + TRY_WAIT)).is_ok_and(|is_right| is_right)
        {
            return Some(meeting.address);
        }
        if Instant::now() + PAUSE >= until {
            return None;
        }
        thread::sleep(PAUSE);
    }
}

/// The body of the question.
fn handed_over(variable: impl Fn(&str) -> Option<OsString>) -> Vec<u8> {
    let mut body = Vec::new();
    for name in HANDED_OVER {
        if let Some(value) = variable(name) {
            body.extend_from_slice(name.as_bytes());
            body.push(b'=');
            body.extend_from_slice(value.as_bytes());
            body.push(0);
        }
    }
    body
}

/// Asks once. True if the answer is the nonce.
fn ask(meeting: &Meeting, body: &[u8], until: Instant) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&meeting.address, left(until)?)?;
    let head = format!(
        "POST {ATTACH_PATH} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
        meeting.address,
        body.len()
    );
    stream.set_write_timeout(Some(left(until)?))?;
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let expected = format!("\r\n\r\n{}", meeting.nonce);
    let mut answer = [0; ANSWER_BYTES_MAX];
    let mut length = 0;
    while length < answer.len() {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut answer[length..])? {
            0 => break,
            read => length += read,
        }
        let answer = &answer[..length];
        if answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(expected.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The time until then.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    // A time of zero would be none.
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Plays who listens at the address of a meeting, once for each of `answers`; what was asked, and what came of it.
    fn play(answers: &'static [&str]) -> (Option<SocketAddr>, Vec<String>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("proxy");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it has an address");
        Meeting { address, nonce: "n0nce".to_owned() }.write(&path).expect("it can be written");
        let listens = thread::spawn(move || {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("a connection");
                let mut question = [0; 4096];
                let length = stream.read(&mut question).expect("a question");
                asked.push(String::from_utf8_lossy(&question[..length]).into_owned());
                let _ = stream.write_all(answer.as_bytes());
            }
            asked
        });
        let variable = |name: &str| match name {
            "_HANDLER" => Some(OsString::from("app.handler")),
            "LAMBDA_TASK_ROOT" => Some(OsString::from("/var/task")),
            _ => None,
        };
        let attached = attach(&path, variable);
        assert!(attached.is_none_or(|found| found == address));
        (attached, listens.join().expect("it does not panic"))
    }

    #[test]
    fn the_right_answer_attaches_and_variables_are_handed_over() {
        let (attached, asked) = play(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nn0nce"]);
        assert!(attached.is_some());
        let body = "LAMBDA_TASK_ROOT=/var/task\0_HANDLER=app.handler\0";
        assert!(asked[0].starts_with("POST /trace-agent/attach HTTP/1.1\r\n"), "{asked:?}");
        assert!(asked[0].ends_with(&format!("Content-Length: {}\r\n\r\n{body}", body.len())), "{asked:?}");
    }

    #[test]
    fn an_answer_of_somebody_else_does_not_and_the_next_one_may() {
        const RIGHT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nn0nce";
        let (attached, asked) = play(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother", RIGHT]);
        assert_eq!((attached.is_some(), asked.len()), (true, 2));
        let (attached, _) = play(&["HTTP/1.1 404 Not Found\r\n\r\nn0nce", "", "SSH-2.0-OpenSSH\r\n", RIGHT]);
        assert!(attached.is_some());
    }

    #[test]
    fn nobody_and_somebody_who_is_silent_are_given_up_in_time() {
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = silent.local_addr().expect("it has an address");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("proxy");
        assert_eq!(attach(&path, |_| None), None);
        Meeting { address, nonce: "n0nce".to_owned() }.write(&path).expect("it can be written");
        assert_eq!(attach(&path, |_| None), None);
        drop(silent);
        assert_eq!(attach(&path, |_| None), None);
    }
}
