//! `attackline model verify`.

use anyhow::{Context, Result, ensure};
use attackline_catalog::technique;
use attackline_engine::Engine;
use attackline_model::{BENIGN, Classifier, ModelFolder, WeightLayout};
use std::fmt::Write as _;

/// Lines that every model must be able to answer: ordinary, empty, hostile, long.
fn trial_lines() -> [String; 4] {
    ["whoami /all".into(), String::new(), "\0\u{202e}😀 \u{feff}".into(), "a very long line ".repeat(1_000)]
}

/// Checks everything and says what was found; the first thing that is wrong is the error.
pub(super) fn verify(folder: &ModelFolder) -> Result<String> {
    let mut text = String::new();
    let labels = folder.labels.as_ref();
    writeln!(text, "config      ok: {}", folder.config["model_type"].as_str().unwrap_or("unknown"))?;

    let layout = WeightLayout::new(&folder.spec, labels.map_or(0, |labels| labels.len()));
    let names: Vec<&str> = folder.weights.names().collect();
    for name in &names {
        folder.weights.tensor(name)?;
    }
    let unused = layout.surplus(&folder.weights).len();
    writeln!(text, "weights     ok: {} tensors read, every value a number, {unused} of them not used", names.len())?;

    let tokenizer = folder.tokenizer(None)?;
    for line in trial_lines() {
        let length = tokenizer.encode(&line)?.ids.len();
        ensure!(length <= tokenizer.max_length(), "the tokenizer made {length} tokens of a line, more than the {} allowed", tokenizer.max_length());
    }
    writeln!(text, "tokenizer   ok: up to {} tokens a line", tokenizer.max_length())?;

    let Some(labels) = labels else {
        writeln!(text, "labels      none: a base model, which answers nothing before it is trained")?;
        return Ok(text);
    };
    let unknown: Vec<&str> = labels.names().iter().map(String::as_str).filter(|name| *name != BENIGN && technique(name).is_none()).collect();
    match (unknown.is_empty(), labels.benign()) {
        (true, Some(_)) => writeln!(text, "labels      ok: {}", labels.len())?,
        (true, None) => writeln!(text, "labels      {}, without {BENIGN}: every line gets a technique", labels.len())?,
        (false, _) => writeln!(text, "labels      {}, of which ATT&CK doesn't know {}", labels.len(), unknown.join(", "))?,
    }

    let engine = Engine::new(folder)?;
    let lines = trial_lines().iter().map(|line| engine.encode(line)).collect::<Result<Vec<_>, _>>().context("a trial line")?;
    let sound = engine.classify(&lines).iter().all(|answer| (answer.scores.iter().sum::<f32>() - 1.0).abs() < 1e-3);
    ensure!(sound, "the model's answers are no probabilities: its weights are not those of its configuration");
    writeln!(text, "answers     ok: {} trial lines got probabilities", lines.len())?;
    Ok(text)
}
