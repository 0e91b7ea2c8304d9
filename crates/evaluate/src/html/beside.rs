//! What stands beside the models' own figures: comparisons, obfuscations, drift.

use super::escaped;
use super::tables::{estimate, number, percent, rate, table};
use crate::{Comparison, Drift, Faithfulness, ModelFigures, NamedComparison, Robustness, Stability};

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
        "− log-likelihood",
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

/// The models' evidence.
pub(super) fn evidence(evidence: &[Faithfulness]) -> String {
    let rows = evidence.iter().map(|figures| {
        vec![
            escaped(&figures.model),
            figures.changed_without_evidence.total.to_string(),
            format!("{:.1} %", figures.marked_share * 100.0),
            percent(figures.changed_without_evidence),
            percent(figures.changed_without_others),
            percent(figures.same_with_evidence_alone),
        ]
    });
    let heading = ["model", "lines", "letters marked", "changed without them", "without as many others", "same with them alone"];
    format!("<section><h2>Evidence</h2>{}</section>\n", table("", &heading, rows))
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
