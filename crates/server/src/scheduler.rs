//! Lines of all requests on their way through the models.
//!
//! Each request has a queue; workers take a few lines from each in turn, so that a large request does not hold up a small one, and make a
//! batch of what they took. A worker takes what is there and waits for nobody: on an idle server a line goes straight through, under load
//! batches fill by themselves. A request has a bounded number of lines under way, and all requests together have too.

use crate::ApiError;
use crate::models::LoadedModel;
use crate::options::LineOptions;
use crate::trace::{Stage, Trace};
use attackline_findings::{Evidence, Finding, ParentWord, answers, evidence, parent_line};
use attackline_model::{BATCH_TOKENS, Encoded, KeptAnswer};
use attackline_telemetry::LogLine;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// Lines that a worker takes from one request before it looks at the next one.
const TURN: usize = 8;

/// Lines of a batch, at most.
const BATCH_LINES: usize = 64;

/// Lines of a batch that a line counts for when evidence is asked for: the model reads it up to fifty times.
const EXPLAINED_LINES: usize = 16;

/// What a request asks of each of its lines.
pub struct Request {
    /// Tells its queue from others'.
    id: u64,
    /// The model that answers.
    pub model: Arc<LoadedModel>,
    /// How.
    pub options: LineOptions,
    /// Where the request's time goes.
    pub trace: Trace,
    /// Raised when nobody waits for the answers any more.
    pub cancelled: AtomicBool,
}

impl Request {
    /// A request for `model`.
    pub fn new(model: Arc<LoadedModel>, options: LineOptions, trace: Trace) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        trace.asks(&model);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), model, options, trace, cancelled: AtomicBool::new(false) }
    }
}

/// A line under way.
pub struct Job {
    /// Its place among the lines of its request, from 0.
    pub place: u64,
    /// Its number in answers, from 1.
    pub number: u64,
    /// The line.
    pub line: LogLine,
}

/// A line's answer.
pub struct Answer {
    /// The place among the lines of the request.
    pub place: u64,
    /// The finding, or why there is none.
    pub finding: Result<Finding, ApiError>,
}

struct Queue {
    request: Arc<Request>,
    jobs: VecDeque<(Job, Instant)>,
    answers: UnboundedSender<Answer>,
}

#[derive(Default)]
struct State {
    /// The requests that have lines waiting, the next one first.
    queues: VecDeque<Queue>,
    ended: bool,
}

/// Where workers report how long things took.
pub trait Observer: Send + Sync {
    /// A batch has been computed: its lines, the time that the oldest of them waited, and the time to compute.
    fn batch(&self, lines: usize, waited: Duration, computed: Duration);

    /// A line has been answered.
    fn answer(&self, finding: &Finding);
}

/// The queues and those who work on them.
pub struct Scheduler {
    state: Mutex<State>,
    work: Condvar,
    waiting: AtomicUsize,
    capacity: usize,
    observer: Arc<dyn Observer>,
}

impl Scheduler {
    /// Starts `workers` threads. No more than `capacity` lines wait at a time.
    pub fn start(workers: usize, capacity: usize, observer: Arc<dyn Observer>) -> std::io::Result<Arc<Self>> {
        let scheduler = Arc::new(Self { state: Mutex::default(), work: Condvar::new(), waiting: AtomicUsize::new(0), capacity, observer });
        for number in 0..workers.max(1) {
            let own = Arc::clone(&scheduler);
            std::thread::Builder::new().name(format!("worker {number}")).spawn(move || own.work())?;
        }
        Ok(scheduler)
    }

    /// Lines waiting now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether so many lines more than there is room for would be waiting.
    pub fn is_full(&self, more: usize) -> bool {
        self.waiting() + more > self.capacity
    }

    /// Puts a line of a request into its queue.
    pub fn submit(&self, request: &Arc<Request>, job: Job, answers: &UnboundedSender<Answer>) {
        request.trace.line();
        request.trace.touch(Stage::Queue);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Counted before it can be taken, so that the count never falls below nothing.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let job = (job, Instant::now());
        match state.queues.iter_mut().find(|queue| queue.request.id == request.id) {
            Some(queue) => queue.jobs.push_back(job),
            None => state.queues.push_back(Queue { request: Arc::clone(request), jobs: [job].into(), answers: answers.clone() }),
        }
        drop(state);
        self.work.notify_one();
    }

