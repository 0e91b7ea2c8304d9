//! The server: who is let in, what every answer has, how it listens and how it stops.

use crate::connection::Patient;
use crate::limits::{Limits, Rates};
use crate::metrics::Metrics;
use crate::scheduler::Scheduler;
use crate::tls::Tls;
use crate::tokens::{Role, Tokens};
use crate::trace::{Trace, Traces};
use crate::{ApiError, Feedback, Models, api, console};
use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tower_service::Service as _;

/// What a server is made of.
pub struct Settings {
    /// The models that answer.
    pub models: Models,
    /// Who is let in.
    pub tokens: Tokens,
    /// Where marks are kept.
    pub feedback: Option<Feedback>,
    /// Bounds on requests.
    pub limits: Limits,
    /// Threads that compute.
    pub workers: usize,
    /// Where traces go.
    pub traces: Traces,
    /// Gets a line about each request, as JSON without a line break; never text of a log line.
    pub log: Box<dyn Fn(String) + Send + Sync>,
}

/// What the routes share.
pub struct App {
    pub(crate) models: Models,
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) metrics: Arc<Metrics>,
    tokens: RwLock<Tokens>,
    pub(crate) feedback: Option<Arc<Feedback>>,
    pub(crate) limits: Limits,
    rates: Rates,
    traces: Traces,
    log: Box<dyn Fn(String) + Send + Sync>,
    stopping: AtomicBool,
    stop: Notify,
    requests: AtomicU64,
}

impl App {
    /// Who is let in now.
    pub(crate) fn tokens(&self) -> RwLockReadGuard<'_, Tokens> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server has been told to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// A server that is ready to listen.
#[derive(Clone)]
pub struct Server(Arc<App>);

/// The address that a request came from, and whether it was sent to this machine alone.
#[derive(Debug, Clone, Copy)]
struct Peer {
    address: SocketAddr,
    is_loopback: bool,
}

impl Server {
    /// Starts the workers.
    pub fn new(settings: Settings) -> std::io::Result<Self> {
        let Settings { models, tokens, feedback, limits, workers, traces, log } = settings;
        let metrics = Arc::new(Metrics::default());
        let observer: Arc<Metrics> = Arc::clone(&metrics);
        let scheduler = Scheduler::start(workers, limits.waiting_lines, observer)?;
        let feedback = feedback.map(Arc::new);
        let (stopping, stop, requests) = (AtomicBool::new(false), Notify::new(), AtomicU64::new(0));
        Ok(Self(Arc::new(App {
            models,
            scheduler,
            metrics,
            tokens: RwLock::new(tokens),
            feedback,
            limits,
            rates: Rates::default(),
            traces,
            log,
            stopping,
            stop,
            requests,
        })))
    }

    /// Tells the server to take nothing more and to finish what is under way.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
        self.0.stop.notify_waiters();
        self.0.stop.notify_one();
    }

    /// Loads every model again; says what went wrong, for each that goes on as it was.
    pub fn reload(&self) -> Vec<String> {
        let names: Vec<String> = self.0.models.names().map(str::to_owned).collect();
        names.iter().filter_map(|name| self.0.models.reload(name).err().map(|error| format!("{name}: {error}"))).collect()
    }

    /// Lets in these tokens from now on, and no others.
    pub fn set_tokens(&self, tokens: Tokens) {
        *self.0.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens;
    }

    /// Answers on this socket until [`stop`](Self::stop), encrypted where there are certificates.
    pub async fn listen(&self, listener: TcpListener, tls: Option<Arc<Tls>>) -> std::io::Result<()> {
        let app = Arc::clone(&self.0);
        let router = api::router(Arc::clone(&app)).layer(middleware::from_fn_with_state(Arc::clone(&app), around));
        let connections = Arc::new(Semaphore::new(app.limits.connections));
        let graceful = GracefulShutdown::new();
        loop {
            // Beyond the bound, clients wait in the system's queue.
            let permit = tokio::select! {
                permit = Arc::clone(&connections).acquire_owned() => permit,
                () = app.stop.notified() => break,
            };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = app.stop.notified() => break,
            };
            let Ok((stream, address)) = accepted else {
                // Out of file descriptors, or a client that is gone already.
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let is_loopback = stream.local_addr().is_ok_and(|own| own.ip().to_canonical().is_loopback());
            let (router, watcher, pause) = (router.clone(), graceful.watcher(), app.limits.pause);
            let (peer, stream) = (Peer { address, is_loopback }, Patient::new(stream, pause));
            let acceptor = tls.as_ref().map(|tls| tls.acceptor());
            tokio::spawn(async move {
                match acceptor {
                    None => serve(stream, router, peer, pause, watcher).await,
                    // A client that does not speak TLS, or has no certificate that is wanted, is no event either.
                    Some(acceptor) => {
                        if let Ok(Ok(stream)) = tokio::time::timeout(pause, acceptor.accept(stream)).await {
                            serve(stream, router, peer, pause, watcher).await;
                        }
                    }
                }
                drop(permit);
            });
        }
        drop(listener);
        let _ = tokio::time::timeout(app.limits.shutdown, graceful.shutdown()).await;
        app.scheduler.end();
        // The exporter waits for its collector: not on a thread that answers.
        let _ = tokio::task::spawn_blocking(move || app.traces.end()).await;
        Ok(())
    }
}

