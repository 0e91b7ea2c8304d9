//! One body, compiled for every instruction set, chosen at run time.
//!
//! The loops of this crate are written so that the compiler vectorises them. It may only use the wide registers inside
//! a function that says so, hence each operation's body is inlined into one function per instruction set. `FUSED` says
//! whether a fused multiply-add is an instruction there (without one it would be a library call).

/// Makes `$name(isa, …)` of the body `$body::<FUSED>(…)`.
macro_rules! multiversion {
    ($(#[$meta:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident;) => {
        $(#[$meta])*
        pub(crate) fn $name(isa: $crate::isa::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            #[allow(clippy::too_many_arguments, reason = "slices and their extents")]
            fn avx512($($arg: $ty),*) $(-> $ret)? {
                $body::<true>($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments, reason = "slices and their extents")]
            fn avx2($($arg: $ty),*) $(-> $ret)? {
                $body::<true>($($arg),*)
            }
            match isa.floats() {
                // SAFETY: an `Isa` of this width is only made where the processor was found to have AVX-512F.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Floats::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: an `Isa` of this width is only made where the processor was found to have AVX2 and FMA.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Floats::Avx2 => unsafe { avx2($($arg),*) },
                // NEON is in every processor of this architecture, so the compiler uses it anywhere.
                #[cfg(target_arch = "aarch64")]
                $crate::isa::Floats::Neon => $body::<true>($($arg),*),
                $crate::isa::Floats::Portable => $body::<false>($($arg),*),
            }
        }
    };
}
pub(crate) use multiversion;

/// Runs `check` for every instruction set of this processor; tests compare each with the portable form.
#[cfg(test)]
pub(crate) fn for_each_isa(check: impl Fn(crate::isa::Isa)) {
    for isa in crate::isa::Isa::available() {
        check(isa);
    }
}
