//! A tokenizer of one's own, learnt from lines.

use crate::{FolderFiles, ModelError, prepare};
use serde_json::json;
use tokenizers::{
    AddedToken, ModelWrapper, Tokenizer,
    models::{
        TrainerWrapper,
        bpe::{BPE, BpeTrainer},
    },
    normalizers::{NormalizerWrapper, Sequence as Normalizers, unicode::NFC, utils::Lowercase},
    pre_tokenizers::{
        PreTokenizerWrapper,
        byte_level::ByteLevel,
        digits::Digits,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
    processors::template::TemplateProcessing,
    tokenizer::normalizer::SplitDelimiterBehavior,
};

/// Special tokens in the order of their ids, named as BERT names them.
const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// Words for byte pairs: letters, digits, signs, each run alone, with the space before it, so that a path or an option falls apart where a
/// reader would part it.
const RUNS: &str = r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+";

/// Longer words: what stands between the signs that part a command, a path, a list or an assignment, so that a program's name or an option can
/// be one token. A line then has a fifth to a third fewer tokens.
const ARGUMENTS: &str = r##" ?[^\s\\/"'=;:|&(){}\[\],<>$`]+| ?[\\/"'=;:|&(){}\[\],<>$`]+|\s+"##;

/// How to make a tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenizerOptions {
    /// Tokens at most, special ones included.
    pub vocabulary: usize,
    /// Whether capital letters become small ones.
    pub lowercase: bool,
    /// Whether a token may reach over full stops, hyphens and digits within an argument (`cmd.exe`, `-executionpolicy`, `system32`).
    pub long_words: bool,
    /// A pair of pieces must come so often to become one.
    pub least: u64,
}

/// Learns a tokenizer of byte pairs (Sennrich et al. 2016) from lines: every text has tokens, and case stays unless told otherwise. (The
/// library's trainer of word pieces depends on the order of a hash table, so the same lines would give another tokenizer each time.) Lines are [`prepare`]d as they are before classification. Gives the files of a folder that `transformers`
/// loads: `tokenizer.json`, `tokenizer_config.json` and `special_tokens_map.json`. The same lines give the same bytes.
pub fn train_tokenizer<T: AsRef<str> + Sync>(lines: &[T], options: TokenizerOptions) -> Result<FolderFiles, ModelError> {
    let failed = |error: tokenizers::Error| ModelError::Tokenizer(error.to_string());
    let fewest = SPECIAL.len() + 256;
    if options.vocabulary < fewest || options.vocabulary > 1_000_000 {
        return Err(ModelError::Tokenizer(format!("a vocabulary of {} tokens: from {fewest} to 1000000 are possible", options.vocabulary)));
    }
    let (mut tokenizer, mut trainer) = byte_pairs(options).map_err(failed)?;
    let texts: Vec<_> = lines.iter().map(|line| prepare(line.as_ref()).text).collect();
    tokenizer.train(&mut trainer, texts.iter()).map_err(failed)?;
    let id = |token: &str| tokenizer.token_to_id(token).ok_or_else(|| ModelError::Tokenizer(format!("has no {token}")));
    let template = TemplateProcessing::builder()
        .try_single("[CLS] $A [SEP]")
        .and_then(|builder| builder.try_pair("[CLS] $A [SEP] $B:1 [SEP]:1"))
        .map_err(ModelError::Tokenizer)?
        .special_tokens(vec![("[CLS]", id("[CLS]")?), ("[SEP]", id("[SEP]")?)])
        .build()
        .map_err(|error| ModelError::Tokenizer(error.to_string()))?;
    tokenizer.with_post_processor(Some(template));
    let json = tokenizer.to_string(true).map_err(failed)?;
    let names = json!({"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"});
    let mut config = names.clone();
    config["tokenizer_class"] = json!("PreTrainedTokenizerFast");
    let pretty = |value: &serde_json::Value| serde_json::to_vec_pretty(value).expect("a JSON object always serialises");
    Ok(FolderFiles::from([
        ("tokenizer.json".to_owned(), json.into_bytes()),
        ("tokenizer_config.json".to_owned(), pretty(&config)),
        ("special_tokens_map.json".to_owned(), pretty(&names)),
    ]))
}

