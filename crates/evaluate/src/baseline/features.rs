/// Buckets that n-grams and words are hashed into.
pub(super) const BUCKETS: usize = 1 << 18;

/// Characters of a line that are read.
const LONGEST: usize = 4096;

/// Lengths of character n-grams.
const GRAMS: std::ops::RangeInclusive<usize> = 3..=5;

/// A line as buckets and values: character 3- to 5-grams and words of the lower-cased line, by ln(1 + count), of length one together.
pub(super) fn features(text: &str) -> Vec<(u32, f32)> {
    let text: String = std::iter::once(' ').chain(text.chars().take(LONGEST)).chain([' ']).flat_map(char::to_lowercase).collect();
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut buckets = Vec::with_capacity(starts.len() * 4);
    for length in GRAMS {
        buckets.extend(starts.windows(length + 1).map(|window| bucket(length as u64, &text[window[0]..window[length]])));
    }
    let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty());
    buckets.extend(words.map(|word| bucket(0, word)));
    buckets.sort_unstable();
    let counted = buckets.chunk_by(|a, b| a == b).map(|same| (same[0], (same.len() as f32).ln_1p()));
    let mut found: Vec<(u32, f32)> = counted.collect();
    let length = found.iter().map(|(_, value)| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    found.iter_mut().for_each(|(_, value)| *value /= length);
    found
}

/// FNV-1a over the kind and the text, its high and low bits folded.
fn bucket(kind: u64, text: &str) -> u32 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325 ^ kind, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    ((hash ^ (hash >> 32)) as usize & (BUCKETS - 1)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_unit_vector_of_its_grams_and_words() {
        // " ab cd " has 5, 4 and 3 grams of 3, 4 and 5 characters, and two words.
        let found = features("AB cd");
        assert_eq!(found.len(), 14);
        assert!((found.iter().map(|(_, value)| value * value).sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(found, features("ab CD"));
        assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0) && found.iter().all(|(bucket, _)| (*bucket as usize) < BUCKETS));
        assert!(features("").is_empty());
        assert!(features(&"żółw 日本 ".repeat(10_000)).len() < 100);
    }
}
