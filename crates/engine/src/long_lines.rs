//! Texts that are longer than a model reads, such as script blocks: read as a whole, as far as the model goes, and statement by statement.

use attackline_model::{Classifier, Encoded, Labels, ModelError, ParentShare, Prediction, Prepared, is_prose, opened};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// A statement's logit of an attack must be so much greater than a line's to count as much: one of hundreds is more easily something by chance.
const DISCOUNT: f32 = 1.0;

/// Statements that are read of a text, at most: three quarters from its beginning, the others from its end.
const MOST_STATEMENTS: usize = 1000;

/// A line is taken apart at what divides commands from so many bytes on, and any statement is cut at so many.
const LONG_LINE: usize = 200;
const LONGEST_STATEMENT: usize = 400;

/// Bytes of the shortest statement that is read.
const SHORTEST_STATEMENT: usize = 6;

/// Statements that are computed at a time.
const BATCH: usize = 64;

/// Statements whose probability of an attack is remembered, since scripts say the same over and over. Then they are forgotten all at once.
const MOST_KNOWN: usize = 1 << 15;

/// A classifier that reads a text that is too long for it statement by statement besides; where a statement is to be reported and more surely an
/// attack than the beginning and the end together, its answer is the text's. Less sure ones change nothing: the greatest of hundreds of
/// probabilities would be no probability any more. Sentences and comments are left out.
pub struct LongLines<C> {
    inner: C,
    /// By the exact statement, so that it can't change an answer.
    known: Mutex<HashMap<String, f32>>,
}

impl<C: Classifier> LongLines<C> {
    /// Lets `classifier` read them so. One that doesn't know Benign, or answers with several labels, stays as it is.
    pub fn new(classifier: C) -> Self {
        Self { inner: classifier, known: Mutex::default() }
    }

    /// The text's answer, that of its beginning and end being `whole` and its statements' probabilities of an attack in `attacks`.
    fn answer(&self, whole: Prediction, statements: &[String], attacks: &HashMap<&str, f32>, benign: usize) -> Prediction {
        let surest = statements.iter().map(|statement| (statement, attacks[statement.as_str()])).max_by(|a, b| a.1.total_cmp(&b.1));
        let least = self.inner.threshold().max(1.0 - whole.scores[benign]);
        // Only what counts is read once more, for its techniques.
        let counting = surest.filter(|(_, attack)| attack * kept_share(*attack) >= least);
        let read = counting.and_then(|(statement, _)| self.inner.encode(statement).ok());
        read.map_or(whole, |read| discounted(self.inner.classify(&[read]).remove(0), benign))
    }

    /// Each statement's probability of an attack: none where it is a sentence, not suspicious or can't be read.
    fn attacks<'a>(&self, statements: impl Iterator<Item = &'a str>, benign: usize) -> HashMap<&'a str, f32> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut attacks, mut unknown) = (HashMap::new(), Vec::new());
        {
            let known = known();
            for statement in statements {
                attacks.entry(statement).or_insert_with(|| {
                    known.get(statement).copied().unwrap_or_else(|| {
                        unknown.push(statement);
                        0.0
                    })
                });
            }
        }
        let read = |statement: &&'a str| Some((*statement, self.inner.encode_suspicious(statement).ok()??));
        let mut suspicious = unknown.iter().filter(|statement| !is_prose(statement)).filter_map(read);
        loop {
            let (read, lines): (Vec<&str>, Vec<Encoded>) = suspicious.by_ref().take(BATCH).unzip();
            if read.is_empty() {
                break;
            }
            let predictions = self.inner.classify(&lines);
            attacks.extend(read.into_iter().zip(predictions.iter().map(|prediction| 1.0 - prediction.scores[benign])));
        }
        let mut known = known();
        if known.len() + unknown.len() > MOST_KNOWN {
            known.clear();
        }
        known.extend(unknown.iter().map(|statement| ((*statement).to_owned(), attacks[statement])));
        attacks
    }
}

