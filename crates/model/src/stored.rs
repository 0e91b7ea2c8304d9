use crate::{ModelError, Tensor, tensor::element_count};
use bytes::Bytes;
use std::io::{Read, Seek, SeekFrom};

/// The type of a stored tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ElementType {
    F32,
    F16,
    Bf16,
    F64,
    /// A matrix in int8, where scales of its rows stand beside it.
    I8,
    /// Other integers and truth values: buffers, which a reader leaves out.
    Other,
}

impl ElementType {
    /// Bytes of an element; 0 for what is not read as numbers.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::F64 => 8,
            Self::I8 | Self::Other => 0,
        }
    }

    /// Appends the little-endian elements of `bytes` to `out`.
    fn widen(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self {
            Self::F32 => out.extend(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b))),
            Self::F16 => out.extend(bytes.as_chunks().0.iter().map(|&b| half::f16::from_le_bytes(b).to_f32())),
            Self::Bf16 => out.extend(bytes.as_chunks().0.iter().map(|&b| half::bf16::from_le_bytes(b).to_f32())),
            Self::F64 => out.extend(bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32)),
            Self::I8 | Self::Other => {}
        }
    }
}

/// One tensor of a file of weights: where its elements are, nothing read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredTensor {
    pub(crate) name: String,
    pub(crate) element: ElementType,
    pub(crate) shape: Vec<usize>,
    /// Elements between neighbours along each extent.
    pub(crate) strides: Vec<usize>,
    /// The byte in the file at which its first element begins.
    pub(crate) start: u64,
    /// The end of the bytes that it may use: every element that shape and strides reach lies below it, and it below the file's end.
    pub(crate) end: u64,
}

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

impl StoredTensor {
    /// Strides of a row-major tensor.
    pub(crate) fn dense_strides(shape: &[usize]) -> Vec<usize> {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            // Saturates only where another extent is 0, so that nothing is read.
            strides[axis - 1] = usize::saturating_mul(strides[axis], shape[axis]);
        }
        strides
    }

    /// Reads the elements from `file`, called `name` in messages, as f32. A value that is no number is refused.
    pub(crate) fn read(&self, file: &mut (impl Read + Seek), name: &str) -> Result<Tensor, ModelError> {
        let count = element_count(name, &self.name, &self.shape)?;
        let data = if self.strides == Self::dense_strides(&self.shape) {
            self.read_run(file, count)?
        } else {
            // A view such as a transposed matrix: its elements lie among others.
            let bytes = usize::try_from(self.end - self.start).unwrap_or(usize::MAX);
            let stored = self.read_run(file, bytes / self.element.bytes().max(1))?;
            (0..count).map(|index| stored[self.place(index)]).collect()
        };
        self.finite(&data, name)?;
        Ok(Tensor { shape: self.shape.clone(), data })
    }

    /// Reads the integers of a dense [`ElementType::I8`] tensor.
    pub(crate) fn read_int8(&self, file: &mut (impl Read + Seek), name: &str) -> Result<Vec<u8>, ModelError> {
        let mut bytes = vec![0; element_count(name, &self.name, &self.shape)?];
        file.seek(SeekFrom::Start(self.start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The bytes of a dense tensor in those of its whole file; `None` where they are not as they would be in memory.
    pub(crate) fn in_place(&self, file: &Bytes) -> Option<Bytes> {
        let (alike, size) = match self.element {
            ElementType::F32 => (cfg!(target_endian = "little"), 4),
            ElementType::I8 => (true, 1),
            _ => (false, 1),
        };
        let (start, count) = (usize::try_from(self.start).ok()?, self.shape.iter().product::<usize>());
        let bytes = file.get(start..start.checked_add(count.checked_mul(size)?)?)?;
        let usable = alike && self.strides == Self::dense_strides(&self.shape) && bytes.as_ptr().addr().is_multiple_of(size);
        usable.then(|| file.slice_ref(bytes))
    }

    /// Refuses a dense tensor that holds a value that is no number, reading it piece by piece.
    pub(crate) fn check(&self, file: &mut (impl Read + Seek), name: &str) -> Result<(), ModelError> {
        let mut piece = Vec::new();
        self.read_pieces(file, element_count(name, &self.name, &self.shape)?, |element, bytes| {
            piece.clear();
            element.widen(bytes, &mut piece);
            self.finite(&piece, name)
        })
    }

    fn finite(&self, values: &[f32], name: &str) -> Result<(), ModelError> {
        match values.iter().find(|value| !value.is_finite()) {
            Some(bad) => Err(ModelError::damaged(name, format!("tensor {} holds the value {bad}", self.name))),
            None => Ok(()),
        }
    }

    /// Where the element of row-major number `index` is stored, counted from the first.
    fn place(&self, mut index: usize) -> usize {
        let mut place = 0;
        for (&extent, &stride) in self.shape.iter().zip(&self.strides).rev() {
            place += index % extent * stride;
            index /= extent;
        }
        place
    }

    fn read_run(&self, file: &mut (impl Read + Seek), count: usize) -> Result<Vec<f32>, ModelError> {
        let mut data = Vec::with_capacity(count);
        self.read_pieces(file, count, |element, bytes| {
            element.widen(bytes, &mut data);
            Ok(())
        })?;
        Ok(data)
    }

    /// Shows `take` the bytes of so many elements from the first on, a piece at a time.
    fn read_pieces(
        &self,
        file: &mut (impl Read + Seek),
        count: usize,
        mut take: impl FnMut(ElementType, &[u8]) -> Result<(), ModelError>,
    ) -> Result<(), ModelError> {
        file.seek(SeekFrom::Start(self.start))?;
        let mut left = count * self.element.bytes();
        let mut piece = vec![0; PIECE.min(left)];
        while left > 0 {
            let now = piece.len().min(left);
            file.read_exact(&mut piece[..now])?;
            take(self.element, &piece[..now])?;
            left -= now;
        }
        Ok(())
    }
}
