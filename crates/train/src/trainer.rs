use crate::{
    EpochReport, Example, Method, Observer, StepReport, TrainError, TrainSettings,
    adapter::merge,
    blocks::Blocks,
    checkpoint::{self, State},
    embeddings::Sources,
    graph::Pass,
    lines::Lines,
    ops::{CrossEntropy, Dropped, read},
    optimiser::Gradients,
    parameters::{Parameters, Placement, with_new_head},
    sampler::{batches_in_order, epoch_batches},
};
use attackline_evaluate::Report;
use attackline_kernels::{Loss, cross_entropy};
use attackline_model::{Checkpoint, EncoderSpec, Labels, ModelFolder, Step, TensorMap};
use candle_core::{Device, Tensor, Var};
use sha2::{Digest, Sha256};
use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// A batch's loss above this is no longer learning: an untrained classifier of a thousand labels has 7.
const RUNAWAY_LOSS: f64 = 50.0;

/// The rows of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrainingData {
    /// What the weights learn from.
    pub train: Vec<Example>,
    /// What decides which epoch is the best. Never trained on.
    pub validation: Vec<Example>,
}

/// What a whole run made.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The best epoch's weights, LoRA's additions merged, as [`ModelFolder::with_head`] takes them.
    pub weights: Checkpoint,
    /// What of them was trained, by Hugging Face names, LoRA's additions as `….lora_A.weight` and `….lora_B.weight`.
    pub trained: TensorMap,
    /// The best epoch, from 1.
    pub best_epoch: usize,
    /// Every epoch's figures.
    pub epochs: Vec<EpochReport>,
    /// Steps done, those before a resumption included.
    pub steps: u64,
}

/// A training run.
pub struct Trainer<'a> {
    spec: EncoderSpec,
    labels: &'a Labels,
    data: &'a TrainingData,
    settings: TrainSettings,
    parameters: Parameters,
    /// What the run starts from, its head for these labels.
    base: Checkpoint,
    best: TensorMap,
    state: State,
    checkpoints: Option<PathBuf>,
    total_steps: u64,
    pool: rayon::ThreadPool,
    clock: Clock,
}

/// What this process has done, for the rates.
#[derive(Default)]
struct Clock {
    busy: Duration,
    steps: u64,
    lines: usize,
    tokens: usize,
}

/// Lines packed for the graph.
struct Batch {
    sources: Sources,
    lines: Lines,
    labels: Vec<usize>,
    tokens: usize,
}

impl Batch {
    fn new(rows: &[Example], indices: &[usize], spec: &EncoderSpec, parameters: &Parameters) -> Self {
        let (mut ids, mut offsets, mut labels) = (Vec::new(), vec![0], Vec::new());
        for &index in indices {
            ids.extend_from_slice(&rows[index].ids);
            offsets.push(ids.len());
            labels.push(rows[index].label);
        }
        Self { sources: parameters.embeddings.sources(&ids, &offsets), lines: Lines::new(&offsets, spec.used_relative()), labels, tokens: ids.len() }
    }
}