    /// Lets the workers end once nothing waits any more.
    pub fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.work.notify_all();
    }

    fn work(&self) {
        while let Some(batch) = self.take() {
            let waited = batch.iter().map(|taken| taken.since.elapsed()).max().unwrap_or_default();
            let (lines, start) = (batch.len(), Instant::now());
            // A panic in a model's code must not take the worker with it; each line that was under way says so as it is dropped.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.answer(batch)));
            if outcome.is_ok() {
                self.observer.batch(lines, waited, start.elapsed());
            }
        }
    }

    /// The next lines, a few of each waiting request; `None` when there are none any more.
    fn take(&self) -> Option<Vec<Taken>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.queues.is_empty() {
            if state.ended {
                return None;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut batch: Vec<Taken> = Vec::new();
        let (mut rest, mut cost) = (state.queues.len(), 0);
        while rest > 0 && cost < BATCH_LINES {
            rest -= 1;
            let Some(mut queue) = state.queues.pop_front() else { break };
            let (turn, each) = if queue.request.options.explain { (1, EXPLAINED_LINES) } else { (TURN, 1) };
            for _ in 0..turn {
                cost += each;
                let Some((job, since)) = queue.jobs.pop_front() else { break };
                queue.request.trace.touch(Stage::Queue);
                queue.request.trace.touch(Stage::Infer);
                let reply = Reply { answers: Some(queue.answers.clone()), place: job.place };
                batch.push(Taken { request: Arc::clone(&queue.request), reply, job, parent: None, since });
            }
            if !queue.jobs.is_empty() {
                // Alone, a request may fill the batch by itself.
                rest += usize::from(state.queues.is_empty());
                state.queues.push_back(queue);
            }
        }
        self.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        if !state.queues.is_empty() {
            self.work.notify_one();
        }
        Some(batch)
    }

    fn answer(&self, mut batch: Vec<Taken>) {
        batch.chunk_by_mut(|a, b| Arc::ptr_eq(&a.request.model, &b.request.model)).for_each(hear_parents);
        let mut waiting: Vec<(Taken, Encoded)> = Vec::new();
        for taken in batch {
            if taken.request.cancelled.load(Ordering::Relaxed) {
                continue;
            }
            if let Some(known) = taken.request.model.cache.get(&taken.job.line.text) {
                self.send(taken, Ok(known));
                continue;
            }
            match taken.request.model.classifier.encode(&taken.job.line.text) {
                Ok(encoded) => waiting.push((taken, encoded)),
                Err(error) => self.send(taken, Err(ApiError::unreadable(error.to_string()))),
            }
        }
        // Neighbours of one model go through it together.
        while !waiting.is_empty() {
            let model = Arc::clone(&waiting[0].0.request.model);
            let mut tokens = 0;
            let is_too_much = |(taken, encoded): &(Taken, Encoded)| {
                tokens += encoded.ids.len();
                !Arc::ptr_eq(&taken.request.model, &model) || tokens > BATCH_TOKENS && tokens > encoded.ids.len()
            };
            let count = waiting.iter().position(is_too_much).unwrap_or(waiting.len());
            let rest = waiting.split_off(count);
            let (now, lines): (Vec<Taken>, Vec<Encoded>) = std::mem::replace(&mut waiting, rest).into_iter().unzip();
            for ((taken, line), prediction) in now.into_iter().zip(&lines).zip(model.classifier.classify(&lines)) {
                let answer = KeptAnswer { truncated: line.truncated, prediction: Arc::new(prediction) };
                model.cache.insert(&taken.job.line.text, &answer);
                self.send(taken, Ok(answer));
            }
        }
    }

    fn send(&self, taken: Taken, answer: Result<KeptAnswer, ApiError>) {
        let Taken { request, reply, job, parent, .. } = taken;
        let finding = answer.map(|answer| {
            let options = &request.options;
            let heard = parent.map(|parent| parent.heard(&answer.prediction));
            let decision = options.view.decide(&heard.as_ref().unwrap_or(&answer.prediction).scores, options.threshold);
            let evidence: Option<Vec<Evidence>> =
                options.explain.then(|| evidence(request.model.classifier.as_ref(), &options.view, &job.line.text, parent.as_ref(), &decision));
            let truncated = answer.truncated || job.line.cut;
            let parent_attack = parent.map(|parent| parent.attack);
            Finding {
                evidence,
                parent_attack,
                ..Finding::new(job.number, job.line, truncated, &options.view, &decision, options.top, options.scores)
            }
        });
        if let Ok(finding) = &finding {
            self.observer.answer(finding);
        }
        request.trace.touch(Stage::Infer);
        reply.send(finding);
    }
}

struct Taken {
    request: Arc<Request>,
    reply: Reply,
    job: Job,
    /// What the line's parent says, once it was heard.
    parent: Option<ParentWord>,
    since: Instant,
}

/// Hears what started the lines of one model.
fn hear_parents(batch: &mut [Taken]) {
    let Some(model) = batch.first().map(|taken| Arc::clone(&taken.request.model)) else { return };
    let classifier = model.classifier.as_ref();
    let waits = |taken: &&Taken| !taken.request.cancelled.load(Ordering::Relaxed);
    let parents = batch.iter().filter(waits).filter_map(|taken| parent_line(classifier, &taken.job.line));
    let known = answers(parents, classifier, &model.cache);
    let words: Vec<Option<ParentWord>> =
        batch.iter().map(|taken| ParentWord::new(classifier, &known.get(parent_line(classifier, &taken.job.line)?)?.prediction)).collect();
    batch.iter_mut().zip(words).for_each(|(taken, word)| taken.parent = word);
}

/// Where a line's answer goes. However a line ends, its request hears of it.
struct Reply {
    answers: Option<UnboundedSender<Answer>>,
    place: u64,
}

impl Reply {
    fn send(mut self, finding: Result<Finding, ApiError>) {
        if let Some(answers) = self.answers.take() {
            // Where nobody waits for the answer any more, it is dropped.
            let _ = answers.send(Answer { place: self.place, finding });
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(answers) = self.answers.take() {
            let finding = Err(ApiError::defect("the line could not be answered"));
            let _ = answers.send(Answer { place: self.place, finding });
        }
    }
}
