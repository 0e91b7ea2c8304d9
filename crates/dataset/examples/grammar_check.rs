//! Parses every grammar file and shows expansions, for those who write templates: `cargo run -p attackline-dataset
//! --example grammar_check [WORD]` prints three expansions of each template whose id contains WORD.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::exit)]

use attackline_dataset::{Grammar, Random};

fn main() {
    let grammar = Grammar::embedded().unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1);
    });
    let mut random = Random::new(1, 0);
    println!("{} templates", grammar.templates().len());
    let Some(word) = std::env::args().nth(1) else { return };
    for template in grammar.templates().iter().filter(|template| template.id.contains(&word)) {
        println!("{} ({}, {}{})", template.id, template.label, template.platform, if template.hard { ", hard" } else { "" });
        for _ in 0..3 {
            println!("    {}", template.expand(&grammar, &mut random).text);
        }
    }
}
