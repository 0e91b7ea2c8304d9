//! The figures as text.

use super::tables;
use anyhow::Result;
use attackline_evaluate::{Document, Estimate, Faithfulness, ModelFigures, NamedComparison, Robustness};
use attackline_findings::escape;
use std::fmt::Write as _;

/// Everything, short or with the long tables; `worst` shows the worst errors also where it is short.
pub fn describe(document: &Document, full: bool, worst: bool) -> Result<String> {
    let mut text = String::new();
    let several = document.models.len() > 1;
    for (index, figures) in document.models.iter().enumerate() {
        if several {
            writeln!(text, "{}== {} ==\n", if index > 0 { "\n" } else { "" }, figures.model)?;
        }
        model(&mut text, figures, full, worst)?;
    }
    if several {
        side_by_side(&mut text, &document.models)?;
    }
    for comparison in &document.comparisons {
        compare(&mut text, comparison)?;
    }
    for robustness in &document.robustness {
        obfuscations(&mut text, robustness)?;
    }
    for figures in &document.evidence {
        evidence(&mut text, figures)?;
    }
    if let Some(drift) = &document.drift {
        tables::drift(&mut text, drift, full)?;
    }
    Ok(text)
}

fn percent(estimate: &Estimate) -> String {
    format!("95 %: {:.2} to {:.2} %", estimate.low * 100.0, estimate.high * 100.0)
}

fn model(text: &mut String, figures: &ModelFigures, full: bool, worst: bool) -> Result<()> {
    let found = &figures.evaluation;
    writeln!(text, "{}\naccuracy             {:.4}", found.report, found.report.accuracy)?;
    if let Some(rate) = found.false_positive_rate.filter(|rate| rate.total > 0) {
        writeln!(text, "false-positive rate  {rate}")?;
    }
    for (group, rate) in &figures.false_positive_rate_by_group {
        writeln!(text, "  {:<18} {rate}", escape::shown(group))?;
    }
    operating_points(text, figures)?;
    more(text, figures)?;
    if full {
        tables::full(text, found)?;
    }
    if full || worst {
        tables::worst(text, &figures.worst_errors)?;
    }
    writeln!(text, "\nruntime              {:.2} s\nsamples per second   {:.1}", figures.seconds, figures.samples_per_second)?;
    writeln!(text, "model                {}, threshold {}", figures.model, figures.threshold)?;
    Ok(())
}

fn operating_points(text: &mut String, figures: &ModelFigures) -> Result<()> {
    let points = &figures.evaluation.operating_points;
    if points.iter().all(|point| point.reached.is_none()) {
        return Ok(());
    }
    let estimates = figures.evaluation.intervals.as_ref().map(|intervals| intervals.true_positive_rates.as_slice()).unwrap_or_default();
    writeln!(text, "\n  at most FP rate   attacks found   threshold (probability of an attack)")?;
    for (index, point) in points.iter().enumerate() {
        let wanted = point.wanted_rate * 100.0;
        let Some(reached) = point.reached else {
            writeln!(text, "  {wanted:>13.2} %   too few rows to tell: {} benign rows, {} wanted", point.benign_rows, point.benign_needed)?;
            continue;
        };
        let interval = estimates.get(index).and_then(Option::as_ref).map_or_else(String::new, |estimate| format!("{}; ", percent(estimate)));
        let rests_on = format!("{interval}rests on {} of {} benign rows", point.benign_allowed, point.benign_rows);
        writeln!(text, "  {wanted:>13.2} %   {:>11.2} %   {:.4}   ({rests_on})", reached.true_positive_rate * 100.0, reached.threshold)?;
    }
    Ok(())
}

/// What the specification's report does not have, in a few lines.
fn more(text: &mut String, figures: &ModelFigures) -> Result<()> {
    let found = &figures.evaluation;
    text.push('\n');
    if let Some(intervals) = &found.intervals {
        for (name, estimate) in [("accuracy, 95 %", intervals.accuracy), ("macro F1, 95 %", intervals.macro_f1)] {
            writeln!(text, "{name:<20} {:.4} to {:.4} ({} resamples by label)", estimate.low, estimate.high, intervals.resamples)?;
        }
    }
    let value = |rate: attackline_evaluate::Rate| rate.value().map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
    let ranking = &found.ranking;
    writeln!(text, "top 1, 3, parent     {}, {}, {}", value(ranking.top_1), value(ranking.top_3), value(ranking.parent))?;
    if ranking.attack_top_1.total > 0 {
        let [one, three, parent] = [ranking.attack_top_1, ranking.attack_top_3, ranking.attack_parent].map(value);
        writeln!(text, "  of attacks         {one}, {three}, {parent}")?;
    }
    match &found.curve {
        Some(curve) => {
            writeln!(text, "attack or benign     area under ROC {:.4}, average precision {:.4}", curve.area_under_roc, curve.average_precision)?;
        }
        None => writeln!(text, "attack or benign     no curve: rows of both are wanted")?,
    }
    let calibration = &found.calibration;
    write!(text, "calibration          expected error {:.4} (15 equal-width bins)", calibration.expected_calibration_error)?;
    if let (Some(brier), Some(likelihood)) = (calibration.brier_score, calibration.negative_log_likelihood) {
        write!(text, ", Brier {brier:.4}, negative log-likelihood {likelihood:.4}")?;
    }
    text.push('\n');
    Ok(())
}

