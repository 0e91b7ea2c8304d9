//! The three formats, on lines that a log could hold.
#![allow(clippy::unwrap_used)]

use attackline_findings::{Evidence, Finding, LabelView, OutputFormat, TableOptions, WriterOptions, escape, writer};
use attackline_model::Labels;
use attackline_telemetry::{Event, LogLine, Source};
use serde_json::{Value, json};

fn labels() -> Labels {
    Labels::new(["Benign", "T1003.002", "T1049"].map(String::from).to_vec()).unwrap()
}

fn line(text: &str) -> LogLine {
    LogLine { text: text.into(), ..LogLine::default() }
}

fn finding(line: LogLine, scores: [f32; 3]) -> Finding {
    let view = LabelView::all(&labels());
    Finding::new(1, line, false, &view, &view.decide(&scores, 0.7), 1, false)
}

fn print(format: OutputFormat, options: WriterOptions, findings: &[Finding]) -> String {
    let mut out = Vec::new();
    let mut writer = writer(format, &mut out, options);
    findings.iter().for_each(|finding| writer.write(finding).unwrap());
    writer.flush().unwrap();
    drop(writer);
    String::from_utf8(out).unwrap()
}

fn as_wide_as(width: usize) -> WriterOptions {
    WriterOptions { table: TableOptions { width, ..TableOptions::default() }, ..WriterOptions::default() }
}

fn in_context() -> LogLine {
    let input = json!({"ticket": 7}).as_object().cloned();
    let event = Event { timestamp: Some("2024-05-06T07:08:09Z".into()), host: Some("WS-0142".into()), ..Event::default() };
    LogLine { source: Source { file: Some("logs/security.evtx".into()), record: Some(17) }, event, input, ..line("reg save HKLM\\SAM sam.hiv") }
}

#[test]
fn ndjson_is_the_documented_shape() {
    let text = print(OutputFormat::Ndjson, WriterOptions::default(), &[finding(in_context(), [0.001, 0.998, 0.001])]);
    assert_eq!(
        text,
        concat!(
            r#"{"line":1,"text":"reg save HKLM\\SAM sam.hiv","label":"T1003.002","score":0.998,"attack":0.999,"abstained":false,"#,
            r#""technique":{"id":"T1003.002","name":"OS Credential Dumping: Security Account Manager","tactics":["credential-access"],"#,
            r#""url":"https://attack.mitre.org/techniques/T1003/002/"},"top":[{"label":"T1003.002","score":0.998}],"truncated":false,"#,
            r#""source":{"file":"logs/security.evtx","record":17},"event":{"timestamp":"2024-05-06T07:08:09Z","host":"WS-0142"},"input":{"ticket":7}}"#,
            "\n"
        )
    );
}

#[test]
fn what_is_not_known_is_left_out_and_scores_come_when_asked_for() {
    let view = LabelView::all(&labels());
    let decision = view.decide(&[0.123_46, 0.4, 0.476_54], 0.5);
    let finding = Finding::new(3, line("netstat -ano"), true, &view, &decision, 2, true);
    let value: Value = serde_json::from_str(&print(OutputFormat::Ndjson, WriterOptions::default(), &[finding])).unwrap();
    let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["line", "text", "label", "score", "attack", "abstained", "technique", "top", "scores", "truncated"]);
    assert_eq!(value["abstained"], false);
    assert_eq!(value["top"], json!([{"label": "T1049", "score": 0.4765}, {"label": "T1003.002", "score": 0.4}]));
    assert_eq!(value["scores"].to_string(), r#"{"Benign":0.1235,"T1003.002":0.4,"T1049":0.4765}"#);
}

#[test]
fn benign_lines_have_no_technique() {
    let value = serde_json::to_value(finding(line("dir"), [0.9, 0.05, 0.05])).unwrap();
    assert_eq!((value["label"].as_str(), value["abstained"].as_bool(), value.get("technique")), (Some("Benign"), Some(false), None));
}

const HOSTILE: &str = "\x1b]0;owned\x07cmd\u{9b}2J \u{202e}\"quote\" a\r\nb\0\u{e0041}";

