//! Public sources, as they are laid out in their repositories.
#![allow(clippy::unwrap_used)]

use attackline_dataset::{Import, ImportOptions, ImportSource, import};
use std::path::{Path, PathBuf};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(path, text)| drop(folder.write(path, text.as_bytes())));
        folder
    }

    fn write(&self, path: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn import(&self, source: ImportSource) -> Import {
        read(source, self.0.path())
    }
}

fn read(source: ImportSource, path: &Path) -> Import {
    import(source, path, &ImportOptions::default())
}

fn texts(import: &Import) -> Vec<(&str, &str, &str, &str)> {
    import.rows.iter().map(|row| (row.label.as_str(), row.kind.as_str(), row.platform.as_str(), row.text.as_str())).collect()
}

fn errors(import: &Import) -> Vec<String> {
    import.errors.iter().map(ToString::to_string).collect()
}

const ATOMIC: &str = r##"
attack_technique: T1049
display_name: Something
atomic_tests:
- name: first
  supported_platforms: [windows]
  input_arguments:
    file: {type: path, default: 'PathToAtomicsFolder\T1049\src\#{name}'}
    name: {default: T1049.exe}
    count: {type: integer, default: 007}
    empty: {default: }
  dependencies:
  - prereq_command: prerequisite
    get_prereq_command: fetch
  executor:
    name: command_prompt
    command: |
      cd C:\x
      "#{file}" -n #{count}#{empty} #{forgotten.name}
    cleanup_command: clean up
- name: second
  supported_platforms: [linux, macos]
  executor: {name: bash, command: "listing -a\n"}
- name: third
  supported_platforms: [macos]
  executor: {name: sh, command: "listing -b"}
- name: fourth
  supported_platforms: [office-365]
  executor: {name: powershell, command: "Get-Thing\nGet-Other"}
- name: by hand
  supported_platforms: [windows]
  executor: {name: manual, steps: do it}
- name: nothing
  supported_platforms: [windows]
"##;

