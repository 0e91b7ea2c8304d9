//! Products in 8-bit integers: activations as u8 with a scale and a zero point a row, weights as s8 with a scale an output.
//!
//! The sums are exact in i32, whatever the instruction set and the tile, so a row's result does not depend on the other rows.

mod matrix;
mod peak;
mod rows;

pub use matrix::{Edge, Int8Matrix};
pub use peak::int8_peak;
pub use rows::QuantizedRows;

pub(crate) use matrix::tile_portable;

/// Columns of a panel: four AVX-512 registers of i32.
pub(crate) const PANEL: usize = 64;

/// Rows of a tile: with four registers a row, six rows leave room for the panel's registers.
pub(crate) const TILE: usize = 6;

/// Inner elements that one instruction multiplies and adds up.
pub(crate) const GROUP: usize = 4;

/// Bytes of a panel that belong to one group of inner elements.
pub(crate) const STEP: usize = PANEL * GROUP;

/// The number of groups of a tile's rows, once everything that is read is known to be there.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) fn groups(panel: &[i8], rows: &[u8], stride: usize, out: &[[i32; PANEL]]) -> usize {
    let groups = stride / GROUP;
    assert!(stride.is_multiple_of(GROUP) && panel.len() >= groups * STEP && rows.len() >= out.len() * stride && out.len() <= TILE);
    groups
}
