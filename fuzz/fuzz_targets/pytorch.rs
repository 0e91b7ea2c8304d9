//! Fuzzes a PyTorch file in both containers, and its tensors.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    attackline_model::fuzzing::pytorch(data);
});
