use crate::TrainError;
use attackline_kernels::{AdamW, adamw};
use attackline_model::{Checkpoint, EncoderSpec, Role, Tensor, TensorMap, WeightLayout};
use half::bf16;
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
    /// Empty where the table is kept in bf16.
    pub(crate) weights: Vec<f32>,
    half: Vec<bf16>,
    pub(crate) first: Vec<f32>,
    pub(crate) second: Vec<f32>,
    pub(crate) used: Vec<bool>,
    pub(crate) trainable: bool,
}

/// The gradients of the rows that a batch uses: row numbers in rising order, and a row of gradients each.
pub(crate) struct RowGradients {
    pub(crate) rows: Vec<usize>,
    pub(crate) data: Vec<f32>,
}

impl RowGradients {
    /// Adds the rows to the whole table's, `width` numbers a row.
    pub(crate) fn add_to(&self, sums: &mut [f32], width: usize) {
        for (&row, values) in self.rows.iter().zip(self.data.chunks_exact(width)) {
            sums[row * width..][..width].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }

    /// The sum with another batch's.
    pub(crate) fn merged(&self, other: &Self) -> Self {
        let width = self.data.len() / self.rows.len().max(1);
        let mut rows: Vec<usize> = self.rows.iter().chain(&other.rows).copied().collect();
        rows.sort_unstable();
        rows.dedup();
        let mut data = vec![0.0; rows.len() * width];
        for part in [self, other] {
            for (row, values) in part.rows.iter().zip(part.data.chunks_exact(width)) {
                let place = rows.partition_point(|other| other < row);
                data[place * width..][..width].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
        }
        Self { rows, data }
    }
}

impl Table {
    fn new(role: Role, layout: &WeightLayout, weights: &Checkpoint, trainable: bool, short: bool) -> Result<Self, TrainError> {
        let entry = layout.require(role)?;
        let mut weights = weights.tensor(&entry.name)?.data;
        let half = if short { std::mem::take(&mut weights).into_iter().map(bf16::from_f32).collect() } else { Vec::new() };
        let moments = if trainable { weights.len() } else { 0 };
        Ok(Self {
            name: entry.name.clone(),
            used: vec![false; entry.shape[0]],
            shape: entry.shape.clone(),
            weights,
            half,
            first: vec![0.0; moments],
            second: vec![0.0; moments],
            trainable,
        })
    }

    fn width(&self) -> usize {
        self.shape[1]
    }

    /// Adds a row to `out`.
    fn add_row(&self, index: usize, out: &mut [f32]) {
        let place = index * self.width()..(index + 1) * self.width();
        if self.half.is_empty() {
            out.iter_mut().zip(&self.weights[place]).for_each(|(out, value)| *out += value);
        } else {
            out.iter_mut().zip(&self.half[place]).for_each(|(out, value)| *out += value.to_f32());
        }
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

/// Words, and positions and token types where the model has them. They stand outside the graph, whose input is the sum of their rows.
pub(crate) struct Embeddings {
    pub(crate) tables: Vec<Table>,
    /// The row of a line's first token in the table of positions, if there is one.
    first_position: Option<usize>,
    typed: bool,
}

/// The tables' rows that a batch's tokens use, table by table.
pub(crate) struct Sources(Vec<Vec<usize>>);

impl Embeddings {
    pub(crate) fn new(spec: &EncoderSpec, weights: &Checkpoint, trainable: bool, short: bool) -> Result<Self, TrainError> {
        // The head's size plays no part in the embeddings.
        let layout = WeightLayout::new(spec, 0);
        let (first_position, typed) = (spec.absolute.map(|absolute| absolute.first), spec.token_types > 0);
        let roles = [Some(Role::WordEmbedding), first_position.map(|_| Role::PositionEmbedding), typed.then_some(Role::TokenTypeEmbedding)];
        let tables = roles.into_iter().flatten().map(|role| Table::new(role, &layout, weights, trainable, short)).collect::<Result<_, _>>()?;
        Ok(Self { tables, first_position, typed })
    }

    /// The rows that a batch's tokens use.
    pub(crate) fn sources(&self, ids: &[u32], offsets: &[usize]) -> Sources {
        let mut rows = vec![ids.iter().map(|&id| id as usize).collect()];
        if let Some(first) = self.first_position {
            rows.push(offsets.windows(2).flat_map(|pair| first..first + pair[1] - pair[0]).collect());
        }
        if self.typed {
            rows.push(vec![0; ids.len()]);
        }
        Sources(rows)
    }

    /// Width of the tables.
    pub(crate) fn width(&self) -> usize {
        self.tables[0].width()
    }

    /// The sums of the tokens' rows, `[tokens, width]`.
    pub(crate) fn gather(&self, sources: &Sources) -> Vec<f32> {
        let width = self.width();
        let mut out = vec![0.0; sources.0[0].len() * width];
        out.par_chunks_exact_mut(width).enumerate().for_each(|(token, out)| {
            for (table, rows) in self.tables.iter().zip(&sources.0) {
                table.add_row(rows[token], out);
            }
        });
        out
    }

    /// The tables' gradients from that of the sums; `None` for a frozen table.
    pub(crate) fn gradients(&self, grad: &[f32], sources: &Sources) -> Vec<Option<RowGradients>> {
        self.tables.iter().zip(&sources.0).map(|(table, rows)| table.trainable.then(|| table.gradients(grad, rows))).collect()
    }

    pub(crate) fn update(&mut self, gradients: &[Option<RowGradients>], settings: &AdamW) {
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
