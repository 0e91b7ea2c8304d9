/// How the factors of a product lie in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transposed {
    /// The left factor is stored as `[k, m]` instead of `[m, k]`.
    pub left: bool,
    /// The right factor is stored as `[n, k]` instead of `[k, n]`.
    pub right: bool,
}

/// `out = a · b`, or `out += a · b` where `accumulate`; `out` is `[m, n]`, the inner dimension is `k`.
///
/// The general product of the trainer: its blocking depends on the extents, so unlike a packed product it does not
/// promise that a row's bits are independent of the number of rows. The same extents and threads give the same bits.
#[expect(clippy::too_many_arguments, reason = "three matrices and their extents")]
pub fn matmul(out: &mut [f32], a: &[f32], b: &[f32], m: usize, k: usize, n: usize, transposed: Transposed, accumulate: bool, threads: usize) {
    if is_empty_product(out, a, b, [m, k, n], accumulate) {
        return;
    }
    let (a_column, a_row) = if transposed.left { (m as isize, 1) } else { (1, k as isize) };
    let (b_column, b_row) = if transposed.right { (k as isize, 1) } else { (1, n as isize) };
    let parallelism = if threads > 1 { gemm::Parallelism::Rayon(threads) } else { gemm::Parallelism::None };
    // SAFETY: the lengths checked above hold every element that these extents and strides reach, and `out` is borrowed
    // exclusively, so it overlaps neither factor.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            accumulate,
            a.as_ptr(),
            a_column,
            a_row,
            b.as_ptr(),
            b_column,
            b_row,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// Whether an extent is 0, so that `out` is what it must be already.
///
/// # Panics
/// Unless the slices have as many elements as the extents `[m, k, n]` say.
pub(crate) fn is_empty_product(out: &mut [f32], a: &[f32], b: &[f32], [m, k, n]: [usize; 3], accumulate: bool) -> bool {
    assert_eq!(Some(a.len()), m.checked_mul(k), "the left factor has m · k elements");
    assert_eq!(Some(b.len()), k.checked_mul(n), "the right factor has k · n elements");
    assert_eq!(Some(out.len()), m.checked_mul(n), "the result has m · n elements");
    let empty = m == 0 || n == 0 || k == 0;
    if empty && !accumulate {
        out.fill(0.0);
    }
    empty
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_matches_the_definition() {
        for (m, k, n) in [(1, 1, 1), (3, 5, 7), (33, 17, 20), (4, 0, 3), (70, 64, 48)] {
            let a: Vec<f32> = (0..m * k).map(|i| ((i * 7 % 13) as f32) - 6.0).collect();
            let b: Vec<f32> = (0..k * n).map(|i| ((i * 5 % 11) as f32) - 5.0).collect();
            for left in [false, true] {
                for right in [false, true] {
                    let mut expected = vec![0.0f32; m * n];
                    for i in 0..m {
                        for j in 0..n {
                            for c in 0..k {
                                let x = if left { a[c * m + i] } else { a[i * k + c] };
                                let y = if right { b[j * k + c] } else { b[c * n + j] };
                                expected[i * n + j] += x * y;
                            }
                        }
                    }
                    for threads in [1, 2] {
                        let mut out = vec![f32::NAN; m * n];
                        matmul(&mut out, &a, &b, m, k, n, Transposed { left, right }, false, threads);
                        assert_eq!(out, expected, "{m} {k} {n} {left} {right}");
                        matmul(&mut out, &a, &b, m, k, n, Transposed { left, right }, true, threads);
                        assert!(out.iter().zip(&expected).all(|(&got, &once)| got == 2.0 * once));
                    }
                }
            }
        }
    }
}
