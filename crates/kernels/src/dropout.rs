use crate::{dispatch::multiversion, isa::Isa};

/// A mask that is computed rather than stored: whether an element stays is a hash of the seed and its index, so the
/// backward pass and every division into parts see the same mask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask {
    low: u32,
    high: u32,
    threshold: u32,
}

impl Mask {
    /// The mask number `stream` of `seed`, dropping the share `rate`.
    pub(crate) fn new(seed: u64, stream: u64, rate: f32) -> Self {
        // SplitMix64's finisher spreads both numbers over all bits.
        let mut z = seed.wrapping_add(stream.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        Self { low: z as u32, high: (z >> 32) as u32, threshold: (f64::from(rate) * 4_294_967_296.0).min(4_294_967_295.0) as u32 }
    }
}

/// `scale` where element `index` stays, 0 where it is dropped.
#[inline(always)]
pub(crate) fn keep(mask: Mask, index: u32, scale: f32) -> f32 {
    let mut x = index ^ mask.low;
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_add(mask.high).wrapping_mul(0x846c_a68b);
    x ^= x >> 16;
    if x >= mask.threshold { scale } else { 0.0 }
}

/// Elements that share one stream of the hash, whose index has 32 bits.
const BLOCK: usize = 1 << 30;

/// Sets elements to 0 with probability `rate` and scales the others by `1 / (1 - rate)`. `start` is the index of the first
/// element in the whole tensor. The gradient is the same function with the same seed.
pub fn dropout(x: &mut [f32], rate: f32, seed: u64, start: usize) {
    assert!((0.0..1.0).contains(&rate), "a dropout rate is from 0 to below 1");
    if rate == 0.0 {
        return;
    }
    let (mut rest, mut at) = (x, start);
    while !rest.is_empty() {
        let length = rest.len().min(BLOCK - at % BLOCK);
        let (now, later) = rest.split_at_mut(length);
        dropout_on(Isa::detect(), now, Mask::new(seed, (at / BLOCK) as u64, rate), (at % BLOCK) as u32, 1.0 / (1.0 - rate));
        (rest, at) = (later, at + length);
    }
}

multiversion! {
    fn dropout_on(x: &mut [f32], mask: Mask, start: u32, scale: f32) = dropout_body;
}

#[inline(always)]
fn dropout_body<const FUSED: bool>(x: &mut [f32], mask: Mask, start: u32, scale: f32) {
    for (i, value) in x.iter_mut().enumerate() {
        *value *= keep(mask, start.wrapping_add(i as u32), scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::for_each_isa;

    #[test]
    fn drops_its_share_alike_on_every_isa_and_in_parts() {
        let mut whole = vec![1.0; 100_000];
        dropout(&mut whole, 0.1, 7, 0);
        let dropped = whole.iter().filter(|&&v| v == 0.0).count();
        assert!((9_500..10_500).contains(&dropped), "{dropped}");
        assert!(whole.iter().all(|&v| v == 0.0 || v == 1.0 / (1.0 - 0.1)));
        let pairs = whole.windows(2).filter(|pair| pair[0] == 0.0 && pair[1] == 0.0).count();
        assert!((850..1_150).contains(&pairs), "neighbours fall independently: {pairs}");

        let mut parts = vec![1.0; 100_000];
        let (first, second) = parts.split_at_mut(33_333);
        dropout(first, 0.1, 7, 0);
        dropout(second, 0.1, 7, 33_333);
        assert_eq!(parts, whole);
        for_each_isa(|isa| {
            let mut other = vec![1.0; 1_000];
            dropout_on(isa, &mut other, Mask::new(7, 0, 0.1), 0, 1.0 / (1.0 - 0.1));
            assert_eq!(other, whole[..1_000], "{}", isa.name());
        });
        let mut another = vec![1.0; 100_000];
        dropout(&mut another, 0.1, 8, 0);
        assert_ne!(another, whole);
    }
}
