//! What carries traces to a collector: HTTP without encryption, on the exporter's own thread. A collector stands beside the server; what goes
//! farther is encrypted by it.

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// How long a collector may take for each step.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most that is read of a collector's answer, in bytes.
const LONGEST_ANSWER: u64 = 64 << 10;

/// Sends a request on a connection of its own.
#[derive(Debug)]
pub struct Sender;

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (uri, body) = (request.uri(), request.body());
        if uri.scheme_str() != Some("http") {
            return Err(format!("{uri}: traces go to a collector at http://, which sends them on encrypted").into());
        }
        let host = uri.host().ok_or("the address of the collector has no host")?;
        let port = uri.port_u16().unwrap_or(80);
        let address = (host.trim_matches(['[', ']']), port).to_socket_addrs()?.next().ok_or("the collector's name leads nowhere")?;
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut head =
            format!("{} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\nContent-Length: {}\r\n", request.method(), body.len());
        for (name, value) in request.headers() {
            head.push_str(&format!("{name}: {}\r\n", value.to_str()?));
        }
        stream.write_all((head + "\r\n").as_bytes())?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
        // The status is all that counts.
        let status = std::str::from_utf8(answer.get(9..12).unwrap_or_default())?;
        Ok(Response::builder().status(status).body(Bytes::new())?)
    }
}
