//! What goes to standard error: messages, the progress line, the summary.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Messages beyond this many are counted only, unless `--verbose` is given: a damaged file can have millions.
const MOST_MESSAGES: u64 = 50;

/// Prints a line on standard error. Unlike `eprintln!` it does not panic when nobody listens.
pub fn say(message: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{message}");
}

/// A number with what it counts.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Messages and progress, shared by threads.
pub struct Diagnostics {
    bar: ProgressBar,
    errors: AtomicU64,
    verbose: bool,
}

impl Diagnostics {
    /// With a moving line if `progress`.
    pub fn new(progress: bool, verbose: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, if progress { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() });
        let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
            fmt::Write::write_fmt(out, format_args!("{:.0}/s", state.per_sec())).unwrap_or_default()
        };
        let style = ProgressStyle::with_template("{spinner} {human_pos} lines  {rate}  {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style.with_key("rate", rate));
        if progress {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar, errors: AtomicU64::new(0), verbose }
    }

    /// Reports an input that could not be read. The rest goes on.
    pub fn error(&self, error: &dyn fmt::Display) {
        let count = self.errors.fetch_add(1, Ordering::Relaxed) + 1;
        // The message may quote a file's name, which is as hostile as its text.
        let text = error.to_string();
        let text = attackline_findings::escape::shown(&text);
        if self.verbose || count <= MOST_MESSAGES {
            self.bar.suspend(|| say(format_args!("attackline: {text}")));
        } else if count == MOST_MESSAGES + 1 {
            self.bar.suspend(|| say(format_args!("attackline: further messages are only counted (--verbose shows all)")));
        }
    }

    /// How many inputs could not be read.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Moves the progress line on.
    pub fn advance(&self, lines: u64, findings: u64) {
        self.bar.inc(lines);
        self.bar.set_message(counted(findings, "finding"));
    }

    /// Does something with the progress line out of the way.
    pub fn aside<T>(&self, act: impl FnOnce() -> T) -> T {
        self.bar.suspend(act)
    }

    /// Takes the progress line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
