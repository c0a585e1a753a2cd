//! What is waited for at SHUTDOWN: telemetry that is known to be missing, and then the worker.
//!
//! SHUTDOWN brings a deadline, and SIGKILL comes with it. Until then everything that is known must be shipped or written,
//! so each wait ends a margin before it; and an environment that merely spins down must not be kept waiting for nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::link::{Message, Worker};
use crate::turn::{Ending, Turn, Word};

/// How long before its deadline a SHUTDOWN stops waiting for the platform's last word: what comes of it must be shipped.
const LAST_WORD_MARGIN: Duration = Duration::from_millis(500);

/// How long a SHUTDOWN waits for telemetry when nothing is known to be missing. The last report comes within 5 ms, at most
/// 40 (elastic/apm-aws-lambda PR 347).
const TAIL_WAIT: Duration = Duration::from_millis(50);

/// The same if nothing has failed since the environment began: then the last report hardly will have.
const QUIET_TAIL_WAIT: Duration = Duration::from_millis(15);

/// How long the worker may take to say that it knows of the end: it only reads. With a fourteenth of a CPU, to be started takes it half as
/// long.
const SIGN_WAIT: Duration = Duration::from_millis(300);

/// How long before its deadline a SHUTDOWN gives up on the worker, to write bare records and be gone 150 ms before SIGKILL.
const EXIT_MARGIN: Duration = Duration::from_millis(200);

/// Tells the worker that the end has come, with all that comes before `deadline` and is worth waiting for.
pub(super) fn shut_down(
    worker: &Arc<Worker>,
    turn: &Turn,
    has_telemetry: bool,
    is_spindown: bool,
    deadline: Instant,
    raw: Vec<u8>,
) {
    let batches = turn.batches();
    let ending = turn.ending();
    // A reason that is no spindown may turn out to be a failure, and what waits goes out now or never.
    let is_needed = ending != Ending::Over && !is_spindown || !worker.is_wanted() && worker.has_waiting();
    tell_the_end(worker, &Message::Shutdown(raw.clone()), is_needed);
    if has_telemetry {
        let now = Instant::now();
        let last_word = deadline.checked_sub(LAST_WORD_MARGIN).unwrap_or(now);
        match tail(is_spindown, turn.word(), ending) {
            Tail::None => {}
            Tail::Word(word, Patience::Short) => {
                let wait = if worker.is_wanted() { TAIL_WAIT } else { QUIET_TAIL_WAIT };
                turn.wait_word(word, last_word.min(now + wait));
            }
            Tail::Word(word, Patience::Long) => turn.wait_word(word, last_word),
            Tail::Batch => turn.wait_batch(batches, last_word),
        }
    }
    let ending = turn.ending();
    if ending != Ending::Over && !is_spindown {
        worker.report(&Message::Unfinished { ending, raw }, None);
    }
    let exit = deadline.checked_sub(EXIT_MARGIN).unwrap_or_else(Instant::now);
    if let Some(flush) = worker.tell(&Message::Flush) {
        worker.wait(flush, exit);
    }
}

/// Tells the worker that the end has come. It answers at once; one that does not is stopped, and another one is told.
fn tell_the_end(worker: &Arc<Worker>, event: &Message, is_needed: bool) {
    for is_second in [false, true] {
        let before = worker.signs();
        if is_needed {
            worker.report(event, None);
        } else if worker.tell(event).is_none() {
            return;
        }
        if is_second || worker.wait_for_sign(&before, Instant::now() + SIGN_WAIT) {
            return;
        }
        worker.stalled();
    }
}

/// What telemetry is worth waiting for at SHUTDOWN.
#[derive(Debug, PartialEq, Eq)]
enum Tail {
    /// Everything is there.
    None,
    /// This word of the open invocation.
    Word(Word, Patience),
    /// Whatever comes next: no invocation is known, but something failed.
    Batch,
}

#[derive(Debug, PartialEq, Eq)]
enum Patience {
    Short,
    Long,
}

fn tail(is_spindown: bool, word: Option<Word>, ending: Ending) -> Tail {
    match (word, is_spindown) {
        (Some(Word::Report), _) | (None, true) => Tail::None,
        (Some(Word::Done), _) => Tail::Word(Word::Report, Patience::Short),
        // The proxy saw how it ended.
        (Some(Word::Started), true) if ending == Ending::Over => Tail::Word(Word::Done, Patience::Short),
        // The sandbox was frozen before the platform could say how it ended.
        (Some(Word::Started), _) => Tail::Word(Word::Done, Patience::Long),
        (None, false) => Tail::Batch,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::TcpStream;
    use std::sync::mpsc::{Receiver, channel};

    use super::super::run;
    use super::super::stand_in::{INVOKE, Lambda, NEXT, SUBSCRIBE, port, post, shutdown, status, usual};
    use super::*;
    use crate::link::testing::shell;

    #[test]
    fn what_is_waited_for_at_shutdown_depends_on_what_is_missing() {
        let open = Ending::Unknown;
        assert_eq!(tail(true, None, open), Tail::None);
        assert_eq!(tail(false, None, open), Tail::Batch);
        assert_eq!(tail(false, Some(Word::Started), open), Tail::Word(Word::Done, Patience::Long));
        assert_eq!(tail(true, Some(Word::Started), open), Tail::Word(Word::Done, Patience::Long));
        assert_eq!(tail(true, Some(Word::Started), Ending::Over), Tail::Word(Word::Done, Patience::Short));
        assert_eq!(tail(false, Some(Word::Done), open), Tail::Word(Word::Report, Patience::Short));
        assert_eq!(tail(false, Some(Word::Report), open), Tail::None);
    }

    #[test]
    fn at_shutdown_the_worker_is_told_all_and_flushed() {
        let directory = tempfile::tempdir().unwrap();
        let told = directory.path().join("told");
        let (send, receive) = channel();
        let mut events = vec![status("200 OK", INVOKE)].into_iter();
        let lambda = Lambda::start(move |call, body| match call {
            SUBSCRIBE => {
                send.send(port(body)).unwrap();
                usual(call, body)
            }
            NEXT => Some(events.next().unwrap_or_else(|| timed_out(&receive))),
            _ => usual(call, body),
        });
        // It never acknowledges, so it is waited for until 200 ms before the deadline.
        let (worker, _) = shell(&format!("exec cat > {}", told.display()));
        run(&lambda.config(directory.path()), worker).unwrap();
        assert_eq!(kinds(&fs::read(&told).unwrap()), [1, 2, 4, 7, 8]);
    }

    /// The platform's account of a timeout, and the SHUTDOWN event that follows it.
    fn timed_out(port: &Receiver<u16>) -> String {
        let stream = TcpStream::connect(("127.0.0.1", port.recv().unwrap())).unwrap();
        let batch = br#"[{"type":"platform.runtimeDone","record":{"requestId":"r1","status":"timeout"}}]"#;
        post(&stream, "/", batch);
        // The answer comes before the batch is looked at; the next one comes after.
        post(&stream, "/", b"[]");
        shutdown("timeout", 800)
    }

    /// The kinds of the frames in `bytes`, read by the documented layout.
    fn kinds(mut bytes: &[u8]) -> Vec<u8> {
        let mut kinds = Vec::new();
        while let Some((header, rest)) = bytes.split_first_chunk::<13>() {
            let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
            kinds.push(header[4]);
            bytes = &rest[length..];
        }
        assert_eq!(bytes, b"");
        kinds
    }
}
