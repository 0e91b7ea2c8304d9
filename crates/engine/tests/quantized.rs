//! Models whose layers compute in int8: what they answer, how they are kept, and what is wrong with a damaged one.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use attackline_engine::{Encoder, Engine, QuantizeOptions, quantize};
use attackline_model::{Classifier, Encoded, LayerRole, ModelFolder, Quantization, Role, Step, TokenBatch, WeightLayout};
use common::{FOLDERS, expected, folder, greatest_difference};

/// Nothing is too much.
const ANY: QuantizeOptions = QuantizeOptions { greatest_error: f64::INFINITY, greatest_drift: f64::INFINITY, threads: 2 };

fn weight_name(folder: &ModelFolder, layer: usize, role: LayerRole) -> String {
    let layout = WeightLayout::new(&folder.spec, folder.labels.as_ref().unwrap().len());
    layout.entry(Role::Layer(layer, role)).unwrap().name.clone()
}

#[test]
fn int8_answers_are_near_those_of_f32_and_do_not_depend_on_company() {
    for name in FOLDERS {
        let (lines, exact) = (expected(name).lines, folder(name));
        let rounded = quantize(&exact, &lines, ANY).unwrap();
        let found = rounded.settings.quantization.as_ref().unwrap();
        assert_eq!((found.kept.len(), found.errors.len(), found.lines), (0, 4 * exact.spec.layers, lines.len()), "{name}");
        assert!(found.errors.iter().all(|(_, error)| *error > 0.0 && *error < 0.05), "{name}: {found:?}");
        assert!(found.mean_drift > 0.0 && found.mean_drift < 0.02, "{name}: {found:?}");
        let (exact, rounded) = (Engine::new(&exact).unwrap(), Engine::new(&rounded).unwrap());
        let batch: TokenBatch = lines.iter().map(Vec::as_slice).collect();
        let (wanted, together) = (exact.logits(&batch), rounded.logits(&batch));
        let worst = greatest_difference(&wanted, &together);
        assert!(worst > 0.0 && worst < 0.2, "{name}: {worst}");
        for (line, logits) in lines.iter().zip(together.chunks_exact(together.len() / lines.len())) {
            assert_eq!(rounded.logits(&[line.as_slice()].into_iter().collect()), logits, "{name}");
        }
        a_crew_gives_the_same_bits(rounded.encoder(), &lines);
        a_crew_gives_the_same_bits(exact.encoder(), &lines);
    }
}

fn a_crew_gives_the_same_bits(encoder: &Encoder, lines: &[Vec<u32>]) {
    let batches: Vec<TokenBatch> = lines.iter().map(|line| [line.as_slice()].into_iter().collect()).collect();
    for batch in &batches {
        let alone = encoder.logits(batch);
        assert_eq!(encoder.logits_on(batch, 3), alone, "{} tokens", batch.tokens());
        assert_eq!(encoder.logits_with_idle(batch, 2), alone, "{} tokens", batch.tokens());
    }
    // Calls at once, of which only the first finds idle threads.
    std::thread::scope(|scope| {
        let calls: Vec<_> = batches.iter().map(|batch| (batch, scope.spawn(|| encoder.logits_with_idle(batch, 2)))).collect();
        for (batch, call) in calls {
            assert_eq!(call.join().unwrap(), encoder.logits(batch));
        }
    });
}

#[test]
fn biases_make_up_for_what_rounding_takes_on_average() {
    for name in ["tiny-bert", "tiny-deberta-v3"] {
        let (lines, exact) = (expected(name).lines, folder(name));
        let shifted = quantize(&exact, &lines, ANY).unwrap();
        let mut unshifted = shifted.clone();
        let bias =
            WeightLayout::new(&exact.spec, exact.labels.as_ref().unwrap().len()).entry(Role::Layer(0, LayerRole::ValueBias)).unwrap().name.clone();
        unshifted.weights.insert(bias.clone(), exact.weights.tensor(&bias).unwrap());
        let wanted = mean_values(&exact, &lines);
        let lacks = |folder| mean_values(folder, &lines).iter().zip(&wanted).map(|(got, wanted)| (got - wanted).abs()).sum::<f64>();
        let (with, without) = (lacks(&shifted), lacks(&unshifted));
        assert!(with < 0.8 * without, "{name}: {with} with, {without} without");
    }
}

