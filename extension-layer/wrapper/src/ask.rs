//! The question to the proxy, and how long it may take.

use core::ffi::CStr;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::time::{ClockId, clock_gettime};
use trace_attach::{
    ANSWER_BYTES_MAX, ATTACH_PATH, FILE_BYTES_MAX, FILE_NAME, FOLDER_DEFAULT, HANDED_OVER, Meeting, Verdict,
};

use crate::text::{PATH_BYTES_MAX, Text};
use crate::words::Words;

/// How long the extension is looked for, in microseconds. It is part of a cold start, and the extension opens its proxy in a millisecond; on a
/// fourteenth of a CPU that may be ten.
const ATTACH_US: i64 = 20_000;

/// How long one address is asked, in microseconds: it may be an old one, and the new one may be written meanwhile.
const TRY_US: i64 = 10_000;

/// How long to wait before it is looked for again, in microseconds.
const PAUSE_US: i64 = 500;

/// Bytes of the variable that sends a runtime to the proxy: its name, and an address.
const VARIABLE_BYTES_MAX: usize = 2 * FILE_BYTES_MAX;

/// Bytes of the longest question. The names and paths that are handed over have some hundred bytes each.
const QUESTION_BYTES_MAX: usize = 8 * 1024;

/// Bytes of the longest body: a question has a head too.
const BODY_BYTES_MAX: usize = QUESTION_BYTES_MAX - 1024;

/// Looks for the extension's proxy, hands over what Lambda told this process, and gives the variable that sends a runtime there. `None` if there
/// is no proxy in time.
pub(crate) fn attach(environment: Words<'_>) -> Option<Text<VARIABLE_BYTES_MAX>> {
    let path = meeting_path(environment);
    let path = path.c_str()?;
    let until = now_us() + ATTACH_US;
    loop {
        let mut file = [0; FILE_BYTES_MAX];
        let length = read_file(path, &mut file).unwrap_or(0);
        if let Some(meeting) = Meeting::read(&file[..length])
            && ask(&meeting, environment, until.min(now_us() + TRY_US)) == Ok(true)
        {
            let mut variable = Text::new();
            variable.push(b"AWS_LAMBDA_RUNTIME_API=");
            variable.push(meeting.authority.as_bytes());
            return Some(variable);
        }
        if now_us() + PAUSE_US >= until {
            return None;
        }
        let _ = poll(&mut [], Some(&span(PAUSE_US)));
    }
}

/// Where the extension writes where its proxy is.
fn meeting_path(environment: Words<'_>) -> Text<PATH_BYTES_MAX> {
    let socket = environment.value(c"TRACE_AGENT_SOCKET").map(CStr::to_bytes);
    let folder = match socket {
        Some(socket) => &socket[..socket.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1)],
        None => FOLDER_DEFAULT.as_bytes(),
    };
    let mut path = Text::new();
    path.push(folder);
    path.push(if socket.is_some() { b"" } else { b"/" });
    path.push(FILE_NAME.as_bytes());
    path
}

/// Reads the file. A link in a folder that anybody may write to, or a pipe, would be somebody else's.
fn read_file(path: &CStr, into: &mut [u8]) -> Result<usize, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty())?;
    read(file, into)
}

/// Asks once. True if the answer is the nonce.
fn ask(meeting: &Meeting<'_>, environment: Words<'_>, until: i64) -> Result<bool, Errno> {
    let question = question(meeting, environment);
    let family = if meeting.address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    match net::connect(&socket, &meeting.address) {
        // On this machine it is made by now, and if not, sending says so.
        Err(Errno::INPROGRESS) => {}
        other => other?,
    }
    let mut rest = question.bytes();
    while !rest.is_empty() {
        match net::send(&socket, rest, SendFlags::NOSIGNAL) {
            Ok(sent) => rest = &rest[sent..],
            Err(Errno::AGAIN) => wait(&socket, PollFlags::OUT, until)?,
            Err(error) => return Err(error),
        }
    }
    let mut answer = [0; ANSWER_BYTES_MAX];
    let mut length = 0;
    loop {
        match meeting.judge(&answer[..length]) {
            Verdict::Right => return Ok(true),
            Verdict::Other => return Ok(false),
            Verdict::Unfinished => wait(&socket, PollFlags::IN, until)?,
        }
        match net::recv(&socket, &mut answer[length..], RecvFlags::empty())?.0 {
            0 => return Ok(false),
            received => length += received,
        }
    }
}

/// The question as it is sent.
fn question(meeting: &Meeting<'_>, environment: Words<'_>) -> Text<QUESTION_BYTES_MAX> {
    let handed_over = || {
        environment.iter().map(CStr::to_bytes_with_nul).filter(|word| {
            let name = word.split(|byte| *byte == b'=').next();
            HANDED_OVER.iter().any(|handed_over| name == Some(handed_over.as_bytes()))
        })
    };
    let length = handed_over().map(<[u8]>::len).sum();
    // What is too long is half as good: without it the runtime is sent there all the same.
    let length = if length < BODY_BYTES_MAX { length } else { 0 };
    let mut question = Text::new();
    for part in ["POST ", ATTACH_PATH, " HTTP/1.1\r\nHost: ", meeting.authority, "\r\nContent-Length: "] {
        question.push(part.as_bytes());
    }
    question.push_number(length);
    question.push(b"\r\n\r\n");
    if length > 0 {
        handed_over().for_each(|word| question.push(word));
    }
    question
}

/// Waits until something can be done.
fn wait(socket: &OwnedFd, flags: PollFlags, until: i64) -> Result<(), Errno> {
    let left = until - now_us();
    if left <= 0 {
        return Err(Errno::TIMEDOUT);
    }
    match poll(&mut [PollFd::new(socket, flags)], Some(&span(left))) {
        Ok(0) => Err(Errno::TIMEDOUT),
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}

fn now_us() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

fn span(us: i64) -> Timespec {
    Timespec { tv_sec: us / 1_000_000, tv_nsec: us % 1_000_000 * 1_000 }
}
