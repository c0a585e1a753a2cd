//! Native reports: a panic or crash whose frames are addresses, and nothing but addresses.
//!
//! The record that comes out has one bare entry for each frame (`[null,null,null,null]`), and beside it in `frames`
//! what any later machine needs to name it: module, build-id and the address in the module. Naming happens in
//! `agent`, or much later in `trace-agent symbolize`.

use crate::failure::{Frame, Kind, Location, Record, StackEntry, Witness};
use crate::normalize::FRAMES_MAX;

/// A native failure as its process reported it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What the failure says of itself.
    pub message: String,
    /// Where the panic was raised, as the compiler recorded it.
    pub location: Option<Location>,
    /// When it happened, in milliseconds since 1970.
    pub time_ms: i64,
    /// The invocation, if the process knew it.
    pub request_id: Option<String>,
    /// The programs and libraries that the frames touch.
    pub modules: Vec<Module>,
    /// The calls, most recent first, as unwinders give them.
    pub calls: Vec<Call>,
    /// True if the process had more to say than its report could hold.
    pub truncated: bool,
}

/// A program or library in the process.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// Its path in the process's file system.
    pub path: String,
    /// Its GNU build-id in lower-case hexadecimal, if it has one.
    pub build_id: Option<String>,
}

/// One call of a native stack.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The index into [`Report::modules`]; `None` if no module was mapped there.
    pub module: Option<usize>,
    /// The address of the call (not of the return) in the module's own address space, or in the process if there is
    /// no module.
    pub address: u64,
}

/// Makes the record of a panic.
#[must_use]
pub fn panic(report: Report) -> Record {
    let (stack_trace, frames) =
        report.calls.iter().take(FRAMES_MAX).rev().map(|call| bare(call, &report.modules)).unzip();
    let mut record = Record {
        error_message: report.message,
        error_type: Some("panic".to_owned()),
        stack_trace,
        frames,
        location: report.location,
        kind: Some(Kind::Panic),
        request_id: report.request_id,
        runtime: Some("rust".to_owned()),
        witnesses: vec![Witness::Capture],
        timestamp: Some(crate::complete::rfc3339(report.time_ms)),
        ..Record::default()
    };
    if report.truncated {
        record.truncated.insert("report".to_owned(), 1);
    }
    record
}

fn bare(call: &Call, modules: &[Module]) -> (StackEntry, Frame) {
    let module = call.module.and_then(|index| modules.get(index));
    let frame = Frame {
        module: module.map(|module| module.path.clone()),
        build_id: module.and_then(|module| module.build_id.clone()),
        address: Some(format!("{:#x}", call.address)),
        missing: module.is_none().then(|| "no module is mapped at this address".to_owned()),
        ..Frame::default()
    };
    (StackEntry::default(), frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_recent_call_comes_last() {
        let record = panic(Report {
            message: "no price".into(),
            modules: vec![Module { path: "/var/task/bootstrap".into(), build_id: Some("ab12".into()) }],
            calls: vec![Call { module: Some(0), address: 0x20 }, Call { module: None, address: 0x10 }],
            ..Report::default()
        });
        assert_eq!(record.stack_trace, [StackEntry::default(), StackEntry::default()]);
        assert_eq!(record.frames[1].address.as_deref(), Some("0x20"));
        assert_eq!(record.frames[1].build_id.as_deref(), Some("ab12"));
        assert!(record.frames[0].missing.is_some());
    }
}
