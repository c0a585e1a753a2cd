//! The frames that wait to be written to the worker, and the numbers that they get.

use std::collections::VecDeque;

use crate::link::Message;

/// Bytes of frames that wait: a few of the largest. When it is full, a frame becomes a bare record or a count.
const QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    frames: VecDeque<Outgoing>,
    bytes: usize,
    made: u64,
    taken: u64,
}

/// A frame.
#[derive(Debug)]
pub(crate) struct Outgoing {
    sequence: u64,
    /// True if it is worth a new worker: a failure, not something to go with one.
    is_report: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Queue {
    /// True if no frame may be put into it; one that it takes may go beyond the bound by its own length.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= QUEUE_BYTES_MAX
    }

    /// True if nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// True if a failure waits.
    pub(crate) fn has_reports(&self) -> bool {
        self.frames.iter().any(|frame| frame.is_report)
    }

    /// The sequence number of the last frame that was put in.
    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    /// The sequence number of the last frame that was taken out.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Puts a frame at the end, and gives its sequence number and its bytes.
    pub(crate) fn push(&mut self, message: &Message, is_report: bool) -> (u64, &[u8]) {
        self.made += 1;
        let bytes = message.encode(self.made);
        self.bytes += bytes.len();
        self.frames.push_back(Outgoing { sequence: self.made, is_report, bytes });
        (self.made, self.frames.back().map_or(&[], |frame| &frame.bytes))
    }

    /// Puts failures that were taken out once in front of everything, under their old numbers, which are lower than all that wait.
    pub(crate) fn push_again(&mut self, frames: Vec<(u64, Vec<u8>)>) {
        for (sequence, bytes) in frames.into_iter().rev() {
            self.bytes += bytes.len();
            self.frames.push_front(Outgoing { sequence, is_report: true, bytes });
        }
    }

    /// Puts what a new worker must know in front of everything, the first message first.
    pub(crate) fn push_context(&mut self, context: &[Message]) {
        for message in context.iter().rev() {
            let bytes = message.encode(0);
            self.bytes += bytes.len();
            self.frames.push_front(Outgoing { sequence: 0, is_report: false, bytes });
        }
    }

    /// Takes out what only a worker was to know that is gone.
    pub(crate) fn drop_context(&mut self) {
        self.frames.retain(|frame| frame.sequence != 0);
        self.bytes = self.frames.iter().map(|frame| frame.bytes.len()).sum();
    }

    /// Takes the frame that is first.
    pub(crate) fn pop(&mut self) -> Option<Outgoing> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.bytes.len();
        self.taken = self.taken.max(frame.sequence);
        Some(frame)
    }

    /// Takes out everything: nobody will read it.
    pub(crate) fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
        self.taken = self.made;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_goes_first_and_has_no_number() {
        let mut queue = Queue::default();
        assert_eq!(queue.push(&Message::Flush, false).0, 1);
        assert_eq!(queue.push(&Message::Capture { request_id: None, datagram: b"x".to_vec() }, true).0, 2);
        queue.push_context(&[Message::Registered(Vec::new()), Message::RuntimeNext]);
        // The kind is the fifth byte of a frame.
        let kinds: Vec<(u64, u8)> =
            queue.frames.iter().map(|frame| (frame.sequence, frame.bytes[4])).collect();
        assert_eq!(kinds, [(0, 1), (0, 6), (1, 8), (2, 5)]);
        queue.drop_context();
        assert!(queue.has_reports());
        assert_eq!(queue.pop().map(|frame| frame.sequence), Some(1));
        assert_eq!((queue.made(), queue.taken()), (2, 1));
        queue.clear();
        assert_eq!((queue.taken(), queue.bytes, queue.has_reports()), (2, 0, false));
    }

    #[test]
    fn it_is_full_at_its_bound() {
        let mut queue = Queue::default();
        while !queue.is_full() {
            queue.push(&Message::Telemetry(vec![b' '; 1024 * 1024]), true);
        }
        assert_eq!(queue.frames.len(), 8);
    }
}
