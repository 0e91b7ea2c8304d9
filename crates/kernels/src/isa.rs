//! Which instruction sets this processor runs. Holding an [`Isa`] proves that its kernels may be called.

use crate::{
    int8,
    packed::{PANEL, tile_portable},
};
#[cfg(target_arch = "aarch64")]
use std::arch::is_aarch64_feature_detected;
use std::sync::OnceLock;

/// An instruction set that this processor was found to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(Level);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Portable,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "aarch64")]
    DotProd,
    #[cfg(target_arch = "aarch64")]
    I8mm,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
}

/// The registers that floating point computes in: the dot products of integers come on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Floats {
    Portable,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// The best one here, or the one that the environment variable `ATTACKLINE_ISA` (`portable`; `avx2`, `avxvnni`, `avx512`,
    /// `avx512vnni`; `neon`, `dotprod`, `i8mm`) names, where the processor has it.
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
        #[cfg(target_arch = "x86_64")]
        let levels = {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f");
            let vnni = is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512bw");
            [
                (avx2, Level::Avx2),
                (avx2 && is_x86_feature_detected!("avxvnni"), Level::AvxVnni),
                (avx2 && avx512, Level::Avx512),
                (avx2 && avx512 && vnni, Level::Avx512Vnni),
            ]
        };
        #[cfg(target_arch = "aarch64")]
        let levels = {
            let (dot, i8mm) = (is_aarch64_feature_detected!("dotprod"), is_aarch64_feature_detected!("i8mm"));
            [(true, Level::Neon), (dot, Level::DotProd), (dot && i8mm, Level::I8mm)]
        };
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let levels: [(bool, Level); 0] = [];
        let found = levels.into_iter().filter(|(has, _)| *has).map(|(_, level)| level);
        std::iter::once(Level::Portable).chain(found).map(Self).collect()
    }

    /// Its name, as `ATTACKLINE_ISA` takes it.
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Portable => "portable",
            #[cfg(target_arch = "aarch64")]
            Level::Neon => "neon",
            #[cfg(target_arch = "aarch64")]
            Level::DotProd => "dotprod",
            #[cfg(target_arch = "aarch64")]
            Level::I8mm => "i8mm",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::AvxVnni => "avxvnni",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Vnni => "avx512vnni",
        }
    }

    /// What floating point computes in at this level.
    pub(crate) fn floats(self) -> Floats {
        match self.0 {
            Level::Portable => Floats::Portable,
            #[cfg(target_arch = "aarch64")]
            Level::Neon | Level::DotProd | Level::I8mm => Floats::Neon,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 | Level::AvxVnni => Floats::Avx2,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 | Level::Avx512Vnni => Floats::Avx512,
        }
    }

    /// One tile of a packed product: `out[r] = bias + rows[r] · panel`.
    pub(crate) fn tile(self, panel: &[f32], bias: &[f32; PANEL], rows: &[f32], inputs: usize, out: &mut [[f32; PANEL]]) {
        match self.floats() {
            Floats::Portable => tile_portable(panel, bias, rows, inputs, out),
            #[cfg(target_arch = "aarch64")]
            Floats::Neon => crate::arch::aarch64::tile_neon(panel, bias, rows, inputs, out),
            // SAFETY: these levels are only made where the processor was found to have AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Floats::Avx2 => unsafe { crate::arch::x86::tile_avx2(panel, bias, rows, inputs, out) },
            // SAFETY: these levels are only made where the processor was found to have AVX-512F.
            #[cfg(target_arch = "x86_64")]
            Floats::Avx512 => unsafe { crate::arch::x86::tile_avx512(panel, bias, rows, inputs, out) },
        }
    }

    /// One tile of exact integer sums: `out[r] = rows[r] · panel`, the rows `stride` bytes apart. `ahead` will be wanted soon.
    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables, reason = "only one form asks ahead"))]
    pub(crate) fn int8_tile(self, panel: &[i8], rows: &[u8], stride: usize, ahead: &[i8], out: &mut [[i32; int8::PANEL]]) {
        match self.0 {
            Level::Portable => int8::tile_portable(panel, rows, stride, out),
            #[cfg(target_arch = "aarch64")]
            Level::Neon => int8::tile_portable(panel, rows, stride, out),
            // SAFETY: this level is only made where the processor was found to have DotProd.
            #[cfg(target_arch = "aarch64")]
            Level::DotProd => unsafe { crate::arch::aarch64_int8::tile_dotprod(panel, rows, stride, out) },
            // SAFETY: this level is only made where the processor was found to have I8MM.
            #[cfg(target_arch = "aarch64")]
            Level::I8mm => unsafe { crate::arch::aarch64_int8::tile_i8mm(panel, rows, stride, out) },
            // SAFETY: these levels are only made where the processor was found to have AVX2 (Avx512 too).
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 | Level::Avx512 => unsafe { crate::arch::x86_int8::tile_avx2(panel, rows, stride, out) },
            // SAFETY: this level is only made where the processor was found to have AVX2 and AVX-VNNI.
            #[cfg(target_arch = "x86_64")]
            Level::AvxVnni => unsafe { crate::arch::x86_int8::tile_avx_vnni(panel, rows, stride, out) },
            // SAFETY: this level is only made where the processor was found to have AVX-512F, BW and VNNI.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Vnni => unsafe { crate::arch::x86_int8::tile_avx512_vnni(panel, rows, stride, ahead, out) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cargo xtask aarch64` names what each emulated processor is there for.
    #[test]
    fn the_best_one_is_what_the_processor_was_chosen_for() {
        let available = Isa::available();
        let names: Vec<&str> = available.iter().map(|isa| isa.name()).collect();
        println!("instruction sets that are tested here: {}", names.join(", "));
        assert_eq!(names[0], "portable");
        if let Ok(expected) = std::env::var("ATTACKLINE_EXPECTED_ISA") {
            assert_eq!(names.last(), Some(&expected.as_str()));
        }
    }
}
