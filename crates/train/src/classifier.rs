use crate::{
    TrainError,
    blocks::Blocks,
    device::{DeviceKind, FloatType, open},
    graph::Pass,
    lines::Lines,
    parameters::{Parameters, Placement},
};
use attackline_kernels::{independent_probabilities, probabilities};
use attackline_model::{
    BATCH_TOKENS, Classifier, Encoded, EncoderSpec, Labels, ModelError, ModelFolder, ParentShare, Prediction, Prepared, Settings, TextTokenizer,
    TokenBatch,
};
use candle_core::{DType, Tensor};

/// The graph as a classifier, in candle's own operations, which run on a GPU. On the processor the `engine` crate is many times faster;
/// this form runs there too, so that what a GPU would compute is tested.
pub struct GraphClassifier {
    spec: EncoderSpec,
    parameters: Parameters,
    placement: Placement,
    labels: Labels,
    tokenizer: TextTokenizer,
    settings: Settings,
}

impl GraphClassifier {
    /// Brings the folder's weights to the device.
    pub fn new(folder: &ModelFolder, device: DeviceKind, float: FloatType) -> Result<Self, TrainError> {
        let labels = folder.labels.clone().ok_or_else(|| ModelError::damaged("config.json", "this is a base model without labels"))?;
        let placement = Placement { device: open(device)?, dtype: float.into(), frozen: float.into() };
        Ok(Self {
            spec: folder.spec.clone(),
            parameters: Parameters::new(&folder.spec, &folder.weights, labels.len(), None, &placement)?,
            placement,
            tokenizer: folder.tokenizer(None)?,
            settings: folder.settings.clone(),
            labels,
        })
    }

    /// The head's raw outputs, `[lines, labels]`.
    pub fn logits(&self, batch: &TokenBatch) -> Result<Vec<f32>, TrainError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let lines = Lines::new(batch.offsets(), self.spec.used_relative());
        let sources = self.parameters.embeddings.sources(batch.ids(), batch.offsets());
        let embedded = Tensor::from_vec(self.parameters.embeddings.gather(&sources), (batch.tokens(), self.spec.embedding), &self.placement.device)?;
        let pass = Pass {
            spec: &self.spec,
            parameters: &self.parameters,
            blocks: Blocks::Plain,
            lines: &lines,
            picked: None,
            training: None,
            tracked: false,
            seen: &|_, _| {},
        };
        let logits = pass.logits(&embedded.to_dtype(self.placement.dtype)?)?;
        Ok(logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
    }
}

impl Classifier for GraphClassifier {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn encode_prepared(&self, line: &Prepared<'_>) -> Result<Encoded, ModelError> {
        self.tokenizer.encode_prepared(line)
    }

    /// # Panics
    /// If the device fails, such as when its memory is full: there is no answer then.
    fn classify(&self, lines: &[Encoded]) -> Vec<Prediction> {
        let probabilities = if self.labels.several() { independent_probabilities } else { probabilities };
        let predict = |logits: &[f32]| Prediction { scores: probabilities(logits, self.settings.temperature) };
        let batches = TokenBatch::within(lines.iter().map(|line| line.ids.as_slice()), BATCH_TOKENS);
        let answers = |batch: &TokenBatch| -> Vec<Prediction> {
            let logits = self.logits(batch).unwrap_or_else(|error| panic!("the device failed: {error}"));
            logits.chunks_exact(self.labels.len()).map(predict).collect()
        };
        batches.iter().flat_map(answers).collect()
    }

    fn threshold(&self) -> f32 {
        self.settings.threshold
    }

    fn parent_share(&self) -> Option<ParentShare> {
        self.settings.parent
    }

    fn name(&self) -> &str {
        &self.settings.name
    }
}
