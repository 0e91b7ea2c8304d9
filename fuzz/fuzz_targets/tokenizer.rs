//! Fuzzes `tokenizer.json`, and a line through it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    attackline_model::fuzzing::tokenizer(data);
});
