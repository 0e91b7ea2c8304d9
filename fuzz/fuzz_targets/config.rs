//! Fuzzes `config.json`, and the weights that it asks for.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    attackline_model::fuzzing::config(data);
});
