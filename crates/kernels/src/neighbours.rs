//! A convolution along each line's tokens is a product of its weight `[out, width · kernel]` with gathered neighbours.

/// For every token the elements of its `kernel` neighbours within its line, itself in the middle, zeros beyond the line's ends: from
/// `rows` `[tokens, width]` to `[tokens, width · kernel]`, the neighbours of one element side by side. `kernel` is odd.
pub fn neighbours(rows: &[f32], offsets: &[usize], kernel: usize) -> Vec<f32> {
    let width = width(rows.len(), offsets, 1);
    let mut out = vec![0.0; rows.len() * kernel];
    for_each_pair(offsets, kernel, |token, tap, source| {
        let (from, to) = (&rows[source * width..][..width], &mut out[token * width * kernel..][..width * kernel]);
        for (value, to) in from.iter().zip(to.chunks_exact_mut(kernel)) {
            to[tap] = *value;
        }
    });
    out
}

/// The gradient of [`neighbours`]: from `[tokens, width · kernel]` to `[tokens, width]`.
pub fn neighbours_backward(grad: &[f32], offsets: &[usize], kernel: usize) -> Vec<f32> {
    let width = width(grad.len(), offsets, kernel);
    let mut out = vec![0.0; grad.len() / kernel];
    for_each_pair(offsets, kernel, |token, tap, source| {
        let (from, to) = (&grad[token * width * kernel..][..width * kernel], &mut out[source * width..][..width]);
        for (from, total) in from.chunks_exact(kernel).zip(to) {
            *total += from[tap];
        }
    });
    out
}

fn width(len: usize, offsets: &[usize], kernel: usize) -> usize {
    let tokens = offsets.last().copied().unwrap_or(0).max(1);
    assert!(kernel % 2 == 1 && len.is_multiple_of(tokens * kernel), "rows are [tokens, width]");
    len / tokens / kernel
}

/// Calls `visit(token, tap, source)` for every neighbour that is inside the token's line.
fn for_each_pair(offsets: &[usize], kernel: usize, mut visit: impl FnMut(usize, usize, usize)) {
    for line in offsets.windows(2) {
        for token in line[0]..line[1] {
            for tap in 0..kernel {
                if let Some(source) = (token + tap).checked_sub(kernel / 2).filter(|source| (line[0]..line[1]).contains(source)) {
                    visit(token, tap, source);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_within_lines_and_gives_gradients_back() {
        let rows = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0];
        let gathered = neighbours(&rows, &[0, 2, 3], 3);
        assert_eq!(gathered, [0., 1., 2., 0., 10., 20., 1., 2., 0., 10., 20., 0., 0., 3., 0., 0., 30., 0.]);
        // <neighbours(x), g> = <x, backward(g)> for a linear map and its transpose.
        let grad: Vec<f32> = (1..=18).map(|i| i as f32).collect();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        assert_eq!(dot(&gathered, &grad), dot(&rows, &neighbours_backward(&grad, &[0, 2, 3], 3)));
    }
}
