//! The routes.

use crate::feedback::Mark;
use crate::incoming;
use crate::options::Asked;
use crate::scheduler::{Answer, Job, Request};
use crate::server::App;
use crate::stream::{self, Incoming};
use crate::trace::{Stage, Trace};
use crate::{ApiError, console, describe};
use attackline_findings::{Finding, json_line, round};
use attackline_telemetry::{Event, LogLine};
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json};
use futures_util::stream::unfold;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Lines between the reader of a body and the scheduler.
const READ_AHEAD: usize = 64;

/// All routes; each has its role in [`crate::server`].
pub fn router(app: Arc<App>) -> axum::Router {
    axum::Router::new()
        .route("/api", post(one))
        .route("/api/v1/classify", post(classify))
        .route("/api/v1/files", post(file))
        .route("/api/v1/models", get(models))
        .route("/api/v1/models/{name}/reload", post(reload))
        .route("/api/v1/techniques", get(techniques))
        .route("/api/v1/techniques/{id}", get(technique))
        .route("/api/v1/feedback", get(marks).post(mark))
        .route("/api/v1/feedback/summary", get(summary))
        .route("/api/v1/feedback/{id}", delete(unmark))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi))
        .route("/docs", get(|| async { Html(describe::page()) }))
        .fallback(page)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with the member text")]
struct One {
    text: String,
    parent: Option<String>,
}

async fn one(
    State(app): State<Arc<App>>,
    Extension(trace): Extension<Trace>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    if query.is_some_and(|query| !query.is_empty()) {
        return Err(ApiError::invalid("query", "POST /api takes no options; POST /api/v1/classify does"));
    }
    let One { text, parent } = incoming::json(&app.limits, &headers, body).await?;
    trace.touch(Stage::Read);
    [Some(&text), parent.as_ref()].into_iter().flatten().try_for_each(|line| incoming::check_length(&app.limits, line))?;
    let model = app.models.get(None)?;
    let options = Asked::default().check(&model)?;
    let line = LogLine { text, event: Event { parent, ..Event::default() }, ..LogLine::default() };
    let finding = answer_one(&app, Request::new(model, options, trace.clone()), line).await?;
    trace.touch(Stage::Write);
    let mut answer = json!({"label": finding.label, "score": round(finding.score), "attack": round(finding.attack), "abstained": finding.abstained});
    answer["technique"] = serde_json::to_value(&finding.technique).unwrap_or_default();
    answer["top"] = serde_json::to_value(&finding.top).unwrap_or_default();
    trace.touch(Stage::Write);
    Ok(Json(answer))
}

async fn answer_one(app: &App, request: Request, line: LogLine) -> Result<Finding, ApiError> {
    admit(app, 1)?;
    let (sender, mut answers) = mpsc::unbounded_channel::<Answer>();
    let job = Job { place: 0, number: 1, line };
    app.scheduler.submit(&Arc::new(request), job, &sender);
    let answer = answers.recv().await.ok_or_else(|| ApiError::busy("the server is stopping"))?;
    answer.finding
}

