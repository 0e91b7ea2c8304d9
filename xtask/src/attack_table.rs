//! `cargo xtask attack-table PATH`: makes the catalog's table of techniques from ATT&CK's own data.
//!
//! PATH is a STIX bundle (`enterprise-attack-18.1.json`) or NDJSON with one technique a line. Both give the same rows, except
//! that only a bundle knows what a revoked technique was replaced by.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The table that is written, below the workspace's root.
pub(crate) const TABLE: &str = "crates/catalog/data/attack-enterprise-18.1.tsv";

const COLUMNS: &str = "id\tname\ttactics\tplatforms\tparent\tdeprecated\trevoked_by";

#[derive(Default)]
struct Row {
    name: String,
    tactics: Vec<String>,
    platforms: Vec<String>,
    deprecated: bool,
    revoked_by: String,
}

/// Reads `source` and writes the table below `root`. Gives the number of techniques.
pub(crate) fn run(source: &Path, root: &Path) -> Result<usize> {
    let text = fs_err::read_to_string(source)?;
    let rows = read(&text).with_context(|| format!("{}: neither a STIX bundle nor NDJSON of techniques", source.display()))?;
    fs_err::write(root.join(TABLE), write(&rows)?)?;
    Ok(rows.len())
}

fn read(text: &str) -> Result<BTreeMap<String, Row>> {
    let rows = match serde_json::from_str::<Value>(text) {
        Ok(bundle) if bundle["type"] == "bundle" => from_bundle(&bundle)?,
        _ => from_lines(text)?,
    };
    ensure!(!rows.is_empty(), "there is no technique in it");
    Ok(rows)
}

fn from_lines(text: &str) -> Result<BTreeMap<String, Row>> {
    let mut rows = BTreeMap::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let value: Value = serde_json::from_str(line).with_context(|| format!("line {}", index + 1))?;
        let id = string(&value, "id").with_context(|| format!("line {}", index + 1))?;
        let row = Row {
            name: string(&value, "name")?,
            tactics: strings(&value["tactics"]),
            platforms: strings(&value["platforms"]),
            deprecated: value["deprecated"].as_bool().unwrap_or(false),
            revoked_by: value["revoked_by"].as_str().unwrap_or_default().to_owned(),
        };
        rows.insert(id, row);
    }
    Ok(rows)
}

fn from_bundle(bundle: &Value) -> Result<BTreeMap<String, Row>> {
    let objects = bundle["objects"].as_array().context("the bundle has no objects")?;
    let techniques = || objects.iter().filter(|object| object["type"] == "attack-pattern");
    let ids: BTreeMap<&str, String> = techniques().filter_map(|object| Some((object["id"].as_str()?, attack_id(object)?))).collect();
    let replaced: BTreeMap<&str, &str> = objects
        .iter()
        .filter(|object| object["relationship_type"] == "revoked-by")
        .filter_map(|object| Some((object["source_ref"].as_str()?, object["target_ref"].as_str()?)))
        .collect();
    let mut rows = BTreeMap::new();
    for object in techniques() {
        let (Some(stix), Some(id)) = (object["id"].as_str(), attack_id(object)) else { continue };
        let revoked = object["revoked"].as_bool() == Some(true);
        // Sub-techniques keep their id when they move; a revoked twin must not replace the living one.
        if revoked && rows.contains_key(&id) {
            continue;
        }
        let phases = object["kill_chain_phases"].as_array().map(Vec::as_slice).unwrap_or_default();
        let tactics = phases.iter().filter_map(|phase| phase["phase_name"].as_str().map(str::to_owned)).collect();
        let revoked_by = if revoked { replaced.get(stix).and_then(|target| ids.get(target)).cloned().unwrap_or_default() } else { String::new() };
        let deprecated = object["x_mitre_deprecated"].as_bool().unwrap_or(false);
        rows.insert(id, Row { name: string(object, "name")?, tactics, platforms: strings(&object["x_mitre_platforms"]), deprecated, revoked_by });
    }
    Ok(rows)
}

fn attack_id(object: &Value) -> Option<String> {
    let references = object["external_references"].as_array()?;
    let ours = references.iter().find(|reference| reference["source_name"] == "mitre-attack")?;
    ours["external_id"].as_str().map(str::to_owned)
}

fn string(value: &Value, key: &str) -> Result<String> {
    Ok(value[key].as_str().with_context(|| format!("no {key}"))?.to_owned())
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn write(rows: &BTreeMap<String, Row>) -> Result<String> {
    let mut table = format!("{COLUMNS}\n");
    for (id, row) in rows {
        let parent = id.split_once('.').map_or("", |(parent, _)| parent);
        if !parent.is_empty() && !rows.contains_key(parent) {
            bail!("{id} has no parent {parent} in the source");
        }
        let (mut tactics, mut platforms) = (row.tactics.clone(), row.platforms.clone());
        tactics.sort();
        platforms.sort();
        let fields = [id, &row.name, &tactics.join(","), &platforms.join(","), parent, &row.deprecated.to_string(), &row.revoked_by];
        ensure!(!fields.iter().any(|field| field.contains(['\t', '\n', '\r'])), "{id} holds a tab or a line break");
        table.push_str(&fields.join("\t"));
        table.push('\n');
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_bundle_and_lines_give_the_same_rows() {
        let lines = concat!(
            r#"{"id":"T1","name":"One","tactics":["discovery"],"platforms":["macOS","Linux"],"deprecated":false}"#,
            "\n",
            r#"{"id":"T1.001","name":"Below","tactics":["discovery"],"platforms":[],"deprecated":true}"#
        );
        let bundle = r#"{"type":"bundle","objects":[
            {"type":"attack-pattern","id":"a","name":"One","kill_chain_phases":[{"phase_name":"discovery"}],"x_mitre_platforms":["Linux","macOS"],
             "external_references":[{"source_name":"mitre-attack","external_id":"T1"}]},
            {"type":"attack-pattern","id":"b","name":"Below","kill_chain_phases":[{"phase_name":"discovery"}],"x_mitre_deprecated":true,
             "external_references":[{"source_name":"mitre-attack","external_id":"T1.001"}]}]}"#;
        let table = write(&read(lines).unwrap()).unwrap();
        assert_eq!(table, write(&read(bundle).unwrap()).unwrap());
        assert_eq!(table.lines().nth(2).unwrap(), "T1.001\tBelow\tdiscovery\t\tT1\ttrue\t");
    }

    #[test]
    fn a_revoked_technique_names_its_successor() {
        let bundle = r#"{"type":"bundle","objects":[
            {"type":"attack-pattern","id":"a","name":"Old","revoked":true,"external_references":[{"source_name":"mitre-attack","external_id":"T1"}]},
            {"type":"attack-pattern","id":"b","name":"New","external_references":[{"source_name":"mitre-attack","external_id":"T2"}]},
            {"type":"relationship","relationship_type":"revoked-by","source_ref":"a","target_ref":"b"}]}"#;
        assert_eq!(write(&read(bundle).unwrap()).unwrap().lines().nth(1).unwrap(), "T1\tOld\t\t\t\tfalse\tT2");
    }

    #[test]
    fn what_is_neither_is_refused() {
        for bad in ["", "{}", "[]", "no json", r#"{"type":"bundle","objects":[]}"#, r#"{"id":"T1.001","name":"orphan"}"#] {
            assert!(read(bad).and_then(|rows| write(&rows)).is_err(), "{bad}");
        }
    }
}
