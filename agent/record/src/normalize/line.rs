//! One line of a log: its text, and what a logger put before it.
//!
//! Runtimes and loggers put the time, the request and a level before what they log. These forms are known:
//!
//! | form | who writes it |
//! |---|---|
//! | `<time>\t<request id>\t<LEVEL>\t<text>` | Lambda's clients for Node and .NET |
//! | `[<LEVEL>]\t<time>\t<request id>\t<text>` | Python's `logging` in Lambda |
//! | `[<LEVEL>] <text>` | awslambdaric itself |
//! | `<request id>\t<text>` | bref |
//! | `2026/11/23 08:25:04 <text>` | Go's `log` |
//! | `2026-11-23 07:30:12,532 <LEVEL> <text>` | most others; the level may be missing or in brackets |

/// The white space that may stand before a line's text. awslambdaric turns each leading space into a no-break space.
const BLANKS: [char; 3] = [' ', '\t', '\u{a0}'];

/// Words for the levels of failures, in lower case.
const FAILURE_LEVELS: [&str; 10] =
    ["error", "fatal", "critical", "fail", "crit", "severe", "err", "panic", "alert", "emerg"];

/// Words for the levels of everything else, in lower case.
const OTHER_LEVELS: [&str; 14] = [
    "info",
    "debug",
    "warn",
    "warning",
    "trace",
    "notice",
    "dbug",
    "trce",
    "information",
    "verbose",
    "fine",
    "config",
    "log",
    "dbg",
];

/// Levels of healthy lines, as a logger without a clock prints them first. `ERROR` and `WARNING` are no such words: messages begin their
/// own lines with them.
const LEVELS: [&str; 3] = ["INFO", "DEBUG", "TRACE"];

/// The beginnings of what the platform itself logs.
const PLATFORM: [&str; 9] = [
    "START RequestId: ",
    "END RequestId: ",
    "REPORT RequestId: ",
    "RequestId: ",
    "INIT_START ",
    "INIT_REPORT ",
    "EXTENSION\t",
    "TELEMETRY\t",
    "XRAY TraceId: ",
];

/// A line without its line end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// All of it.
    pub(crate) raw: &'a str,
    /// What the logger put before the text, if it is of a known form.
    pub(crate) prefix: Option<Prefix<'a>>,
    /// What comes after the prefix; all of the line, white space included, if there is none.
    pub(crate) text: &'a str,
}

/// What stands before the text of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefix<'a> {
    /// The time, as it was written.
    pub(crate) time: Option<&'a str>,
    /// The invocation.
    pub(crate) request_id: Option<&'a str>,
    /// The level, as it was written.
    pub(crate) level: Option<&'a str>,
}

impl Prefix<'_> {
    /// True unless a level says that the line tells of no failure.
    pub(crate) fn may_be_failure(&self) -> bool {
        self.level.is_none_or(is_failure_level)
    }
}

impl<'a> Line<'a> {
    /// Takes a line apart. A line end is left out.
    pub(crate) fn new(line: &'a str) -> Self {
        let raw = line.strip_suffix('\n').unwrap_or(line);
        let raw = raw.strip_suffix('\r').unwrap_or(raw);
        match prefix(raw) {
            Some((prefix, text)) => Self { raw, prefix: Some(prefix), text },
            None => Self { raw, prefix: None, text: raw },
        }
    }

    /// True if white space stands before the text, and there is one.
    pub(crate) fn is_indented(&self) -> bool {
        self.raw.starts_with(BLANKS) && !self.is_blank()
    }

    /// True if the line holds nothing but white space.
    pub(crate) fn is_blank(&self) -> bool {
        self.raw.trim_start_matches(BLANKS).is_empty()
    }

