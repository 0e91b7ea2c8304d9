use crate::{
    Int8Tensor, ModelError, Tensor, TensorMap, pickle, safetensors_file,
    stored::{ElementType, StoredTensor},
    weight_files::{Kind, weight_files},
};
use attackline_kernels::map_file;
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    fs::File,
    hash::{BuildHasher, RandomState},
    io::BufWriter,
    ops::Deref,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

/// A model's weights by their Hugging Face names. What stands in files is read when it is asked for, so that a model needs no more
/// memory than its own form of the weights and one tensor. Copies share what they hold.
#[derive(Debug, Clone, Default)]
pub struct Checkpoint {
    entries: BTreeMap<String, Entry>,
    /// Nothing is said to be int8.
    in_f32: bool,
    /// Nothing is used where a file is mapped.
    in_memory: bool,
}

#[derive(Debug, Clone)]
enum Entry {
    Held(Arc<Tensor>),
    HeldInt8(Arc<Int8Tensor>),
    Stored(Arc<WeightFile>, StoredTensor),
    StoredInt8(Arc<WeightFile>, StoredInt8),
}

/// Where an int8 matrix stands.
#[derive(Debug, Clone)]
struct StoredInt8 {
    values: StoredTensor,
    /// One for each row.
    scales: StoredTensor,
    /// One for each column, where there are some.
    factors: Option<StoredTensor>,
}

#[derive(Debug)]
struct WeightFile {
    name: String,
    file: Mutex<File>,
    /// The whole file where the operating system maps it, once somebody asked; `None` where it can't.
    mapped: OnceLock<Option<Bytes>>,
}

/// Elements of a tensor, held or where they stand in a mapped file.
#[derive(Debug, Clone)]
pub enum Floats {
    /// In memory.
    Held(Vec<f32>),
    /// The bytes of f32 in this machine's order, the first at a multiple of four.
    Mapped(Bytes),
}

impl Deref for Floats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Held(values) => values,
            Self::Mapped(bytes) => bytemuck::cast_slice(bytes),
        }
    }
}

impl Checkpoint {
    /// Opens the weights of a model folder: which tensors there are, and where. Integer buffers are left out.
    pub(crate) fn open(folder: &Path) -> Result<Self, ModelError> {
        let found = weight_files(folder)?;
        let mut checkpoint = Self::default();
        for path in &found.files {
            checkpoint.add_file(path, found.kind)?;
        }
        match found.promised.iter().find(|name| !checkpoint.entries.contains_key(*name)) {
            Some(name) => return Err(ModelError::damaged(found.index, format!("names the tensor {name}, which its file hasn't"))),
            None => checkpoint.entries.retain(|_, entry| !matches!(entry, Entry::Stored(_, tensor) if tensor.element.bytes() == 0)),
        }
        Ok(checkpoint)
    }

