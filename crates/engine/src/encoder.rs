use crate::{
    matrix::Matrix,
    pass::{Pass, Scratch, head},
    profile::{Operation, Profile, timed},
    weights::{EncoderWeights, Numbers},
};
use attackline_kernels::Crew;
use attackline_model::{EncoderSpec, ModelError, ModelFolder, Step, TokenBatch};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A batch of up to so many tokens is computed by all threads together, step by step; the lines of a larger one are shared out. (Four lines of 32
/// tokens are as fast either way, one line of 32 is 1.7 to 2 times as fast together.)
const CREW_TOKENS: usize = 96;

/// Threads of a crew, at most: each has to be started for the pass, and the smallest products have only six panels to share. (Measured with two.)
const CREW_THREADS: usize = 4;

/// What a block's activations may take of the second-level cache, in bytes: half of what such caches have today.
const BLOCK_BYTES: usize = 1 << 20;

/// A model's weights, laid out to compute logits from token ids. One call computes on the calling thread; several threads may call at
/// once.
pub struct Encoder {
    spec: EncoderSpec,
    weights: EncoderWeights,
    /// Buffers of passes that are over: as many as there were threads.
    scratch: Mutex<Vec<Scratch>>,
    /// Calls of [`Encoder::logits_with_idle`] under way.
    busy: AtomicUsize,
}

impl Encoder {
    /// Lays the folder's weights out for lines of up to `longest` tokens. The folder must have labels.
    pub fn new(folder: &ModelFolder, longest: usize) -> Result<Self, ModelError> {
        Self::with_numbers(folder, longest, Numbers::AsStored)
    }

    pub(crate) fn with_numbers(folder: &ModelFolder, longest: usize, numbers: Numbers) -> Result<Self, ModelError> {
        let labels = folder.labels.as_ref().map_or(0, |labels| labels.len());
        let weights = EncoderWeights::new(folder, labels, longest, numbers)?;
        Ok(Self { spec: folder.spec.clone(), weights, scratch: Mutex::default(), busy: AtomicUsize::new(0) })
    }

    /// The head's raw outputs, `[lines, labels]`.
    ///
    /// # Panics
    /// If a token id is not in the vocabulary or a line is longer than the weights were laid out for.
    pub fn logits(&self, batch: &TokenBatch) -> Vec<f32> {
        self.pass(&Crew::alone(), batch, block_tokens(&self.spec), &mut |_, _| {})
    }

    /// [`Encoder::logits`] on up to `threads` threads: they share the lines of a large batch, and each step of a small one. The answers are the
    /// same.
    pub fn logits_on(&self, batch: &TokenBatch, threads: usize) -> Vec<f32> {
        if is_small(batch) {
            return self.logits_together(batch, threads);
        }
        let parts = parts(batch, threads);
        let Some((first, rest)) = parts.split_first().filter(|(_, rest)| !rest.is_empty()) else { return self.logits(batch) };
        std::thread::scope(|scope| {
            let others: Vec<_> = rest.iter().map(|part| scope.spawn(|| self.logits(part))).collect();
            let mut logits = self.logits(first);
            for other in others {
                logits.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            logits
        })
    }

    /// [`Encoder::logits`], to which those of `threads` threads that no such call uses come together where the batch is small. The answers are
    /// the same.
    pub fn logits_with_idle(&self, batch: &TokenBatch, threads: usize) -> Vec<f32> {
        let busy = Busy::new(&self.busy);
        if is_small(batch) { self.logits_together(batch, threads.saturating_sub(busy.others)) } else { self.logits(batch) }
    }

    fn logits_together(&self, batch: &TokenBatch, threads: usize) -> Vec<f32> {
        Crew::gather(threads.min(CREW_THREADS), |crew| self.pass(crew, batch, usize::MAX, &mut |_, _| {}))
    }

    /// [`Encoder::logits`], telling `seen` of every step's result on the way. Where the head reads only first tokens, the last layer's
    /// attention and what follows it are of those alone; it may have no query, key and value of all tokens.
    pub fn observed_logits(&self, batch: &TokenBatch, seen: &mut dyn FnMut(Step, &[f32])) -> Vec<f32> {
        self.pass(&Crew::alone(), batch, usize::MAX, seen)
    }

    fn pass(&self, crew: &Crew<'_>, batch: &TokenBatch, block: usize, seen: &mut dyn FnMut(Step, &[f32])) -> Vec<f32> {
        let mut scratch = self.waiting().pop().unwrap_or_default();
        let logits = self.in_blocks(crew, batch, block, seen, &mut scratch);
        self.waiting().push(scratch);
        logits
    }

    /// Whole lines of up to `block` tokens at a time, so that activations stay in the cache from step to step; then the head for all of them, so that its
    /// weights are read once.
    fn in_blocks(&self, crew: &Crew<'_>, batch: &TokenBatch, block: usize, seen: &mut dyn FnMut(Step, &[f32]), scratch: &mut Scratch) -> Vec<f32> {
        if batch.is_empty() {
            return Vec::new();
        }
        let mut pooled = |batch: &TokenBatch| Pass { spec: &self.spec, weights: &self.weights, batch, crew, seen: &mut *seen }.pooled(scratch);
        let pooled = if batch.tokens() <= block { pooled(batch) } else { TokenBatch::within(batch.iter(), block).iter().flat_map(pooled).collect() };
        timed(&mut scratch.products.profile, Operation::Head, || head(&self.spec, &self.weights, crew, pooled, seen))
    }

    /// [`Encoder::logits`], and where the time went, added to `profile`.
    pub fn profiled_logits(&self, batch: &TokenBatch, profile: &mut Profile) -> Vec<f32> {
        let mut scratch = self.waiting().pop().unwrap_or_default();
        scratch.products.profile = Some(std::mem::take(profile));
        let logits = self.in_blocks(&Crew::alone(), batch, block_tokens(&self.spec), &mut |_, _| {}, &mut scratch);
        *profile = scratch.products.profile.take().unwrap_or_default();
        self.waiting().push(scratch);
        logits
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Scratch>> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `find` sees of the products, by their names.
    pub(crate) fn of_products<T>(&self, find: impl Fn(&Matrix) -> Option<T>) -> Vec<(String, T)> {
        let mut found = Vec::new();
        for (layer, weights) in self.weights.layers.iter().enumerate() {
            found.extend(weights.products().into_iter().filter_map(|(name, matrix)| Some((format!("layer.{layer}.{name}"), find(matrix)?))));
        }
        found
    }
}

/// How many tokens are computed at once: as many as leave their activations in the cache, and enough for the weights, which every block reads
/// again.
fn block_tokens(spec: &EncoderSpec) -> usize {
    let numbers = 2 * spec.hidden + spec.intermediate.max(3 * spec.hidden);
    (BLOCK_BYTES / (numbers * size_of::<f32>())).clamp(128, 1024)
}

/// Whether several threads are faster together than one by itself, and not slower than one a line.
fn is_small(batch: &TokenBatch) -> bool {
    batch.lines() == 1 || batch.tokens() <= CREW_TOKENS
}

/// A call under way, and how many others are.
struct Busy<'a> {
    count: &'a AtomicUsize,
    others: usize,
}

impl<'a> Busy<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        Self { count, others: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The batch's lines in order in up to `count` batches of about as many tokens each.
fn parts(batch: &TokenBatch, count: usize) -> Vec<TokenBatch> {
    let mut parts: Vec<TokenBatch> = Vec::new();
    let mut part = TokenBatch::new();
    let mut end = 0;
    for line in batch.iter() {
        part.push(line);
        end += line.len();
        let share = batch.tokens() * (parts.len() + 1) / count.max(1);
        if end >= share && parts.len() + 1 < count {
            parts.push(std::mem::take(&mut part));
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_every_line_once_and_in_order() {
        for lengths in [vec![3usize], vec![1, 1, 1, 90], vec![90, 1, 1, 1], vec![5; 33]] {
            let lines: Vec<Vec<u32>> = lengths.iter().enumerate().map(|(i, &length)| vec![i as u32; length]).collect();
            let batch: TokenBatch = lines.iter().map(Vec::as_slice).collect();
            for count in 0..6 {
                let parts = parts(&batch, count);
                assert!(parts.len() <= count.max(1), "{lengths:?} in {count}");
                assert_eq!(parts.iter().map(TokenBatch::lines).sum::<usize>(), lines.len());
                assert_eq!(parts.iter().flat_map(|part| part.ids().to_vec()).collect::<Vec<_>>(), batch.ids());
            }
        }
    }
}
