//! Parses every grammar file and shows expansions, for those who write templates: `cargo run -p attackline-dataset
//! --example grammar_check [WORD [FILE...]]` prints three expansions of each template whose id contains WORD. FILEs are files that the
//! program does not hold yet: they are checked together with those that it holds.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::exit)]

use attackline_dataset::{Grammar, Random};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let word = arguments.next();
    let files: Vec<(String, String)> = arguments
        .map(|name| {
            let text = std::fs::read_to_string(&name).unwrap_or_else(|error| fail(&format!("{name}: {error}")));
            (name, text)
        })
        .collect();
    let grammar = Grammar::embedded_with(&files).unwrap_or_else(|error| fail(&error.to_string()));
    let mut random = Random::new(1, 0);
    println!("{} templates", grammar.templates().len());
    let Some(word) = word else { return };
    for template in grammar.templates().iter().filter(|template| template.id.contains(&word)) {
        println!("{} ({}, {}{})", template.id, template.label, template.platform, if template.hard { ", hard" } else { "" });
        for _ in 0..3 {
            println!("    {}", template.expand(&grammar, &mut random).text);
        }
    }
}

fn fail(reason: &str) -> ! {
    eprintln!("{reason}");
    std::process::exit(1);
}
