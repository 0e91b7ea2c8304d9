/// Many lines' tokens packed into one row of ids, without padding.
///
/// Line `i` owns `ids[offsets[i]..offsets[i + 1]]`; `offsets` starts at 0 and ends at `ids.len()`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenBatch {
    ids: Vec<u32>,
    offsets: Vec<usize>,
}

impl TokenBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self { ids: Vec::new(), offsets: vec![0] }
    }

    /// Appends one line's tokens. A line without tokens is not allowed: every tokenizer adds its special ones.
    pub fn push(&mut self, ids: &[u32]) {
        assert!(!ids.is_empty(), "a line has at least its special tokens");
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        self.ids.extend_from_slice(ids);
        self.offsets.push(self.ids.len());
    }

    /// All token ids, line after line.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Cumulative lengths: one more than there are lines.
    pub fn offsets(&self) -> &[usize] {
        if self.offsets.is_empty() { &[0] } else { &self.offsets }
    }

    /// How many lines the batch holds.
    pub fn lines(&self) -> usize {
        self.offsets().len() - 1
    }

    /// How many tokens all lines hold together.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no line in it.
    pub fn is_empty(&self) -> bool {
        self.lines() == 0
    }

    /// The length of the longest line, in tokens.
    pub fn longest(&self) -> usize {
        self.offsets().windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }
}

impl<'a> FromIterator<&'a [u32]> for TokenBatch {
    fn from_iter<T: IntoIterator<Item = &'a [u32]>>(lines: T) -> Self {
        let mut batch = Self::new();
        for line in lines {
            batch.push(line);
        }
        batch
    }
}