/// The mean over all tokens of the first layer's values: the last third of what is multiplied together.
fn mean_values(folder: &ModelFolder, lines: &[Vec<u32>]) -> Vec<f64> {
    let batch: TokenBatch = lines.iter().map(Vec::as_slice).collect();
    let width = folder.spec.hidden;
    let mut mean = vec![0.0; width];
    Engine::new(folder).unwrap().observed_logits(&batch, &mut |step, rows| {
        if step == Step::QueryKeyValue(0) {
            for row in rows.chunks_exact(3 * width) {
                mean.iter_mut().zip(&row[2 * width..]).for_each(|(sum, value)| *sum += f64::from(*value) / batch.tokens() as f64);
            }
        }
    });
    mean
}

#[test]
fn a_product_that_suffers_stays_in_f32() {
    let (lines, exact) = (expected("tiny-bert").lines, folder("tiny-bert"));
    let all = quantize(&exact, &lines, ANY).unwrap();
    let mut errors = all.settings.quantization.unwrap().errors;
    errors.sort_by(|a, b| b.1.total_cmp(&a.1));
    let between = f64::midpoint(errors[0].1, errors[1].1);
    let some = quantize(&exact, &lines, QuantizeOptions { greatest_error: between, ..ANY }).unwrap();
    assert_eq!(some.settings.quantization.as_ref().unwrap().kept, [errors[0].0.clone()]);
    let none = quantize(&exact, &lines, QuantizeOptions { greatest_drift: 0.0, ..ANY }).unwrap();
    assert_eq!(none.settings.quantization.as_ref().unwrap().kept.len(), errors.len(), "the word embedding's rounding alone drifts");
    for (folder, kept) in [(&all_again(&exact, &lines), false), (&none, true)] {
        for role in [LayerRole::QueryWeight, LayerRole::AttentionOutputWeight, LayerRole::UpWeight, LayerRole::DownWeight] {
            assert_eq!(folder.weights.is_int8(&weight_name(folder, 0, role)), !kept, "{role:?}");
        }
    }
}

fn all_again(exact: &ModelFolder, lines: &[Vec<u32>]) -> ModelFolder {
    quantize(exact, lines, ANY).unwrap()
}

