//! Fuzzes the header of a safetensors file, and its tensors.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    attackline_model::fuzzing::safetensors(data);
});
