use super::cases::{Case, Measured};
use attackline_engine::Profile;

/// The head of the table of cases.
pub fn head() -> String {
    format!("{:>7} {:>6} {:>11} {:>11} {:>9} {:>9} {:>9}\n", "tokens", "batch", "lines/s", "tokens/s", "p50 ms", "p95 ms", "p99 ms")
}

/// One case.
pub fn row(case: &Case, measured: &Measured) -> String {
    let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| measured.percentile(share));
    let (lengths, lines) = (case.lengths, case.lines);
    format!("{lengths:>7} {lines:>6} {:>11.1} {:>11.0} {p50:>9.3} {p95:>9.3} {p99:>9.3}\n", measured.lines, measured.tokens)
}

/// Where a case's time went; `peak` is the int8 product's best rate, in operations a second.
pub fn profile(case: &Case, profile: &Profile, peak: f64) -> String {
    let mut text = format!("\nbatches of {} lines, {} tokens, one thread; int8 at its best {:.0} Gop/s\n", case.lines, case.lengths, peak / 1e9);
    text.push_str(&format!("{:<18} {:>7} {:>8} {:>8}\n", "operation", "time", "Gop/s", "of peak"));
    let total = profile.total().as_secs_f64();
    for (operation, spent) in &profile.spent {
        let seconds = spent.time.as_secs_f64();
        text.push_str(&format!("{operation:<18} {:>5.1} %", 100.0 * seconds / total));
        if spent.operations > 0.0 {
            let rate = spent.operations / seconds;
            text.push_str(&format!(" {:>8.0}", rate / 1e9));
            if spent.int8 {
                text.push_str(&format!(" {:>6.1} %", 100.0 * rate / peak));
            }
        }
        text.push('\n');
    }
    let (operations, int8) = profile.spent.values().filter(|spent| spent.int8).fold((0.0, false), |(sum, _), spent| (sum + spent.operations, true));
    if int8 {
        text.push_str(&format!("{:<18} {:>5.1} % {:>8.0} {:>6.1} %\n", "all", 100.0, operations / total / 1e9, 100.0 * operations / total / peak));
    }
    text
}
