//! What generated data promises.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use attackline_dataset::{GenerateOptions, GeneratedSet, Grammar, LabelSet, Random, Side, generate, label_table, read_folder, write_folder};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

fn set() -> &'static GeneratedSet {
    static SET: OnceLock<GeneratedSet> = OnceLock::new();
    SET.get_or_init(|| generate(&GenerateOptions { samples: 20_000, seed: 7, labels: LabelSet::Specification }).unwrap())
}

#[test]
fn labels_and_sides_have_their_counts() {
    assert_eq!((set().train.len(), set().validation.len(), set().test.len()), (16_000, 2_000, 2_000));
    for side in Side::ALL {
        let rows = set().side(side);
        let count = |label: &str| rows.iter().filter(|row| row.label == label).count();
        assert_eq!(count("T1003.002"), rows.len() / 6);
        assert_eq!(count("T1087.001"), rows.len() / 6);
        assert_eq!(count("T1049"), rows.len() / 6);
        assert_eq!(count("Benign"), rows.len() - 3 * (rows.len() / 6));
        let hard = rows.iter().filter(|row| row.hard).count();
        assert!(hard * 4 >= count("Benign"), "{hard} hard rows in {}", side.name());
    }
}

#[test]
fn no_line_comes_twice_and_no_template_stands_on_two_sides() {
    let mut texts = BTreeSet::new();
    let mut sides: BTreeMap<&str, Side> = BTreeMap::new();
    for side in Side::ALL {
        for row in set().side(side) {
            assert!(texts.insert(&row.text), "twice: {}", row.text);
            assert_eq!(*sides.entry(&row.template).or_insert(side), side, "{}", row.template);
        }
    }
    assert!(sides.len() >= 600, "only {} templates in use", sides.len());
}

#[test]
fn bare_lines_that_differ_in_digits_and_blanks_only_stand_on_one_side() {
    let mut sides: BTreeMap<String, (Side, &str)> = BTreeMap::new();
    for side in Side::ALL {
        for row in set().side(side).iter().filter(|row| row.wrapper == "none" && row.rendering == "bare" && row.obfuscation == "none") {
            let key: String = row.text.chars().filter(|c| !c.is_ascii_digit() && !c.is_whitespace()).flat_map(char::to_lowercase).collect();
            let (owner, other) = *sides.entry(key).or_insert((side, &row.text));
            assert_eq!(owner, side, "{:?} and {other:?}", row.text);
        }
    }
}

#[test]
fn the_seed_decides_the_bytes() {
    let small = |seed| {
        let folder = tempfile::tempdir().unwrap();
        let set = generate(&GenerateOptions { samples: 600, seed, labels: LabelSet::Specification }).unwrap();
        let manifest = write_folder(folder.path(), &set, false).unwrap();
        assert!(write_folder(folder.path(), &set, false).unwrap_err().to_string().contains("not overwritten"));
        assert_eq!(read_folder(folder.path(), Side::Train).unwrap(), set.train);
        manifest.sha256
    };
    assert_eq!(small(7), small(7));
    assert_ne!(small(7), small(8));
}

/// A wrapper, rendering or spelling that many rows have is found under every label, and nowhere rules it: a model that looked
/// at it alone would hardly beat a guess.
#[test]
fn no_wrapper_rendering_or_spelling_gives_a_label_away() {
    let rows: Vec<_> = Side::ALL.iter().flat_map(|side| set().side(*side)).collect();
    for (title, property) in [("wrapper", 0), ("rendering", 1), ("obfuscation", 2)] {
        let value = |row: &attackline_dataset::Row| [&row.wrapper, &row.rendering, &row.obfuscation][property].clone();
        eprintln!("{}", label_table(title, rows.iter().copied(), |row| [&row.wrapper, &row.rendering, &row.obfuscation][property]));
        let mut counts: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
        for row in &rows {
            *counts.entry(value(row)).or_default().entry(&row.label).or_default() += 1;
        }
        for (value, by_label) in counts.iter().filter(|(_, by_label)| by_label.values().sum::<usize>() >= 100) {
            assert_eq!(by_label.len(), 4, "{title} {value} is missing under a label: {by_label:?}");
            let (total, most) = (by_label.values().sum::<usize>(), by_label.values().max().unwrap());
            assert!(most * 10 <= total * 8, "{title} {value} is nearly always one label: {by_label:?}");
        }
    }
}

#[test]
fn every_template_expands_and_ids_follow_the_catalog() {
    let grammar = Grammar::embedded().unwrap();
    let mut random = Random::new(3, 0);
    assert!(grammar.templates().len() >= 600);
    for template in grammar.templates() {
        for _ in 0..5 {
            let text = template.expand(&grammar, &mut random).text;
            assert!(!text.trim().is_empty() && !text.contains(['«', '»', '‹', '›', '¦', '⏎']), "{}: {text}", template.id);
        }
    }
}

#[test]
fn mistakes_in_a_grammar_are_named_with_their_place() {
    let refused = |text: &str| Grammar::parse([("a.grammar", text)]).unwrap_err().to_string();
    let header = "[label=Benign platform=any shell=sh hard=false]\n";
    for (text, wanted) in [
        ("x: ls", "a.grammar:1: a template needs a section header"),
        ("[label=Benign platform=any shell=fish]", "there is no shell \"fish\""),
        (&format!("{header}x: ls «nothing»"), "a.grammar:2: the rule «nothing» is not defined"),
        (&format!("{header}x: ls ‹-a"), "a.grammar:2: ‹ without ›"),
        (&format!("{header}x: ls ›"), "› stands alone"),
        (&format!("{header}x: a\nx: b"), "a.grammar:3: the template id x is used twice"),
        ("r = a\nr = b", "a.grammar:2: the rule r is defined twice"),
    ] {
        let message = refused(text);
        assert!(message.contains(wanted), "{message}");
    }
}

#[test]
fn other_label_sets_are_half_benign_and_the_rest_by_the_root_of_the_templates() {
    let rows = |labels: LabelSet| {
        let set = generate(&GenerateOptions { samples: 4_000, seed: 3, labels }).unwrap();
        let mut counts = std::collections::BTreeMap::<String, usize>::new();
        for row in &set.train {
            *counts.entry(row.label.clone()).or_default() += 1;
        }
        counts
    };
    let only = rows(LabelSet::Only(vec!["T1049".into(), "Benign".into()]));
    assert_eq!(only.into_iter().collect::<Vec<_>>(), [("Benign".to_owned(), 1_600), ("T1049".to_owned(), 1_600)]);
    let all = rows(LabelSet::All);
    assert_eq!(all["Benign"], 1_600);
    let grammar = Grammar::embedded().unwrap();
    let root = |label: &str| (grammar.templates().iter().filter(|template| template.label == label).count() as f64).sqrt();
    let unit = all["T1105"] as f64 / root("T1105");
    for (label, count) in all.iter().filter(|(label, _)| *label != "Benign") {
        assert!(*count as f64 <= unit * root(label) + 1.0 + unit, "{label}: {count}");
    }
    assert!(all["T1105"] > 2 * all["T1207"], "{all:?}");
    let error = generate(&GenerateOptions { samples: 100, seed: 3, labels: LabelSet::Only(vec!["T9999".into()]) }).unwrap_err();
    assert!(error.to_string().contains("T9999"), "{error}");
}
