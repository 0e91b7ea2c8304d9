//! The console's files, out of the program itself.

use crate::tokens::hex;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// Names and bytes of the files in `web/`.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/console_files.rs"));

/// What the page may do: run and fetch what this server gives, nothing else.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct File {
    name: &'static str,
    bytes: &'static [u8],
    /// A strong validator: a part of the hash of the bytes.
    tag: String,
}

static TAGGED: LazyLock<Vec<File>> = LazyLock::new(|| {
    let tagged = |&(name, bytes): &(&'static str, &'static [u8])| File { name, bytes, tag: tag(bytes) };
    FILES.iter().map(tagged).collect()
});

fn tag(bytes: &[u8]) -> String {
    format!("\"{}\"", hex(&Sha256::digest(bytes)[..12]))
}

/// The file at `path`, `None` where there is none; the page itself at `/`.
pub fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
    let name = match path.trim_start_matches('/') {
        "" => "index.html",
        name => name,
    };
    let file = TAGGED.iter().find(|file| file.name == name)?;
    let kind = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "image/svg+xml",
    };
    // What a browser has is asked for again each time, and not sent again while it is the same.
    let fixed = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache"), (header::ETAG, file.tag.as_str())];
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tags| tags.to_str().is_ok_and(|tags| tags.contains(&file.tag)));
    Some(if known { (StatusCode::NOT_MODIFIED, fixed).into_response() } else { (fixed, Body::from(file.bytes)).into_response() })
}

/// Headers that every answer has.
pub fn guard(headers: &mut HeaderMap) {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in fixed {
        headers.insert(name, axum::http::HeaderValue::from_static(value));
    }
}
