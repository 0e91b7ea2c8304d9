//! What each route answers, to good requests and to bad ones.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use std::io::Write;
use std::sync::atomic::Ordering;
use support::{read, start, start_with};

#[test]
fn one_line_is_answered_as_the_specification_says() {
    let server = start();
    let answer = server.post("/api", r#"{"text": "netstat 900"}"#);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let value = answer.json();
    assert_eq!(value.as_object().unwrap().keys().collect::<Vec<_>>(), ["label", "score", "attack", "abstained", "technique", "top"]);
    assert_eq!((&value["attack"], &value["abstained"]), (&json!(0.9), &json!(false)));
    assert_eq!((&value["label"], &value["score"], &value["technique"]["id"]), (&json!("T1049"), &json!(0.675), &json!("T1049")));
    assert_eq!(server.post("/api", r#"{"text": "dir"}"#).json()["technique"], Value::Null);
}

#[test]
fn many_lines_come_back_in_order_with_their_ids() {
    let server = start();
    let texts: Vec<String> = (0..3000).map(|number| format!("line {}", number % 1000)).collect();
    let ids: Vec<Value> = (0..3000).map(|number| json!({"row": number})).collect();
    let answer = server.post("/api/v1/classify", &json!({"texts": texts, "ids": ids, "top": 2, "scores": true, "threshold": 0.8}).to_string());
    let rows = answer.rows();
    assert_eq!((answer.status, rows.len()), (200, 3000));
    for (number, row) in rows.iter().enumerate() {
        assert_eq!((&row["line"], &row["id"]["row"], row["text"].as_str().unwrap()), (&json!(number + 1), &json!(number), texts[number].as_str()));
        assert_eq!(row["abstained"], json!((501..800).contains(&(number % 1000))), "{row}");
    }
    assert_eq!((rows[900]["top"].as_array().unwrap().len(), rows[900]["scores"].as_object().unwrap().len()), (2, 3));
    assert_eq!(rows[0]["model"], json!({"name": "fake", "version": "fake"}));
}

#[test]
fn rows_are_answered_as_they_come_and_bad_ones_in_their_place() {
    let server = start();
    let rows = "\u{feff}{\"text\":\"900\",\"id\":7,\"ticket\":3}\n\nnonsense\n{\"text\":5,\"id\":\"five\"}\n{}\n{\"text\":\"x\"}\n{\"text\":\"800\"}";
    let answer = server.rows("/api/v1/classify?top=3&labels=T1049&explain=true", rows).rows();
    assert_eq!(answer.len(), 6);
    assert_eq!((&answer[0]["id"], &answer[0]["input"]), (&json!(7), &json!({"ticket": 3})));
    assert_eq!(answer[0]["top"].as_array().unwrap().len(), 2);
    assert_eq!(answer[0]["evidence"][0], json!({"start": 0, "end": 3, "weight": 1.0}));
    for bad in &answer[1..5] {
        assert!(bad["error"].is_string() && bad["error_type"] == "unreadable_line", "{bad}");
    }
    assert_eq!(answer[2]["id"], "five", "who sent it must find it again");
    assert_eq!((&answer[5]["text"], &answer[5]["line"]), (&json!("800"), &json!(6)));
}

#[test]
fn what_started_a_line_is_heard() {
    let server = start();
    // Even odds below nine to one.
    let rows = ["500", "900", "x", "500"].map(|parent| format!("{{\"text\":\"500\",\"parent\":\"{parent}\"}}\n")).concat();
    let answers = server.rows("/api/v1/classify?explain=true", &format!("{rows}{{\"text\":\"500\"}}")).rows();
    let found: Vec<[&Value; 2]> = answers.iter().map(|row| [&row["attack"], &row["parent_attack"]]).collect();
    assert_eq!(found[0], [&json!(0.5), &json!(0.5)], "a usual parent changes nothing");
    assert_eq!(found[1], [&json!(0.9), &json!(0.9)]);
    assert_eq!(found[2], [&json!(0.5), &Value::Null], "one that can't be read is not heard");
    assert_eq!((found[3], found[4]), (found[0], found[2]));
    assert_eq!(answers[1]["event"], json!({"parent": "900"}));
    assert_eq!(answers[1]["evidence"][0], json!({"start": 0, "end": 3, "weight": 1.0}));
    assert_eq!(server.post("/api", r#"{"text": "500", "parent": "900"}"#).json()["score"], json!(0.675));
    assert_eq!(server.post("/api", r#"{"text": "500", "parent": 900}"#).status, 422);
}

#[test]
fn answers_are_harmless_to_a_terminal() {
    let server = start();
    let hostile = "900 \u{9b}2J\u{202e}\u{7f}\u{3164}";
    let answer = server.post("/api/v1/classify", &json!({"texts": [hostile], "ids": [hostile]}).to_string());
    assert!(answer.body.is_ascii() && !answer.body.contains('\u{7f}'), "{:?}", answer.body);
    assert_eq!((&answer.rows()[0]["text"], &answer.rows()[0]["id"]), (&json!(hostile), &json!(hostile)));
}

#[test]
fn no_line_hides_in_bytes_that_json_does_not_know() {
    let server = start();
    let shown = "900 \u{fffd} x";
    for text in [&b"900 \\ud800 x"[..], b"900 \\udc00 x", b"900 \xff x"] {
        let row = [b"{\"text\":\"", text, b"\"}"].concat();
        let many = [b"{\"texts\":[\"dir\",\"", text, b"\"]}"].concat();
        let json = ["Content-Type: application/json"];
        assert_eq!(server.send("POST", "/api", &json, &row).json()["attack"], json!(0.9), "{}", String::from_utf8_lossy(text));
        assert_eq!(server.send("POST", "/api/v1/classify", &json, &many).rows()[1]["text"], shown);
        assert_eq!(server.send("POST", "/api/v1/classify", &["Content-Type: application/x-ndjson"], &row).rows()[0]["text"], shown);
    }
}

#[test]
fn what_is_wanted_instead_is_named() {
    let server = start();
    for (path, body, wanted) in [
        ("/api", r#""netstat -ano""#, "an object with the member text"),
        ("/api/v1/classify", r#"["netstat -ano"]"#, "an object with the member texts, a list of lines"),
        ("/api/v1/classify", r#"{"texts": "netstat -ano"}"#, "a sequence"),
    ] {
        let answer = server.post(path, body);
        assert!(answer.status == 422 && answer.json()["error"].as_str().is_some_and(|error| error.contains(wanted)), "{}", answer.body);
    }
}

#[test]
fn a_defect_in_a_model_is_said_and_survived() {
    let server = start();
    for _ in 0..5 {
        let answer = server.post("/api", r#"{"text": "panic"}"#);
        assert_eq!((answer.status, &answer.json()["error_type"]), (500, &json!("internal")));
    }
    assert_eq!(server.post("/api", r#"{"text": "900"}"#).status, 200);
}

#[test]
fn a_stream_is_answered_before_it_ends() {
    let server = start();
    let mut stream = server.connect();
    write!(
        stream,
        "POST /api/v1/classify HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-ndjson\r\n\r\n",
        server.address
    )
    .unwrap();
    let mut chunk = |text: &str| write!(stream, "{:x}\r\n{text}\r\n", text.len()).unwrap();
    chunk("{\"text\":\"1");
    chunk("00\"}\n");
    let mut seen = String::new();
    let mut reader = stream.try_clone().unwrap();
    while !seen.contains("\"line\":1") {
        let mut bytes = [0; 4096];
        let length = std::io::Read::read(&mut reader, &mut bytes).unwrap();
        assert!(length > 0, "the answer must come before the request ends: {seen}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
    write!(stream, "0\r\n\r\n").unwrap();
    assert!(!read(stream).head.contains("500"));
}

#[test]
fn files_are_read_in_their_formats() {
    let server = start();
    let csv = server.send("POST", "/api/v1/files?name=log%20one.csv&field=command", &[], b"time,command\n1,netstat 900\n2,dir\n");
    let rows = csv.rows();
    assert_eq!((csv.status, rows.len()), (200, 2), "{}", csv.body);
    assert_eq!((&rows[0]["text"], &rows[0]["source"]["file"]), (&json!("netstat 900"), &json!("log one.csv")));
    let text = server.send("POST", "/api/v1/files?from=text", &[], b"900\n\xff\xfe broken\n").rows();
    assert_eq!(text.len(), 2);
    assert_eq!(server.send("POST", "/api/v1/files?from=docx", &[], b"x").status, 422);
    assert!(server.send("POST", "/api/v1/files", &[], b"").rows().is_empty());
    let cut = server.send("POST", "/api/v1/files?name=a.evtx", &[], b"ElfFile\0\x01\x02").rows();
    assert!(cut.iter().any(|row| row["error"].as_str().is_some_and(|error| error.contains("a.evtx"))), "{cut:?}");
}

#[test]
fn equal_lines_are_remembered_and_loading_again_forgets_them() {
    let server = start();
    for _ in 0..5 {
        server.post("/api", r#"{"text": "same 700"}"#);
    }
    assert_eq!(server.passes.load(Ordering::Relaxed), 1);
    let answer = server.post("/api/v1/models/fake/reload", "");
    assert_eq!((answer.status, &answer.json()["version"]), (200, &json!("fake (load 2)")));
    server.post("/api", r#"{"text": "same 700"}"#);
    assert_eq!(server.passes.load(Ordering::Relaxed), 2);
    *server.loadable.lock().unwrap() = false;
    let failed = server.post("/api/v1/models/fake/reload", "");
    assert!(failed.status == 422 && failed.body.contains("the folder is gone"), "{}", failed.body);
    assert_eq!(server.post("/api", r#"{"text": "still 700"}"#).status, 200);
}

#[test]
fn every_refusal_is_json_with_its_status() {
    let limits = attackline_server::Limits { body_bytes: 200, file_bytes: 400, ..Default::default() };
    let server = start_with(limits, Default::default(), None);
    let long = format!("{{\"text\": \"{}\"}}", "a".repeat(300));
    for (path, body, status) in [
        ("/api", "{", 400),
        ("/api", "", 400),
        ("/api", "{}", 422),
        ("/api", r#"{"text": 5}"#, 422),
        ("/api", r#"{"text": "x"}"#, 422),
        ("/api", r#"{"text": "a", "other": 1}"#, 422),
        ("/api", long.as_str(), 413),
        ("/api/v1/classify", r#"{"texts": ["a"], "labels": ["T9999"]}"#, 422),
        ("/api/v1/classify", r#"{"texts": ["a"], "top": 0}"#, 422),
        ("/api/v1/classify", r#"{"texts": ["a"], "top": 1.5}"#, 422),
        ("/api/v1/classify", r#"{"texts": ["a"], "top": 1e300}"#, 422),
        ("/api/v1/classify?top=1001", r#"{"texts": ["a"], "top": 1}"#, 422),
        ("/api/v1/classify", r#"{"texts": ["a"], "threshold": 7}"#, 422),
        ("/api/v1/classify", r#"{"texts": ["a"], "threshold": 1.0000000000000002}"#, 422),
        ("/api/v1/classify", r#"{"texts": ["a"], "model": "other"}"#, 422),
        ("/api/v1/classify", r#"{"texts": ["a"], "ids": []}"#, 422),
        ("/api/v1/classify", r#"{"texts": ["a"], "labels": "T1049"}"#, 422),
        ("/api/v1/classify", r#"{"texts": ["a"], "treshold": 0.5}"#, 422),
        ("/api/v1/classify?treshold=0.5", r#"{"texts": ["a"]}"#, 422),
        ("/api/v1/files?treshold=0.5", "a", 422),
        ("/api?threshold=0.5", r#"{"text": "a"}"#, 422),
        ("/api/v1/models/other/reload", "", 404),
        ("/api/v1/feedback", "{}", 404),
        ("/nothing", "", 405),
    ] {
        let answer = server.post(path, body);
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
        assert!(answer.json()["error"].is_string() && answer.json()["error_type"].is_string());
        assert!(answer.head.contains("content-security-policy: default-src 'none'") && answer.head.contains("nosniff"), "{}", answer.head);
    }
    assert_eq!(server.send("POST", "/api", &["Content-Type: text/plain"], b"x").status, 415);
    for (path, header) in [("/api/v1/classify", "Content-Encoding: gzip"), ("/api/v1/files", "Content-Type: multipart/form-data; boundary=x")] {
        assert_eq!(server.send("POST", path, &[header], b"x").status, 415, "{header}");
    }
    assert_eq!(server.send("POST", "/api", &["Content-Type: Application/JSON; charset=utf-8"], br#"{"text": "1"}"#).status, 200);
    assert_eq!(server.send("POST", "/api/v1/files", &[], &[b'a'; 500]).status, 413);
    let both = server.post("/api/v1/classify?top=2&scores=true", r#"{"texts": ["900"], "top": 1.0}"#).rows();
    assert_eq!((both[0]["top"].as_array().unwrap().len(), both[0]["scores"].is_object()), (1, true), "the body's options come first");
    for query in ["top=many", "top=null", "scores=1", "threshold=true", "labels=T1049,T9999", "top=1&top=2"] {
        assert_eq!(server.rows(&format!("/api/v1/classify?{query}"), "").status, 422, "{query}");
    }
    let rows = server.rows("/api/v1/classify", &"{\"text\":\"100\"}\n".repeat(100)).rows();
    assert_eq!(rows.last().unwrap()["error_type"], "too_large");
    for path in ["/api/v1/techniques/T0", "/nothing", "/../Cargo.toml"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}

#[test]
fn the_server_describes_itself() {
    let server = start();
    assert_eq!((server.get("/healthz").body.as_str(), server.get("/readyz").status), ("ok\n", 200));
    let page = server.get("/");
    assert!(page.status == 200 && page.head.contains("text/html") && page.body.contains("attackline"));
    let tag = page.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    assert_eq!(server.send("GET", "/", &[&format!("If-None-Match: {tag}")], b"").status, 304);
    assert!(server.get("/app.js").head.contains("text/javascript"));
    let described = server.get("/openapi.json").json();
    assert_eq!(described["components"]["schemas"]["ModelName"]["enum"], json!(["fake"]));
    assert_eq!(described["components"]["schemas"]["Label"]["enum"], json!(["T1003.002", "T1049"]));
    let paths = described["paths"].as_object().unwrap().clone();
    assert!(server.get("/docs").body.contains("/api/v1/classify"));
    for (path, methods) in &paths {
        for method in methods.as_object().unwrap().keys() {
            let answer = server.send(&method.to_uppercase(), &path.replace("{name}", "other").replace("{id}", "0"), &[], b"");
            assert_ne!(answer.status, 405, "{method} {path} is described, so it must be there");
        }
    }
    let technique = server.get("/api/v1/techniques/T1003").json();
    assert_eq!(server.get("/api/v1/techniques/t1003").json(), technique, "an id's case doesn't count");
    assert!(technique["sub_techniques"].as_array().unwrap().contains(&json!("T1003.002")));
    let all = server.get("/api/v1/techniques").json();
    let listed = all["techniques"].as_array().unwrap();
    assert_eq!((&all["version"], all["tactics"].as_array().unwrap().len(), listed.len()), (&json!("18.1"), 14, 691));
    assert!(listed.iter().all(|technique| technique["id"] != "T1064" && technique["withdrawn"].is_null()));
    assert_eq!(server.get("/api/v1/techniques/T1064").json()["withdrawn"], true, "old findings may still name it");
    let models = server.get("/api/v1/models").json();
    assert_eq!((&models["feedback"], &models["models"][0]["default"]), (&json!(false), &json!(true)));
}

#[test]
fn metrics_and_logs_count_but_never_quote() {
    let server = start();
    server.post("/api/v1/classify", r#"{"texts": ["a secret 900", "a secret 100", "a secret 900"]}"#);
    server.rows("/api/v1/classify", "{\"text\":\"x\"}\nno secret\n{}\n");
    let metrics = server.get("/metrics").body;
    for part in [
        "attackline_lines_total 3",
        "attackline_line_errors_total{error_type=\"unreadable_line\"} 3",
        "attackline_findings_total{label=\"T1049\",abstained=\"false\"} 2",
        "attackline_model_info{name=\"fake\"",
    ] {
        assert!(metrics.contains(part), "{part} in {metrics}");
    }
    let logged = server.logged.lock().unwrap().join("\n");
    assert!(logged.contains("\"route\":\"/api/v1/classify\"") && !logged.contains("secret") && !metrics.contains("secret"), "{logged}");
}
