//! Labelled files as spreadsheets, shells and other programs write them, whole and damaged.
#![allow(clippy::unwrap_used)]

use attackline_dataset::{Row, read_labelled};

fn read(bytes: impl AsRef<[u8]>) -> Result<Vec<Row>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.data");
    std::fs::write(&path, bytes).unwrap();
    read_labelled(&path).map_err(|error| {
        let message = error.to_string();
        let place = format!("{}: ", path.display());
        message.strip_prefix(&place).unwrap_or_else(|| panic!("the file is not named: {message}")).to_owned()
    })
}

/// Texts and labels, in one line each.
fn told(bytes: impl AsRef<[u8]>) -> Vec<String> {
    read(bytes).unwrap().into_iter().map(|row| format!("{} = {}", row.text, row.label)).collect()
}

#[test]
fn marks_at_the_beginning_and_other_line_ends_change_nothing() {
    let expected = ["ls = Benign", "netstat -ano = T1049"];
    for csv in [
        "text,label\nls,Benign\nnetstat -ano,T1049\n",
        "text,label\r\nls,Benign\r\nnetstat -ano,T1049",
        "label,x,text\nBenign,,ls\nT1049,,netstat -ano\n",
    ] {
        assert_eq!(told(csv), expected, "{csv}");
        assert_eq!(told(format!("\u{feff}{csv}")), expected, "{csv}");
    }
    let ndjson = "{\"text\":\"ls\",\"label\":\"Benign\"}\r\n\r\n{\"label\":\"T1049\",\"text\":\"netstat -ano\"}";
    assert_eq!(told(ndjson), expected);
    assert_eq!(told(format!("\u{feff}{ndjson}")), expected);
    for nothing in ["", "\n\r\n", "\u{feff}", "text,label\n"] {
        assert_eq!(told(nothing), Vec::<String>::new(), "{nothing:?}");
    }
}

#[test]
fn what_is_not_known_of_a_row_may_be_null_or_named_both_ways() {
    let rows = read(
        r#"{"text":"ls","label":"Benign","labels":null,"kind":null,"platform":null,"hard":null,"source":7,"user":null,"deep":[[{"x":null}]]}
{"text":"007","label":"Benign","kind":"shell","shell":null,"hard":1.0}
{"text":"id","label":null,"labels":["T1033"],"kind":"","shell":"sh"}"#,
    )
    .unwrap();
    assert_eq!((rows[0].shell.as_str(), rows[0].platform.as_str(), rows[0].source.as_str(), rows[0].hard), ("", "", "7", false));
    assert_eq!((rows[1].text.as_str(), rows[1].shell.as_str(), rows[1].hard), ("007", "shell", true));
    assert_eq!((rows[2].label.as_str(), rows[2].shell.as_str()), ("T1033", "sh"));
    let rows = read("text,label,kind,shell,hard,user\n1e5,Benign,shell,,True,007\nid,T1033,,sh,FALSE,\n").unwrap();
    assert_eq!((rows[0].text.as_str(), rows[0].shell.as_str(), rows[0].hard, rows[0].user.as_str()), ("1e5", "shell", true, "007"));
    assert_eq!((rows[1].shell.as_str(), rows[1].hard), ("sh", false));
}

#[test]
fn a_row_that_cannot_be_used_is_named_with_what_is_wrong() {
    let good = "{\"text\":\"ls\",\"label\":\"Benign\"}\n";
    for (second, reason) in [
        (r#"{"txt":"ls","label":"Benign"}"#, "row 2: it has no text"),
        (r#"{"text":null,"label":"Benign"}"#, "row 2: it has no text"),
        (r#"{"text":5,"label":"Benign"}"#, "row 2: its text is 5"),
        (r#"{"text":"ls"}"#, "row 2: it has no label"),
        (r#"{"text":"ls","label":["Benign"]}"#, "row 2: its label is [\"Benign\"]"),
        (r#"{"text":"ls","text":"id","label":"Benign"}"#, "row 2: it names \"text\" twice"),
        (r#"{"text":"netstat -ano","lab"#, "row 2: EOF"),
        (r#"["ls","Benign"]"#, "row 2: "),
    ] {
        let error = read(format!("{good}{second}")).unwrap_err();
        assert!(error.starts_with(reason), "{second}: {error}");
    }
    let latin = [good.as_bytes(), b"{\"text\":\"ls M\xfcller\",\"label\":\"Benign\"}\n"].concat();
    assert!(read(latin).unwrap_err().starts_with("row 2: it is not text in UTF-8"));
    assert!(read(b"text,label\nls,Benign\nM\xfcller,Benign\n").unwrap_err().starts_with("row 2: it is not text in UTF-8"));
    let error = read("text,label\nls,Benign\nls,-la,Benign\n").unwrap_err();
    assert_eq!(error, "row 2: it has 3 fields, the header has 2: a text with commas or quotes stands in quotes");
}

#[test]
fn a_file_that_is_something_else_is_named_for_what_it_is() {
    for (bytes, reason) in [
        (&b"command,technique\nls,Benign\n"[..], "the header has no column \"text\": it has \"command\", \"technique\""),
        (b"Text,label\nls,Benign\n", "the header has no column \"text\": it has \"Text\", \"label\""),
        (b"text;label\nls;Benign\n", "the header has no column \"text\": it has \"text;label\" (commas are to divide them)"),
        (b"text\tlabel\nls\tBenign\n", "the header has no column \"text\": it has \"text\\tlabel\" (commas are to divide them)"),
        (b"text,label,text\nls,Benign,id\n", "the header names \"text\" twice"),
        (b"[{\"text\":\"ls\",\"label\":\"Benign\"}]", "this is a JSON list"),
        (b"\xff\xfet\0e\0x\0t\0", "this is UTF-16"),
        (b"\x1f\x8b\x08\0", "this is compressed"),
        (b"PK\x03\x04", "this is compressed"),
        (b"\x89PNG\r\n", "the header is not text in UTF-8"),
        (b"PAR1abcd", ""),
    ] {
        let error = read(bytes).unwrap_err();
        assert!(error.starts_with(reason) && !error.contains("row 0"), "{error}");
    }
}
