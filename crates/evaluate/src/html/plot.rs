//! A plot of lines over two axes, as SVG.

use super::escaped;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = 404.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 268.0;

/// An axis.
#[derive(Clone)]
pub(super) struct Axis {
    pub title: &'static str,
    pub low: f64,
    pub high: f64,
    /// By powers of ten; `low` is above 0.
    pub logarithmic: bool,
}

impl Axis {
    /// From 0 to 1.
    pub fn share(title: &'static str) -> Self {
        Self { title, low: 0.0, high: 1.0, logarithmic: false }
    }

    /// The place of a value on it, from 0 to 1; values beyond it lie at its ends.
    fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        if self.logarithmic { (value / self.low).ln() / (self.high / self.low).ln() } else { (value - self.low) / (self.high - self.low) }
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        if self.logarithmic {
            let powers = self.low.log10().ceil() as i32..=self.high.log10().floor() as i32;
            return powers.map(|power| (10f64.powi(power), format!("{:.*}", power.min(0).unsigned_abs() as usize, 10f64.powi(power)))).collect();
        }
        let span = self.high - self.low;
        let digits = (-(span / 5.0).log10() - 1e-9).ceil().clamp(1.0, 6.0) as usize;
        (0..=5).map(|fifth| self.low + span * f64::from(fifth) / 5.0).map(|value| (value, format!("{value:.digits$}"))).collect()
    }
}

/// Lines and points over two axes.
pub(super) struct Plot {
    title: String,
    x: Axis,
    y: Axis,
    body: String,
    legend: Vec<(usize, String)>,
}

impl Plot {
    pub fn new(title: &str, x: Axis, y: Axis) -> Self {
        Self { title: title.to_owned(), x, y, body: String::new(), legend: Vec::new() }
    }

    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (LEFT + (RIGHT - LEFT) * self.x.place(x), BOTTOM - (BOTTOM - TOP) * self.y.place(y))
    }

    /// A line in the colour of `series`.
    pub fn line(&mut self, series: usize, name: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let points = points.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        let places: Vec<String> = points.map(|point| self.at(point)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.body.push_str(&format!("<polyline class=\"line s{}\" points=\"{}\"/>\n", series % 6, places.join(" ")));
        self.legend.push((series % 6, name.to_owned()));
    }

    /// A thin broken line without a name.
    pub fn guide(&mut self, from: (f64, f64), to: (f64, f64)) {
        let ((x, y), (to_x, to_y)) = (self.at(from), self.at(to));
        self.body.push_str(&format!("<path class=\"guide\" d=\"M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}\"/>\n"));
    }

    /// A dot with a text that appears under the pointer; its radius in pixels.
    pub fn dot(&mut self, series: usize, point: (f64, f64), radius: f64, text: &str) {
        let (x, y) = self.at(point);
        let text = escaped(text);
        self.body.push_str(&format!(
            "<circle class=\"dot s{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"><title>{text}</title></circle>\n",
            series % 6
        ));
    }

    /// The picture.
    pub fn svg(&self) -> String {
        let title = escaped(&self.title);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n\
             <text class=\"plot-title\" x=\"{LEFT}\" y=\"20\">{title}</text>\n"
        );
        for (value, name) in self.x.ticks() {
            let x = self.at((value, self.y.low)).0;
            out.push_str(&format!(
                "<path class=\"grid\" d=\"M{x:.1} {TOP}V{BOTTOM}\"/><text class=\"middle\" x=\"{x:.1}\" y=\"{}\">{name}</text>\n",
                BOTTOM + 16.0
            ));
        }
        for (value, name) in self.y.ticks() {
            let y = self.at((self.x.low, value)).1;
            out.push_str(&format!(
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/><text class=\"end\" x=\"{}\" y=\"{:.1}\">{name}</text>\n",
                LEFT - 6.0,
                y + 4.0
            ));
        }
        let (middle, half) = ((LEFT + RIGHT) / 2.0, (TOP + BOTTOM) / 2.0);
        out.push_str(&format!("<text class=\"middle\" x=\"{middle}\" y=\"{}\">{}</text>\n", BOTTOM + 34.0, self.x.title));
        out.push_str(&format!("<text class=\"middle\" x=\"14\" y=\"{half}\" transform=\"rotate(-90 14 {half})\">{}</text>\n", self.y.title));
        out + &self.body + "</svg>\n"
    }

    /// The names of the lines, for below the picture.
    pub fn legend(&self) -> String {
        let item = |(series, name): &(usize, String)| {
            format!("<li><svg viewBox=\"0 0 20 6\"><path class=\"line s{series}\" d=\"M0 3h20\"/></svg>{}</li>", escaped(name))
        };
        format!("<ul class=\"legend\">{}</ul>", self.legend.iter().map(item).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_at_their_place() {
        let logarithmic = Axis { title: "rate", low: 1e-4, high: 1.0, logarithmic: true };
        let mut plot = Plot::new("<a>", logarithmic, Axis::share("found"));
        plot.line(0, "m & n", [(1e-4, 0.0), (1e-2, 0.5), (1.0, 1.0), (f64::NAN, 0.5), (0.0, 2.0)]);
        plot.dot(7, (1.0, 1.0), 3.0, "'x'");
        let svg = plot.svg();
        assert!(svg.contains("points=\"54.0,268.0 229.0,151.0 404.0,34.0 54.0,34.0\""), "{svg}");
        assert!(svg.contains("<title>&lt;a&gt;</title>") && svg.contains(">0.01<") && svg.contains("dot s1") && svg.contains("&#39;x&#39;"));
        assert!(plot.legend().contains("m &amp; n") && !svg.contains("NaN"));
    }
}
