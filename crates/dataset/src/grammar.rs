//! The grammar's language: templates and rules, one a line.

use crate::DatasetError;
use flate2::read::ZlibDecoder;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
};

/// What a template's text is, which decides what may be put round it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shell {
    /// A command line typed in or run by `cmd.exe`.
    Cmd,
    /// A PowerShell cmdlet, pipeline or script.
    PowerShell,
    /// A line of a POSIX shell.
    Sh,
    /// A whole process command line as a service or a program starts it; never wrapped.
    Process,
    /// A script block of several lines; never wrapped.
    Script,
    /// An analyst's sentence.
    English,
}

impl Shell {
    /// Its name in grammar files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cmd => "cmd",
            Self::PowerShell => "powershell",
            Self::Sh => "sh",
            Self::Process => "process",
            Self::Script => "script",
            Self::English => "english",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Cmd, Self::PowerShell, Self::Sh, Self::Process, Self::Script, Self::English].into_iter().find(|shell| shell.name() == name)
    }
}

/// A piece of a template or of a rule's alternative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Literal(String),
    /// A rule by name, and the number under which its text is remembered within the template.
    Rule(String, Option<u32>),
    Choice(Vec<Vec<Part>>),
}

/// One structural idea of a line.
#[derive(Debug, Clone)]
pub struct Template {
    /// Its id, unique in the grammar.
    pub id: String,
    /// `Benign` or a technique id.
    pub label: String,
    /// `windows`, `linux`, `macos` or `any`.
    pub platform: String,
    /// What its text is.
    pub shell: Shell,
    /// Benign, with the attacks' own tools and words.
    pub hard: bool,
    pub(crate) body: Vec<Part>,
}

/// An alternative of a rule with its weight.
pub(crate) type Alternative = (usize, Vec<Part>);

/// All templates and rules.
#[derive(Debug, Clone, Default)]
pub struct Grammar {
    templates: Vec<Template>,
    rules: BTreeMap<String, Vec<Alternative>>,
    names: BTreeSet<String>,
}

static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/grammar.z"));

/// Stands before each file's name in the embedded text.
const FILE_MARK: char = '\u{1}';

/// The file whose rules are names (of people, machines, files, …): masked when near duplicates are looked for.
const LEXICON: &str = "lexicon.grammar";

impl Grammar {
    /// The grammar inside the program.
    pub fn embedded() -> Result<Self, DatasetError> {
        Self::embedded_with(&[])
    }

    /// The grammar inside the program together with further files, given as (name, text).
    pub fn embedded_with(files: &[(String, String)]) -> Result<Self, DatasetError> {
        let mut text = String::new();
        ZlibDecoder::new(EMBEDDED).read_to_string(&mut text)?;
        let embedded = text.split(FILE_MARK).skip(1).filter_map(|part| part.split_once('\n'));
        Self::parse(embedded.chain(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))))
    }

    /// Parses files given as (name, text) and checks that every rule used is defined.
    pub fn parse<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, DatasetError> {
        let mut parser = Parser::default();
        for (file, text) in files {
            parser.file(file, text)?;
        }
        parser.finish()
    }

    /// All templates in the order of the files.
    pub fn templates(&self) -> &[Template] {
        &self.templates
    }

    /// Whether a rule's text is a name.
    pub(crate) fn is_name(&self, rule: &str) -> bool {
        self.names.contains(rule)
    }

    /// The alternatives of a rule that is known to be defined.
    pub(crate) fn rule(&self, name: &str) -> &[Alternative] {
        &self.rules[name]
    }
}

#[derive(Default)]
struct Parser {
    grammar: Grammar,
    section: Option<(String, String, Shell, bool)>,
    lexicon: bool,
    ids: BTreeSet<String>,
    uses: Vec<(String, usize, String)>,
}

