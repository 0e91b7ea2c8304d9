//! Slice mathematics for encoders, forward and backward: one file an operation.
//!
//! This crate knows no files and no models. Matrices are row-major slices of f32. It is the only crate that may hold
//! `unsafe`; code for one instruction set lives under `arch/`, and each such function has a portable twin.

mod arch;
mod isa;
mod packed;

pub use isa::Isa;
pub use packed::PackedMatrix;