fn byte_pairs(options: TokenizerOptions) -> tokenizers::Result<(Tokenizer, TrainerWrapper)> {
    let mut tokenizer = Tokenizer::new(ModelWrapper::BPE(BPE::builder().unk_token("[UNK]".into()).build()?));
    let mut normalizers = vec![NormalizerWrapper::NFC(NFC)];
    if options.lowercase {
        normalizers.push(NormalizerWrapper::Lowercase(Lowercase));
    }
    tokenizer.with_normalizer(Some(Normalizers::new(normalizers)))?;
    let pattern = if options.long_words { ARGUMENTS } else { RUNS };
    let mut steps = vec![PreTokenizerWrapper::Split(Split::new(SplitPattern::Regex(pattern.into()), SplitDelimiterBehavior::Isolated, false)?)];
    if !options.long_words {
        steps.push(PreTokenizerWrapper::Digits(Digits::new(true)));
    }
    steps.push(PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, false)));
    tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
    let trainer = BpeTrainer::builder()
        .vocab_size(options.vocabulary)
        .min_frequency(options.least)
        .special_tokens(SPECIAL.map(|token| AddedToken::from(token, true)).to_vec())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .build();
    Ok((tokenizer, trainer.into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::TextTokenizer;

    fn lines() -> Vec<String> {
        let tools = ["reg save HKLM\\SAM C:\\Temp\\", "net user /domain ", "Get-ChildItem -Path C:\\Users\\", "netstat -ano | findstr :"];
        (0..400).map(|i| format!("{}{i}.hiv", tools[i % 4])).collect()
    }

    #[test]
    fn words_are_learnt_and_the_same_lines_give_the_same_bytes() {
        let options = TokenizerOptions { vocabulary: 400, lowercase: false, long_words: false, least: 2 };
        let files = train_tokenizer(&lines(), options).unwrap();
        assert!(files == train_tokenizer(&lines(), options).unwrap());
        let tokenizer = TextTokenizer::new(&files["tokenizer.json"], 64, 400).unwrap();
        let ids = tokenizer.encode("netstat -ano").unwrap().ids;
        assert_eq!((ids[0], ids[ids.len() - 1]), (2, 3));
        assert!(ids.len() <= 7, "{ids:?}");
        assert_eq!(tokenizer.mask(), Some(4));
        assert_ne!(tokenizer.encode("NETSTAT").unwrap().ids, tokenizer.encode("netstat").unwrap().ids);
        let folded = train_tokenizer(&lines(), TokenizerOptions { lowercase: true, ..options }).unwrap();
        let folded = TextTokenizer::new(&folded["tokenizer.json"], 64, 400).unwrap();
        assert_eq!(folded.encode("NETSTAT").unwrap().ids, folded.encode("netstat").unwrap().ids);
        let long = train_tokenizer(&lines(), TokenizerOptions { long_words: true, ..options }).unwrap();
        let long = TextTokenizer::new(&long["tokenizer.json"], 64, 400).unwrap();
        let tokens = |tokenizer: &TextTokenizer| tokenizer.tokens("Get-ChildItem -Path").unwrap();
        assert!(tokens(&long).len() < tokens(&tokenizer).len());
        assert_eq!(tokens(&long).iter().filter_map(|&id| long.text_of(&long.token(id)?)).collect::<String>(), "Get-ChildItem -Path");
        assert_eq!(long.text_of("#₂"), None);
    }

    #[test]
    fn every_text_has_byte_pairs_and_bad_sizes_are_refused() {
        let options = TokenizerOptions { vocabulary: 300, lowercase: false, long_words: false, least: 2 };
        let files = train_tokenizer(&lines(), options).unwrap();
        let tokenizer = TextTokenizer::new(&files["tokenizer.json"], 64, 300).unwrap();
        assert!(!tokenizer.encode("日本語 \u{1f600}").unwrap().ids.contains(&1), "no unknown token");
        for vocabulary in [0, 100, 2_000_000] {
            assert!(train_tokenizer(&lines(), TokenizerOptions { vocabulary, ..options }).is_err());
        }
        assert!(train_tokenizer::<&str>(&[], options).is_ok(), "without lines there are bytes");
    }
}
