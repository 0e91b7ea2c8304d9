//! Fuzzes `attackline.json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    drop(attackline_model::Settings::from_json(data));
});
