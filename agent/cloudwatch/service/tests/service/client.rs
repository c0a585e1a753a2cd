//! A client that does nothing of its own accord: bytes out, an answer or an end in.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use trace_logs_service::Service;

/// How long the service may say nothing before a test has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a connection came to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Reset,
}

pub(crate) struct Client {
    stream: TcpStream,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn kind(&self) -> String {
        self.json()["__type"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

impl Client {
    pub(crate) fn to(service: &Service) -> Self {
        let address = service.endpoint().strip_prefix("http://").unwrap().to_owned();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }

    /// Sends bytes; a service that has ended the connection already is no failure.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The whole answer, or how the connection ended and what came before.
    pub(crate) fn answer(&mut self) -> Result<Answer, (End, Vec<u8>)> {
        let mut bytes = Vec::new();
        loop {
            if let Some(answer) = whole(&bytes) {
                return Ok(answer);
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err((End::Closed, bytes)),
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Err((End::Reset, bytes)),
                Err(error) => panic!("no answer: {error}"),
            }
        }
    }

    pub(crate) fn call(&mut self, operation: &str, body: &Value) -> Result<Answer, (End, Vec<u8>)> {
        self.send(&request(operation, body, &[]));
        self.answer()
    }
}

fn whole(bytes: &[u8]) -> Option<Answer> {
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(bytes[..at].to_vec()).ok()?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let length =
        head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?.parse::<usize>().ok()?;
    let body = bytes.get(at..at + length)?.to_vec();
    Some(Answer { status, head, body })
}

/// A request, its signature in form only. What `headers` names replaces what is there; with an empty value, it is left out.
pub(crate) fn request(operation: &str, body: &Value, headers: &[(&str, &str)]) -> Vec<u8> {
    let date = date(now_ms());
    let proof = format!(
        "AWS4-HMAC-SHA256 Credential=AKID/{}/eu-central-1/logs/aws4_request, SignedHeaders=host;x-amz-date, Signature=0",
        &date[..8]
    );
    let body = body.to_string();
    let usual = [
        ("Host", "logs"),
        ("Content-Type", "application/x-amz-json-1.1"),
        ("X-Amz-Target", &format!("Logs_20140328.{operation}")),
        ("X-Amz-Date", &date),
        ("Authorization", &proof),
        ("Content-Length", &body.len().to_string()),
    ];
    let kept = usual.iter().filter(|(name, _)| headers.iter().all(|(other, _)| other != name));
    let added = headers.iter().filter(|(_, value)| !value.is_empty());
    let lines: String = kept.chain(added).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("POST / HTTP/1.1\r\n{lines}\r\n{body}").into_bytes()
}

/// `20130524T000000Z`, counted day by day: slow, and another way than the service's.
pub(crate) fn date(ms: i64) -> String {
    let seconds = ms / 1_000;
    let (mut days, clock) = (seconds / 86_400, seconds % 86_400);
    let (mut year, mut month) = (1970, 1);
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if days < length {
            break;
        }
        days -= length;
        (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    }
    let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
    format!("{year:04}{month:02}{:02}T{hour:02}{minute:02}{second:02}Z", days + 1)
}