#[test]
fn hostile_text_survives_json_and_never_reaches_the_terminal() {
    let findings = [finding(LogLine { source: Source { file: Some(HOSTILE.into()), record: None }, ..line(HOSTILE) }, [0.0, 1.0, 0.0])];
    let text = print(OutputFormat::Ndjson, WriterOptions::default(), &findings);
    assert!(!text.trim_end().contains(escape::is_unsafe), "{text:?}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["text"], HOSTILE);
    let table = print(OutputFormat::Table, WriterOptions::default(), &findings);
    assert!(!table.replace('\n', "").contains(escape::is_unsafe) && table.lines().count() == 2, "{table:?}");
}

#[test]
fn csv_is_faithful_but_runs_no_formula() {
    for (text, cell) in [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("-enc x", "'-enc x"),
        ("@x", "'@x"),
        ("+1", "'+1"),
        ("\t=1", "'\t=1"),
        (" =1", "' =1"),
        ("\u{1b}\n@x", "'\u{1b}\n@x"),
        ("＝1", "'＝1"),
        ("\nnet user", "'\nnet user"),
        ("a,\"b\"\nc", "a,\"b\"\nc"),
    ] {
        let out = print(OutputFormat::Csv, WriterOptions::default(), &[finding(line(text), [0.0, 0.75, 0.25])]);
        let mut reader = csv::Reader::from_reader(out.as_bytes());
        let row = reader.records().next().unwrap().unwrap();
        assert_eq!((&row[1], &row[2], &row[3]), (cell, "T1003.002", "0.75"));
    }
}

#[test]
fn csv_does_not_move_a_terminal() {
    let options = |terminal| WriterOptions { terminal, ..WriterOptions::default() };
    let findings = [finding(line(HOSTILE), [0.0, 1.0, 0.0])];
    let shown = print(OutputFormat::Csv, options(true), &findings);
    assert!(!shown.replace('\n', "").contains(escape::is_unsafe) && shown.contains(r#"\x1b]0;owned\x07cmd"#), "{shown:?}");
    assert!(print(OutputFormat::Csv, options(false), &findings).contains(&HOSTILE.replace('"', "\"\"")), "a file has what the log has");
}

#[test]
fn csv_has_its_header_without_findings_and_columns_for_scores() {
    let options = WriterOptions { score_labels: labels().names().to_vec(), top: true, ..WriterOptions::default() };
    assert!(print(OutputFormat::Csv, options.clone(), &[]).ends_with("parent,parent_attack,top,score:Benign,score:T1003.002,score:T1049\n"));
    let view = LabelView::all(&labels());
    let finding = Finding::new(1, line("x"), false, &view, &view.decide(&[0.0, 0.75, 0.25], 0.5), 2, true);
    let finding = Finding { parent_attack: Some(0.125), ..finding };
    assert!(print(OutputFormat::Csv, options, &[finding]).ends_with(",0.125,T1003.002=0.75;T1049=0.25,0,0.75,0.25\n"));
}

#[test]
fn the_table_fits_the_terminal() {
    let findings = [
        finding(in_context(), [0.001, 0.998, 0.001]),
        finding(line(&"netstat ".repeat(40)), [0.4, 0.19, 0.41]),
        finding(line("dir"), [0.9, 0.05, 0.05]),
    ];
    for width in [40, 60, 80, 99, 100, 120, 200] {
        let table = print(OutputFormat::Table, as_wide_as(width), &findings);
        let widest = table.lines().map(escape::width).max().unwrap();
        assert!(widest <= width.max(44), "{width}: {widest}\n{table}");
    }
    insta::assert_snapshot!(print(OutputFormat::Table, as_wide_as(140), &findings), @r"
    ATTACK  LABEL                               SCORE  TIME                  HOST     WHERE                  TEXT
    0.999   T1003.002 Security Account Manager  0.998  2024-05-06T07:08:09Z  WS-0142  logs/security.evtx:17  reg save HKLM\SAM sam.hiv
    0.600   T1049 System Network Connections…?  0.410                                                        netstat netstat netstat netstat ne…
    0.100   Benign                              0.900                                                        dir
    ");
}

#[test]
fn a_narrow_terminal_is_still_told_where_to_look() {
    let findings = [finding(in_context(), [0.001, 0.998, 0.001])];
    for (width, place) in [(120, "…security.evtx:17"), (80, "logs/security.evtx:17"), (60, "…urity.evtx:17"), (48, "")] {
        let table = print(OutputFormat::Table, as_wide_as(width), &findings);
        assert!(table.contains(place) && table.contains("WHERE") != place.is_empty(), "{width}\n{table}");
        assert!(table.lines().all(|line| escape::width(line) <= width), "{width}\n{table}");
    }
}

#[test]
fn what_comes_later_in_a_stream_has_its_columns() {
    let mut out = Vec::new();
    let mut table = writer(OutputFormat::Table, &mut out, as_wide_as(140));
    for (record, host) in [(1, None), (12_345, None), (12_346, Some("WS-0142"))] {
        let place = Source { file: Some("-".into()), record: Some(record) };
        let event = Event { host: host.map(String::from), ..Event::default() };
        table.write(&finding(LogLine { source: place, event, ..line("netstat -ano") }, [0.0, 0.0, 1.0])).unwrap();
        table.flush().unwrap();
    }
    drop(table);
    insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
    ATTACK  LABEL                               SCORE  WHERE  TEXT
    1.000   T1049 System Network Connections …  1.000  -:1    netstat -ano
    1.000   T1049 System Network Connections …  1.000  -:12345  netstat -ano
    ATTACK  LABEL                               SCORE  HOST     WHERE    TEXT
    1.000   T1049 System Network Connections …  1.000  WS-0142  -:12346  netstat -ano
    ");
}

thread_local! {
    static TERMINAL: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[test]
fn a_terminal_may_be_resized() {
    let mut out = Vec::new();
    let options = TableOptions { measure: Some(|| TERMINAL.get()), ..TableOptions::default() };
    let mut table = writer(OutputFormat::Table, &mut out, WriterOptions { table: options, ..WriterOptions::default() });
    for width in [140, 60, 90] {
        TERMINAL.set(width);
        table.write(&finding(line(&"netstat ".repeat(40)), [0.0, 0.0, 1.0])).unwrap();
        table.flush().unwrap();
    }
    drop(table);
    let text = String::from_utf8(out).unwrap();
    let widths: Vec<usize> = text.lines().filter(|line| line.contains("netstat")).map(escape::width).collect();
    assert_eq!(widths, [140, 60, 90], "{text}");
}

#[test]
fn evidence_stands_under_the_text_and_in_its_column() {
    let part = |start, end, weight| Evidence { start, end, weight };
    let evidence = Some(vec![part(0, 3, 0.5), part(4, 8, 0.3), part(18, 26, 0.2)]);
    let finding = Finding { evidence, ..finding(line("reg save HKLM\\SAM \u{1b}sam.hiv"), [0.001, 0.998, 0.001]) };
    let table = print(OutputFormat::Table, WriterOptions::default(), std::slice::from_ref(&finding));
    assert!(table.lines().nth(2).is_some_and(|line| line.trim_start() == "because: reg save … \\x1bsam.hiv"), "{table}");
    let csv = print(OutputFormat::Csv, WriterOptions { evidence: true, ..WriterOptions::default() }, std::slice::from_ref(&finding));
    assert!(csv.contains(",parent_attack,evidence\n") && csv.ends_with(",reg save … \u{1b}sam.hiv\n"), "{csv}");
    let value: Value = serde_json::from_str(&print(OutputFormat::Ndjson, WriterOptions::default(), &[finding])).unwrap();
    assert_eq!(value["evidence"][0], json!({"start": 0, "end": 3, "weight": 0.5}));
}

#[test]
fn attacks_are_coloured_only_when_asked_for() {
    let findings = [finding(line("reg save"), [0.0, 1.0, 0.0])];
    for color in [true, false] {
        let table = print(
            OutputFormat::Table,
            WriterOptions { table: TableOptions { width: 80, color, ..TableOptions::default() }, ..WriterOptions::default() },
            &findings,
        );
        assert_eq!(table.contains("\x1b[1;31mT1003.002\x1b[0m"), color, "{table}");
    }
}
