//! Which products may be computed in int8: found by computing sample lines both ways.

use crate::{
    Engine, EngineError,
    matrix::{Choice, Matrix},
    weights::Numbers,
};
use attackline_model::{Classifier, Encoded, LayerRole, ModelFolder, Prediction, Quantization, Role, WeightLayout};
use std::{collections::BTreeMap, sync::Arc};

/// What quantisation may cost.
#[derive(Debug, Clone, Copy)]
pub struct QuantizeOptions {
    /// A product whose result differs by more than this share of its root mean square stays in f32.
    pub greatest_error: f64,
    /// Products stay in f32, the worst first, until the mean drift of the lines' probabilities is at most this.
    pub greatest_drift: f64,
    /// Threads to compute on.
    pub threads: usize,
}

impl Default for QuantizeOptions {
    fn default() -> Self {
        Self { greatest_error: 0.1, greatest_drift: 0.005, threads: 1 }
    }
}

/// The folder with the products of its layers in int8, but for those that suffer on `lines`; what it costs stands in its settings. Each product
/// gets the factors of its columns that lose least of its results on them, or none, and what its results then lack on average is added to its
/// bias.
///
/// `lines` are token ids, as [`Classifier::encode`] gives them.
pub fn quantize(folder: &ModelFolder, lines: &[Vec<u32>], options: QuantizeOptions) -> Result<ModelFolder, EngineError> {
    let lines: Vec<Encoded> = lines.iter().cloned().map(Encoded::from).collect();
    let looked = |greatest| -> Result<_, EngineError> {
        let both = Engine::with_numbers(folder, Numbers::Compared(Arc::new(greatest)))?;
        let exact = predictions(&both, &lines, options.threads);
        Ok((both, exact))
    };
    let greatest = looked(BTreeMap::new())?.0.encoder().of_products(Matrix::greatest).into_iter().collect();
    let (both, exact) = looked(greatest)?;
    let choices = both.encoder().of_products(Matrix::choice);
    drop(both);
    let errors: Vec<(String, f64)> = choices.iter().map(|(name, choice)| (name.clone(), choice.error)).collect();
    let choices: BTreeMap<String, Choice> = choices.into_iter().collect();
    let mut worst: Vec<&(String, f64)> = errors.iter().collect();
    worst.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut kept = worst.iter().take_while(|(_, error)| *error > options.greatest_error).count();
    loop {
        let mut names: Vec<String> = worst[..kept].iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        let mut quantization = Quantization { lines: lines.len(), kept: names.clone(), errors: errors.clone(), ..Quantization::default() };
        let choice = |role: Role| product_name(role).filter(|name| !names.contains(name)).and_then(|name| choices.get(&name));
        let mut rounded = folder.quantized(quantization.clone(), |role| choice(role).map(|choice| choice.factors.as_slice()))?;
        shift_biases(&mut rounded, |role| choice(role).map(|choice| choice.shift.as_slice()))?;
        let answers = predictions(&Engine::new(&rounded)?, &lines, options.threads);
        (quantization.same_label, quantization.mean_drift) = compare(&exact, &answers);
        if quantization.mean_drift <= options.greatest_drift || kept == worst.len() {
            rounded.change_settings(|settings| settings.quantization = Some(quantization));
            return Ok(rounded);
        }
        kept = (2 * kept).clamp(1, worst.len());
    }
}

/// Adds to the biases of the layers' products what `shift` gives for their weights: all outputs of a product. Queries and keys stay as they are:
/// a shift of all keys changes no attention, and both are also those of relative positions.
fn shift_biases<'a>(folder: &mut ModelFolder, shift: impl Fn(Role) -> Option<&'a [f32]>) -> Result<(), EngineError> {
    use LayerRole::*;
    let layout = WeightLayout::new(&folder.spec, folder.labels.as_ref().map_or(0, |labels| labels.len()));
    for layer in 0..folder.spec.layers {
        for (weight, bias) in [(ValueWeight, ValueBias), (AttentionOutputWeight, AttentionOutputBias), (UpWeight, UpBias), (DownWeight, DownBias)] {
            let Some(shift) = shift(Role::Layer(layer, weight)) else { continue };
            let name = &layout.require(Role::Layer(layer, bias))?.name;
            let mut tensor = folder.weights.tensor(name)?;
            // The values are the last of what is multiplied together with queries and keys.
            let own = &shift[shift.len().saturating_sub(tensor.data.len())..];
            tensor.data.iter_mut().zip(own).for_each(|(bias, shift)| *bias += shift);
            folder.weights.insert(name.clone(), tensor);
        }
    }
    Ok(())
}

/// The product that a weight belongs to, as the errors names it.
fn product_name(role: Role) -> Option<String> {
    use LayerRole::*;
    let Role::Layer(layer, role) = role else { return None };
    let name = match role {
        QueryWeight | KeyWeight | ValueWeight => "query_key_value",
        AttentionOutputWeight => "attention_output",
        UpWeight => "up",
        DownWeight => "down",
        _ => return None,
    };
    Some(format!("layer.{layer}.{name}"))
}

/// The share of lines with the same label, and the mean over lines of the greatest change of a probability.
fn compare(exact: &[Prediction], rounded: &[Prediction]) -> (f64, f64) {
    let pairs = || exact.iter().zip(rounded);
    let same = pairs().filter(|(a, b)| a.best().0 == b.best().0).count();
    let change = |a: &Prediction, b: &Prediction| a.scores.iter().zip(&b.scores).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let drift: f64 = pairs().map(|(a, b)| f64::from(change(a, b))).sum();
    let count = exact.len().max(1) as f64;
    (same as f64 / count, drift / count)
}

/// The answers to all lines, in order.
fn predictions(engine: &Engine, lines: &[Encoded], threads: usize) -> Vec<Prediction> {
    std::thread::scope(|scope| {
        let parts = lines.chunks(lines.len().div_ceil(threads.max(1)).max(1));
        let workers: Vec<_> = parts.map(|part| scope.spawn(move || engine.classify(part))).collect();
        let answers = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        answers.flatten().collect()
    })
}
