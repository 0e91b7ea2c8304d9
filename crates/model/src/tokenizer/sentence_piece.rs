//! `spm.model`: a SentencePiece unigram model (Kudo 2018), as the public DeBERTa-v2 and v3 folders have it.

use super::{
    character_map,
    wire::{Field, fields},
};
use crate::ModelError;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

const FILE: &str = "spm.model";

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceKind {
    Normal,
    Unknown,
    /// Matched in the text as a whole, or never: markers such as `[CLS]`.
    Control,
    /// Always matched as a whole.
    UserDefined,
    Unused,
    Byte,
}

#[derive(Debug)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) score: f32,
    pub(super) kind: PieceKind,
}

/// A model, with the settings that decide how text is split.
#[derive(Debug)]
pub(super) struct SentencePiece {
    pub(super) pieces: Vec<Piece>,
    unknown: usize,
    byte_fallback: bool,
    split_by_space: bool,
    character_map: Vec<u8>,
    dummy_prefix: bool,
    remove_extra_spaces: bool,
}

fn damaged(reason: impl ToString) -> ModelError {
    ModelError::damaged(FILE, reason)
}

impl SentencePiece {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ModelError> {
        let mut model = Self {
            pieces: Vec::new(),
            unknown: usize::MAX,
            byte_fallback: false,
            split_by_space: true,
            character_map: Vec::new(),
            dummy_prefix: true,
            remove_extra_spaces: true,
        };
        let mut specs = [false; 2];
        for field in fields(bytes) {
            match field.map_err(damaged)? {
                (1, Field::Bytes(piece)) => model.pieces.push(read_piece(piece)?),
                (2, Field::Bytes(trainer)) => {
                    specs[0] = true;
                    model.read_trainer(trainer)?;
                }
                (3, Field::Bytes(normaliser)) => {
                    specs[1] = true;
                    model.read_normaliser(normaliser)?;
                }
                _ => {}
            }
        }
        // A file that ends between two fields is still cut short.
        if specs != [true; 2] {
            return Err(damaged("it has no trainer or no normaliser settings: cut short, or no SentencePiece model"));
        }
        let unknown: Vec<usize> = (0..model.pieces.len()).filter(|&id| model.pieces[id].kind == PieceKind::Unknown).collect();
        match unknown[..] {
            [id] => model.unknown = id,
            _ => return Err(damaged(format!("it has {} pieces for the unknown, one is wanted", unknown.len()))),
        }
        character_map::check(&model.character_map).map_err(|reason| damaged(format!("the character map: {reason}")))?;
        Ok(model)
    }

    fn read_trainer(&mut self, message: &[u8]) -> Result<(), ModelError> {
        for field in fields(message) {
            match field.map_err(damaged)? {
                (3, Field::Varint(1)) => {}
                (3, Field::Varint(kind)) => {
                    let name = ["", "unigram", "BPE", "word", "character"].get(kind as usize).copied().unwrap_or("unknown");
                    return Err(damaged(format!("a model of the kind {name:?}; unigram models are read")));
                }
                (22, Field::Varint(value)) => self.split_by_space = value != 0,
                (24, Field::Varint(1..)) => return Err(damaged("treat_whitespace_as_suffix is not supported")),
                (35, Field::Varint(value)) => self.byte_fallback = value != 0,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_normaliser(&mut self, message: &[u8]) -> Result<(), ModelError> {
        for field in fields(message) {
            match field.map_err(damaged)? {
                (2, Field::Bytes(map)) => self.character_map = map.to_vec(),
                (3, Field::Varint(value)) => self.dummy_prefix = value != 0,
                (4, Field::Varint(value)) => self.remove_extra_spaces = value != 0,
                (5, Field::Varint(0)) => return Err(damaged("escape_whitespaces = false is not supported")),
                _ => {}
            }
        }
        Ok(())
    }

    /// The model part of a `tokenizer.json`.
    pub(super) fn model(&self) -> Value {
        let vocabulary: Vec<Value> = self.pieces.iter().map(|piece| json!([piece.text, piece.score])).collect();
        json!({"type": "Unigram", "unk_id": self.unknown, "vocab": vocabulary, "byte_fallback": self.byte_fallback})
    }

    /// What is done to a text first: SentencePiece's own steps in its order.
    pub(super) fn normaliser(&self, lower_case: bool) -> Value {
        let mut steps = Vec::new();
        if lower_case {
            steps.push(json!({"type": "Lowercase"}));
        }
        if !self.character_map.is_empty() {
            steps.push(json!({"type": "Precompiled", "precompiled_charsmap": STANDARD.encode(&self.character_map)}));
        }
        if self.remove_extra_spaces {
            steps.push(json!({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}));
            steps.push(json!({"type": "Replace", "pattern": {"Regex": r"\A +| +\z"}, "content": ""}));
        }
        json!({"type": "Sequence", "normalizers": steps})
    }

    /// How words are told apart.
    pub(super) fn pre_tokeniser(&self, split_by_punctuation: bool) -> Value {
        let mut steps = Vec::new();
        if split_by_punctuation {
            steps.push(json!({"type": "Punctuation", "behavior": "Isolated"}));
        }
        let scheme = if self.dummy_prefix { "always" } else { "never" };
        steps.push(json!({"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": scheme, "split": self.split_by_space}));
        json!({"type": "Sequence", "pretokenizers": steps})
    }
}

fn read_piece(message: &[u8]) -> Result<Piece, ModelError> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: PieceKind::Normal };
    for field in fields(message) {
        match field.map_err(damaged)? {
            (1, Field::Bytes(text)) => piece.text = std::str::from_utf8(text).map_err(|_| damaged("a piece is not UTF-8"))?.to_owned(),
            (2, Field::Fixed32(score)) => piece.score = f32::from_le_bytes(score),
            (3, Field::Varint(kind)) => {
                piece.kind = match kind {
                    1 => PieceKind::Normal,
                    2 => PieceKind::Unknown,
                    3 => PieceKind::Control,
                    4 => PieceKind::UserDefined,
                    5 => PieceKind::Unused,
                    6 => PieceKind::Byte,
                    other => return Err(damaged(format!("the piece {:?} is of the kind {other}, which is not known", piece.text))),
                }
            }
            _ => {}
        }
    }
    if piece.text.is_empty() || !piece.score.is_finite() {
        return Err(damaged(format!("the piece {:?} has the score {}", piece.text, piece.score)));
    }
    Ok(piece)
}
