//! What invocations were given, for a worker that is started when one of them has failed.

use std::collections::VecDeque;

/// Bytes of events that are remembered, the last one aside: an invocation fails while it runs or a little later, and beginnings of events
/// are mostly short. When it is full, the oldest is forgotten, and its record says nothing of what invoked the function.
const BYTES_MAX: usize = 256 * 1024;

/// Events that are remembered: as many as the worker takes.
const EVENTS_MAX: usize = 16;

/// The beginnings of events, by request, the last one last.
#[derive(Debug, Default)]
pub(super) struct Events {
    events: VecDeque<(String, Vec<u8>)>,
    bytes: usize,
}

impl Events {
    pub(super) fn push(&mut self, request_id: &str, head: Vec<u8>) {
        self.bytes += head.len();
        self.events.push_back((request_id.to_owned(), head));
        while self.events.len() > EVENTS_MAX || (self.bytes > BYTES_MAX && self.events.len() > 1) {
            let forgotten = self.events.pop_front();
            self.bytes -= forgotten.map_or(0, |(_, head)| head.len());
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.events.iter().map(|(request_id, head)| (request_id.as_str(), head.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered() {
        let mut events = Events::default();
        (0..100).for_each(|number| events.push(&number.to_string(), vec![0; 10]));
        let names: Vec<&str> = events.iter().map(|(name, _)| name).collect();
        assert_eq!((names.len(), names[0], names[15]), (EVENTS_MAX, "84", "99"));
        events.push("long", vec![0; BYTES_MAX + 1]);
        assert_eq!(events.iter().count(), 1);
        assert_eq!(events.bytes, BYTES_MAX + 1);
    }
}
