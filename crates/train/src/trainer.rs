use crate::{
    EpochReport, Example, Method, Observer, StepReport, TrainError, TrainSettings,
    adapter::merge,
    batch::Batch,
    checkpoint::{self, State},
    initial::{DEVIATION, small_deviation, with_new_head},
    network::Network,
    ops::{Dropped, read},
    optimiser::Gradients,
    parameters::{Parameters, Placement},
    sampler::{batches_in_order, epoch_batches},
    task::{Figures, Task, check_rows},
};
use attackline_model::{Activation, Checkpoint, EncoderSpec, Head, Labels, ModelFolder, Pooling, Step, TensorMap};
use sha2::{Digest, Sha256};
use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// A batch's loss above this is no longer learning: an untrained classifier of a thousand labels has 7.
const RUNAWAY_LOSS: f64 = 50.0;

/// In validation no token is left out, and those hidden are kept apart from those hidden in training.
const VALIDATION: (f32, u64) = (0.0, 0x7661_6c69);

/// The rows of a run.
#[derive(Debug, Clone, Default, PartialEq)]
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
    /// Every step's loss.
    pub losses: Vec<f32>,
    /// Steps done, those before a resumption included.
    pub steps: u64,
}

/// A training run.
pub struct Trainer<'a> {
    network: Network,
    data: &'a TrainingData,
    settings: TrainSettings,
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

impl<'a> Trainer<'a> {
    /// Sets up a run that starts from the weights of `folder` and learns `labels`, one a line or, where they say so,
    /// [several](Labels::several). Of labels that `folder` has already, what its head knows is kept. Checks settings and rows.
    pub fn new(folder: &ModelFolder, labels: &Labels, data: &'a TrainingData, settings: TrainSettings) -> Result<Self, TrainError> {
        let weights = match &folder.labels {
            Some(known) if known == labels => folder.weights.clone(),
            known => {
                let place = |known: &Labels, new: usize| Some((new, known.index(labels.name(new))?));
                let kept: Vec<_> = known.iter().flat_map(|known| (0..labels.len()).filter_map(|new| place(known, new))).collect();
                with_new_head(&folder.spec, &folder.weights, labels.len(), &kept, DEVIATION, settings.seed)?
            }
        };
        Self::start(folder.spec.clone(), weights, Task::Label(labels.clone()), data, settings)
    }

    /// Sets up a run that learns to restore hidden tokens (masked language modelling, Devlin et al. 2018), of rows without labels. `mask` is
    /// the token that stands for a hidden one. Outputs and words share one table; between stands a product with a GELU, which is of no
    /// use afterwards, as the outputs are not.
    pub fn restoring(
        spec: &EncoderSpec,
        weights: &Checkpoint,
        mask: u32,
        data: &'a TrainingData,
        settings: TrainSettings,
    ) -> Result<Self, TrainError> {
        if spec.embedding != spec.hidden {
            return Err(TrainError::Data("a model whose embeddings are narrower than its layers can't be pretrained".into()));
        }
        let spec = EncoderSpec { head: Head { pooling: Pooling::First, dense: Some(Activation::Gelu) }, ..spec.clone() };
        let vocabulary = spec.vocabulary;
        let weights = with_new_head(&spec, weights, vocabulary, &[], small_deviation(spec.hidden), settings.seed)?;
        Self::start(spec, weights, Task::Restore { vocabulary, mask }, data, settings)
    }

