//! A server with a made-up model, and a client that says exactly what it is told to.
#![allow(clippy::unwrap_used, dead_code)]

use attackline_model::{Classifier, Encoded, Labels, ModelError, ParentShare, Prediction, Prepared};
use attackline_server::{Feedback, Limits, Loader, Models, Server, Settings, Tls, Tokens, Traces};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A line's first number is the probability of an attack, in thousandths; `x` can't be read, `panic` is a defect, `slow` takes 300 milliseconds and `slowish` 20.
struct Fake(Labels, Arc<AtomicU64>);

impl Classifier for Fake {
    fn labels(&self) -> &Labels {
        &self.0
    }

    fn encode_prepared(&self, line: &Prepared<'_>) -> Result<Encoded, ModelError> {
        match &*line.text {
            "x" => Err(ModelError::Tokenizer("x is no text".into())),
            "panic" => Ok(vec![u32::MAX].into()),
            "slow" => Ok(vec![u32::MAX - 300].into()),
            text if text.starts_with("slowish") => Ok(vec![u32::MAX - 20].into()),
            text => {
                let number = text.split(|letter: char| !letter.is_ascii_digit()).find_map(|digits| digits.parse().ok());
                Ok(vec![number.unwrap_or(0u32).min(1000)].into())
            }
        }
    }

    fn classify(&self, lines: &[Encoded]) -> Vec<Prediction> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let of = |id: u32| {
            assert_ne!(id, u32::MAX, "a defect that the test asks for");
            if id > 1000 {
                std::thread::sleep(Duration::from_millis(u64::from(u32::MAX - id)));
            }
            let attack = id.min(1000) as f32 / 1000.0;
            Prediction { scores: vec![1.0 - attack, attack * 0.75, attack * 0.25] }
        };
        lines.iter().map(|line| of(line.ids[0])).collect()
    }

    fn threshold(&self) -> f32 {
        0.5
    }

    fn parent_share(&self) -> Option<ParentShare> {
        Some(ParentShare { share: 1.0, usual: 0.0, furthest: 3.0 })
    }

    fn name(&self) -> &str {
        "fake"
    }
}

/// A running server; dropping it stops it and waits for its end.
pub struct Running {
    pub address: SocketAddr,
    pub server: Server,
    /// Passes through the model.
    pub passes: Arc<AtomicU64>,
    /// Whether the model's folder can be loaded.
    pub loadable: Arc<Mutex<bool>>,
    /// Lines that were logged.
    pub logged: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

pub fn start() -> Running {
    start_with(Limits::default(), Tokens::default(), None)
}

pub fn start_with(limits: Limits, tokens: Tokens, feedback: Option<&Path>) -> Running {
    run(limits, tokens, feedback, None, Traces::default())
}

pub fn start_encrypted(tls: Arc<Tls>) -> Running {
    run(Limits::default(), Tokens::default(), None, Some(tls), Traces::default())
}

pub fn start_traced(traces: Traces) -> Running {
    run(Limits::default(), Tokens::default(), None, None, traces)
}

fn run(limits: Limits, tokens: Tokens, feedback: Option<&Path>, tls: Option<Arc<Tls>>, traces: Traces) -> Running {
    let (passes, loadable) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(true)));
    let (counted, can_load) = (Arc::clone(&passes), Arc::clone(&loadable));
    let loader = move || -> Result<Box<dyn Classifier>, String> {
        if !*can_load.lock().unwrap() {
            return Err("the folder is gone".into());
        }
        let labels = Labels::new(["Benign", "T1049", "T1003.002"].map(String::from).to_vec()).unwrap();
        Ok(Box::new(Fake(labels, Arc::clone(&counted))))
    };
    let models = Models::load(vec![("fake".into(), Box::new(loader) as Loader)], 1 << 20).unwrap();
    let logged = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&logged);
    let log = Box::new(move |line| lines.lock().unwrap().push(line));
    let feedback = feedback.map(|path| Feedback::open(path).unwrap());
    let server = Server::new(Settings { models, tokens, feedback, limits, workers: 2, traces, log }).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let own = server.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            own.listen(listener, tls).await.unwrap();
        });
    });
    Running { address: receiver.recv().unwrap(), server, passes, loadable, logged, thread: Some(thread) }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn rows(&self) -> Vec<Value> {
        self.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Running {
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends a request with further header lines and reads the answer.
    pub fn send(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", self.address, body.len());
        stream.write_all(head.as_bytes()).unwrap();
        // A server that refuses a body may close before all of it is sent.
        let _ = stream.write_all(body);
        read(stream)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &["Content-Type: application/json"], body.as_bytes())
    }

    pub fn rows(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &["Content-Type: application/x-ndjson"], body.as_bytes())
    }
}

/// Reads an answer to its end, pieces put together.
pub fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Answer { status, head: head.to_lowercase(), body }
}

fn unchunked(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        if size == 0 || rest.len() < size {
            break;
        }
        out.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    out
}
