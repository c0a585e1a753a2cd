//! Failures inside a success: what a response says that Lambda takes for a good one.
//!
//! A batch names the items that are to be tried again (AWS Lambda Developer Guide, "Implementing partial batch responses"), and a durable
//! execution says that it ended in a failure ("Durable functions"). Nothing else in a response is a failure: what a status of 500 in an answer to a
//! web request means is the function's own affair.

use serde_json::{Map, Value, json};

use crate::Record;
use crate::failure::{Kind, Phase, Witness};
use crate::normalize;
use crate::normalize::json::parse;
use crate::text;

/// The `errorType` of a batch of which items failed; the service's own name for the list.
pub const BATCH_ERROR_TYPE: &str = "BatchItemFailures";

/// How many items are named; `failed` says how many there were.
const ITEMS_MAX: usize = 10;

/// The longest identifier that is copied, in bytes. Message ids and sequence numbers are far shorter.
const IDENTIFIER_BYTES_MAX: usize = 128;

/// The failure of a batch, by its response, which may be cut. `None` if no item failed.
///
/// The record's `trigger` says how many items `failed` and names the first as `failedItems`; of an item that cannot be told by its identifier,
/// the service takes the whole batch to have failed, and so does the message.
#[must_use]
pub fn batch(response: &[u8]) -> Option<Record> {
    let (response, rest) = parse::object(response)?;
    let items = response.get("batchItemFailures")?.as_array().filter(|items| !items.is_empty())?;
    let is_cut = rest == parse::Rest::Cut;
    let named: Vec<&str> = items.iter().filter_map(identifier).collect();
    let count = items.len();
    let error_message = if named.len() < count && !is_cut {
        "the whole batch failed: an entry of batchItemFailures names no item".to_owned()
    } else {
        let at_least = if is_cut { "at least " } else { "" };
        format!("{at_least}{count} {} of the batch failed", if count == 1 { "item" } else { "items" })
    };
    let first: Vec<&str> =
        named.iter().take(ITEMS_MAX).map(|name| text::prefix(name, IDENTIFIER_BYTES_MAX)).collect();
    let mut trigger = Map::new();
    trigger.insert("failed".to_owned(), json!(count));
    trigger.insert("failedItems".to_owned(), json!(first));
    Some(Record {
        error_message,
        error_type: Some(BATCH_ERROR_TYPE.to_owned()),
        kind: Some(Kind::PartialBatch),
        phase: Some(Phase::Invoke),
        witnesses: vec![Witness::RuntimeApi],
        trigger: Some(trigger),
        ..Record::default()
    })
}

fn identifier(item: &Value) -> Option<&str> {
    item.get("itemIdentifier")?.as_str().filter(|name| !name.is_empty())
}

/// The failure in which a durable execution ended, by its response. `None` if it did not end in one: waiting and trying again are how it
/// works, and an execution fails once.
#[must_use]
pub fn durable(response: &[u8]) -> Option<Record> {
    let (response, _) = parse::object(response)?;
    if response.get("Status")?.as_str()? != "FAILED" {
        return None;
    }
    let error = response.get("Error").and_then(Value::as_object).cloned().unwrap_or_default();
    let of = |name| error.get(name).cloned().unwrap_or(Value::Null);
    let posted = json!({
        "errorMessage": of("ErrorMessage"),
        "errorType": of("ErrorType"),
        "stackTrace": of("StackTrace"),
    });
    let mut record = normalize::posted(posted.to_string().as_bytes());
    record.kind = record.kind.or(Some(Kind::Exception));
    record.phase = Some(Phase::Invoke);
    record.handled = Some(false);
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_says_how_many_items_failed_and_which() {
        let record = batch(br#"{"batchItemFailures":[{"itemIdentifier":"id2"},{"itemIdentifier":"id4"}]}"#);
        let record = record.expect("items failed");
        assert_eq!(record.error_message, "2 items of the batch failed");
        assert_eq!(record.kind, Some(Kind::PartialBatch));
        assert_eq!(
            record.trigger.map(Value::Object),
            Some(json!({"failed": 2, "failedItems": ["id2", "id4"]}))
        );
        let one = batch(br#"{"batchItemFailures":[{"itemIdentifier":"id2"}]}"#).expect("an item failed");
        assert_eq!(one.error_message, "1 item of the batch failed");
    }

    #[test]
    fn an_item_without_a_name_means_all_of_them() {
        for item in [r#"{"itemIdentifier":""}"#, r#"{"itemIdentifier":null}"#, r#"{"id":"1"}"#, "1"] {
            let response = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"1"}},{item}]}}"#);
            let record = batch(response.as_bytes()).expect("items failed");
            assert!(record.error_message.starts_with("the whole batch failed"), "{item}");
        }
    }

    #[test]
    fn a_good_batch_is_no_failure_and_a_cut_one_says_so() {
        for good in [r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#, "{}", "null", "", "[1]"]
        {
            assert!(batch(good.as_bytes()).is_none(), "{good}");
        }
        let items = r#"{"itemIdentifier":"4959"},"#.repeat(3);
        let record = batch(format!(r#"{{"batchItemFailures":[{items}{{"itemId"#).as_bytes());
        let message = record.expect("items failed").error_message;
        assert!(
            message.starts_with("at least 3 items") || message.starts_with("at least 4 items"),
            "{message}"
        );
    }

    #[test]
    fn a_durable_execution_fails_once() {
        // The body that aws-durable-execution-sdk-python 3.0.0 returns.
        let response =
            br#"{"Status": "FAILED", "Error": {"ErrorMessage": "I failed!", "ErrorType": "Exception"}}"#;
        let record = durable(response).expect("it failed");
        assert_eq!((&*record.error_message, record.error_type.as_deref()), ("I failed!", Some("Exception")));
        assert_eq!((record.kind, record.handled), (Some(Kind::Exception), Some(false)));
        for good in ["SUCCEEDED", "PENDING", "RETRY"] {
            assert!(durable(format!(r#"{{"Status":"{good}"}}"#).as_bytes()).is_none());
        }
        assert!(durable(br#"{"Status":"FAILED"}"#).is_some_and(|record| record.error_type.is_none()));
    }
}
