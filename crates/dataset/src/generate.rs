use crate::{
    BENIGN, DatasetError, Grammar, Random, Row, Shell, Shortfall, Side, near_duplicate_key,
    obfuscate::obfuscate,
    render::render,
    shares::{Shares, rows_of_side},
    split::sides,
    wrap::wrap,
};
use std::collections::{BTreeSet, HashMap, HashSet};

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
    /// Where it has less than was asked for.
    pub shortfall: Shortfall,
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

/// Share of the benign rows that come from hard templates.
const HARD_SHARE: f64 = 0.5;

/// A template that gave nothing new this many times in a row is exhausted.
const TRIES: usize = 40;

/// Generates labelled lines: half of them benign, the rest divided among the techniques.
///
/// No line comes twice, and no template nor near duplicate stands on two sides of the split. So few samples that a side would have rows of one kind
/// only are refused.
pub fn generate(options: &GenerateOptions) -> Result<GeneratedSet, DatasetError> {
    let grammar = Grammar::embedded()?;
    let shares = Shares::new(&options.labels, &grammar)?;
    let mut shortfall = shares.expect(options.samples)?;
    let mut exhausted = BTreeSet::new();
    let sides = sides(&grammar, options.seed);
    let mut generator = Generator { grammar: &grammar, random: Random::new(options.seed, 3), texts: HashSet::new(), keys: HashMap::new() };
    let mut set = GeneratedSet { templates: grammar.templates().len(), seed: options.seed, ..GeneratedSet::default() };
    for side in Side::ALL {
        let mut rows = Vec::new();
        for (label, wanted) in shares.of(rows_of_side(options.samples, side)) {
            let pool: Vec<usize> = (0..sides.len()).filter(|&index| sides[index] == side && grammar.templates()[index].label == label).collect();
            let found = generator.rows(side, wanted, pool);
            if shares.exact() && found.len() < wanted {
                return Err(DatasetError::TooFew { label, side: side.name(), found: found.len(), wanted });
            }
            if found.len() < wanted {
                exhausted.insert(label);
            }
            rows.extend(found);
        }
        shortfall.made += rows.len();
        for (kind, benign) in [("benign", true), ("attack", false)] {
            if (benign || shortfall.techniques > 0) && rows.iter().all(|row| (row.label == BENIGN) != benign) {
                shortfall.without.push((side, kind));
            }
        }
        generator.random.shuffle(&mut rows);
        match side {
            Side::Train => set.train = rows,
            Side::Validation => set.validation = rows,
            Side::Test => set.test = rows,
        }
    }
    set.shortfall = Shortfall { exhausted: exhausted.len(), ..shortfall };
    Ok(set)
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
