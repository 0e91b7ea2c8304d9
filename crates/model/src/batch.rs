/// A batch's tokens, at most (a longer line goes alone): enough for the products to be efficient, few enough for the activations to stay in the
/// cache.
pub const BATCH_TOKENS: usize = 1024;

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

    /// Each line's token ids.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        self.offsets().windows(2).map(|line| &self.ids[line[0]..line[1]])
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

impl TokenBatch {
    /// Batches of the lines in their order, each of at most `tokens` tokens, unless one line alone has more.
    pub fn within<'a>(lines: impl IntoIterator<Item = &'a [u32]>, tokens: usize) -> Vec<Self> {
        let mut batches: Vec<Self> = Vec::new();
        for line in lines {
            match batches.last_mut() {
                Some(batch) if batch.tokens() + line.len() <= tokens => batch.push(line),
                _ => batches.push([line].into_iter().collect()),
            }
        }
        batches
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_into_batches_within_the_budget() {
        let lines: [&[u32]; 5] = [&[1, 2, 3], &[4, 5], &[6; 9], &[7], &[8, 9]];
        let sizes: Vec<Vec<usize>> = TokenBatch::within(lines, 5).iter().map(|batch| batch.offsets().to_vec()).collect();
        assert_eq!(sizes, [vec![0, 3, 5], vec![0, 9], vec![0, 1, 3]], "a line above the budget stands alone");
        assert!(TokenBatch::within([], 5).is_empty());
    }
}