    /// The text without the white space before it.
    pub(crate) fn trimmed(&self) -> &'a str {
        self.text.trim_start_matches(BLANKS)
    }

    /// True if a logger or the platform began a new record here: such a line continues no message.
    pub(crate) fn begins_record(&self) -> bool {
        self.prefix.is_some_and(|prefix| prefix.level.is_some() || prefix.time.is_some())
            || PLATFORM.iter().any(|beginning| self.raw.starts_with(beginning))
            || self.raw.starts_with("{\"") && self.raw.ends_with('}')
            || self.raw.strip_prefix('[').is_some_and(|rest| time(rest).is_some())
            || is_access(self.raw)
            || LEVELS
                .iter()
                .any(|level| self.raw.strip_prefix(level).is_some_and(|rest| rest.starts_with([' ', ':'])))
    }
}

/// True for what a web server logs of a request: `127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET …`.
fn is_access(line: &str) -> bool {
    let (address, rest) = line.split_once(' ').unwrap_or_default();
    rest.starts_with("- ") && address.parse::<std::net::IpAddr>().is_ok()
}

/// Parts a line into its prefix and its text.
fn prefix(line: &str) -> Option<(Prefix<'_>, &str)> {
    match line.as_bytes().first()? {
        b'[' => bracketed(line),
        b'0'..=b'9' => timed(line).or_else(|| request(line)),
        b'a'..=b'f' => request(line),
        _ => None,
    }
}

/// `[LEVEL]\t<time>\t<request id>\t<text>` or `[LEVEL] <text>`.
fn bracketed(line: &str) -> Option<(Prefix<'_>, &str)> {
    /// The longest word for a level, and its brackets.
    const BRACKETS_BYTES_MAX: usize = 16;
    let end = memchr::memchr(b']', &line.as_bytes()[..line.len().min(BRACKETS_BYTES_MAX)])?;
    let level = line.get(1..end).filter(|word| is_level(word))?;
    let rest = line.get(end + 1..)?;
    let prefix = Prefix { level: Some(level), ..Prefix::default() };
    if let Some(rest) = rest.strip_prefix('\t') {
        return match fields(rest) {
            Some(([time, request_id], text)) if is_time(time) => {
                Some((Prefix { time: Some(time), request_id: known(request_id), ..prefix }, text))
            }
            _ => Some((prefix, rest)),
        };
    }
    Some((prefix, rest.strip_prefix(' ')?))
}

/// `<time>\t<request id>\t<LEVEL>\t<text>`, or a time, perhaps a level, and the text.
fn timed(line: &str) -> Option<(Prefix<'_>, &str)> {
    let length = time(line)?;
    let (time, rest) = line.split_at(length);
    let prefix = Prefix { time: Some(time), ..Prefix::default() };
    if let Some(rest) = rest.strip_prefix('\t') {
        return match fields(rest) {
            Some(([request_id, level], text)) if is_level(level) => {
                Some((Prefix { request_id: known(request_id), level: Some(level), ..prefix }, text))
            }
            _ => Some((prefix, rest)),
        };
    }
    let rest = rest.strip_prefix(' ')?;
    let word = &rest[..rest.find(' ').unwrap_or(rest.len())];
    if is_level(word.trim_start_matches('[').trim_end_matches([']', ':'])) {
        let level = word.trim_start_matches('[').trim_end_matches([']', ':']);
        return Some((Prefix { level: Some(level), ..prefix }, rest[word.len()..].trim_start_matches(' ')));
    }
    Some((prefix, rest))
}

/// `<request id>\t<text>`.
fn request(line: &str) -> Option<(Prefix<'_>, &str)> {
    /// A UUID in its canonical form.
    const UUID_BYTES: usize = 36;
    let bytes = line.as_bytes();
    let is_uuid = bytes.get(8) == Some(&b'-')
        && bytes.get(UUID_BYTES) == Some(&b'\t')
        && bytes[..UUID_BYTES].iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    is_uuid.then(|| {
        (Prefix { request_id: Some(&line[..UUID_BYTES]), ..Prefix::default() }, &line[UUID_BYTES + 1..])
    })
}

/// The next two fields that end with a tab, and what follows.
fn fields(text: &str) -> Option<([&str; 2], &str)> {
    let (first, rest) = text.split_once('\t')?;
    let (second, rest) = rest.split_once('\t')?;
    Some(([first, second], rest))
}