impl<'a> Trainer<'a> {
    /// Sets up a run that starts from the weights of `folder` and learns `labels`. Checks settings and rows.
    pub fn new(folder: &ModelFolder, labels: &'a Labels, data: &'a TrainingData, settings: TrainSettings) -> Result<Self, TrainError> {
        settings.check(labels.len())?;
        check_rows("training", &data.train, &folder.spec, labels.len())?;
        check_rows("validation", &data.validation, &folder.spec, labels.len())?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads)
            .build()
            .map_err(|error| TrainError::Setting { name: "threads", reason: error.to_string() })?;
        let total_steps =
            (0..settings.epochs).map(|epoch| epoch_batches(&data.train, settings.batch_tokens, settings.seed, epoch).len() as u64).sum();
        let keeps_head = folder.labels.as_ref().is_some_and(|old| old.names() == labels.names());
        let weights = if keeps_head { folder.weights.clone() } else { with_new_head(&folder.spec, &folder.weights, labels.len(), settings.seed) };
        let state = State { fingerprint: fingerprint(folder, labels, data, &settings)?, ..State::default() };
        Ok(Self {
            spec: folder.spec.clone(),
            labels,
            data,
            parameters: Parameters::new(
                &folder.spec,
                &weights,
                labels.len(),
                Some((&settings.selection, settings.seed)),
                &Placement::training(settings.frozen_dtype),
            )?,
            base: weights,
            settings,
            best: TensorMap::new(),
            state,
            checkpoints: None,
            total_steps,
            pool,
            clock: Clock::default(),
        })
    }

    /// Keeps a checkpoint in `folder`, and goes on from the one that is there, if it is of this very run. Says at which
    /// step the run stands.
    pub fn checkpoints_in(&mut self, folder: &Path) -> Result<u64, TrainError> {
        self.checkpoints = Some(folder.to_owned());
        if let Some((state, best)) = checkpoint::load(folder, &self.state.fingerprint, &mut self.parameters)? {
            (self.state, self.best) = (state, best);
        }
        Ok(self.state.step)
    }

    /// Steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        self.total_steps
    }

    /// What is trained as it stands, by Hugging Face names.
    pub fn trained(&self) -> Result<TensorMap, TrainError> {
        self.parameters.trained()
    }

    /// Sets what is trained to what another run trained, such as a LoRA adapter to go on from. Every tensor must be one that this run
    /// trains; those not named stay as they are.
    pub fn set_trained(&mut self, tensors: &TensorMap) -> Result<(), TrainError> {
        self.parameters.set_trained(tensors)
    }

    /// How many numbers are trained, and how many there are.
    pub fn counts(&self) -> (usize, usize) {
        self.parameters.counts()
    }

    fn lora_scale(&self) -> f64 {
        if let Method::Lora(lora) = &self.settings.selection.method { lora.scale() } else { 1.0 }
    }

    /// Trains to the end, or until `cancel` is set: then the state is saved and [`TrainError::Interrupted`] comes back.
    pub fn run(&mut self, observer: &mut dyn Observer, cancel: &AtomicBool) -> Result<Outcome, TrainError> {
        while self.state.epoch < self.settings.epochs && !self.out_of_patience() {
            let batches = epoch_batches(&self.data.train, self.settings.batch_tokens, self.settings.seed, self.state.epoch);
            while self.state.batch < batches.len() {
                let report = self.step(&batches[self.state.batch])?;
                observer.step(&report);
                let every = self.settings.checkpoint_every;
                let stop = cancel.load(Ordering::Relaxed);
                if stop || (every > 0 && self.state.step.is_multiple_of(every)) {
                    self.save()?;
                }
                if stop {
                    return Err(TrainError::Interrupted { step: self.state.step });
                }
            }
            let report = self.finish_epoch()?;
            self.save()?;
            observer.epoch(&report);
        }
        let best_epoch = self.state.epochs.iter().rev().find(|report| report.best).map_or(0, |report| report.epoch);
        let weights = merge(&self.base, &self.best, self.lora_scale())?;
        Ok(Outcome { weights, trained: self.best.clone(), best_epoch, epochs: self.state.epochs.clone(), steps: self.state.step })
    }

    fn out_of_patience(&self) -> bool {
        self.settings.patience > 0 && self.state.without_better >= self.settings.patience
    }

    fn save(&self) -> Result<(), TrainError> {
        self.checkpoints.as_ref().map_or(Ok(()), |folder| checkpoint::save(folder, &self.state, &self.parameters, &self.best))
    }

    fn step(&mut self, indices: &[usize]) -> Result<StepReport, TrainError> {
        let start = Instant::now();
        let batch = Batch::new(&self.data.train, indices, &self.spec, &self.parameters);
        let step = self.state.step + 1;
        let factor = self.settings.schedule.factor(step, self.total_steps, self.settings.warmup);
        let Self { pool, parameters, spec, settings, .. } = self;
        let (loss, gradient_norm) = pool.install(|| learn(spec, parameters, settings, &batch, step, factor))?;
        self.state.step = step;
        self.state.batch += 1;
        self.state.lines += batch.labels.len();
        self.state.loss += loss * batch.labels.len() as f64;
        self.clock.busy += start.elapsed();
        self.clock.steps += 1;
        self.clock.lines += batch.labels.len();
        self.clock.tokens += batch.tokens;
        let seconds = self.clock.busy.as_secs_f64();
        Ok(StepReport {
            step,
            steps: self.total_steps,
            epoch: self.state.epoch + 1,
            loss,
            learning_rate: factor * self.settings.learning_rate,
            gradient_norm,
            lines_per_second: self.clock.lines as f64 / seconds,
            tokens_per_second: self.clock.tokens as f64 / seconds,
            seconds_left: seconds / self.clock.steps as f64 * (self.total_steps - step) as f64,
        })
    }

    fn finish_epoch(&mut self) -> Result<EpochReport, TrainError> {
        let (validation_loss, figures) = self.validate()?;
        let score = (figures.macro_average.f1, validation_loss);
        let best = self.state.best.is_none_or(|(f1, loss)| score.0 > f1 || (score.0 == f1 && score.1 < loss));
        if best {
            self.best = self.parameters.trained()?;
            self.state.best = Some(score);
            self.state.without_better = 0;
        } else {
            self.state.without_better += 1;
        }
        let report = EpochReport {
            epoch: self.state.epoch + 1,
            step: self.state.step,
            train_loss: self.state.loss / self.state.lines.max(1) as f64,
            validation_loss,
            accuracy: figures.accuracy,
            macro_f1: figures.macro_average.f1,
            best,
        };
        self.state.epochs.push(report.clone());
        self.state.epoch += 1;
        (self.state.batch, self.state.lines, self.state.loss) = (0, 0, 0.0);
        Ok(report)
    }

    /// Mean loss and figures on the validation rows.
    fn validate(&self) -> Result<(f64, Report), TrainError> {
        let rows = &self.data.validation;
        let classes = self.labels.len();
        let logits = self.predict(rows)?;
        let truth: Vec<usize> = rows.iter().map(|row| row.label).collect();
        let mut unused = vec![0.0; logits.len()];
        let loss = cross_entropy(&logits, &truth, Loss::default(), &mut unused);
        let predicted: Vec<usize> = logits.chunks_exact(classes).map(best).collect();
        Ok((f64::from(loss), Report::new(self.labels.names(), &truth, &predicted)))
    }

    /// Logits `[rows, labels]` of the weights as they stand, without dropout.
    pub fn predict(&self, rows: &[Example]) -> Result<Vec<f32>, TrainError> {
        let mut logits = Vec::with_capacity(rows.len() * self.labels.len());
        for indices in batches_in_order(rows, self.settings.batch_tokens, 0..rows.len()) {
            let batch = Batch::new(rows, &indices, &self.spec, &self.parameters);
            logits.extend(self.pool.install(|| self.forward(&batch, &|_, _| {}))?);
        }
        Ok(logits)
    }

    fn forward(&self, batch: &Batch, seen: &dyn Fn(Step, &Tensor)) -> Result<Vec<f32>, TrainError> {
        let embedded = Tensor::from_vec(self.parameters.embeddings.gather(&batch.sources), (batch.tokens, self.spec.embedding), &Device::Cpu)?;
        let pass = Pass { spec: &self.spec, parameters: &self.parameters, blocks: Blocks::Fused, lines: &batch.lines, training: None, seen };
        Ok(read(&pass.logits(&embedded)?)?.to_vec())
    }

    /// [`Trainer::predict`] on rows that make one batch, telling `seen` of every step's result on the way: to compare it with another
    /// implementation's.
    pub fn observed_logits(&self, rows: &[Example], seen: &mut dyn FnMut(Step, &[f32])) -> Result<Vec<f32>, TrainError> {
        let indices: Vec<usize> = (0..rows.len()).collect();
        let seen = RefCell::new(seen);
        self.forward(&Batch::new(rows, &indices, &self.spec, &self.parameters), &|step, result| {
            if let Ok(values) = read(result) {
                (seen.borrow_mut())(step, &values);
            }
        })
    }

    /// The loss of rows that make one batch and its gradient at every trainable tensor, by Hugging Face name, with the run's loss
    /// settings but without dropout.
    pub fn gradients(&self, rows: &[Example]) -> Result<(f64, TensorMap), TrainError> {
        let indices: Vec<usize> = (0..rows.len()).collect();
        let batch = Batch::new(rows, &indices, &self.spec, &self.parameters);
        let (loss, gradients) = self.pool.install(|| gradients(&self.spec, &self.parameters, &self.settings, &batch, Dropped::NONE))?;
        Ok((loss, gradients.export(&self.parameters)?))
    }
}