    /// Adds what a file holds, integer buffers among it.
    fn add_file(&mut self, path: &Path, kind: Kind) -> Result<(), ModelError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut file = fs_err::File::open(path)?.into_parts().0;
        let tensors = match kind {
            Kind::Safetensors => safetensors_file::index(&mut file, &name)?,
            Kind::PyTorch => pickle::index(&mut file, &name)?,
        };
        let file = Arc::new(WeightFile { name, file: Mutex::new(file), mapped: OnceLock::new() });
        let mut entries: BTreeMap<String, StoredTensor> = tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
        let matrices: Vec<String> = entries.values().filter(|tensor| tensor.element == ElementType::I8).map(|tensor| tensor.name.clone()).collect();
        for name in matrices {
            let Some(scales) = entries.remove(&format!("{name}{}", safetensors_file::SCALE)) else { continue };
            let Some(values) = entries.remove(&name) else { continue };
            let factors = entries.remove(&format!("{name}{}", safetensors_file::FACTOR));
            let floats = |tensor: &StoredTensor, shape: &[usize]| tensor.shape == shape && tensor.element == ElementType::F32;
            if values.shape.len() != 2 || !floats(&scales, &values.shape[..1]) {
                return Err(ModelError::damaged(&file.name, format!("tensor {name} is int8, and its scales are not one f32 for each of its rows")));
            }
            if factors.as_ref().is_some_and(|factors| !floats(factors, &values.shape[1..])) {
                return Err(ModelError::damaged(
                    &file.name,
                    format!("tensor {name} is int8, and its factors are not one f32 for each of its columns"),
                ));
            }
            self.entries.insert(name, Entry::StoredInt8(file.clone(), StoredInt8 { values, scales, factors }));
        }
        self.entries.extend(entries.into_iter().map(|(name, tensor)| (name, Entry::Stored(file.clone(), tensor))));
        Ok(())
    }

    /// Opens one safetensors file.
    pub fn read_file(path: &Path) -> Result<Self, ModelError> {
        let mut checkpoint = Self::default();
        checkpoint.add_file(path, Kind::Safetensors)?;
        Ok(checkpoint)
    }

    /// Writes a folder that holds the weights in the safetensors file `name`, and `files`. It must not exist yet: it is first written
    /// under a random name beside it, then renamed, so that it appears whole or not at all. Nothing that was there before is touched.
    pub fn write_folder(&self, path: &Path, name: &str, files: &[(&str, &[u8])]) -> Result<(), ModelError> {
        if path.exists() {
            return Err(ModelError::NotAFolder { path: path.to_owned(), reason: "it exists already and is not overwritten".into() });
        }
        let partial = folder_beside(path)?;
        let written = self.write_into(&partial, name, files).and_then(|()| Ok(fs_err::rename(&partial, path)?));
        if written.is_err() {
            // Half a model is of no use, and on a full disk its room is wanted. Nobody else has this folder: it was made above.
            let _ = std::fs::remove_dir_all(&partial);
        }
        written
    }

    fn write_into(&self, folder: &Path, name: &str, files: &[(&str, &[u8])]) -> Result<(), ModelError> {
        for (name, bytes) in files {
            fs_err::write(folder.join(name), bytes)?;
        }
        let mut file = BufWriter::new(fs_err::File::create(folder.join(name))?);
        safetensors_file::write(self, &mut file)?;
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        Ok(())
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The extents of a tensor, where it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| match entry {
            Entry::Held(tensor) => &tensor.shape[..],
            Entry::HeldInt8(tensor) => &tensor.shape[..],
            Entry::Stored(_, tensor) | Entry::StoredInt8(_, StoredInt8 { values: tensor, .. }) => &tensor.shape[..],
        })
    }

    /// Reads a tensor. A value in it that is no number is refused.
    pub fn tensor(&self, name: &str) -> Result<Tensor, ModelError> {
        match self.entries.get(name) {
            Some(Entry::Held(tensor)) => Ok(Tensor::clone(tensor)),
            Some(Entry::HeldInt8(tensor)) => Ok(tensor.widened()),
            Some(Entry::StoredInt8(file, stored)) => Ok(file.int8(stored)?.widened()),
            Some(Entry::Stored(file, tensor)) => tensor.read(&mut *file.lock(), &file.name),
            None => Err(ModelError::MissingTensors { missing: vec![(name.to_owned(), Vec::new())], surplus: Vec::new() }),
        }
    }

    /// Whether a tensor is kept as int8.
    pub fn is_int8(&self, name: &str) -> bool {
        !self.in_f32 && matches!(self.entries.get(name), Some(Entry::HeldInt8(_) | Entry::StoredInt8(..)))
    }

    /// Whether a matrix that is kept as int8 has factors of its columns.
    pub fn has_factors(&self, name: &str) -> bool {
        match self.entries.get(name) {
            Some(Entry::HeldInt8(tensor)) => !tensor.factors.is_empty(),
            Some(Entry::StoredInt8(_, stored)) => stored.factors.is_some(),
            _ => false,
        }
    }

    /// Reads a matrix that is kept as int8; `None` where it isn't.
    pub fn int8(&self, name: &str) -> Result<Option<Arc<Int8Tensor>>, ModelError> {
        match self.entries.get(name).filter(|_| !self.in_f32) {
            Some(Entry::HeldInt8(tensor)) => Ok(Some(tensor.clone())),
            Some(Entry::StoredInt8(file, stored)) => Ok(Some(Arc::new(file.int8(stored)?))),
            _ => Ok(None),
        }
    }

    /// [`Checkpoint::int8`] for a table of which few rows are looked at: its integers are not read from a file, but used where it is mapped.
    pub fn int8_in_place(&self, name: &str) -> Result<Option<Arc<Int8Tensor>>, ModelError> {
        match self.entries.get(name).filter(|_| !self.in_f32 && !self.in_memory) {
            Some(Entry::StoredInt8(file, stored)) => Ok(Some(Arc::new(file.int8_in_place(stored)?))),
            _ => self.int8(name),
        }
    }

    /// The elements of a tensor of which few are looked at: not read from a file where they are as they would be in memory, but used where it is
    /// mapped. A value in it that is no number is refused all the same.
    pub fn floats_in_place(&self, name: &str) -> Result<Floats, ModelError> {
        if let Some(Entry::Stored(file, tensor)) = self.entries.get(name).filter(|_| !self.in_memory)
            && let Some(bytes) = file.mapped().and_then(|mapped| tensor.in_place(mapped))
        {
            tensor.check(&mut *file.lock(), &file.name)?;
            return Ok(Floats::Mapped(bytes));
        }
        Ok(Floats::Held(self.tensor(name)?.data))
    }

    /// The same tensors, all of them read and written as f32.
    #[must_use]
    pub fn in_f32(self) -> Self {
        Self { in_f32: true, ..self }
    }

    /// The same tensors, all of them read into memory when they are asked for: for a program that goes on while its files may be written over. A
    /// mapped file that is cut short ends the process.
    #[must_use]
    pub fn in_memory(self) -> Self {
        Self { in_memory: true, ..self }
    }

    /// Adds or replaces a matrix, kept as int8.
    pub fn insert_int8(&mut self, name: String, tensor: impl Into<Arc<Int8Tensor>>) {
        self.entries.insert(name, Entry::HeldInt8(tensor.into()));
    }

    /// Adds or replaces a tensor.
    pub fn insert(&mut self, name: String, tensor: Tensor) {
        self.entries.insert(name, Entry::Held(Arc::new(tensor)));
    }

    /// Takes a tensor out.
    pub fn remove(&mut self, name: &str) {
        self.entries.remove(name);
    }

    /// The number of elements of all tensors.
    pub fn elements(&self) -> usize {
        self.names().filter_map(|name| self.shape(name)).map(|shape| shape.iter().product::<usize>()).sum()
    }

    /// The same tensors under other names.
    #[must_use]
    pub(crate) fn renamed(self, name: impl Fn(&str) -> String) -> Self {
        Self { entries: self.entries.into_iter().map(|(old, entry)| (name(&old), entry)).collect(), ..self }
    }
}

