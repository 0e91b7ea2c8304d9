//! Code for one processor family each; every function has a portable twin that it is tested against.

/// Calls `$tile::<ROWS>` for as many rows as there are, up to the six of [`crate::packed::TILE`] and [`crate::int8::TILE`]; for none nothing.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! for_rows {
    ($rows:expr, $tile:ident($($argument:expr),* $(,)?)) => {
        match $rows {
            0 => {}
            1 => $tile::<1>($($argument),*),
            2 => $tile::<2>($($argument),*),
            3 => $tile::<3>($($argument),*),
            4 => $tile::<4>($($argument),*),
            5 => $tile::<5>($($argument),*),
            _ => $tile::<6>($($argument),*),
        }
    };
}

#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64;
#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64_int8;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_bf16;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_int8;
