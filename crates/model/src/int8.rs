use crate::{ModelError, Tensor};
use bytes::Bytes;

/// A matrix of 8-bit integers with a scale for each of its rows, and where they help factors of its columns: an element is worth
/// `scale · value · factor`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Int8Tensor {
    /// Rows and columns.
    pub shape: [usize; 2],
    /// The integers, row-major: held, or where they stand in the program or in a file.
    pub(crate) bytes: Bytes,
    /// One for each row.
    pub scales: Vec<f32>,
    /// One for each column, by which the column of what the matrix is multiplied with is multiplied before it is rounded too; empty where all
    /// would be 1.
    pub factors: Vec<f32>,
}

impl Int8Tensor {
    /// Rounds a matrix to the nearest integers, each row on its own so that its greatest magnitude becomes 127. `None` for what is no
    /// matrix.
    pub fn quantize(tensor: &Tensor) -> Option<Self> {
        let [rows, width] = tensor.shape[..] else { return None };
        let (mut bytes, mut scales) = (Vec::with_capacity(rows * width), Vec::with_capacity(rows));
        for row in tensor.data.chunks_exact(width.max(1)) {
            let largest = row.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            let scale = largest / 127.0;
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            scales.push(scale);
            bytes.extend(row.iter().map(|value| (value * inverse).round() as i8 as u8));
        }
        scales.resize(rows, 0.0);
        Some(Self { shape: [rows, width], bytes: bytes.into(), scales, factors: Vec::new() })
    }

    /// Rounds a matrix whose columns are first divided by `factors`, each greater than 0; none leave them as they are.
    pub fn quantize_by(tensor: &Tensor, factors: &[f32]) -> Option<Self> {
        if factors.is_empty() {
            return Self::quantize(tensor);
        }
        let data = tensor.data.iter().zip(factors.iter().cycle()).map(|(value, factor)| value / factor).collect();
        let rounded = Self::quantize(&Tensor { shape: tensor.shape.clone(), data })?;
        (rounded.shape[1] == factors.len()).then(|| Self { factors: factors.to_vec(), ..rounded })
    }

    /// The integers, row-major.
    pub fn values(&self) -> &[i8] {
        bytemuck::cast_slice(&self.bytes)
    }

    /// The values that it stands for.
    pub fn widened(&self) -> Tensor {
        let rows = self.values().chunks_exact(self.shape[1].max(1)).zip(&self.scales);
        let mut data: Vec<f32> = rows.flat_map(|(row, &scale)| row.iter().map(move |&value| f32::from(value) * scale)).collect();
        if !self.factors.is_empty() {
            data.iter_mut().zip(self.factors.iter().cycle()).for_each(|(value, factor)| *value *= factor);
        }
        Tensor { shape: self.shape.to_vec(), data }
    }

    /// Refuses a scale or a factor that is no number, in the tensor `name` of `file`.
    pub(crate) fn check(&self, file: &str, name: &str) -> Result<(), ModelError> {
        match self.scales.iter().chain(&self.factors).find(|scale| !scale.is_finite()) {
            Some(bad) => Err(ModelError::damaged(file, format!("tensor {name} holds the scale {bad}"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_matrix_comes_back_within_half_a_step_and_a_second_time_as_it_was() {
        let tensor = Tensor { shape: vec![3, 4], data: vec![0.1, -0.9, 0.33, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 4.99, -3.2, 1e-6] };
        let int8 = Int8Tensor::quantize(&tensor).unwrap();
        let back = int8.widened();
        for (row, (a, b)) in back.data.chunks(4).zip(tensor.data.chunks(4)).enumerate() {
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 0.5001 * int8.scales[row]));
        }
        assert_eq!(Int8Tensor::quantize(&back).unwrap().bytes, int8.bytes);
        assert_eq!(Int8Tensor::quantize(&Tensor::zeros(&[4])), None);
        let factors = [0.01, 1.0, 0.5, 1e-6];
        let int8 = Int8Tensor::quantize_by(&tensor, &factors).unwrap();
        let back = int8.widened();
        for (index, (a, b)) in back.data.iter().zip(&tensor.data).enumerate() {
            assert!((a - b).abs() <= 0.5001 * int8.scales[index / 4] * factors[index % 4], "{index}: {b} came back as {a}");
        }
        assert_eq!(Int8Tensor::quantize_by(&tensor, &[1.0]), None, "one factor for four columns");
    }
}
