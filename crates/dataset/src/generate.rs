use crate::{
    BENIGN, DatasetError, Grammar, Random, Row, Shell, Side, near_duplicate_key, obfuscate::obfuscate, render::render, split::sides, wrap::wrap,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Which labels to generate lines for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LabelSet {
    /// The specification's four: half of the rows benign, a sixth for each technique.
    #[default]
    Specification,
    /// Benign and every technique that the grammar has.
    All,
    /// Benign and these techniques.
    Only(Vec<String>),
}

/// What to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerateOptions {
    /// The labels.
    pub labels: LabelSet,
    /// Rows in all.
    pub samples: usize,
    /// The same seed gives the same bytes.
    pub seed: u64,
}

/// Generated rows by side.
#[derive(Debug, Clone, Default)]
pub struct GeneratedSet {
    /// 80 %.
    pub train: Vec<Row>,
    /// 10 %.
    pub validation: Vec<Row>,
    /// 10 %.
    pub test: Vec<Row>,
    /// How many templates the grammar has.
    pub templates: usize,
    /// What it was made with.
    pub seed: u64,
}

impl GeneratedSet {
    /// The rows of a side.
    pub fn side(&self, side: Side) -> &[Row] {
        match side {
            Side::Train => &self.train,
            Side::Validation => &self.validation,
            Side::Test => &self.test,
        }
    }
}

/// Labels and their shares of the rows, in sixths.
const SHARES: [(&str, usize); 4] = [(BENIGN, 3), ("T1003.002", 1), ("T1087.001", 1), ("T1049", 1)];

/// Share of the benign rows that come from hard templates.
const HARD_SHARE: f64 = 0.5;

/// A template that gave nothing new this many times in a row is exhausted.
const TRIES: usize = 40;

/// The labels with their rows in a side of `total` rows, and whether each must have all of them. Beyond the specification's four, half of the
/// rows are benign and the rest is divided by the root of the number of a technique's templates: what shows itself in more ways needs more lines to
/// be known, but not as many more. A technique whose templates give fewer lines has fewer.
fn shares(labels: &LabelSet, grammar: &Grammar, total: usize) -> Result<(Vec<(String, usize)>, bool), DatasetError> {
    let mut known: BTreeMap<&str, f64> = BTreeMap::new();
    for template in grammar.templates().iter().filter(|template| template.label != BENIGN) {
        *known.entry(&template.label).or_default() += 1.0;
    }
    let techniques: Vec<&str> = match labels {
        LabelSet::Specification => {
            return Ok((SHARES.iter().map(|&(label, sixths)| (label.to_owned(), rows_of_label(total, sixths))).collect(), true));
        }
        LabelSet::All => known.keys().copied().collect(),
        LabelSet::Only(wanted) => {
            let wanted = wanted.iter().filter(|label| *label != BENIGN).map(String::as_str);
            wanted
                .map(|label| known.get_key_value(label).map(|(label, _)| *label).ok_or_else(|| DatasetError::NoTemplates(label.to_owned())))
                .collect::<Result<_, _>>()?
        }
    };
    let attacks = total / 2;
    let weights: Vec<f64> = techniques.iter().map(|label| known[label].sqrt()).collect();
    let all: f64 = weights.iter().sum();
    let each = techniques.iter().zip(&weights).map(|(label, weight)| ((*label).to_owned(), (attacks as f64 * weight / all) as usize));
    Ok((std::iter::once((BENIGN.to_owned(), total - attacks)).chain(each).collect(), false))
}