impl Parser {
    fn file(&mut self, file: &str, text: &str) -> Result<(), DatasetError> {
        self.section = None;
        self.lexicon = file.ends_with(LEXICON);
        for (index, line) in text.lines().enumerate() {
            let place = |reason: String| DatasetError::Grammar { file: file.to_owned(), line: index + 1, reason };
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let before = self.uses.len();
            self.line(line).map_err(place)?;
            for used in &mut self.uses[before..] {
                used.0 = file.to_owned();
                used.1 = index + 1;
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(header) = line.strip_prefix('[') {
            self.section = Some(section(header.trim_end().strip_suffix(']').ok_or("a section header ends with ]")?)?);
            return Ok(());
        }
        let name_end = line.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')).unwrap_or(line.len());
        let (name, rest) = line.split_at(name_end);
        if name.is_empty() {
            return Err("a line is a header, a rule (name = …), a template (id: …) or a comment (# …)".into());
        }
        if let Some(body) = rest.strip_prefix(" = ") {
            self.rule(name, body)
        } else if let Some(body) = rest.strip_prefix(": ") {
            self.template(name, body)
        } else {
            Err(format!("{name:?} is followed by neither \" = \" (a rule) nor \": \" (a template)"))
        }
    }

    fn rule(&mut self, name: &str, body: &str) -> Result<(), String> {
        let mut alternatives = Vec::new();
        for alternative in split_alternatives(body)? {
            let text = alternative.trim();
            let (weight, text) = match text.split_once('*') {
                Some((weight, rest)) if !weight.is_empty() && weight.len() < 4 && weight.bytes().all(|b| b.is_ascii_digit()) => {
                    (weight.parse().map_err(|_| "a weight is a number")?, rest)
                }
                _ => (1, text),
            };
            alternatives.push((weight, self.parts(text)?));
        }
        if self.lexicon {
            self.grammar.names.insert(name.to_owned());
        }
        match self.grammar.rules.insert(name.to_owned(), alternatives) {
            None => Ok(()),
            Some(_) => Err(format!("the rule {name} is defined twice")),
        }
    }

    fn template(&mut self, id: &str, body: &str) -> Result<(), String> {
        let (label, platform, shell, hard) = self.section.clone().ok_or("a template needs a section header above it")?;
        if !self.ids.insert(id.to_owned()) {
            return Err(format!("the template id {id} is used twice"));
        }
        let body = self.parts(body)?;
        self.grammar.templates.push(Template { id: id.to_owned(), label, platform, shell, hard, body });
        Ok(())
    }

    fn parts(&mut self, text: &str) -> Result<Vec<Part>, String> {
        let mut rest = text;
        let parts = parse_parts(&mut rest, 0)?;
        collect_uses(&parts, &mut |name| self.uses.push((String::new(), 0, name.to_owned())));
        Ok(parts)
    }

    fn finish(self) -> Result<Grammar, DatasetError> {
        for (file, line, name) in self.uses {
            if !self.grammar.rules.contains_key(&name) {
                return Err(DatasetError::Grammar { file, line, reason: format!("the rule «{name}» is not defined anywhere") });
            }
        }
        Ok(self.grammar)
    }
}

fn section(header: &str) -> Result<(String, String, Shell, bool), String> {
    let attributes: BTreeMap<&str, &str> = header.split_whitespace().filter_map(|word| word.split_once('=')).collect();
    let take = |key: &str| attributes.get(key).copied().ok_or_else(|| format!("the section header lacks {key}="));
    let shell = Shell::parse(take("shell")?).ok_or_else(|| format!("there is no shell {:?}", attributes["shell"]))?;
    Ok((take("label")?.to_owned(), take("platform")?.to_owned(), shell, attributes.get("hard") == Some(&"true")))
}

/// Splits a rule's body at the ¦ that stand outside inline choices.
fn split_alternatives(body: &str) -> Result<Vec<&str>, String> {
    let (mut depth, mut start, mut alternatives) = (0usize, 0, Vec::new());
    for (at, character) in body.char_indices() {
        match character {
            '‹' => depth += 1,
            '›' => depth = depth.checked_sub(1).ok_or("› without ‹")?,
            '¦' if depth == 0 => {
                alternatives.push(&body[start..at]);
                start = at + '¦'.len_utf8();
            }
            _ => {}
        }
    }
    alternatives.push(&body[start..]);
    Ok(alternatives)
}

/// Parses up to the end, or within a choice up to the `¦` or `›` that ends the branch, which stays in `rest`.
fn parse_parts(rest: &mut &str, depth: usize) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let stop = rest.find(['«', '‹', '¦', '›', '⏎', '»']).unwrap_or(rest.len());
        if stop > 0 {
            parts.push(Part::Literal(rest[..stop].to_owned()));
            *rest = &rest[stop..];
            continue;
        }
        let character = rest.chars().next().unwrap_or_default();
        match character {
            '¦' | '›' if depth > 0 => return Ok(parts),
            '«' => parts.push(parse_rule(rest)?),
            '‹' => parts.push(parse_choice(rest, depth)?),
            '⏎' => {
                parts.push(Part::Literal("\n".into()));
                *rest = &rest['⏎'.len_utf8()..];
            }
            other => return Err(format!("{other} stands alone")),
        }
    }
    if depth == 0 { Ok(parts) } else { Err("‹ without ›".into()) }
}

fn parse_rule(rest: &mut &str) -> Result<Part, String> {
    let (name, after) = rest['«'.len_utf8()..].split_once('»').ok_or("« without »")?;
    *rest = after;
    let (name, memory) = match name.split_once('#') {
        Some((name, number)) => (name, Some(number.parse().map_err(|_| format!("«{name}#{number}»: a memory is a number"))?)),
        None => (name, None),
    };
    Ok(Part::Rule(name.to_owned(), memory))
}

fn parse_choice(rest: &mut &str, depth: usize) -> Result<Part, String> {
    let mut branches = Vec::new();
    loop {
        let mark = rest.chars().next().ok_or("‹ without ›")?;
        *rest = &rest[mark.len_utf8()..];
        if mark == '›' {
            return Ok(Part::Choice(branches));
        }
        branches.push(parse_parts(rest, depth + 1)?);
    }
}

fn collect_uses(parts: &[Part], found: &mut impl FnMut(&str)) {
    for part in parts {
        match part {
            Part::Literal(_) => {}
            Part::Rule(name, _) => found(name),
            Part::Choice(branches) => branches.iter().for_each(|branch| collect_uses(branch, found)),
        }
    }
}
