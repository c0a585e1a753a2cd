//! The worker: everything that can go wrong on hostile input. It reads frames, joins what witnesses of one failure saw,
//! names native frames, completes records and ships them. When it dies, the supervisor starts another.
//!
//! A thread reads frames as fast as they come, notes when, and looks out for SHUTDOWN, which ends whatever is under way;
//! one task does the rest, so frames are answered in order.

mod limits;
mod join;
mod outbox;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;
use trace_agent_core::choose::Connect;
use trace_agent_core::clock::now_ms;
use trace_agent_core::config::{Config, Settings, SinkChoice};
use trace_agent_core::ship::Deadline;
use trace_capture::wire::SOCKET_PATH;

use crate::config;
use crate::link::{Acks, Frame, Frames, MEMORY_BYTES_VARIABLE, Message};
use crate::say::{say, spawn};
use join::{Closed, Join};
use outbox::{Outbox, Sandbox};

/// Bytes of frames that wait between the thread that reads and the task that works: two of the largest, or what comes
/// during a try of the sink. When it is full, reading waits, and the supervisor with it for as long as it allows.
const WAITING_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// What one frame counts beside its own bytes, in bytes.
const FRAME_OVERHEAD_BYTES: usize = 256;

/// How many frames that wait are taken before what they completed is shipped: one request takes it all.
const FRAMES_MAX: usize = 64;

/// How long one round of shipping may take. Nobody is held for so long: the supervisor's own cap is shorter, and its
/// acknowledgement may come late.
const SHIP_MAX: Duration = Duration::from_secs(2);

/// The most lines of the log that can be asked for: no more are remembered.
const TAIL_LINES_MAX: usize = 500;

/// How long before its deadline a SHUTDOWN ends shipping. What is left is printed; the supervisor waits for that until
/// 200 ms before the deadline.
const PRINT_MARGIN: Duration = Duration::from_millis(300);

/// The silence after which the sandbox may have been frozen, in milliseconds by the clock on the wall: timers may stand still meanwhile, and
/// what is at the other end of a connection has had time to forget it. Being wrong costs a new connection.
const FROZEN_MS: i64 = 5_000;

/// A frame, and when it came.
struct Arrived {
    frame: Frame,
    at_ms: i64,
    /// When shipping must end from here on, if the sandbox may have been frozen before this frame: what was under way is ended already.
    thawed: Option<Option<Instant>>,
    /// Its part of [`WAITING_BYTES_MAX`].
    _room: OwnedSemaphorePermit,
}

/// Runs the worker until the supervisor is gone. `connect` opens the CloudWatch sink.
pub(crate) fn main(frames: Frames, acks: &Acks, connect: Connect) -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    let memory_bytes = variable(MEMORY_BYTES_VARIABLE).and_then(|bytes| bytes.parse().ok());
    limits::bind(memory_bytes);
    let (config, problems) = Config::read(&Settings::from_variables(variable), SinkChoice::Auto);
    problems.iter().for_each(|problem| say(format_args!("{problem}")));
    let tail_lines =
        variable("TRACE_AGENT_LOG_TAIL").map_or(join::TAIL_LINES_DEFAULT, |value| tail_lines(&value));
    let sandbox = Sandbox { memory_bytes, initialization_type: variable("AWS_LAMBDA_INITIALIZATION_TYPE") };
    let outbox = Outbox::new(config, connect, sandbox, spool_folder(), Box::new(io::stdout()));
    match run(frames, acks, Join::new(tail_lines), outbox) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("the worker cannot start: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// How many lines of the log a record gets.
fn tail_lines(value: &str) -> usize {
    match value.parse() {
        Ok(lines) if lines <= TAIL_LINES_MAX => lines,
        _ => {
            say(format_args!(
                "TRACE_AGENT_LOG_TAIL={value:?} is no number of lines up to {TAIL_LINES_MAX}; {} is used",
                join::TAIL_LINES_DEFAULT
            ));
            join::TAIL_LINES_DEFAULT
        }
    }
}

/// Works until the supervisor is gone.
///
/// # Errors
///
/// If there is no event queue or thread to be had.
fn run(frames: Frames, acks: &Acks, join: Join, outbox: Outbox) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let (sender, receiver) = mpsc::unbounded_channel();
    let end = watch::Sender::new(None);
    let reader = Reader { sender, end: end.clone(), acks: acks.again()?, handle: runtime.handle().clone() };
    spawn("frames", move || reader.read(frames))?;
    runtime.block_on(work(receiver, acks, Desk { join, outbox, end, is_last: false }));
    Ok(())
}

