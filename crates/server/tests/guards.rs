//! Who is let in, and what happens when clients or disks behave badly.
#![allow(clippy::unwrap_used)]

mod support;

use attackline_server::{Limits, Tokens, token_entry};
use serde_json::json;
use std::io::{Read, Write};
use std::time::Duration;
use support::{read, start, start_with};

#[test]
fn every_route_wants_its_role() {
    let file = ["read", "classify", "admin"].map(|role| token_entry(role, &format!("{role}-token")).unwrap()).join("\n");
    let folder = tempfile::tempdir().unwrap();
    let server = start_with(Limits::default(), Tokens::parse(&file).unwrap(), Some(&folder.path().join("marks.db")));
    // Statuses without a token, with a wrong one, and with those of the three roles.
    for (method, path, body, wanted) in [
        ("GET", "/healthz", "", [200; 5]),
        ("GET", "/", "", [200; 5]),
        ("GET", "/openapi.json", "", [200; 5]),
        ("GET", "/metrics", "", [401, 401, 200, 200, 200]),
        ("GET", "/api/v1/models", "", [401, 401, 200, 200, 200]),
        ("GET", "/api/v1/techniques", "", [401, 401, 200, 200, 200]),
        ("GET", "/api/v1/techniques/T1049", "", [401, 401, 200, 200, 200]),
        ("GET", "/api/v1/feedback/summary", "", [401, 401, 200, 200, 200]),
        ("GET", "/api/v1/feedback", "", [401, 401, 403, 200, 200]),
        ("POST", "/api", r#"{"text":"1"}"#, [401, 401, 403, 200, 200]),
        ("POST", "/api/v1/classify", r#"{"texts":["1"]}"#, [401, 401, 403, 200, 200]),
        ("POST", "/api/v1/files", "1", [401, 401, 403, 200, 200]),
        ("POST", "/api/v1/models/fake/reload", "", [401, 401, 403, 403, 200]),
        ("DELETE", "/api/v1/feedback/1", "", [401, 401, 403, 404, 404]),
    ] {
        let tokens = [None, Some("other"), Some("read-token"), Some("classify-token"), Some("admin-token")];
        for (token, status) in tokens.into_iter().zip(wanted) {
            let header = token.map(|token| format!("Authorization: Bearer {token}"));
            let headers: Vec<&str> = header.as_deref().into_iter().chain(["Content-Type: application/json"]).collect();
            assert_eq!(server.send(method, path, &headers, body.as_bytes()).status, status, "{method} {path} with {token:?}");
        }
    }
}

#[test]
fn a_token_that_is_taken_back_opens_nothing_more() {
    let tokens = |names: &[&str]| Tokens::parse(&names.iter().map(|name| token_entry("read", name).unwrap() + "\n").collect::<String>()).unwrap();
    let server = start_with(Limits::default(), tokens(&["one", "two"]), None);
    let status = |token: &str| server.send("GET", "/api/v1/models", &[&format!("Authorization: bearer {token}")], b"").status;
    assert_eq!([status("one"), status("two")], [200, 200]);
    server.server.set_tokens(tokens(&["two"]));
    assert_eq!([status("one"), status("two")], [401, 200]);
}

#[test]
fn pages_of_other_sites_are_not_answered() {
    let server = start();
    let headers = ["Content-Type: application/json", "Origin: https://example.org"];
    assert_eq!(server.send("POST", "/api", &headers, br#"{"text":"1"}"#).status, 403);
    let own = format!("Origin: http://{}", server.address);
    assert_eq!(server.send("POST", "/api", &["Content-Type: application/json", &own], br#"{"text":"1"}"#).status, 200);
}

#[test]
fn a_name_that_was_led_here_is_not_answered() {
    let server = start();
    let ask = |host: &str| {
        let mut stream = server.connect();
        write!(stream, "GET /api/v1/models HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        read(stream).status
    };
    for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "192.0.2.7"] {
        assert_eq!(ask(host), 200, "{host}");
    }
    for host in ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "a b"] {
        assert_eq!(ask(host), 403, "{host}");
    }
}

#[test]
fn marks_are_kept_and_come_out_as_training_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("marks.db");
    {
        let server = start_with(Limits::default(), Tokens::default(), Some(&path));
        let mark = |verdict: &str, correct: Option<&str>| {
            let mut mark = json!({"text": "netstat \u{202e}=1+1", "label": "T1049", "score": 0.9, "verdict": verdict});
            correct.into_iter().for_each(|label| mark["correct_label"] = label.into());
            server.post("/api/v1/feedback", &mark.to_string())
        };
        for (number, (verdict, correct)) in [("right", None), ("wrong", Some("T1016")), ("wrong", None), ("benign", None)].into_iter().enumerate() {
            let answer = mark(verdict, correct);
            assert_eq!((answer.status, answer.json()["id"].as_u64()), (201, Some(number as u64 + 1)), "{}", answer.body);
        }
        assert_eq!(mark("maybe", None).status, 422);
        assert_eq!(mark("wrong", Some("T0")).status, 422);
        let summary = server.get("/api/v1/feedback/summary").json();
        assert_eq!(summary["techniques"][0], json!({"label": "T1049", "right": 1, "wrong": 2, "benign": 1, "false_positive_rate": 0.25}));
        assert_eq!(server.send("DELETE", "/api/v1/feedback/1", &[], b"").status, 204);
        assert_eq!(server.send("DELETE", "/api/v1/feedback/1", &[], b"").status, 404);
    }
    let server = start_with(Limits::default(), Tokens::default(), Some(&path));
    let rows = server.get("/api/v1/feedback").rows();
    assert_eq!(rows.iter().map(|row| row["label"].as_str().unwrap()).collect::<Vec<_>>(), ["T1016", "Benign"], "after a restart");
}

#[test]
fn a_full_queue_refuses_and_says_when_to_come_again() {
    let server = start_with(Limits { waiting_lines: 70, ..Limits::default() }, Tokens::default(), None);
    let texts: Vec<String> = (0..400).map(|number| format!("slowish {number}")).collect();
    let slow = json!({"texts": texts}).to_string();
    let busy = std::thread::scope(|scope| {
        let under_way: Vec<_> = (0..3).map(|_| scope.spawn(|| server.post("/api/v1/classify", &slow))).collect();
        // The first of them fills the queue for some seconds.
        let asked = std::iter::repeat_with(|| server.post("/api", r#"{"text":"1"}"#));
        let refused = asked.take_while(|_| !under_way.iter().all(|request| request.is_finished())).find(|answer| answer.status == 503);
        let finished = under_way.into_iter().map(|request| request.join().unwrap()).filter(|answer| answer.status == 200).count();
        assert!(finished > 0);
        refused
    });
    let busy = busy.expect("one of many requests comes while the queue is full");
    assert!(busy.head.contains("retry-after: 1") && busy.json()["error_type"] == "busy", "{}", busy.head);
}

#[test]
fn a_small_request_does_not_wait_for_a_large_one() {
    let server = start();
    let large: Vec<String> = (0..4000).map(|number| if number % 4 == 0 { format!("slowish {number}") } else { format!("{number}") }).collect();
    let mut stream = server.connect();
    let body = json!({"texts": large}).to_string();
    write!(
        stream,
        "POST /api/v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    // The large one takes minutes; the small one is answered meanwhile, and the server stops without waiting for who went away.
    assert_eq!(server.post("/api", r#"{"text":"1"}"#).status, 200);
    drop(stream);
}

#[test]
fn slow_and_lying_clients_cost_nothing_but_their_connection() {
    let server = start_with(Limits { pause: Duration::from_millis(300), ..Limits::default() }, Tokens::default(), None);
    let head = "POST /api HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n";
    for (request, statuses) in [
        (format!("{head}Content-Length: 1000\r\n\r\n{{\"text\""), &[408][..]),
        ("POST /api HT".to_owned(), &[0, 408]),
        ("\0\u{1}\u{2}garbage\r\n\r\n".to_owned(), &[0, 400]),
        (format!("{head}Content-Length: -5\r\n\r\n"), &[400]),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n"), &[400]),
    ] {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let answer = read(stream);
        assert!(statuses.contains(&answer.status), "{request:?}: {} {}", answer.status, answer.body);
    }
    for _ in 0..50 {
        drop(server.connect());
    }
    assert_eq!(server.post("/api", r#"{"text":"1"}"#).status, 200);
}

#[test]
fn who_has_closed_its_own_side_is_still_answered() {
    let server = start();
    let rows: String = (0..3000).map(|number| format!("{{\"text\":\"line {number}\"}}\n")).collect();
    for (path, kind, body, lines) in [
        ("/api", "application/json", r#"{"text": "slow"}"#, 1),
        ("/api/v1/classify", "application/json", r#"{"texts": ["slow", "slow 1"]}"#, 2),
        ("/api/v1/classify", "application/x-ndjson", &rows, 3000),
        ("/api/v1/files", "text/plain", "slow\nslow\n", 2),
    ] {
        let mut stream = server.connect();
        write!(stream, "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = read(stream);
        assert_eq!((answer.status, answer.body.lines().count()), (200, lines), "{path}: {}", answer.head);
    }
    // And what ends before it is whole is no request.
    for begun in ["GET /healthz HTTP/1.1\r\nHost: loc", "POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"] {
        let mut stream = server.connect();
        stream.write_all(begun.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(matches!(read(stream).status, 0 | 400), "{begun}");
    }
}

#[test]
fn who_takes_nothing_is_given_up() {
    let server = start_with(Limits { pause: Duration::from_secs(1), connections: 1, ..Limits::default() }, Tokens::default(), None);
    let mut idle = server.connect();
    let text = "a".repeat(500_000);
    let body = json!({"texts": vec![&text; 30]}).to_string();
    let head = "POST /api/v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json";
    // On a busy machine a pause while it is sent may come first.
    let _ = write!(idle, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    // It has the only connection, and 15 MB of answers that it never reads.
    assert_eq!(server.post("/api", r#"{"text":"1"}"#).status, 200);
    drop(idle);
}

#[test]
fn lines_have_their_bounds() {
    let server = start_with(Limits { line_bytes: 100, lines: 3, ..Limits::default() }, Tokens::default(), None);
    let long = "a".repeat(101);
    assert_eq!(server.post("/api", &json!({"text": long}).to_string()).status, 413);
    let kinds = |rows: Vec<serde_json::Value>| rows.iter().map(|row| row["error_type"].as_str().unwrap_or("").to_owned()).collect::<Vec<_>>();
    let many = json!({"texts": ["1", long, "3", "4", "5"]}).to_string();
    assert_eq!(kinds(server.post("/api/v1/classify", &many).rows()), ["", "too_large", "", "too_large"]);
    let rows = format!("{{\"text\":\"{long}\"}}\n{{\"text\":\"2\"}}\n");
    assert_eq!(kinds(server.rows("/api/v1/classify", &rows).rows()), ["too_large", ""]);
}

#[test]
fn who_does_not_read_holds_up_nobody_else() {
    let server = start();
    let mut idle = server.connect();
    let text = format!("{{\"text\":\"{} 1\"}}\n", "a".repeat(2000));
    write!(idle, "POST /api/v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    idle.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    // Never reading the answers, until the server takes nothing more.
    let mut sent = 0usize;
    while sent < 64 << 20 && write!(idle, "{:x}\r\n{text}\r\n", text.len()).is_ok() {
        sent += text.len();
    }
    assert!(sent < 64 << 20, "the server must stop reading what nobody takes the answers to");
    assert_eq!(server.post("/api", r#"{"text":"1"}"#).status, 200);
}

#[test]
fn stopping_finishes_what_is_under_way() {
    let server = start();
    std::thread::scope(|scope| {
        let under_way = scope.spawn(|| server.post("/api/v1/classify", &json!({"texts": ["slow", "slow 1", "slow"]}).to_string()));
        std::thread::sleep(Duration::from_millis(100));
        server.server.stop();
        let answer = under_way.join().unwrap();
        assert_eq!((answer.status, answer.rows().len()), (200, 3));
    });
    std::thread::sleep(Duration::from_millis(100));
    let refused = std::net::TcpStream::connect(server.address).map(|mut stream| {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.read(&mut [0; 16]).unwrap_or(0)
    });
    assert!(matches!(refused, Err(_) | Ok(0)), "nothing new is taken");
}

#[test]
fn a_client_has_its_rate() {
    let server = start_with(Limits { requests_per_second: Some(3), ..Limits::default() }, Tokens::default(), None);
    let statuses: Vec<u16> = (0..6).map(|_| server.post("/api", r#"{"text":"1"}"#).status).collect();
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
}
