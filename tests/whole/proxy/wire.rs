//! HTTP/1.1 as the tests read it, for itself: it shares nothing with the proxy, or both would be wrong together.

use memchr::memmem::find;

/// Which way a message goes, and what that means for its body.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind<'a> {
    Request,
    /// The answer to a request of this method.
    Answer(&'a str),
}

/// Fields that may differ: `Host` and those of a single connection.
const OWN: [&str; 5] = ["host", "connection", "keep-alive", "proxy-connection", "upgrade"];

/// The length of the first message of `bytes`, if it has an end and all of it is there.
pub(super) fn whole(bytes: &[u8], kind: Kind<'_>) -> Option<usize> {
    // RFC 9112 2.2: an empty line may come before a request.
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let head = blank + head_length(&bytes[blank..])?;
    let body = &bytes[head..];
    let fields = &bytes[blank..head];
    if let Kind::Answer(method) = kind
        && (method == "HEAD" || matches!(status(fields), 100..200 | 204 | 304))
    {
        return Some(head);
    }
    if value(fields, "transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
        return chunks(body).map(|length| head + length);
    }
    let length = match (value(fields, "content-length"), kind) {
        (Some(length), _) => length.parse().ok()?,
        (None, Kind::Request) => 0,
        (None, Kind::Answer(_)) => return None,
    };
    (body.len() >= length).then_some(head + length)
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    let length = |end: &[u8]| find(bytes, end).map(|at| at + end.len());
    length(b"\r\n\r\n").into_iter().chain(length(b"\n\n")).min()
}

/// The last field of that name in a head, in lower case.
fn value(head: &[u8], name: &str) -> Option<String> {
    let lines = head.split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
    let mut values = lines.filter_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_ascii_lowercase())
    });
    values.next_back()
}

fn status(head: &[u8]) -> u16 {
    let digits = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    String::from_utf8_lossy(digits).trim().parse().unwrap_or_default()
}

fn chunks(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = body[at..].iter().position(|byte| *byte == b'\n')?;
        let digits = body[at..at + line].split(|byte| *byte == b';').next()?.trim_ascii();
        let length = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        at += line + 1;
        if length == 0 {
            break;
        }
        at = at.checked_add(length)?.checked_add(2)?;
        if at > body.len() {
            return None;
        }
    }
    loop {
        let line = body[at..].iter().position(|byte| *byte == b'\n')?;
        let is_last = body[at..at + line].trim_ascii().is_empty();
        at += line + 1;
        if is_last {
            return Some(at);
        }
    }
}

/// The complete requests of `bytes`: what a server would act on.
pub(super) fn requests(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some(length) = whole(bytes, Kind::Request) {
        let (request, rest) = bytes.split_at(length);
        found.push(request);
        bytes = rest;
    }
    found
}

/// `bytes` without the lines that may differ. No body of a test has such a line.
pub(super) fn plain(bytes: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let name = line[..line.len().min(20)].split(|byte| *byte == b':').next().unwrap_or_default();
        let is_own =
            name.len() < line.len() && OWN.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes()));
        if !is_own {
            kept.extend_from_slice(line);
        }
    }
    kept
}

/// Bytes for the eye: what is not text escaped, the middle of what is long left out.
pub(super) fn shown(bytes: &[u8]) -> String {
    if bytes.len() <= 300 {
        return bytes.escape_ascii().to_string();
    }
    let (first, last) = (&bytes[..150], &bytes[bytes.len() - 100..]);
    format!("{} … {} bytes … {}", first.escape_ascii(), bytes.len() - 250, last.escape_ascii())
}

/// Where two texts part, with what comes there.
pub(super) fn parting(left: &[u8], right: &[u8]) -> String {
    let at = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    let near = |bytes: &[u8]| {
        bytes[at.saturating_sub(40).min(bytes.len())..bytes.len().min(at + 80)].escape_ascii().to_string()
    };
    format!(
        "they part at byte {at} of {} and {}:\n  directly  {}\n  proxied   {}",
        left.len(),
        right.len(),
        near(left),
        near(right)
    )
}