#[test]
fn atomic_tests_become_rows() {
    let folder = Folder::new(&[
        ("atomics/T1049/T1049.yaml", ATOMIC),
        ("atomics/Indexes/T1049.yaml", "not: read"),
        ("atomics/T1049/src/T1049.yaml", "not: read"),
        (".github/T1049.yaml", "not: read"),
        ("atomics/T1049/T1049.md", "not read"),
    ]);
    let import = folder.import(ImportSource::Atomic);
    assert_eq!(errors(&import), Vec::<String>::new());
    assert_eq!(
        texts(&import),
        [
            ("T1049", "process_creation", "windows", r#""C:\Tools\src\data.exe" -n 007 name"#),
            ("T1049", "shell", "linux", "listing -a"),
            ("T1049", "shell", "macos", "listing -b"),
            ("T1049", "powershell", "windows", "Get-Thing\nGet-Other"),
            ("T1049", "powershell", "windows", "Get-Thing"),
            ("T1049", "powershell", "windows", "Get-Other"),
        ]
    );
    assert_eq!(import.passed_over["tests that are done by hand"], 2);
    let row = &import.rows[0];
    assert_eq!((row.source.as_str(), row.licence.as_str()), ("redcanaryco/atomic-red-team:atomics/T1049/T1049.yaml", "MIT"));
}

#[test]
fn options_take_the_place_of_the_sources_usual_ones() {
    let folder = Folder::new(&[("T1049.yaml", ATOMIC)]);
    let options = ImportOptions { licence: Some("Apache-2.0".into()), repository: Some("our/fork".into()) };
    let import = import(ImportSource::Atomic, &folder.0.path().join("T1049.yaml"), &options);
    assert_eq!((import.rows[0].source.as_str(), import.rows[0].licence.as_str()), ("our/fork:T1049.yaml", "Apache-2.0"));
}

#[test]
fn stockpile_abilities_become_rows() {
    let ability = r##"
- id: 1f7ff232-ebf8-42bf-a3c4-657855794cfe
  technique: {attack_id: T1005, name: Data from Local System}
  platforms:
    darwin:
      sh:
        command: |
          listing $(echo ~#{host.user.name}) #{custom.thing[filters(max=3,technique=data)]} #{server}
    windows:
      psh,pwsh: {command: "Get-Thing -Port #{remote.port}"}
      cmd: {command: program}
      donut_amd64: {command: x}
    linux: 
  requirements: []
- {id: two, technique_id: T1049, executors: [{platform: linux, name: sh, command: other}]}
- {id: three, platforms: {}}
"##;
    let folder = Folder::new(&[("data/abilities/collection/a.yml", ability), ("data/sources/b.yml", "x: [not read")]);
    let import = folder.import(ImportSource::Stockpile);
    assert_eq!(errors(&import), Vec::<String>::new());
    let found = texts(&import);
    assert_eq!(
        found[1..],
        [
            ("T1005", "process_creation", "windows", "program"),
            ("T1005", "powershell", "windows", "Get-Thing -Port 8443"),
            ("T1049", "shell", "linux", "other"),
        ]
    );
    assert!(found[0].3.starts_with("listing $(echo ~") && found[0].3.ends_with(") thing http://10.20.30.40:8888"), "{found:?}");
    assert_eq!((import.passed_over["commands for another interpreter"], import.passed_over["abilities without a technique"]), (1, 1));
    assert_eq!(import.rows[0].source, "mitre/stockpile:data/abilities/collection/a.yml");
}

#[test]
fn emulation_plans_become_rows() {
    let plan = r##"
# As the library's plans have it: blanks behind ids, arguments with defaults, a list of executors that repeats the platforms'.
- emulation_plan_details:
    id: 0ad7e0a3-3f8d-4a2f-9b8e-1c1c5f6d7e8f
    adversary_name: Nobody
    format_version: 1.0
- id: 6a1d6b3e-0c52-4b3c-8a0e-5b1a8f3f9d11
  name: Domain account
  technique:
    attack_id: T1087.002 
  platforms:
    windows:
      cmd:
        command: |
          net user #{initial.target.user} /domain #{port} #{other.password}
        payloads: [one.exe]
        cleanup: |
          del one.exe
  input_arguments:
    initial.target.user: {description: who, type: string, default: r.miller}
    port: {default: 8443}
    unused: {type: Path}
  executors:
    - name: command_prompt
      command: |
        "net user r.miller /domain"
"##;
    let files = [("one/Emulation_Plan/yaml/one.yaml", plan), ("one/Resources/conf.yaml", "not: [read"), ("dictionary.yaml", "- not: read")];
    let import = Folder::new(&files).import(ImportSource::Emulation);
    assert_eq!(errors(&import), Vec::<String>::new());
    assert_eq!(texts(&import), [("T1087.002", "process_creation", "windows", "net user r.miller /domain 8443 Winter2024!")]);
    let row = &import.rows[0];
    let place = "center-for-threat-informed-defense/adversary_emulation_library:one/Emulation_Plan/yaml/one.yaml";
    assert_eq!((row.source.as_str(), row.licence.as_str()), (place, "Apache-2.0"));
}

#[test]
fn procedure_examples_become_sentences() {
    let reference = |id: &str| format!(r#""external_references":[{{"source_name":"other"}},{{"source_name":"mitre-attack","external_id":"{id}"}}]"#);
    let uses = |target: &str, more: &str| {
        format!(
            r#"{{"type":"relationship","id":"r","relationship_type":"uses","source_ref":"g","target_ref":"{target}","description":"[Group](https://x/y) used a tool.(Citation: Z)"{more}}}"#
        )
    };
    let bundle = format!(
        r#"{{"type":"bundle","objects":[{{"type":"intrusion-set","id":"g",{}}},{{"type":"attack-pattern","id":"a","revoked":true,{}}},
        {{"type":"malware","id":"m",{}}},{{"type":"x-other","id":"o","description":null}},{},{},{}]}}"#,
        reference("G0001"),
        reference("T1214"),
        reference("S0001"),
        uses("a", ""),
        uses("a", r#","x_mitre_deprecated":true"#),
        uses("m", ""),
    );
    let folder = Folder::new(&[("enterprise-attack.json", &bundle)]);
    let import = folder.import(ImportSource::Stix);
    assert_eq!((errors(&import), texts(&import)), (Vec::new(), vec![("T1214", "narrative", "", "Group used a tool.")]));
    assert_eq!(import.rows[0].source, "attack:G0001|T1214");
    assert_eq!(import.passed_over["relationships that ATT&CK has given up"], 1);
}

#[test]
fn english_pages_of_tldr_become_benign_rows() {
    let page = "# tool\n\n> Says `this`.\n\n- Do:\n\n`tool {{[-a|--all]}} {{one|two}}`\n\n`open\n";
    let folder = Folder::new(&[
        ("pages/linux/tool.md", page),
        ("pages/windows/add-thing.md", "`Add-Thing -Name {{x}}`\r\n"),
        ("pages.de/linux/tool.md", "`deutsch`"),
        ("README.md", "`no page`"),
    ]);
    let import = folder.import(ImportSource::Tldr);
    assert_eq!(texts(&import), [("Benign", "shell", "linux", "tool -a one"), ("Benign", "powershell", "windows", "Add-Thing -Name x")]);
    assert!(import.rows.iter().all(|row| row.realism == "doc" && row.licence == "CC-BY-4.0"));
}

#[test]
fn fenced_blocks_of_documentation_become_benign_rows() {
    let page = r#"
Text with `inline`.

```azurepowershell-interactive
# Comment
$a = Get-Thing `
  -Name <resource group>
Set-Thing $a
```

   ```console
   C:\Users\me>dir /s
    Volume in drive C
   PS C:\> Get-Thing
   $ ls -l \
     /tmp
   total 3
   ```

```powershell
PS> Get-One

Name  Value
----  -----
```

~~~bash
# comment
one --flag
two | three
~~~

```console
output without a prompt
```

``` cmd
program [<name>] [...]
program /a ^
  /b
```

```json
{"not": "a command"}
```

```bash
one --more
error: that was the output
```

```bash
never closed
"#;
    let folder = Folder::new(&[("docs/page.md", page), ("docs/page.txt", page)]);
    let import = folder.import(ImportSource::Markdown);
    assert_eq!(errors(&import), Vec::<String>::new());
    let found: Vec<(&str, &str, &str)> = texts(&import).into_iter().map(|(_, kind, platform, text)| (kind, platform, text)).collect();
    assert_eq!(
        found,
        [
            ("powershell", "windows", "$a = Get-Thing -Name resource-group\nSet-Thing $a"),
            ("process_creation", "windows", "dir /s"),
            ("powershell", "windows", "Get-Thing"),
            ("shell", "linux", "ls -l /tmp"),
            ("powershell", "windows", "Get-One"),
            ("shell", "linux", "one --flag"),
            ("shell", "linux", "two | three"),
            ("process_creation", "windows", "program /a /b"),
        ]
    );
    assert!(import.rows.iter().all(|row| row.label == "Benign" && row.realism == "doc" && row.source.ends_with(":docs/page.md")));
    assert_eq!((import.passed_over["synopses"], import.passed_over["blocks of commands without a command"]), (1, 2));
}

#[test]
fn labelled_rows_are_taken_over() {
    let folder = Folder::new(&[
        ("a.csv", "text,label\none,Benign\n"),
        ("b.ndjson", r#"{"text":"two ","labels":["T1049","T1082","T1049"],"kind":"shell","licence":"MIT","realism":"observed","hard":true}"#),
        ("c.jsonl", "{\"text\":\"no label\"}\n"),
    ]);
    let import = folder.import(ImportSource::Labelled);
    assert_eq!(texts(&import), [("Benign", "", "", "one"), ("T1049", "shell", "", "two")]);
    let row = &import.rows[1];
    assert_eq!((row.labels.join(" "), row.licence.as_str(), row.realism.as_str(), row.hard), ("T1049 T1082".into(), "MIT", "observed", true));
    assert!(errors(&import)[0].contains("c.jsonl: row 1: it has no label"), "{:?}", errors(&import));
}

/// A YAML document whose aliases unfold to more nodes than any memory holds.
fn bomb() -> String {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let alias = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", vec![alias; 9].join(", "));
    }
    text + "attack_technique: T1049\natomic_tests: *a29\n"
}

#[test]
fn a_bad_file_is_one_error_and_the_rest_goes_on() {
    let folder = Folder::new(&[("atomics/T1049/T1049.yaml", ATOMIC)]);
    let bad: [(&str, Vec<u8>, &str); 8] = [
        ("T1001", ATOMIC.as_bytes()[..ATOMIC.find("default: 007").unwrap()].to_vec(), "YAML"),
        ("T1002", vec![0xff, 0xfe, b'a', 0, b'b', 0], "UTF-8 (at byte 0)"),
        ("T1003", (0..=255).cycle().take(5_000).collect(), "UTF-8"),
        ("T1004", bomb().into_bytes(), "YAML"),
        ("T1005", "[".repeat(100_000).into_bytes(), "YAML"),
        ("T1006", Vec::new(), "YAML"),
        ("T1007", vec![b'#'; (4 << 20) + 1], "larger than 4 MiB"),
        ("T1008", b"attack_technique: T1008\natomic_tests: none\n".to_vec(), "YAML"),
    ];
    for (name, bytes, _) in &bad {
        folder.write(&format!("atomics/{name}/{name}.yaml"), bytes);
    }
    let import = folder.import(ImportSource::Atomic);
    let messages = errors(&import);
    assert_eq!((import.files, import.rows.len(), messages.len()), (1, 6, bad.len()), "{messages:#?}");
    for ((name, _, reason), message) in bad.iter().zip(&messages) {
        assert!(message.contains(&format!("{name}.yaml: ")) && message.contains(reason) && message.len() < 400, "{message}");
    }
}

#[test]
fn every_source_says_what_it_did_not_find() {
    let empty = Folder::new(&[]);
    let all = [ImportSource::Atomic, ImportSource::Stockpile, ImportSource::Stix, ImportSource::Tldr, ImportSource::Markdown, ImportSource::Labelled];
    for source in all {
        let import = empty.import(source);
        assert_eq!((import.rows.len(), import.errors.len()), (0, 1), "{source:?}");
        assert!(errors(&import)[0].contains("there are no "), "{source:?}");
        let import = read(source, &empty.0.path().join("absent"));
        assert_eq!((import.rows.len(), import.errors.len()), (0, 1), "{source:?}");
        assert!(errors(&import)[0].contains("absent"), "{source:?}");
        // Random bytes by every name that the sources look for.
        let noise: Vec<u8> = (0..40_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for name in ["T1049.yaml", "abilities/a.yml", "bundle.json", "pages/linux/a.md", "a.csv", "a.parquet"] {
            let folder = Folder::new(&[]);
            let import = read(source, &folder.write(name, &noise));
            assert_eq!((import.rows.len(), import.errors.len()), (0, 1), "{source:?} {name}: {:?}", errors(&import));
        }
    }
}

#[test]
fn no_text_is_too_long_nor_holds_control_characters() {
    let long = "x".repeat(20_000);
    let page = format!("`{long}`\n`a\u{1b}[31mb`\n`fine`\n");
    let import = Folder::new(&[("pages/linux/a.md", &page)]).import(ImportSource::Tldr);
    assert_eq!(texts(&import), [("Benign", "shell", "linux", "fine")]);
    assert_eq!(import.passed_over.values().sum::<usize>(), 2);
}

#[test]
fn what_would_grow_without_end_is_passed_over() {
    let many = "#{a}".repeat(60_000);
    let test = |argument: &str, command: &str| {
        format!(
            "- supported_platforms: [linux]\n  input_arguments: {{a: {{default: '{argument}'}}}}\n  executor: {{name: sh, command: '{command}'}}\n"
        )
    };
    let tests = [test(&"y".repeat(60_000), &many), test("#{a}#{a}#{a}#{a}", &many), test("", &"cat x\n\n".repeat(50_000)), test("b", "cat #{a}")];
    let file = format!("attack_technique: T1049\natomic_tests:\n{}", tests.concat());
    let import = Folder::new(&[("T1049.yaml", &file)]).import(ImportSource::Atomic);
    assert_eq!((errors(&import), texts(&import)), (Vec::new(), vec![("T1049", "shell", "linux", "cat b")]));
    assert_eq!(import.passed_over.values().sum::<usize>(), 3);
    let braces = format!("`{}`\n`fine`\n", "{{".repeat(400_000));
    assert_eq!(Folder::new(&[("pages/linux/a.md", &braces)]).import(ImportSource::Tldr).rows.len(), 1);
    let page = "\u{a0}\u{a0}```bash\n  ```bash\n\u{a0}one\nç\n  ```\n";
    assert!(Folder::new(&[("a.md", page)]).import(ImportSource::Markdown).errors.is_empty());
}