/// Answers the requests of one connection.
async fn serve<S: AsyncRead + AsyncWrite + Unpin + 'static>(stream: S, router: axum::Router, peer: Peer, pause: Duration, watcher: Watcher) {
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut router = router.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        async move { router.call(request).await }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    // A client that has closed its own side may still wait for the answer (`nc -N`); one that is gone shows when it is written to.
    builder.timer(TokioTimer::new()).header_read_timeout(pause).half_close(true).max_buf_size(64 << 10);
    // A client that breaks off is no event.
    let _ = watcher.watch(builder.serve_connection(TokioIo::new(stream), service)).await;
}

/// What a route is called in metrics, and the role that it wants; `None` is for everybody.
fn route(method: &Method, path: &str) -> (&'static str, Option<Role>) {
    let rest = path.strip_prefix("/api/v1/");
    match (path, rest) {
        ("/api", _) => ("/api", Some(Role::Classify)),
        (_, Some("classify")) => ("/api/v1/classify", Some(Role::Classify)),
        (_, Some("files")) => ("/api/v1/files", Some(Role::Classify)),
        (_, Some("models")) => ("/api/v1/models", Some(Role::Read)),
        (_, Some(rest)) if rest.starts_with("models/") => ("/api/v1/models/{name}/reload", Some(Role::Admin)),
        (_, Some(rest)) if rest.starts_with("techniques") => ("/api/v1/techniques", Some(Role::Read)),
        (_, Some("feedback/summary")) => ("/api/v1/feedback/summary", Some(Role::Read)),
        // Marks hold lines of logs.
        (_, Some(rest)) if rest.starts_with("feedback") => ("/api/v1/feedback", Some(Role::Classify)),
        ("/metrics", _) => ("/metrics", Some(Role::Read)),
        ("/healthz" | "/readyz" | "/openapi.json" | "/docs", _) => ("/about", None),
        _ if path.starts_with("/api/") => ("/other", Some(Role::Read)),
        _ if method == Method::GET => ("/page", None),
        _ => ("/other", None),
    }
}

async fn around(axum::extract::State(app): axum::extract::State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = app.requests.fetch_add(1, Ordering::Relaxed) + 1;
    let (method, (route, role)) = (request.method().clone(), route(request.method(), request.uri().path()));
    let connection = request.extensions().get::<Peer>().copied();
    let peer = connection.map(|peer| peer.address.ip().to_string()).unwrap_or_default();
    let is_loopback = connection.is_some_and(|peer| peer.is_loopback);
    // Probes and the page's files are no work to follow.
    let trace = if role.is_some() { app.traces.begin(&method, route, id, request.headers()) } else { Trace::default() };
    request.extensions_mut().insert(trace.clone());
    let mut response = match admitted(&app, &request, role, &peer, is_loopback) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    let (status, took) = (response.status(), start.elapsed());
    trace.answered(status.as_u16());
    console::guard(response.headers_mut());
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert("x-request-id", value);
    }
    if app.is_stopping() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    app.metrics.request(route, status.as_u16(), took);
    let line = serde_json::json!({"request": id, "client": peer, "method": method.as_str(), "route": route, "status": status.as_u16(), "seconds": took.as_secs_f64()});
    (app.log)(line.to_string());
    response
}

fn admitted(app: &App, request: &Request, wanted: Option<Role>, peer: &str, is_loopback: bool) -> Result<(), ApiError> {
    let Some(wanted) = wanted else { return Ok(()) };
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let tokens = app.tokens();
    if !tokens.is_open() {
        let Some(role) = tokens.role(authorization) else {
            let message = if authorization.is_some() { "this token is not let in" } else { "a token is wanted: Authorization: Bearer …" };
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, "token", message));
        };
        if role < wanted {
            return Err(ApiError::new(StatusCode::FORBIDDEN, "role", "this token's role does not allow it"));
        }
    } else if is_foreign(request) {
        // Without tokens a page of another site could ask in a browser's name.
        return Err(ApiError::new(StatusCode::FORBIDDEN, "origin", "requests of other sites' pages are not answered"));
    } else if is_loopback && !is_own_name(request) {
        let message = "without tokens this server is called localhost or by its address; what stands before it must say so in Host";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "host", message));
    }
    match app.limits.requests_per_second {
        Some(most) if !app.rates.allow(peer, most) => {
            Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate", format!("{most} requests a second are answered; come again in a second")))
        }
        _ => Ok(()),
    }
}

/// Whether a browser sends the request for a page of another site.
fn is_foreign(request: &Request) -> bool {
    let text = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else { return false };
    let host = origin.split_once("://").map(|(_, host)| host);
    host.is_none() || host != text(header::HOST)
}

/// Whether a request names this machine. A browser can be led here under the name of another site (DNS rebinding), whose page could then read
/// the answers.
fn is_own_name(request: &Request) -> bool {
    let Some(host) = request.headers().get(header::HOST) else { return true };
    let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    authority.is_some_and(|authority| {
        let name = authority.host().trim_matches(['[', ']']);
        name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
    })
}
