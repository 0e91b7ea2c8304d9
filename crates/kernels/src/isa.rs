//! Which instruction sets this processor runs. Holding an [`Isa`] proves that its kernels may be called.

use crate::packed::{PANEL, tile_portable};
use std::sync::OnceLock;

/// An instruction set that this processor was found to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(Level);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// The best one here, or the one that the environment variable `ATTACKLINE_ISA` (`portable`, `avx2`, `avx512`) names,
    /// where the processor has it.
    pub fn detect() -> Self {
        static CHOSEN: OnceLock<Isa> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let available = Self::available();
            let wanted = std::env::var("ATTACKLINE_ISA").ok();
            let named = wanted.and_then(|name| available.iter().find(|isa| isa.name() == name).copied());
            named.or_else(|| available.last().copied()).unwrap_or(Self(Level::Portable))
        })
    }

    /// All that this processor runs, the portable one first, the best last.
    pub fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "other processors have only the portable form"))]
        let mut found = vec![Self(Level::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Self(Level::Avx2));
            }
            if is_x86_feature_detected!("avx512f") {
                found.push(Self(Level::Avx512));
            }
        }
        found
    }

    /// Its name, as `ATTACKLINE_ISA` takes it.
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
        }
    }

    /// One tile of a packed product: `out[r] = bias + rows[r] · panel`.
    pub(crate) fn tile(self, panel: &[f32], bias: &[f32; PANEL], rows: &[f32], inputs: usize, out: &mut [[f32; PANEL]]) {
        match self.0 {
            Level::Portable => tile_portable(panel, bias, rows, inputs, out),
            // SAFETY: this level is only made where the processor was found to have AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { crate::arch::x86::tile_avx2(panel, bias, rows, inputs, out) },
            // SAFETY: this level is only made where the processor was found to have AVX-512F.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { crate::arch::x86::tile_avx512(panel, bias, rows, inputs, out) },
        }
    }
}
