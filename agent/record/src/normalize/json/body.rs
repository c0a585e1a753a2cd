//! An object that is a failure becomes a record: type, message, stack, and the failures behind it.

use serde_json::Value;

use crate::failure::{Cause, Kind, Phase, Record, Relation};
use crate::normalize::json::members::{
    CAUSES, CHAIN, MEMBERS, NESTED, Names, Object, REASONS, SUPPRESSED, first, is_empty, message,
};
use crate::normalize::json::parse::text_of;
use crate::normalize::json::{frames, members};
use crate::normalize::stack;
use crate::normalize::{CAUSES_DEPTH_MAX, CAUSES_MAX, RAW_BYTES_MAX};
use crate::text;

/// The types of errors that say that no handler could be loaded, for Python and Node.
const INIT_TYPES: [&str; 9] = [
    "Runtime.ImportModuleError",
    "Runtime.UserCodeSyntaxError",
    "Runtime.HandlerNotFound",
    "Runtime.MalformedHandlerName",
    "Runtime.BuiltInModuleConflict",
    "Runtime.CallbackHandlerDeprecated",
    "Runtime.MalformedStreamingHandler",
    "Runtime.NoSuchHandler",
    "Runtime.InvalidHandler",
];

/// Makes a record of an object that is a failure.
pub(super) fn record(object: &Object, names: &Names) -> Record {
    let mut left = Left::default();
    let record = failure(object, names, CAUSES_DEPTH_MAX, &mut left);
    left.counted(record)
}

/// Makes a record of a list of failures of which each is behind the one before it.
pub(super) fn chained(failures: &[Value]) -> Option<Record> {
    let (first, behind) = failures.split_first()?;
    let mut left = Left::default();
    let mut record = failure(first.as_object()?, &NESTED, CAUSES_DEPTH_MAX, &mut left);
    record.causes.extend(chain(behind, CAUSES_DEPTH_MAX, &mut left));
    Some(left.counted(record))
}

/// How many causes may still be kept, and what was not.
struct Left {
    causes: usize,
    causes_cut: u64,
    frames_cut: u64,
}

impl Default for Left {
    fn default() -> Self {
        Self { causes: CAUSES_MAX, causes_cut: 0, frames_cut: 0 }
    }
}

impl Left {
    /// Takes one more cause, if there is room for it.
    fn take(&mut self, depth: usize) -> bool {
        let has_room = depth > 0 && self.causes > 0;
        if has_room {
            self.causes -= 1;
        } else {
            self.causes_cut += 1;
        }
        has_room
    }

    /// A cause does not count what was cut of it: the record does.
    fn cause(&mut self, record: Record, relation: Relation) -> Cause {
        self.frames_cut += record.truncated.get("stackTrace").copied().unwrap_or_default();
        stack::cause(record, relation)
    }

    fn counted(self, mut record: Record) -> Record {
        for (member, cut) in [("causes", self.causes_cut), ("stackTrace", self.frames_cut)] {
            if cut > 0 {
                *record.truncated.entry(member.to_owned()).or_default() += cut;
            }
        }
        record
    }
}

/// One failure with those behind it, down to `depth` levels.
fn failure(object: &Object, names: &Names, depth: usize, left: &mut Left) -> Record {
    let error_type = members::error_type(object, names.error_type).map(str::to_owned);
    let said = message(object, names.message);
    let stack = first(object, names.stack);
    let mut record = stack
        .and_then(|stack| frames::read(stack, error_type.as_deref(), said.as_deref()))
        .unwrap_or_else(|| Record { raw: stack.and_then(unread), ..Record::default() });
    record.error_type = record.error_type.or(error_type);
    let from_text = std::mem::take(&mut record.error_message);
    let causes = causes(object, depth, left);
    if !causes.is_empty() {
        record.causes = causes;
    }
    record.error_message = own_message(said.unwrap_or(from_text), stack, &record.causes);
    // Python's notes stand below the message.
    let notes = object.get("exc_notes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for note in notes.iter().filter_map(Value::as_str) {
        record.error_message.push('\n');
        record.error_message.push_str(note);
    }
    clean_type(&mut record);
    record
}

/// A stack that nobody reads, as it came.
fn unread(stack: &Value) -> Option<String> {
    let lines = match stack {
        Value::Array(entries) => {
            let lines: Vec<&str> = entries.iter().filter_map(Value::as_str).collect();
            lines.join("\n")
        }
        stack => text_of(stack)?.into_owned(),
    };
    (!lines.is_empty()).then(|| text::prefix(&lines, RAW_BYTES_MAX).to_owned())
}

/// The message without that of the cause, which pino appends to it as it does with the stacks.
fn own_message(mut said: String, stack: Option<&Value>, causes: &[Cause]) -> String {
    let is_joined = stack.and_then(Value::as_str).is_some_and(|stack| stack.contains(frames::CAUSED_BY));
    let Some(cause) = causes.last().filter(|cause| is_joined && !cause.error_message.is_empty()) else {
        return said;
    };
    if let Some(at) = said.rfind(&cause.error_message)
        && let Some(own) = said[..at].strip_suffix(": ")
    {
        said.truncate(own.len());
    }
    said
}

