//! The model card that goes into a trained folder.

use super::package::Run;
use attackline_catalog::{ATTRIBUTION, technique};
use attackline_model::ModelFolder;
use std::fmt::Write as _;
use std::path::Path;

/// `README.md`: what the model is, what it was made from and how well it did, with the front matter that the hub reads. `report` is that of
/// the validation rows, `rule` says how they were answered for it.
pub fn card(folder: &ModelFolder, run: &Run<'_>, report: &str, rule: &str) -> String {
    let (licence, base) = (base_licence(&run.args.base), &run.args.base);
    let (settings, rows) = (&folder.settings, run.rows);
    let training = settings.training.clone().unwrap_or_default();
    let mut text = String::from("---\npipeline_tag: text-classification\ntags:\n- security\n- mitre-attack\n");
    let mut line = |words: String| {
        let _ = writeln!(text, "{words}");
    };
    line(format!("license: {}", licence.as_deref().unwrap_or("unknown")));
    if let Some(name) = crate::hub::name(base) {
        line(format!("base_model: {name}"));
    }
    line(format!("---\n# {}\n", plain(&settings.name)));
    line(format!("Says of a security log line whether it is benign or which of these ATT&CK {} techniques it shows.", settings.attack_version));
    if folder.labels.as_ref().is_some_and(|labels| labels.several()) {
        line("A line may show several of them: each probability is one of its own.".into());
    }
    line("\n| label | technique | training rows |\n| --- | --- | --- |".into());
    for label in folder.labels.iter().flat_map(|labels| labels.names()) {
        let name = technique(label).map(|technique| technique.full_name()).unwrap_or_default();
        line(format!("| {label} | {name} | {} |", rows.train.iter().filter(|row| row.labels.contains(label)).count()));
    }
    line("\n## Made from\n".into());
    let known = licence.map_or_else(
        || "whose licence its folder does not say: look it up before you pass the model on".to_owned(),
        |name| format!("licence {name}"),
    );
    line(format!("- base: {}, {known}", plain(&training.base)));
    line(format!("- method: {}, {} of {} numbers trained", training.method, run.counts.0, run.counts.1));
    for source in &rows.sources {
        let weight = if source.weight == 1.0 { String::new() } else { format!(", each counting {}", source.weight) };
        line(format!("- data: {}, {} rows{weight}, sha256 {}", plain(&source.name), source.rows, source.hash));
    }
    line(format!("- rows without repeats: {} to train on, {} to validate with", rows.train.len(), rows.validation.len()));
    line(format!("- settings: `{}`", training.settings.join(" ")));
    line(format!("- made by attackline {} with\n\n```sh\n{}\n```", env!("CARGO_PKG_VERSION"), command(std::env::args())));
    line("\n## Figures on the validation rows\n".into());
    for (name, value) in &training.validation {
        line(format!("- {name}: {value:.4}"));
    }
    line(format!("- temperature fitted on them: {:.4}\n\n```\n{}\n```", settings.temperature, report.trim_end()));
    line(format!("\n{rule}"));
    line("\nThey were used to choose the epoch and the temperature, so they flatter. Nothing is said here about lines from other machines: measure on your own with".into());
    line("`attackline evaluate`. The course of the run is in `training.svg`.\n".into());
    line(format!("With `transformers` the probabilities are those at temperature 1.\n\n{ATTRIBUTION}"));
    text
}

/// Text that Markdown shows as it is.
fn plain(text: &str) -> String {
    let visible = text.chars().filter(|letter| !letter.is_control());
    visible.fold(String::new(), |mut out, letter| {
        if "\\`*_[]<>|#&".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
        out
    })
}

/// The command line as a shell takes it. Its own name comes without its folder.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let safe = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=,:@%+".contains(c));
    let quoted = |text: String| if safe(&text) { text } else { format!("'{}'", text.replace('\'', r"'\''").replace(['\n', '\r'], " ")) };
    std::iter::once("attackline".to_owned()).chain(arguments.skip(1).map(quoted)).collect::<Vec<_>>().join(" ").replace("```", "")
}

/// The licence in the front matter of the base's own card.
fn base_licence(base: &Path) -> Option<String> {
    let text = fs_err::read_to_string(base.join("README.md")).ok()?;
    let front = text.strip_prefix("---")?.split("\n---").next()?;
    let name = front.lines().find_map(|line| line.strip_prefix("license:"))?.trim();
    let plain = !name.is_empty() && name.len() < 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    plain.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_commands_stay_what_they_are() {
        assert_eq!(plain("a_b|<c>\n`d`"), r"a\_b\|\<c\>\`d\`");
        let words = ["/usr/bin/attackline", "train", "--data", "my data/", "-o", "it's"].map(String::from);
        assert_eq!(command(words.into_iter()), r"attackline train --data 'my data/' -o 'it'\''s'");
    }
}
