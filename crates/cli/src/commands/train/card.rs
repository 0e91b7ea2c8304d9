//! The model card that goes into a trained folder.

use super::data::Rows;
use attackline_catalog::{ATTRIBUTION, technique};
use attackline_model::ModelFolder;
use std::fmt::Write as _;
use std::path::Path;

/// `README.md`: what the model is, what it was made from and how well it did, with the front matter that the hub reads.
pub fn card(folder: &ModelFolder, rows: &Rows, base: &Path) -> String {
    let licence = base_licence(base);
    let (settings, training) = (&folder.settings, folder.settings.training.clone().unwrap_or_default());
    let mut text = String::from("---\npipeline_tag: text-classification\ntags:\n- security\n- mitre-attack\n");
    let mut line = |words: String| {
        let _ = writeln!(text, "{words}");
    };
    line(format!("license: {}", licence.as_deref().unwrap_or("unknown")));
    line(format!("---\n# {}\n", settings.name));
    line(format!("Says of a security log line whether it is benign or which of these ATT&CK {} techniques it shows.\n", settings.attack_version));
    line("| label | technique | training rows |\n| --- | --- | --- |".into());
    for label in folder.labels.iter().flat_map(|labels| labels.names()) {
        let name = technique(label).map(|technique| technique.full_name()).unwrap_or_default();
        line(format!("| {label} | {name} | {} |", rows.train.iter().filter(|(_, own)| own == label).count()));
    }
    line("\n## Made from\n".into());
    let known = licence.map_or_else(
        || "whose licence its folder does not say: look it up before you pass the model on".to_owned(),
        |name| format!("licence {name}"),
    );
    line(format!("- base: {}, {known}", training.base));
    line(format!("- method: {}", training.method));
    for (name, hash) in &training.data {
        line(format!("- data: {name}, sha256 {hash}"));
    }
    line(format!("- rows: {} to train on, {} to validate with", rows.train.len(), rows.validation.len()));
    line(format!("- settings: `{}`", training.settings.join(" ")));
    line("\n## Figures on the validation rows\n".into());
    for (name, value) in &training.validation {
        line(format!("- {name}: {value:.4}"));
    }
    line(format!("- temperature fitted on them: {:.4}", settings.temperature));
    line("\nThey were used to choose the epoch and the temperature, so they flatter. Nothing is said here about lines from other machines: measure on your own with".into());
    line("`attackline evaluate`. The course of the run is in `training.svg`.\n".into());
    line(format!("With `transformers` the probabilities are those at temperature 1.\n\n{ATTRIBUTION}"));
    text
}

/// The licence in the front matter of the base's own card.
fn base_licence(base: &Path) -> Option<String> {
    let text = fs_err::read_to_string(base.join("README.md")).ok()?;
    let front = text.strip_prefix("---")?.split("\n---").next()?;
    let name = front.lines().find_map(|line| line.strip_prefix("license:"))?.trim();
    let plain = !name.is_empty() && name.len() < 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    plain.then(|| name.to_owned())
}
