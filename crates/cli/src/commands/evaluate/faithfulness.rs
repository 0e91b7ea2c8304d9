//! Whether the marked evidence is what a model decides by.

use super::rows::Rows;
use super::subject::{Explained, Line, Subject};
use crate::diagnostics::Diagnostics;
use anyhow::Result;
use attackline_dataset::Random;
use attackline_evaluate::Faithfulness;
use attackline_model::BENIGN;
use std::ops::Range;

/// Measures on at most `most` attack lines; `None` for a subject that gives no evidence.
pub fn measure(rows: &Rows, subject: &Subject, most: usize, seed: u64, threads: usize, diagnostics: &Diagnostics) -> Result<Option<Faithfulness>> {
    let mut lines: Vec<Line> = rows.rows.iter().filter(|row| row.label != BENIGN).map(Line::from).collect();
    let mut random = Random::new(seed, 1);
    random.shuffle(&mut lines);
    lines.truncate(most);
    let Some(found) = subject.evidence(&lines, threads, diagnostics)? else { return Ok(None) };
    let marked: Vec<(Line, Explained)> = lines.into_iter().zip(found).filter(|(_, found)| !found.evidence.is_empty()).collect();
    let mut changed: [Vec<String>; 3] = [Vec::new(), Vec::new(), Vec::new()];
    let (mut letters, mut marked_letters) = (0, 0);
    for (Line { text, .. }, found) in &marked {
        let parts: Vec<Range<usize>> = found.evidence.iter().map(|part| part.start..part.end).collect();
        let length: usize = parts.iter().map(ExactSizeIterator::len).sum();
        letters += text.len();
        marked_letters += length;
        changed[0].push(without(text, &parts));
        changed[1].push(without(text, &others(text, &parts, length, &mut random)));
        changed[2].push(parts.iter().map(|part| &text[part.clone()]).collect::<Vec<&str>>().join(" "));
    }
    let mut figures = Faithfulness { model: subject.name.clone(), ..Faithfulness::default() };
    let rates = [&mut figures.changed_without_evidence, &mut figures.changed_without_others, &mut figures.same_with_evidence_alone];
    for (index, (rate, texts)) in rates.into_iter().zip(&changed).enumerate() {
        let lines: Vec<Line> = marked.iter().zip(texts).map(|((line, _), text)| line.with_text(text)).collect();
        let labels = subject.answers(&lines, threads, diagnostics)?;
        // Of the third kind those that stay are counted.
        marked.iter().zip(labels).for_each(|((_, found), after)| rate.add((found.label == after) == (index == 2)));
    }
    figures.marked_share = marked_letters as f64 / letters.max(1) as f64;
    Ok(Some(figures))
}

/// The text without some parts, which stand in order.
fn without(text: &str, parts: &[Range<usize>]) -> String {
    let mut out = String::new();
    let mut from = 0;
    for part in parts {
        out.push_str(&text[from..part.start]);
        from = part.end;
    }
    out + &text[from..]
}

/// Words besides the marked parts, drawn until they have as many letters as those, or none are left; in order.
fn others(text: &str, marked: &[Range<usize>], length: usize, random: &mut Random) -> Vec<Range<usize>> {
    let place = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    let mut words: Vec<Range<usize>> = text.split_whitespace().map(|word| place(word)..place(word) + word.len()).collect();
    words.retain(|word| marked.iter().all(|part| part.end <= word.start || word.end <= part.start));
    random.shuffle(&mut words);
    let mut drawn = 0;
    words.retain(|word| {
        let wanted = drawn < length;
        drawn += word.len();
        wanted
    });
    words.sort_by_key(|word| word.start);
    words
}
