//! Do two witnesses tell of the same failure?
//!
//! They do if it is the same request (or both times the initialization), and their words agree:
//!
//! - The platform knows *that* something failed, seldom why. Its word belongs to whatever else is told of the request; but
//!   a deadline that passed is a failure of its own, whatever was logged before.
//! - A witness without words (a body that no reader takes) cannot disagree.
//! - The panic hook has the bare message, which the runtime posts as `Lambda panicked: <message>`.
//! - All others say the same type and the same message, or as much of it as a log's longest line holds. How its lines end, and whether any are
//!   empty, is not compared: a log has lines, and what stands between two of them is lost on the way.
//! - Node's client posts a thrown value that is no error under its `typeof`, and logs it as an `Error`.

use trace_record::Record;
use trace_record::failure::{Kind, Phase, Witness};

/// Bytes of a message's end that are compared. Messages of a mebibyte are not kept for the sake of late witnesses.
const MESSAGE_BYTES_MAX: usize = 1024;

/// Bytes of the shortest line that a log may have cut: Lambda's emulator does it at 64 KiB, Lambda itself at 256.
const LOG_LINE_BYTES_MIN: usize = 60 * 1024;

/// What Node's client calls a thrown value that is no error: whatever `typeof` says.
const VALUES: [&str; 8] =
    ["string", "number", "boolean", "object", "undefined", "function", "symbol", "bigint"];

/// What a failure is recognized by. Its message is that of [`said`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Features {
    request_id: Option<String>,
    is_init: bool,
    kind: Option<Kind>,
    error_type: Option<String>,
    message_bytes: usize,
    message_begin: Vec<u8>,
    message_end: Vec<u8>,
    /// The message as it is, if it is short.
    words: String,
    has_stack: bool,
    /// True if somebody said why it happened.
    is_explained: bool,
    witnesses: Vec<Witness>,
}

impl Features {
    pub(super) fn of(record: &Record) -> Self {
        let said = said(&record.error_message);
        let message = said.as_bytes();
        let is_short = record.error_message.len() <= MESSAGE_BYTES_MAX;
        let is_explained = record.witnesses.iter().any(|witness| *witness != Witness::Platform);
        Self {
            request_id: record.request_id.clone(),
            is_init: record.phase == Some(Phase::Init),
            kind: record.kind.clone(),
            error_type: record.error_type.clone(),
            message_bytes: message.len(),
            message_begin: message[..message.len().min(MESSAGE_BYTES_MAX)].to_vec(),
            message_end: message[message.len().saturating_sub(MESSAGE_BYTES_MAX)..].to_vec(),
            words: if is_short { record.error_message.clone() } else { String::new() },
            has_stack: !record.stack_trace.is_empty(),
            is_explained,
            witnesses: record.witnesses.clone(),
        }
    }

    /// True if `late`, which tells of this failure too, knows what its record does not: calls, words, or that the memory ran out.
    pub(super) fn is_amended_by(&self, late: &Features) -> bool {
        late.has_stack && !self.has_stack
            || late.is_explained && !self.is_explained && late.error_type.is_some()
            || late.kind == Some(Kind::Oom) && matches!(self.kind, Some(Kind::Exit | Kind::Signal))
    }

    /// Takes note of what `late` told.
    pub(super) fn amend(&mut self, late: &Features) {
        self.has_stack |= late.has_stack;
        self.is_explained |= late.is_explained;
        if late.kind == Some(Kind::Oom) {
            self.kind.clone_from(&late.kind);
        }
    }

    /// The words of the failure, as far as they are known here, for a `late` witness that has none.
    pub(super) fn lend_words(&self, late: &mut Record) {
        if late.error_message.is_empty() {
            late.error_message.clone_from(&self.words);
        }
    }

    /// The request that failed.
    pub(super) fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// True if only the platform tells of it.
    pub(super) fn is_platforms(&self) -> bool {
        self.is_only(Witness::Platform)
    }

