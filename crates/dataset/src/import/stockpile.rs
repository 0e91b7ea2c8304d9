//! Caldera's stockpile: `data/abilities/discovery/….yml` holds abilities, each with commands by platform and executor.

use super::atomic::{Argument, substituted};
use super::commands::Interpreter;
use super::files::{failed, files, has_extension, place, text};
use super::fill::{fill, user};
use super::{Import, Origin, Script, TOO_LONG, yaml};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::{collections::BTreeMap, path::Path};

#[derive(Deserialize)]
struct Ability {
    technique: Option<Technique>,
    technique_id: Option<String>,
    #[serde(default)]
    platforms: BTreeMap<String, Option<BTreeMap<String, Option<Executor>>>>,
    /// Newer files have them as a list.
    #[serde(default)]
    executors: Vec<Executor>,
    /// Values of what the commands leave open, in emulation plans.
    input_arguments: Option<BTreeMap<String, Argument>>,
    /// An emulation plan begins with this in the place of an ability.
    emulation_plan_details: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Technique {
    attack_id: Option<String>,
}

#[derive(Deserialize)]
struct Executor {
    command: Option<String>,
    platform: Option<String>,
    name: Option<String>,
}

pub(super) fn read(path: &Path, origin: &Origin, import: &mut Import) {
    let ability = |path: &Path| is_below(path, "abilities") || is_flat(path);
    read_abilities(path, "abilities (data/abilities/…/….yml)", ability, "data", origin, import);
}

/// Whether a folder of this name is on the path.
pub(super) fn is_below(path: &Path, folder: &str) -> bool {
    path.components().any(|part| part.as_os_str() == folder)
}

/// Reads the abilities of the YAML files that are `wanted`; `anchor` is where their places in the repository begin.
pub(super) fn read_abilities(path: &Path, what: &str, wanted: impl Fn(&Path) -> bool, anchor: &str, origin: &Origin, import: &mut Import) {
    for file in files(path, what, |path| has_extension(path, &["yml", "yaml"]) && wanted(path), import) {
        let Some(text) = text(&file, yaml::LARGEST, import) else { continue };
        // A file holds a list of abilities, or one.
        let one = |reason| yaml::parse::<Ability>(&text).map(|one| vec![one]).map_err(|_| reason);
        match yaml::parse::<Vec<Ability>>(&text).or_else(one) {
            Ok(abilities) => {
                import.files += 1;
                let place = place(&file, path, anchor);
                abilities.iter().for_each(|ability| rows(ability, &place, origin, import));
            }
            Err(reason) => failed(import, &file, reason),
        }
    }
}

/// Abilities are named by their identifier, wherever they lie.
fn is_flat(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    name.len() == 36 && name.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

fn rows(ability: &Ability, place: &str, origin: &Origin, import: &mut Import) {
    if ability.emulation_plan_details.is_some() {
        return;
    }
    let attack_id = ability.technique.as_ref().and_then(|technique| technique.attack_id.as_deref());
    let Some(label) = attack_id.or(ability.technique_id.as_deref()) else { return import.pass_over("abilities without a technique", 1) };
    let by_platform = ability.platforms.iter().flat_map(|(platform, executors)| {
        executors.iter().flatten().filter_map(move |(name, executor)| Some((platform.as_str(), name.as_str(), executor.as_ref()?)))
    });
    let listed = ability
        .executors
        .iter()
        .map(|executor| (executor.platform.as_deref().unwrap_or_default(), executor.name.as_deref().unwrap_or_default(), executor));
    for (platform, names, executor) in by_platform.chain(listed) {
        let platform = match platform {
            "darwin" => "macos",
            "windows" | "linux" => platform,
            _ => {
                import.pass_over("commands for another platform", 1);
                continue;
            }
        };
        // `psh,pwsh` is one command for either.
        let interpreter = match names.split(',').map(str::trim).next() {
            Some("psh" | "pwsh") => Interpreter::PowerShell,
            Some("cmd" | "proc") if platform == "windows" => Interpreter::CommandPrompt,
            Some("sh" | "bash" | "zsh" | "proc") => Interpreter::Shell,
            _ => {
                import.pass_over("commands for another interpreter", 1);
                continue;
            }
        };
        let Some(command) = &executor.command else {
            import.pass_over("executors without a command", 1);
            continue;
        };
        match substituted(command, ability.input_arguments.as_ref()) {
            Some(text) => origin.take_script(&Script { place, label, platform, interpreter }, &text, import),
            None => import.pass_over(TOO_LONG, 1),
        }
    }
}

/// What a fact is likely to be, by the end of its name.
const FACTS: [(&str, &str); 16] = [
    ("server", "http://10.20.30.40:8888"),
    ("user.password", "Winter2024!"),
    ("password", "Winter2024!"),
    ("domain.name", "corp.local"),
    ("domain", "corp.local"),
    ("ip", "10.20.30.41"),
    ("ip.address", "10.20.30.41"),
    ("fqdn", "srv02.corp.local"),
    ("remote.host", "srv02"),
    ("host.name", "srv02"),
    ("port", "8443"),
    ("process.id", "4312"),
    ("pid", "4312"),
    ("paw", "kqzvnt"),
    ("organization_name", "contoso.com"),
    ("file.extension", "docx"),
];

/// The text with a plain value for each `#{fact}`; what stands in square brackets after its name chooses among values.
pub(super) fn with_facts(text: &str) -> String {
    fill(text, "#{", "}", |fact| {
        let name = fact.split('[').next().unwrap_or(fact).trim();
        (!fact.contains(['\n', '{'])).then(|| value(name).to_owned())
    })
}

fn value(fact: &str) -> &str {
    let ends = |end: &str| fact == end || fact.strip_suffix(end).is_some_and(|before| before.ends_with('.'));
    if let Some((_, value)) = FACTS.iter().find(|(end, _)| ends(end)) {
        return value;
    }
    if ends("user.name") || ends("username") || ends("user") {
        return user(fact);
    }
    fact.rsplit('.').next().filter(|last| !last.is_empty()).unwrap_or("item")
}
