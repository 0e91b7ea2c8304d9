//! Reads, classifies and hands on in order, with memory bounded whatever the input's size.
//!
//! A reader thread takes lines from the source; a chunker puts them together until a chunk is full or the source pauses, so
//! that a slow stream is answered at once; workers tokenise and classify; the caller's thread gets the answers in the
//! input's order. Every channel is bounded, so a slow output slows the reader.

use crate::diagnostics::Diagnostics;
use anyhow::{Context, Result};
use attackline_findings::{Evidence, LabelView, ParentWord, answers, evidence, parent_line};
use attackline_model::{AnswerCache, Classifier, ModelError, Prediction};
use attackline_telemetry::LogLine;
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// A chunk's lines and bytes of text, at most (a longer line is a chunk of its own).
const CHUNK_LINES: usize = 256;
const CHUNK_BYTES: usize = 1 << 20;

/// A source that says nothing for so long is a stream: what has been read is answered.
const PAUSE: Duration = Duration::from_millis(20);

/// A line with the model's answer.
pub struct Answer {
    /// The line.
    pub line: LogLine,
    /// Whether the model read only a part of it.
    pub truncated: bool,
    /// What the line's parent says, where it was heard.
    pub parent: Option<ParentWord>,
    /// What the model says, its parent heard.
    pub prediction: Arc<Prediction>,
    /// The parts of the line that carry the decision, where they were asked for.
    pub evidence: Option<Vec<Evidence>>,
}

/// What the workers do with an answer besides, such as finding its evidence.
pub type Each<'a> = dyn Fn(&mut Answer) + Sync + 'a;

/// Finds the evidence of every answer, as `view` decides it at `threshold`.
pub fn explain(classifier: &dyn Classifier, view: &LabelView, threshold: f32) -> impl Fn(&mut Answer) + Sync {
    move |answer| {
        let decision = view.decide(&answer.prediction.scores, threshold);
        answer.evidence = Some(evidence(classifier, view, &answer.line.text, answer.parent.as_ref(), &decision));
    }
}

type Answers = Vec<Result<Answer, ModelError>>;

struct Job {
    lines: Vec<LogLine>,
    reply: SyncSender<Answers>,
}

/// Classifies everything that `source` yields, does `each` with every answer, and hands it to `sink`, a chunk at a time, in order. What can't
/// be read is reported and left out. Gives the source back.
pub fn run<S, E>(
    source: S,
    classifier: &dyn Classifier,
    threads: usize,
    diagnostics: &Diagnostics,
    cache: &AnswerCache,
    each: &Each,
    mut sink: impl FnMut(Vec<Answer>) -> Result<()>,
) -> Result<S>
where
    S: Iterator<Item = Result<LogLine, E>> + Send,
    E: Display,
{
    thread::scope(|scope| {
        let (line_sender, lines) = sync_channel(CHUNK_LINES);
        let (job_sender, jobs) = sync_channel(threads);
        let (order_sender, order) = sync_channel(threads * 2);
        let reader = scope.spawn(move || read(source, &line_sender, diagnostics));
        scope.spawn(move || chunk(&lines, &job_sender, &order_sender));
        let jobs = std::sync::Arc::new(Mutex::new(jobs));
        for _ in 0..threads {
            let jobs = std::sync::Arc::clone(&jobs);
            scope.spawn(move || work(&jobs, classifier, cache, each));
        }
        drop(jobs);
        for reply in order.iter() {
            let answers: Answers = reply.recv().context("a worker thread ended early; this is a defect, please report it")?;
            sink(readable(answers, diagnostics))?;
        }
        reader.join().map_err(|_| anyhow::anyhow!("the reader thread ended early; this is a defect, please report it"))
    })
}

fn read<S, E>(mut source: S, lines: &SyncSender<LogLine>, diagnostics: &Diagnostics) -> S
where
    S: Iterator<Item = Result<LogLine, E>>,
    E: Display,
{
    for item in source.by_ref() {
        match item {
            Err(error) => diagnostics.error(&error),
            Ok(line) => {
                // Nobody takes lines any more: the output is closed.
                if lines.send(line).is_err() {
                    break;
                }
            }
        }
    }
    source
}