    /// True if `other` tells of the same failure.
    pub(super) fn is_same(&self, other: &Features) -> bool {
        let is_elsewhere = self.request_id != other.request_id && !(self.is_init && other.is_init);
        if is_elsewhere && !self.is_anonymous_hooks_of(other) && !other.is_anonymous_hooks_of(self) {
            return false;
        }
        match (self.is_platforms(), other.is_platforms()) {
            (true, true) => return true,
            (true, false) => return self.may_explain(other),
            (false, true) => return other.may_explain(self),
            (false, false) => {}
        }
        if self.is_wordless() || other.is_wordless() {
            return true;
        }
        match (self.is_only(Witness::Capture), other.is_only(Witness::Capture)) {
            (true, false) => other.message_end.ends_with(&self.message_end),
            (false, true) => self.message_end.ends_with(&other.message_end),
            _ => {
                let is_equal =
                    (self.message_bytes, &self.message_end) == (other.message_bytes, &other.message_end);
                self.has_type_of(other)
                    && (is_equal || self.is_beginning_of(other) || other.is_beginning_of(self))
            }
        }
    }

    /// True if `late` tells of this failure, which is complete already.
    ///
    /// Two look like late witnesses and are not. A runtime posts one error for an invocation, so a second one is that of
    /// another attempt: Lambda tries an asynchronous event again under the same id. And the end of the process is not
    /// explained by what the function logged long before and went on.
    pub(super) fn is_told_again_by(&self, late: &Features) -> bool {
        let is_next_attempt = self.is_seen_by(Witness::RuntimeApi) && late.is_seen_by(Witness::RuntimeApi);
        let is_end = late.is_platforms() && late.kind.is_some();
        self.is_same(late) && !is_next_attempt && (!is_end || self.has_ended_it())
    }

    /// True if the request is known to have ended with this failure.
    pub(super) fn has_ended_it(&self) -> bool {
        self.is_seen_by(Witness::RuntimeApi) || self.is_seen_by(Witness::Platform)
    }

    /// True if the hook saw this, which does not know the request, and the program told the same words as `other`: Managed Instances tell an
    /// extension of no invocations.
    fn is_anonymous_hooks_of(&self, other: &Features) -> bool {
        self.request_id.is_none()
            && self.is_only(Witness::Capture)
            && self.message_bytes > 0
            && other.message_end.ends_with(&self.message_end)
    }

    /// True if the platform's word `self` may be of the failure that `other` saw.
    fn may_explain(&self, other: &Features) -> bool {
        self.kind != Some(Kind::Timeout) || other.kind == Some(Kind::Timeout)
    }

    /// True if both name one type.
    fn has_type_of(&self, other: &Features) -> bool {
        let is_value = |posted: &Features, logged: &Features| {
            posted.is_seen_by(Witness::RuntimeApi)
                && posted.error_type.as_deref().is_some_and(|name| VALUES.contains(&name))
                && logged.is_only(Witness::Log)
                && logged.error_type.as_deref() == Some("Error")
        };
        self.error_type == other.error_type || is_value(self, other) || is_value(other, self)
    }

    /// True if this is what is left of `other` in a log: one that cuts its lines, or in which only the first ones are known to be the message's; or
    /// that names the type alone, as Java's client does of a class that cannot be loaded.
    fn is_beginning_of(&self, other: &Features) -> bool {
        let is_cut = (LOG_LINE_BYTES_MIN..other.message_bytes).contains(&self.message_bytes);
        let rest = other.message_begin.strip_prefix(&*self.message_begin);
        let is_whole = self.message_bytes == self.message_begin.len();
        let has_first_lines = is_whole && rest.is_some_and(|rest| rest.starts_with(b"\n"));
        self.is_only(Witness::Log) && (is_cut || has_first_lines || self.message_bytes == 0)
    }

    fn is_wordless(&self) -> bool {
        self.error_type.is_none() && self.message_bytes == 0
    }

    fn is_seen_by(&self, witness: Witness) -> bool {
        self.witnesses.contains(&witness)
    }

    fn is_only(&self, witness: Witness) -> bool {
        self.witnesses.iter().all(|seen| *seen == witness)
    }
}

