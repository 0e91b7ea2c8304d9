//! Bodies and queries, read within bounds.

use crate::ApiError;
use crate::limits::Limits;
use crate::stream::Incoming;
use attackline_telemetry::{Format, InputPath, Inputs, LogLine, ReadOptions, mended_json, row_event};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::io::Write as _;
use std::sync::Arc;
use tempfile::NamedTempFile;
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;

fn text_of(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// In small letters, without parameters.
fn media_type(headers: &HeaderMap) -> String {
    text_of(headers, header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether the body is NDJSON.
pub fn is_ndjson(headers: &HeaderMap) -> bool {
    matches!(media_type(headers).as_str(), "application/x-ndjson" | "application/ndjson" | "application/jsonl")
}

fn unsupported(message: String) -> ApiError {
    ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", message)
}

/// Refuses a body that is wrapped in a way that would be taken for lines.
pub fn check_wrapping(headers: &HeaderMap) -> Result<(), ApiError> {
    let encoding = text_of(headers, header::CONTENT_ENCODING).trim();
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        return Err(unsupported(format!(
            "Content-Encoding: {encoding} is not undone; send the body as it is (a .gz file goes to /api/v1/files without this header)"
        )));
    }
    if media_type(headers).starts_with("multipart/") {
        return Err(unsupported("a form is not taken apart; send the file itself as the body (curl --data-binary @FILE)".into()));
    }
    Ok(())
}

/// Reads a JSON body.
pub async fn json<T: DeserializeOwned>(limits: &Limits, headers: &HeaderMap, body: Body) -> Result<T, ApiError> {
    check_wrapping(headers)?;
    let kind = media_type(headers);
    if !kind.is_empty() && kind != "application/json" {
        return Err(unsupported(format!("{kind:?} can't be read here; send application/json")));
    }
    // Whoever sends a byte now and then does not hold a connection for ever.
    let bytes = timeout(limits.pause * 4, whole(limits, body)).await.map_err(|_| ApiError::slow())??;
    parse(&bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => ApiError::invalid("shape", error.to_string()),
        _ => ApiError::malformed(format!("this is no JSON: {error}")),
    })
}

/// No line is refused for a byte or half a character in it: in a list it would take the others with it.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(bytes).or_else(|error| mended_json(bytes).map_or(Err(error), |text| serde_json::from_str(&text)))
}

async fn whole(limits: &Limits, body: Body) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = next(limits, &mut pieces).await? {
        if bytes.len() + piece.len() > limits.body_bytes {
            let most = limits.body_bytes;
            return Err(ApiError::too_large(format!("a JSON body may have {most} bytes; send NDJSON, which is read as it comes")));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Refuses a text that is longer than a line may be.
pub fn check_length(limits: &Limits, text: &str) -> Result<(), ApiError> {
    let most = limits.line_bytes;
    if text.len() <= most { Ok(()) } else { Err(ApiError::too_large(format!("a line may have {most} bytes"))) }
}

async fn next(limits: &Limits, pieces: &mut axum::body::BodyDataStream) -> Result<Option<Bytes>, ApiError> {
    match timeout(limits.pause, pieces.next()).await {
        Err(_) => Err(ApiError::slow()),
        Ok(None) => Ok(None),
        Ok(Some(Ok(piece))) => Ok(Some(piece)),
        Ok(Some(Err(error))) => Err(ApiError::malformed(format!("the body broke off: {error}"))),
    }
}

/// Reads what a query asks; numbers, truth values and lists divided by commas stand in it as text.
pub fn query<T: DeserializeOwned>(query: Option<&str>) -> Result<T, ApiError> {
    let value = |(name, text): (Cow<str>, Cow<str>)| {
        let value = match name.as_ref() {
            "top" | "threshold" | "scores" | "explain" => match serde_json::from_str(&text) {
                Ok(value @ (Value::Bool(_) | Value::Number(_))) => value,
                _ => Value::String(text.into_owned()),
            },
            "labels" => text.split(',').map(str::trim).filter(|label| !label.is_empty()).collect(),
            _ => Value::String(text.into_owned()),
        };
        (name.into_owned(), value)
    };
    let mut members: Map<String, Value> = Map::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()).map(value) {
        if members.contains_key(&name) {
            return Err(ApiError::invalid("query", format!("{name} is there twice")));
        }
        members.insert(name, value);
    }
    serde_json::from_value(Value::Object(members)).map_err(|error| ApiError::invalid("query", error.to_string()))
}

/// Reads NDJSON as it comes and hands its rows on; waits where they are not taken.
pub async fn read_ndjson(limits: Limits, body: Body, lines: Sender<Incoming>) {
    let mut pieces = body.into_data_stream();
    let mut buffer: Vec<u8> = Vec::new();
    // Of a line that is too long, the rest is skipped.
    let mut skipping = false;
    let mut read = 0u64;
    let mut first = true;
    loop {
        let piece = match next(&limits, &mut pieces).await {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(error) => {
                let _ = lines.send(Incoming::End(error)).await;
                return;
            }
        };
        read += piece.len() as u64;
        if read > limits.file_bytes {
            let error = ApiError::too_large(format!("a request may have {} bytes; the rest was not read", limits.file_bytes));
            let _ = lines.send(Incoming::End(error)).await;
            return;
        }
        let mut rest = piece.as_ref();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            if !skipping {
                buffer.extend_from_slice(&rest[..end]);
                if !hand_on(&buffer, std::mem::take(&mut first), limits.line_bytes, &lines).await {
                    return;
                }
            }
            (skipping, rest) = (false, &rest[end + 1..]);
            buffer.clear();
        }
        if !skipping {
            buffer.extend_from_slice(rest);
            if buffer.len() > limits.line_bytes {
                if !hand_on(&buffer, std::mem::take(&mut first), limits.line_bytes, &lines).await {
                    return;
                }
                skipping = true;
                buffer.clear();
            }
        }
    }
    if !skipping {
        hand_on(&buffer, first, limits.line_bytes, &lines).await;
    }
}