/// One step: the batch's loss, its gradient, the update. Gives the loss and the gradient's norm.
fn learn(
    spec: &EncoderSpec,
    parameters: &mut Parameters,
    settings: &TrainSettings,
    batch: &Batch,
    step: u64,
    factor: f64,
) -> Result<(f64, f64), TrainError> {
    let seed = settings.seed.wrapping_add(step.wrapping_mul(0xa076_1d64_78bd_642f));
    let (loss, gradients) = gradients(spec, parameters, settings, batch, Dropped { rate: settings.dropout, seed })?;
    if !loss.is_finite() || loss > RUNAWAY_LOSS {
        return Err(TrainError::Diverged { step, what: format!("loss {loss}") });
    }
    let norm = gradients.norm(parameters)?;
    if !norm.is_finite() {
        return Err(TrainError::Diverged { step, what: format!("gradient norm {norm}") });
    }
    let scale = (settings.clip_norm / (norm + 1e-6)).min(1.0);
    gradients.apply(parameters, settings, step, factor, scale)?;
    Ok((loss, norm))
}

/// A batch's loss and its gradient.
fn gradients(
    spec: &EncoderSpec,
    parameters: &Parameters,
    settings: &TrainSettings,
    batch: &Batch,
    dropped: Dropped,
) -> Result<(f64, Gradients), TrainError> {
    let embedded = Var::from_vec(parameters.embeddings.gather(&batch.sources), (batch.tokens, spec.embedding), &Device::Cpu)?;
    // Nothing before the first trained weight needs a gradient.
    let input = if parameters.embeddings.tables[0].trainable { embedded.as_tensor().clone() } else { embedded.as_detached_tensor() };
    let pass = Pass { spec, parameters, blocks: Blocks::Fused, lines: &batch.lines, training: Some(dropped), seen: &|_, _| {} };
    let logits = pass.logits(&input)?;
    let class_weights = settings.class_weights.as_deref().map(Arc::from);
    let (smoothing, focus) = (settings.label_smoothing, settings.focus);
    let loss = logits.apply_op1(CrossEntropy { labels: batch.labels.clone(), class_weights, smoothing, focus })?;
    let value = f64::from(loss.to_scalar::<f32>()?);
    Ok((value, Gradients::new(parameters, &loss.backward()?, &embedded, &batch.sources)?))
}