/// The failures behind this one, wherever they stand in it.
fn causes(object: &Object, depth: usize, left: &mut Left) -> Vec<Cause> {
    if let Some(Value::Array(failures)) = object.get(CHAIN) {
        return chain(failures, depth, left).into_iter().collect();
    }
    let list = |names| first(object, names).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let members = list(&MEMBERS).iter().filter(|value| is_full_failure(value));
    let mut causes: Vec<Cause> =
        members.filter_map(|value| cause(value, Relation::Member, depth, left)).collect();
    // .NET repeats the first member as the cause.
    if causes.is_empty() {
        let behind = CAUSES.iter().filter_map(|name| object.get(*name)).find(|value| is_failure(value));
        let reason = REASONS.iter().filter_map(|name| object.get(*name)).find(|value| is_full_failure(value));
        causes.extend(behind.or(reason).and_then(|value| cause(value, Relation::Cause, depth, left)));
    }
    let suppressed = list(&SUPPRESSED).iter().filter(|value| is_full_failure(value));
    causes.extend(suppressed.filter_map(|value| cause(value, Relation::Suppressed, depth, left)));
    causes
}

/// One failure behind another: an object, a list in which each is behind the one before it, or the text of something that was
/// thrown and is no error.
fn cause(value: &Value, otherwise: Relation, depth: usize, left: &mut Left) -> Option<Cause> {
    if let Value::Array(failures) = value {
        return chain(failures, depth, left).map(|cause| Cause { relation: Some(otherwise), ..cause });
    }
    if !left.take(depth) {
        return None;
    }
    let Value::Object(object) = value else {
        let error_message = text_of(value)?.into_owned();
        return Some(Cause { error_message, relation: Some(otherwise), ..Cause::default() });
    };
    let record = failure(object, &NESTED, depth - 1, left);
    Some(left.cause(record, relation(object).unwrap_or(otherwise)))
}

/// A flat list: each failure is behind the one before it.
fn chain(failures: &[Value], depth: usize, left: &mut Left) -> Option<Cause> {
    let mut causes = Vec::new();
    for object in failures.iter().filter_map(Value::as_object) {
        let depth = depth.saturating_sub(causes.len());
        if left.take(depth) {
            let record = failure(object, &NESTED, depth - 1, left);
            causes.push(left.cause(record, relation(object).unwrap_or(Relation::Cause)));
        }
    }
    while causes.len() > 1 {
        let inner = causes.pop();
        if let Some(outer) = causes.last_mut() {
            outer.causes.extend(inner);
        }
    }
    causes.pop()
}

/// What a failure says of how it stands to the one before it: our own records name the relation, structlog knows two.
fn relation(object: &Object) -> Option<Relation> {
    match (object.get("relation"), object.get("is_cause")) {
        (Some(named), _) => serde_json::from_value(named.clone()).ok(),
        (None, Some(Value::Bool(false))) => Some(Relation::Context),
        _ => None,
    }
}

/// True for a value under a name that means a cause, if it tells of anything: an object with a type or a stack, or a text.
fn is_failure(value: &Value) -> bool {
    match value {
        Value::Object(object) => {
            members::error_type(object, NESTED.error_type).is_some() || is_full_failure(value)
        }
        Value::String(_) => !is_empty(value),
        _ => false,
    }
}

/// True for a value that is a failure by itself, so that it is one under a name that may mean something else, as `errors` does for
/// those who check forms.
fn is_full_failure(value: &Value) -> bool {
    match value {
        Value::Object(object) => {
            ["errorType", "errorMessage", "exc_type"].iter().any(|name| object.contains_key(*name))
                || first(object, NESTED.stack).is_some()
        }
        Value::Array(failures) => {
            failures.first().is_some_and(|first| first.is_object() && is_full_failure(first))
        }
        _ => false,
    }
}

/// Takes apart what a client wrote into the type beside the type's name, and learns from it.
fn clean_type(record: &mut Record) {
    let Some(posted) = record.error_type.as_deref() else { return };
    // Ruby's client: `Function<ArgumentError>` and `Init<LoadError>`.
    for (wrapper, phase) in [("Function<", Phase::Invoke), ("Init<", Phase::Init)] {
        if let Some(name) = posted.strip_prefix(wrapper).and_then(|rest| rest.strip_suffix('>')) {
            let name = name.to_owned();
            record.raw_error_type = record.error_type.replace(name);
            record.phase = Some(phase);
            record.runtime.get_or_insert_with(|| "ruby".to_owned());
            return;
        }
    }
    if INIT_TYPES.contains(&posted) {
        record.phase = Some(Phase::Init);
    }
    // Rust's client posts the name of a reference's type.
    if posted.starts_with('&') {
        if posted.contains("dyn core::any::Any") || posted.contains("dyn std::any::Any") {
            record.kind = Some(Kind::Panic);
        }
        record.runtime.get_or_insert_with(|| "rust".to_owned());
    }
}
