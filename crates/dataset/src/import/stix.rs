//! ATT&CK as a STIX bundle: who uses which technique, and how, in a sentence.

use super::files::{failed, files, has_extension, text};
use super::fill::fill;
use super::{Import, LONGEST_SCRIPT, Origin, TOO_LONG};
use serde::Deserialize;
use std::{collections::HashMap, path::Path};

/// Bytes of the largest bundle that is read; that of ATT&CK Enterprise has 50 MB.
const LARGEST: u64 = 512 << 20;

#[derive(Deserialize)]
struct Bundle {
    objects: Vec<Object>,
}

/// What is needed of any object. Fields of other types than these are those of other kinds of object.
#[derive(Deserialize)]
struct Object {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    #[serde(default)]
    external_references: Vec<Reference>,
    relationship_type: Option<String>,
    source_ref: Option<String>,
    target_ref: Option<String>,
    description: Option<String>,
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    x_mitre_deprecated: bool,
}

#[derive(Deserialize)]
struct Reference {
    source_name: String,
    external_id: Option<String>,
}

/// Kinds of object that use techniques.
const ACTORS: [&str; 4] = ["intrusion-set", "campaign", "malware", "tool"];

pub(super) fn read(path: &Path, origin: &Origin, import: &mut Import) {
    for file in files(path, "STIX bundles (*.json)", |path| has_extension(path, &["json"]), import) {
        let Some(text) = text(&file, LARGEST, import) else { continue };
        match serde_json::from_str::<Bundle>(&text) {
            Ok(bundle) => {
                import.files += 1;
                rows(&bundle, origin, import);
            }
            Err(error) => failed(import, &file, format!("not a STIX bundle: {error}")),
        }
    }
}

fn rows(bundle: &Bundle, origin: &Origin, import: &mut Import) {
    let named = |kinds: &[&str]| -> HashMap<&str, &str> {
        let objects = bundle.objects.iter().filter(|object| kinds.contains(&object.kind.as_str()));
        objects.filter_map(|object| Some((object.id.as_str(), attack_id(object)?))).collect()
    };
    let (techniques, actors) = (named(&["attack-pattern"]), named(&ACTORS));
    for object in &bundle.objects {
        if object.kind != "relationship" || object.relationship_type.as_deref() != Some("uses") {
            continue;
        }
        let technique = object.target_ref.as_deref().and_then(|id| techniques.get(id));
        let actor = object.source_ref.as_deref().and_then(|id| actors.get(id));
        let (Some(technique), Some(actor)) = (technique, actor) else { continue };
        if object.revoked || object.x_mitre_deprecated {
            import.pass_over("relationships that ATT&CK has given up", 1);
            continue;
        }
        let description = object.description.as_deref().unwrap_or_default();
        if description.len() > LONGEST_SCRIPT {
            import.pass_over(TOO_LONG, 1);
            continue;
        }
        let text = plain(description);
        import.take(origin.row(&format!("{actor}|{technique}"), technique, "narrative", "", text));
    }
}

fn attack_id(object: &Object) -> Option<&str> {
    let ours = object.external_references.iter().find(|reference| reference.source_name == "mitre-attack")?;
    ours.external_id.as_deref()
}

/// A description without its citations, links, marks of code and line breaks.
fn plain(description: &str) -> String {
    let text = fill(description, "(Citation:", ")", |_| Some(String::new()));
    // `[name](address)`.
    let text = fill(&text, "[", ")", |link| {
        let name = link.split_once("](").map(|(name, _)| name);
        name.filter(|name| !name.contains(['[', ']'])).map(str::to_owned)
    });
    let text = text.replace("<code>", "").replace("</code>", "").replace('`', "");
    let mut plain = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        // A citation may have stood before the full stop; `.NET` is a word.
        if !plain.is_empty() && word != "." && word != "," {
            plain.push(' ');
        }
        plain.push_str(word);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn descriptions_become_plain_sentences() {
        for (description, wanted) in [
            ("[APT1](https://attack.mitre.org/groups/G0006) used `ipconfig /all`.(Citation: Mandiant APT1)", "APT1 used ipconfig /all."),
            ("\nA  sentence (Citation: One)(Citation: Two) .\n\nAnother .NET one.", "A sentence. Another .NET one."),
            ("left [open and (Citation: never closed", "left [open and (Citation: never closed"),
            ("a[0] = <code>x</code> [y](z", "a[0] = x [y](z"),
            ("reads /proc/[PID] of [Tool](https://x/y) often", "reads /proc/[PID] of Tool often"),
            ("", ""),
        ] {
            assert_eq!(plain(description), wanted);
        }
    }
}
