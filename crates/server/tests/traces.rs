//! Traces reach a collector, hang together, and hold no text of a line.
#![cfg(feature = "opentelemetry")]
#![allow(clippy::unwrap_used)]

mod support;

use attackline_server::Traces;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

/// Takes what is sent to it until nothing comes any more; gives the requests as they came.
fn collector() -> (String, std::thread::JoinHandle<Vec<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let taken = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut request = Vec::new();
            let mut piece = [0; 4096];
            while !is_whole(&request) {
                match stream.read(&mut piece).unwrap() {
                    0 => return requests,
                    length => request.extend_from_slice(&piece[..length]),
                }
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            requests.push(request);
        }
        requests
    });
    (address, taken)
}

fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse::<usize>().unwrap();
    request.len() >= end + 4 + length
}

fn count(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).filter(|some| *some == wanted).count()
}

#[test]
fn a_request_is_a_trace_with_its_stages_and_without_its_text() {
    let (address, taken) = collector();
    let server = support::start_traced(Traces::to(&address).unwrap());
    let (trace, parent) = (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128, 0x00f0_67aa_0ba9_02b7_u64);
    let header = format!("traceparent: 00-{trace:032x}-{parent:016x}-01");
    let body = br#"{"texts": ["a secret 900", "a secret 100"]}"#;
    assert_eq!(server.send("POST", "/api/v1/classify", &["Content-Type: application/json", &header], body).status, 200);
    assert_eq!(server.post("/api", r#"{"text": "another secret 900"}"#).status, 200);
    assert_eq!(server.get("/healthz").status, 200);
    drop(server);
    // The server has sent all before it ended; an empty connection ends the collector.
    drop(std::net::TcpStream::connect(address.trim_start_matches("http://").trim_end_matches("/v1/traces")).unwrap());
    let requests = taken.join().unwrap();
    assert!(requests.iter().all(|request| request.starts_with(b"POST /v1/traces HTTP/1.1\r\n")), "{}", requests.len());
    let sent = requests.concat();
    for (part, times) in [("POST /api/v1/classify", 1), ("read", 2), ("queue", 2), ("infer", 2), ("write", 2), ("attackline.lines", 2), ("fake", 4)] {
        assert_eq!(count(&sent, part.as_bytes()), times, "{part}");
    }
    assert_eq!(count(&sent, &trace.to_be_bytes()), 5, "the request's span and its four children are part of the caller's trace");
    assert_eq!(count(&sent, &parent.to_be_bytes()), 1);
    assert_eq!((count(&sent, b"secret"), count(&sent, b"healthz")), (0, 0));
}

#[test]
fn a_collector_that_is_gone_is_no_event() {
    let server = support::start_traced(Traces::to("http://127.0.0.1:9/v1/traces").unwrap());
    assert_eq!(server.post("/api", r#"{"text": "900"}"#).status, 200);
}
