//! A request's lines through the scheduler and back, in order, with a bounded number under way.

use crate::ApiError;
use crate::metrics::Metrics;
use crate::models::LoadedModel;
use crate::scheduler::{Answer, Job, Request, Scheduler};
use crate::trace::Stage;
use attackline_findings::json_line;
use attackline_telemetry::LogLine;
use axum::body::Bytes;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::mpsc;

/// Lines of one request that are under way at a time.
const WINDOW: u64 = 512;

/// Bytes of text of one request that are under way at a time, about: many short lines, or a few long ones.
const WINDOW_BYTES: usize = 4 << 20;

/// Bytes of answers that are sent in one piece, about.
const PIECE_BYTES: usize = 16 << 10;

/// Pieces that wait for a client that reads slowly.
const PIECES: usize = 4;

/// A line as a request brings it, or why it can't be read.
#[expect(clippy::large_enum_variant, reason = "nearly all are lines, and a channel holds few")]
pub enum Incoming {
    /// A line, and what its sender calls it.
    Line(LogLine, Option<Value>),
    /// Something that is no line, and what its sender calls it; answered in its place.
    Bad(ApiError, Option<Value>),
    /// What ends the request: nothing more is read.
    End(ApiError),
}

/// What answers are written with.
pub type Pieces = mpsc::Receiver<Result<Bytes, std::convert::Infallible>>;

/// Answers what comes in `lines`, as NDJSON in pieces. Where the reader of the pieces goes away, the rest is dropped.
pub fn answer(scheduler: Arc<Scheduler>, metrics: Arc<Metrics>, request: Request, lines: mpsc::Receiver<Incoming>, most_lines: u64) -> Pieces {
    let (pieces, receiver) = mpsc::channel(PIECES);
    let window = Window::new(most_lines, metrics);
    tokio::spawn(run(scheduler, Abandoned(Arc::new(request)), lines, window, pieces));
    receiver
}

/// Whatever ends a request, its lines that still wait are not computed.
struct Abandoned(Arc<Request>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }
}

async fn run(
    scheduler: Arc<Scheduler>,
    request: Abandoned,
    mut lines: mpsc::Receiver<Incoming>,
    mut window: Window,
    pieces: mpsc::Sender<Result<Bytes, std::convert::Infallible>>,
) {
    let (sender, mut answers) = mpsc::unbounded_channel::<Answer>();
    let mut piece = String::new();
    while window.open || window.waits() {
        let room = window.has_room();
        tokio::select! {
            biased;
            Some(answer) = answers.recv() => window.answered(&request.0.model, answer),
            incoming = lines.recv(), if room => {
                request.0.trace.touch(Stage::Read);
                if let Some(job) = window.take(incoming) {
                    scheduler.submit(&request.0, job, &sender);
                }
            }
            () = pieces.closed() => return,
        }
        window.write(&mut piece);
        // What is ready goes out at once unless more is about to be.
        let pause = answers.is_empty() && (lines.is_empty() || !room);
        let ready = !piece.is_empty() && (piece.len() >= PIECE_BYTES || pause || !window.waits());
        if ready {
            request.0.trace.touch(Stage::Write);
            if pieces.send(Ok(Bytes::from(std::mem::take(&mut piece)))).await.is_err() {
                return;
            }
            request.0.trace.touch(Stage::Write);
        }
    }
    if !piece.is_empty() {
        let _ = pieces.send(Ok(Bytes::from(piece))).await;
    }
}

/// The lines of a request from when they are read until they are written.
struct Window {
    most_lines: u64,
    metrics: Arc<Metrics>,
    /// Whether more lines may come.
    open: bool,
    /// Places taken, and places written.
    submitted: u64,
    written: u64,
    /// What their sender calls them.
    names: BTreeMap<u64, Value>,
    /// Answers that wait for those before them.
    done: BTreeMap<u64, String>,
    /// Bytes of each line that is under way, in order, and of all.
    sizes: VecDeque<usize>,
    bytes: usize,
}

impl Window {
    fn new(most_lines: u64, metrics: Arc<Metrics>) -> Self {
        let (names, done, sizes) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
        Self { most_lines, metrics, open: true, submitted: 0, written: 0, names, done, sizes, bytes: 0 }
    }

    fn waits(&self) -> bool {
        self.written < self.submitted
    }

    fn has_room(&self) -> bool {
        self.open && self.submitted - self.written < WINDOW && self.bytes < WINDOW_BYTES
    }

    /// Gives what comes a place; a line is to be computed.
    fn take(&mut self, incoming: Option<Incoming>) -> Option<Job> {
        let (place, number) = (self.submitted, self.submitted + 1);
        let incoming = match incoming {
            Some(Incoming::Line(..) | Incoming::Bad(..)) if place == self.most_lines => {
                let most = self.most_lines;
                Some(Incoming::End(ApiError::too_large(format!("a request may have {most} lines; the rest was not read"))))
            }
            other => other,
        };
        let (line, name) = match incoming {
            None => {
                self.open = false;
                return None;
            }
            Some(Incoming::Line(line, name)) => (line, name),
            Some(Incoming::Bad(error, name)) => return self.refuse(&error, name),
            Some(Incoming::End(error)) => {
                self.open = false;
                return self.refuse(&error, None);
            }
        };
        if let Some(name) = name {
            self.names.insert(place, name);
        }
        self.occupy(line.text.len());
        Some(Job { place, number, line })
    }

    fn refuse(&mut self, error: &ApiError, name: Option<Value>) -> Option<Job> {
        self.metrics.unanswered(error.kind);
        let mut line = error_line(self.submitted + 1, error);
        if let Some(name) = name {
            line["id"] = name;
        }
        self.done.insert(self.submitted, json_line(&line));
        self.occupy(0);
        None
    }

    fn occupy(&mut self, bytes: usize) {
        self.sizes.push_back(bytes);
        self.bytes += bytes;
        self.submitted += 1;
    }

    fn answered(&mut self, model: &LoadedModel, answer: Answer) {
        if let Err(error) = &answer.finding {
            self.metrics.unanswered(error.kind);
        }
        let line = written_out(model, answer.finding, self.names.remove(&answer.place), answer.place + 1);
        self.done.insert(answer.place, line);
    }

    /// Appends the answers whose turn it is.
    fn write(&mut self, piece: &mut String) {
        while let Some(line) = self.done.remove(&self.written) {
            piece.push_str(&line);
            piece.push('\n');
            self.written += 1;
            self.bytes -= self.sizes.pop_front().unwrap_or(0);
        }
    }
}

/// What stands in the place of a line that has no answer.
fn error_line(number: u64, error: &ApiError) -> Value {
    json!({"line": number, "error": error.message, "error_type": error.kind})
}

/// A finding as a line of the answer: the NDJSON of `attackline classify`, the sender's id, the model that gave it.
fn written_out(model: &LoadedModel, finding: Result<attackline_findings::Finding, ApiError>, name: Option<Value>, number: u64) -> String {
    let mut value = match finding {
        Ok(finding) => serde_json::to_value(&finding).unwrap_or_else(|error| error_line(number, &ApiError::defect(error))),
        Err(error) => error_line(number, &error),
    };
    if let Value::Object(members) = &mut value {
        if let Some(name) = name {
            members.insert("id".into(), name);
        }
        members.insert("model".into(), json!({"name": model.name, "version": model.version}));
    }
    json_line(&value)
}
