//! The HTTP interface: answers for pipelines, a console for analysts.
//!
//! [`Server`] answers `POST /api` and `/api/v1/…` (described in `openapi.json`), shows the console at `/`, and tells Prometheus how it does at
//! `/metrics`. It sees models through [`Classifier`](attackline_model::Classifier) alone. Lines of all requests go through one
//! scheduler: bounded, fair between requests, and without a wait on an idle server.

mod api;
mod connection;
mod console;
mod describe;
mod error;
mod feedback;
mod incoming;
mod limits;
mod metrics;
mod models;
mod options;
mod scheduler;
mod server;
mod stream;
mod tls;
mod tokens;
mod trace;

pub use error::ApiError;
pub use feedback::{Feedback, Mark, Verdict};
pub use limits::Limits;
pub use models::{LoadedModel, Loader, Models};
pub use server::{Server, Settings};
pub use tls::{Tls, TlsFiles};
pub use tokens::{Role, Tokens, entry as token_entry, hex};
pub use trace::Traces;