/// Makes a folder of a random name beside `path`, which is nobody else's.
fn folder_beside(path: &Path) -> std::io::Result<PathBuf> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs_err::create_dir_all(parent)?;
    }
    loop {
        let random = RandomState::new().hash_one(path);
        let made = path.with_file_name(format!(".attackline-{random:016x}.partial"));
        match fs_err::create_dir(&made) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made_or_not => return made_or_not.map(|()| made),
        }
    }
}

impl WeightFile {
    fn lock(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mapped(&self) -> Option<&Bytes> {
        self.mapped.get_or_init(|| map_file(&self.lock()).ok().map(Bytes::from_owner)).as_ref()
    }

    fn int8(&self, stored: &StoredInt8) -> Result<Int8Tensor, ModelError> {
        let bytes = stored.values.read_int8(&mut *self.lock(), &self.name)?;
        self.int8_of(stored, bytes.into())
    }

    fn int8_in_place(&self, stored: &StoredInt8) -> Result<Int8Tensor, ModelError> {
        match self.mapped().and_then(|mapped| stored.values.in_place(mapped)) {
            Some(bytes) => self.int8_of(stored, bytes),
            None => self.int8(stored),
        }
    }

    fn int8_of(&self, StoredInt8 { values, scales, factors }: &StoredInt8, bytes: Bytes) -> Result<Int8Tensor, ModelError> {
        let file = &mut *self.lock();
        let factors = factors.as_ref().map(|factors| factors.read(file, &self.name)).transpose()?;
        Ok(Int8Tensor {
            shape: [values.shape[0], values.shape[1]],
            bytes,
            scales: scales.read(file, &self.name)?.data,
            factors: factors.map(|factors| factors.data).unwrap_or_default(),
        })
    }
}

impl From<TensorMap> for Checkpoint {
    fn from(tensors: TensorMap) -> Self {
        Self { entries: tensors.into_iter().map(|(name, tensor)| (name, Entry::Held(Arc::new(tensor)))).collect(), ..Self::default() }
    }
}
