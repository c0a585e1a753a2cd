//! CloudWatch Logs with faults: what the SDK puts is kept, or answered as a service answers that is not well. What the service itself says to
//! the same requests is tested with moto (`tests/whole/cloudwatch.rs`).

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::http::Connection;

/// How the service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Stores,
    Fails,
    Throttles,
    /// It takes requests and never answers.
    Hangs,
    /// It stores, and then the connection is lost before the answer.
    Forgets,
}

/// The service.
pub(crate) struct Sink {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
}

struct State {
    mood: Mood,
    stored: Vec<String>,
    tries: usize,
    streams: Vec<TcpStream>,
    /// Connections up to this one are answered no more: a translation of addresses has forgotten them.
    forgotten: usize,
}

impl Sink {
    pub(super) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let state =
            State { mood: Mood::Stores, stored: Vec::new(), tries: 0, streams: Vec::new(), forgotten: 0 };
        let state = Arc::new(Mutex::new(state));
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Ok(copy) = stream.try_clone() else { return };
                let number = {
                    let mut state = serving.lock().unwrap();
                    state.streams.push(copy);
                    state.streams.len()
                };
                let state = Arc::clone(&serving);
                // A connection that ends is the client's affair.
                thread::spawn(move || serve(stream, number, &state).ok());
            }
        });
        Ok(Self { url, state })
    }

    pub(super) fn set(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// The messages that are stored.
    pub(crate) fn stored(&self) -> Vec<String> {
        self.state.lock().unwrap().stored.clone()
    }

    /// How often something was put.
    pub(super) fn tries(&self) -> usize {
        self.state.lock().unwrap().tries
    }

    /// Resets every connection.
    pub(super) fn reset(&self) {
        let state = self.state.lock().unwrap();
        for stream in &state.streams {
            // The kernel answers whatever comes from now on with a reset.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Forgets every connection: they stand, and nothing comes back.
    pub(super) fn forget(&self) {
        let mut state = self.state.lock().unwrap();
        state.forgotten = state.streams.len();
    }
}

fn serve(stream: TcpStream, number: usize, state: &Mutex<State>) -> io::Result<()> {
    let mut connection = Connection::new(stream);
    while let Some(request) = connection.request()? {
        let mood = {
            let state = state.lock().unwrap();
            if number <= state.forgotten { Mood::Hangs } else { state.mood }
        };
        let is_put = request.head.contains("putlogevents");
        let mut state = state.lock().unwrap();
        state.tries += usize::from(is_put);
        if is_put && matches!(mood, Mood::Stores | Mood::Forgets) {
            let body: Value = serde_json::from_slice(&request.body)?;
            let events = body["logEvents"].as_array().into_iter().flatten();
            state.stored.extend(events.filter_map(|event| event["message"].as_str()).map(str::to_owned));
        }
        drop(state);
        let json = "Content-Type: application/x-amz-json-1.1\r\n";
        match mood {
            Mood::Stores => connection.answer("200 OK", json, "{}")?,
            Mood::Fails => connection.answer("500 Internal Server Error", json, "{}")?,
            Mood::Throttles => {
                connection.answer("400 Bad Request", json, r#"{"__type":"ThrottlingException"}"#)?;
            }
            Mood::Hangs => thread::sleep(Duration::from_secs(60)),
            Mood::Forgets => return Ok(()),
        }
    }
    Ok(())
}