/// The lines of a message that say something.
fn said(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(witness: Witness, error_type: &str, message: &str) -> Features {
        Features::of(&Record {
            request_id: Some("r1".into()),
            error_type: Some(error_type.to_owned()).filter(|name| !name.is_empty()),
            error_message: message.into(),
            witnesses: vec![witness],
            ..Record::default()
        })
    }

    fn of_kind(kind: Kind, features: Features) -> Features {
        Features { kind: Some(kind), ..features }
    }

    #[test]
    fn words_decide_and_a_witness_without_words_agrees() {
        let body = told(Witness::RuntimeApi, "E", "m");
        assert!(body.is_same(&told(Witness::Log, "E", "m")));
        assert!(!body.is_same(&told(Witness::Log, "E", "n")));
        assert!(!body.is_same(&told(Witness::Log, "F", "m")));
        let lines = told(Witness::RuntimeApi, "E", "m\nn");
        assert!(
            lines.is_same(&told(Witness::Log, "E", "m")) && !lines.is_same(&told(Witness::Log, "E", "n"))
        );
        assert!(body.is_same(&told(Witness::Log, "E", "")) && !body.is_same(&told(Witness::Log, "F", "")));
        assert!(body.is_same(&told(Witness::Platform, "Runtime.Unknown", "")));
        assert!(told(Witness::RuntimeApi, "", "").is_same(&told(Witness::Log, "E", "m")));
        assert!(!body.is_same(&Features { request_id: Some("r2".into()), ..body.clone() }));
    }

    #[test]
    fn what_a_log_loses_between_lines_is_not_compared() {
        for (posted, logged) in [
            ("a\nb\n", "a\nb"),
            ("a\n\nb", "a\nb"),
            ("a \r\n\n\nb\nc", "a\nb"),
            ("\na", "a"),
            ("a\nb", "a\n"),
        ] {
            let (body, log) = (told(Witness::RuntimeApi, "E", posted), told(Witness::Log, "E", logged));
            assert!(body.is_same(&log) && log.is_same(&body), "{posted:?} {logged:?}");
        }
        let body = told(Witness::RuntimeApi, "E", "ab\nc");
        assert!(!body.is_same(&told(Witness::Log, "E", "a")));
    }

    #[test]
    fn a_thrown_value_is_an_error_in_nodes_log() {
        let log = told(Witness::Log, "Error", "null");
        assert!(told(Witness::RuntimeApi, "object", "null").is_same(&log));
        assert!(!told(Witness::RuntimeApi, "object", "text").is_same(&log));
        assert!(!told(Witness::RuntimeApi, "TypeError", "null").is_same(&log));
    }

    #[test]
    fn the_hooks_message_is_found_in_what_the_runtime_posts() {
        let long = "x".repeat(5_000);
        for message in ["no price", &long] {
            let hook = told(Witness::Capture, "panic", message);
            let posted =
                told(Witness::RuntimeApi, "lambda_runtime::E", &format!("Lambda panicked: {message}"));
            assert!(hook.is_same(&posted) && posted.is_same(&hook));
            assert!(!hook.is_same(&told(Witness::RuntimeApi, "E", "another")));
        }
    }

    #[test]
    fn a_hook_that_knows_no_request_is_found_by_its_words() {
        let hook = Features { request_id: None, ..told(Witness::Capture, "panic", "no price") };
        let log = told(Witness::Log, "panic", "no price");
        assert!(hook.is_same(&log) && log.is_same(&hook));
        assert!(!hook.is_same(&told(Witness::Log, "panic", "another")));
        assert!(!hook.is_same(&told(Witness::Platform, "Runtime.Unknown", "")));
    }

    #[test]
    fn a_deadline_that_passed_is_a_failure_of_its_own() {
        let timeout = of_kind(Kind::Timeout, told(Witness::Platform, "Sandbox.Timedout", ""));
        assert!(!timeout.is_same(&told(Witness::Log, "E", "m")));
        assert!(
            timeout
                .is_same(&of_kind(Kind::Timeout, told(Witness::Log, "Sandbox.Timedout", "Task timed out")))
        );
        assert!(timeout.is_same(&told(Witness::Platform, "", "")));
    }

    #[test]
    fn late_witnesses_are_told_from_new_failures() {
        let exit = of_kind(Kind::Exit, told(Witness::Platform, "Runtime.ExitError", ""));
        let (body, log) = (told(Witness::RuntimeApi, "E", "m"), told(Witness::Log, "E", "m"));
        assert!(body.is_told_again_by(&log));
        assert!(body.is_told_again_by(&exit));
        assert!(log.is_told_again_by(&told(Witness::Platform, "Runtime.Unknown", "")));
        assert!(!log.is_told_again_by(&exit), "the process ended after it was logged");
        assert!(log.is_told_again_by(&body));
        assert!(!body.is_told_again_by(&body), "another attempt of the same request");
    }
}
