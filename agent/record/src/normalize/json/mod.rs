//! JSON that tells of a failure: the body that a runtime posts, and the log line of a runtime or a logger.
//!
//! ```json
//! {"errorMessage":"I failed!","stackTrace":[["/var/task/lambda_function.py",3,"my_always_fails_handler","raise Exception('I failed!')"]],"errorType":"Exception"}
//! {"level":"ERROR","requestId":"8f50…","message":{"errorType":"NotFoundError","errorMessage":"item 42 not found","stackTrace":["NotFoundError: …","    at load (/var/task/index.js:8:19)"]}}
//! {"level":"error","event":"order failed","exception":"Traceback (most recent call last):\n…"}
//! ```
//!
//! An object passes through these, in this order:
//!
//! - `parse`: bytes become values, within bounds; `repair`: what is not quite JSON is put right.
//! - `members`: what all the writers call a type, a message, a stack.
//! - `frames`: a stack, whatever its shape. Strings go to the languages, which know their own frames.
//! - `body`: a failure with those behind it.
//! - `log_line`: where in a log line a failure stands, and what the logger says around it.
//! - `pretty`: JSON over several lines of a stream.

mod repair;
pub(crate) mod parse;
mod members;
mod frames;
mod body;
mod log_line;
pub(crate) mod pretty;

use std::sync::LazyLock;

use crate::failure::Record;
use crate::normalize::RAW_BYTES_MAX;
use crate::normalize::language::{Claim, Held, Language, Opening, State, posts_nothing};
use crate::normalize::line::Line;
use crate::text;
use crate::words::Words;
use members::{Object, POSTED, string};
use parse::Rest;

/// JSON log lines, and JSON that is printed over several lines.
pub(crate) static LANGUAGE: Language = Language {
    name: "json",
    begins: b"{",
    // An object that goes on below has no sign but its end.
    signs: &[],
    opens,
    continues,
    read: |text| read(unlabelled(text).as_bytes()),
    posted: posts_nothing,
};

/// Reads a JSON object that tells of a failure by itself: it has an `errorType`, or an `errorMessage` with a stack, or one of
/// the shapes in which loggers write errors.
#[must_use]
pub fn read(json: &[u8]) -> Option<Record> {
    from_object(&parse::object(json)?.0)
}

/// Reads a text that is one JSON object and nothing else, so that it may be a posted body that says less than a log line must.
#[must_use]
pub fn read_whole(json: &[u8]) -> Option<Record> {
    let (object, rest) = parse::object(json)?;
    if rest == Rest::More {
        return None;
    }
    from_object(&object).or_else(|| is_bare_body(&object).then(|| body::record(&object, &POSTED)))
}

/// Reads a list of failures, such as our own records in an array. Nothing else may be in it.
#[must_use]
pub fn read_list(json: &[u8]) -> Option<Vec<Record>> {
    let (values, rest) = parse::array(json)?;
    if values.is_empty() || rest == Rest::More {
        return None;
    }
    values.iter().map(|value| from_object(value.as_object()?)).collect()
}

/// Reads what was posted as an error, so that it is one whatever it holds.
#[must_use]
pub fn read_posted(json: &[u8]) -> Option<Record> {
    let Some((object, _)) = parse::object(json) else {
        return frames::printed(&String::from_utf8_lossy(json));
    };
    if let Some(record) = from_object(&object) {
        return Some(record);
    }
    let mut record = body::record(&object, &POSTED);
    if record.error_message.is_empty()
        && let Some(message) = string(&object, &members::TEXTS)
    {
        message.clone_into(&mut record.error_message);
    }
    log_line::context(&object, &mut record);
    if !is_bare_body(&object) {
        record.raw = Some(text::prefix(&String::from_utf8_lossy(json), RAW_BYTES_MAX).to_owned());
    }
    Some(record)
}

fn from_object(object: &Object) -> Option<Record> {
    own(object).or_else(|| log_line::read(object))
}

/// Our own record, or one of a later version: every member is kept.
fn own(object: &Object) -> Option<Record> {
    let is_own =
        object.get("schema").is_some_and(serde_json::Value::is_u64) && object.contains_key("errorMessage");
    if !is_own {
        return None;
    }
    // By the road of every record that is read: a second one is a hundred kilobytes of the layer.
    serde_json::from_str(&serde_json::to_string(object).ok()?).ok()
}

/// True for what Java's client posts of a handler that it cannot use, and .NET's of an error that is too long: a message alone.
fn is_bare_body(object: &Object) -> bool {
    const NAMES: [&str; 6] = ["errorMessage", "errorType", "stackTrace", "trace", "requestId", "cause"];
    object.get("errorMessage").is_some_and(serde_json::Value::is_string)
        && object.keys().all(|name| NAMES.contains(&name.as_str()))
}

/// What one of must stand in a line before it is parsed: most log lines are objects, and few of them tell of a failure.
static TELLING: LazyLock<Words> = LazyLock::new(|| {
    Words::new(&[
        "rror",
        "tack",
        "xception",
        "err\"",
        "throw",
        "@x\"",
        "exc_",
        "Traceback",
        "\\n",
        "\\r",
        "reportLocation",
    ])
});

fn opens(line: &Line<'_>, _: &Held<'_>) -> Option<Opening> {
    let text = unlabelled(line.trimmed());
    if !text.starts_with('{') {
        return None;
    }
    let tells = || TELLING.any_in(text);
    if text.ends_with('}') && !tells() {
        return None;
    }
    match pretty::depth(0, text) {
        Some(0) => {
            let (object, _) = parse::object(text.as_bytes())?;
            (own(&object).is_some() || log_line::may_be_failure(&object)).then_some(Opening::Whole)
        }
        Some(depth) => {
            let is_json = matches!(text[1..].trim_start().as_bytes().first(), None | Some(b'"'));
            is_json.then_some(Opening::Here(State(depth)))
        }
        None => None,
    }
}

fn continues(State(depth): State, line: &Line<'_>) -> Claim {
    match pretty::depth(depth, line.raw) {
        Some(0) => Claim::Last,
        Some(depth) => Claim::Likely(State(depth)),
        None => Claim::No,
    }
}

/// The object in a line whose writer put a label before it: `Invoke Error \t{"errorType":…` (Node's client, bref).
fn unlabelled(text: &str) -> &str {
    /// The longest label.
    const LABEL_BYTES_MAX: usize = 64;
    let start = text.as_bytes();
    let start = &start[..start.len().min(LABEL_BYTES_MAX)];
    if start.first() == Some(&b'{') {
        return text;
    }
    match memchr::memchr(b'{', start) {
        Some(brace)
            if text[..brace].ends_with('\t')
                && text[brace..].starts_with("{\"")
                && !start[..brace].contains(&b'\n') =>
        {
            &text[brace..]
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests;
