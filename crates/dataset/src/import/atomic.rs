//! Atomic Red Team: `atomics/T1003.002/T1003.002.yaml` holds a technique's tests, each with what runs it.

use super::commands::Interpreter;
use super::files::{failed, files, has_extension, place, text};
use super::fill::{Argument, substituted};
use super::{Import, Origin, Script, TOO_LONG, yaml};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

#[derive(Deserialize)]
struct Technique {
    attack_technique: String,
    atomic_tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    #[serde(default)]
    supported_platforms: Vec<String>,
    input_arguments: Option<BTreeMap<String, Argument>>,
    executor: Option<Executor>,
}

#[derive(Deserialize)]
struct Executor {
    name: Option<String>,
    command: Option<String>,
}

pub(super) fn read(path: &Path, origin: &Origin, import: &mut Import) {
    for file in files(path, "tests named like atomics/T1049/T1049.yaml", holds_tests, import) {
        let Some(text) = text(&file, yaml::LARGEST, import) else { continue };
        match yaml::parse::<Technique>(&text) {
            Ok(technique) => {
                import.files += 1;
                let place = place(&file, path, "atomics");
                technique.atomic_tests.iter().for_each(|test| rows(&technique.attack_technique, test, &place, origin, import));
            }
            Err(reason) => failed(import, &file, reason),
        }
    }
}

/// `T1049.yaml`: the index files repeat the tests in another form, and below `src` lie the tests' own files.
fn holds_tests(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let numbered = name.starts_with(['T', 't']) && name.chars().skip(1).take(4).filter(char::is_ascii_digit).count() == 4;
    let aside = path.components().any(|part| matches!(part.as_os_str().to_str(), Some("src" | "bin" | "Indexes")));
    numbered && !aside && has_extension(path, &["yaml", "yml"])
}

fn rows(technique: &str, test: &Test, place: &str, origin: &Origin, import: &mut Import) {
    let executor = test.executor.as_ref();
    let (name, command) = (executor.and_then(|one| one.name.as_deref()), executor.and_then(|one| one.command.as_deref()));
    let interpreter = match (name, command) {
        (_, None) | (Some("manual"), _) => return import.pass_over("tests that are done by hand", 1),
        (Some("command_prompt"), _) => Interpreter::CommandPrompt,
        (Some("powershell"), _) => Interpreter::PowerShell,
        (Some("sh" | "bash"), _) => Interpreter::Shell,
        _ => return import.pass_over("tests for another interpreter", 1),
    };
    let platform = platform(&test.supported_platforms, interpreter);
    let script = substituted(command.unwrap_or_default(), test.input_arguments.as_ref());
    match script {
        Some(text) => origin.take_script(&Script { place, label: technique, platform, interpreter }, &text, import),
        None => import.pass_over(TOO_LONG, 1),
    }
}

/// Where a script runs. Cloud services are administered from somewhere: from Windows with PowerShell, else from Linux.
fn platform(supported: &[String], interpreter: Interpreter) -> &'static str {
    let has = |name: &str| supported.iter().any(|one| one == name);
    match interpreter {
        Interpreter::CommandPrompt => "windows",
        Interpreter::PowerShell if has("windows") || !(has("linux") || has("macos")) => "windows",
        _ if has("macos") && !has("linux") => "macos",
        _ => "linux",
    }
}
