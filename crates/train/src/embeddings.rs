use crate::TrainError;
use attackline_kernels::{AdamW, adamw};
use attackline_model::{ModelError, Role, Tensor, TensorMap, WeightLayout};
use rayon::prelude::*;

/// Rows of a part of a table.
const PART_ROWS: usize = 64;

/// An embedding table with its moments.
///
/// Only rows that some batch has used are ever touched: from then on they are updated at every step, with a gradient of 0
/// where the batch doesn't use them, as a dense optimiser would. A row that no batch uses keeps its bits (a dense
/// optimiser would decay it, which has no use).
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) weights: Vec<f32>,
    pub(crate) first: Vec<f32>,
    pub(crate) second: Vec<f32>,
    pub(crate) used: Vec<bool>,
    pub(crate) trainable: bool,
}

/// The gradients of the rows that a batch uses: row numbers in rising order, and a row of gradients each.
pub(crate) struct RowGradients {
    rows: Vec<usize>,
    pub(crate) data: Vec<f32>,
}

impl Table {
    fn new(role: Role, layout: &WeightLayout, tensors: &TensorMap) -> Result<Self, TrainError> {
        let entry = layout.entry(role).ok_or_else(|| ModelError::damaged("config.json", format!("the architecture has no {role:?}")))?;
        let missing = || ModelError::MissingTensor { name: entry.name.clone(), shape: entry.shape.clone() };
        let weights = tensors.get(&entry.name).ok_or_else(missing)?.data.clone();
        let zeros = vec![0.0; weights.len()];
        Ok(Self {
            name: entry.name.clone(),
            used: vec![false; entry.shape[0]],
            shape: entry.shape.clone(),
            weights,
            first: zeros.clone(),
            second: zeros,
            trainable: true,
        })
    }

    fn width(&self) -> usize {
        self.shape[1]
    }

    fn row(&self, index: usize) -> &[f32] {
        &self.weights[index * self.width()..][..self.width()]
    }

    /// Adds up `grad`'s rows by the table's row that each came from, in the order of the tokens.
    fn gradients(&self, grad: &[f32], source: &[usize]) -> RowGradients {
        let width = self.width();
        let mut order: Vec<usize> = (0..source.len()).collect();
        order.sort_by_key(|&token| source[token]);
        let groups: Vec<&[usize]> = order.chunk_by(|&a, &b| source[a] == source[b]).collect();
        let mut data = vec![0.0; groups.len() * width];
        data.par_chunks_exact_mut(width).zip(&groups).for_each(|(total, tokens)| {
            for &token in *tokens {
                for (total, value) in total.iter_mut().zip(&grad[token * width..][..width]) {
                    *total += value;
                }
            }
        });
        RowGradients { rows: groups.iter().map(|tokens| source[tokens[0]]).collect(), data }
    }

    fn update(&mut self, gradients: &RowGradients, settings: &AdamW) {
        let width = self.width();
        let mut place = vec![usize::MAX; self.used.len()];
        for (index, &row) in gradients.rows.iter().enumerate() {
            self.used[row] = true;
            place[row] = index;
        }
        let (nothing, used) = (vec![0.0; width], &self.used);
        let size = PART_ROWS * width;
        let parts = self.weights.par_chunks_mut(size).zip(self.first.par_chunks_mut(size)).zip(self.second.par_chunks_mut(size));
        parts.enumerate().for_each(|(part, ((weights, first), second))| {
            let rows = weights.chunks_exact_mut(width).zip(first.chunks_exact_mut(width)).zip(second.chunks_exact_mut(width));
            for (offset, ((weights, first), second)) in rows.enumerate() {
                let row = part * PART_ROWS + offset;
                if used[row] {
                    let gradient = gradients.data.get(place[row].saturating_mul(width)..).map_or(&nothing[..], |rest| &rest[..width]);
                    adamw(settings, weights, gradient, first, second);
                }
            }
        });
    }
}

/// Words, positions and token types. They stand outside the graph, whose input is the sum of their rows.
pub(crate) struct Embeddings {
    pub(crate) tables: [Table; 3],
}

/// The tables' rows that a batch's tokens use, table by table.
pub(crate) struct Sources([Vec<usize>; 3]);

impl Sources {
    pub(crate) fn new(ids: &[u32], offsets: &[usize]) -> Self {
        let positions = offsets.windows(2).flat_map(|pair| 0..pair[1] - pair[0]).collect();
        Self([ids.iter().map(|&id| id as usize).collect(), positions, vec![0; ids.len()]])
    }
}

impl Embeddings {
    pub(crate) fn new(layout: &WeightLayout, tensors: &TensorMap) -> Result<Self, TrainError> {
        let table = |role| Table::new(role, layout, tensors);
        Ok(Self { tables: [table(Role::WordEmbedding)?, table(Role::PositionEmbedding)?, table(Role::TokenTypeEmbedding)?] })
    }

    /// The sums of the tokens' rows, `[tokens, hidden]`.
    pub(crate) fn gather(&self, sources: &Sources) -> Vec<f32> {
        let [words, positions, types] = &self.tables;
        let width = words.width();
        let mut out = vec![0.0; sources.0[0].len() * width];
        out.par_chunks_exact_mut(width).enumerate().for_each(|(token, out)| {
            let [word, position, kind] = [0, 1, 2].map(|table: usize| sources.0[table][token]);
            let rows = words.row(word).iter().zip(positions.row(position)).zip(types.row(kind));
            for (out, ((a, b), c)) in out.iter_mut().zip(rows) {
                *out = a + b + c;
            }
        });
        out
    }

    /// The tables' gradients from that of the sums; `None` for a frozen table.
    pub(crate) fn gradients(&self, grad: &[f32], sources: &Sources) -> [Option<RowGradients>; 3] {
        [0, 1, 2].map(|table| self.tables[table].trainable.then(|| self.tables[table].gradients(grad, &sources.0[table])))
    }

    pub(crate) fn update(&mut self, gradients: &[Option<RowGradients>; 3], settings: &AdamW) {
        for (table, gradients) in self.tables.iter_mut().zip(gradients) {
            if let Some(gradients) = gradients {
                table.update(gradients, settings);
            }
        }
    }

    pub(crate) fn export(&self, tensors: &mut TensorMap) {
        for table in &self.tables {
            tensors.insert(table.name.clone(), Tensor { shape: table.shape.clone(), data: table.weights.clone() });
        }
    }
}
