//! Caldera's stockpile: `data/abilities/discovery/….yml` holds abilities, each with commands by platform and executor.

use super::commands::Interpreter;
use super::files::{failed, files, has_extension, is_below, place, text};
use super::fill::{Argument, substituted};
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
