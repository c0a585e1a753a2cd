//! The service as a whole: its port, its threads, and how it is taken away and brought back.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::connection::{Gate, Shared, lock, reset_at_close, serve};
use crate::fault::{Chooser, Faults};
use crate::options::Options;
use crate::state::State;

/// How long a connection may say nothing, or take none of its answer, before it is closed.
const SILENCE_MAX: Duration = Duration::from_secs(300);

/// How long the listener is waited for before it is called once more.
const CALL_WAIT: Duration = Duration::from_millis(20);

/// Bytes of a thread's stack: a few levels of JSON and one buffer to read into.
const STACK_BYTES: usize = 512 * 1_024;

/// A running stand-in. It ends, with all of its threads, when it is dropped.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
    address: SocketAddr,
    running: Option<Running>,
}

/// What runs between a start and a stop.
#[derive(Debug)]
struct Running {
    gate: Arc<Gate>,
    listener: JoinHandle<()>,
    connections: Arc<Mutex<Connections>>,
}

#[derive(Debug, Default)]
struct Connections {
    next: u64,
    open: HashMap<u64, (Arc<TcpStream>, JoinHandle<()>)>,
}

impl Service {
    /// Starts a stand-in on 127.0.0.1.
    ///
    /// # Errors
    ///
    /// If the port is taken or a thread cannot be started.
    pub fn start(options: Options) -> io::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let shared =
            Shared { options, state: Mutex::default(), chooser: Mutex::new(Chooser::new(Faults::default())) };
        let mut service = Self { shared: Arc::new(shared), address, running: None };
        service.resume()?;
        Ok(service)
    }

    /// Where it listens, as an endpoint of an SDK: `http://127.0.0.1:PORT`. The same after it was stopped and resumed.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on these faults, and their sequence from its beginning.
    pub fn set_faults(&self, faults: Faults) {
        *lock(&self.shared.chooser) = Chooser::new(faults);
    }

    /// A copy of everything that arrived. For runs of many events, [`Service::inspect`] copies nothing.
    #[must_use]
    pub fn state(&self) -> State {
        self.inspect(State::clone)
    }

    /// Looks at what arrived; no request is answered meanwhile.
    pub fn inspect<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&lock(&self.shared.state))
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.running.as_ref().map_or(0, |running| lock(&running.connections).open.len())
    }

    /// Takes it away: the port refuses connections, and those that were open are reset. What arrived is kept.
    pub fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.gate.stop();
        // The listener waits for a connection, so it gets one.
        while !running.listener.is_finished() {
            let _ = TcpStream::connect_timeout(&self.address, CALL_WAIT);
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = running.listener.join();
        let open: Vec<_> =
            lock(&running.connections).open.drain().map(|(_, connection)| connection).collect();
        for (stream, _) in &open {
            reset_at_close(stream);
            let _ = stream.shutdown(Shutdown::Both);
        }
        for (stream, thread) in open {
            let _ = thread.join();
            drop(stream);
        }
    }

    /// Brings it back on the same port, with what arrived before. Nothing happens if it is there.
    ///
    /// # Errors
    ///
    /// If the port was taken meanwhile or a thread cannot be started.
    pub fn resume(&mut self) -> io::Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        let listener = TcpListener::bind(self.address)?;
        self.address = listener.local_addr()?;
        let (gate, connections) = (Arc::new(Gate::default()), Arc::new(Mutex::new(Connections::default())));
        let (shared, stop, opened) = (self.shared.clone(), gate.clone(), connections.clone());
        let accepting = move || accept(&listener, &shared, &stop, &opened);
        let listener = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(accepting)?;
        self.running = Some(Running { gate, listener, connections });
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accept(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    gate: &Arc<Gate>,
    connections: &Arc<Mutex<Connections>>,
) {
    loop {
        let accepted = listener.accept();
        if gate.is_stopped() {
            return;
        }
        // A client that has gone again, or too many open files: the next one may come through.
        let Ok((stream, _)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let _ = stream.set_read_timeout(Some(SILENCE_MAX));
        let _ = stream.set_write_timeout(Some(SILENCE_MAX));
        open(stream, shared, gate, connections);
    }
}

/// Gives a connection a thread of its own, unless there are too many.
fn open(stream: TcpStream, shared: &Arc<Shared>, gate: &Arc<Gate>, connections: &Arc<Mutex<Connections>>) {
    let mut held = lock(connections);
    if held.open.len() >= shared.options.connections_max {
        return;
    }
    let stream = Arc::new(stream);
    let number = held.next;
    let (shared, gate, connections, served) =
        (shared.clone(), gate.clone(), connections.clone(), stream.clone());
    let serving = move || {
        serve(&served, &shared, &gate);
        drop(served);
        // That closes it, and leaves the thread to end by itself.
        drop(lock(&connections).open.remove(&number));
    };
    // Without a thread the connection is closed, as if there were too many.
    if let Ok(thread) = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(serving) {
        held.next += 1;
        held.open.insert(number, (stream, thread));
    }
}
