//! Which frames are the user's own code, and which of them to look at first.

mod libraries;
mod machinery;
mod own;

pub use machinery::trim as trim_panic_machinery;
pub use own::{OwnCode, WordError};

use crate::failure::{Culprit, Frame, Record};

/// Marks every frame as the user's own code or not, and names the culprit: the innermost frame that is.
pub fn find(record: &mut Record, own_code: &OwnCode) {
    if record.stack_trace.is_empty() {
        return;
    }
    record.frames.resize(record.stack_trace.len(), Frame::default());
    let runtime = record.runtime.as_deref();
    for (entry, frame) in record.stack_trace.iter().zip(&mut record.frames) {
        frame.in_app = own_code.is_own(entry, frame.module.as_deref(), runtime);
    }
    let own = record.frames.iter().rposition(|frame| frame.in_app == Some(true));
    record.culprit = own.map(|index| {
        let entry = &record.stack_trace[index];
        Culprit { index, file: entry.file.clone(), line: entry.line, function: entry.function.clone() }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::StackEntry;

    fn record(entries: &[(Option<&str>, &str)]) -> Record {
        let stack_trace = entries
            .iter()
            .map(|(file, function)| StackEntry {
                file: file.map(str::to_owned),
                line: Some(1),
                function: Some((*function).to_owned()),
                source: None,
            })
            .collect();
        Record { stack_trace, ..Record::default() }
    }

    #[test]
    fn the_culprit_is_the_innermost_own_frame() {
        let mut record = record(&[
            (Some("/var/runtime/bootstrap.py"), "main"),
            (Some("/var/task/app.py"), "handler"),
            (Some("/var/task/app.py"), "load"),
            (Some("/var/lang/lib/python3.12/json/decoder.py"), "decode"),
            (Some("/var/task/lib/python3.12/site-packages/x.py"), "y"),
        ]);
        find(&mut record, &OwnCode::default());
        let culprit = record.culprit.unwrap();
        assert_eq!((culprit.index, culprit.function.as_deref()), (2, Some("load")));
        assert_eq!(record.frames[4].in_app, Some(false));
    }

    #[test]
    fn a_frame_that_stayed_bare_is_nobodys() {
        let mut record = Record { stack_trace: vec![StackEntry::default()], ..Record::default() };
        find(&mut record, &OwnCode::default());
        assert_eq!(record.culprit, None);
        assert_eq!(record.frames[0].in_app, None);
    }
}