    fn start(spec: EncoderSpec, weights: Checkpoint, task: Task, data: &'a TrainingData, settings: TrainSettings) -> Result<Self, TrainError> {
        settings.check(task.outputs())?;
        let limits = (spec.longest, spec.vocabulary);
        check_rows("training", &data.train, &task, limits)?;
        check_rows("validation", &data.validation, &task, limits)?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads)
            .build()
            .map_err(|error| TrainError::Setting { name: "threads", reason: error.to_string() })?;
        let state = State { fingerprint: fingerprint(&spec, &weights, &task, data, &settings)?, ..State::default() };
        let placement = Placement::training(&settings)?;
        let mut parameters = Parameters::new(&spec, &weights, task.outputs(), Some((&settings.selection, settings.seed)), &placement)?;
        if matches!(task, Task::Restore { .. }) {
            parameters.tie()?;
        }
        let mut trainer = Self {
            network: Network { spec, parameters, placement, blocks: settings.blocks(), task },
            data,
            settings,
            base: weights,
            best: TensorMap::new(),
            state,
            checkpoints: None,
            total_steps: 0,
            pool,
            clock: Clock::default(),
        };
        trainer.total_steps = (0..trainer.settings.epochs).map(|epoch| trainer.steps_of(epoch).len() as u64).sum();
        Ok(trainer)
    }

    /// The rows of each step of an epoch.
    fn steps_of(&self, epoch: usize) -> Vec<Vec<usize>> {
        epoch_batches(&self.data.train, self.settings.batch_tokens * self.settings.accumulate, self.settings.seed, epoch)
    }

    /// Keeps a checkpoint in `folder`, and goes on from the one that is there, if it is of this very run. Says at which
    /// step the run stands.
    pub fn checkpoints_in(&mut self, folder: &Path) -> Result<u64, TrainError> {
        self.checkpoints = Some(folder.to_owned());
        if let Some((state, best)) = checkpoint::load(folder, &self.state.fingerprint, &mut self.network.parameters)? {
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
        self.network.parameters.trained()
    }

    /// Sets what is trained to what another run trained, such as a LoRA adapter to go on from. Every tensor must be one that this run
    /// trains; those not named stay as they are.
    pub fn set_trained(&mut self, tensors: &TensorMap) -> Result<(), TrainError> {
        self.network.parameters.set_trained(tensors)
    }

    /// How many numbers are trained, and how many there are.
    pub fn counts(&self) -> (usize, usize) {
        self.network.parameters.counts()
    }

    /// The loss of every step so far, also of those before an interruption.
    pub fn losses(&self) -> &[f32] {
        &self.state.losses
    }

    fn lora_scale(&self) -> f64 {
        if let Method::Lora(lora) = &self.settings.selection.method { lora.scale() } else { 1.0 }
    }

    /// Trains to the end, or until `cancel` is set: then the state is saved and [`TrainError::Interrupted`] comes back.
    pub fn run(&mut self, observer: &mut dyn Observer, cancel: &AtomicBool) -> Result<Outcome, TrainError> {
        while self.state.epoch < self.settings.epochs && !self.out_of_patience() {
            let batches = self.steps_of(self.state.epoch);
            while self.state.batch < batches.len() {
                let report = self.step(&batches[self.state.batch])?;
                observer.step(&report);
                let every = self.settings.checkpoint_every;
                if cancel.load(Ordering::Relaxed) {
                    self.save()?;
                    return Err(TrainError::Interrupted { step: self.state.step });
                }
                if every > 0 && self.state.step.is_multiple_of(every) {
                    self.save().unwrap_or_else(|error| observer.unsaved(&error));
                }
            }
            let report = self.finish_epoch()?;
            self.save().unwrap_or_else(|error| observer.unsaved(&error));
            observer.epoch(&report);
        }
        let best_epoch = self.state.epochs.iter().rev().find(|report| report.best).map_or(0, |report| report.epoch);
        let weights = merge(&self.base, &self.best, self.lora_scale())?;
        let (epochs, losses) = (self.state.epochs.clone(), self.state.losses.clone());
        Ok(Outcome { weights, trained: self.best.clone(), best_epoch, epochs, losses, steps: self.state.step })
    }

    fn out_of_patience(&self) -> bool {
        self.settings.patience > 0 && self.state.without_better >= self.settings.patience
    }

    fn save(&self) -> Result<(), TrainError> {
        self.checkpoints.as_ref().map_or(Ok(()), |folder| checkpoint::save(folder, &self.state, &self.network.parameters, &self.best))
    }

    fn step(&mut self, indices: &[usize]) -> Result<StepReport, TrainError> {
        let start = Instant::now();
        let step = self.state.step + 1;
        let factor = self.settings.schedule.factor(step, self.total_steps, self.settings.warmup);
        let masks = self.settings.seed.wrapping_add(self.state.epoch as u64);
        let parts = batches_in_order(&self.data.train, self.settings.batch_tokens, indices.iter().copied());
        let batches: Vec<Batch> = parts.iter().map(|part| self.batch(&self.data.train, part, (self.settings.token_dropout, masks))).collect();
        let Self { pool, network, settings, .. } = self;
        let (loss, gradient_norm) = pool.install(|| learn(network, settings, &batches, step, factor))?;
        self.state.step = step;
        self.state.batch += 1;
        self.state.lines += indices.len();
        self.state.loss += loss * indices.len() as f64;
        self.state.losses.push(loss as f32);
        self.clock.busy += start.elapsed();
        self.clock.steps += 1;
        self.clock.lines += indices.len();
        self.clock.tokens += batches.iter().map(|batch| batch.tokens).sum::<usize>();
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
        let figures = self.validate()?;
        let best = self.state.epochs.iter().rfind(|report| report.best).is_none_or(|report| figures.better_than(report));
        if best {
            self.best = self.network.parameters.trained()?;
            self.state.without_better = 0;
        } else {
            self.state.without_better += 1;
        }
        let report = EpochReport {
            epoch: self.state.epoch + 1,
            step: self.state.step,
            train_loss: self.state.loss / self.state.lines.max(1) as f64,
            validation_loss: figures.loss,
            accuracy: figures.accuracy,
            macro_f1: figures.macro_f1,
            best,
        };
        self.state.epochs.push(report.clone());
        self.state.epoch += 1;
        (self.state.batch, self.state.lines, self.state.loss) = (0, 0, 0.0);
        Ok(report)
    }

    fn batch(&self, rows: &[Example], indices: &[usize], thinned_by: (f32, u64)) -> Batch {
        Batch::new(rows, indices, (&self.network.spec, &self.network.parameters), &self.network.task, thinned_by)
    }

    /// Mean loss and figures on the validation rows.
    fn validate(&self) -> Result<Figures, TrainError> {
        let (rows, task) = (&self.data.validation, &self.network.task);
        if let Task::Label(_) = task {
            let truth: Vec<Vec<usize>> = rows.iter().map(|row| row.labels.clone()).collect();
            return Ok(task.figures(&self.predict(rows)?, &truth));
        }
        // As many outputs as words: those of all rows would fill the memory, and their figures are plain means.
        let mut parts = Vec::new();
        for indices in batches_in_order(rows, self.settings.batch_tokens, 0..rows.len()) {
            let batch = self.batch(rows, &indices, VALIDATION);
            let logits = self.pool.install(|| self.network.logits(&batch, &|_, _| {}))?;
            parts.push((task.figures(&logits, &batch.labels), batch.labels.len()));
        }
        Ok(Figures::mean(&parts))
    }

    /// Logits `[rows, labels]` of the weights as they stand, without dropout.
    pub fn predict(&self, rows: &[Example]) -> Result<Vec<f32>, TrainError> {
        let mut logits = Vec::with_capacity(rows.len() * self.network.task.outputs());
        for indices in batches_in_order(rows, self.settings.batch_tokens, 0..rows.len()) {
            let batch = self.batch(rows, &indices, VALIDATION);
            logits.extend(self.pool.install(|| self.network.logits(&batch, &|_, _| {}))?);
        }
        Ok(logits)
    }

    /// [`Trainer::predict`] on rows that make one batch, telling `seen` of every step's result on the way: to compare it with another
    /// implementation's.
    pub fn observed_logits(&self, rows: &[Example], seen: &mut dyn FnMut(Step, &[f32])) -> Result<Vec<f32>, TrainError> {
        let indices: Vec<usize> = (0..rows.len()).collect();
        let seen = RefCell::new(seen);
        let logits = self.network.logits(&self.batch(rows, &indices, VALIDATION), &|step, result| {
            if let Ok(values) = read(result) {
                (seen.borrow_mut())(step, &values);
            }
        });
        Ok(logits?)
    }

    /// The loss of rows that make one batch and its gradient at every trainable tensor, by Hugging Face name, with the run's loss
    /// settings but without dropout.
    pub fn gradients(&self, rows: &[Example]) -> Result<(f64, TensorMap), TrainError> {
        let indices: Vec<usize> = (0..rows.len()).collect();
        let batch = self.batch(rows, &indices, VALIDATION);
        let (loss, gradients) = self.pool.install(|| self.network.gradients(&batch, &self.settings, Dropped::NONE, 1.0))?;
        Ok((loss, gradients.export(&self.network.parameters)?))
    }
}

