//! A server beside, which writes down what it is asked and answers as it is told to.

use crate::wait;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How long a call is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A call that came, and its answer's status.
#[derive(Clone, Debug)]
pub struct Call {
    /// Method and path.
    pub line: String,
    /// Its headers, in small letters as far as the colon.
    pub headers: Vec<String>,
    /// All of it.
    pub body: String,
    /// As it was answered.
    pub status: u16,
}

/// The server, as long as the test's process lives.
#[derive(Clone, Debug)]
pub struct Recorder {
    /// Where it listens.
    pub url: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    calls: Vec<Call>,
    status: u16,
    /// What it answers to a body.
    answer: fn(&str) -> String,
}

impl Recorder {
    /// Starts one that answers with this status.
    pub fn answering(status: u16) -> Self {
        Self::answering_with(status, |_| "{}".to_owned())
    }

    /// The same with what it answers to each body.
    pub fn answering_with(status: u16, answer: fn(&str) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        let shared = Arc::new(Mutex::new(Shared { calls: Vec::new(), status, answer }));
        let recorder = Self { url, shared };
        let recording = recorder.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let recording = recording.clone();
                thread::spawn(move || recording.record(&stream));
            }
        });
        recorder
    }

    /// From now on it answers with this status.
    pub fn answer(&self, status: u16) {
        self.locked().status = status;
    }

    /// What came so far and was answered with this status.
    pub fn answered(&self, status: u16) -> Vec<Call> {
        self.locked().calls.iter().filter(|call| call.status == status).cloned().collect()
    }

    /// Waits until so many calls were answered with this status.
    pub fn until_answered(&self, status: u16, count: usize) -> Vec<Call> {
        wait::until(&format!("{count} calls answered with {status}"), PATIENCE, || {
            Some(self.answered(status)).filter(|calls| calls.len() >= count)
        })
    }

    fn locked(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, stream: &TcpStream) -> Option<()> {
        let mut input = BufReader::new(stream);
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let lines = input.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        let headers: Vec<String> = lines
            .filter_map(|line| {
                let (name, value) = line.split_once(':')?;
                Some(format!("{}:{value}", name.to_ascii_lowercase()))
            })
            .collect();
        let length =
            headers.iter().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or_default()];
        input.read_exact(&mut body).ok()?;
        let (line, _) = line.trim().rsplit_once(' ')?;
        let body = String::from_utf8_lossy(&body).into_owned();
        let (status, answer) = {
            let mut shared = self.locked();
            let (status, answer) = (shared.status, (shared.answer)(&body));
            shared.calls.push(Call { line: line.to_owned(), headers, body, status });
            (status, answer)
        };
        let (mut output, length) = (stream, answer.len());
        write!(output, "HTTP/1.1 {status} -\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}")
            .ok()
    }
}
