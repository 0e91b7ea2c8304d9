//! A request's lines through the scheduler and back, in order, with a bounded number under way.

use crate::ApiError;
use crate::models::LoadedModel;
use crate::scheduler::{Answer, Job, Request, Scheduler};
use attackline_telemetry::LogLine;
use axum::body::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::mpsc;

/// Lines of one request that are under way at a time.
const WINDOW: usize = 512;

/// Bytes of answers that are sent in one piece, about.
const PIECE_BYTES: usize = 16 << 10;

/// Pieces that wait for a client that reads slowly.
const PIECES: usize = 4;

/// A line as a request brings it, or why it can't be read.
pub enum Incoming {
    /// A line, and what its sender calls it.
    Line(LogLine, Option<Value>),
    /// Something that is no line; answered in its place.
    Bad(ApiError),
    /// What ends the request: nothing more is read.
    End(ApiError),
}

/// What answers are written with.
pub type Pieces = mpsc::Receiver<Result<Bytes, std::convert::Infallible>>;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Answers what comes in `lines`, as NDJSON in pieces. Where the reader of the pieces goes away, the rest is dropped.
pub fn answer(scheduler: Arc<Scheduler>, request: Request, lines: mpsc::Receiver<Incoming>) -> Pieces {
    let (pieces, receiver) = mpsc::channel(PIECES);
    let request = Arc::new(request);
    tokio::spawn(async move {
        let abandoned = Abandoned(Arc::clone(&request));
        run(scheduler, &request, lines, pieces).await;
        drop(abandoned);
    });
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
    request: &Arc<Request>,
    mut lines: mpsc::Receiver<Incoming>,
    pieces: mpsc::Sender<Result<Bytes, std::convert::Infallible>>,
) {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let (sender, mut answers) = mpsc::unbounded_channel::<Answer>();
    let mut names: BTreeMap<u64, Value> = BTreeMap::new();
    let mut done: BTreeMap<u64, String> = BTreeMap::new();
    let (mut submitted, mut written, mut number, mut open) = (0u64, 0u64, 0u64, true);
    let mut piece = String::new();
    loop {
        let room = open && submitted - written < WINDOW as u64;
        if !open && written == submitted {
            break;
        }
        tokio::select! {
            biased;
            Some(answer) = answers.recv() => {
                let line = written_out(&request.model, answer.finding, names.remove(&answer.place), answer.place + 1);
                done.insert(answer.place, line);
            }
            incoming = lines.recv(), if room => match incoming {
                None => open = false,
                Some(Incoming::Line(line, name)) => {
                    number += 1;
                    if let Some(name) = name {
                        names.insert(submitted, name);
                    }
                    scheduler.submit(id, request, Job { place: submitted, number, line }, &sender);
                    submitted += 1;
                }
                Some(Incoming::Bad(error)) => {
                    number += 1;
                    done.insert(submitted, refused(number, &error));
                    submitted += 1;
                }
                Some(Incoming::End(error)) => {
                    done.insert(submitted, refused(number + 1, &error));
                    submitted += 1;
                    open = false;
                }
            },
            () = pieces.closed() => return,
        }
        while let Some(line) = done.remove(&written) {
            piece.push_str(&line);
            piece.push('\n');
            written += 1;
        }
        // What is ready goes out at once unless more is about to be.
        let pause = answers.is_empty() && (lines.is_empty() || !room);
        if !piece.is_empty() && (piece.len() >= PIECE_BYTES || pause || written == submitted) {
            if pieces.send(Ok(Bytes::from(std::mem::take(&mut piece)))).await.is_err() {
                return;
            }
        }
    }
    if !piece.is_empty() {
        let _ = pieces.send(Ok(Bytes::from(piece))).await;
    }
}

/// A finding as a line of the answer: the NDJSON of `attackline classify`, the sender's id, the model that gave it.
fn written_out(model: &LoadedModel, finding: Result<attackline_findings::Finding, ApiError>, name: Option<Value>, number: u64) -> String {
    let mut value = match finding {
        Ok(finding) => {
            serde_json::to_value(&finding).unwrap_or_else(|error| json!({"line": number, "error": error.to_string(), "error_type": "internal"}))
        }
        Err(error) => json!({"line": number, "error": error.message, "error_type": error.kind}),
    };
    if let Value::Object(members) = &mut value {
        if let Some(name) = name {
            members.insert("id".into(), name);
        }
        members.insert("model".into(), json!({"name": model.name, "version": model.version}));
    }
    value.to_string()
}

fn refused(number: u64, error: &ApiError) -> String {
    json!({"line": number, "error": error.message, "error_type": error.kind}).to_string()
}

/// A request for `model`.
pub fn request(model: Arc<LoadedModel>, options: crate::options::LineOptions) -> Request {
    Request { model, options, cancelled: AtomicBool::new(false) }
}
