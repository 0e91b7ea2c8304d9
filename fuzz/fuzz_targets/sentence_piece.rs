//! Fuzzes `spm.model`, and lines through the tokenizer made of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    attackline_model::fuzzing::sentence_piece(data);
});
