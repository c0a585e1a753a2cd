//! Plain bytes out of what may be compressed: gzip and zstd, known by their first bytes, as logs are kept when they are rotated.
//!
//! Everything is a stream: memory is bounded by the format's window, whatever the size of what comes out.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// The first bytes of gzip (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The first bytes of a zstd frame (RFC 8878, section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The largest window of a zstd frame, in bytes: what `zstd --long` needs, and what the reference decoder takes unasked.
const ZSTD_WINDOW_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// The plain bytes of `source`, which is given as it is if it is not compressed.
///
/// # Errors
///
/// If the source cannot be read. Damage further on is an error of the reader that is returned.
pub fn unpack<'a>(source: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut source = BufReader::with_capacity(READ_BYTES, source);
    let beginning = fill(&mut source)?;
    Ok(if beginning.starts_with(&GZIP) {
        Box::new(MultiGzDecoder::new(source))
    } else if beginning.starts_with(&ZSTD) {
        Box::new(Zstd::new(source))
    } else {
        Box::new(source)
    })
}

/// What is in the buffer. A pipe may hand over less than a magic number at once, but whoever compresses writes more.
fn fill<R: Read>(source: &mut BufReader<R>) -> io::Result<&[u8]> {
    loop {
        match source.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    Ok(source.buffer())
}

/// The frames of a zstd file, one after the other. Their checksums are not looked at.
struct Zstd<R: Read> {
    source: BufReader<R>,
    decoder: FrameDecoder,
    /// True while a frame is being read.
    is_open: bool,
}

impl<R: Read> Zstd<R> {
    fn new(source: BufReader<R>) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW_BYTES_MAX);
        Self { source, decoder, is_open: false }
    }

    /// Opens the frame at which the source stands, or skips it if it holds nothing to read.
    fn open(&mut self) -> io::Result<()> {
        match self.decoder.reset(&mut self.source) {
            Ok(()) => self.is_open = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => {
                io::copy(&mut self.source.by_ref().take(length.into()), &mut io::sink())?;
            }
            Err(error) => return Err(damaged(error)),
        }
        Ok(())
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_open {
                if fill(&mut self.source)?.is_empty() {
                    return Ok(0);
                }
                self.open()?;
                continue;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.source, one).map_err(damaged)?;
            }
            let count = self.decoder.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            self.is_open = false;
        }
    }
}

fn damaged(error: FrameDecoderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the zstd data is damaged: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn unpacked(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        unpack(bytes)?.read_to_end(&mut out)?;
        Ok(out)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn plain_bytes_come_out_of_every_form() {
        let text = "a line\n".repeat(100_000).into_bytes();
        assert_eq!(unpacked(&text).unwrap(), text);
        assert_eq!(unpacked(b"").unwrap(), b"");
        // Appended members and frames are one text: that is how rotated logs grow.
        for packed in [gzip(&text), zstd(&text)] {
            assert_eq!(unpacked(&packed).unwrap(), text);
            assert_eq!(unpacked(&[packed.as_slice(), &packed].concat()).unwrap().len(), 2 * text.len());
        }
        // A skippable frame of four bytes (RFC 8878, section 3.1.2) between two others.
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 9, 9, 9, 9];
        let packed = [zstd(&text).as_slice(), &skippable, &zstd(b"end")].concat();
        assert!(unpacked(&packed).unwrap().ends_with(b"end"));
    }

    #[test]
    fn damage_is_an_error_and_no_panic() {
        for packed in [gzip(b"some text of a log"), zstd(b"some text of a log")] {
            for length in 4..packed.len() {
                assert!(unpacked(&packed[..length]).is_err(), "{length} of {} bytes", packed.len());
            }
            for at in 4..packed.len() {
                let mut damaged = packed.clone();
                damaged[at] ^= 0xff;
                // Most damage shows; none may panic.
                let _ = unpacked(&damaged);
            }
        }
    }
}