/// What a client writes where it knows no request is no request id.
fn known(request_id: &str) -> Option<&str> {
    Some(request_id).filter(|id| !matches!(*id, "" | "-" | "undefined"))
}

fn is_level(word: &str) -> bool {
    is_failure_level(word) || OTHER_LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level))
}

pub(crate) fn is_failure_level(word: &str) -> bool {
    FAILURE_LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level))
}

fn is_time(text: &str) -> bool {
    time(text) == Some(text.len())
}

/// The length of the date and time that `text` begins with: `2026-11-23T07:39:31.416Z`, `2026/11/23 08:25:04`,
/// `2026-11-23 07:30:12,532`.
fn time(text: &str) -> Option<usize> {
    const PATTERN: &[u8] = b"0000-00-00T00:00:00";
    let bytes = text.as_bytes();
    let matches = bytes.len() >= PATTERN.len()
        && bytes.iter().zip(PATTERN).all(|(byte, pattern)| match pattern {
            b'0' => byte.is_ascii_digit(),
            b'-' => matches!(byte, b'-' | b'/'),
            b'T' => matches!(byte, b'T' | b' '),
            pattern => byte == pattern,
        });
    if !matches {
        return None;
    }
    let rest = &bytes[PATTERN.len()..];
    let fraction = match rest.first() {
        Some(b'.' | b',') => 1 + rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 0,
    };
    let rest = &rest[fraction..];
    let zone = match rest.first() {
        Some(b'Z') => 1,
        Some(b'+' | b'-') => {
            1 + rest[1..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b':').count()
        }
        _ => 0,
    };
    Some(PATTERN.len() + fraction + zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parted(line: &str) -> (Option<&str>, Option<&str>, Option<&str>, &str) {
        let line = Line::new(line);
        let prefix = line.prefix.unwrap_or_default();
        (prefix.time, prefix.request_id, prefix.level, line.text)
    }

    #[test]
    fn each_form_is_parted() {
        let id = "8f507cfc-xmpl-4697-b07a-ac58fc914c95";
        let node = format!("2026-11-23T07:39:31.416Z\t{id}\tERROR\tInvoke Error \t{{}}");
        assert_eq!(
            parted(&node),
            (Some("2026-11-23T07:39:31.416Z"), Some(id), Some("ERROR"), "Invoke Error \t{}")
        );
        let init = "2026-11-23T07:39:31.416Z\tundefined\tERROR\tUncaught Exception \t{}\n";
        assert_eq!(parted(init).1, None);
        let logging = format!("[ERROR]\t2026-11-23T07:32:54.090Z\t{id}\tstep failed\n");
        assert_eq!(
            parted(&logging),
            (Some("2026-11-23T07:32:54.090Z"), Some(id), Some("ERROR"), "step failed")
        );
        assert_eq!(parted("[ERROR] E: m"), (None, None, Some("ERROR"), "E: m"));
        assert_eq!(parted("2026/11/23 08:25:04 {}"), (Some("2026/11/23 08:25:04"), None, None, "{}"));
        assert_eq!(
            parted("2026-11-23 07:30:12,532 [ERROR] app: no"),
            (Some("2026-11-23 07:30:12,532"), None, Some("ERROR"), "app: no")
        );
        assert_eq!(
            parted("8f507cfc-0000-4697-b07a-ac58fc914c95\tInvoke Error\t{}"),
            (None, Some("8f507cfc-0000-4697-b07a-ac58fc914c95"), None, "Invoke Error\t{}")
        );
    }

    #[test]
    fn other_lines_have_no_prefix() {
        for line in [
            "",
            "[",
            "[x] y",
            "[ERROR]",
            "2026-11-23",
            "2026-11-23T07:39:3x",
            "fade\tin",
            "7",
            "é[ERROR] x",
            "[é] x",
        ] {
            assert_eq!(parted(line), (None, None, None, line));
        }
    }
}