fn chunk(lines: &Receiver<LogLine>, jobs: &SyncSender<Job>, order: &SyncSender<Receiver<Answers>>) {
    let submit = |lines: Vec<LogLine>| {
        let (reply, answers) = sync_channel(1);
        order.send(answers).is_ok() && jobs.send(Job { lines, reply }).is_ok()
    };
    while let Ok(first) = lines.recv() {
        let (chunk, ended) = fill(first, lines);
        if !submit(chunk) || ended {
            return;
        }
    }
}

/// A chunk that begins with `first`, and whether the source has ended.
fn fill(first: LogLine, lines: &Receiver<LogLine>) -> (Vec<LogLine>, bool) {
    let mut bytes = first.text.len();
    let mut chunk = vec![first];
    while chunk.len() < CHUNK_LINES && bytes < CHUNK_BYTES {
        match lines.recv_timeout(PAUSE) {
            Ok(line) => {
                bytes += line.text.len();
                chunk.push(line);
            }
            Err(RecvTimeoutError::Timeout) => return (chunk, false),
            Err(RecvTimeoutError::Disconnected) => return (chunk, true),
        }
    }
    (chunk, false)
}

fn work(jobs: &Mutex<Receiver<Job>>, classifier: &dyn Classifier, cache: &AnswerCache, each: &Each) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let mut answers = classify(job.lines, classifier, cache);
        answers.iter_mut().flatten().for_each(each);
        // Where nobody waits for the answer any more, the next job's sender is gone too.
        let _ = job.reply.send(answers);
    }
}

/// What a line's parent says, and the line's answer with it heard.
type Heard = (ParentWord, Arc<Prediction>);

/// Answers lines and what started them: from the cache, else in batches of bounded size, each text once. A line's answer does not depend on its
/// company.
pub fn classify(lines: Vec<LogLine>, classifier: &dyn Classifier, cache: &AnswerCache) -> Answers {
    let texts = lines.iter().flat_map(|line| [Some(line.text.as_str()), parent_line(classifier, line)]).flatten();
    let known = answers(texts, classifier, cache);
    // The same line below the same parent is heard once.
    let mut heard: HashMap<(&str, &str), Option<Heard>> = HashMap::new();
    let answer = |line| -> Result<_, ModelError> {
        let LogLine { text, cut, .. }: &LogLine = line;
        // The error once more, for each line that has it.
        let own = known.get(text.as_str()).ok_or_else(|| classifier.encode(text).expect_err("a text without an answer can't be encoded"))?;
        let hear = |parent: &str| {
            let word = ParentWord::new(classifier, &known.get(parent)?.prediction)?;
            Some((word, Arc::new(word.heard(&own.prediction))))
        };
        let with_parent = parent_line(classifier, line).and_then(|parent| heard.entry((text, parent)).or_insert_with(|| hear(parent)).clone());
        let (parent, prediction) = with_parent.map_or_else(|| (None, Arc::clone(&own.prediction)), |(word, heard)| (Some(word), heard));
        Ok((own.truncated || *cut, parent, prediction))
    };
    let answers: Vec<Result<_, ModelError>> = lines.iter().map(answer).collect();
    let put = |(line, answer): (LogLine, Result<_, ModelError>)| {
        answer.map(|(truncated, parent, prediction)| Answer { line, truncated, parent, prediction, evidence: None })
    };
    lines.into_iter().zip(answers).map(put).collect()
}