/// What is left of a probability of an attack, as a share of it, with [`DISCOUNT`] taken off its logit.
fn kept_share(attack: f32) -> f32 {
    1.0 / (attack + (1.0 - attack) * DISCOUNT.exp())
}

/// An answer with [`DISCOUNT`] taken off its logit of an attack.
fn discounted(mut prediction: Prediction, benign: usize) -> Prediction {
    let attack = 1.0 - prediction.scores[benign];
    let share = kept_share(attack);
    prediction.scores.iter_mut().for_each(|score| *score *= share);
    prediction.scores[benign] = 1.0 - attack * share;
    prediction
}

/// The statements of a text in their order, and whether these are all.
fn statements(text: &str) -> (Vec<&str>, bool) {
    let lines = text.split(['\n', '\r']).flat_map(|line| if line.len() > LONG_LINE { commands(line) } else { vec![line] });
    let is_read = |statement: &&str| statement.len() >= SHORTEST_STATEMENT && !is_comment(statement);
    let mut all: Vec<&str> = lines.map(str::trim).filter(is_read).collect();
    let whole = all.len() <= MOST_STATEMENTS;
    if !whole {
        all.drain(MOST_STATEMENTS / 4 * 3..all.len() - MOST_STATEMENTS / 4);
    }
    (all, whole)
}

/// Whether no shell would run this: `#` begins a comment in most, and nothing in any. What ends one, as PowerShell's `#>`, may have a command behind it.
fn is_comment(statement: &str) -> bool {
    statement.starts_with('#') && !statement.contains("#>")
}

/// A long line at what divides commands, and what is still too long at a blank, or anywhere.
fn commands(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let divided = line.split(';').flat_map(|part| part.split("&&")).flat_map(|part| part.split("||")).flat_map(|part| part.split(" & "));
    for mut command in divided {
        while command.len() > LONGEST_STATEMENT {
            let most = command.floor_char_boundary(LONGEST_STATEMENT);
            let end = command[..most].rfind(' ').filter(|end| *end >= LONGEST_STATEMENT / 2).unwrap_or(most);
            found.push(&command[..end]);
            command = &command[end..];
        }
        found.push(command);
    }
    found
}

impl<C: Classifier> Classifier for LongLines<C> {
    fn labels(&self) -> &Labels {
        self.inner.labels()
    }

    fn encode(&self, text: &str) -> Result<Encoded, ModelError> {
        let read = self.inner.encode(text)?;
        // What n-grams settled has no tokens that could be too many, and they read only so much.
        let is_long = read.truncated || read.settled.is_some() && text.len() > LONGEST_STATEMENT;
        if !is_long || self.labels().benign().is_none() || self.labels().several() {
            return Ok(read);
        }
        let opened = opened(text);
        let (statements, whole) = statements(&opened);
        Ok(Encoded { statements: statements.into_iter().map(str::to_owned).collect(), truncated: !whole, ..read })
    }

    fn encode_prepared(&self, line: &Prepared<'_>) -> Result<Encoded, ModelError> {
        self.inner.encode_prepared(line)
    }

    fn classify(&self, lines: &[Encoded]) -> Vec<Prediction> {
        let wholes = self.inner.classify(lines);
        let Some(benign) = self.labels().benign() else { return wholes };
        let attacks = self.attacks(lines.iter().flat_map(|line| &line.statements).map(String::as_str), benign);
        lines.iter().zip(wholes).map(|(line, whole)| self.answer(whole, &line.statements, &attacks, benign)).collect()
    }

    fn encode_suspicious(&self, text: &str) -> Result<Option<Encoded>, ModelError> {
        self.inner.encode_suspicious(text)
    }

    fn threshold(&self) -> f32 {
        self.inner.threshold()
    }

    fn parent_share(&self) -> Option<ParentShare> {
        self.inner.parent_share()
    }

