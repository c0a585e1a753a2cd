//! What the function logged: where a failure's text begins and ends, and to which request it belongs.

use trace_record::Record;
use trace_record::normalize::lines::{Block, Detector};
use trace_record::normalize::telemetry::{Event, What};

use super::witness;

/// Where a line came from, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// The number of its frame.
    pub(super) sequence: u64,
    /// When that came, in milliseconds since 1970.
    pub(super) now_ms: i64,
    /// The request that logged it, as far as its batch tells.
    pub(super) request_id: Option<String>,
    /// When it was logged, in milliseconds since 1970.
    pub(super) time_ms: Option<i64>,
    /// Its number among all lines, see [`super::tail`].
    pub(super) number: u64,
}

/// The lines that may be the beginning of a failure's text.
#[derive(Default)]
pub(super) struct Lines {
    detector: Detector<Origin>,
}

impl Lines {
    /// Where the lines began that may still become a failure, if there are any: their frame must not be acknowledged yet.
    pub(super) fn open(&self) -> Option<&Origin> {
        self.detector.is_open().then(|| self.detector.held()).flatten()
    }

    /// Takes the lines of one event, and gives the failures that they complete, each with the origin of its first line.
    pub(super) fn take(&mut self, text: &str, origin: &Origin) -> Vec<(Record, Origin)> {
        self.detector.event(text, origin).into_iter().filter_map(read).collect()
    }

    /// Closes what is open: nothing follows it.
    pub(super) fn finish(&mut self) -> Vec<(Record, Origin)> {
        self.detector.finish().into_iter().filter_map(read).collect()
    }
}

fn read(block: Block<Origin>) -> Option<(Record, Origin)> {
    let mut record = witness::logged(&block, block.at.time_ms)?;
    record.request_id = record.request_id.or_else(|| block.at.request_id.clone());
    Some((record, block.at))
}

/// The request whose end is the next in `events`, unless another begins before: what comes between belongs to it. Without
/// the proxy, a request's telemetry often comes when the next one runs.
pub(super) fn next_end(events: &[Event]) -> Option<String> {
    let word = events.iter().find_map(|event| match &event.what {
        What::Platform { name, record } => match witness::start(name, record) {
            Some(_) => Some(None),
            None => witness::end(name, record, None).map(|end| end.request_id),
        },
        What::Function(_) | What::Extension(_) => None,
    });
    word.flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_stands_where_its_first_line_came_from() {
        let mut lines = Lines::default();
        let at = |sequence| Origin { sequence, ..Origin::default() };
        let head = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n";
        assert!(lines.take(head, &at(1)).is_empty());
        assert!(lines.take("ValueError: no\n", &at(2)).is_empty());
        assert_eq!(lines.open().map(|origin| origin.sequence), Some(1));
        let told = lines.take("{\"errorType\":\"E\",\"errorMessage\":\"m\"}\n", &at(3));
        let told: Vec<_> =
            told.iter().map(|(record, origin)| (record.error_type.as_deref(), origin.sequence)).collect();
        assert_eq!(told, [(Some("ValueError"), 1), (Some("E"), 3)]);
        assert!(lines.open().is_none() && lines.finish().is_empty());
    }
}
