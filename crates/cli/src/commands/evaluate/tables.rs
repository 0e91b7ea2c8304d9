//! The long tables.

use anyhow::Result;
use attackline_evaluate::{Drift, Evaluation, Mistake, Rate, ShownError, Stability, Verdict};
use attackline_findings::escape;
use std::fmt::Write as _;

/// Columns of a line in a table.
const TEXT_COLUMNS: usize = 120;

fn rate(rate: Rate) -> String {
    match (rate.value(), rate.interval()) {
        (Some(value), Some((low, high))) => {
            format!("{:6.2} % of {:<6} ({:.1} to {:.1})", value * 100.0, rate.total, low * 100.0, high * 100.0)
        }
        _ => "–".into(),
    }
}

/// Groups, abstaining, calibration.
pub fn full(text: &mut String, found: &Evaluation) -> Result<()> {
    writeln!(text, "\nby group (95 % in brackets)\n{:<32}  {:<34}  {:<34}  false positives", "", "attacks found", "attacks, top 1 right")?;
    for group in &found.groups {
        let name = format!("{}={}", group.column, group.value);
        let name = escape::fit(&name, 32);
        writeln!(text, "{name:<32}  {:<34}  {:<34}  {}", rate(group.found), rate(group.top_1), rate(group.false_positives))?;
    }
    writeln!(text, "\nabstaining below a confidence\nconfidence  answered  accuracy of the answered            precision of attack answers")?;
    for point in &found.coverage.table {
        writeln!(
            text,
            "{:>10.2}  {:>6.2} %  {:<34}  {}",
            point.confidence,
            point.coverage * 100.0,
            rate(point.accuracy),
            rate(point.attack_precision)
        )?;
    }
    writeln!(text, "area under risk and coverage: {:.4}", found.coverage.area_under_risk_coverage)?;
    writeln!(
        text,
        "\ncalibration by confidence ({} equal-width bins; empty ones left out)\n     confidence    rows  mean conf.  accuracy",
        found.calibration.bins.len()
    )?;
    for bin in found.calibration.bins.iter().filter(|bin| bin.rows > 0) {
        writeln!(text, "{:>6.3} to {:.3}  {:>6}  {:>10.4}  {:>8.4}", bin.low, bin.high, bin.rows, bin.confidence, bin.accuracy)?;
    }
    writeln!(text, "greatest error of a bin: {:.4}", found.calibration.maximum_calibration_error)?;
    Ok(())
}

/// What a mistake is called.
pub fn mistake(mistake: Mistake) -> &'static str {
    match mistake {
        Mistake::FalseAlarm => "benign, reported",
        Mistake::Missed => "attack, not reported",
        Mistake::Confused => "attack, reported as another",
    }
}

/// The surest wrong answers.
pub fn worst(text: &mut String, errors: &[ShownError]) -> Result<()> {
    for kind in errors.chunk_by(|a, b| a.mistake == b.mistake) {
        writeln!(text, "\nsurest wrong answers: {}", mistake(kind[0].mistake))?;
        for error in kind {
            writeln!(text, "{:.4}  {} for {}  {}", error.score, error.predicted, error.truth, error.source)?;
            writeln!(text, "        {}", escape::fit(&error.text, TEXT_COLUMNS))?;
        }
    }
    Ok(())
}

/// New lines beside the reference.
pub fn drift(text: &mut String, drift: &Drift, full: bool) -> Result<()> {
    if !text.is_empty() {
        text.push('\n');
    }
    writeln!(text, "drift of {} ({} lines)\nagainst  {} ({} lines)", drift.new, drift.new_lines, drift.reference, drift.reference_lines)?;
    writeln!(text, "classified by {}: {} and {} of them\n", drift.model, drift.classified[1], drift.classified[0])?;
    let measures = [("predicted labels", &drift.labels), ("confidence", &drift.scores), ("line length", &drift.lengths)];
    writeln!(text, "population stability index: 0 nothing moved, 0.1 some, 0.25 much")?;
    for (name, stability) in measures {
        writeln!(text, "  {name:<18} {:.4} (chance: up to {:.4})  {}", stability.index, stability.by_chance, stability.verdict.words())?;
        if let Some((bin, before, after)) = stability.moved_most().filter(|_| stability.verdict != Verdict::Chance) {
            writeln!(text, "  {:<18} moved most: {}, {:.1} % → {:.1} %", "", escape::fit(bin, 40), before * 100.0, after * 100.0)?;
        }
    }
    let words = &drift.words;
    let percent = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), |share| format!("{:.2} %", share * 100.0));
    writeln!(
        text,
        "words never seen      {} of the words; lines like the reference's would have {}",
        percent(words.unseen.value()),
        percent(words.expected)
    )?;
    writeln!(text, "mostly unseen words   {} of the lines", percent(words.mostly_unseen.value()))?;
    if !words.commonest.is_empty() {
        let list: Vec<String> = words.commonest.iter().map(|(word, lines)| format!("{} ({lines})", escape::fit(word, 40))).collect();
        writeln!(text, "commonest of them     {}", list.join(", "))?;
    }
    if !words.examples.is_empty() {
        writeln!(text, "\nlines most unlike the reference's")?;
    }
    for example in &words.examples {
        let share = percent(example.unseen.value());
        writeln!(text, "  line {:>6}, {share} unseen  {}", example.line + 1, escape::fit(&example.text, TEXT_COLUMNS))?;
    }
    if full {
        measures.iter().try_for_each(|(name, stability)| bins(text, name, stability))?;
    }
    Ok(())
}

fn bins(text: &mut String, name: &str, stability: &Stability) -> Result<()> {
    writeln!(text, "\n{name:<22}  reference       new")?;
    let share = |count: u64, all: u64| 100.0 * count as f64 / all.max(1) as f64;
    let (before, after) = stability.bins.iter().fold((0, 0), |(before, after), bin| (before + bin.reference, after + bin.new));
    for bin in &stability.bins {
        writeln!(text, "{:<22}  {:>7.2} %  {:>6.2} %", escape::fit(&bin.name, 22), share(bin.reference, before), share(bin.new, after))?;
    }
    Ok(())
}
