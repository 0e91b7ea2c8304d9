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

/// The sum of `value(i)` over `0..len`.
#[inline(always)]
pub(crate) fn sum_of(len: usize, value: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let whole = len - len % LANES;
    let mut start = 0;
    while start < whole {
        for (lane, total) in lanes.iter_mut().enumerate() {
            *total += value(start + lane);
        }
        start += LANES;
    }
    let mut total = fold(lanes, |a, b| a + b);
    for i in whole..len {
        total += value(i);
    }
    total
}

/// The greatest element; negative infinity of nothing.
#[inline(always)]
pub(crate) fn greatest(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (best, &value) in lanes.iter_mut().zip(chunk) {
            *best = if value > *best { value } else { *best };
        }
    }
    let best = fold(lanes, |a, b| if b > a { b } else { a });
    rest.iter().fold(best, |a, &b| if b > a { b } else { a })
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

/// The error function to within 1e-6: the minimax rational function that Eigen and XLA use, on [-4, 4], beyond which it is ±1.
#[inline(always)]
pub(crate) fn erf<const FUSED: bool>(x: f32) -> f32 {
    let x = if x > 4.0 { 4.0 } else { x };
    let x = if x < -4.0 { -4.0 } else { x };
    odd_rational::<FUSED, 7, 5>(
        x,
        [-2.726_142_3e-10, 2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906_3e-4, -2.954_6e-3, -1.609_603_3e-2],
        [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2],
    )
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

    /// erf by its Maclaurin series in f64, good to 1e-12 on [-4.2, 4.2].
    fn erf_series(x: f64) -> f64 {
        let (mut term, mut total) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            total += term / f64::from(2 * n + 1);
        }
        total * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn erf_tanh_and_exp_are_within_their_bounds() {
        let mut worst = [0.0f64; 3];
        for step in -42_000..=42_000 {
            let x = f64::from(step) * 1e-4;
            let single = x as f32;
            let exact = f64::from(single);
            for fused in [false, true] {
                let (e, t) =
                    if fused { (erf::<true>(single), tanh::<true>(single * 2.2)) } else { (erf::<false>(single), tanh::<false>(single * 2.2)) };
                worst[0] = worst[0].max((f64::from(e) - erf_series(exact)).abs());
                worst[1] = worst[1].max((f64::from(t) - f64::from(single * 2.2).tanh()).abs());
            }
            let argument = single * 20.0;
            let reference = f64::from(argument).exp();
            worst[2] = worst[2].max((f64::from(exp::<false>(argument)) - reference).abs() / reference);
        }
        assert!(worst[0] < 1e-6 && worst[1] < 1e-6 && worst[2] < 3e-7, "{worst:?}");
        assert_eq!((erf::<false>(9.0), tanh::<false>(-30.0)), (erf::<false>(4.0), tanh::<false>(-8.0)));
        assert!(exp::<false>(f32::NEG_INFINITY) < 1e-37 && exp::<false>(f32::NAN).is_nan() && erf::<false>(f32::NAN).is_nan());
    }

    #[test]
    fn sums_and_greatest_see_every_element() {
        for len in [0, 1, 15, 16, 17, 40] {
            let row: Vec<f32> = (0..len).map(|i| i as f32).collect();
            assert_eq!(sum_of(len, |i| row[i]), (0..len).sum::<usize>() as f32);
            if len > 0 {
                assert_eq!(greatest(&row), (len - 1) as f32);
            }
        }
    }
}
