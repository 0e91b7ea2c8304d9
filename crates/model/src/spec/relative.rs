use std::ops::Range;

/// Disentangled attention's relative positions (He et al. 2021): a score is the sum of content to content and of the terms named here,
/// which take a row of a learned table by the distance between the two tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelativePositions {
    /// Half the rows of the table: distance 0 has row `span`.
    pub span: usize,
    /// Log-bucketed distances, `(buckets, greatest distance)`; `None` where each distance has a row up to `span`.
    pub buckets: Option<(usize, usize)>,
    /// The query meets the key projection of the distance's row.
    pub content_to_position: bool,
    /// The key meets the query projection of the distance's row.
    pub position_to_content: bool,
    /// The table is projected by the layer's own query and key weights instead of by weights of its own.
    pub shared_projections: bool,
    /// The table goes through a layer norm first.
    pub normed: bool,
}

impl RelativePositions {
    /// The table's row for `distance`, the query's position minus the key's.
    pub fn row(&self, distance: isize) -> usize {
        let bucket = match self.buckets {
            Some((buckets, greatest)) => log_bucket(distance, buckets, greatest),
            None => distance,
        };
        bucket.saturating_add_unsigned(self.span).clamp(0, 2 * self.span as isize - 1) as usize
    }

    /// The rows that a line of `tokens` tokens can need: one range, since rows rise with the distance.
    pub fn band(&self, tokens: usize) -> Range<usize> {
        let most = tokens.saturating_sub(1) as isize;
        self.row(-most)..self.row(most) + 1
    }

    /// The rows within the band of `tokens` tokens, by distance from `1 - tokens` to `tokens - 1`, counted from the band's first.
    pub fn rows(&self, tokens: usize) -> Vec<u32> {
        let (most, first) = (tokens.saturating_sub(1) as isize, self.band(tokens).start);
        (-most..=most).map(|distance| (self.row(distance) - first) as u32).collect()
    }
}

/// Distances below half of `buckets` have a bucket each, greater ones share buckets that grow with the logarithm. The steps and
/// their rounding to f32 are those of `transformers`' `make_log_bucket_position`.
fn log_bucket(distance: isize, buckets: usize, greatest: usize) -> isize {
    let middle = (buckets / 2) as isize;
    if distance.abs() <= middle {
        return distance;
    }
    let ln = |x: f32| f64::from(x).ln() as f32;
    let ratio = ln(distance.abs() as f32 / middle as f32) / ln(((greatest as f64 - 1.0) / middle as f64) as f32);
    let bucket = (ratio * (middle - 1) as f32).ceil() as isize + middle;
    bucket * distance.signum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(span: usize, buckets: Option<(usize, usize)>) -> RelativePositions {
        RelativePositions { span, buckets, content_to_position: true, position_to_content: true, shared_projections: true, normed: true }
    }

    #[test]
    fn buckets_are_those_of_transformers() {
        // make_log_bucket_position of transformers 5.23 with 256 buckets and 512 positions.
        for (distance, bucket) in [(0, 0), (127, 127), (128, 128), (129, 129), (130, 130), (200, 169), (300, 207), (400, 233), (510, 255), (511, 255)]
        {
            assert_eq!(log_bucket(distance, 256, 512), bucket, "{distance}");
            assert_eq!(log_bucket(-distance, 256, 512), -bucket, "{distance}");
        }
    }

    #[test]
    fn bands_hold_every_row_and_no_more() {
        for relative in [positions(256, Some((256, 512))), positions(8, Some((8, 64))), positions(16, None)] {
            for tokens in [1, 2, 7, 16, 17, 64, 512] {
                let (band, rows) = (relative.band(tokens), relative.rows(tokens));
                assert_eq!(rows.len(), 2 * tokens - 1);
                assert!(rows.is_sorted() && rows[0] == 0 && rows[rows.len() - 1] as usize + 1 == band.len());
                assert!(band.end <= 2 * relative.span);
                assert_eq!(band.start + rows[tokens - 1] as usize, relative.span);
            }
        }
    }
}