/// Where records wait that the sink may take later: beside the capture socket, in /tmp, which is all that a function can
/// write, and outlives a reset.
fn spool_folder() -> PathBuf {
    let socket =
        std::env::var_os("TRACE_AGENT_SOCKET").map_or_else(|| PathBuf::from(SOCKET_PATH), PathBuf::from);
    config::spool_folder(&socket)
}

/// The thread that reads.
struct Reader {
    sender: mpsc::UnboundedSender<Arrived>,
    /// When shipping must end, for what is under way.
    end: watch::Sender<Option<Instant>>,
    acks: Acks,
    handle: runtime::Handle,
}

impl Reader {
    fn read(self, mut frames: Frames) {
        let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX as usize));
        let mut last_ms = now_ms();
        loop {
            let frame = match frames.read() {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(error) => return say(format_args!("the worker cannot read on: {error}")),
            };
            let at_ms = now_ms();
            let was_frozen = at_ms.saturating_sub(std::mem::replace(&mut last_ms, at_ms)) >= FROZEN_MS;
            let thawed = self.set_end(&frame.message, at_ms, was_frozen);
            let bytes = u32::try_from(frame.bytes + FRAME_OVERHEAD_BYTES).unwrap_or(u32::MAX);
            let permits = Arc::clone(&room).acquire_many_owned(bytes.min(WAITING_BYTES_MAX));
            let Ok(_room) = self.handle.block_on(permits) else { return };
            if self.sender.send(Arrived { frame, at_ms, thawed, _room }).is_err() {
                return;
            }
        }
    }

    /// Ends what is under way: by the deadline of a SHUTDOWN, which is answered, or at once if its connection may be dead.
    fn set_end(&self, message: &Message, at_ms: i64, was_frozen: bool) -> Option<Option<Instant>> {
        let mut end = *self.end.borrow();
        if let Message::Shutdown(raw) = message {
            end = Some(end_of_shipping(join::deadline_ms(raw), at_ms));
        }
        if let Message::Shutdown(_) | Message::Invoke { .. } = message {
            // A sign of life, whatever the other thread is busy with. Nobody reads it if the supervisor is gone.
            let _ = self.acks.ack(0);
        }
        self.end.send_replace(if was_frozen { Some(Instant::now()) } else { end });
        was_frozen.then_some(end)
    }
}

/// When shipping must end for a SHUTDOWN with this deadline. One that does not say it has no time to spare.
fn end_of_shipping(deadline_ms: Option<i64>, now_ms: i64) -> Instant {
    let left_ms = deadline_ms.map_or(0, |deadline_ms| deadline_ms.saturating_sub(now_ms));
    let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)).min(SHIP_MAX);
    Instant::now() + left.saturating_sub(PRINT_MARGIN)
}

/// The task that works, until the supervisor is gone.
async fn work(mut frames: mpsc::UnboundedReceiver<Arrived>, acks: &Acks, mut desk: Desk) {
    let deadline = Deadline::watched(desk.end.subscribe());
    loop {
        let wait_ms = desk.join.closes_at_ms().map(|at_ms| u64::try_from(at_ms - now_ms()).unwrap_or(0));
        let arrived = match wait_ms {
            Some(wait_ms) => tokio::time::timeout(Duration::from_millis(wait_ms), frames.recv()).await.ok(),
            None => Some(frames.recv().await),
        };
        let closed = match arrived {
            Some(Some(arrived)) => {
                let waiting = std::iter::from_fn(|| frames.try_recv().ok());
                std::iter::once(arrived)
                    .chain(waiting)
                    .take(FRAMES_MAX)
                    .flat_map(|next| desk.see(next))
                    .collect()
            }
            // The supervisor is gone, and with it the function: what is open is all that there will be.
            Some(None) => break,
            None => desk.join.close_old(now_ms()),
        };
        desk.ship(closed, &mut deadline.within(SHIP_MAX)).await;
        if let Some(sequence) = desk.join.settled()
            && acks.ack(sequence).is_err()
        {
            break;
        }
    }
    desk.is_last = true;
    let closed = desk.join.close_all();
    desk.ship(closed, &mut deadline.within(SHIP_MAX)).await;
}

/// What a frame may change.
struct Desk {
    join: Join,
    outbox: Outbox,
    end: watch::Sender<Option<Instant>>,
    /// True once nothing that is put away would outlive the environment.
    is_last: bool,
}

