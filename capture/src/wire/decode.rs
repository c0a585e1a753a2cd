//! Reading a report that some process sent: every length is checked, whatever it says.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use super::{
    DATAGRAM_BYTES_MAX, FRAME_BYTES, Flags, Frame, KIND_PANIC, Kind, Location, MAGIC, MODULE_HEADER_BYTES,
    MODULE_NONE, Module, Report, VERSION,
};

/// Reads one datagram.
///
/// Text that is not UTF-8 is read with U+FFFD in the place of what is wrong: such a report is still worth more than
/// none. Bytes after the last field belong to a later minor version and are ignored.
///
/// # Errors
///
/// When `datagram` is not a report, is of a version that is not known, ends early, or a frame names a module that is
/// not there.
pub fn decode(datagram: &[u8]) -> Result<Report<'_>, DecodeError> {
    let mut reader = Reader { bytes: datagram, offset: 0 };

    if reader.array("the magic")? != MAGIC {
        return Err(DecodeError::NotAReport);
    }
    let version = reader.u8("the version")?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let kind = match reader.u8("the kind")? {
        KIND_PANIC => Kind::Panic,
        kind => Kind::Unknown(kind),
    };
    let flags = Flags(reader.u16("the flags")?);
    let process_id = reader.u32("the process id")?;
    let thread_id = reader.u32("the thread id")?;
    let time_us = u64::from_le_bytes(reader.array("the time")?);
    let lost = reader.u32("the count of lost failures")?;
    let line = reader.u32("the line")?;
    let column = reader.u32("the column")?;
    let file_bytes = reader.u16("the length of the file name")?;
    let message_bytes = reader.u16("the length of the message")?;
    let frame_count = reader.u16("the number of frames")?;
    let module_count = reader.u8("the number of modules")?;
    let request_id_bytes = reader.u8("the length of the request id")?;
    let thread_name_bytes = reader.u8("the length of the thread name")?;

    // A count is a claim until the bytes are there: memory is taken for what can be in the rest at most.
    let room = reader.rest() / MODULE_HEADER_BYTES;
    let mut modules = Vec::with_capacity(usize::from(module_count).min(room));
    for _ in 0..module_count {
        modules.push(reader.module()?);
    }
    let room = reader.rest() / FRAME_BYTES;
    let mut frames = Vec::with_capacity(usize::from(frame_count).min(room));
    for index in 0..frame_count {
        frames.push(reader.frame(index, module_count)?);
    }
    let request_id = reader.text(request_id_bytes.into(), "the request id")?;
    let thread_name = reader.text(thread_name_bytes.into(), "the thread name")?;
    let file = reader.text(file_bytes.into(), "the file name")?;
    let message = reader.text(message_bytes.into(), "the message")?;

    Ok(Report {
        kind,
        flags,
        process_id,
        thread_id,
        time_us,
        lost,
        request_id: Some(request_id).filter(|id| !id.is_empty()),
        thread_name: Some(thread_name).filter(|name| !name.is_empty()),
        message,
        location: (line != 0).then_some(Location { file, line, column }),
        modules,
        frames,
    })
}

/// Takes the first record off a capture file. `None` when `file` is empty or its record is not complete, be it still
/// being written or cut by the end of the process.
///
/// # Errors
///
/// When the length is larger than any datagram: what follows cannot be told apart any more.
pub fn split_record(file: &[u8]) -> Result<Option<Record<'_>>, DecodeError> {
    let Some((length, rest)) = file.split_first_chunk() else { return Ok(None) };
    let length = u32::from_le_bytes(*length);
    match usize::try_from(length) {
        Ok(bytes) if bytes <= DATAGRAM_BYTES_MAX => {
            Ok(rest.split_at_checked(bytes).map(|(datagram, rest)| Record { datagram, rest }))
        }
        _ => Err(DecodeError::RecordLength(length)),
    }
}

/// What [`split_record`] takes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What [`decode`] reads.
    pub datagram: &'a [u8],
    /// The file behind the record.
    pub rest: &'a [u8],
}

/// Why bytes are not a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes do not start with the magic.
    NotAReport,
    /// The version is not known here.
    Version(u8),
    /// The bytes end within a field.
    CutShort {
        /// The field.
        field: &'static str,
        /// Where the field starts, in bytes.
        offset: usize,
    },
    /// A frame names a module that is not described.
    ModuleIndex {
        /// Index of the frame.
        frame: u16,
        /// The index that it names.
        module: u8,
    },
    /// The length of a record in a capture file, in bytes, is larger than any datagram.
    RecordLength(u32),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAReport => write!(f, "not a capture report: the first bytes are not `TCAP`"),
            Self::Version(version) => {
                write!(
                    f,
                    "capture report of version {version}, this program reads {VERSION}; update the agent"
                )
            }
            Self::CutShort { field, offset } => {
                write!(f, "capture report ends within {field}, which starts at byte {offset}")
            }
            Self::ModuleIndex { frame, module } => {
                write!(f, "frame {frame} of the capture report names module {module}, which is not described")
            }
            Self::RecordLength(bytes) => write!(
                f,
                "record of {bytes} bytes in the capture file, more than the {DATAGRAM_BYTES_MAX} of any report; \
                 the rest of the file cannot be read"
            ),
        }
    }
}

impl Error for DecodeError {}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> usize {
        self.bytes.len() - self.offset
    }

    fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let taken = self.bytes.get(self.offset..).and_then(|rest| rest.get(..count));
        let taken = taken.ok_or(DecodeError::CutShort { field, offset: self.offset })?;
        self.offset += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, field)?);
        Ok(array)
    }

    fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array(field).map(u8::from_le_bytes)
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_le_bytes)
    }

    fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_le_bytes)
    }

    fn text(&mut self, bytes: usize, field: &'static str) -> Result<Cow<'a, str>, DecodeError> {
        self.take(bytes, field).map(String::from_utf8_lossy)
    }

    fn module(&mut self) -> Result<Module<'a>, DecodeError> {
        let load_bias = u64::from_le_bytes(self.array("the load bias of a module")?);
        let path_bytes = self.u16("the length of a module's path")?;
        let build_id_bytes = self.u8("the length of a module's build-id")?;
        let path = self.take(path_bytes.into(), "the path of a module")?;
        let build_id = self.take(build_id_bytes.into(), "the build-id of a module")?;
        Ok(Module { path, build_id, load_bias })
    }

    fn frame(&mut self, index: u16, module_count: u8) -> Result<Frame, DecodeError> {
        let return_address = u64::from_le_bytes(self.array("the return address of a frame")?);
        let module = match self.u8("the module of a frame")? {
            MODULE_NONE => None,
            module if module < module_count => Some(module),
            module => return Err(DecodeError::ModuleIndex { frame: index, module }),
        };
        Ok(Frame { return_address, module })
    }
}
