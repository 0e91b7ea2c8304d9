use crate::{
    Random,
    grammar::{Grammar, Part, Template},
};
use std::collections::BTreeMap;

/// A template's text with choices made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion {
    /// The text.
    pub text: String,
    /// The same with each name from the lexicon replaced by `§`.
    pub masked: String,
}

/// Rules that nest deeper than this must be recursive without end.
const DEEPEST: usize = 40;

struct Expander<'a> {
    grammar: &'a Grammar,
    random: &'a mut Random,
    memory: BTreeMap<(&'a str, u32), (String, String)>,
}

impl Template {
    /// One expansion.
    pub fn expand(&self, grammar: &Grammar, random: &mut Random) -> Expansion {
        let mut expander = Expander { grammar, random, memory: BTreeMap::new() };
        let (text, masked) = expander.parts(&self.body, 0);
        Expansion { text, masked }
    }
}

impl Grammar {
    /// One expansion of the rule `name`, which must be defined.
    pub(crate) fn expand_rule(&self, name: &str, random: &mut Random) -> String {
        Expander { grammar: self, random, memory: BTreeMap::new() }.rule(name, 0).0
    }
}

impl<'a> Expander<'a> {
    fn parts(&mut self, parts: &'a [Part], depth: usize) -> (String, String) {
        assert!(depth < DEEPEST, "the grammar's rules call each other without end");
        let (mut text, mut masked) = (String::new(), String::new());
        for part in parts {
            let (more, more_masked) = match part {
                Part::Literal(literal) => (literal.clone(), literal.clone()),
                Part::Choice(branches) => {
                    let branch = &branches[self.random.below(branches.len())];
                    self.parts(branch, depth + 1)
                }
                Part::Rule(name, None) => self.rule(name, depth + 1),
                Part::Rule(name, Some(number)) => match self.memory.get(&(name.as_str(), *number)) {
                    Some(remembered) => remembered.clone(),
                    None => {
                        let made = self.rule(name, depth + 1);
                        self.memory.insert((name, *number), made.clone());
                        made
                    }
                },
            };
            text.push_str(&more);
            masked.push_str(&more_masked);
        }
        (text, masked)
    }

    fn rule(&mut self, name: &str, depth: usize) -> (String, String) {
        let alternatives = self.grammar.rule(name);
        let total = alternatives.iter().map(|(weight, _)| weight).sum();
        let mut ticket = self.random.below(total);
        let chosen = alternatives.iter().find(|(weight, _)| match ticket.checked_sub(*weight) {
            Some(rest) => {
                ticket = rest;
                false
            }
            None => true,
        });
        let (_, parts) = chosen.expect("the ticket is below the sum of the weights");
        let (text, masked) = self.parts(parts, depth + 1);
        if self.grammar.is_name(name) { (text, "§".into()) } else { (text, masked) }
    }
}
