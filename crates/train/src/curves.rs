use crate::EpochReport;

/// Points of a line at most; beyond that neighbours are averaged.
const MOST_POINTS: usize = 300;
const WIDTH: f64 = 720.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 704.0;
const HEIGHT: f64 = 470.0;

// Greys and colours of middle lightness can be read on white and on black; where the reader's scheme is known, text gets more contrast.
const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#6e7781}
.title{font-size:14px;font-weight:600}
.grid{stroke:#8b949e;stroke-opacity:.3}
.raw,.train,.validation,.f1{fill:none;stroke-width:2;stroke-linejoin:round}
.raw{stroke:#3b82f6;stroke-opacity:.35;stroke-width:1}
.train{stroke:#3b82f6}
.validation{stroke:#f97316}
.f1{stroke:#10a37f}
circle.validation{fill:#f97316}
circle.f1{fill:#10a37f}
.best{stroke:#8b949e;stroke-dasharray:4 3}
@media (prefers-color-scheme:light){text{fill:#24292f}}
@media (prefers-color-scheme:dark){text{fill:#d0d7de}}
";

/// More epochs than these are a line without dots.
const MOST_DOTS: usize = 40;

/// A whole run as an SVG picture: the loss of every step and that on the validation rows above, macro F1 there below (accuracy, where
/// there is no F1), over the steps.
pub fn curves(title: &str, losses: &[f32], epochs: &[EpochReport]) -> String {
    let last = epochs.iter().map(|report| report.step).fold(losses.len() as u64, u64::max).max(1);
    let raw = thinned(losses);
    let smooth = smoothed(&raw);
    let of = |value: fn(&EpochReport) -> f64| -> Vec<(f64, f64)> { epochs.iter().map(|report| (report.step as f64, value(report))).collect() };
    let (validation, score) = (of(|report| report.validation_loss), of(|report| report.macro_f1.unwrap_or(report.accuracy)));
    let highest = raw.iter().chain(&validation).map(|point| point.1).filter(|value| value.is_finite()).fold(0.0, f64::max);
    let lowest = score.iter().map(|point| point.1).fold(1.0, f64::min);
    let upper = Panel { top: 60.0, bottom: 250.0, last: last as f64, ticks: ticks(0.0, highest) };
    let lower = Panel { top: 300.0, bottom: 420.0, last: last as f64, ticks: ticks(lowest, 1.0) };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n<title>{0}</title>\n\
         <style>\n{STYLE}</style>\n<text class=\"title\" x=\"{LEFT}\" y=\"24\">{0}</text>\n",
        escaped(title)
    );
    let best = epochs.iter().rfind(|report| report.best);
    upper.frame(&mut out, best);
    out.push_str(&upper.line("raw", &raw));
    out.push_str(&upper.line("train", &smooth));
    out.push_str(&upper.dotted("validation", &validation));
    legend(&mut out, 46.0, &[("train", "training loss, smoothed"), ("validation", "validation loss")]);
    lower.frame(&mut out, best);
    out.push_str(&lower.dotted("f1", &score));
    let name = if epochs.iter().any(|report| report.macro_f1.is_some()) { "macro F1 on the validation rows" } else { "hidden tokens restored" };
    legend(&mut out, 286.0, &[("f1", name)]);
    lower.steps(&mut out, best);
    out.push_str("</svg>\n");
    out
}

/// A rectangle with axes.
struct Panel {
    top: f64,
    bottom: f64,
    last: f64,
    ticks: Vec<f64>,
}

impl Panel {
    fn x(&self, step: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * step / self.last
    }

    fn y(&self, value: f64) -> f64 {
        let (low, high) = (self.ticks[0], self.ticks[self.ticks.len() - 1]);
        self.bottom - (self.bottom - self.top) * ((value - low) / (high - low)).clamp(0.0, 1.0)
    }

    fn frame(&self, out: &mut String, best: Option<&EpochReport>) {
        let digits = decimals(self.ticks[1] - self.ticks[0]);
        for &tick in &self.ticks {
            let y = self.y(tick);
            out.push_str(&format!("<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>"));
            out.push_str(&format!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick:.digits$}</text>\n", LEFT - 8.0, y + 4.0));
        }
        if let Some(report) = best {
            out.push_str(&format!("<path class=\"best\" d=\"M{:.1} {}V{}\"/>\n", self.x(report.step as f64), self.top, self.bottom));
        }
    }

    /// The axis of steps, and what the broken line means.
    fn steps(&self, out: &mut String, best: Option<&EpochReport>) {
        for tick in ticks(0.0, self.last).into_iter().filter(|tick| *tick <= self.last && tick.fract() == 0.0) {
            out.push_str(&format!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick}</text>\n", self.x(tick), self.bottom + 18.0));
        }
        let best = best.map_or_else(String::new, |report| format!("; broken line: the best epoch, {}, whose weights are kept", report.epoch));
        let middle = (LEFT + RIGHT) / 2.0;
        out.push_str(&format!("<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">step{best}</text>\n", self.bottom + 38.0));
    }

    fn line(&self, class: &str, points: &[(f64, f64)]) -> String {
        let points = points.iter().filter(|point| point.1.is_finite());
        let places: Vec<String> = points.map(|&(step, value)| format!("{:.1},{:.1}", self.x(step), self.y(value))).collect();
        if places.is_empty() { String::new() } else { format!("<polyline class=\"{class}\" points=\"{}\"/>\n", places.join(" ")) }
    }

    /// A line whose points are seen: of a single epoch there is no more.
    fn dotted(&self, class: &str, points: &[(f64, f64)]) -> String {
        let mut out = self.line(class, points);
        if points.len() > MOST_DOTS {
            return out;
        }
        for (step, value) in points.iter().filter(|point| point.1.is_finite()) {
            out.push_str(&format!("<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>\n", self.x(*step), self.y(*value)));
        }
        out
    }
}

fn legend(out: &mut String, y: f64, entries: &[(&str, &str)]) {
    let mut x = LEFT;
    for (class, text) in entries {
        out.push_str(&format!("<path class=\"{class}\" d=\"M{x:.0} {:.0}h20\"/><text x=\"{:.0}\" y=\"{y:.0}\">{text}</text>\n", y - 4.0, x + 26.0));
        x += 26.0 + 7.0 * text.len() as f64 + 20.0;
    }
}

/// Means of neighbours, so that a long run has no longer picture than a short one.
fn thinned(losses: &[f32]) -> Vec<(f64, f64)> {
    let points: Vec<(f64, f64)> = losses.iter().zip(1u64..).map(|(&loss, step)| (step as f64, f64::from(loss))).collect();
    let mean = |values: &mut dyn Iterator<Item = f64>, count: usize| values.sum::<f64>() / count as f64;
    let size = points.len().div_ceil(MOST_POINTS).max(1);
    points.chunks(size).map(|part| (mean(&mut part.iter().map(|p| p.0), part.len()), mean(&mut part.iter().map(|p| p.1), part.len()))).collect()
}

/// The moving mean over a few points, more of a longer run; its start is not drawn towards 0.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let keep = 1.0 - 1.0 / (points.len() as f64 / 20.0).clamp(1.0, 4.0);
    let (mut sum, mut weight) = (0.0, 0.0);
    let step = |&(step, loss): &(f64, f64)| {
        sum = sum * keep + loss;
        weight = weight * keep + 1.0;
        (step, sum / weight)
    };
    points.iter().map(step).collect()
}

/// Round numbers from at most `low` to at least `high`, two or more.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let span = if high - low > 1e-6 { high - low } else { 1e-3 };
    let power = 10f64.powf((span / 5.0).log10().floor());
    let step = power * [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| span / (power * factor) <= 5.0).unwrap_or(10.0);
    let first = (low / step + 1e-9).floor();
    let count = (high / step - first - 1e-9).ceil().max(1.0) as usize;
    (0..=count).map(|index| (first + index as f64) * step).collect()
}

fn decimals(step: f64) -> usize {
    (-step.log10() - 1e-9).ceil().max(0.0) as usize
}

fn escaped(text: &str) -> String {
    let visible = text.chars().filter(|letter| !letter.is_control());
    visible.fold(String::new(), |mut out, letter| {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(letter),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn epoch(epoch: usize, step: u64, validation_loss: f64, f1: f64) -> EpochReport {
        EpochReport { epoch, step, train_loss: 0.5, validation_loss, accuracy: f1, macro_f1: Some(f1), best: epoch == 2 }
    }

    #[test]
    fn ticks_are_round_and_hold_their_range() {
        for (low, high, expected) in [(0.0, 2.3, &[0.0, 0.5, 1.0, 1.5, 2.0, 2.5][..]), (0.93, 1.0, &[0.92, 0.94, 0.96, 0.98, 1.0])] {
            let found = ticks(low, high);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        }
        for (low, high) in [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 7.0), (0.0, 123_456.0), (0.5, 0.500_1), (0.0, 3e-5)] {
            let found = ticks(low, high);
            assert!(
                found.len() >= 2 && found.len() <= 8 && found[0] <= low + 1e-9 && found[found.len() - 1] >= high - 1e-9,
                "{low} {high} {found:?}"
            );
        }
    }

    #[test]
    fn values_stand_at_their_height() {
        let losses = [2.0; 100];
        let svg = curves("a <b> & \"c\"", &losses, &[epoch(1, 50, 1.0, 0.5), epoch(2, 100, 0.5, 1.0)]);
        // The loss reaches from 0 at 250 to 2 at 60, F1 from 0.5 at 420 to 1 at 300; step 50 of 100 is in the middle.
        for dot in [r#"class="validation" cx="384.0" cy="155.0""#, r#"class="validation" cx="704.0" cy="202.5""#] {
            assert!(svg.contains(dot), "{dot} {svg}");
        }
        assert!(svg.contains(r#"class="f1" cx="384.0" cy="420.0""#) && svg.contains(r#"class="f1" cx="704.0" cy="300.0""#), "{svg}");
        assert!(svg.contains("M704.0 60V250") && svg.contains("a &lt;b&gt; &amp; &quot;c&quot;") && !svg.contains("<b>"));
        assert!(smoothed(&thinned(&losses)).iter().all(|point| (point.1 - 2.0).abs() < 1e-9));
    }

    #[test]
    fn odd_runs_still_make_a_picture() {
        assert!(curves("", &[], &[]).ends_with("</svg>\n"));
        let losses: Vec<f32> = (1..=100_000).map(|step| if step == 7 { f32::NAN } else { 1.0 / step as f32 }).collect();
        let svg = curves("long", &losses, &[]);
        assert!(svg.len() < 20_000 && !svg.contains("NaN"), "{}", svg.len());
    }

    #[test]
    fn decimals_are_those_that_a_step_needs() {
        assert_eq!([1.0, 0.5, 0.1, 0.02, 0.001, 20.0].map(decimals), [0, 1, 1, 2, 3, 0]);
    }
}
