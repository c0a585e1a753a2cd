//! Heads as they go out: what came, without what concerns one connection only.

use crate::http::Fields;

/// Fields that concern one connection only, besides those that `Connection` lists.
const HOP_BY_HOP: [&str; 4] = ["connection", "keep-alive", "proxy-connection", "upgrade"];

/// The head of a request as it goes out: `path` before its own, `host` in its Host field.
pub(super) fn request_head(fields: &Fields, path: &str, host: &str) -> Vec<u8> {
    let start = fields.start_line();
    let at = memchr::memchr(b' ', start).map_or(start.len(), |space| space + 1);
    let mut head = Vec::with_capacity(fields.head().len() + path.len() + host.len());
    head.extend_from_slice(fields.empty_lines());
    head.extend_from_slice(&start[..at]);
    head.extend_from_slice(path.as_bytes());
    head.extend_from_slice(&start[at..]);
    push_fields(&mut head, fields, Some(host));
    head.extend_from_slice(b"\r\n");
    head
}

/// The head of an answer as it goes out.
pub(super) fn answer_head(fields: &Fields, closes: bool) -> Vec<u8> {
    let mut head = Vec::with_capacity(fields.head().len() + 32);
    head.extend_from_slice(fields.empty_lines());
    head.extend_from_slice(fields.start_line());
    push_fields(&mut head, fields, None);
    if closes {
        head.extend_from_slice(b"Connection: close\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Every field that does not end here, as it came.
fn push_fields(head: &mut Vec<u8>, fields: &Fields, host: Option<&str>) {
    // Mostly none. A head may have thousands of fields, so they are looked for once.
    let listed: Vec<&[u8]> = fields.tokens("connection").collect();
    let is_listed = |name: &str| listed.iter().any(|token| token.eq_ignore_ascii_case(name.as_bytes()));
    for field in fields.iter() {
        let name = std::str::from_utf8(field.name).unwrap_or_default();
        let is_host = name.eq_ignore_ascii_case("host");
        match host {
            Some(host) if is_host => {
                head.extend_from_slice(b"Host: ");
                head.extend_from_slice(host.as_bytes());
                head.extend_from_slice(b"\r\n");
            }
            _ if HOP_BY_HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop)) => {}
            // What frames the body must go where the body goes, whatever `Connection` says of it.
            _ if !frames_body(name) && is_listed(name) => {}
            _ => head.extend_from_slice(field.line),
        }
    }
}

fn frames_body(name: &str) -> bool {
    ["content-length", "transfer-encoding", "trailer", "te"]
        .iter()
        .any(|framing| name.eq_ignore_ascii_case(framing))
}
