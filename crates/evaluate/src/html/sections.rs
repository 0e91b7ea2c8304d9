//! The parts of the page below the plots.

use super::escaped;
use super::tables::{estimate, number, percent, rate, table};
use crate::{Comparison, Drift, Evaluation, Mistake, ModelFigures, NamedComparison, Report, Robustness, ShownError, Stability};

/// Labels up to which the confusion matrix is shown whole.
const MOST_LABELS: usize = 30;

/// One model's tables.
pub(super) fn model(figures: &ModelFigures) -> String {
    let found = &figures.evaluation;
    let facts = format!(
        "<p>{} rows, {} left out for their labels; threshold {}; {:.2} s, {:.1} rows a second.</p>",
        found.report.total, figures.rows_left_out, figures.threshold, figures.seconds, figures.samples_per_second
    );
    let parts =
        [facts, labels(&found.report), matrix(&found.report), operating_points(found), groups(found), coverage(found), worst(&figures.worst_errors)];
    format!("<section><h2>{}</h2>\n{}</section>\n", escaped(&figures.model), parts.concat())
}

fn labels(report: &Report) -> String {
    let classes = report.classes.iter().map(|class| {
        let mut cells = vec![escaped(&class.label)];
        cells.extend([class.precision, class.recall, class.f1].map(|value| format!("{value:.4}")));
        cells.push(class.support.to_string());
        cells
    });
    let average = |name: &str, average: &crate::Averages| {
        let mut cells = vec![name.to_owned()];
        cells.extend([average.precision, average.recall, average.f1].map(|value| format!("{value:.4}")));
        cells.push(report.total.to_string());
        cells
    };
    let averages = [average("macro average", &report.macro_average), average("weighted average", &report.weighted_average)];
    format!("<h3>By label</h3>{}", table("", &["label", "precision", "recall", "F1", "rows"], classes.chain(averages)))
}

fn matrix(report: &Report) -> String {
    if report.classes.len() > MOST_LABELS {
        return confusions(report);
    }
    let heading: Vec<&str> = std::iter::once("true \\ predicted").chain(report.classes.iter().map(|class| class.label.as_str())).collect();
    let rows = report.classes.iter().zip(&report.matrix).enumerate().map(|(truth, (class, row))| {
        let cell = |(found, count): (usize, &u64)| {
            let share = *count as f64 / class.support.max(1) as f64;
            let kind = if truth == found { "right" } else { "wrong" };
            if *count == 0 {
                "<span class=\"none\">0</span>".into()
            } else {
                format!("<span class=\"{kind}\" style=\"--share:{share:.3}\">{count}</span>")
            }
        };
        std::iter::once(escaped(&class.label)).chain(row.iter().enumerate().map(cell)).collect()
    });
    format!("<h3>Confusion matrix</h3>{}", table("matrix", &heading, rows))
}