fn admit(app: &App, lines: usize) -> Result<(), ApiError> {
    if app.is_stopping() {
        return Err(ApiError::busy("the server is stopping"));
    }
    if app.scheduler.is_full(lines) {
        return Err(ApiError::busy(format!("{} lines wait already; come again in a second", app.scheduler.waiting())));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(expecting = "an object with the member texts, a list of lines")]
struct Many {
    texts: Vec<String>,
    ids: Option<Vec<Value>>,
    #[serde(flatten)]
    asked: Asked,
}

async fn classify(
    State(app): State<Arc<App>>,
    Extension(trace): Extension<Trace>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, ApiError> {
    incoming::check_wrapping(&headers)?;
    let in_query: Asked = incoming::query(query.as_deref())?;
    if incoming::is_ndjson(&headers) {
        let request = request(&app, &in_query, READ_AHEAD, trace)?;
        let (sender, lines) = mpsc::channel(READ_AHEAD);
        tokio::spawn(incoming::read_ndjson(app.limits.clone(), body, sender));
        return Ok(answers(&app, request, lines));
    }
    // Wrong options are refused also where the body has others in their place.
    in_query.check(&*app.models.get(in_query.model.as_deref())?)?;
    let Many { texts, ids, asked } = incoming::json(&app.limits, &headers, body).await?;
    if let Some(ids) = ids.as_ref().filter(|ids| ids.len() != texts.len()) {
        return Err(ApiError::invalid("ids", format!("there are {} ids for {} texts", ids.len(), texts.len())));
    }
    let request = request(&app, &asked.or(in_query), texts.len().min(READ_AHEAD), trace)?;
    let (sender, lines) = mpsc::channel(READ_AHEAD);
    let limits = app.limits.clone();
    tokio::spawn(async move {
        let mut ids = ids.unwrap_or_default().into_iter();
        for text in texts {
            let name = ids.next();
            let line = match incoming::check_length(&limits, &text) {
                Ok(()) => Incoming::Line(LogLine { text, ..LogLine::default() }, name),
                Err(error) => Incoming::Bad(error, name),
            };
            if sender.send(line).await.is_err() {
                return;
            }
        }
    });
    Ok(answers(&app, request, lines))
}

#[derive(Deserialize)]
struct FileQuery {
    name: Option<String>,
    from: Option<String>,
    field: Option<String>,
    #[serde(flatten)]
    asked: Asked,
}

async fn file(
    State(app): State<Arc<App>>,
    Extension(trace): Extension<Trace>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, ApiError> {
    incoming::check_wrapping(&headers)?;
    let FileQuery { name, from, field, asked } = incoming::query(query.as_deref())?;
    let format = from.as_deref().map(str::parse).transpose();
    let format = format.map_err(|error: attackline_telemetry::UnknownFormat| ApiError::invalid("format", format!("from: {error}")))?;
    let request = request(&app, &asked, READ_AHEAD, trace)?;
    let file = incoming::spool(&app.limits, name.as_deref(), body).await?;
    let (sender, lines) = mpsc::channel(READ_AHEAD);
    tokio::task::spawn_blocking(move || incoming::read_file(&file, name.as_deref(), format, field, &sender));
    Ok(answers(&app, request, lines))
}

fn request(app: &App, asked: &Asked, lines: usize, trace: Trace) -> Result<Request, ApiError> {
    let model = app.models.get(asked.model.as_deref())?;
    let options = asked.check(&model)?;
    admit(app, lines.min(app.limits.waiting_lines))?;
    Ok(Request::new(model, options, trace))
}

fn answers(app: &Arc<App>, request: Request, lines: mpsc::Receiver<Incoming>) -> Response {
    let pieces = stream::answer(Arc::clone(&app.scheduler), Arc::clone(&app.metrics), request, lines, app.limits.lines);
    let body = Body::from_stream(unfold(pieces, |mut pieces| async { pieces.recv().await.map(|piece| (piece, pieces)) }));
    ([(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

async fn models(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    let mut models = Vec::new();
    for (place, name) in app.models.names().enumerate() {
        let model = app.models.get(Some(name))?;
        let (labels, threshold) = (model.classifier.labels().names(), round(model.classifier.threshold()));
        models.push(json!({"name": name, "version": model.version, "labels": labels, "threshold": threshold, "default": place == 0}));
    }
    Ok(Json(json!({"feedback": app.feedback.is_some(), "models": models})))
}

async fn reload(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let model = blocking(move || app.models.reload(&name)).await?;
    Ok(Json(json!({"name": model.name, "version": model.version})))
}

async fn openapi(State(app): State<Arc<App>>) -> Json<Value> {
    Json(describe::openapi(&app.models, !app.tokens().is_open()))
}

async fn techniques() -> Json<Value> {
    Json(describe::techniques())
}

async fn technique(Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    describe::technique(&id.to_ascii_uppercase()).map(Json).ok_or_else(|| ApiError::not_found(format!("ATT&CK has no technique {id:?}")))
}

fn feedback(app: &App) -> Result<&Arc<crate::Feedback>, ApiError> {
    app.feedback.as_ref().ok_or_else(|| ApiError::not_found("this server keeps no marks; start it with --feedback FILE"))
}

async fn blocking<T: Send + 'static>(act: impl FnOnce() -> Result<T, ApiError> + Send + 'static) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(act).await;
    done.map_err(ApiError::defect)?
}

async fn mark(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<(StatusCode, Json<Value>), ApiError> {
    let own = Arc::clone(feedback(&app)?);
    let mark: Mark = incoming::json(&app.limits, &headers, body).await?;
    let id = blocking(move || own.add(&mark)).await?;
    Ok((StatusCode::CREATED, Json(json!({"id": id}))))
}

async fn unmark(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let own = Arc::clone(feedback(&app)?);
    let id = id.parse().map_err(|_| ApiError::not_found(format!("there is no mark {id:?}")))?;
    blocking(move || own.remove(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn marks(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let own = Arc::clone(feedback(&app)?);
    let rows = blocking(move || own.training_rows()).await?;
    let text: String = rows.iter().map(|row| format!("{}\n", json_line(row))).collect();
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], text).into_response())
}

async fn summary(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    let own = Arc::clone(feedback(&app)?);
    Ok(Json(blocking(move || own.summary()).await?))
}

async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, ApiError> {
    admit(&app, 1).map(|()| "ready\n")
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let loaded: Vec<_> = app.models.names().filter_map(|name| app.models.get(Some(name)).ok()).collect();
    let cache = loaded.iter().map(|model| model.cache.lookups_and_hits()).fold((0, 0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
    let models = loaded.iter().map(|model| (model.name.clone(), model.version.clone()));
    let text = app.metrics.text(app.scheduler.waiting(), cache, models);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], Bytes::from(text)).into_response()
}

async fn wrong_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this path has other methods; see /docs")
}

async fn page(method: Method, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    if method != Method::GET && method != Method::HEAD {
        return Err(wrong_method().await);
    }
    console::file(uri.path(), &headers).ok_or_else(|| ApiError::not_found("there is nothing here; /docs says what there is"))
}
