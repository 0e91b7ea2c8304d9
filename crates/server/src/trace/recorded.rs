//! Traces as they are gathered and sent.

use super::Stage;
use super::sender::Sender;
use crate::models::LoadedModel;
use axum::http::{HeaderMap, Method};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

const STAGES: [(Stage, &str); 4] = [(Stage::Read, "read"), (Stage::Queue, "queue"), (Stage::Infer, "infer"), (Stage::Write, "write")];

/// Where traces go.
#[derive(Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Sends them where `OTEL_EXPORTER_OTLP_ENDPOINT` (or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) says, and nowhere without it. The other
    /// variables of OpenTelemetry count too: sampler, service name, headers, time limit.
    pub fn from_environment() -> Result<Self, String> {
        let asked = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"].into_iter().find_map(std::env::var_os);
        if asked.is_some() { Self::sent(None) } else { Ok(Self(None)) }
    }

    /// Sends them to a collector: `http://127.0.0.1:4318/v1/traces`.
    pub fn to(address: &str) -> Result<Self, String> {
        Self::sent(Some(address))
    }

    fn sent(address: Option<&str>) -> Result<Self, String> {
        let exporter = SpanExporter::builder().with_http().with_http_client(Sender);
        let exporter = match address {
            Some(address) => exporter.with_endpoint(address),
            None => exporter,
        };
        let exporter = exporter.build().map_err(|error| format!("traces: {error}"))?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("attackline");
        }
        Ok(Self(Some(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build())))
    }

    pub(crate) fn begin(&self, method: &Method, route: &'static str, id: u64, headers: &HeaderMap) -> Trace {
        let Some(provider) = &self.0 else { return Trace(None) };
        // Who asks may have a trace already: its `traceparent` is taken over.
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
        let recorded = Recorded {
            tracer: provider.tracer("attackline"),
            parent,
            name: format!("{method} {route}"),
            attributes: vec![
                KeyValue::new("http.request.method", method.to_string()),
                KeyValue::new("http.route", route),
                KeyValue::new("attackline.request", id as i64),
            ],
            time: SystemTime::now(),
            start: Instant::now(),
            stages: Default::default(),
            lines: AtomicU64::new(0),
            status: AtomicU16::new(0),
            model: OnceLock::new(),
        };
        let trace = Trace(Some(Arc::new(recorded)));
        trace.touch(Stage::Read);
        trace
    }

    /// Sends what is gathered and ends. Takes some seconds where the collector does not answer.
    pub(crate) fn end(&self) {
        if let Some(provider) = &self.0 {
            // A collector that is gone is no event of this server.
            let _ = provider.shutdown_with_timeout(Duration::from_secs(5));
        }
    }
}

/// A request's trace. It is sent when the last who has it lets it go.
#[derive(Clone, Default)]
pub struct Trace(Option<Arc<Recorded>>);

impl Trace {
    /// Something of the request enters or leaves the stage now.
    pub fn touch(&self, stage: Stage) {
        if let Some(own) = &self.0 {
            let now = own.start.elapsed().as_nanos() as u64;
            let Range { first, last } = &own.stages[stage as usize];
            first.fetch_min(now, Ordering::Relaxed);
            last.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// A line is under way.
    pub fn line(&self) {
        if let Some(own) = &self.0 {
            own.lines.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The model that answers.
    pub fn asks(&self, model: &LoadedModel) {
        if let Some(own) = &self.0 {
            let _ = own.model.set((model.name.clone(), model.version.clone()));
        }
    }

    /// The status of the answer.
    pub fn answered(&self, status: u16) {
        if let Some(own) = &self.0 {
            own.status.store(status, Ordering::Relaxed);
        }
    }
}

/// A stage's first and last moment, in nanoseconds from the request's start.
struct Range {
    first: AtomicU64,
    last: AtomicU64,
}

impl Default for Range {
    fn default() -> Self {
        Self { first: AtomicU64::new(u64::MAX), last: AtomicU64::new(0) }
    }
}

struct Recorded {
    tracer: SdkTracer,
    parent: Context,
    name: String,
    attributes: Vec<KeyValue>,
    time: SystemTime,
    start: Instant,
    stages: [Range; STAGES.len()],
    lines: AtomicU64,
    status: AtomicU16,
    model: OnceLock<(String, String)>,
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let (end, status) = (self.time + self.start.elapsed(), *self.status.get_mut());
        let mut attributes = std::mem::take(&mut self.attributes);
        if status > 0 {
            attributes.push(KeyValue::new("http.response.status_code", i64::from(status)));
        }
        if let Some((name, version)) = self.model.take() {
            attributes.push(KeyValue::new("attackline.lines", *self.lines.get_mut() as i64));
            attributes.push(KeyValue::new("attackline.model.name", name));
            attributes.push(KeyValue::new("attackline.model.version", version));
        }
        let request = SpanBuilder::from_name(std::mem::take(&mut self.name)).with_kind(SpanKind::Server);
        let mut request = request.with_start_time(self.time).with_attributes(attributes).start_with_context(&self.tracer, &self.parent);
        if status >= 500 {
            request.set_status(Status::error(""));
        }
        let within = self.parent.with_remote_span_context(request.span_context().clone());
        for ((_, name), Range { first, last }) in STAGES.into_iter().zip(&mut self.stages) {
            let (first, last) = (*first.get_mut(), *last.get_mut());
            if first <= last {
                let at = |nanoseconds| self.time + Duration::from_nanos(nanoseconds);
                let stage = SpanBuilder::from_name(name).with_start_time(at(first));
                stage.start_with_context(&self.tracer, &within).end_with_timestamp(at(last));
            }
        }
        request.end_with_timestamp(end);
    }
}