    fn name(&self) -> &str {
        self.inner.name()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Reads 40 bytes; an attack is what has `dump` in them.
    struct Short(Labels);

    impl Classifier for Short {
        fn labels(&self) -> &Labels {
            &self.0
        }

        fn encode_prepared(&self, line: &Prepared<'_>) -> Result<Encoded, ModelError> {
            let seen = &line.text[..line.text.floor_char_boundary(40)];
            Ok(Encoded { truncated: seen.len() < line.text.len(), ..vec![u32::from(seen.contains("dump"))].into() })
        }

        fn classify(&self, lines: &[Encoded]) -> Vec<Prediction> {
            let scores = |attack: f32| vec![1.0 - attack, 0.25 * attack, 0.75 * attack];
            lines.iter().map(|line| Prediction { scores: scores(if line.ids[0] == 1 { 0.96 } else { 0.125 }) }).collect()
        }

        fn encode_suspicious(&self, text: &str) -> Result<Option<Encoded>, ModelError> {
            if text.starts_with("Get-") { Ok(None) } else { self.encode(text).map(Some) }
        }

        fn threshold(&self) -> f32 {
            0.5
        }

        fn name(&self) -> &str {
            "short"
        }
    }

    fn classifier() -> LongLines<Short> {
        LongLines::new(Short(Labels::new(["Benign", "T1049", "T1003"].map(String::from).to_vec()).unwrap()))
    }

    #[test]
    fn a_statement_in_the_middle_is_found_and_counts_a_little_less() {
        let classifier = classifier();
        let script = format!("{}dump all secrets\n{}", "Set-Item a b\n".repeat(50), "Get-Service x\n".repeat(50));
        let read = classifier.encode(&script).unwrap();
        assert_eq!((read.statements.len(), read.truncated), (101, false));
        let some = ["dump", "Get-Service dump", "This was written to dump all the users of a domain.", "dump"].map(String::from);
        for _ in 0..2 {
            let attacks = classifier.attacks(some.iter().map(String::as_str), 0);
            let attacks = some.each_ref().map(|statement| attacks[statement.as_str()]);
            assert_eq!(attacks, [0.96, 0.0, 0.0, 0.96], "neither what is not suspicious nor a sentence is read");
        }
        let answers = classifier.classify(&[read, classifier.encode("dump").unwrap(), classifier.encode(&"Set-Item a b\n".repeat(9)).unwrap()]);
        let odds = |prediction: &Prediction| (1.0 - prediction.scores[0]) / prediction.scores[0];
        assert!((odds(&answers[0]) - 24.0 / DISCOUNT.exp()).abs() < 1e-3, "{:?}", answers[0]);
        assert!((answers[0].scores.iter().sum::<f32>() - 1.0).abs() < 1e-6 && (answers[0].scores[2] / answers[0].scores[1] - 3.0).abs() < 1e-4);
        assert_eq!((answers[1].scores[0], answers[2].scores[0]), (0.04f32.max(1.0 - 0.96), 0.875), "short lines as before, and nothing is made up");
    }

    #[test]
    fn statements_are_bounded_and_whole_characters() {
        let (all, whole) = statements("a; b\n\r\n  Get-Process -Name x  \n");
        assert_eq!((all, whole), (vec!["Get-Process -Name x"], true));
        let (all, _) = statements("# net user x /add\n #> net user y /add\n<# net user z /add\n#net user\n$x = 1 # net user");
        assert_eq!(all, ["#> net user y /add", "<# net user z /add", "$x = 1 # net user"], "comments are not run");
        let one = format!("cmd /c rem {} & reg save HKLM\\SAM x.hiv;{}", "é".repeat(400), "net user ".repeat(90));
        let (all, _) = statements(&one);
        assert!(all.contains(&"reg save HKLM\\SAM x.hiv") && all.iter().all(|statement| statement.len() <= LONGEST_STATEMENT), "{all:?}");
        let many: String = (0..5000).map(|number| format!("command {number}\n")).collect();
        let (all, whole) = statements(&many);
        assert_eq!((all.len(), whole, all[0], all[999]), (MOST_STATEMENTS, false, "command 0", "command 4999"));
    }
}