impl Desk {
    /// Takes a frame, and gives the failures that it completed.
    fn see(&mut self, Arrived { frame, at_ms, thawed, _room }: Arrived) -> Vec<Closed> {
        self.is_last |= matches!(frame.message, Message::Shutdown(_));
        if let Some(end_from_here) = thawed {
            self.end.send_replace(end_from_here);
            self.outbox.renew();
        }
        let closed = self.join.see(frame.message, frame.sequence, at_ms);
        if let Some(handed_over) = self.join.take_handed_over() {
            self.outbox.hand_over(handed_over);
        }
        if self.join.take_restored() {
            self.outbox.renew();
        }
        closed
    }

    async fn ship(&mut self, closed: Vec<Closed>, deadline: &mut Deadline) {
        for dropped in self.join.take_dropped() {
            self.outbox.warn(&dropped, &self.join.function);
        }
        self.outbox.ship(closed, &self.join.function, deadline, self.is_last).await;
        // There may be no further record to count it in.
        if self.is_last {
            say_lost(&mut self.join);
        }
    }
}

/// Says what is counted in no record.
fn say_lost(join: &mut Join) {
    for (what, count) in join.take_lost() {
        say(format_args!("lost: {count} {what}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::outbox::tests::{MOOD, Mood, Stand, messages, stored};
    use super::*;
    use crate::http::RequestHead;
    use crate::link::{Posted, pair};

    fn posted(message: &str) -> Message {
        let head = b"POST /2018-06-01/runtime/invocation/r1/error HTTP/1.1\r\n\r\n".to_vec();
        let body = format!(r#"{{"errorType":"E","errorMessage":"{message}"}}"#);
        Message::Posted(Posted::new(RequestHead::parse(head).unwrap(), body.into_bytes(), false))
    }

    /// Waits for the acknowledgement of `sequence`, or a later one.
    fn wait_ack(mut supervisor: &UnixStream, sequence: u64) {
        let mut ack = [0; 8];
        while u64::from_le_bytes(ack) < sequence {
            supervisor.read_exact(&mut ack).unwrap();
        }
    }

    fn tell(mut supervisor: &UnixStream, messages: &[Message]) {
        for (sequence, message) in (1..).zip(messages) {
            supervisor.write_all(&message.encode(sequence)).unwrap();
        }
    }

    #[test]
    fn every_frame_is_acknowledged_in_the_end_and_every_failure_shipped() {
        MOOD.set(Mood::Stores);
        let stand = Stand::new();
        let (frames, acks, supervisor) = pair();
        let tells = thread::spawn(move || {
            let batch = br#"[{"type":"function","record":"[ERROR] no traceback follows\n"}]"#;
            tell(
                &supervisor,
                &[
                    Message::Telemetry(b"[{".to_vec()),
                    posted("first"),
                    Message::RuntimeNext,
                    posted("second"),
                    Message::Telemetry(batch.to_vec()),
                    Message::Flush,
                ],
            );
            wait_ack(&supervisor, 6);
            // After this nobody asks for more, and still it is shipped.
            tell(&supervisor, &[posted("third")]);
        });
        run(frames, &acks, Join::new(0), stand.outbox).unwrap();
        tells.join().unwrap();
        assert_eq!(stored(), ["first", "second", "third"]);
        assert_eq!(stand.written.lines(), [""; 0]);
    }

    #[test]
    fn a_sink_that_hangs_does_not_outlive_the_deadline_of_a_shutdown() {
        MOOD.set(Mood::Hangs);
        let stand = Stand::new();
        let (frames, acks, supervisor) = pair();
        let (told, deadline_ms) = (stand.written.clone(), now_ms() + 800);
        let tells = thread::spawn(move || {
            let event = format!(r#"{{"shutdownReason":"spindown","deadlineMs":{deadline_ms}}}"#);
            let shutdown = Message::Shutdown(event.into_bytes());
            tell(&supervisor, &[posted("first"), Message::RuntimeNext, shutdown, Message::Flush]);
            wait_ack(&supervisor, 4);
            // When it is acknowledged it is printed, since nothing that is put away outlives the environment.
            assert_eq!(messages(&told), ["first"]);
        });
        run(frames, &acks, Join::new(0), stand.outbox).unwrap();
        tells.join().unwrap();
    }

    #[test]
    fn shipping_ends_before_the_deadline_and_at_once_without_one() {
        let left_ms = |deadline_ms| {
            end_of_shipping(deadline_ms, 10_000).saturating_duration_since(Instant::now()).as_millis()
        };
        assert!(left_ms(Some(12_000)) <= 1_700);
        assert!(left_ms(Some(i64::MAX)) <= 1_700);
        for past in [None, Some(10_200), Some(0), Some(i64::MIN)] {
            assert_eq!(left_ms(past), 0, "{past:?}");
        }
    }
}
