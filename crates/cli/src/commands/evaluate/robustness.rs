//! The same lines in other spellings.

use super::rows::Rows;
use super::subject::{Line, Subject};
use crate::diagnostics::Diagnostics;
use anyhow::Result;
use attackline_dataset::{Obfuscation, Random, shell_of};
use attackline_evaluate::{Answered, ObfuscationFigures, Robustness};
use attackline_model::BENIGN;

/// Of a line in another spelling: which obfuscation, which line of the sample.
struct Spelt {
    obfuscation: Obfuscation,
    line: usize,
    text: String,
}

/// Measures on at most `most` attack and `most` benign lines.
pub fn measure(rows: &Rows, subject: &Subject, most: usize, seed: u64, threads: usize, diagnostics: &Diagnostics) -> Result<Robustness> {
    let sample = sample(rows, most, seed);
    let mut spelt = Vec::new();
    for obfuscation in Obfuscation::ALL {
        for (line, &row) in sample.iter().enumerate() {
            // A stream of its own for each, so that one obfuscation more changes no other's lines.
            let mut random = Random::new(seed ^ row as u64, obfuscation as u64 + 1);
            if let Some(text) = obfuscation.apply(&rows.rows[row].text, shell_of(&rows.rows[row]), &mut random) {
                spelt.push(Spelt { obfuscation, line, text });
            }
        }
    }
    let all = rows.truths();
    let truths: Vec<Vec<String>> = sample.iter().map(|&row| all[row].clone()).collect();
    let scores = subject.scores(sample.iter().map(|&row| &rows.rows[row]), sample.len(), threads, diagnostics)?;
    let before = subject.answered(&truths, scores)?;
    let spelt_truths: Vec<Vec<String>> = spelt.iter().map(|spelt| truths[spelt.line].clone()).collect();
    let scores = subject.scores(
        spelt.iter().map(|spelt| Line::from(&rows.rows[sample[spelt.line]]).with_text(&spelt.text)),
        spelt.len(),
        threads,
        diagnostics,
    )?;
    let after = subject.answered(&spelt_truths, scores)?;
    let mut obfuscations: Vec<ObfuscationFigures> =
        Obfuscation::ALL.iter().map(|obfuscation| ObfuscationFigures { name: obfuscation.name().into(), ..Default::default() }).collect();
    let mut any = ObfuscationFigures { name: "any".into(), ..Default::default() };
    for (index, spelt) in spelt.iter().enumerate() {
        let place = Obfuscation::ALL.iter().position(|other| *other == spelt.obfuscation).unwrap_or_default();
        count(&mut obfuscations[place], &before, spelt.line, &after, index);
        count(&mut any, &before, spelt.line, &after, index);
    }
    obfuscations.retain(|figures| figures.changed.total > 0);
    obfuscations.push(any);
    Ok(Robustness { model: subject.name.clone(), obfuscations })
}

/// Rows that some obfuscation applies to, drawn without replacement; in the rows' order.
fn sample(rows: &Rows, most: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.rows.len()).filter(|&row| shell_of(&rows.rows[row]) != attackline_dataset::Shell::English).collect();
    Random::new(seed, 0).shuffle(&mut order);
    let (attacks, benign): (Vec<usize>, Vec<usize>) = order.into_iter().partition(|&row| rows.rows[row].label != BENIGN);
    let mut sample: Vec<usize> = attacks.into_iter().take(most).chain(benign.into_iter().take(most)).collect();
    sample.sort_unstable();
    sample
}

fn count(figures: &mut ObfuscationFigures, before: &Answered, line: usize, after: &Answered, spelt: usize) {
    let reported = |answered: &Answered, row: usize| Some(answered.predicted()[row]) != answered.benign();
    let right = |answered: &Answered, row: usize| answered.accepts(row, answered.best(row));
    figures.changed.add(before.best(line) != after.best(spelt));
    if before.is_attack(line) {
        figures.found_before.add(reported(before, line));
        figures.found_after.add(reported(after, spelt));
        figures.top_1_before.add(right(before, line));
        figures.top_1_after.add(right(after, spelt));
    } else {
        figures.false_positives_before.add(reported(before, line));
        figures.false_positives_after.add(reported(after, spelt));
    }
}
