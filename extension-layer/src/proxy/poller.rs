//! The thread that serves all connections.

use std::collections::HashMap;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::proxy::Proxy;
use crate::proxy::exchange::Connection;
use crate::proxy::wire::Wire;
use crate::say::guarded;

/// Connections of the runtime at once: Managed Instances ask for as many invocations as they may run side by side. Each takes two of the
/// process's descriptors, of which there are 4096 there; where there are fewer, fewer are served. One more waits in the listener's queue
/// until another is closed.
const CONNECTIONS_MAX: usize = 1_900;

/// Descriptors that are left to all others: the ways in, Lambda's API, the worker.
const DESCRIPTORS_LEFT: usize = 32;

/// How long no connection is accepted after that failed: there are no descriptors, or no memory.
const ACCEPT_REST: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// What the poller calls the listener. Connections are called by their numbers, twice, and one more on Lambda's side.
const LISTENER: u64 = u64::MAX;

/// Events that are taken from the kernel at once.
const EVENTS_MAX: usize = 64;

/// The connections, and what they wait for.
pub(super) struct Poller {
    epoll: OwnedFd,
    listener: TcpListener,
    is_listening: bool,
    connections: HashMap<u64, Connection>,
    connections_max: usize,
    numbers: u64,
}

impl Poller {
    pub(super) fn new(listener: TcpListener) -> io::Result<Poller> {
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let (connections, connections_max) = (HashMap::new(), connections_max());
        Ok(Poller { epoll, listener, is_listening: true, connections, connections_max, numbers: 0 })
    }

    /// Serves for ever.
    pub(super) fn run(mut self, mut proxy: Proxy) {
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS_MAX);
        let mut rest = None;
        loop {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), rest.as_ref()) {
                Err(rustix::io::Errno::INTR) => continue,
                // There is no way to wait, and none to tell anybody: slowly, everything is looked at.
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(50)),
                Ok(_) => {}
            }
            rest = None;
            for event in &events {
                let (data, flags) = (event.data, event.flags);
                match data.u64() {
                    LISTENER => {
                        if self.accept(&mut proxy).is_err() {
                            rest = Some(ACCEPT_REST);
                            self.listen(false);
                        }
                    }
                    token => self.advance(token, flags, &mut proxy),
                }
            }
            if rest.is_none() {
                self.listen(self.connections.len() < self.connections_max);
            }
        }
    }

    /// Accepts one connection, whose first request is mostly there already.
    fn accept(&mut self, proxy: &mut Proxy) -> io::Result<()> {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if is_nothing(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        prepare(&stream)?;
        let number = self.numbers;
        self.numbers += 1;
        let mut connection = Connection::new(number, stream);
        watch(&self.epoll, &mut connection.runtime, 2 * number, EventFlags::IN)?;
        self.connections.insert(number, connection);
        self.advance(2 * number, EventFlags::IN, proxy);
        Ok(())
    }

    /// Lets a connection go on to which something happened.
    fn advance(&mut self, token: u64, flags: EventFlags, proxy: &mut Proxy) {
        let number = token / 2;
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            match &mut connection.lambda {
                Some(lambda) if token % 2 == 1 => lambda.expect_input(),
                _ => connection.runtime.expect_input(),
            }
        }
        let is_well = guarded(|| connection.advance(proxy)).is_some();
        if !is_well || connection.is_over() || self.watch(number).is_err() {
            self.connections.remove(&number);
            proxy.turn.runtime_left(number);
        }
    }

    /// Watches for what a connection waits for now.
    fn watch(&mut self, number: u64) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
        let [runtime, lambda] = connection.wants();
        let events = connection.runtime.wants(runtime.0, runtime.1);
        watch(&self.epoll, &mut connection.runtime, 2 * number, events)?;
        let Some(wire) = &mut connection.lambda else { return Ok(()) };
        let events = wire.wants(lambda.0, lambda.1);
        watch(&self.epoll, wire, 2 * number + 1, events)
    }

    fn listen(&mut self, listens: bool) {
        if listens == self.is_listening {
            return;
        }
        let changed = if listens {
            epoll::add(&self.epoll, &self.listener, EventData::new_u64(LISTENER), EventFlags::IN)
        } else {
            epoll::delete(&self.epoll, &self.listener)
        };
        if changed.is_ok() {
            self.is_listening = listens;
        }
    }
}

/// How many connections there are descriptors for, once this process has as many as it may have.
fn connections_max() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // What is refused stays as it was, and is counted with.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let descriptors = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |current| current as usize);
    (descriptors.saturating_sub(DESCRIPTORS_LEFT) / 2).clamp(1, CONNECTIONS_MAX)
}

/// Tells the kernel what to watch a wire for. One that waits for nothing is not watched: that it broke would be told again and again.
fn watch(epoll: &OwnedFd, wire: &mut Wire, token: u64, events: EventFlags) -> io::Result<()> {
    let wanted = Some(events).filter(|events| !events.is_empty());
    let data = EventData::new_u64(token);
    match (wire.watched, wanted) {
        (before, now) if before == now => {}
        (None, Some(events)) => epoll::add(epoll, wire.stream(), data, events)?,
        (Some(_), Some(events)) => epoll::modify(epoll, wire.stream(), data, events)?,
        (_, None) => epoll::delete(epoll, wire.stream())?,
    }
    wire.watched = wanted;
    Ok(())
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    // Heads and bodies are written apart; none of them may wait for the other's acknowledgement.
    stream.set_nodelay(true)
}

/// True if there was no connection to accept after all, or it was gone before it was accepted.
fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
    )
}