/// Of many labels the pairs that are confused most.
fn confusions(report: &Report) -> String {
    let mut pairs: Vec<(u64, usize, usize)> = Vec::new();
    for (truth, row) in report.matrix.iter().enumerate() {
        pairs.extend(row.iter().enumerate().filter(|(found, count)| *found != truth && **count > 0).map(|(found, count)| (*count, truth, found)));
    }
    pairs.sort_by(|a, b| b.0.cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let name = |label: usize| escaped(&report.classes[label].label);
    let rows = pairs.into_iter().take(40).map(|(count, truth, found)| vec![name(truth), name(found), count.to_string()]);
    format!("<h3>Labels confused most</h3>{}", table("", &["true", "predicted", "rows"], rows))
}

fn operating_points(found: &Evaluation) -> String {
    if found.curve.is_none() {
        return "<p>Attack rows and benign rows are both wanted for curves and operating points.</p>".into();
    }
    let estimates = found.intervals.as_ref().map(|intervals| intervals.true_positive_rates.as_slice()).unwrap_or_default();
    let rows = found.operating_points.iter().enumerate().map(|(index, point)| {
        let wanted = format!("{} %", point.wanted_rate * 100.0);
        let Some(reached) = point.reached else {
            let why = format!("refused: {} benign rows, {} wanted", point.benign_rows, point.benign_needed);
            return vec![wanted, why, String::new(), String::new()];
        };
        let interval = estimates.get(index).and_then(Option::as_ref);
        let found = interval.map_or_else(|| format!("{:.4}", reached.true_positive_rate), estimate);
        vec![wanted, found, format!("{:.4}", reached.threshold), format!("{} of {}", point.benign_allowed, point.benign_rows)]
    });
    let heading = ["at most this false-positive rate", "share of attacks found", "threshold", "benign rows it rests on"];
    format!("<h3>Operating points</h3>{}", table("", &heading, rows))
}

fn groups(found: &Evaluation) -> String {
    let rows = found.groups.iter().map(|group| {
        vec![escaped(&format!("{} = {}", group.column, group.value)), rate(group.found), rate(group.top_1), rate(group.false_positives)]
    });
    format!("<h3>By group</h3>{}", table("", &["group", "attacks found", "attacks, top 1 right", "false positives"], rows))
}

fn coverage(found: &Evaluation) -> String {
    let rows = found.coverage.table.iter().map(|point| {
        vec![format!("{:.2}", point.confidence), format!("{:.2} %", point.coverage * 100.0), rate(point.accuracy), rate(point.attack_precision)]
    });
    let heading = ["answered from this confidence on", "rows answered", "accuracy", "precision of attack answers"];
    format!("<h3>Abstaining</h3>{}", table("", &heading, rows))
}

fn worst(errors: &[ShownError]) -> String {
    if errors.is_empty() {
        return String::new();
    }
    let name = |mistake: Mistake| match mistake {
        Mistake::FalseAlarm => "benign, reported",
        Mistake::Missed => "attack, not reported",
        Mistake::Confused => "attack, reported as another",
    };
    let rows = errors.iter().map(|error| {
        let answer = format!("{} for {}", escaped(&error.predicted), escaped(&error.truth));
        vec![
            name(error.mistake).to_owned(),
            format!("{:.4}", error.score),
            answer,
            format!("<code>{}</code>", escaped(&error.text)),
            escaped(&error.source),
        ]
    });
    format!("<h3>Surest wrong answers</h3>{}", table("lines", &["mistake", "score", "answer", "line", "where"], rows))
}

/// The models in one table.
pub(super) fn side_by_side(models: &[ModelFigures]) -> String {
    let rows = models.iter().map(|figures| {
        let found = &figures.evaluation;
        let (accuracy, macro_f1) = found.intervals.as_ref().map_or_else(
            || (number(Some(found.report.accuracy)), number(Some(found.report.macro_average.f1))),
            |intervals| (estimate(&intervals.accuracy), estimate(&intervals.macro_f1)),
        );
        vec![
            escaped(&figures.model),
            accuracy,
            macro_f1,
            found.false_positive_rate.map_or_else(|| "–".into(), rate),
            format!("{} / {} / {}", percent(found.ranking.attack_top_1), percent(found.ranking.attack_top_3), percent(found.ranking.attack_parent)),
            number(found.curve.as_ref().map(|curve| curve.area_under_roc)),
            number(found.curve.as_ref().map(|curve| curve.average_precision)),
            number(Some(found.calibration.expected_calibration_error)),
            number(found.calibration.brier_score),
            number(found.calibration.negative_log_likelihood),
        ]
    });
    let heading = [
        "model",
        "accuracy",
        "macro F1",
        "false positives",
        "attacks: top 1 / top 3 / parent",
        "ROC area",
        "average precision",
        "calibration error",
        "Brier",
        "log-likelihood, −",
    ];
    table("", &heading, rows)
}

/// Pairs of models.
pub(super) fn comparisons(comparisons: &[NamedComparison]) -> String {
    let signed = |estimate: &crate::Estimate| format!("{:+.4} <small>95 %: {:+.4} to {:+.4}</small>", estimate.value, estimate.low, estimate.high);
    let rows = comparisons.iter().map(|named| {
        let Comparison { mcnemar, macro_f1_difference, accuracy_difference, .. } = &named.comparison;
        let p = match mcnemar.p_value {
            p if p < f64::MIN_POSITIVE => "below 1e-307".into(),
            p if p < 1e-4 => format!("{p:.1e}"),
            p => format!("{p:.4}"),
        };
        vec![
            escaped(&format!("{} against {}", named.second, named.first)),
            signed(macro_f1_difference),
            signed(accuracy_difference),
            format!("{} against {}", mcnemar.only_second, mcnemar.only_first),
            p,
        ]
    });
    format!(
        "<section><h2>Compared on the same rows</h2>{}</section>\n",
        table("", &["models", "macro F1", "accuracy", "rows right alone", "p (McNemar, exact)"], rows)
    )
}

/// One model under obfuscations.
pub(super) fn robustness(robustness: &Robustness) -> String {
    let rows = robustness.obfuscations.iter().map(|figures| {
        let pair = |before, after| format!("{} → {}", percent(before), percent(after));
        vec![
            escaped(&figures.name),
            figures.changed.total.to_string(),
            percent(figures.changed),
            pair(figures.found_before, figures.found_after),
            pair(figures.top_1_before, figures.top_1_after),
            pair(figures.false_positives_before, figures.false_positives_after),
        ]
    });
    let heading = ["obfuscation", "lines", "answer changed", "attacks found", "top 1 right", "false positives"];
    format!("<section><h2>Obfuscated: {}</h2>{}</section>\n", escaped(&robustness.model), table("", &heading, rows))
}

/// New lines beside the reference.
pub(super) fn drift(drift: &Drift) -> String {
    let row = |name: &str, stability: &Stability| {
        let moved = stability
            .moved_most()
            .map_or_else(String::new, |(bin, before, after)| format!("{}: {:.1} % → {:.1} %", escaped(bin), before * 100.0, after * 100.0));
        let (index, chance) = (format!("{:.4}", stability.index), format!("{:.4}", stability.by_chance));
        vec![name.to_owned(), index, chance, stability.verdict.words().to_owned(), moved]
    };
    let rows = [row("predicted labels", &drift.labels), row("confidence", &drift.scores), row("line length", &drift.lengths)];
    let words = &drift.words;
    let expected = words.expected.map_or_else(|| "–".into(), |share| format!("{:.2} %", share * 100.0));
    let examples = words
        .examples
        .iter()
        .map(|example| vec![(example.line + 1).to_string(), percent(example.unseen), format!("<code>{}</code>", escaped(&example.text))]);
    format!(
        "<section><h2>Drift</h2>\n<p>{} ({} lines) against {} ({} lines); classified by {}.</p>{}\
         <p>Words never seen: {}; lines like the reference's would have {expected}. Lines of mostly unseen words: {}.</p>{}</section>\n",
        escaped(&drift.new),
        drift.new_lines,
        escaped(&drift.reference),
        drift.reference_lines,
        escaped(&drift.model),
        table("", &["", "population stability index", "by chance up to", "meaning", "moved most"], rows),
        rate(words.unseen),
        rate(words.mostly_unseen),
        table("lines", &["line", "unseen words", "text"], examples),
    )
}
