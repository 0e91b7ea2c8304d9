//! Fuzzes a model pack.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    drop(attackline_model::ModelFolder::from_pack(data.to_vec()));
});