/// One step: the batches' loss, its gradient, the update, as if the batches were one. Gives the loss and the gradient's norm.
fn learn(network: &mut Network, settings: &TrainSettings, batches: &[Batch], step: u64, factor: f64) -> Result<(f64, f64), TrainError> {
    let seed = settings.seed.wrapping_add(step.wrapping_mul(0xa076_1d64_78bd_642f));
    let weights: Vec<f64> = batches.iter().map(|batch| batch.loss(&network.task, settings).total_weight()).collect();
    let total: f64 = weights.iter().sum();
    let mut loss = 0.0;
    let mut sum: Option<Gradients> = None;
    for (index, (batch, weight)) in batches.iter().zip(&weights).enumerate() {
        let dropped = Dropped { rate: settings.dropout, seed: seed.wrapping_add((index as u64).wrapping_mul(0x9e6c_63d0_876a_46cb)) };
        let (value, gradients) = network.gradients(batch, settings, dropped, if total > 0.0 { weight / total } else { 1.0 })?;
        loss += value;
        match &mut sum {
            Some(sum) => sum.add(gradients)?,
            None => sum = Some(gradients),
        }
    }
    if !loss.is_finite() || loss > RUNAWAY_LOSS {
        return Err(TrainError::Diverged { step, what: format!("loss {loss}") });
    }
    let gradients = sum.ok_or_else(|| TrainError::Data("a step without rows".into()))?;
    let norm = gradients.norm(&network.parameters)?;
    if !norm.is_finite() {
        return Err(TrainError::Diverged { step, what: format!("gradient norm {norm}") });
    }
    let scale = (settings.clip_norm / (norm + 1e-6)).min(1.0);
    gradients.apply(&mut network.parameters, settings, step, factor, scale)?;
    Ok((loss, norm))
}

/// What a checkpoint must agree with to go on to the same result.
fn fingerprint(spec: &EncoderSpec, weights: &Checkpoint, task: &Task, data: &TrainingData, settings: &TrainSettings) -> Result<String, TrainError> {
    let mut hash = Sha256::new();
    // How often to save, how many threads to use and whether to compute twice may change between the parts of a run.
    let settings = TrainSettings { checkpoint_every: 0, threads: 0, recompute: false, ..settings.clone() };
    hash.update(serde_json::to_vec(&settings).expect("settings hold only plain values"));
    hash.update(format!("{spec:?}{task:?}"));
    for name in weights.names() {
        weights.tensor(name)?.data.iter().for_each(|value| hash.update(value.to_le_bytes()));
    }
    for row in data.train.iter().chain(&data.validation) {
        hash.update((row.ids.len() as u64).to_le_bytes());
        row.ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
        hash.update((row.labels.len() as u64).to_le_bytes());
        row.labels.iter().for_each(|&label| hash.update((label as u64).to_le_bytes()));
        hash.update(row.weight.to_le_bytes());
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
