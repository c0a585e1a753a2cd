//! Writing a report: into a buffer of the caller, without allocation, without any way to fail.
//!
//! This runs in a panicking handler. Every part has a bound, and the bounds add up to less than a datagram, which the
//! compiler checks below; so a report is cut where it must be, and says so, but is never refused.

use super::{
    DATAGRAM_BYTES_MAX, FRAME_BYTES, FRAMES_MAX, Flags, Frame, HEADER_BYTES, KIND_PANIC, Kind, MAGIC,
    MODULE_HEADER_BYTES, MODULE_NONE, MODULES_MAX, Module, Report, VERSION,
};

/// Bytes of a message. A panic about a large value prints all of it; nobody reads so far.
const MESSAGE_BYTES_MAX: usize = 4096;
/// Bytes of a message that always find room, whatever the other parts take.
const MESSAGE_BYTES_KEPT: usize = 1024;
/// Bytes of a request id. Lambda's are UUIDs, of 36.
const REQUEST_ID_BYTES_MAX: usize = 64;
/// Bytes of a thread name. The kernel's end at 15.
const THREAD_NAME_BYTES_MAX: usize = 32;
/// Bytes of a source file's name. The longest in practice are those of a registry's checkout.
const FILE_BYTES_MAX: usize = 512;
/// Bytes of a module's path.
const PATH_BYTES_MAX: usize = 256;
/// Bytes of a build-id. SHA-1, the linkers' default, has 20.
const BUILD_ID_BYTES_MAX: usize = 32;

const _: () = assert!(
    HEADER_BYTES
        + MODULES_MAX * (MODULE_HEADER_BYTES + PATH_BYTES_MAX + BUILD_ID_BYTES_MAX)
        + FRAMES_MAX * FRAME_BYTES
        + REQUEST_ID_BYTES_MAX
        + THREAD_NAME_BYTES_MAX
        + FILE_BYTES_MAX
        + MESSAGE_BYTES_KEPT
        <= DATAGRAM_BYTES_MAX,
    "the parts of a report must fit into a datagram"
);
// Each length fits the field that holds it.
const _: () = assert!(MESSAGE_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(FILE_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(PATH_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(FRAMES_MAX <= u16::MAX as usize);
const _: () = assert!(BUILD_ID_BYTES_MAX <= u8::MAX as usize);
const _: () = assert!(REQUEST_ID_BYTES_MAX <= u8::MAX as usize);
const _: () = assert!(THREAD_NAME_BYTES_MAX <= u8::MAX as usize);
const _: () = assert!(MODULES_MAX <= MODULE_NONE as usize);

/// Writes `report` in the newest version and returns the bytes of `buffer` that it takes.
///
/// What is longer than its bound is cut, texts at a character's border, and a flag says so.
pub fn encode<'a, 'b>(
    report: &Report<'a, impl AsRef<[Module<'a>]>, impl AsRef<[Frame]>>,
    buffer: &'b mut [u8; DATAGRAM_BYTES_MAX],
) -> &'b [u8] {
    let mut flags = report.flags;
    let mut cut = |text, bytes_max, flag| {
        let kept = cut_text(text, bytes_max);
        if kept.len() < text.len() {
            flags.insert(flag);
        }
        kept
    };
    let request_id = cut(report.request_id.as_deref().unwrap_or(""), REQUEST_ID_BYTES_MAX, Flags::TEXT_CUT);
    let thread_name =
        cut(report.thread_name.as_deref().unwrap_or(""), THREAD_NAME_BYTES_MAX, Flags::TEXT_CUT);
    let (file, line, column) = match &report.location {
        Some(location) => (&*location.file, location.line, location.column),
        None => ("", 0, 0),
    };
    let file = cut(file, FILE_BYTES_MAX, Flags::TEXT_CUT);

    // The lengths stand in the header, and the message's is known last: the body is written first.
    let mut writer = Writer { buffer, length: HEADER_BYTES };

    let (modules, mut modules_cut) = cut_list(report.modules.as_ref(), MODULES_MAX);
    for module in modules {
        let path = if module.path.len() <= PATH_BYTES_MAX { module.path } else { &[] };
        let build_id = if module.build_id.len() <= BUILD_ID_BYTES_MAX { module.build_id } else { &[] };
        modules_cut |= path.len() < module.path.len() || build_id.len() < module.build_id.len();
        writer.put(&module.load_bias.to_le_bytes());
        writer.put(&(path.len() as u16).to_le_bytes());
        writer.put(&[build_id.len() as u8]);
        writer.put(path);
        writer.put(build_id);
    }

    let (frames, frames_cut) = cut_list(report.frames.as_ref(), FRAMES_MAX);
    for frame in frames {
        let module = frame.module.filter(|&index| usize::from(index) < modules.len());
        writer.put(&frame.return_address.to_le_bytes());
        writer.put(&[module.unwrap_or(MODULE_NONE)]);
    }

    writer.put(request_id.as_bytes());
    writer.put(thread_name.as_bytes());
    writer.put(file.as_bytes());
    let room = DATAGRAM_BYTES_MAX - writer.length;
    let message = cut(&report.message, MESSAGE_BYTES_MAX.min(room), Flags::MESSAGE_CUT);
    writer.put(message.as_bytes());
    let length = writer.length;

    if modules_cut {
        flags.insert(Flags::MODULES_CUT);
    }
    if frames_cut {
        flags.insert(Flags::FRAMES_CUT);
    }
    let kind = match report.kind {
        Kind::Panic => KIND_PANIC,
        Kind::Unknown(kind) => kind,
    };
    let mut header = Writer { buffer: writer.buffer, length: 0 };
    header.put(&MAGIC);
    header.put(&[VERSION, kind]);
    header.put(&flags.0.to_le_bytes());
    header.put(&report.process_id.to_le_bytes());
    header.put(&report.thread_id.to_le_bytes());
    header.put(&report.time_us.to_le_bytes());
    header.put(&report.lost.to_le_bytes());
    header.put(&line.to_le_bytes());
    header.put(&column.to_le_bytes());
    header.put(&(file.len() as u16).to_le_bytes());
    header.put(&(message.len() as u16).to_le_bytes());
    header.put(&(frames.len() as u16).to_le_bytes());
    header.put(&[modules.len() as u8, request_id.len() as u8, thread_name.len() as u8]);

    buffer.get(..length).unwrap_or(&[])
}

/// The longest start of `text` that has at most `bytes_max` bytes and ends at a character's border.
fn cut_text(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

/// The first `count_max` of `list`, and whether there are more.
fn cut_list<T>(list: &[T], count_max: usize) -> (&[T], bool) {
    list.get(..count_max).map_or((list, false), |kept| (kept, kept.len() < list.len()))
}

struct Writer<'b> {
    buffer: &'b mut [u8; DATAGRAM_BYTES_MAX],
    length: usize,
}

impl Writer<'_> {
    /// Appends `bytes`. There is room for all that [`encode`] writes, by the sum of the bounds.
    fn put(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(room) = self.buffer.get_mut(self.length..end) {
            room.copy_from_slice(bytes);
            self.length = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_before_the_character_that_does_not_fit() {
        assert_eq!(cut_text("preis: 5 €", 10), "preis: 5 ");
        assert_eq!(cut_text("preis: 5 €", 12), "preis: 5 €");
        assert_eq!(cut_text("€", 2), "");
    }
}