#[test]
fn a_folder_and_a_pack_hold_the_very_model_and_an_export_widens_it() {
    let directory = std::env::temp_dir().join(format!("attackline-quantized-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    for name in ["tiny-bert", "tiny-deberta-v3"] {
        let (lines, exact) = (expected(name).lines, folder(name));
        let batch: TokenBatch = lines.iter().map(Vec::as_slice).collect();
        // Keep something in f32, to see that it stays so.
        let kept = weight_name(&exact, 1, LayerRole::UpWeight);
        let factors = |role| (role != Role::Layer(1, LayerRole::UpWeight)).then_some(&[][..]);
        let rounded = exact.quantized(Quantization { kept: vec!["layer.1.up".into()], ..Quantization::default() }, factors).unwrap();
        let logits = Engine::new(&rounded).unwrap().logits(&batch);

        let (path, exported) = (directory.join(name), directory.join(format!("{name}-exported")));
        rounded.write(&path).unwrap();
        let read = ModelFolder::read(&path).unwrap();
        assert_eq!(read.settings.quantization, rounded.settings.quantization);
        assert!(!read.weights.is_int8(&kept) && read.weights.is_int8(&weight_name(&exact, 0, LayerRole::UpWeight)));
        assert_eq!(Engine::new(&read).unwrap().logits(&batch), logits, "{name}");

        let pack = read.to_pack().unwrap();
        let unpacked = ModelFolder::from_pack(pack.clone()).unwrap();
        assert!(!unpacked.weights.is_int8(&kept));
        let other = Engine::new(&unpacked).unwrap().logits(&batch);
        assert!(greatest_difference(&other, &logits) < 0.05, "{name}: the pack rounds the matrices outside the layers too");
        for length in (0..pack.len()).step_by(1009) {
            assert!(ModelFolder::from_pack(pack[..length].to_vec()).is_err(), "cut to {length} bytes");
        }

        read.export(&exported).unwrap();
        let widened = ModelFolder::read(&exported).unwrap();
        assert!(widened.settings.quantization.is_none() && widened.weights.names().all(|name| !widened.weights.is_int8(name)));
        let near = Engine::new(&widened).unwrap().logits(&batch);
        assert!(greatest_difference(&near, &logits) < 0.2, "{name}");
        assert_eq!(folder(name).weights.tensor(&kept).unwrap(), widened.weights.tensor(&kept).unwrap());
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn factors_of_the_columns_are_kept_in_folders_and_packs_and_exported_away() {
    let directory = std::env::temp_dir().join(format!("attackline-factors-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    let (lines, exact) = (expected("tiny-bert").lines, folder("tiny-bert"));
    let batch: TokenBatch = lines.iter().map(Vec::as_slice).collect();
    let hidden = exact.spec.hidden;
    let factors: Vec<f32> = (0..hidden).map(|column| 0.5 + 0.1 * (column % 9) as f32).collect();
    let only_up = |role| matches!(role, Role::Layer(_, LayerRole::UpWeight)).then_some(&factors[..]);
    let rounded = exact.quantized(Quantization::default(), only_up).unwrap();
    let up = weight_name(&exact, 0, LayerRole::UpWeight);
    assert!(rounded.weights.has_factors(&up));
    let logits = Engine::new(&rounded).unwrap().logits(&batch);
    assert!(greatest_difference(&logits, &Engine::new(&exact).unwrap().logits(&batch)) < 0.2);

    rounded.write(&directory).unwrap();
    let read = ModelFolder::read(&directory).unwrap();
    assert_eq!(read.weights.int8(&up).unwrap().unwrap().factors, factors);
    assert_eq!(Engine::new(&read).unwrap().logits(&batch), logits);
    let pack = read.to_pack().unwrap();
    assert_eq!(ModelFolder::from_pack(pack.clone()).unwrap().weights.int8(&up).unwrap().unwrap().factors, factors);
    for length in (0..pack.len()).step_by(1009) {
        assert!(ModelFolder::from_pack(pack[..length].to_vec()).is_err(), "cut to {length} bytes");
    }
    let widened = read.weights.clone().in_f32().tensor(&up).unwrap();
    let away = widened.data.iter().zip(&exact.weights.tensor(&up).unwrap().data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(away > 0.0 && away < 0.02, "{away}");

    // Query, key and value are multiplied with the same activations.
    let parted = |role| match role {
        Role::Layer(0, LayerRole::QueryWeight) => Some(&factors[..]),
        Role::Layer(..) => Some(&[][..]),
        _ => None,
    };
    let error = Engine::new(&exact.quantized(Quantization::default(), parted).unwrap()).err().unwrap().to_string();
    assert!(error.contains("other factors"), "{error}");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_damaged_int8_file_is_refused() {
    let directory = std::env::temp_dir().join(format!("attackline-int8-damaged-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    let exact = folder("tiny-bert");
    exact.quantized(Quantization::default(), |_| Some(&[])).unwrap().write(&directory).unwrap();
    let file = directory.join("model.safetensors");
    let sound = std::fs::read(&file).unwrap();
    let header = u64::from_le_bytes(sound[..8].try_into().unwrap()) as usize;
    let text = String::from_utf8(sound[8..8 + header].to_vec()).unwrap();
    let name = weight_name(&exact, 0, LayerRole::UpWeight);
    // Two claims whose bytes change places, of the same size in bytes: the scales become a matrix of another type.
    let scale = format!("\"{name}.scale\":{{\"dtype\":\"F32\"");
    assert!(text.contains(&scale), "{text}");
    for (from, to, message) in [
        (scale.clone(), scale.replace("F32", "I32"), "scales are not one f32"),
        (format!("\"{name}.scale\""), format!("\"{name}.xcale\""), "is missing"),
    ] {
        let mut bytes = sound.clone();
        let changed = text.replace(&from, &to);
        assert_eq!(changed.len(), text.len());
        bytes[8..8 + header].copy_from_slice(changed.as_bytes());
        std::fs::write(&file, bytes).unwrap();
        let error = ModelFolder::read(&directory).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn scores_of_a_quantised_model_are_probabilities() {
    let lines = expected("tiny-roberta").lines;
    let engine = Engine::new(&quantize(&folder("tiny-roberta"), &lines, ANY).unwrap()).unwrap();
    for answer in engine.classify(&lines.into_iter().map(Encoded::from).collect::<Vec<_>>()) {
        assert!((answer.scores.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
}