/// The place of the greatest logit; the first of equals.
fn best(row: &[f32]) -> usize {
    row.iter().enumerate().fold(0, |best, (index, &value)| if value > row[best] { index } else { best })
}

fn check_rows(what: &str, rows: &[Example], spec: &EncoderSpec, labels: usize) -> Result<(), TrainError> {
    if rows.is_empty() {
        return Err(TrainError::Data(format!("there are no {what} rows")));
    }
    let sound = |row: &Example| {
        !row.ids.is_empty() && row.ids.len() <= spec.longest && row.label < labels && row.ids.iter().all(|&id| (id as usize) < spec.vocabulary)
    };
    match rows.iter().position(|row| !sound(row)) {
        Some(index) => Err(TrainError::Data(format!("{what} row {}: a token, the length or the label is outside the model", index + 1))),
        None => Ok(()),
    }
}

/// What a checkpoint must agree with to go on to the same result.
fn fingerprint(folder: &ModelFolder, labels: &Labels, data: &TrainingData, settings: &TrainSettings) -> Result<String, TrainError> {
    let mut hash = Sha256::new();
    // How often to save and how many threads to use may change between the parts of a run.
    let settings = TrainSettings { checkpoint_every: 0, threads: 0, ..settings.clone() };
    hash.update(serde_json::to_vec(&settings).expect("settings hold only plain values"));
    hash.update(format!("{:?}{:?}", folder.spec, labels.names()));
    for name in folder.weights.names() {
        folder.weights.tensor(name)?.data.iter().for_each(|value| hash.update(value.to_le_bytes()));
    }
    for row in data.train.iter().chain(&data.validation) {
        hash.update((row.ids.len() as u64).to_le_bytes());
        row.ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
        hash.update((row.label as u64).to_le_bytes());
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
