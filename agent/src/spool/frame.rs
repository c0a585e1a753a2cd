//! How one event lies in a segment.
//!
//! ```text
//! 4  0xFF 'T' 'A' 0xFE, which no text in UTF-8 holds
//! 4  length of the payload, little-endian
//! 4  CRC-32C of the length and the payload, little-endian
//! …  payload: the event's time in milliseconds (i64, little-endian), then its line in UTF-8
//! ```
//!
//! The mark is where reading goes on behind a damaged frame: no line that somebody sends can hold it, so a hostile one cannot
//! pretend to be a frame, nor make a search through damage slow.

use std::ops::Range;

use memchr::memmem;
use trace_record::batch::Event;

/// What begins a frame.
const MARK: [u8; 4] = [0xff, b'T', b'A', 0xfe];

/// The bytes of a frame before its payload.
pub(super) const HEADER_BYTES: usize = 12;

/// What a frame takes beside its line, in bytes.
pub(super) const OVERHEAD_BYTES: usize = HEADER_BYTES + 8;

/// The longest payload, in bytes: twice what any sink takes as one event.
pub(super) const PAYLOAD_BYTES_MAX: usize = 2 * 1024 * 1024;

/// How often a search through damage looks at a byte, on average.
const SEARCH_FACTOR: usize = 8;

/// Appends the frame of an event.
pub(super) fn write(event: &Event, out: &mut Vec<u8>) {
    let length = u32::try_from(event.message.len() + 8).unwrap_or(u32::MAX).to_le_bytes();
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&length);
    let crc_at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&event.timestamp_ms.to_le_bytes());
    out.extend_from_slice(event.message.as_bytes());
    let crc = crc(length, &out[crc_at + 4..]);
    out[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
}

fn crc(length: [u8; 4], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length), payload)
}

/// The event whose frame begins at `at`, and where the frame ends; `None` if there is no whole and undamaged one.
pub(super) fn read(bytes: &[u8], at: usize) -> Option<(Event, usize)> {
    let (header, rest) = bytes.get(at..)?.split_first_chunk::<HEADER_BYTES>()?;
    let (mark, header) = header.split_first_chunk::<4>()?;
    let (length, crc_found) = header.split_first_chunk::<4>()?;
    let bytes_wanted = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if *mark != MARK || bytes_wanted > PAYLOAD_BYTES_MAX {
        return None;
    }
    let payload = rest.get(..bytes_wanted)?;
    if crc(*length, payload).to_le_bytes() != crc_found {
        return None;
    }
    let (time, line) = payload.split_first_chunk()?;
    let message = String::from_utf8(line.to_vec()).ok()?;
    Some((Event { timestamp_ms: i64::from_le_bytes(*time), message }, at + HEADER_BYTES + bytes_wanted))
}

/// How long the frame at the beginning of `bytes` is, if it has a whole header.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(4..8)?.try_into().ok().map(u32::from_le_bytes)?;
    let length = usize::try_from(length).ok().filter(|length| *length <= PAYLOAD_BYTES_MAX)?;
    Some(HEADER_BYTES + length)
}

/// Whether `bytes`, behind which nothing follows, are the beginning of a frame that was not written to its end.
pub(super) fn is_torn(bytes: &[u8]) -> bool {
    let mark = &bytes[..bytes.len().min(MARK.len())];
    MARK.starts_with(mark)
        && (bytes.len() < HEADER_BYTES || length(bytes).is_some_and(|length| length > bytes.len()))
}

/// What lies in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A whole frame.
    Frame(Range<usize>),
    /// Bytes that are none.
    Damage(Range<usize>),
}

/// What lies in `bytes` from `at` on, one after the other.
///
/// A search through damage looks at no more than [`SEARCH_FACTOR`] times the bytes, then what is left is damage: something that is made of
/// marks alone would otherwise be read again from each of them.
pub(super) fn pieces(bytes: &[u8], mut at: usize) -> impl Iterator<Item = Piece> {
    let marks = memmem::Finder::new(&MARK).into_owned();
    let mut budget = bytes.len().saturating_mul(SEARCH_FACTOR);
    std::iter::from_fn(move || {
        let begin = at;
        if begin >= bytes.len() {
            return None;
        }
        if let Some((_, end)) = read(bytes, begin) {
            at = end;
            return Some(Piece::Frame(begin..end));
        }
        let behind = bytes.get(begin + 1..).unwrap_or_default();
        at = marks
            .find_iter(behind)
            .map(|offset| begin + 1 + offset)
            .find(|candidate| {
                let cost = length(&bytes[*candidate..]).unwrap_or(0).min(bytes.len() - candidate);
                budget.checked_sub(cost).is_some_and(|left| {
                    budget = left;
                    read(bytes, *candidate).is_some()
                })
            })
            .unwrap_or(bytes.len());
        Some(Piece::Damage(begin..at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str) -> Event {
        Event { timestamp_ms: -5, message: message.to_owned() }
    }

    fn written(messages: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        messages.iter().for_each(|message| write(&event(message), &mut bytes));
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        for message in ["größe", "", "x"] {
            let bytes = written(&[message]);
            assert_eq!(bytes.len(), OVERHEAD_BYTES + message.len());
            assert_eq!(
                (read(&bytes, 0), length(&bytes)),
                (Some((event(message), bytes.len())), Some(bytes.len()))
            );
        }
    }

    /// The judge of the checksum is the value that RFC 3720 prints for 32 bytes of zeros.
    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn any_changed_byte_costs_its_frame_and_no_other() {
        let bytes = written(&["one", "two", "three"]);
        let third = (OVERHEAD_BYTES + 3) * 2;
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                let whole = pieces(&bytes, 0).filter(|piece| matches!(piece, Piece::Frame(_))).count();
                assert_eq!(whole, 2, "byte {at}");
                let covered: usize = pieces(&bytes, 0)
                    .map(|piece| match piece {
                        Piece::Frame(range) | Piece::Damage(range) => range.len(),
                    })
                    .sum();
                assert_eq!(covered, bytes.len());
            }
        }
        for end in 0..bytes.len() {
            let whole = pieces(&bytes[..end], 0).filter(|piece| matches!(piece, Piece::Frame(_))).count();
            assert_eq!(whole, [end >= third / 2, end >= third, false].into_iter().filter(|is| *is).count());
        }
    }

    #[test]
    fn a_search_through_damage_is_linear() {
        // Marks without frames, each of which claims the longest payload.
        let mut bytes = Vec::new();
        while bytes.len() < 8 * 1024 * 1024 {
            bytes.extend_from_slice(&MARK);
            bytes.extend_from_slice(&u32::try_from(PAYLOAD_BYTES_MAX).unwrap().to_le_bytes());
        }
        // Without a bound this would take an hour.
        assert_eq!(pieces(&bytes, 0).collect::<Vec<_>>(), [Piece::Damage(0..bytes.len())]);
    }
}