/// The UTF-8 byte order mark, which may stand before the first line.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether anybody still takes lines.
async fn hand_on(bytes: &[u8], is_first: bool, most: usize, lines: &Sender<Incoming>) -> bool {
    let bytes = bytes.strip_prefix(MARK).filter(|_| is_first).unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return true;
    }
    lines.send(row(bytes, most)).await.is_ok()
}

fn row(bytes: &[u8], most: usize) -> Incoming {
    if bytes.len() > most {
        return Incoming::Bad(ApiError::too_large(format!("a line may have {most} bytes")), None);
    }
    let mut members: Map<String, Value> = match parse(bytes) {
        Ok(members) => members,
        Err(error) => return Incoming::Bad(ApiError::unreadable(format!("this is no JSON object: {error}")), None),
    };
    let name = members.remove("id");
    let text = match members.remove("text") {
        Some(Value::String(text)) => text,
        Some(_) => return Incoming::Bad(ApiError::unreadable("text: a string is wanted"), name),
        None => return Incoming::Bad(ApiError::unreadable("the row has no text"), name),
    };
    let event = row_event(&members);
    let input = (!members.is_empty()).then_some(members);
    Incoming::Line(LogLine { text, event, input, ..LogLine::default() }, name)
}

/// Writes a body to a temporary file, since archives and event logs are read from their end.
pub async fn spool(limits: &Limits, name: Option<&str>, body: Body) -> Result<NamedTempFile, ApiError> {
    let full = |error: std::io::Error| ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "storage", format!("the file could not be kept: {error}"));
    // The reader looks at the name's ending too.
    let ending = name.and_then(|name| name.rsplit_once('.')).map_or("", |(_, ending)| ending);
    let ending: String = ending.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
    let mut file = tempfile::Builder::new().suffix(&format!(".{ending}")).tempfile().map_err(full)?;
    let mut pieces = body.into_data_stream();
    let mut read = 0u64;
    while let Some(piece) = next(limits, &mut pieces).await? {
        read += piece.len() as u64;
        if read > limits.file_bytes {
            return Err(ApiError::too_large(format!("a file may have {} bytes", limits.file_bytes)));
        }
        file.write_all(&piece).map_err(full)?;
    }
    file.flush().map_err(full)?;
    Ok(file)
}

/// Reads a file's lines and hands them on, under the name that its sender gave it.
pub fn read_file(file: &NamedTempFile, name: Option<&str>, format: Option<Format>, field: Option<String>, lines: &Sender<Incoming>) {
    let own = file.path().display().to_string();
    let name = name.unwrap_or("upload");
    let options = ReadOptions { format, field, ..ReadOptions::default() };
    for line in Inputs::new(vec![InputPath::from(file.path().to_owned())], options) {
        let incoming = match line {
            Ok(mut line) => {
                line.source.file = line.source.file.map(|path| Arc::from(path.replace(&own, name)));
                Incoming::Line(line, None)
            }
            Err(error) => Incoming::Bad(ApiError::invalid("unreadable", error.to_string().replace(&own, name)), None),
        };
        if lines.blocking_send(incoming).is_err() {
            return;
        }
    }
}
