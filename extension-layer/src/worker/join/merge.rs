//! Joining what several witnesses saw of one failure.
//!
//! Which witness wins for which member is the table in ARCHITECTURE.md, under "When is a failure complete?". A member that the
//! best witness does not know comes from the next one.

use trace_record::Record;
use trace_record::failure::{Kind, Witness};

/// Adds what `other` saw to `into`.
pub(super) fn merge(into: &mut Record, other: Record) {
    let (mut best, mut rest) =
        if rank(&other) > rank(into) { (other, std::mem::take(into)) } else { (std::mem::take(into), other) };
    if best.error_type != rest.error_type && rest.witnesses.contains(&Witness::RuntimeApi) {
        best.raw_error_type = best.raw_error_type.or(rest.error_type.take());
    }
    let is_said = rest.error_type.as_deref() == Some("Runtime.OutOfMemory");
    // The log only knows that the process ended.
    if rest.kind == Some(Kind::Oom) && (is_said || matches!(best.kind, Some(Kind::Exit | Kind::Signal))) {
        best.kind = rest.kind.take();
    }
    if is_said && best.error_type.as_deref() == Some("Runtime.ExitError") {
        best.error_type = rest.error_type.take();
    }
    best.error_type = best.error_type.or(rest.error_type);
    if best.error_message.is_empty() {
        best.error_message = rest.error_message;
    }
    if best.stack_trace.is_empty() {
        best.stack_trace = rest.stack_trace;
        best.frames = rest.frames;
    }
    if best.causes.is_empty() {
        best.causes = rest.causes;
    }
    best.request_id = best.request_id.or(rest.request_id);
    best.kind = best.kind.or(rest.kind);
    best.phase = best.phase.or(rest.phase);
    best.exit = best.exit.or(rest.exit);
    best.location = best.location.or(rest.location);
    best.runtime = best.runtime.or(rest.runtime);
    best.timestamp = best.timestamp.or(rest.timestamp);
    best.raw = best.raw.or(rest.raw);
    best.handled = if best.handled == Some(false) { best.handled } else { rest.handled.or(best.handled) };
    best.truncated.append(&mut rest.truncated);
    best.witnesses.append(&mut rest.witnesses);
    best.witnesses.sort_unstable();
    best.witnesses.dedup();
    *into = best;
}

/// The best of a record's witnesses.
fn rank(record: &Record) -> u8 {
    record.witnesses.iter().map(|witness| authority(*witness)).max().unwrap_or(0)
}

/// Whose word on type, message and stack counts most.
fn authority(witness: Witness) -> u8 {
    match witness {
        Witness::Capture | Witness::Signal => 3,
        Witness::RuntimeApi => 2,
        Witness::Log => 1,
        Witness::Platform => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trace_record::failure::StackEntry;

    #[test]
    fn the_hook_has_the_stack_and_the_body_the_type_that_clients_know() {
        let hook = Record {
            error_message: "no price".into(),
            error_type: Some("panic".into()),
            stack_trace: vec![StackEntry::default(); 3],
            witnesses: vec![Witness::Capture],
            ..Record::default()
        };
        let body = Record {
            error_message: "Lambda panicked: no price".into(),
            error_type: Some("lambda_runtime::diagnostic::Panic".into()),
            request_id: Some("r1".into()),
            handled: Some(false),
            witnesses: vec![Witness::RuntimeApi],
            ..Record::default()
        };
        for (mut first, second) in [(hook.clone(), body.clone()), (body, hook)] {
            merge(&mut first, second);
            assert_eq!((first.error_message.as_str(), first.stack_trace.len()), ("no price", 3));
            assert_eq!(first.error_type.as_deref(), Some("panic"));
            assert_eq!(first.raw_error_type.as_deref(), Some("lambda_runtime::diagnostic::Panic"));
            assert_eq!(first.handled, Some(false));
            assert_eq!(first.witnesses, [Witness::RuntimeApi, Witness::Capture]);
        }
    }
}
