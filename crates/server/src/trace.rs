//! Traces for OpenTelemetry: a span a request with a child for each stage that its lines went through. Never text of a line.
//!
//! With the feature `opentelemetry` alone; without it all of this is nothing, at no cost.

/// What a request's time goes into. Stages of a stream overlap: each lasts from when its first line entered it until its last one left.
#[derive(Debug, Clone, Copy)]
pub enum Stage {
    /// The body comes in.
    Read,
    /// Lines wait for a worker.
    Queue,
    /// The model answers them.
    Infer,
    /// The answers go out.
    Write,
}

#[cfg(feature = "opentelemetry")]
mod recorded;
#[cfg(feature = "opentelemetry")]
mod sender;
#[cfg(feature = "opentelemetry")]
pub use recorded::{Trace, Traces};

#[cfg(not(feature = "opentelemetry"))]
mod nothing {
    use super::Stage;
    use crate::models::LoadedModel;
    use axum::http::{HeaderMap, Method};

    /// Where traces go: nowhere, in a program built without the feature `opentelemetry`.
    #[derive(Default)]
    pub struct Traces(());

    impl Traces {
        /// Says so where the environment asks for traces.
        pub fn from_environment() -> Result<Self, String> {
            match std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT") {
                Some(_) => Err("OTEL_EXPORTER_OTLP_ENDPOINT is set, but this program was built without traces: build it with --features opentelemetry, or unset it".into()),
                None => Ok(Self(())),
            }
        }

        pub(crate) fn begin(&self, _: &Method, _: &'static str, _: u64, _: &HeaderMap) -> Trace {
            Trace(())
        }

        pub(crate) fn end(&self) {}
    }

    /// A request's trace.
    #[derive(Clone, Default)]
    pub struct Trace(());

    impl Trace {
        pub fn touch(&self, _: Stage) {}
        pub fn line(&self) {}
        pub fn asks(&self, _: &LoadedModel) {}
        pub fn answered(&self, _: u16) {}
    }
}
#[cfg(not(feature = "opentelemetry"))]
pub use nothing::{Trace, Traces};
