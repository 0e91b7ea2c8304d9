//! A simple classifier to measure the models against: hashed n-grams and words under a linear softmax. What a transformer can't beat is
//! told by its words alone.

mod linear;

pub use linear::{Baseline, BaselineOptions, SparseText};
