//! Sums, products and elementary functions in forms that vectorise. Orders of summation are fixed: they depend on the
//! length only, so the same row gives the same bits wherever it stands.

/// Width of an accumulator: one AVX-512 register, two AVX2 ones.
pub(crate) const LANES: usize = 16;

/// `a · b + c`, fused where that is an instruction.
#[inline(always)]
pub(crate) fn fma<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Folds the lanes pairwise: the same tree every time.
#[inline(always)]
fn fold(mut lanes: [f32; LANES], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = join(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// Accumulators that a sum goes round in, so that additions needn't wait for each other.
const CHAINS: usize = 4;

/// The sum of `value` over the elements of slices of one length that stand in the same place.
#[inline(always)]
pub(crate) fn sum_of<const N: usize>(slices: [&[f32]; N], value: impl Fn([f32; N]) -> f32) -> f32 {
    let len = slices[0].len();
    let add = |total: &mut [f32; LANES], start: usize| {
        let parts: [&[f32; LANES]; N] = slices.map(|slice| slice[start..].first_chunk().expect("slices of one length"));
        for (lane, total) in total.iter_mut().enumerate() {
            *total += value(parts.map(|part| part[lane]));
        }
    };
    let mut totals = [[0.0; LANES]; CHAINS];
    let mut start = 0;
    while start + CHAINS * LANES <= len {
        for (chain, total) in totals.iter_mut().enumerate() {
            add(total, start + chain * LANES);
        }
        start += CHAINS * LANES;
    }
    while start + LANES <= len {
        add(&mut totals[0], start);
        start += LANES;
    }
    let [a, b, c, d] = totals;
    let mut total = fold(std::array::from_fn(|lane| (a[lane] + b[lane]) + (c[lane] + d[lane])), |a, b| a + b);
    for i in start..len {
        total += value(slices.map(|slice| slice[i]));
    }
    total
}

#[inline(always)]
fn join(into: &mut [f32; LANES], part: &[f32; LANES], by: impl Fn(f32, f32) -> f32) {
    for (into, &value) in into.iter_mut().zip(part) {
        *into = by(*into, value);
    }
}

/// The least and the greatest element; infinity and negative infinity of nothing.
#[inline(always)]
pub(crate) fn extremes(row: &[f32]) -> [f32; 2] {
    let less = |a: f32, b: f32| if b < a { b } else { a };
    let more = |a: f32, b: f32| if b > a { b } else { a };
    let [mut low, mut high] = [[f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]];
    let [mut other_low, mut other_high] = [low, high];
    let (chunks, rest) = row.as_chunks::<LANES>();
    let (pairs, last) = chunks.as_chunks::<2>();
    for [first, second] in pairs {
        join(&mut low, first, less);
        join(&mut other_low, second, less);
        join(&mut high, first, more);
        join(&mut other_high, second, more);
    }
    for chunk in last {
        join(&mut low, chunk, less);
        join(&mut high, chunk, more);
    }
    join(&mut low, &other_low, less);
    join(&mut high, &other_high, more);
    let (low, high) = (fold(low, less), fold(high, more));
    rest.iter().fold([low, high], |[low, high], &value| [less(low, value), more(high, value)])
}

/// The greatest element; negative infinity of nothing.
#[inline(always)]
pub(crate) fn greatest(row: &[f32]) -> f32 {
    extremes(row)[1]
}

/// `e^x` to about one unit in the last place; below -87 the smallest normal numbers, never a subnormal.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "the two parts of ln 2 are exact in f32 and written in full")]
pub(crate) fn exp<const FUSED: bool>(x: f32) -> f32 {
    // Adding this rounds to a whole number, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = fma::<FUSED>(x, std::f32::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    let r = fma::<FUSED>(whole, -0.693_359_375, x);
    let r = fma::<FUSED>(whole, 2.121_944_4e-4, r);
    let mut p = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = fma::<FUSED>(p, r, coefficient);
    }
    let power = (shifted.to_bits() << 23).wrapping_add(0x3f80_0000);
    p * f32::from_bits(power)
}

/// An odd rational function: `x · p(x²) / q(x²)`, coefficients from the highest power down.
#[inline(always)]
fn odd_rational<const FUSED: bool, const P: usize, const Q: usize>(x: f32, p: [f32; P], q: [f32; Q]) -> f32 {
    let square = x * x;
    let mut above = p[0];
    for &coefficient in &p[1..] {
        above = fma::<FUSED>(above, square, coefficient);
    }
    let mut below = q[0];
    for &coefficient in &q[1..] {
        below = fma::<FUSED>(below, square, coefficient);
    }
    x * above / below
}

/// Beyond this the normal distribution's tail is less than what an f32 near 1 can tell.
const TAIL: f32 = 5.2;

/// `Φ(x) - ½` to within 2e-7, where Φ is the normal distribution function; beyond ±[`TAIL`] as there. An odd polynomial, so that nothing is divided: its even part is
/// the minimax fit (Lawson's algorithm) in `2 (x / TAIL)² - 1`, in which its coefficients stay small.
#[inline(always)]
pub(crate) fn above_half<const FUSED: bool>(x: f32) -> f32 {
    let x = if x > TAIL { TAIL } else { x };
    let x = if x < -TAIL { -TAIL } else { x };
    let place = fma::<FUSED>(x * x, 2.0 / (TAIL * TAIL), -1.0);
    let mut sum = -4.812_779_4e-4;
    for coefficient in [
        1.268_511_3e-3,
        -1.221_491_3e-3,
        1.800_121_9e-3,
        -4.789_042e-3,
        8.559_968e-3,
        -1.250_512e-2,
        1.795_478_7e-2,
        -2.472_363e-2,
        3.198_995_8e-2,
        -3.992_982e-2,
        5.002_452e-2,
        -6.774_367e-2,
        1.359_5e-1,
    ] {
        sum = fma::<FUSED>(sum, place, coefficient);
    }
    x * sum
}

/// The exact Gaussian error linear unit, `x · Φ(x)`, to within 3e-7 of the greater of 1 and `x` (Hendrycks and Gimpel 2016).
#[inline(always)]
pub(crate) fn gelu<const FUSED: bool>(x: f32) -> f32 {
    // Further down it is as good as 0, and what Φ lacks there would be multiplied.
    let x = if x < -TAIL { -TAIL } else { x };
    fma::<FUSED>(x, above_half::<FUSED>(x), 0.5 * x)
}

/// The hyperbolic tangent to within 1e-6, by the same kind of function on [-7.9, 7.9].
#[inline(always)]
pub(crate) fn tanh<const FUSED: bool>(x: f32) -> f32 {
    let x = if x > 7.905_311 { 7.905_311 } else { x };
    let x = if x < -7.905_311 { -7.905_311 } else { x };
    odd_rational::<FUSED, 7, 4>(
        x,
        [-2.760_768_5e-16, 2.000_188e-13, -8.604_672e-11, 5.122_297e-8, 1.485_722_4e-5, 6.372_619_3e-4, 4.893_524_6e-3],
        [1.198_258_4e-6, 1.185_347e-4, 2.268_434_6e-3, 4.893_525e-3],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Φ(x) - ½ by its Maclaurin series in f64, good to 1e-11 on [-6, 6].
    fn above_half_series(x: f64) -> f64 {
        let (mut term, mut total) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(2 * n);
            total += term / f64::from(2 * n + 1);
        }
        total * 0.5 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2
    }

    #[test]
    fn gelu_tanh_and_exp_are_within_their_bounds() {
        let mut worst = [0.0f64; 4];
        for step in -60_000..=60_000 {
            let single = (f64::from(step) * 1e-4) as f32;
            let exact = f64::from(single);
            let wide = single * 1.5;
            for (half, unit, bend) in [
                (above_half::<true>(single), gelu::<true>(single), tanh::<true>(wide)),
                (above_half::<false>(single), gelu::<false>(single), tanh::<false>(wide)),
            ] {
                let series = above_half_series(exact);
                worst[0] = worst[0].max((f64::from(half) - series).abs());
                worst[1] = worst[1].max((f64::from(unit) - exact * (0.5 + series)).abs() / exact.abs().max(1.0));
                worst[2] = worst[2].max((f64::from(bend) - f64::from(wide).tanh()).abs());
            }
            let argument = single * 14.0;
            let reference = f64::from(argument).exp();
            worst[3] = worst[3].max((f64::from(exp::<false>(argument)) - reference).abs() / reference);
        }
        assert!(worst[0] < 2e-7 && worst[1] < 3e-7 && worst[2] < 1e-6 && worst[3] < 3e-7, "{worst:?}");
        assert_eq!((above_half::<false>(9.0), tanh::<false>(-30.0)), (above_half::<false>(TAIL), tanh::<false>(-8.0)));
        assert!(gelu::<false>(-1e30).abs() < 2e-6 && (gelu::<false>(1e30) / 1e30 - 1.0).abs() < 3e-7);
        assert!(exp::<false>(f32::NEG_INFINITY) < 1e-37 && exp::<false>(f32::NAN).is_nan() && gelu::<false>(f32::NAN).is_nan());
    }

    #[test]
    fn sums_and_extremes_see_every_element() {
        for len in [0, 1, 15, 16, 17, 40, 64, 100, 131] {
            let row: Vec<f32> = (0..len).map(|i| (i + 1) as f32).collect();
            assert_eq!(sum_of([&row], |[value]| value), (0..=len).sum::<usize>() as f32);
            for place in 0..len {
                let mut row = row.clone();
                row[place] = -1.0;
                assert_eq!(extremes(&row)[0], -1.0);
                row[place] = 1000.0;
                assert_eq!(greatest(&row), 1000.0);
            }
        }
    }
}