/// Generates labelled lines: half of them benign, the rest divided among the techniques.
///
/// No line comes twice, and no template nor near duplicate stands on two sides of the split.
pub fn generate(options: &GenerateOptions) -> Result<GeneratedSet, DatasetError> {
    let grammar = Grammar::embedded()?;
    let sides = sides(&grammar, options.seed);
    let mut generator = Generator { grammar: &grammar, random: Random::new(options.seed, 3), texts: HashSet::new(), keys: HashMap::new() };
    let mut set = GeneratedSet { templates: grammar.templates().len(), seed: options.seed, ..GeneratedSet::default() };
    for side in Side::ALL {
        let mut rows = Vec::new();
        let (labels, all) = shares(&options.labels, &grammar, rows_of_side(options.samples, side))?;
        for (label, wanted) in labels {
            let pool: Vec<usize> = (0..sides.len()).filter(|&index| sides[index] == side && grammar.templates()[index].label == label).collect();
            let found = generator.rows(side, wanted, pool);
            if all && found.len() < wanted {
                return Err(DatasetError::TooFew { label, side: side.name(), found: found.len(), wanted });
            }
            rows.extend(found);
        }
        generator.random.shuffle(&mut rows);
        match side {
            Side::Train => set.train = rows,
            Side::Validation => set.validation = rows,
            Side::Test => set.test = rows,
        }
    }
    Ok(set)
}

/// The rows of a side: a tenth for validation and for test each, train takes what doesn't divide.
fn rows_of_side(samples: usize, side: Side) -> usize {
    let tenth = samples / 10;
    if side == Side::Train { samples - 2 * tenth } else { tenth }
}

/// The rows of a label in a side of `total` rows; the three sixths of the benign rows take what doesn't divide.
fn rows_of_label(total: usize, sixths: usize) -> usize {
    let sixth = total / 6;
    if sixths == 3 { total - 3 * sixth } else { sixth * sixths }
}

struct Generator<'a> {
    grammar: &'a Grammar,
    random: Random,
    texts: HashSet<String>,
    /// Which label and side a near-duplicate key belongs to.
    keys: HashMap<String, (Side, &'a str)>,
}

impl<'a> Generator<'a> {
    /// As many rows as are wanted, or as the templates of the pool give.
    fn rows(&mut self, side: Side, wanted: usize, pool: Vec<usize>) -> Vec<Row> {
        let is_hard = |&index: &usize| self.grammar.templates()[index].hard;
        let (mut hard, mut plain): (Vec<usize>, Vec<usize>) = pool.into_iter().partition(is_hard);
        let mut rows = Vec::with_capacity(wanted);
        while rows.len() < wanted {
            let from_hard = !hard.is_empty() && (plain.is_empty() || self.random.chance(HARD_SHARE));
            let pool = if from_hard { &mut hard } else { &mut plain };
            if pool.is_empty() {
                break;
            }
            let at = self.random.below(pool.len());
            match self.row(pool[at], side) {
                Some(row) => rows.push(row),
                None => drop(pool.swap_remove(at)),
            }
        }
        rows
    }

    /// A new line of a template, or nothing once it has no more.
    fn row(&mut self, index: usize, side: Side) -> Option<Row> {
        let template = &self.grammar.templates()[index];
        for _ in 0..TRIES {
            let expansion = template.expand(self.grammar, &mut self.random);
            let owner = (side, template.label.as_str());
            let mut keys = [&expansion.masked, &expansion.text].into_iter().map(|text| near_duplicate_key(text));
            if !keys.all(|key| *self.keys.entry(key).or_insert(owner) == owner) {
                continue;
            }
            let (obfuscation, text) = obfuscate(&expansion.text, template.shell, &mut self.random);
            let wrapped = wrap(&text, template.shell, self.grammar, &mut self.random);
            let rendered_as = if wrapped.name == "cron" { Shell::English } else { wrapped.shell };
            let (rendering, text) = render(&wrapped.text, rendered_as, &template.platform, self.grammar, &mut self.random);
            if self.texts.insert(text.clone()) {
                return Some(Row {
                    text,
                    label: template.label.clone(),
                    labels: Vec::new(),
                    template: template.id.clone(),
                    platform: template.platform.clone(),
                    shell: template.shell.name().into(),
                    wrapper: wrapped.name.into(),
                    rendering: rendering.into(),
                    obfuscation: obfuscation.into(),
                    hard: template.hard,
                    source: "generated".into(),
                    realism: String::new(),
                    licence: String::new(),
                    image: String::new(),
                    parent: String::new(),
                    user: String::new(),
                });
            }
        }
        None
    }
}
