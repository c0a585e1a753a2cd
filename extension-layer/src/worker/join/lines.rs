//! What the function logged: where a failure's text begins and ends, and to which request it belongs.

use trace_record::Record;
use trace_record::normalize::lines::Detector;
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
}

/// The lines that may be the beginning of a failure's text.
#[derive(Default)]
pub(super) struct Lines {
    detector: Detector,
    /// Where the first of them came from.
    first: Origin,
}

impl Lines {
    /// Where the open lines began, if any are open: their frame must not be acknowledged yet.
    pub(super) fn open(&self) -> Option<&Origin> {
        self.detector.is_open().then_some(&self.first)
    }

    /// Takes the lines of one event, and gives the failures that they complete, each with the origin of its first line.
    pub(super) fn take(&mut self, text: &str, origin: &Origin) -> Vec<(Record, Origin)> {
        let mut told = Vec::new();
        for line in text.split_inclusive('\n') {
            let was_open = self.detector.is_open();
            let blocks = self.detector.line(line);
            // Of two blocks the first is the one that was open.
            for (index, block) in blocks.iter().enumerate() {
                let of = if was_open && index == 0 { &self.first } else { origin };
                told.extend(read(&block.text, of));
            }
            if self.detector.is_open() && (!was_open || !blocks.is_empty()) {
                self.first = origin.clone();
            }
        }
        told
    }

    /// Closes what is open: nothing follows it.
    pub(super) fn finish(&mut self) -> Option<(Record, Origin)> {
        let block = self.detector.finish()?;
        read(&block.text, &self.first)
    }
}

fn read(text: &str, of: &Origin) -> Option<(Record, Origin)> {
    let mut record = witness::logged(text, of.time_ms)?;
    record.request_id = record.request_id.or_else(|| of.request_id.clone());
    Some((record, of.clone()))
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
        assert!(lines.open().is_none() && lines.finish().is_none());
    }
}
