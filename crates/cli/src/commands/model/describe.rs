//! `attackline model info`.

use anyhow::Result;
use attackline_catalog::{ATTRIBUTION, technique};
use attackline_model::{AttackShares, EncoderSpec, ModelFolder, ParentShare, Pooling, WeightLayout};
use std::fmt::Write as _;

/// How many names are listed.
const LISTED: usize = 5;

/// What the folder holds, for people.
pub(super) fn describe(folder: &ModelFolder) -> Result<String> {
    let (spec, settings) = (&folder.spec, &folder.settings);
    let mut text = String::new();
    writeln!(text, "name          {}", settings.name)?;
    let kind = folder.config["model_type"].as_str().unwrap_or("unknown");
    writeln!(text, "architecture  {kind}, {} layers, {} wide, {} heads", spec.layers, spec.hidden, spec.heads)?;
    writeln!(text, "positions     {}", positions(spec))?;
    writeln!(text, "pooling       {}", if spec.head.pooling == Pooling::First { "first token" } else { "mean of all tokens" })?;
    writeln!(text, "vocabulary    {} tokens", spec.vocabulary)?;
    let elements = folder.weights.elements();
    writeln!(text, "parameters    {:.1} million, {:.0} MB in f32", elements as f64 / 1e6, elements as f64 * 4e-6)?;
    let unused = WeightLayout::new(spec, folder.labels.as_ref().map_or(0, |labels| labels.len())).surplus(&folder.weights);
    if !unused.is_empty() {
        let more = if unused.len() > LISTED { ", …" } else { "" };
        writeln!(text, "not used      {} tensors: {}{more}", unused.len(), unused[..unused.len().min(LISTED)].join(", "))?;
    }
    if let Some(found) = &settings.quantization {
        let products = found.errors.len();
        writeln!(text, "computes in   int8, {} of {products} products of the layers", products - found.kept.len())?;
        if !found.kept.is_empty() {
            writeln!(text, "stays in f32  {}", found.kept.join(", "))?;
        }
        let (share, lines) = (100.0 * found.same_label, found.lines);
        writeln!(text, "int8 to f32   the same label on {share:.2} % of {lines} lines, mean change of a probability {:.5}", found.mean_drift)?;
    }
    if let Some(found) = &settings.ngrams {
        let counts = |AttackShares { encoder, head, gate, named, .. }| {
            format!("its attacks count {encoder:.2}, the n-gram head's {head:.2}, the gate's {gate:.2}, how surely a technique is named {named:.2}")
        };
        writeln!(text, "n-grams       beside the encoder: {}", counts(found.attack))?;
        if let Some(shares) = found.prose_attack {
            writeln!(text, "              in sentences: {}", counts(shares))?;
        }
        match &found.gate {
            None => writeln!(text, "gate          none")?,
            Some(gate) => writeln!(
                text,
                "gate          settles {:.1} % of {} benign lines and loses {:.2} % of {} attacks found (--gate)",
                100.0 * gate.settled,
                gate.benign,
                100.0 * gate.lost,
                gate.attacks
            )?,
        }
    }
    if let Some(ParentShare { share, usual, furthest }) = settings.parent {
        let (least, most) = (usual - furthest, usual + furthest);
        writeln!(text, "parents       count {share:.2} of what their logit of an attack is above {usual:.2}, heard from {least:.2} to {most:.2}")?;
    }
    writeln!(text, "longest line  {} tokens of {}", settings.max_length, spec.longest)?;
    let Some(labels) = &folder.labels else {
        writeln!(text, "labels        none: this is a base model (attackline train makes a classifier of it)")?;
        return Ok(text);
    };
    writeln!(text, "threshold     {}", settings.threshold)?;
    writeln!(text, "temperature   {}", settings.temperature)?;
    writeln!(text, "ATT&CK        {}", settings.attack_version)?;
    writeln!(text, "labels        {}", labels.len())?;
    for label in labels.names() {
        writeln!(text, "  {label:<10}  {}", technique(label).map(|technique| technique.full_name()).unwrap_or_default())?;
    }
    if let Some(training) = &settings.training {
        writeln!(text, "trained       from {} ({})", training.base, training.method)?;
        writeln!(text, "settings      {}", training.settings.join(" "))?;
        for (name, hash) in &training.data {
            writeln!(text, "data          {name} sha256:{hash}")?;
        }
        for (name, value) in &training.validation {
            writeln!(text, "validation    {name} {value:.4}")?;
        }
    }
    writeln!(text, "\n{ATTRIBUTION}")?;
    Ok(text)
}

fn positions(spec: &EncoderSpec) -> String {
    let absolute = spec.absolute.map(|_| "absolute".to_owned());
    let relative = spec.used_relative().map(|relative| match relative.buckets {
        Some((buckets, greatest)) => format!("relative, {buckets} buckets up to distance {greatest}"),
        None => format!("relative up to distance {}", relative.span),
    });
    [absolute, relative].into_iter().flatten().collect::<Vec<_>>().join(" and ")
}
