//! The capture hook's reports: decoded, and their addresses turned from the process's into the modules' own.

use std::fmt::Write;

use trace_capture::wire::{self, DecodeError, Flags, Report};
use trace_record::failure::{Location, Record};
use trace_record::normalize::native;
use trace_symbolizer::{LoadBias, ReturnAddress};

/// Reads one datagram.
///
/// # Errors
///
/// If the bytes are not a report of a version that this build reads.
pub fn datagram(bytes: &[u8]) -> Result<Record, DecodeError> {
    wire::decode(bytes).map(|report| record(&report))
}

/// Reads a capture file: reports, each after its length, the last of which may be torn. Gives what it could read and the
/// error that ended it, if one did.
#[must_use]
pub fn file(mut bytes: &[u8]) -> (Vec<Record>, Option<DecodeError>) {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        match wire::split_record(bytes) {
            Ok(Some(part)) => {
                match datagram(part.datagram) {
                    Ok(record) => records.push(record),
                    Err(error) => return (records, Some(error)),
                }
                bytes = part.rest;
            }
            Ok(None) => break,
            Err(error) => return (records, Some(error)),
        }
    }
    (records, None)
}

/// True if the bytes begin like a datagram of the capture hook.
#[must_use]
pub fn is_datagram(bytes: &[u8]) -> bool {
    bytes.starts_with(b"TCAP")
}

/// True if the bytes begin like a capture file.
#[must_use]
pub fn is_file(bytes: &[u8]) -> bool {
    bytes.get(4..).is_some_and(is_datagram)
}

fn record(report: &Report<'_>) -> Record {
    let calls = report.frames.iter().map(|frame| {
        let module = frame.module.map(usize::from);
        let bias = module.and_then(|index| report.modules.get(index)).map_or(0, |module| module.load_bias);
        let address = ReturnAddress(frame.return_address).call().in_module(LoadBias(bias));
        native::Call { module, address: address.0 }
    });
    let mut record = native::panic(native::Report {
        message: report.message.clone().into_owned(),
        location: report.location.as_ref().map(|location| Location {
            file: location.file.clone().into_owned(),
            line: location.line,
            column: (location.column > 0).then_some(location.column),
        }),
        time_ms: i64::try_from(report.time_us / 1_000).unwrap_or(i64::MAX),
        request_id: report.request_id.clone().map(|id| id.into_owned()),
        modules: report.modules.iter().map(module).collect(),
        calls: calls.collect(),
        truncated: report.flags != Flags::default(),
    });
    if report.lost > 0 {
        record.truncated.insert("earlierReports".to_owned(), u64::from(report.lost));
    }
    record
}

fn module(module: &wire::Module<'_>) -> native::Module {
    let build_id = module.build_id.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string has no way to fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    native::Module {
        path: String::from_utf8_lossy(module.path).into_owned(),
        build_id: Some(build_id).filter(|id| !id.is_empty()),
    }
}
