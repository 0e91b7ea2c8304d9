//! What Prometheus reads. No log text is ever a label.

use crate::scheduler::Observer;
use attackline_findings::Finding;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Upper ends of latency buckets, in seconds.
const SECONDS: [f64; 13] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingLabels {
    label: String,
    abstained: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    error_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    name: String,
    version: String,
}

/// All metrics of a server.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histogram,
    lines: Counter,
    line_errors: Family<ErrorLabels, Counter>,
    findings: Family<FindingLabels, Counter>,
    batch_lines: Histogram,
    wait_seconds: Histogram,
    compute_seconds: Histogram,
    waiting: Gauge,
    cache_lookups: Gauge,
    cache_hits: Gauge,
    models: Family<ModelLabels, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("attackline");
        let seconds = || Histogram::new(SECONDS);
        let metrics = (Family::default(), seconds(), Counter::default(), Family::default());
        let (requests, request_seconds, lines, findings) = metrics;
        let line_errors = Family::default();
        let batch_lines = Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]);
        let (wait_seconds, compute_seconds) = (seconds(), seconds());
        let (waiting, cache_lookups, cache_hits, models) = (Gauge::default(), Gauge::default(), Gauge::default(), Family::default());
        registry.register("requests", "Requests answered, by route and status", Family::clone(&requests));
        registry.register("request_seconds", "Time from a request's head to its answer's head", Histogram::clone(&request_seconds));
        registry.register("lines", "Lines answered", Counter::clone(&lines));
        registry.register("line_errors", "Lines of streams answered with an error in their place", Family::clone(&line_errors));
        registry.register("findings", "Lines called an attack, by technique; abstained: below the threshold", Family::clone(&findings));
        registry.register("batch_lines", "Lines of a batch", Histogram::clone(&batch_lines));
        registry.register("wait_seconds", "Longest wait of a line of a batch before it was taken", Histogram::clone(&wait_seconds));
        registry.register("compute_seconds", "Time to compute a batch", Histogram::clone(&compute_seconds));
        registry.register("waiting_lines", "Lines waiting now", Gauge::clone(&waiting));
        registry.register("cache_lookups", "Lines that the caches were asked for", Gauge::clone(&cache_lookups));
        registry.register("cache_hits", "Lines that the caches knew", Gauge::clone(&cache_hits));
        registry.register("model_info", "The models that answer", Family::clone(&models));
        Self {
            registry,
            requests,
            request_seconds,
            lines,
            line_errors,
            findings,
            batch_lines,
            wait_seconds,
            compute_seconds,
            waiting,
            cache_lookups,
            cache_hits,
            models,
        }
    }
}

impl Metrics {
    /// A request has been answered.
    pub fn request(&self, route: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { route, status }).inc();
        self.request_seconds.observe(took.as_secs_f64());
    }

    /// Something was answered with an error in a line's place.
    pub fn unanswered(&self, error_type: &'static str) {
        self.line_errors.get_or_create(&ErrorLabels { error_type }).inc();
    }

    /// Everything in Prometheus' text format.
    pub fn text(&self, waiting: usize, cache: (u64, u64), models: impl Iterator<Item = (String, String)>) -> String {
        self.waiting.set(waiting as i64);
        self.cache_lookups.set(cache.0 as i64);
        self.cache_hits.set(cache.1 as i64);
        self.models.clear();
        for (name, version) in models {
            self.models.get_or_create(&ModelLabels { name, version }).set(1);
        }
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Observer for Metrics {
    fn batch(&self, lines: usize, waited: Duration, computed: Duration) {
        self.batch_lines.observe(lines as f64);
        self.wait_seconds.observe(waited.as_secs_f64());
        self.compute_seconds.observe(computed.as_secs_f64());
    }

    fn answer(&self, finding: &Finding) {
        self.lines.inc();
        if finding.is_attack || finding.abstained {
            let labels = FindingLabels { label: finding.label.clone(), abstained: finding.abstained.to_string() };
            self.findings.get_or_create(&labels).inc();
        }
    }
}
