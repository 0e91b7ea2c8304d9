use crate::{dispatch::multiversion, isa::Isa};

/// The weighted sum of rows of a table of 8-bit integers, a row's number and its weight one after the other in `bag`: `out[width]` is
/// Σ weight · scale\[row\] · table\[row\], every element summed in the order of `bag`.
///
/// # Panics
/// Unless every row is one of the table `[rows, width]`, which has a scale for each.
pub fn embedding_bag(table: &[i8], scales: &[f32], bag: &[(u32, f32)], out: &mut [f32]) {
    embedding_bag_on(Isa::detect(), table, scales, bag, out);
}

multiversion! {
    fn embedding_bag_on(table: &[i8], scales: &[f32], bag: &[(u32, f32)], out: &mut [f32]) = embedding_bag_body;
}

#[inline(always)]
fn embedding_bag_body<const FUSED: bool>(table: &[i8], scales: &[f32], bag: &[(u32, f32)], out: &mut [f32]) {
    let width = out.len();
    out.fill(0.0);
    for &(row, weight) in bag {
        let row = row as usize;
        let factor = weight * scales[row];
        for (sum, &element) in out.iter_mut().zip(&table[row * width..][..width]) {
            *sum = crate::lanes::fma::<FUSED>(factor, f32::from(element), *sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::for_each_isa;

    #[test]
    fn sums_rows_by_their_weights_on_every_isa() {
        for width in [1, 7, 64] {
            let table: Vec<i8> = (0..5 * width).map(|i| (i * 37 % 255) as u8 as i8).collect();
            let scales = [0.5, 0.25, 2.0, 1.0, 0.125];
            let bag = [(4, 1.5), (0, -0.3), (2, 0.7), (4, 0.1)];
            let expected: Vec<f64> = (0..width)
                .map(|column| {
                    bag.iter().map(|&(row, weight)| f64::from(weight * scales[row as usize]) * f64::from(table[row as usize * width + column])).sum()
                })
                .collect();
            for_each_isa(|isa| {
                let mut out = vec![9.0; width];
                embedding_bag_on(isa, &table, &scales, &bag, &mut out);
                assert!(out.iter().zip(&expected).all(|(&out, expected)| (f64::from(out) - expected).abs() < 1e-4), "{} {out:?}", isa.name());
            });
        }
    }
}
