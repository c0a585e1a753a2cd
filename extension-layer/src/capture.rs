//! The socket to which handlers send what they know of their own death.
//!
//! A handler sends its report before its runtime posts the error. So the proxy empties the socket before it passes an error
//! on: the worker then hears of both in the order in which they happened, whenever this module's own thread gets to run.

use std::io;
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use trace_agent_core::receive::socket::CaptureSocket;
use trace_capture::wire::DATAGRAM_BYTES_MAX;

use crate::api::pause;
use crate::bare::Source;
use crate::link::{Failure, Message, Worker};
use crate::say::{lock, spawn};
use crate::turn::Turn;

/// Reports that are taken at once: more than the kernel keeps of one socket (`net.unix.max_dgram_qlen`, 10 or 512). What comes meanwhile must not
/// keep whoever asked.
const QUEUED_MAX: usize = 1_024;

/// The open socket, and to whom its reports go.
pub(crate) struct Capture {
    socket: CaptureSocket,
    worker: Arc<Worker>,
    turn: Arc<Turn>,
    /// One byte more than a report can have: what fills it is none. Whoever holds it hands over what it read before it lets go.
    buffer: Mutex<Vec<u8>>,
}

impl Capture {
    /// Starts to receive on `socket`.
    pub(crate) fn start(
        socket: CaptureSocket,
        worker: Arc<Worker>,
        turn: Arc<Turn>,
    ) -> io::Result<Arc<Capture>> {
        socket.socket().set_nonblocking(true)?;
        let buffer = Mutex::new(vec![0; DATAGRAM_BYTES_MAX + 1]);
        let capture = Arc::new(Capture { socket, worker, turn, buffer });
        let receiving = Arc::clone(&capture);
        spawn("capture", move || receiving.receive())?;
        Ok(capture)
    }

    /// Gives the worker every report that has been sent by now.
    pub(crate) fn drain(&self) {
        let mut buffer = lock(&self.buffer);
        for _ in 0..QUEUED_MAX {
            let Ok(length) = self.socket.socket().recv(&mut buffer) else { return };
            if length > DATAGRAM_BYTES_MAX {
                self.worker.lost("datagrams that were too long");
                continue;
            }
            let datagram = &buffer[..length];
            let request_id = self.turn.request_id();
            let failure = Failure::new(Source::Capture, request_id.clone(), datagram);
            let message = Message::Capture { request_id, datagram: datagram.to_vec() };
            self.worker.report(&message, Some(failure));
        }
    }

    fn receive(&self) {
        let mut failures = 0;
        loop {
            match poll(&mut [PollFd::new(self.socket.socket(), PollFlags::IN)], None) {
                Ok(_) => {
                    failures = 0;
                    self.drain();
                }
                Err(_) => {
                    thread::sleep(pause(failures));
                    failures += 1;
                }
            }
        }
    }
}