fn side_by_side(text: &mut String, models: &[ModelFigures]) -> Result<()> {
    let width = models.iter().map(|figures| figures.model.chars().count()).max().unwrap_or(0).max(5);
    writeln!(
        text,
        "\nside by side\n{:<width$}  accuracy  macro F1   FP rate  top 1 of attacks  ROC area  avg prec.  calib. err.   lines/s",
        "model"
    )?;
    let cell = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
    for figures in models {
        let found = &figures.evaluation;
        let rate = found.false_positive_rate.and_then(|rate| rate.value()).map_or_else(|| "–".to_owned(), |rate| format!("{:.2} %", rate * 100.0));
        writeln!(
            text,
            "{:<width$}  {:>8.4}  {:>8.4}  {rate:>8}  {:>16}  {:>8}  {:>9}  {:>12.4}  {:>8.1}",
            figures.model,
            found.report.accuracy,
            found.report.macro_average.f1,
            cell(found.ranking.attack_top_1.value()),
            cell(found.curve.as_ref().map(|curve| curve.area_under_roc)),
            cell(found.curve.as_ref().map(|curve| curve.average_precision)),
            found.calibration.expected_calibration_error,
            figures.samples_per_second,
        )?;
    }
    Ok(())
}

fn compare(text: &mut String, named: &NamedComparison) -> Result<()> {
    let found = &named.comparison;
    let difference = |estimate: &Estimate| format!("{:+.4} (95 %: {:+.4} to {:+.4})", estimate.value, estimate.low, estimate.high);
    writeln!(text, "\n{} against {}", named.second, named.first)?;
    writeln!(text, "  macro F1 (labels with rows)  {}", difference(&found.macro_f1_difference))?;
    writeln!(text, "  accuracy                     {}", difference(&found.accuracy_difference))?;
    writeln!(
        text,
        "  right alone                  {} rows against {}; McNemar, exact: p = {}",
        found.mcnemar.only_second,
        found.mcnemar.only_first,
        p_value(found.mcnemar.p_value)
    )?;
    Ok(())
}

/// Small probabilities need an exponent.
fn p_value(p: f64) -> String {
    match p {
        p if p < f64::MIN_POSITIVE => "below 1e-307".into(),
        p if p < 0.0001 => format!("{p:.1e}"),
        p => format!("{p:.4}"),
    }
}

fn evidence(text: &mut String, figures: &Faithfulness) -> Result<()> {
    writeln!(text, "\nevidence: {}, {} lines called an attack", figures.model, figures.changed_without_evidence.total)?;
    writeln!(text, "  letters marked                    {:.1} %", figures.marked_share * 100.0)?;
    writeln!(text, "  answer changes without them       {}", figures.changed_without_evidence)?;
    writeln!(text, "  answer changes without others     {}", figures.changed_without_others)?;
    writeln!(text, "  same answer with them alone       {}", figures.same_with_evidence_alone)?;
    Ok(())
}

fn obfuscations(text: &mut String, robustness: &Robustness) -> Result<()> {
    if robustness.obfuscations.iter().all(|figures| figures.changed.total == 0) {
        writeln!(text, "\nobfuscated: no row is known to be a shell's command; the columns kind and platform say what a row is")?;
        return Ok(());
    }
    writeln!(
        text,
        "\nobfuscated: {}\n{:<20}  {:>6}  {:>8}  attacks found        top 1                false positives",
        robustness.model, "", "lines", "changed"
    )?;
    for figures in &robustness.obfuscations {
        let pair = |before: attackline_evaluate::Rate, after: attackline_evaluate::Rate| match (before.value(), after.value()) {
            (Some(before), Some(after)) => format!("{:6.2} → {:6.2} %", before * 100.0, after * 100.0),
            _ => "–".into(),
        };
        writeln!(
            text,
            "{:<20}  {:>6}  {:>6.2} %  {:<19}  {:<19}  {}",
            figures.name,
            figures.changed.total,
            figures.changed.value().unwrap_or(0.0) * 100.0,
            pair(figures.found_before, figures.found_after),
            pair(figures.top_1_before, figures.top_1_after),
            pair(figures.false_positives_before, figures.false_positives_after),
        )?;
    }
    Ok(())
}