fn readable(answers: Answers, diagnostics: &Diagnostics) -> Vec<Answer> {
    let report = |answer: Result<Answer, ModelError>| answer.map_err(|error| diagnostics.error(&error)).ok();
    answers.into_iter().filter_map(report).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use attackline_model::{Encoded, Labels, Prepared};

    /// Scores a line by its own number, slowly for the early ones, so that answers come out of order.
    struct Numbers(Labels);

    impl Classifier for Numbers {
        fn labels(&self) -> &Labels {
            &self.0
        }

        fn encode_prepared(&self, line: &Prepared<'_>) -> Result<Encoded, ModelError> {
            let number = line.text.parse::<u32>().map_err(|error| ModelError::Tokenizer(error.to_string()))?;
            Ok(vec![number; 1 + number as usize % 7].into())
        }

        fn classify(&self, lines: &[Encoded]) -> Vec<Prediction> {
            if lines.first().is_some_and(|line| line.ids[0].is_multiple_of(3)) {
                thread::sleep(Duration::from_millis(3));
            }
            lines.iter().map(|line| Prediction { scores: vec![line.ids[0] as f32, 0.0] }).collect()
        }

        fn threshold(&self) -> f32 {
            0.5
        }

        fn name(&self) -> &str {
            "numbers"
        }
    }

    fn line(text: String) -> LogLine {
        LogLine { text, ..LogLine::default() }
    }

    fn numbers() -> Numbers {
        Numbers(Labels::new(vec!["Benign".into(), "T1049".into()]).unwrap())
    }

    #[test]
    fn answers_come_in_order_and_errors_are_counted() {
        for threads in [1, 2, 5] {
            let source = (0..5_000).map(|number| if number % 1_000 == 999 { Err("unreadable") } else { Ok(line(number.to_string())) });
            let diagnostics = Diagnostics::new(false, false);
            let mut seen = Vec::new();
            let sink = |answers: Vec<Answer>| {
                for answer in &answers {
                    assert_eq!(answer.line.text, answer.prediction.scores[0].to_string());
                }
                seen.extend(answers.into_iter().map(|answer| answer.line.text.parse::<u32>().unwrap()));
                Ok(())
            };
            let _source = run(source, &numbers(), threads, &diagnostics, &AnswerCache::new(1 << 16), &|_| (), sink).unwrap();
            assert_eq!(seen, (0..5_000).filter(|number| number % 1_000 != 999).collect::<Vec<u32>>());
            assert_eq!(diagnostics.errors(), 5);
        }
    }

    #[test]
    fn a_closed_output_ends_an_endless_source() {
        let source = (0u32..).map(|number| Ok::<_, String>(line(number.to_string())));
        let ended = run(source, &numbers(), 2, &Diagnostics::new(false, false), &AnswerCache::new(0), &|_| (), |_| anyhow::bail!("closed"));
        assert_eq!(ended.err().unwrap().to_string(), "closed");
    }

    #[test]
    fn a_line_that_cannot_be_encoded_does_not_shift_the_others() {
        let answers = classify(["1", "x", "2"].map(|text| line(text.into())).to_vec(), &numbers(), &AnswerCache::new(0));
        assert!(answers[1].is_err());
        assert_eq!(answers[2].as_ref().unwrap().prediction.scores[0], 2.0);
    }

    /// Counts the lines that reach the model.
    struct Counted(Numbers, std::sync::atomic::AtomicUsize);

    impl Classifier for Counted {
        fn labels(&self) -> &Labels {
            self.0.labels()
        }

        fn encode_prepared(&self, line: &Prepared<'_>) -> Result<Encoded, ModelError> {
            self.0.encode_prepared(line)
        }

        fn classify(&self, lines: &[Encoded]) -> Vec<Prediction> {
            self.1.fetch_add(lines.len(), std::sync::atomic::Ordering::Relaxed);
            self.0.classify(lines)
        }

        fn threshold(&self) -> f32 {
            0.5
        }

        fn name(&self) -> &str {
            "counted"
        }
    }

    #[test]
    fn the_same_line_is_computed_once_and_remembered() {
        let counted = Counted(numbers(), Default::default());
        let cache = AnswerCache::new(1 << 16);
        for (again, computed) in [(1, 2), (2, 2)] {
            let lines = ["7", "8", "7", "x", "7", "x"].map(|text| line(text.into())).to_vec();
            let answers = classify(lines, &counted, &cache);
            let scores: Vec<Option<f32>> = answers.iter().map(|answer| answer.as_ref().ok().map(|answer| answer.prediction.scores[0])).collect();
            assert_eq!(scores, [Some(7.0), Some(8.0), Some(7.0), None, Some(7.0), None], "{again}");
            assert_eq!(counted.1.load(std::sync::atomic::Ordering::Relaxed), computed);
        }
        let cut = LogLine { cut: true, ..line("7".into()) };
        assert!(classify(vec![cut], &counted, &cache)[0].as_ref().unwrap().truncated, "what the reader cut stays cut");
    }
}
